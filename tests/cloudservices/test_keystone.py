# SPDX-License-Identifier: Apache-2.0
"""Keystone's tables against the fake cloud."""

from collections.abc import Iterator

import pytest

from congress.cloudservices.keystone import KeystoneDriver
from congress.datalog.values import FALSE, TRUE
from tests.cloudservices.fake_openstack import FakeCloud, fake_cloud
from tests.cloudservices.running import running


@pytest.fixture
def cloud() -> Iterator[FakeCloud]:
    with fake_cloud() as cloud:
        yield cloud


def test_tables(cloud: FakeCloud) -> None:
    identity = cloud.state.identity
    identity["users"] |= {
        "u1": {"id": "u1", "name": "ada", "enabled": True, "domain_id": "d1", "default_project_id": "t1"},
        "u2": {"id": "u2", "name": "bob", "enabled": False, "domain_id": "d1", "email": "b@example.org"},
    }
    identity["roles"]["r1"] = {"id": "r1", "name": "member", "domain_id": None}
    identity["projects"]["t1"] = {
        "id": "t1",
        "name": "shop",
        "enabled": True,
        "domain_id": "d1",
        "description": "",
    }
    identity["domains"]["d1"] = {"id": "d1", "name": "emea", "enabled": True, "description": "Europe"}
    with running(KeystoneDriver("keystone", cloud.config())) as keystone:
        assert keystone.rows("users") == {("u1", "ada", TRUE, "t1", "d1"), ("u2", "bob", FALSE, None, "d1")}
        assert keystone.rows("roles") == {("r1", "member")}
        assert keystone.rows("projects") == {(TRUE, "", "shop", "d1", "t1")}
        assert keystone.rows("domains") == {(TRUE, "Europe", "emea", "d1")}
        assert keystone.status()["warnings"] == []


def test_no_limit_is_asked_for(cloud: FakeCloud) -> None:
    """Keystone's lists take none, but some."""
    with running(KeystoneDriver("keystone", cloud.config())) as keystone:
        keystone.rows("roles")
    assert cloud.asked("GET", "/roles")[0].query == {}
