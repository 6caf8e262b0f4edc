# SPDX-License-Identifier: Apache-2.0
"""Nova's tables, whole and incremental, against the fake cloud."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from congress.cloudservices import nova as nova_module
from congress.cloudservices.errors import PollError
from congress.cloudservices.nova import NovaDriver
from tests.cloudservices.fake_openstack import STAMP, FakeCloud, fake_cloud
from tests.cloudservices.running import Running, running


@pytest.fixture
def cloud() -> Iterator[FakeCloud]:
    with fake_cloud() as cloud:
        yield cloud


@pytest.fixture
def nova(cloud: FakeCloud) -> Iterator[Running]:
    with running(NovaDriver("nova", cloud.config(poll_time=0))) as nova:
        yield nova


def test_servers(cloud: FakeCloud, nova: Running) -> None:
    cloud.add_server(id="a", name="web", created="2026-01-01T00:00:00Z", tags=["prod", "dmz"])
    cloud.add_interface("a", "n1", "10.0.0.4")
    cloud.add_interface("a", "n2", "2001:db8::4")
    cloud.add_server(
        id="b",
        name="neu ünd schön",
        hostId="",
        status="BUILD",
        image="",
        created="2026-01-02T00:00:00Z",
        **{"OS-EXT-AZ:availability_zone": "", "OS-EXT-SRV-ATTR:hypervisor_hostname": None},
    )
    cloud.add_server(id="c", status="DELETED")
    assert nova.rows("servers") == {
        (
            "a",
            "web",
            "5d0c37dd",
            "ACTIVE",
            "t1",
            "u1",
            "img-1",
            "1",
            "nova",
            "compute1.example.org",
            "2026-01-01T00:00:00Z",
        ),
        ("b", "neu ünd schön", None, "BUILD", "t1", "u1", None, "1", None, None, "2026-01-02T00:00:00Z"),
    }
    mac = "fa:16:3e:00:00:01"
    assert nova.rows("servers.addresses") == {
        ("a", "name-of-n1", "10.0.0.4", 4, mac, "fixed"),
        ("a", "name-of-n2", "2001:db8::4", 6, mac, "fixed"),
    }
    assert nova.rows("tags") == {("a", "prod"), ("a", "dmz")}
    assert nova.status()["warnings"] == []
    assert {r.query.get("all_tenants") for r in cloud.asked("GET", "/servers/detail")} == {"1"}


def test_servers_of_one_project(cloud: FakeCloud) -> None:
    with running(NovaDriver("nova", cloud.config(all_tenants=False))) as nova:
        assert nova.rows("servers") == set()
    assert "all_tenants" not in cloud.asked("GET", "/servers/detail")[0].query


def test_the_small_tables(cloud: FakeCloud, nova: Running) -> None:
    compute = cloud.state.compute
    compute["flavors"]["1"] = {
        "id": "1",
        "name": "m1.tiny",
        "vcpus": 1,
        "ram": 512,
        "disk": 1,
        "OS-FLV-EXT-DATA:ephemeral": 0,
        "rxtx_factor": 1.0,
    }
    compute["services"]["1"] = {
        "id": 1,
        "binary": "nova-compute",
        "host": "compute1",
        "zone": "nova",
        "status": "disabled",
        "state": "up",
        "updated_at": "2026-01-01T00:00:00.000000",
        "disabled_reason": "test 3",
    }
    compute["hypervisors"]["1"] = {
        "id": 1,
        "hypervisor_hostname": "compute1.example.org",
        "state": "up",
        "status": "disabled",
    }
    compute["zones"] |= {
        "nova": {"zoneName": "nova", "zoneState": {"available": True}},
        "old": {"zoneName": "old", "zoneState": {"available": False}},
    }
    assert nova.rows("flavors") == {("1", "m1.tiny", 1, 512, 1, 0, 1)}
    assert nova.rows("services") == {
        (1, "nova-compute", "compute1", "nova", "disabled", "up", "2026-01-01T00:00:00.000000", "test 3")
    }
    assert nova.rows("hypervisors") == {("compute1.example.org", 1, "up", "disabled")}
    assert nova.rows("availability_zones") == {("nova", "available"), ("old", "not available")}
    assert nova.status()["warnings"] == []


def test_only_wanted_tables_are_asked_for(cloud: FakeCloud, nova: Running) -> None:
    nova.rows("flavors")
    assert {r.path for r in cloud.requests if "/compute/v2.1/" in r.path and r.path != "/compute/v2.1/"} == {
        "/compute/v2.1/flavors/detail"
    }


def test_pages(cloud: FakeCloud, nova: Running) -> None:
    cloud.page_limit = 3
    ids = {cloud.add_server() for _ in range(8)}
    assert {row[0] for row in nova.rows("servers")} == ids
    assert [r.query.get("marker") is None for r in cloud.asked("GET", "/servers/detail")] == [True, False, False]


def test_one_page_is_read_whole_each_time(cloud: FakeCloud, nova: Running) -> None:
    server = cloud.add_server()
    nova.rows("servers")
    cloud.change_server(server, touch=False, status="PAUSED")
    nova.poll()
    assert {row[3] for row in nova.driver.table_rows("servers")} == {"PAUSED"}
    assert not [r for r in cloud.asked("GET", "/servers/detail") if "changes-since" in r.query]


# Incremental reads --------------------------------------------------------------------------------------

PAGE = 5


def _ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).strftime(STAMP)


@pytest.fixture
def many(cloud: FakeCloud) -> list[str]:
    """More servers than fit a page, long unchanged."""
    return [cloud.add_server(created=_ago(9000 + n), updated=_ago(9000 * (n + 1)), tags=["t"]) for n in range(12)]


def _incremental(cloud: FakeCloud, **options: Any) -> NovaDriver:
    return NovaDriver("nova", cloud.config(poll_time=0, page_size=PAGE, **options))


def _since(cloud: FakeCloud) -> list[str]:
    return [r.query["changes-since"] for r in cloud.asked("GET", "/servers/detail") if "changes-since" in r.query]


def test_only_changed_servers_are_asked_for(cloud: FakeCloud, many: list[str]) -> None:
    with running(_incremental(cloud)) as nova:
        before = nova.rows("servers")
        cloud.requests.clear()
        cloud.change_server(many[3], status="PAUSED")
        cloud.delete_server(many[4])
        new = cloud.add_server(name="new")
        nova.poll()
        after = set(nova.driver.table_rows("servers"))
    assert len(cloud.asked("GET", "/servers/detail")) == 1
    assert len(_since(cloud)) == 1
    assert {row[0] for row in before - after} == {many[3], many[4]}
    assert {row[:4:3] for row in after - before} == {(many[3], "PAUSED"), (new, "ACTIVE")}


def test_a_poll_without_changes_publishes_nothing(cloud: FakeCloud, many: list[str]) -> None:
    with running(_incremental(cloud)) as nova:
        nova.rows("servers")
        sequence = nova.driver.sequence
        nova.poll()
        assert nova.driver.sequence == sequence
        assert not nova.status()["tables"]["servers"]["stale"]
    assert len(_since(cloud)) == 1


def test_a_change_within_the_overlap_is_seen(cloud: FakeCloud, many: list[str]) -> None:
    """One host's clock is behind, or its change was not to be read yet when we last read."""
    cloud.change_server(many[0], updated=_ago(1), touch=False)
    with running(_incremental(cloud)) as nova:
        nova.rows("servers")
        cloud.change_server(many[5], touch=False, status="SHUTOFF", updated=_ago(50))
        nova.poll()
        assert many[5] in {row[0] for row in nova.driver.table_rows("servers") if row[3] == "SHUTOFF"}


def test_a_host_ahead_of_its_time_hides_nobody(cloud: FakeCloud, many: list[str]) -> None:
    cloud.change_server(many[0], updated=_ago(-7200), touch=False)
    with running(_incremental(cloud)) as nova:
        nova.rows("servers")
        cloud.change_server(many[5], status="SHUTOFF")
        nova.poll()
        assert many[5] in {row[0] for row in nova.driver.table_rows("servers") if row[3] == "SHUTOFF"}
    since = datetime.fromisoformat(_since(cloud)[0])
    assert since < datetime.now(UTC) - nova_module.OVERLAP / 2


@pytest.mark.parametrize(("mode", "times"), [("safe", 0), ("always", 1), ("never", 0)])
def test_addresses_and_tags_do_not_count_as_changes(mode: str, times: int, cloud: FakeCloud, many: list[str]) -> None:
    with running(_incremental(cloud, incremental=mode)) as nova:
        nova.rows("servers")
        nova.rows("tags")
        cloud.requests.clear()
        cloud.change_server(many[2], touch=False, tags=["t", "new"])
        nova.poll()
        seen = (many[2], "new") in set(nova.driver.table_rows("tags"))
    assert len(_since(cloud)) == times
    assert seen == (mode != "always")


def test_never_means_never(cloud: FakeCloud, many: list[str]) -> None:
    with running(_incremental(cloud, incremental="never")) as nova:
        nova.rows("servers")
        nova.poll()
    assert not _since(cloud)


def test_what_was_acted_on_is_watched(cloud: FakeCloud, many: list[str]) -> None:
    """Nova does not tell of a new tag by changes-since; but we know whom to look at."""
    with running(_incremental(cloud, incremental="always")) as nova:
        nova.rows("tags")
        nova.rows("servers")
        nova.execute("servers.add_tag", many[1], "new")
        nova.execute("servers.delete", many[2])
        nova.poll()
        tags = set(nova.driver.table_rows("tags"))
        assert (many[1], "new") in tags
        assert (many[2], "t") not in tags
        assert many[2] not in {row[0] for row in nova.driver.table_rows("servers")}
        nova.driver.watched = dict.fromkeys(many, time.monotonic() - 1)
        cloud.requests.clear()
        nova.poll()
    assert not cloud.asked("GET", f"/servers/{many[1]}")


def test_the_small_tables_go_along(cloud: FakeCloud, many: list[str]) -> None:
    zones = cloud.state.compute["zones"]
    zones["a"] = {"zoneName": "a", "zoneState": {"available": True}}
    with running(_incremental(cloud)) as nova:
        nova.rows("servers")
        nova.rows("availability_zones")
        zones["b"] = {"zoneName": "b", "zoneState": {"available": True}}
        del zones["a"]
        nova.poll()
        assert set(nova.driver.table_rows("availability_zones")) == {("b", "available")}
    assert _since(cloud)


def test_a_full_read_comes_round(cloud: FakeCloud, many: list[str]) -> None:
    """A server that went without a trace (its row archived) is noticed by it."""
    with running(_incremental(cloud)) as nova:
        nova.rows("servers")
        with cloud.lock:
            del cloud.state.servers[many[0]]
            cloud.forget_order()
        for _ in range(nova.driver.FULL_EVERY):
            nova.poll()
        assert many[0] in {row[0] for row in nova.driver.table_rows("servers")}
        nova.poll()
        assert many[0] not in {row[0] for row in nova.driver.table_rows("servers")}


def test_after_a_failed_poll_everything_is_read(cloud: FakeCloud, many: list[str]) -> None:
    with running(_incremental(cloud)) as nova:
        nova.rows("servers")
        cloud.fault("/servers/detail", 503)
        nova.poll()
        cloud.requests.clear()
        nova.poll()
    assert not _since(cloud)


# Versions -----------------------------------------------------------------------------------------------


def _versions(cloud: FakeCloud, path: str) -> set[str]:
    return {r.headers["openstack-api-version"].split()[-1] for r in cloud.asked("GET", path)}


@pytest.mark.parametrize(
    ("wanted", "offered", "servers", "others"),
    [
        ("2.26", "2.96", "2.26", "2.26"),
        ("2", "2.96", "2.26", "2.1"),
        ("2.90", "2.96", "2.46", "2.90"),
        ("2.90", "2.60", "2.46", "2.60"),
        ("2.40", "2.30", "2.30", "2.30"),
    ],
)
def test_microversions(wanted: str, offered: str, servers: str, others: str) -> None:
    with fake_cloud(microversions=("2.1", offered)) as cloud:
        config = cloud.config(api_version=wanted)
        with running(NovaDriver("nova", config)) as nova:
            nova.rows("servers")
            nova.rows("services")
        assert _versions(cloud, "/servers/detail") == {servers}
        assert _versions(cloud, "/os-services") == {others}


def test_a_nova_without_tags() -> None:
    with fake_cloud(microversions=("2.1", "2.25")) as cloud:
        cloud.add_server(id="a", tags=["t"])
        with running(NovaDriver("nova", cloud.config())) as nova:
            assert {row[0] for row in nova.rows("servers")} == {"a"}
            assert nova.rows("tags") == set()


def test_something_that_is_no_nova(cloud: FakeCloud) -> None:
    config = cloud.config(endpoint=f"{cloud.url}/network/v2.0")
    with running(NovaDriver("nova", config)) as nova, pytest.raises(PollError, match="microversions"):
        nova.rows("servers")
