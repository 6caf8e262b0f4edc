# SPDX-License-Identifier: Apache-2.0
"""Acting safely on a real cloud: thirty servers violate at once, by a policy of the daemon, over REST.

What the ledger says in the end is what the way to Nova saw and what the hypervisor was told: every server acted on
once, no other touched.
"""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.openstack.gateway import Gateway
from tests.openstack.raw import Hypervisors, Json, Raw, wait
from tests.openstack.stage import Stage
from tests.server.daemon import Server

pytestmark = pytest.mark.openstack
PASSWORD = "as quiet as 30 mice"
FLEET = 30
CAP = 20  # the default of policies

RULES = [
    'error(vm) :- eyes:servers(id=vm, tenant_id="{project}", flavor_id=f), retired(f), not exempt(vm)',
    "execute[hands:servers.pause(vm)] :- error(vm)",
    'exempt("nobody")',
    'retired("nothing")',
]


@dataclass
class Tenant:
    """A project with a member who may not do everything: who is locked out is refused."""

    raw: Raw
    file: Path
    servers: list[str]
    bystander: str


@pytest.fixture(scope="module")
def tenant(raw: Raw, stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    """Thirty servers of a small flavor and one of a larger one."""
    project = stage.make("identity", "/projects", "project", name=f"{stage.name}-fleet", domain_id="default")["id"]
    user = stage.make("identity", "/users", "user", name=f"{stage.name}-mate", password=PASSWORD, domain_id="default")
    [role] = raw.get("identity", "/roles?name=member", "roles")
    raw.ask("PUT", "identity", f"/projects/{project}/users/{user['id']}/roles/{role['id']}")
    quota = {"instances": -1, "cores": -1, "ram": -1}
    raw.ask("PUT", "compute", f"/os-quota-sets/{project}", {"quota_set": quota})

    clouds = yaml.safe_load(raw.file.read_text())["clouds"]
    names = ("user_domain_name", "project_domain_name", "auth_url")
    auth = {name: clouds[raw.cloud]["auth"][name] for name in names if name in clouds[raw.cloud]["auth"]}
    auth |= {"username": user["name"], "password": PASSWORD, "project_name": f"{stage.name}-fleet"}
    file = tmp_path_factory.mktemp("clouds") / "clouds.yaml"
    file.write_text(
        yaml.safe_dump({"clouds": {"eyes": clouds[raw.cloud], "hands": {**clouds[raw.cloud], "auth": auth}}})
    )

    mate = Raw(file, "hands")
    image = stage.image(visibility="public")["id"]
    for flavor, many in ((stage.small["id"], FLEET), (stage.big["id"], 1)):
        body = {"name": stage.name, "imageRef": image, "flavorRef": flavor, "networks": "none"}
        mate.ask("POST", "compute", "/servers", {"server": {**body, "min_count": many, "max_count": many}}, "2.37")
    listed = mate.get("compute", "/servers/detail", "servers")
    for server in listed:
        stage.forget(f"compute/servers/{server['id']}")
    wait("servers active", lambda: _states(mate) == {"ACTIVE": FLEET + 1}, 300)
    fleet = [server["id"] for server in listed if server["flavor"]["id"] == stage.small["id"]]
    [bystander] = {server["id"] for server in listed} - set(fleet)
    assert len(fleet) == FLEET
    yield Tenant(mate, file, fleet, bystander)
    mate.close()


def _states(mate: Raw) -> Counter[str]:
    return Counter(server["status"] for server in mate.get("compute", "/servers/detail", "servers"))


@pytest.fixture(scope="module")
def gateway(raw: Raw) -> Iterator[Gateway]:
    made = Gateway(raw.urls["compute"])
    made.delay = 0.3  # so that what is to happen in between does
    yield made
    made.close()


class Affair:
    """The daemon with a service that reads as an administrator and one that acts as a member, by the gateway."""

    def __init__(self, tenant: Tenant, gateway: Gateway, state: Path) -> None:
        self.tenant, self.gateway, self._state = tenant, gateway, state
        self.live()

    def live(self) -> None:
        environment = {"OS_CLIENT_CONFIG_FILE": str(self.tenant.file)}
        self.daemon = Server(self._state, environment=environment).until_ready()

    def die(self) -> None:
        """``kill -9``."""
        self.daemon.close()

    def executions(self, **filters: str) -> list[Json]:
        asked = "&".join(f"{name}={value}" for name, value in {"policy": "fleet", "limit": "1000", **filters}.items())
        found: list[Json] = self.daemon.ok("GET", f"/v1/executions?{asked}")["results"]
        return found

    def states(self) -> Counter[str]:
        return Counter(one["state"] for one in self.executions())

    def by_server(self) -> dict[str, Json]:
        """The latest execution of each server."""
        return {one["args"]["positional"][0]: one for one in reversed(self.executions())}

    def sets(self) -> list[Json]:
        found: list[Json] = self.daemon.ok("GET", "/v1/execution-sets")["results"]
        return found

    def whole_set(self, size: int) -> Json:
        """The one set that waits, once it has so many."""

        def of_size() -> Json | None:
            found = self.sets()
            return found[0] if [one["size"] for one in found] == [size] else None

        found: Json = wait(f"a set of {size}", of_size)
        return found

    def members(self, one: Json) -> list[str]:
        """The servers of a set, in the order in which they would be acted on."""
        found = self.daemon.ok("GET", f"/v1/execution-sets/{one['id']}")["executions"]
        return [execution["args"]["positional"][0] for execution in found]

    def rule(self, text: str) -> str:
        made: str = self.daemon.ok("POST", "/v1/policies/fleet/rules", {"rule": text})["id"]
        return made

    def approve(self, one: Json, digest: str) -> tuple[int, Any]:
        status, found, _ = self.daemon.request(
            "POST", f"/v1/execution-sets/{one['id']}?action=approve", {"digest": digest}
        )
        return status, found

    def breaker(self) -> Json:
        found: Json = self.daemon.ok("GET", "/v1/breakers/hands")
        return found


@pytest.fixture(scope="module")
def affair(raw: Raw, tenant: Tenant, gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Affair]:
    made = Affair(tenant, gateway, tmp_path_factory.mktemp("state"))
    try:
        eyes = {"cloud": "eyes", "poll_time": 1}
        hands = {"cloud": "hands", "poll_time": 0, "endpoint": gateway.url}
        made.daemon.ok("POST", "/v1/cloud-services", {"name": "eyes", "driver": "nova", "config": eyes})
        made.daemon.ok("POST", "/v1/cloud-services", {"name": "hands", "driver": "nova", "config": hands})
        # Quicker than the defaults, and otherwise these.
        made.daemon.ok("PATCH", "/v1/cloud-services/hands/guard", {"breaker_seconds": 3, "backoff": 1})
        rules = [{"rule": rule.format(project=tenant.raw.project_id)} for rule in RULES]
        made.daemon.ok("POST", "/v1/policies", {"name": "fleet", "rules": rules})
        yield made
    finally:
        made.die()


def test_thirty_servers_violate_at_once(affair: Affair, raw: Raw, stage: Stage, hypervisors: Hypervisors) -> None:
    began = time.time()
    fleet, gateway = affair.tenant.servers, affair.gateway

    # The cap holds all of them, not just those beyond it, and nothing is done.
    affair.rule(f'retired("{stage.small["id"]}")')
    looked_at = affair.whole_set(FLEET)
    held = affair.executions()
    assert {(one["state"], one["reason"], one["set"]) for one in held} == {("held", "blast_radius", looked_at["id"])}
    assert sorted(one["args"]["positional"][0] for one in held) == sorted(fleet)
    assert f"policy 'fleet' may have {CAP} within" in looked_at["detail"]
    assert gateway.acts == []
    order = affair.members(looked_at)
    busy, paused, locked, spared = order[0], order[3], order[7], order[15]

    # The set changes after somebody looked: that approval is void.
    exemption = affair.rule(f'exempt("{spared}")')
    now = affair.whole_set(FLEET - 1)
    status, refusal = affair.approve(now, looked_at["digest"])
    assert (status, refusal["error"]["error_data"]["digest"]) == (409, now["digest"])
    assert affair.by_server()[spared]["state"] == "obsolete"
    assert gateway.acts == []
    assert _told(hypervisors, fleet, began) == Counter()

    # Meanwhile somebody pauses one server, and an administrator locks another.  Nova's front is busy once.
    stage.act(paused, pause=None)
    stage.settle(paused, "PAUSED")
    stage.act(locked, lock=None)
    gateway.busy.add(busy)
    approved = time.time()
    assert affair.approve(now, now["digest"])[0] == 200
    wait("some are done", lambda: affair.states()["succeeded"] >= 3)

    # Nova goes away: the breaker opens, tries now and then, and loses nothing.
    gateway.close()
    opened = wait("breaker open", lambda: (b := affair.breaker())["state"] == "open" and b)
    wait("tried in vain", lambda: (b := affair.breaker())["state"] == "open" and b["since"] > opened["since"])
    assert affair.states()["held"] + affair.states()["queued"] + affair.states()["running"] > 10
    assert "breaker" in {one["reason"] for one in affair.executions(state="held")}
    assert [
        row["data"][:2]
        for row in affair.daemon.ok("GET", "/v1/cloud-services/congress/tables/breakers/rows")["results"]
    ] == [["hands", "open"]]
    gateway.open()
    wait("breaker closed", lambda: affair.breaker()["state"] == "closed")

    # The daemon dies in the middle of it, and another one goes on.
    before = affair.states()["succeeded"]
    wait("more are done", lambda: affair.states()["succeeded"] >= before + 3)
    affair.die()
    affair.live()
    assert affair.states()["succeeded"] < FLEET - 3
    wait("all over", lambda: affair.states().keys() <= {"succeeded", "failed", "obsolete"}, 180)

    # Exactly that set went through; what Nova refuses fails with its words, at once.
    ends = affair.by_server()
    failed = {server: one for server, one in ends.items() if one["state"] == "failed"}
    assert failed.keys() == {paused, locked}, {server: one["error"] for server, one in failed.items()}
    assert "Cannot 'pause' instance" in failed[paused]["error"]
    assert "locked" in failed[locked]["error"]
    assert [one["reason"] for one in failed.values()] == ["error"] * 2
    assert affair.states() == {"succeeded": FLEET - 3, "failed": 2, "obsolete": 1}
    assert "guard" not in {one["approved_by"] for one in ends.values() if one["state"] == "succeeded"}
    assert ends[busy]["attempts"] >= 2

    # The rule goes and comes back: nothing of it is done again.  The next violation is held, for the set counts.
    [acting] = [r for r in affair.daemon.ok("GET", "/v1/policies/fleet/rules")["results"] if "execute" in r["rule"]]
    affair.daemon.ok("DELETE", f"/v1/policies/fleet/rules/{acting['id']}")
    affair.rule(RULES[1])
    affair.daemon.ok("DELETE", f"/v1/policies/fleet/rules/{exemption}")
    late = affair.whole_set(1)
    assert affair.states() == {"succeeded": FLEET - 3, "failed": 2, "obsolete": 1, "held": 1}
    affair.daemon.ok("POST", f"/v1/execution-sets/{late['id']}?action=reject", {"detail": "it may stay"})

    # Ledger, the way to Nova, and the hypervisor agree.
    for server in fleet:
        expected = {paused: [409], locked: [409], busy: [429, 202], spared: []}.get(server, [202])
        assert gateway.of(server) == expected, server
    assert {act.name for act in gateway.acts} == {"pause"}
    assert gateway.of(affair.tenant.bystander) == []
    done = [server for server in fleet if server not in (paused, locked, spared)]
    wait("all paused", lambda: _states(affair.tenant.raw)["PAUSED"] == len(done) + 1)
    assert stage.look(affair.tenant.bystander)["status"] == "ACTIVE"
    if hypervisors.known:
        everyone = [*fleet, affair.tenant.bystander]
        assert _told(hypervisors, everyone, approved) == Counter((server, "pause") for server in done)


def _told(hypervisors: Hypervisors, servers: list[str], since: float) -> Counter[tuple[str, str]]:
    return Counter((server, call["call"]) for server in servers for call in hypervisors.calls(server, since))
