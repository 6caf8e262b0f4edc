# SPDX-License-Identifier: Apache-2.0
"""An action is the same however its arguments are written: by place or by name."""

from collections.abc import Iterator

import pytest

from congress.cloudservices.signatures import Action, ActionArgument
from congress.db.crypt import Cipher
from congress.db.migrate import upgrade
from congress.executions.model import Call, Origin, digest_of
from congress.executions.settings import Defaults, PolicyGuard
from congress.executions.states import Reason, State
from tests.executions.bench import POLICY, Bench, Clock, Moody

TAKES = ("server", "name", "force")
RENAME = Action("rename", tuple(ActionArgument(name, "string") for name in TAKES))


@pytest.fixture
def bench(cipher: Cipher) -> Iterator[Bench]:
    database = Moody("sqlite://")
    upgrade(database)
    made = Bench(database, cipher, Clock(), defaults=Defaults(PolicyGuard(cool_down=60)))
    made.known = {"nova": [RENAME]}
    yield made.start()
    database.close()


def ask(bench: Bench, row: str, *positional: str, **named: str) -> None:
    call = Call("nova", "rename", positional, named)
    bench.submit(bench.appeared, [(call, Origin(policy=POLICY, table="t", row=(row,)))])
    bench.work()


def outcomes(bench: Bench) -> list[tuple[State, Reason | None]]:
    return [(one.state, one.reason) for one in bench.ledger.store.find(oldest_first=True)]


RUNNING = (State.RUNNING, None)
DUPLICATE = (State.CANCELLED, Reason.DUPLICATE)


def test_the_ways_to_write_one_call_have_one_digest() -> None:
    def digest(*positional: str, **named: str) -> str:
        return digest_of("p", Call("nova", "rename", positional, named), TAKES)

    assert (
        len({digest("s", "x"), digest("s", name="x"), digest(server="s", name="x"), digest(name="x", server="s")}) == 1
    )
    assert digest("s", "x") == digest_of("p", Call("nova", "rename", ("s", "x")))
    assert digest("s", force="x") == digest(server="s", force="x")
    others = {
        digest("s", "x"),
        digest("s", force="x"),
        digest("x", "s"),
        digest("s", other="x"),
        digest("s", server="x"),
    }
    assert len(others) == 5


def test_what_is_on_its_way_is_not_asked_for_by_name_again(bench: Bench) -> None:
    ask(bench, "1", "s", "x")
    ask(bench, "2", server="s", name="x")
    ask(bench, "3", "s", name="y")
    assert outcomes(bench) == [RUNNING, DUPLICATE, (State.QUEUED, None)]


def test_what_was_done_cools_down_by_any_name(bench: Bench) -> None:
    ask(bench, "1", server="s", name="x")
    bench.answer(bench.sent[0])
    ask(bench, "2", "s", "x")
    assert outcomes(bench) == [(State.SUCCEEDED, None), (State.HELD, Reason.COOL_DOWN)]


def test_what_was_asked_for_before_the_service_came_is_the_same_afterwards(bench: Bench) -> None:
    """Nobody knew its places then."""
    del bench.lives["nova"]
    bench.signatures._known.clear()
    ask(bench, "1", server="s", name="x")
    bench.lives["nova"] = "2"
    ask(bench, "2", server="s", name="x")
    assert outcomes(bench)[1] == DUPLICATE
