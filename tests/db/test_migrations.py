# SPDX-License-Identifier: Apache-2.0
import importlib
import pkgutil
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from congress.db import migrate
from congress.db.crypt import Cipher
from congress.db.database import Database
from congress.db.errors import SchemaTooNew
from congress.db.migrations import versions
from congress.db.models import metadata
from congress.db.policies import PolicyRecord, PolicyStore
from congress.db.rules import RuleRecord, RuleStore
from congress.db.service_rows import ServiceRowStore
from congress.db.services import ServiceRecord, ServiceStore
from congress.executions.store import ExecutionStore
from tests.executions.some import first, wanted


def tables(database: Database) -> set[str]:
    return set(sa.inspect(database.engine).get_table_names())


def test_upgrade_makes_what_the_models_say(empty: Database) -> None:
    assert migrate.upgrade(empty)
    with empty.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_the_comparison_notices_a_difference(empty: Database) -> None:
    migrate.upgrade(empty)
    with empty.begin() as connection:
        connection.execute(sa.text("ALTER TABLE rules ADD COLUMN more VARCHAR(3)"))
    with empty.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert [change[0] for change in compare_metadata(context, metadata)] == ["remove_column"]


def test_upgrading_again_changes_nothing(empty: Database) -> None:
    migrate.upgrade(empty)
    assert not migrate.upgrade(empty)
    assert migrate.current(empty) == migrate.HEAD


def test_down_and_up_again(empty: Database) -> None:
    migrate.upgrade(empty)
    assert migrate.downgrade(empty)
    assert tables(empty) == {"alembic_version"}
    assert migrate.current(empty) is None
    assert migrate.upgrade(empty)
    assert tables(empty) == {"alembic_version", *metadata.tables}


def test_every_step_goes_down_and_up(empty: Database) -> None:
    with empty.begin() as connection:
        script = ScriptDirectory.from_config(migrate.alembic_config(connection))
    for revision in reversed(list(script.walk_revisions())):
        migrate.upgrade(empty, revision.revision)
        migrate.downgrade(empty, str(revision.down_revision or "base"))
        migrate.upgrade(empty, revision.revision)
    assert migrate.current(empty) == migrate.HEAD


def test_head_is_the_newest_step() -> None:
    known = {
        importlib.import_module(f"{versions.__name__}.{module.name}").revision
        for module in pkgutil.iter_modules(versions.__path__)
    }
    assert max(known) == migrate.HEAD


def test_the_steps_are_packaged() -> None:
    folder = Path(migrate.__file__).parent / "migrations"
    assert (folder / "env.py").exists()
    assert "migrations/script.py.mako" in (Path(__file__).parents[2] / "setup.cfg").read_text()


def test_several_servers_start_at_once(url: str) -> None:
    databases = [Database(url) for _ in range(4)]
    outcomes: list[bool | BaseException] = []
    gate = threading.Barrier(len(databases))

    def start(database: Database) -> None:
        gate.wait()
        try:
            outcomes.append(migrate.upgrade(database))
        except BaseException as error:  # noqa: BLE001  # shown by the assertion below
            outcomes.append(error)

    threads = [threading.Thread(target=start, args=(database,)) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes, key=str) == [False, False, False, True]
    for database in databases:
        database.close()


def test_an_interrupted_upgrade_is_taken_up(empty: Database) -> None:
    """As MySQL leaves it when the process dies in the middle: some of the tables, and no revision."""
    migrate.upgrade(empty)
    with empty.begin() as connection:
        connection.execute(sa.text("DROP TABLE service_rows"))
        connection.execute(sa.text("DROP TABLE services"))
        connection.execute(sa.text("DELETE FROM alembic_version"))
    assert migrate.upgrade(empty)
    assert set(metadata.tables) <= tables(empty)


def test_what_was_there_before_executions_stays(empty: Database, cipher: Cipher) -> None:
    migrate.upgrade(empty, "0001")
    policies, rules, services = PolicyStore(empty), RuleStore(empty), ServiceStore(empty, cipher)
    policy = PolicyRecord("p")
    policies.create(policy, [RuleRecord(policy.id, "execute[nova:x(y)] :- nova:t(y)")])
    service = ServiceRecord("nova", "nova", {"password": "hunter2"}, frozenset({"password"}))
    services.create(service)
    ServiceRowStore(empty).replace(service.id, "t", [("a", 1)])

    def everything() -> object:
        return policies.all(), rules.all(), services.all(), ServiceRowStore(empty).load(service.id)

    before = everything()
    assert migrate.upgrade(empty)
    assert everything() == before
    store, execution = ExecutionStore(empty, cipher), wanted()
    store.add([execution], first([execution]))
    assert list(store.export()) == [(execution, first([execution]))]
    assert migrate.downgrade(empty, "0001")
    assert everything() == before
    assert not {"executions", "execution_events", "guards", "breakers"} & tables(empty)
    assert migrate.upgrade(empty)
    assert everything() == before
    assert store.find() == []


def test_an_interrupted_step_to_executions_is_taken_up(empty: Database) -> None:
    """As MySQL leaves it: a table, some of its indexes, and the revision before."""
    migrate.upgrade(empty)
    with empty.begin() as connection:
        for name in ("breakers", "guards", "execution_events"):
            connection.execute(sa.text(f"DROP TABLE {name}"))
        for name in ("ix_executions_digest", "ix_executions_settled_at"):
            on = " ON executions" if empty.dialect == "mysql" else ""
            connection.execute(sa.text(f"DROP INDEX {name}{on}"))
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
    assert migrate.upgrade(empty)
    with empty.begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_database_of_a_newer_version_is_left_alone(empty: Database) -> None:
    migrate.upgrade(empty)
    with empty.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaTooNew, match="9999"):
        migrate.upgrade(empty)
    with pytest.raises(SchemaTooNew):
        migrate.downgrade(empty)
