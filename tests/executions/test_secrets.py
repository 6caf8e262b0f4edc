# SPDX-License-Identifier: Apache-2.0
"""Secret arguments: in the database only encrypted, in no view, no log and no trail."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from congress.cmd.db import main
from congress.datalog.values import TRUE
from congress.db import migrate
from congress.db.crypt import Cipher, add_key, drop_old_keys
from congress.db.database import Database
from congress.executions import store as module
from congress.executions.masks import MASK, Mask
from congress.executions.model import Call, Event, Execution, Origin, event_shown, mask_of, new_execution, shown
from congress.executions.states import State
from congress.executions.store import ExecutionStore
from tests.executions.some import NOW, event

WORD, DEEP, PIN = 'hunter"22\\é', "swordfish", 90210
CALL = Call(
    "nova",
    "servers.rescue",
    ("vm-1", PIN),
    {"password": WORD, "data": {"a": [DEEP, 1]}, "why": "broken"},
    frozenset({"1", "password", "data", "absent"}),
)
PROOF = {
    "table": "p:rescue",
    "row": ["vm-1", WORD, PIN],
    "rule": f"execute[nova:rescue(x, {json.dumps(WORD)})] :- t(x)",
    "bindings": {"x": "vm-1", "y": WORD},
    "because": [{"table": "t", "row": ["vm-1"], "text": f"t(vm-1, {WORD!r}), {PIN}"}],
}
SPOKEN = f"nova said: {WORD} is no password, {DEEP} neither; {PIN}"


def secret(state: State = State.APPROVED) -> Execution:
    made = new_execution(CALL, Origin("p", "p:rescue", ("vm-1", WORD, PIN, TRUE), ("r",), PROOF), NOW)
    return replace(made, state=state, detail=SPOKEN, error=SPOKEN, result={"said": [SPOKEN], WORD: PIN})


def leaks(text: str) -> list[str]:
    forms = [WORD, json.dumps(WORD)[1:-1], json.dumps(WORD, ensure_ascii=False)[1:-1], repr(WORD)[1:-1]]
    return [form for form in (*forms, "hunter", DEEP, str(PIN)) if form in text]


@pytest.fixture
def store(database: Database, cipher: Cipher) -> ExecutionStore:
    return ExecutionStore(database, cipher)


def test_no_view_has_a_secret() -> None:
    execution = secret()
    view = shown(execution)
    assert not leaks(json.dumps(view)) + leaks(json.dumps(view, ensure_ascii=False)) + leaks(str(view))
    assert view["args"] == {
        "positional": ["vm-1", MASK],
        "named": {"password": MASK, "data": MASK, "why": "broken"},
    }
    assert view["row"] == ["vm-1", MASK, MASK, True]
    assert view["proof"]["bindings"] == {"x": "vm-1", "y": MASK}
    assert view["proof"]["because"] == [{"table": "t", "row": ["vm-1"], "text": "t(vm-1, '***'), ***"}]
    assert view["error"] == "nova said: *** is no password, *** neither; ***"
    line = event_shown(Event(execution.id, 1, NOW, None, State.HELD, "ledger", detail=SPOKEN), execution.call)
    assert line["detail"] == view["error"]


def test_no_log_line_has_a_secret() -> None:
    execution = replace(secret(), detail="", error=None, result=None, token_hash="abcdef")
    assert not leaks(repr(execution)) + leaks(str(execution)) + leaks(f"{execution.call} {execution.origin}")
    assert "abcdef" not in repr(execution)


def test_secrets_come_back(store: ExecutionStore) -> None:
    execution, plain = secret(), new_execution(Call("nova", "x", (PIN,)), Origin(), NOW)
    store.add([execution, plain], [event(execution), event(plain)])
    found = store.get(execution.id)
    assert found.call == execution.call
    assert found.origin == execution.origin
    assert store.get(plain.id) == plain
    assert found.error == shown(execution)["error"]
    assert found.result == shown(execution)["result"]


def test_no_secret_is_in_the_tables(store: ExecutionStore, database: Database) -> None:
    execution = secret()
    store.add([execution], [replace(event(execution), detail=SPOKEN)])
    moved = execution.moved(State.QUEUED, NOW, detail=SPOKEN, error=SPOKEN, result=[SPOKEN])
    store.change([moved], [replace(event(moved, 2), detail=SPOKEN)])
    assert store.get(execution.id).call == CALL
    with database.read() as connection:
        for name in ("executions", "execution_events"):
            rows = connection.execute(sa.text(f"SELECT * FROM {name}")).all()
            assert rows
            assert not leaks(repr(rows)) + leaks("".join(str(value) for row in rows for value in row))


def test_no_secret_is_in_the_files(tmp_path: Path, cipher: Cipher) -> None:
    """The database's file, and its write-ahead log while the process runs and after it."""
    database = Database(f"sqlite:///{tmp_path}/state/x.sqlite")
    migrate.upgrade(database)
    store = ExecutionStore(database, cipher)
    for _ in range(20):
        execution = secret()
        store.add([execution], [replace(event(execution), detail=SPOKEN)])
        moved = execution.moved(State.QUEUED, NOW, detail=SPOKEN)
        store.change([moved], [replace(event(moved, 2), detail=SPOKEN)])

    def content() -> str:
        files = sorted((tmp_path / "state").iterdir())
        return b"\n".join(path.read_bytes() for path in files).decode("latin-1")

    assert (tmp_path / "state" / "x.sqlite-wal").stat().st_size > 0
    assert "servers.rescue" in content()
    assert not leaks(content()) + leaks(content().encode("latin-1").decode("utf-8", "replace"))
    database.close()
    assert "servers.rescue" in content()
    assert not leaks(content())


def test_keys_are_changed(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 3)
    path = tmp_path / "keys"
    some = [secret() for _ in range(8)]
    plain = new_execution(Call("nova", "x"), Origin(), NOW)
    ExecutionStore(database, Cipher.open(path)).add([*some, plain], [])
    assert ExecutionStore(database, add_key(path)).reencrypt() == 8
    drop_old_keys(path)
    store = ExecutionStore(database, Cipher.open(path))
    assert [found.call for found in store.open()] == [*(CALL for _ in some), plain.call]


def test_a_lost_key_costs_the_secrets_only(database: Database, tmp_path: Path, cipher: Cipher) -> None:
    execution = secret()
    ExecutionStore(database, cipher).add([execution], [event(execution)])
    other = ExecutionStore(database, Cipher.open(tmp_path / "others"))
    assert other.reencrypt() == 0
    found = other.get(execution.id)
    assert not found.call.readable
    assert found.call.named == {"password": MASK, "data": MASK, "why": "broken"}
    assert found.call.positional == ("vm-1", MASK)
    assert (found.origin.row, found.origin.proof) == ((MASK,), None)
    assert (found.digest, found.state) == (execution.digest, State.APPROVED)
    assert shown(found)["args"] == found.call.shown()
    # It can be given up, beside others; when the key turns up, it can be read again.
    fresh = secret()
    other.add([fresh], [event(fresh)])
    given_up, moved = found.moved(State.CANCELLED, NOW), fresh.moved(State.CANCELLED, NOW)
    other.change([given_up, moved], [event(given_up, 2), event(moved, 2)])
    assert other.get(fresh.id).call == CALL
    restored = ExecutionStore(database, cipher).get(execution.id)
    assert (restored.call, restored.origin, restored.state) == (CALL, execution.origin, State.CANCELLED)


def test_the_command_changes_their_keys_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = ["--state-path", str(tmp_path)]
    assert main(["upgrade", *state]) == 0
    database = Database(f"sqlite:///{tmp_path}/congress.sqlite")
    execution = secret()
    ExecutionStore(database, Cipher.open(tmp_path / "keys")).add([execution], [])
    capsys.readouterr()
    assert main(["rotate-keys", *state]) == 0
    assert "1 secrets encrypted anew, 1 old keys dropped" in capsys.readouterr().out
    assert ExecutionStore(database, Cipher.open(tmp_path / "keys")).get(execution.id).call == CALL


# Masks

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


def occurs(value: object, text: str) -> bool:
    if isinstance(value, dict):
        return any(occurs(part, text) for pair in value.items() for part in pair)
    if isinstance(value, list):
        return any(occurs(inner, text) for inner in value)
    return isinstance(value, str) and text in value


@given(st.text(st.characters(exclude_characters="*"), min_size=4, max_size=8), JSON, st.text(max_size=5))
def test_a_secret_is_masked_wherever_it_is(word: str, other: object, around: str) -> None:
    around = around.replace("*", "")
    value = [other, word, {"a": around + word + around, word: [word]}, f"say({word!r})", json.dumps({"x": word})]
    assert not occurs(Mask([word])(value), word)


@given(JSON)
def test_nothing_is_masked_without_secrets(value: object) -> None:
    assert Mask()(value) == value
    assert Mask(["", None, [], {}])(value) == value


def test_what_is_no_secret_is_left() -> None:
    mask = Mask([1, True, "ab", 1234])
    assert mask([1, 1.0, TRUE, True, "ab", "say ab.", "abc", "vm-1", 10, 0, False, None, "1", "is 1234", "12345"]) == [
        MASK, MASK, MASK, MASK, MASK, "say ***.", "abc", "vm-1", 10, 0, False, None, MASK, "is ***", "***5",
    ]  # fmt: skip
    assert mask_of(Call("s", "a", ("x",)))("x") == "x"


def test_the_longest_secret_is_masked_first() -> None:
    assert Mask(["abcd", "abcdefgh"]).text("abcdefgh abcd") == "*** ***"
