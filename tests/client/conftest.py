# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterator

import pytest

from congress.client import Connection, connect
from congress.client.settings import OPENSTACK
from tests.server.daemon import Server, serving


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One daemon for all tests of the client; names in it are each test's own."""
    with serving(tmp_path_factory.mktemp("state")) as made:
        yield made


@pytest.fixture
def cloud(server: Server) -> Connection:
    return connect(server.url)


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the person who runs the tests has set up says nothing here."""
    for name in (*OPENSTACK, "CONGRESS_URL", "CONGRESS_USER", "CONGRESS_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
