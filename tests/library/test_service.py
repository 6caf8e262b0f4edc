# SPDX-License-Identifier: Apache-2.0
"""The library on the bus."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from congress.bus.bus import Bus
from congress.db.database import Database
from congress.db.migrate import upgrade
from congress.library.errors import LibraryPolicyExists, LibraryPolicyNotFound
from congress.library.service import LIBRARY, LibraryService


@pytest.fixture
def bus() -> Iterator[Bus]:
    made = Bus(check_portable=True)
    made.start()
    yield made
    assert made.stop(10)


@pytest.fixture
def database() -> Iterator[Database]:
    made = Database("sqlite://")
    upgrade(made)
    yield made
    made.close()


def call(bus: Bus, method: str, **arguments: Any) -> Any:
    return bus.call(LIBRARY, method, **arguments)


def names(bus: Bus) -> list[str]:
    return [policy["name"] for policy in call(bus, "list_library_policies", include_rules=False)]


def test_an_empty_library_is_filled_once(bus: Bus, database: Database, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("{name: Own, rules: [{rule: p(1)}]}")
    bus.add(LibraryService(database, tmp_path))
    assert len(names(bus)) == 12
    assert call(bus, "delete_library_policy", library_policy="BadFlavors")["rules"]
    bus.remove(LIBRARY)
    (tmp_path / "own.yaml").unlink()
    bus.add(LibraryService(database, tmp_path))
    assert len(names(bus)) == 11
    assert "BadFlavors" not in names(bus)


def test_a_database_that_is_away(bus: Bus, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    database = Database(f"sqlite:///{tmp_path}/late.sqlite")
    with caplog.at_level(logging.ERROR):
        bus.add(LibraryService(database))
        deadline = time.monotonic() + 30
        while "library.fill_failed" not in caplog.text:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        upgrade(database)
        while len(names(bus)) != 11:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    bus.remove(LIBRARY)
    database.close()


def test_changes(bus: Bus, database: Database) -> None:
    bus.add(LibraryService(database))
    document = {"name": "mine", "rules": [{"rule": "p(1)", "comment": None}], "depends-on": ["BadFlavors"]}
    made = call(bus, "create_library_policy", document=document)
    assert made["rules"] == document["rules"]
    assert call(bus, "get_library_policy", library_policy="mine") == made
    changed = call(bus, "update_library_policy", library_policy=made["id"], changes={"name": "yours"})
    assert changed == {**made, "name": "yours", "abbreviation": "yours"}
    replaced = call(bus, "replace_library_policy", library_policy="yours", document={"name": "his", "rules": []})
    assert (replaced["id"], replaced["depends-on"], replaced["rules"]) == (made["id"], [], [])
    with pytest.raises(LibraryPolicyExists):
        call(bus, "update_library_policy", library_policy="his", changes={"name": "BadFlavors"})
    with pytest.raises(LibraryPolicyNotFound):
        call(bus, "get_library_policy", library_policy="yours")
    assert call(bus, "get_library_policy", library_policy="his") == replaced
