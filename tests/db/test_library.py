# SPDX-License-Identifier: Apache-2.0
import threading
from dataclasses import replace

import pytest

from congress.db.database import Database
from congress.db.errors import NameTaken, RecordNotFound, Unstorable
from congress.db.library import LibraryRecord, LibraryStore
from congress.db.policies import PolicyRecord, PolicyStore
from congress.db.rules import RuleRecord, RuleStore


@pytest.fixture
def library(database: Database) -> LibraryStore:
    return LibraryStore(database)


RULES = ({"rule": "p(x) :- q(x)", "comment": "größe"}, {"rule": "q(1)"})


def test_a_policy_comes_back_as_it_was(library: LibraryStore) -> None:
    made = LibraryRecord("Größe", "Grö", "Π \U0001f511\n" * 20_000, "action", ("Other", "Más"), RULES)
    library.create(made)
    assert library.find(made.id) == library.find("Größe") == made
    assert library.all() == [made]
    assert library.all("größe") == []


def test_policies_are_listed_by_name(library: LibraryStore) -> None:
    for name in ("c", "a", "b"):
        library.create(LibraryRecord(name))
    assert [record.name for record in library.all()] == ["a", "b", "c"]
    assert [record.name for record in library.all("b")] == ["b"]


def test_an_id_goes_before_a_name(library: LibraryStore) -> None:
    first = LibraryRecord("a")
    library.create(first)
    library.create(LibraryRecord(first.id))
    assert library.find(first.id) == first


def test_names_are_unique_and_apart_from_those_of_policies(database: Database, library: LibraryStore) -> None:
    PolicyStore(database).create(PolicyRecord("a"))
    library.create(LibraryRecord("a"))
    library.create(LibraryRecord("A"))
    with pytest.raises(NameTaken, match="'a'"):
        library.create(LibraryRecord("a"))
    assert len(library.all()) == 2


def test_update(library: LibraryStore) -> None:
    made = LibraryRecord("a", rules=RULES)
    library.create(made)
    library.create(LibraryRecord("b"))
    library.update(replace(made, name="c", rules=RULES[:1], depends_on=("b",)))
    found = library.find(made.id)
    assert (found.name, found.rules, found.depends_on, found.created_at) == ("c", RULES[:1], ("b",), made.created_at)
    assert found.updated_at > made.updated_at
    with pytest.raises(NameTaken, match="'b'"):
        library.update(replace(made, name="b"))
    assert library.find(made.id).name == "c"
    with pytest.raises(RecordNotFound):
        library.update(LibraryRecord("d"))


def test_delete(library: LibraryStore) -> None:
    made = LibraryRecord("a")
    library.create(made)
    library.delete(made.id)
    assert library.is_empty()
    for missing in (lambda: library.find("a"), lambda: library.delete(made.id)):
        with pytest.raises(RecordNotFound):
            missing()


def test_what_cannot_be_stored(library: LibraryStore) -> None:
    for wrong in (
        LibraryRecord("a" * 256),
        LibraryRecord("a", "123456"),
        LibraryRecord("a", rules=({"rule": "\ud800"},)),
    ):
        with pytest.raises(Unstorable):
            library.create(wrong)
    assert library.is_empty()


def test_fill_and_load(library: LibraryStore) -> None:
    first, second = LibraryRecord("a", rules=RULES), LibraryRecord("b")
    assert library.fill([first, second]) == 2
    assert library.fill([LibraryRecord("c")]) == 0
    library.delete(second.id)
    newer = LibraryRecord("a", description="newer")
    assert library.load([newer, LibraryRecord("b")]) == (1, 0)
    assert library.find("a") == first
    assert library.load([newer, LibraryRecord("c")], replace=True) == (1, 1)
    found = library.find(first.id)
    assert (found.description, found.rules, found.created_at) == ("newer", (), first.created_at)
    assert [record.name for record in library.all()] == ["a", "b", "c"]


def test_several_fill_at_once(library: LibraryStore) -> None:
    counts: list[int] = []

    def fill() -> None:
        counts.append(library.fill([LibraryRecord(f"p{number}") for number in range(20)]))

    threads = [threading.Thread(target=fill) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counts) == [0, 0, 0, 20]
    assert len(library.all()) == 20


def test_a_rule_changes_in_its_place(database: Database) -> None:
    rules = RuleStore(database)
    policy, other = PolicyRecord("a"), PolicyRecord("b")
    made = [RuleRecord(policy.id, f"p({number})") for number in range(3)]
    PolicyStore(database).create(policy, made)
    PolicyStore(database).create(other)
    changed = replace(made[1], rule="q(1)", name="n", comment="c")
    rules.update(changed)
    rules.update(changed)  # MySQL counts no altered row here
    assert rules.all(policy.id) == [made[0], changed, made[2]]
    for missing in (replace(changed, policy_id=other.id), replace(changed, id=other.id)):
        with pytest.raises(RecordNotFound):
            rules.update(missing)
    with pytest.raises(Unstorable):
        rules.update(replace(changed, name="n" * 256))
    assert rules.get(made[1].id) == changed
