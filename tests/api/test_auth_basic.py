# SPDX-License-Identifier: Apache-2.0
"""Users and passwords: what a file may say, who gets in, and what changes when it changes."""

import base64
import logging
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from congress.api.auth import basic, files, passwords
from congress.api.auth.basic import BasicAuthenticator
from congress.api.auth.contracts import Unauthenticated
from congress.api.auth.files import UnsafeFile, read_safe
from congress.api.auth.passwords import UserFiles, parse_roles, parse_users
from congress.api.errors import ApiError
from tests.api.auth import PASSWORD, hashed, login, write_users

HASH = hashed()


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The hashes that passwords were checked against."""
    seen: list[bytes] = []
    real = bcrypt.checkpw

    def checkpw(password: bytes, given: bytes) -> bool:
        seen.append(given)
        return real(password, given)

    monkeypatch.setattr(bcrypt, "checkpw", checkpw)
    return seen


def refused(authenticator: BasicAuthenticator, environ: dict[str, str]) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as raised:
        authenticator.authenticate(environ)
    assert raised.value.status == 401
    assert raised.value.headers["WWW-Authenticate"].startswith("Basic ")
    return raised.value


def test_a_user_comes_in_with_their_roles(tmp_path: Path) -> None:
    authenticator = BasicAuthenticator(write_users(tmp_path))
    found = authenticator.authenticate(login("member"))
    assert (found.who, found.roles, found.trusted) == ("member", ("member", "reader"), True)
    assert found.ids() == {"user": "member"}
    assert set(authenticator.authenticate(login("admin")).roles) == {"admin", "member", "reader"}
    assert authenticator.authenticate(login("nemo")).roles == ()


@pytest.mark.parametrize(
    ("header", "tried"),
    [
        ("", False),
        ("Bearer abc", False),
        ("Basic", True),
        ("Basic !!!", True),
        ("Basic " + base64.b64encode(b"admin").decode(), True),
        ("Basic " + base64.b64encode(b":open sesame").decode(), True),
        ("Basic " + base64.b64encode(b"\xff\xfe:x").decode(), True),
        ("Basic é", True),
        (login("admin", "wrong")["HTTP_AUTHORIZATION"], True),
        (login("admin", "")["HTTP_AUTHORIZATION"], True),
        (login("admin", PASSWORD + "\0")["HTTP_AUTHORIZATION"], True),
        (login("ADMIN")["HTTP_AUTHORIZATION"], True),
        (login("nobody")["HTTP_AUTHORIZATION"], True),
        (login("# who may do what")["HTTP_AUTHORIZATION"], True),
    ],
)
def test_who_does_not_come_in(tmp_path: Path, header: str, tried: bool) -> None:
    error = refused(BasicAuthenticator(write_users(tmp_path)), {"HTTP_AUTHORIZATION": header})
    assert error.tried is tried
    assert PASSWORD not in str(error)


def test_a_scheme_is_not_case_sensitive(tmp_path: Path) -> None:
    header = login("reader")["HTTP_AUTHORIZATION"].replace("Basic", "bAsIc")
    assert BasicAuthenticator(write_users(tmp_path)).authenticate({"HTTP_AUTHORIZATION": header}).who == "reader"


def test_bcrypts_limit_is_no_way_in(tmp_path: Path) -> None:
    """What bcrypt would cut off counts: the first 72 bytes of a longer password are not it."""
    line = f"long:{hashed('x' * 72)}\n"
    authenticator = BasicAuthenticator(write_users(tmp_path, more=line))
    assert authenticator.authenticate(login("long", "x" * 72)).who == "long"
    refused(authenticator, login("long", "x" * 73))


def test_a_right_password_is_paid_for_once(tmp_path: Path, checked: list[bytes]) -> None:
    now = [0.0]
    authenticator = BasicAuthenticator(write_users(tmp_path), remember=300, clock=lambda: now[0])
    for _ in range(5):
        authenticator.authenticate(login("admin"))
    assert len(checked) == 1
    refused(authenticator, login("admin", "wrong"))
    refused(authenticator, login("admin", "wrong"))
    assert len(checked) == 3
    authenticator.authenticate(login("admin"))
    assert len(checked) == 3
    now[0] = 301
    authenticator.authenticate(login("admin"))
    assert len(checked) == 4


def test_nothing_is_remembered_where_so_configured(tmp_path: Path, checked: list[bytes]) -> None:
    authenticator = BasicAuthenticator(write_users(tmp_path), remember=0)
    for _ in range(3):
        authenticator.authenticate(login("admin"))
    assert len(checked) == 3


def test_one_users_password_is_not_anothers(tmp_path: Path) -> None:
    files = write_users(tmp_path, more=f"ann:{hashed('a')}\nbob:{hashed('b')}\n")
    authenticator = BasicAuthenticator(files)
    authenticator.authenticate(login("ann", "a"))
    refused(authenticator, login("bob", "a"))
    refused(authenticator, login("ann", "b"))


def test_an_unknown_user_costs_what_a_known_one_does(tmp_path: Path, checked: list[bytes]) -> None:
    line = f"dear:{bcrypt.hashpw(b'x', bcrypt.gensalt(5)).decode()}\n"
    authenticator = BasicAuthenticator(write_users(tmp_path, more=line))
    refused(authenticator, login("nobody"))
    refused(authenticator, login("dear", "wrong"))
    assert [passwords.rounds_of(one) for one in checked] == [5, 5]


def test_the_memory_holds_no_password(tmp_path: Path) -> None:
    authenticator = BasicAuthenticator(write_users(tmp_path))
    authenticator.authenticate(login("admin"))
    assert PASSWORD not in repr(authenticator._state)


def test_a_change_of_the_file_counts_at_once(tmp_path: Path) -> None:
    authenticator = BasicAuthenticator(write_users(tmp_path))
    authenticator.authenticate(login("admin"))
    (tmp_path / "users").write_text(f"admin:{hashed('another')}\n")
    refused(authenticator, login("admin"))
    assert authenticator.authenticate(login("admin", "another")).who == "admin"
    (tmp_path / "roles").write_text("reader: admin\n")
    assert authenticator.authenticate(login("admin", "another")).roles == ("reader",)


def test_a_file_that_turns_unsafe_lets_nobody_in(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    authenticator = BasicAuthenticator(write_users(tmp_path))
    authenticator.authenticate(login("admin"))
    (tmp_path / "users").chmod(0o666)
    with caplog.at_level(logging.ERROR), pytest.raises(ApiError) as raised:
        authenticator.authenticate(login("admin"))
    assert raised.value.status == 503
    assert "others than its owner can write" in caplog.text
    (tmp_path / "users").unlink()
    with pytest.raises(ApiError):
        authenticator.authenticate(login("admin"))
    write_users(tmp_path)
    assert authenticator.authenticate(login("admin")).who == "admin"


def test_a_line_that_turns_wrong_is_that_users_trouble(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    authenticator = BasicAuthenticator(write_users(tmp_path))
    with caplog.at_level(logging.ERROR):
        write_users(tmp_path, more="eve:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=\n")
        assert authenticator.authenticate(login("admin")).who == "admin"
    assert "line 5" in caplog.text
    refused(authenticator, login("eve", "test"))


@pytest.mark.parametrize(
    ("text", "users", "wrong"),
    [
        (f"ann:{HASH}\n", ["ann"], 0),
        (f"# a comment\n\nann:{HASH}\r\n", ["ann"], 0),
        (f"ann:{HASH.replace('$2y$', '$2a$')}\n", ["ann"], 0),
        (f"é:{HASH}\n", ["é"], 0),
        (f"ann:{HASH}\nbob:$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/\n", ["ann"], 1),
        ("ann:secret\n", [], 1),
        ("ann\n", [], 1),
        (f":{HASH}\n", [], 1),
        (f"ann:{HASH}\nann:{hashed('x')}\n", [], 1),
        (f"ann:{HASH}\nann:{HASH}\nann:{HASH}\n", [], 2),
        (f"ann:{HASH.replace('$04$', '$31$')}\n", [], 1),
        (f"ann:{HASH}:x\n", [], 1),
    ],
)
def test_users_files(text: str, users: list[str], wrong: int) -> None:
    found, complaints = parse_users(text)
    assert (list(found), len(complaints)) == (users, wrong)


def test_roles_files() -> None:
    found, wrong = parse_roles(
        "# roles\nadmin: ann\nreader: bob  ann\nreader: carl\nauditor:bob\nno colon\ntwo words: x\n"
    )
    assert found == {
        "ann": ("admin", "member", "reader"),
        "bob": ("reader", "auditor"),
        "carl": ("reader",),
    }
    assert [complaint.partition(":")[0] for complaint in wrong] == ["line 6", "line 7"]


@pytest.mark.parametrize("mode", [0o666, 0o620, 0o602, 0o777])
def test_a_file_that_others_can_write(tmp_path: Path, mode: int) -> None:
    write_users(tmp_path)
    (tmp_path / "roles").chmod(mode)
    with pytest.raises(UnsafeFile, match="chmod go-w"):
        UserFiles(tmp_path / "users", tmp_path / "roles").read()


def test_a_file_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_users(tmp_path)
    if os.geteuid() == 0:
        os.chown(tmp_path / "users", 12345, 12345)
    else:
        monkeypatch.setattr(files.os, "geteuid", lambda: 12345)
    with pytest.raises(UnsafeFile, match="neither root nor"):
        read_safe(tmp_path / "users")


def test_what_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, word in (
        (tmp_path / "pipe", "no regular file"),
        (tmp_path, "no regular file"),
        (tmp_path / "no", "read"),
    ):
        with pytest.raises(UnsafeFile, match=word):
            read_safe(path)
    (tmp_path / "latin").write_bytes(b"\xe9:x")
    with pytest.raises(UnsafeFile, match="UTF-8"):
        read_safe(tmp_path / "latin")
    monkeypatch.setattr(files, "LARGEST", 2)
    (tmp_path / "large").write_bytes(b"xxx")
    with pytest.raises(UnsafeFile, match="larger"):
        read_safe(tmp_path / "large")


def test_a_daemon_does_not_start_with_a_wrong_file(tmp_path: Path) -> None:
    with pytest.raises(UnsafeFile, match="cannot be read"):
        BasicAuthenticator(UserFiles(tmp_path / "users", tmp_path / "roles"))
    with pytest.raises(ValueError, match="line 5"):
        BasicAuthenticator(write_users(tmp_path, more="eve:plain\n"))


def test_too_many_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authenticator = BasicAuthenticator(write_users(tmp_path))
    monkeypatch.setattr(basic, "_PATIENCE", 0.01)
    while authenticator._turns.acquire(blocking=False):
        pass
    with pytest.raises(ApiError) as raised:
        authenticator.authenticate(login("admin"))
    assert (raised.value.status, raised.value.headers["Retry-After"]) == (503, "2")


def _has(program: str) -> bool:
    try:
        return subprocess.run([program, "-h"], capture_output=True, check=False).returncode in (0, 1, 2)
    except OSError:
        return False


@pytest.mark.skipif(not _has("htpasswd"), reason="no htpasswd on this machine")
def test_htpasswd_and_we_understand_each_other(tmp_path: Path) -> None:
    write_users(tmp_path, more_roles="reader: ann\n")
    run: Callable[..., Any] = subprocess.run
    run(["htpasswd", "-bB", str(tmp_path / "users"), "ann", "wonder"], check=True, capture_output=True)
    authenticator = BasicAuthenticator(UserFiles(tmp_path / "users", tmp_path / "roles"))
    assert authenticator.authenticate(login("ann", "wonder")).roles == ("reader",)
    run(["htpasswd", "-D", str(tmp_path / "users"), "ann"], check=True, capture_output=True)
    refused(authenticator, login("ann", "wonder"))
    assert authenticator.authenticate(login("admin")).who == "admin"
