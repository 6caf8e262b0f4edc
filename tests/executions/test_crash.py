# SPDX-License-Identifier: Apache-2.0
"""``kill -9`` at any moment: nothing that is wanted is lost, nothing is done twice, the trail is complete.

Each run is several lives of a process over one database: all but the last are killed somewhere.
"""

import json
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from congress.db.crypt import Cipher
from congress.db.database import Database
from congress.db.migrate import upgrade
from congress.executions.states import State
from congress.executions.store import ExecutionStore
from tests.databases import empty_database
from tests.executions.crash_check import check
from tests.executions.crashing import Diary, true_things

KEY = Fernet.generate_key().decode()
MOMENTS = [
    "any",
    "before the transaction",
    "before the commit",
    "after the commit",
    "before the action",
    "the action",
    "after the action",
    "verify",
    *(f"{when} to {state}" for when in ("before", "after") for state in State),
]


class Lives:
    """A process that makes lives."""

    def __init__(self) -> None:
        self._maker = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.executions.crashing"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def live(self, **order: Any) -> int:
        """One life; the exit code of its process, or minus the signal that killed it."""
        assert self._maker.stdin is not None
        assert self._maker.stdout is not None
        self._maker.stdin.write(json.dumps(order) + "\n")
        self._maker.stdin.flush()
        return int(self._maker.stdout.readline())

    def close(self) -> None:
        assert self._maker.stdin is not None
        assert self._maker.stdout is not None
        self._maker.stdin.close()
        self._maker.stdout.close()
        assert self._maker.wait(10) == 0


@pytest.fixture(scope="module")
def lives() -> Iterator[Lives]:
    made = Lives()
    yield made
    made.close()


def run(lives: Lives, url: str, diary: Path, seed: int) -> None:
    """Several lives, and what must hold after them."""
    lot = random.Random(seed)
    order = {"url": url, "diary": str(diary), "key": KEY, "verify": lot.random() < 0.5}
    kills = 0
    for life in range(lot.choice((2, 3, 4, 5))):
        _meanwhile(diary, lot)
        doomed = {"moment": lot.choice(MOMENTS), "number": lot.randint(1, 12)}
        if doomed["moment"] == "any":
            doomed["number"] = lot.randint(1, 150)
        status = lives.live(**order, **doomed, seed=lot.getrandbits(32), steps=lot.randint(8, 20), last=False)
        assert status in (0, -signal.SIGKILL), f"seed {seed}, life {life}: {status}"
        kills += status != 0
    _meanwhile(diary, lot)
    status = lives.live(**order, moment=None, seed=lot.getrandbits(32), steps=0, last=True)
    assert status == 0, f"seed {seed}: {status}, {Diary(diary).lines()[-1]}"
    database = Database(url)
    try:
        found = list(ExecutionStore(database, Cipher([KEY])).export())
    finally:
        database.close()
    check(Diary(diary).lines(), [one for one, _ in found], {one.id: trail for one, trail in found})


def _meanwhile(path: Path, lot: random.Random) -> None:
    """What happens in the cloud while no process is there."""
    diary = Diary(path)
    true = sorted(true_things(diary.lines()))
    all_things = sorted({thing for line in diary.lines() for thing in line.get("appeared", ())})
    new = [f"{lot.getrandbits(40):010x}" for _ in range(lot.choice((0, 1, 2)))]
    back = (
        lot.sample([thing for thing in all_things if thing not in true], lot.choice((0, 1)))
        if len(all_things) > len(true)
        else []
    )
    gone = lot.sample(true, min(len(true), lot.choice((0, 1, 2))))
    diary.write(appeared=[*new, *back], vanished=gone, closed=lot.sample(all_things, len(all_things) // 5))


def runs(config: pytest.Config, default: int) -> range:
    """The seeds to go through."""
    first, wanted = config.getoption("--crash-seed"), config.getoption("--crash-runs")
    return range(first, first + (default if wanted is None else wanted))


def test_crashes_on_sqlite(lives: Lives, pytestconfig: pytest.Config, tmp_path: Path) -> None:
    empty = tmp_path / "empty.sqlite"
    database = Database(f"sqlite:///{empty}")
    upgrade(database)
    with database.begin() as connection:
        connection.exec_driver_sql("SELECT 1")
    database.close()
    for seed in runs(pytestconfig, 50):
        folder = tmp_path / str(seed)
        folder.mkdir()
        shutil.copy(empty, folder / "x.sqlite")
        _told(run, lives, f"sqlite:///{folder}/x.sqlite", folder / "diary", seed)
        shutil.rmtree(folder)


@pytest.mark.database
def test_crashes_on_postgresql(lives: Lives, pytestconfig: pytest.Config, tmp_path: Path) -> None:
    with empty_database("postgresql", tmp_path) as url:
        database = Database(url)
        upgrade(database)
        try:
            for seed in runs(pytestconfig, 10):
                _told(run, lives, url, tmp_path / f"diary{seed}", seed)
                _empty(database)
        finally:
            database.close()


def _told(run: Callable[..., None], *args: Any) -> None:
    """Do it; what fails says what it was given."""
    try:
        run(*args)
    except BaseException as error:
        error.add_note(f"seed {args[-1]}, diary in {args[-2]}")
        raise


def _empty(database: Database) -> None:
    with database.begin() as connection:
        names = sa.inspect(connection).get_table_names()
        kept = ", ".join(name for name in names if name != "alembic_version")
        connection.exec_driver_sql(f"TRUNCATE {kept} CASCADE")
