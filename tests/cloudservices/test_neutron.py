# SPDX-License-Identifier: Apache-2.0
"""Neutron's tables against the fake cloud: what is one object there is a row in each of several tables here."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from congress.cloudservices.neutron import NeutronDriver
from congress.datalog.values import encode_row
from tests.cloudservices.fake_openstack import FakeCloud, fake_cloud
from tests.cloudservices.running import running

CASES = yaml.safe_load((Path(__file__).parent / "cases" / "neutron_tables.yaml").read_text())


@pytest.fixture
def cloud() -> Iterator[FakeCloud]:
    with fake_cloud() as cloud:
        yield cloud


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_tables(case: dict[str, Any], cloud: FakeCloud) -> None:
    for kind, objects in case["objects"].items():
        cloud.state.network[kind] |= {item["id"]: item for item in objects}
    with running(NeutronDriver("neutron", cloud.config(eager_tables="*"))) as neutron:
        for table in NeutronDriver.TABLES:
            wanted = {encode_row(row) for row in case["tables"].get(table, ())}
            assert neutron.rows(table) == wanted, table
        assert neutron.status()["warnings"] == []


def test_only_the_fields_that_are_used_are_asked_for(cloud: FakeCloud) -> None:
    with running(NeutronDriver("neutron", cloud.config())) as neutron:
        neutron.rows("routers")
    assert [r.path for r in cloud.requests if "/v2.0/" in r.path] == ["/network/v2.0/routers"]
    asked = cloud.asked("GET", "/routers")[0].repeated["fields"]
    assert asked == ["admin_state_up", "distributed", "external_gateway_info", "id", "name", "status", "tenant_id"]


def test_pages(cloud: FakeCloud) -> None:
    cloud.page_limit = 3
    for n in range(10):
        cloud.state.network["networks"][f"n{n}"] = {"id": f"n{n}", "name": "", "tenant_id": "t"}
    with running(NeutronDriver("neutron", cloud.config())) as neutron:
        assert {row[0] for row in neutron.rows("networks")} == {f"n{n}" for n in range(10)}
    assert len(cloud.asked("GET", "/networks")) == 4


def test_a_table_that_is_refused_fails_alone(cloud: FakeCloud) -> None:
    cloud.state.network["networks"]["n1"] = {"id": "n1", "name": "", "tenant_id": "t"}
    cloud.fault("/routers", 403, message="not for you", times=1000)
    with running(NeutronDriver("neutron", cloud.config(poll_time=0, eager_tables="networks,routers"))) as neutron:
        tables = neutron.poll()["tables"]
    assert not tables["networks"]["stale"]
    assert tables["routers"]["stale"]
    assert "not for you" in tables["routers"]["error"]
