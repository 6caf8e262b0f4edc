# SPDX-License-Identifier: Apache-2.0
"""A policy, the rows it watches and the lamps it switches, all of them reached through the daemon's REST API only."""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from tests.executions.rest.lamps import City, Park
from tests.server.daemon import Server

T = TypeVar("T")

PATIENCE: Final = 60.0
SETTLING: Final = ("queued", "running", "approved")
ACTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "on": {"method": "PUT", "path": "/on/{lamp}", "arguments": [{"name": "lamp", "type": "string"}]},
    "off": {"method": "PUT", "path": "/off/{lamp}", "arguments": [{"name": "lamp", "type": "string"}]},
    "flash": {"method": "POST", "path": "/flash/{lamp}", "arguments": [{"name": "lamp", "type": "string"}]},
}
"""``flash`` is the one that must not be repeated."""


def wait(look: Callable[[], T], until: Callable[[T], object] = bool) -> T:
    """What a look shows once it is as wanted."""
    deadline = time.monotonic() + PATIENCE
    while not until(found := look()):
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return found


def remains(look: Callable[[], object], wanted: object, seconds: float = 0.3) -> None:
    """That it is so, and still is a little later."""
    deadline = time.monotonic() + seconds
    while True:
        assert look() == wanted
        if time.monotonic() > deadline:
            return
        time.sleep(0.02)


class World:
    """``dark`` has the lamps that are to be switched on, ``odd`` those that are to flash."""

    def __init__(self, server: Server, city: City, name: str, login: Mapping[str, str] | None = None) -> None:
        self.server, self.name, self.login = server, name, dict(login or {})
        self.eyes, self.lamps = f"{name}_eyes", f"{name}_lamps"
        self.base_url = city.url(name)
        self.park: Park = city.parks[name]

    # Setting it up

    def build(
        self,
        *rules: str,
        policy: Mapping[str, Any] | None = None,
        service: Mapping[str, Any] | None = None,
        unknown: str = "",
    ) -> None:
        """The services, the guards, and then the policy.

        In rules, ``eyes`` and ``lamps`` stand for the services of this world.

        :param unknown: a table that nobody has filled yet.
        """
        tables = {"dark": ["lamp"], "odd": ["lamp"], "all": ["lamp", "broken"]}
        self.add_service(self.eyes, "push", {"tables": tables, "persist": True})
        for table in tables.keys() - {unknown}:
            self.rows(table)
        self.add_lamps()
        # A table counts as stale until somebody has told that it has been filled, a moment after it has.
        wait(lambda: self._stale() == {table: table == unknown for table in tables})
        self.ok("POST", "/v1/policies", {"name": self.name})
        self.guard_policy(**{"max_percent": None, **(policy or {})})
        self.guard_service(**{"backoff": 0.05, "backoff_max": 0.1, **(service or {})})
        for rule in rules or ("execute[lamps:on(x)] :- eyes:dark(x)", "execute[lamps:flash(x)] :- eyes:odd(x)"):
            self.add_rule(rule)

    def _stale(self) -> dict[str, bool]:
        found = self.ok("GET", "/v1/cloud-services/congress/tables/freshness/rows?limit=10000")["results"]
        return {row["data"][1]: row["data"][3] for row in found if row["data"][0] == self.eyes}

    def add_lamps(self, **more: Any) -> None:
        listed = {"path": "/lamps", "columns": [{"name": "lamp", "from": "$", "type": "string"}]}
        config = {"base_url": self.base_url, "tables": {"lamps": listed}, "actions": ACTIONS, "timeout": 30, **more}
        self.add_service(self.lamps, "http_json", config)

    def add_service(self, name: str, driver: str, config: Mapping[str, Any]) -> None:
        self.ok("POST", "/v1/cloud-services", {"name": name, "driver": driver, "config": config})

    def add_rule(self, rule: str) -> str:
        text = rule.replace("eyes:", f"{self.eyes}:").replace("lamps:", f"{self.lamps}:")
        return str(self.ok("POST", f"/v1/policies/{self.name}/rules", {"rule": text})["id"])

    def guard_policy(self, **settings: Any) -> None:
        """Change some settings of the policy's guard."""
        self.ok("PATCH", f"/v1/policies/{self.name}/guard", settings)

    def guard_service(self, **settings: Any) -> None:
        """Change some settings of the guard of the lamps."""
        self.ok("PATCH", f"/v1/cloud-services/{self.lamps}/guard", settings)

    # Making things happen

    def rows(self, table: str, *rows: Any) -> None:
        """These are all the rows of a table."""
        given = [row if isinstance(row, list) else [row] for row in rows]
        self.ok("PUT", f"/v1/cloud-services/{self.eyes}/tables/{table}/rows", given)

    def dark(self, *lamps: str) -> None:
        self.rows("dark", *lamps)

    def by_hand(self, action: str, *args: Any, policy: bool = False) -> str:
        """A person asks, at the service's route or at the policy's.  :returns: the execution's id."""
        path = f"/v1/policies/{self.name}" if policy else f"/v1/cloud-services/{self.lamps}"
        name = f"{self.lamps}:{action}" if policy else action
        status, found, headers = self.request("POST", f"{path}?action=execute", {"name": name, "args": list(args)})
        assert status == 204, found
        return headers["Location"].rpartition("/")[2]

    def act(self, execution: str, action: str, **body: Any) -> tuple[int, Any]:
        """Cancel, retry, settle or complete."""
        return self.request("POST", f"/v1/executions/{execution}?action={action}", body)[:2]

    # Looking

    def request(self, method: str, path: str, body: Any = None) -> tuple[int, Any, Mapping[str, str]]:
        return self.server.request(method, path, body, self.login)

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        status, found, _ = self.request(method, path, body)
        assert status < 300, (method, path, status, found)
        return found

    def executions(self, **filters: str) -> list[dict[str, Any]]:
        """Those of this world, oldest first."""
        query = "&".join(f"{key}={value}" for key, value in {"service": self.lamps, **filters}.items())
        found: list[dict[str, Any]] = self.ok("GET", f"/v1/executions?limit=1000&{query}")["results"]
        return found[::-1]

    def states(self) -> list[tuple[str, str | None]]:
        """The states and reasons of all, oldest first."""
        return [(found["state"], found["reason"]) for found in self.executions()]

    def until_states(self, *wanted: tuple[str, str | None] | str) -> list[dict[str, Any]]:
        """Wait until the executions of this world are in these states, in any order."""
        pairs = sorted((one, "") if isinstance(one, str) else (one[0], one[1] or "") for one in wanted)
        return wait(
            self.executions, lambda found: sorted((one["state"], one["reason"] or "") for one in found) == pairs
        )

    def execution(self, execution: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ok("GET", f"/v1/executions/{execution}")
        return found

    def until(self, execution: str, state: str, reason: str | None = None) -> dict[str, Any]:
        """Wait for an execution to be in a state."""
        return wait(
            lambda: self.execution(execution),
            lambda found: (found["state"], found["reason"]) == (state, reason),
        )

    def trail(self, execution: str) -> list[tuple[str | None, str, str]]:
        """Before, after and who."""
        return [(line["before"], line["after"], line["who"]) for line in self.execution(execution)["trail"]]

    def asked(self) -> list[str]:
        """What the lamps were asked for, in any order."""
        return sorted(self.park.asked)

    def sent(self) -> Counter[str]:
        """What the trails say was sent, as the lamps hear it, and how often."""
        text = self.request("GET", f"/v1/executions/export?service={self.lamps}")[1] or b""
        found: Counter[str] = Counter()
        for one in map(json.loads, text.splitlines()):
            lamp = [*one["args"]["positional"], *one["args"]["named"].values()]
            found[f"{one['action']}/{lamp[0]}"] += [line["after"] for line in one["trail"]].count("running")
        return found

    # Sets

    def sets(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ok("GET", "/v1/execution-sets?limit=1000")["results"]
        return [one for one in found if one["services"] == [self.lamps]]

    def the_set(self, size: int) -> dict[str, Any]:
        """Wait until there is one set, of so many."""
        return wait(self.sets, lambda found: [one["size"] for one in found] == [size])[0]

    def approve(self, set_: Mapping[str, Any]) -> None:
        self.ok("POST", f"/v1/execution-sets/{set_['id']}?action=approve", {"digest": set_["digest"]})

    def reject(self, set_: Mapping[str, Any], detail: str = "") -> None:
        self.ok("POST", f"/v1/execution-sets/{set_['id']}?action=reject", {"detail": detail})

    # Breakers

    def breaker(self) -> dict[str, Any]:
        found: dict[str, Any] = self.ok("GET", f"/v1/breakers/{self.lamps}")
        return found

    def set_breaker(self, action: str, detail: str = "") -> None:
        self.ok("POST", f"/v1/breakers/{self.lamps}?action={action}", {"detail": detail})
