# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from congress.cloudservices.pushed_driver import RowStore
from congress.datalog.values import FALSE, TRUE, Row
from congress.db.crypt import Cipher, add_key, drop_old_keys
from congress.db.database import Database
from congress.db.errors import RecordNotFound, SecretUnreadable, Unstorable
from congress.db.service_rows import ServiceRowStore
from congress.db.services import ServiceRecord, ServiceStore

CONFIG = {"url": "https://one", "password": "hunter2", "retries": 3, "token": {"deep": ["hunter3"]}}
SECRETS = frozenset({"password", "token", "absent"})
NOVA = ServiceRecord("nova", "nova", CONFIG, SECRETS, "the cloud")


@pytest.fixture
def services(database: Database, cipher: Cipher) -> ServiceStore:
    return ServiceStore(database, cipher)


@pytest.fixture
def rows(database: Database, services: ServiceStore) -> ServiceRowStore:
    services.create(NOVA)
    return ServiceRowStore(database)


def dump(database: Database) -> str:
    with database.read() as connection:
        return str(connection.execute(sa.text("SELECT * FROM services")).all())


def test_a_service_comes_back_as_it_was(services: ServiceStore) -> None:
    services.create(NOVA)
    expected = replace(NOVA, secret_options=frozenset({"password", "token"}))
    assert services.get(NOVA.id) == services.by_name("nova") == services.all()[0] == expected


def test_secrets_are_not_in_the_database(database: Database, services: ServiceStore) -> None:
    services.create(NOVA)
    services.update(replace(NOVA, description="other"))
    text = dump(database)
    assert "https://one" in text
    assert "hunter" not in text


def test_secrets_are_not_in_the_representation() -> None:
    assert "hunter" not in repr(NOVA)


def test_update(services: ServiceStore) -> None:
    services.create(NOVA)
    services.update(replace(NOVA, config={"url": "https://two"}, enabled=False))
    found = services.get(NOVA.id)
    assert (found.config, found.enabled, found.secret_options) == ({"url": "https://two"}, False, frozenset())


def test_delete_frees_the_name(services: ServiceStore) -> None:
    services.create(NOVA)
    services.delete(NOVA.id)
    assert services.all() == []
    services.create(ServiceRecord("nova", "nova"))


@pytest.mark.parametrize("what", ["get", "by_name", "delete", "update"])
def test_what_is_not_there(services: ServiceStore, what: str) -> None:
    with pytest.raises(RecordNotFound):
        getattr(services, what)(NOVA if what == "update" else "none")


@pytest.mark.parametrize("config", [{"a": object()}, {"a": float("nan")}])
@pytest.mark.parametrize("secret", [frozenset(), frozenset("a")])
def test_options_that_are_not_json(services: ServiceStore, config: dict[str, object], secret: frozenset[str]) -> None:
    with pytest.raises(Unstorable, match="config"):
        services.create(ServiceRecord("nova", "nova", config, secret))


def test_keys_are_changed(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "keys"
    ServiceStore(database, Cipher.open(path)).create(NOVA)
    assert ServiceStore(database, add_key(path)).reencrypt() == 2
    drop_old_keys(path)
    assert ServiceStore(database, Cipher.open(path)).get(NOVA.id).config == CONFIG


def test_a_lost_key_costs_the_secrets_only(database: Database, tmp_path: Path, cipher: Cipher) -> None:
    ServiceStore(database, cipher).create(NOVA)
    other = ServiceStore(database, Cipher.open(tmp_path / "others"))
    found = other.get(NOVA.id)
    assert found.config == {"url": "https://one", "retries": 3}
    assert found.unreadable == {"password", "token"}
    with pytest.raises(SecretUnreadable, match="'password' of the service 'nova'"):
        other.reencrypt()
    # One is given anew; the other waits for its key to turn up.
    config = {"url": "https://two", "password": "hunter4"}
    other.update(replace(found, config=config, secret_options=frozenset({"password"}), unreadable=frozenset({"token"})))
    assert other.get(NOVA.id).config == config
    assert ServiceStore(database, cipher).get(NOVA.id).config == {
        "url": "https://two",
        "token": CONFIG["token"],
    }


ROWS: list[Row] = [
    ("a", 1, None),
    (TRUE, FALSE, 1.5),
    ("é\U0001f511\x00\ud800", -(2**63), 1e300),
    (),
]


def kept(rows: ServiceRowStore) -> dict[str, set[Row]]:
    return {table: set(found) for table, found in rows.load(NOVA.id).items()}


def test_the_store_is_what_pushed_drivers_ask_for(rows: ServiceRowStore) -> None:
    store: RowStore = rows
    store.replace(NOVA.id, "t", [("a",)])
    assert store.load(NOVA.id) == {"t": [("a",)]}


def test_rows_come_back_as_they_were(rows: ServiceRowStore) -> None:
    rows.replace(NOVA.id, "t", ROWS)
    assert kept(rows) == {"t": set(ROWS)}
    assert rows.load("none") == {}


def test_rows_are_a_set(rows: ServiceRowStore) -> None:
    rows.replace(NOVA.id, "t", [("a", 1), ("a", 1.0), ("a", TRUE), ("a", "1")])
    assert len(kept(rows)["t"]) == 3


def test_replace_leaves_just_the_new_rows(rows: ServiceRowStore) -> None:
    rows.replace(NOVA.id, "t", [(number,) for number in range(1300)])
    rows.replace(NOVA.id, "u", [("other",)])
    rows.replace(NOVA.id, "t", [(number,) for number in range(1299, 1301)])
    assert kept(rows) == {"t": {(1299,), (1300,)}, "u": {("other",)}}
    rows.replace(NOVA.id, "t", [])
    assert kept(rows) == {"u": {("other",)}}


def test_change(rows: ServiceRowStore) -> None:
    rows.replace(NOVA.id, "t", [(1,), (2,)])
    rows.change(NOVA.id, "t", insert=[(2,), (3,)], delete=[(1,), (3,), (9,)])
    assert kept(rows) == {"t": {(2,), (3,)}}


def test_rows_go_with_their_service(rows: ServiceRowStore, services: ServiceStore) -> None:
    rows.replace(NOVA.id, "t", ROWS)
    services.delete(NOVA.id)
    assert kept(rows) == {}
    with pytest.raises(RecordNotFound):
        rows.replace(NOVA.id, "t", ROWS)
    with pytest.raises(RecordNotFound):
        rows.change(NOVA.id, "t", ROWS, [])


def test_rows_are_forgotten(rows: ServiceRowStore) -> None:
    rows.replace(NOVA.id, "t", ROWS)
    rows.clear(NOVA.id)
    rows.clear("none")
    assert kept(rows) == {}
