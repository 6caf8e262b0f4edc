# SPDX-License-Identifier: Apache-2.0
"""What is held is decided about anew when the settings that hold it change, and not by the way."""

from typing import Any

import pytest

from congress.bus.errors import Overloaded
from congress.db.crypt import Cipher
from congress.executions.model import Call, Origin
from congress.executions.sets import ExecutionSet, sets_of
from congress.executions.settings import Defaults, Mode, PolicyGuard
from congress.executions.states import Reason
from tests.executions.bench import POLICY, Bench, Clock, Moody, action

CAPPED = Defaults(PolicyGuard(max_rows=1, max_percent=None, window=30.0))


@pytest.mark.parametrize(("kind", "name"), [("policy", "other"), ("service", "other")])
def test_settings_of_others_let_nothing_go(moody: Moody, cipher: Cipher, kind: str, name: str) -> None:
    """The set would fit by now; that is no reason to let it go because somebody looks after something else."""
    bench = Bench(moody, cipher, Clock(), defaults=CAPPED).start()
    bench.appear("a")
    bench.appear("b")
    bench.wait(60)
    bench.put_guard(kind, name, {"max_rows": 7})  # type: ignore[arg-type]  # one of the two
    bench.delete_guard(kind, name)  # type: ignore[arg-type]  # as above
    assert bench.states() == {"a": "running", "b": "held"}


WIDER = ({"max_rows": 7}, {"max_rows": None}, {"window": 10.0})
NO_WIDER: tuple[dict[str, Any], ...] = (
    {"max_rows": 0},
    {"window": 60.0},
    {"rate": 5.0},
    {"cool_down": 1.0},
    {"oscillation_count": None},
    {},
)


@pytest.mark.parametrize("settings", WIDER, ids=str)
def test_wider_caps_do(moody: Moody, cipher: Cipher, settings: dict[str, Any]) -> None:
    bench = Bench(moody, cipher, Clock(), defaults=CAPPED).start()
    bench.appear("a")
    bench.appear("b")
    bench.wait(20)
    bench.put_guard("policy", POLICY, settings)
    assert bench.states() == {"a": "running", "b": "queued"}


@pytest.mark.parametrize("settings", NO_WIDER, ids=str)
def test_that_time_has_passed_is_no_reason(moody: Moody, cipher: Cipher, settings: dict[str, Any]) -> None:
    """The set would fit by now.  Only what held it lets it go, when it lets more through than before."""
    bench = Bench(moody, cipher, Clock(), defaults=CAPPED).start()
    bench.appear("a")
    bench.appear("b")
    bench.wait(61)
    bench.put_guard("policy", POLICY, settings)
    bench.put_guard("service", "nova", {"timeout": 101})
    bench.put_guard("service", "nova", {"timeout": 101, "max_rows": 1000})
    bench.delete_guard("service", "nova")
    assert bench.states() == {"a": "running", "b": "held"}


def test_tighter_caps_let_nothing_go(moody: Moody, cipher: Cipher) -> None:
    """Of what was too much, two are left; they wait with the others that there were."""
    bench = Bench(moody, cipher, Clock()).start()
    bench.appear(*"abcdefghijklmnopqrstuvwxyz")
    for thing in "cdefghijklmnopqrstuvwxyz":
        bench.cancel(bench.one(thing).id)
    bench.put_guard("policy", POLICY, {"max_rows": 5})
    assert {bench.one(thing).state for thing in "ab"} == {"held"}
    bench.put_guard("policy", POLICY, {"max_rows": 6})
    assert bench.sent != []


def wide(moody: Moody, cipher: Cipher) -> Bench:
    """A policy asked two services for three each, which are one set."""
    bench = Bench(moody, cipher, Clock(), defaults=Defaults(PolicyGuard(max_rows=5, max_percent=None)))
    bench.lives["glance"], bench.known = "1", {"nova": [action("fix")], "glance": [action("fix")]}
    bench.start()
    wanted = [
        (Call(service, "fix", (thing,)), Origin(policy=POLICY, table=f"p:execute[{service}:fix]/1", row=(thing,)))
        for service, things in (("nova", "abc"), ("glance", "def"))
        for thing in things
    ]
    bench.submit(bench.appeared, wanted)
    bench.work()
    return bench


def the_set(bench: Bench) -> ExecutionSet:
    (found,) = sets_of(bench.ledger.all_open()).values()
    return found


@pytest.mark.parametrize("name", ["nova", "glance"])
def test_a_set_does_not_go_in_parts(moody: Moody, cipher: Cipher, name: str) -> None:
    bench = wide(moody, cipher)
    before = the_set(bench)
    bench.put_guard("service", name, {"timeout": 101})
    bench.put_guard("service", name, {"max_rows": 1000})
    assert bench.sent == []
    assert the_set(bench) == before


def test_what_another_guard_would_hold_in_part_is_held_as_a_whole(moody: Moody, cipher: Cipher) -> None:
    """Then it is the other guard that holds it, and whose settings let it go."""
    bench = wide(moody, cipher)
    bench.put_guard("service", "nova", {"max_rows": 2})
    bench.put_guard("policy", POLICY, {"max_rows": 6})
    assert len(the_set(bench).executions) == 6
    assert "service 'nova' may have 2" in the_set(bench).executions[-1].detail
    bench.put_guard("policy", POLICY, {"max_rows": 60})
    assert bench.sent == []
    bench.put_guard("service", "nova", {"max_rows": 3})
    assert {sent.call["positional"][0] for sent in bench.sent} == {"a", "d"}
    assert set(bench.states().values()) == {"running", "queued"}


def test_sets_that_fit_one_by_one_only(moody: Moody, cipher: Cipher) -> None:
    """What goes counts for the next one."""
    bench = wide(moody, cipher)
    second = Bench(moody, cipher, bench.clock, defaults=Defaults(PolicyGuard(max_rows=5, max_percent=None))).start()
    second.put_guard("policy", POLICY, {"max_rows": 0})
    second.appear("x", "y")
    assert len(sets_of(second.ledger.all_open())) == 2
    second.put_guard("policy", POLICY, {"max_rows": 7})
    assert [second.one(thing).approved_by for thing in "afxy"] == ["guard", "guard", "", ""]


@pytest.mark.parametrize("settings", [{"oscillation_count": 2}, {"oscillation_window": 50.0}], ids=str)
def test_oscillation_goes_by_its_own_settings(moody: Moody, cipher: Cipher, settings: dict[str, float]) -> None:
    bench = Bench(moody, cipher, Clock(), defaults=Defaults(PolicyGuard(oscillation_count=1))).start()
    bench.appear("a")
    bench.answer(bench.sent[0])
    bench.vanish("a")
    bench.wait(60)
    bench.appear("a")
    bench.put_guard("policy", POLICY, {"max_rows": None, "window": 1.0})
    assert bench.one("a").reason is Reason.OSCILLATION
    bench.put_guard("policy", POLICY, {"max_rows": None, "window": 1.0, **settings})
    assert bench.one("a").state == "running"


def test_a_restart_lets_nothing_go_but_by_another_mode(moody: Moody, cipher: Cipher) -> None:
    """Caps look back; that time has passed is a matter for a person.  Modes are what the configuration says now."""
    first = Bench(moody, cipher, Clock(), defaults=CAPPED).start()
    first.put_guard("policy", "watched", {"mode": "monitor"})
    first.appear("a")
    first.appear("b")
    first.clock.time += 60
    second = Bench(moody, cipher, first.clock, defaults=CAPPED).start()
    second.stand("a", "b")
    assert second.one("b").state == "held"


@pytest.mark.parametrize(("mode", "state"), [(Mode.MONITOR, "held"), (Mode.ENFORCE, "running")])
def test_a_mode_that_the_configuration_changed_holds_after_the_start(
    moody: Moody, cipher: Cipher, mode: Mode, state: str
) -> None:
    first = Bench(moody, cipher, Clock(), defaults=Defaults(PolicyGuard(mode=Mode.MONITOR))).start()
    first.appear("a")
    assert first.states() == {"a": "held"}
    second = Bench(moody, cipher, first.clock, defaults=Defaults(PolicyGuard(mode=mode))).start()
    assert second.sent == []
    second.stand("a")
    assert second.states() == {"a": state}


def test_what_is_queued_is_proposed_when_the_mode_becomes_propose(moody: Moody, cipher: Cipher) -> None:
    bench = Bench(moody, cipher, Clock()).start()
    bench.appear("a", "b", "c")
    bench.put_guard("policy", POLICY, {"mode": "propose"})
    assert bench.states() == {"a": "running", "b": "proposed", "c": "proposed"}
    bench.answer(bench.sent[0], Overloaded())
    bench.wait(10)
    assert bench.states() == dict.fromkeys("abc", "proposed")
    (found,) = sets_of(bench.ledger.all_open()).values()
    bench.approve(found.id, found.digest, "ann")
    for at in range(1, 4):
        bench.answer(bench.sent[at])
    assert set(bench.states().values()) == {"succeeded"}


def test_what_waits_on_its_way_is_proposed_as_well(moody: Moody, cipher: Cipher) -> None:
    bench = Bench(moody, cipher, Clock()).start()
    bench.set_breaker("nova", "open")
    bench.appear("a")
    bench.put_guard("service", "nova", {"mode": "propose"})
    assert bench.states() == {"a": "proposed"}


def test_the_approval_of_a_person_stays_good(moody: Moody, cipher: Cipher) -> None:
    defaults = Defaults(PolicyGuard(mode=Mode.PROPOSE))
    bench = Bench(moody, cipher, Clock(), defaults=defaults).start()
    bench.appear("a", "b")
    before = the_set(bench)
    bench.approve(before.id, before.digest, "ann")
    bench.put_guard("policy", POLICY, {"mode": "enforce"})
    bench.put_guard("policy", POLICY, {"mode": "propose"})
    assert bench.states() == {"a": "running", "b": "queued"}
    second = Bench(moody, cipher, bench.clock, defaults=defaults).start()
    second.stand("a", "b")
    second.answer(second.sent[0])
    second.wait(3)
    second.answer(second.doubts[0], {"state": "not_done"})  # the ledger lets it go again, on ann's word
    assert second.states() == {"a": "running", "b": "succeeded"}
    assert second.one("a").approved_by == "user ann"
