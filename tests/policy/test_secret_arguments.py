# SPDX-License-Identifier: Apache-2.0
"""Simulations and previews show the actions that would fire without what their services declare secret."""

from typing import Any

import pytest

from congress.cloudservices.execution_driver import action
from tests.policy.world import Cloud, World, wait_until

RULE = 'execute[vault:unlock(x, "opensesame")] :- door(x)'
NAMED = 'execute[vault:unlock(door=x, key="opensesame")] :- door(x)'


class Vault(Cloud):
    """It has doors."""

    @action("unlock", secret=("key",))
    def unlock(self, door: str, key: str) -> None:
        """Open a door.

        :param door: which
        :param key: what opens it
        """


def vault(world: World) -> Vault:
    made = Vault("vault")
    world.bus.add(made)
    wait_until(lambda: made.state == "running")
    return made


def simulated(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.call(
        "simulate", policy="p", query="door(x)", sequence='door+("front")', action_policy="action", trace=True
    )
    return found


@pytest.mark.parametrize("rule", [RULE, NAMED])
def test_a_simulation_shows_no_secret(world: World, rule: str) -> None:
    vault(world)
    world.runtime()
    world.policy("p", rule)
    found = simulated(world)
    [fired] = found["actions"]
    assert [*fired["args"]["positional"], *fired["args"]["named"].values()] == ["front", "***"]
    assert "opensesame" not in str(found)
    assert '("front", "***")' in found["trace"]


def test_a_preview_shows_none(world: World) -> None:
    vault(world)
    world.runtime()
    world.policy("p", RULE, 'door("front")')
    come = world.call("preview", policy="p", rules=['door("back")'])
    gone = world.call("preview", policy="p", remove=['door("front")'])
    assert come["actions"][0]["args"]["positional"] == ["back", "***"]
    assert gone["withdrawn"][0]["args"]["positional"] == ["front", "***"]
    assert "opensesame" not in str((come["actions"], gone["withdrawn"]))


def test_of_a_service_that_does_not_tell_all_is_secret(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is defined, and is away."""
    runtime = world.runtime()
    world.policy("p", RULE)
    assert simulated(world)["actions"][0]["args"]["positional"] == ["front", "opensesame"]  # nobody knows such a one
    monkeypatch.setattr(runtime._catalog, "_defined", lambda service: service == "vault")
    assert simulated(world)["actions"][0]["args"]["positional"] == ["***", "***"]
