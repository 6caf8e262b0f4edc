# SPDX-License-Identifier: Apache-2.0
"""A real cloud, where there is one: ``CONGRESS_TEST_CLOUDS`` or ``OS_CLIENT_CONFIG_FILE`` names its clouds.yaml."""

from collections.abc import Iterator

import pytest

from congress.cloudservices.glance import GlanceDriver
from congress.cloudservices.keystone import KeystoneDriver
from congress.cloudservices.neutron import NeutronDriver
from congress.cloudservices.nova import NovaDriver
from tests.cloudservices.running import Running, running
from tests.openstack.raw import Hypervisors, Raw, cloud_name, clouds_file
from tests.openstack.stage import Stage
from tests.requirements import require_or_skip


@pytest.fixture(scope="session")
def raw() -> Iterator[Raw]:
    file = clouds_file()
    if file is None or not file.exists():
        require_or_skip("openstack", "CONGRESS_TEST_CLOUDS names no clouds.yaml of a real cloud")
    raw = Raw(file, cloud_name())
    yield raw
    raw.close()


@pytest.fixture(scope="session")
def login(raw: Raw) -> Iterator[dict[str, object]]:
    """A driver's options for the cloud."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OS_CLIENT_CONFIG_FILE", str(raw.file))
        yield {"cloud": raw.cloud, "poll_time": 0}


@pytest.fixture(scope="session")
def hypervisors(raw: Raw) -> Hypervisors:
    return Hypervisors(raw.file.parent)


@pytest.fixture(scope="session")
def stage(raw: Raw) -> Iterator[Stage]:
    stage = Stage(raw)
    yield stage
    stage.clear()


@pytest.fixture(scope="session")
def nova(login: dict[str, object]) -> Iterator[Running]:
    with running(NovaDriver("nova", login)) as nova:
        yield nova


@pytest.fixture(scope="session")
def neutron(login: dict[str, object]) -> Iterator[Running]:
    with running(NeutronDriver("neutron", login)) as neutron:
        yield neutron


@pytest.fixture(scope="session")
def keystone(login: dict[str, object]) -> Iterator[Running]:
    with running(KeystoneDriver("keystone", login)) as keystone:
        yield keystone


@pytest.fixture(scope="session")
def glance(login: dict[str, object]) -> Iterator[Running]:
    with running(GlanceDriver("glance", login)) as glance:
        yield glance
