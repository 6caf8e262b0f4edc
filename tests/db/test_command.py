# SPDX-License-Identifier: Apache-2.0
"""``congress-db``."""

from pathlib import Path

import pytest

from congress.cmd.db import main
from congress.db import migrate
from congress.db.crypt import Cipher
from congress.db.database import Database
from congress.db.services import ServiceRecord, ServiceStore


@pytest.fixture
def state(tmp_path: Path) -> list[str]:
    return ["--state-path", str(tmp_path)]


def database(tmp_path: Path) -> Database:
    return Database(f"sqlite:///{tmp_path}/congress.sqlite")


def test_up_and_down(state: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command, shown in (
        (["current"], "empty"),
        (["upgrade"], migrate.HEAD),
        (["current"], migrate.HEAD),
        (["downgrade", "base"], "empty"),
    ):
        assert main([*command, *state]) == 0
        assert capsys.readouterr().out == (
            f"sqlite:///{tmp_path}/congress.sqlite: {shown}; this version of the program needs {migrate.HEAD}\n"
        )


def test_keys_are_rotated(state: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["upgrade", *state])
    old = Cipher.open(tmp_path / "keys")
    store = ServiceStore(database(tmp_path), old)
    store.create(ServiceRecord("nova", "nova", {"password": "hunter2"}, frozenset({"password"})))
    assert main(["rotate-keys", *state]) == 0
    assert "1 secrets encrypted anew, 1 old keys dropped" in capsys.readouterr().out
    assert store.by_name("nova").unreadable == {"password"}
    new = ServiceStore(database(tmp_path), Cipher.open(tmp_path / "keys"))
    assert new.by_name("nova").config == {"password": "hunter2"}


def test_keys_that_open_nothing_are_kept(state: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["upgrade", *state])
    store = ServiceStore(database(tmp_path), Cipher.open(tmp_path / "others"))
    store.create(ServiceRecord("nova", "nova", {"password": "hunter2"}, frozenset({"password"})))
    before = Cipher.open(tmp_path / "keys").encrypt("x")
    assert main(["rotate-keys", *state]) == 1
    assert "no key opens the option 'password' of the service 'nova'" in capsys.readouterr().err
    assert Cipher.open(tmp_path / "keys").decrypt(before) == "x"


def test_a_database_that_is_away(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_DATABASE__CONNECTION", "postgresql://nobody:hunter2@127.0.0.1:1/none")
    assert main(["current"]) == 1
    err = capsys.readouterr().err
    assert "congress-db: the database does not answer (OperationalError)" in err
    assert "hunter2" not in err


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["downgrade"]])
def test_a_wrong_command_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: congress-db" in capsys.readouterr().err
