# SPDX-License-Identifier: Apache-2.0
"""What is held is decided about anew when the settings that hold it change, and not by the way."""

from collections.abc import Iterator

import pytest

from congress.db.crypt import Cipher
from congress.db.migrate import upgrade
from congress.executions.settings import Defaults, Mode, PolicyGuard
from tests.executions.bench import POLICY, Bench, Clock, Moody

CAPPED = Defaults(PolicyGuard(max_rows=1, max_percent=None, window=30.0))


@pytest.fixture
def database() -> Iterator[Moody]:
    made = Moody("sqlite://")
    upgrade(made)
    yield made
    made.close()


@pytest.mark.parametrize(("kind", "name"), [("policy", "other"), ("service", "other")])
def test_settings_of_others_let_nothing_go(database: Moody, cipher: Cipher, kind: str, name: str) -> None:
    """The set would fit by now; that is no reason to let it go because somebody looks after something else."""
    bench = Bench(database, cipher, Clock(), defaults=CAPPED).start()
    bench.appear("a")
    bench.appear("b")
    bench.wait(60)
    bench.put_guard(kind, name, {"max_rows": 7})  # type: ignore[arg-type]  # one of the two
    bench.delete_guard(kind, name)  # type: ignore[arg-type]  # as above
    assert bench.states() == {"a": "running", "b": "held"}


@pytest.mark.parametrize(("kind", "name"), [("policy", POLICY), ("service", "nova")])
def test_own_settings_do(database: Moody, cipher: Cipher, kind: str, name: str) -> None:
    bench = Bench(database, cipher, Clock(), defaults=CAPPED).start()
    bench.appear("a")
    bench.appear("b")
    bench.wait(60)
    bench.put_guard(kind, name, {"max_rows": 7})  # type: ignore[arg-type]  # one of the two
    assert bench.states() == {"a": "running", "b": "queued"}


def test_a_restart_lets_nothing_go_but_by_another_mode(database: Moody, cipher: Cipher) -> None:
    """Caps look back; that time has passed is a matter for a person.  Modes are what the configuration says now."""
    first = Bench(database, cipher, Clock(), defaults=CAPPED).start()
    first.put_guard("policy", "watched", {"mode": "monitor"})
    first.appear("a")
    first.appear("b")
    first.clock.time += 60
    second = Bench(database, cipher, first.clock, defaults=CAPPED).start()
    second.stand("a", "b")
    assert second.one("b").state == "held"


@pytest.mark.parametrize(("mode", "state"), [(Mode.MONITOR, "held"), (Mode.ENFORCE, "running")])
def test_a_mode_that_the_configuration_changed_holds_after_the_start(
    database: Moody, cipher: Cipher, mode: Mode, state: str
) -> None:
    first = Bench(database, cipher, Clock(), defaults=Defaults(PolicyGuard(mode=Mode.MONITOR))).start()
    first.appear("a")
    assert first.states() == {"a": "held"}
    second = Bench(database, cipher, first.clock, defaults=Defaults(PolicyGuard(mode=mode))).start()
    assert second.sent == []
    second.stand("a")
    assert second.states() == {"a": state}
