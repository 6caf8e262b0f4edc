# SPDX-License-Identifier: Apache-2.0
import multiprocessing
import stat
from pathlib import Path

import pytest

from congress.db.crypt import Cipher, add_key, drop_old_keys
from congress.db.errors import KeyFileError, SecretUnreadable


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "keys"


@pytest.mark.parametrize("text", ["", "hunter2", "ключ \U0001f511", "a" * 100_000])
def test_what_is_encrypted_can_be_decrypted(path: Path, text: str) -> None:
    token = Cipher.open(path).encrypt(text)
    assert Cipher.open(path).decrypt(token) == text
    assert not text or text not in token


def test_the_file_is_the_owners_alone(path: Path) -> None:
    Cipher.open(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in sorted(path.parent.iterdir())] == ["keys", "keys.lock"]


def test_a_file_that_others_can_read_is_refused(path: Path) -> None:
    Cipher.open(path)
    path.chmod(0o640)
    with pytest.raises(KeyFileError, match="0600"):
        Cipher.open(path)


@pytest.mark.parametrize("content", [b"", b"no key\n", b"\xff\xfe"])
def test_a_damaged_file_is_refused_and_kept(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyFileError):
        Cipher.open(path)
    assert path.read_bytes() == content


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(KeyFileError):
        Cipher.open(tmp_path / "file" / "keys")


def _open(path: Path, results: "multiprocessing.Queue[str]") -> None:
    Cipher.open(path)
    results.put(path.read_text())


def test_processes_that_start_at_once_share_one_key(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[str] = context.Queue()
    processes = [context.Process(target=_open, args=(path, results)) for _ in range(4)]
    for process in processes:
        process.start()
    found = {results.get(timeout=60) for _ in processes}
    for process in processes:
        process.join()
    assert found == {path.read_text()}


def test_keys_are_changed_in_steps(path: Path) -> None:
    token = Cipher.open(path).encrypt("hunter2")
    both = add_key(path)
    assert both.decrypt(token) == "hunter2"
    renewed = both.encrypt("hunter2")
    assert drop_old_keys(path) == 1
    newest = Cipher.open(path)
    assert newest.decrypt(renewed) == "hunter2"
    with pytest.raises(SecretUnreadable):
        newest.decrypt(token)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("token", ["", "nonsense", "ключ"])
def test_what_is_no_token_is_unreadable(path: Path, token: str) -> None:
    with pytest.raises(SecretUnreadable):
        Cipher.open(path).decrypt(token)
