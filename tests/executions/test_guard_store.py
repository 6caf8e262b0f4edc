# SPDX-License-Identifier: Apache-2.0
import threading
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from congress.db.database import Database
from congress.db.errors import Unstorable
from congress.executions.guard_store import POLICY, SERVICE, GuardStore

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@pytest.fixture
def store(database: Database) -> GuardStore:
    return GuardStore(database)


def test_settings_are_put_and_deleted(store: GuardStore) -> None:
    assert store.get("policy", "p") is None
    store.put("policy", "p", {"mode": "propose"})
    store.put("service", "p", {"mode": "enforce"})
    store.put("policy", "P", {})
    assert store.get("policy", "p") == {"mode": "propose"}
    store.put("policy", "p", {"mode": "monitor", "max_rows": None})
    assert store.all() == {
        (POLICY, "P"): {},
        (POLICY, "p"): {"mode": "monitor", "max_rows": None},
        (SERVICE, "p"): {"mode": "enforce"},
    }
    assert store.delete("policy", "p")
    assert not store.delete("policy", "p")
    assert store.get("policy", "p") is None
    assert store.get("service", "p") == {"mode": "enforce"}


def test_breakers(store: GuardStore) -> None:
    assert store.breakers() == {}
    store.put_breaker("nova", {"state": "open", "until": 1_700_000_000.123456})
    store.put_breaker("neutron", {})
    store.put_breaker("nova", {"state": "half_open"})
    assert store.breakers() == {"neutron": {}, "nova": {"state": "half_open"}}
    assert store.delete_breaker("nova")
    assert not store.delete_breaker("nova")
    assert store.breakers() == {"neutron": {}}


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_settings_come_back_exactly(database: Database, given_settings: dict[str, Any]) -> None:
    store = GuardStore(database)
    store.put("policy", "p", given_settings)
    store.put_breaker("s", given_settings)
    assert store.get("policy", "p") == given_settings
    assert store.breakers()["s"] == given_settings


@pytest.mark.parametrize("name", ["a" * 256, "a\x00", "\ud800"])
def test_names_that_no_database_keeps_are_refused(store: GuardStore, name: str) -> None:
    with pytest.raises(Unstorable):
        store.put("policy", name, {})
    with pytest.raises(Unstorable):
        store.put_breaker(name, {})
    assert store.get("policy", name) is None
    assert not store.delete("policy", name)
    assert not store.delete_breaker(name)


@pytest.mark.parametrize("value", [{"a": object()}, {"a": float("nan")}])
def test_what_is_not_json_is_refused(store: GuardStore, value: dict[str, Any]) -> None:
    with pytest.raises(Unstorable, match="settings"):
        store.put("policy", "p", value)
    with pytest.raises(Unstorable, match="state"):
        store.put_breaker("p", value)


def test_all_who_put_at_once_succeed(store: GuardStore) -> None:
    gate, outcomes = threading.Barrier(6), []

    def put(number: int) -> None:
        gate.wait()
        store.put("policy", "p", {"writer": number})
        outcomes.append(number)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == list(range(6))
    found = store.get("policy", "p")
    assert found is not None
    assert found["writer"] in range(6)
