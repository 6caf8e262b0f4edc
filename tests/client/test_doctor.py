# SPDX-License-Identifier: Apache-2.0
"""``congress doctor`` with daemons that are well and ones that are not."""

import json
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from congress.cmd.checks import ERROR, OK, SKIPPED, WARNING, Finding, examine
from congress.cmd.checks.there import check_keystone, compared
from congress.cmd.cli import main
from congress.conf.options import DEFAULT
from tests.api.auth import write_users
from tests.broker import Broker, missing
from tests.client.scripted import answer, scripted
from tests.requirements import require_or_skip
from tests.server.daemon import Server, serving

Doctor = Callable[..., dict[str, list[tuple[str, str, str]]]]


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str]) -> Iterator[Doctor]:
    """Runs it; its findings by check, each (state, detail, next)."""
    levels = {name: logging.getLogger(name).level for name in ("congress", "oslo_service", "oslo.messaging", "amqp")}

    def run(*words: str, code: int = 0) -> dict[str, list[tuple[str, str, str]]]:
        ended = main([*words, "-f", "json"])
        printed = capsys.readouterr()
        found: dict[str, list[tuple[str, str, str]]] = {}
        for one in json.loads(printed.out):
            found.setdefault(one["check"], []).append((one["state"], one["detail"], one["next"]))
        assert ended == code, found
        return found

    yield run
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    """A daemon of these tests, whose state they may look at."""
    folder = tmp_path_factory.mktemp("doctor")
    with serving(folder / "state") as made:
        yield made, folder / "state"


def states(found: dict[str, list[tuple[str, str, str]]]) -> dict[str, set[str]]:
    return {check: {state for state, _, _ in all_of_it} for check, all_of_it in found.items()}


def test_all_is_well(own: tuple[Server, Path], doctor: Doctor, capsys: pytest.CaptureFixture[str]) -> None:
    server, state = own
    found = doctor("--endpoint", server.url, "doctor", "--state-path", str(state))
    inside = {"configuration", "state folder", "key file", "database", "secrets", "broker"}
    outside = {"API", "readiness", "login", "clock", "services", "rules", "actions"}
    assert found.keys() == inside | outside
    assert all(state == {OK} for state in states(found).values())
    assert main(["--endpoint", server.url, "doctor", "--remote"]) == 0
    text = capsys.readouterr().out
    assert "ok       login             policies can be read\n" in text
    assert "database" not in text
    assert text.endswith("\n0 errors, 0 warnings\n")


def test_it_finds_the_daemon_by_its_configuration(own: tuple[Server, Path], doctor: Doctor, tmp_path: Path) -> None:
    server, state = own
    config = _write(tmp_path, f"bind_host = 0.0.0.0\nbind_port = {server.address[1]}\nstate_path = {state}\n")
    found = doctor("doctor", "--config-file", config, code=1)
    assert found["API"] == [(OK, server.url, "")]
    [(state_, detail, hint)] = found["configuration"]
    assert (state_, hint) == (ERROR, f"Change it in {config}.")
    assert "auth_strategy is noauth" in detail


def test_nobody_there(doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (state_path,) = [option for option in DEFAULT if option.dest == "state_path"]
    monkeypatch.setattr(state_path, "default", str(tmp_path / "none"))  # worked out when it was imported
    found = doctor("--endpoint", "http://127.0.0.1:9", "doctor", code=1)
    assert states(found) == {"configuration": {SKIPPED}, "API": {ERROR}}
    assert "congress-server" in found["API"][0][2]
    found = doctor("doctor", "--local", "--state-path", str(tmp_path / "none"))
    assert states(found)["database"] == states(found)["key file"] == {SKIPPED}


def test_options_that_are_none(doctor: Doctor, tmp_path: Path) -> None:
    text = f"state_path = {tmp_path}/s\nbind_prot = 5\nexecutor_thread_pool_size = 5\n[api]\nthread = 4\nnonsense = 1\n"
    found = doctor("doctor", "--local", "--config-file", _write(tmp_path, text))
    assert [(state, detail.partition(": ")[2], hint) for state, detail, hint in found["configuration"]] == [
        (WARNING, "[DEFAULT] has no option bind_prot", "Did you mean bind_port?"),
        (WARNING, "[api] has no option thread", "Did you mean threads?"),
        (WARNING, "[api] has no option nonsense", "Take it out; it has no effect."),
    ]
    doctor("doctor", "--local", "--strict", "--config-file", _write(tmp_path, text), code=1)
    [(state, detail, _)] = doctor("doctor", "--local", "--config-file", str(tmp_path / "gone"), code=1)["configuration"]
    assert state == ERROR
    assert "gone" in detail


def test_files_that_are_not_as_they_must_be(doctor: Doctor, tmp_path: Path) -> None:
    state = tmp_path / "state"
    with serving(state) as server:
        server.ok("POST", "/v1/cloud-services", {"name": "n", "driver": "nova", "config": LOGIN, "enabled": False})
    words = ("doctor", "--local", "--state-path", str(state))
    assert states(doctor(*words))["secrets"] == {OK}
    (state / "keys").chmod(0o644)
    found = doctor(*words, code=1)
    assert found["key file"][0][2] == f"chmod 600 {state / 'keys'}"
    (state / "keys").chmod(0o600)
    (state / "keys").write_text("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
    assert found["database"][0][0] == OK
    [(_, detail, hint)] = doctor(*words, code=1)["secrets"]
    assert detail == "no key opens the secrets of n"
    assert "congress service update" in hint
    with sqlite3.connect(state / "congress.sqlite") as database:
        database.execute("UPDATE alembic_version SET version_num = '0000'")
    database.close()
    [(state_, _, hint)] = doctor(*words)["database"]
    assert (state_, "congress-db upgrade" in hint) == (WARNING, True)
    with sqlite3.connect(state / "congress.sqlite") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    [(state_, _, hint)] = doctor(*words, code=1)["database"]
    assert (state_, hint) == (ERROR, "Install the newer version of Congress that has been here.")
    (state / "congress.sqlite").write_bytes(b"this is no database" * 100)
    assert states(doctor(*words, code=1))["database"] == {ERROR}


def test_a_database_that_is_not_there(doctor: Doctor, tmp_path: Path) -> None:
    text = f"state_path = {tmp_path}\n[database]\nconnection = postgresql://nobody:hunter2@127.0.0.1:9/nothing\n"
    [(state, detail, hint)] = doctor("doctor", "--local", "--config-file", _write(tmp_path, text), code=1)["database"]
    assert state == ERROR
    assert "hunter2" not in detail
    assert "[database] connection" in hint


def test_services_rules_and_actions_in_trouble(doctor: Doctor, tmp_path: Path) -> None:
    with serving(tmp_path / "state") as server:
        server.ok("POST", "/v1/cloud-services", {"name": "lathes", "driver": "fake"})
        server.ok(
            "POST", "/v1/policies", {"name": "care", "rules": [{"rule": "p(x) :- nowhere:t(x)"}, {"rule": "q(1)"}]}
        )
        server.ok("PUT", "/v1/policies/care/guard", {"mode": "propose"})
        server.ok("POST", "/v1/policies/care/rules", {"rule": "execute[lathes:fake_act(x)] :- q(x)"})
        server.ok("POST", "/v1/breakers/lathes?action=open", {"detail": "worn out"})
        found = doctor("--endpoint", server.url, "doctor", "--remote")
        assert found["rules"] == [
            (
                WARNING,
                "policy care: 1 waiting for a service, table or column",
                "`congress rule list care`, then `congress rule status care RULE` says why.",
            )
        ]
        details = [detail for _, detail, _ in found["actions"]]
        assert details == [
            "the breaker of lathes is open: worn out",
            "1 wait for a decision: mode_propose, lathes:fake_act",
        ]
        doctor("--endpoint", server.url, "doctor", "--remote", "--strict", code=1)


def test_a_service_that_does_not_run(doctor: Doctor, tmp_path: Path) -> None:
    with serving(tmp_path / "state") as server:
        config = {"tables": {"t": {"path": str(tmp_path / "gone.csv"), "columns": ["x"]}}, "poll_time": 0.2}
        server.request("POST", "/v1/cloud-services", {"name": "missing", "driver": "files", "config": config})
        server.ok("POST", "/v1/policies", {"name": "reads", "rules": [{"rule": "p(x) :- missing:t(x)"}]})
        deadline = time.monotonic() + 30
        while True:
            found = doctor("--endpoint", server.url, "doctor", "--remote", code=0)
            if states(found)["services"] != {OK}:
                break
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert "missing" in found["services"][0][1]
        assert "missing" in found["services"][0][2]


def test_a_login_that_is_none(doctor: Doctor, tmp_path: Path) -> None:
    write_users(tmp_path)
    files = f"users_file = {tmp_path / 'users'}\nroles_file = {tmp_path / 'roles'}\n"
    config = _write(tmp_path, f"auth_strategy = http_basic\nstate_path = {tmp_path}/state\n[http_basic]\n{files}")
    with serving(tmp_path / "state", "--config-file", config) as server:
        found = doctor("--endpoint", server.url, "doctor", "--config-file", config, code=1)
        assert found["configuration"][0][0] == OK
        [(state, _, hint)] = found["login"]
        assert (state, "--user" in hint) == (ERROR, True)
        assert "services" not in found


def test_clocks() -> None:
    now = 1_900_000_000.0
    headers = {"Date": formatdate(now - 3, usegmt=True)}
    assert compared("clock", "its", headers, now).state == OK
    behind = compared("clock", "the server's clock", {"Date": formatdate(now - 30, usegmt=True)}, now)
    assert (behind.state, behind.detail) == (WARNING, "the server's clock is 30 seconds behind this machine's")
    ahead = compared("clock", "it", {"Date": formatdate(now + 3600, usegmt=True)}, now)
    assert (ahead.state, "3600 seconds ahead of" in ahead.detail) == (ERROR, True)
    assert compared("clock", "it", {}, now).state == SKIPPED


def test_the_clock_of_keystone() -> None:
    late = formatdate(time.time() - 7200, usegmt=True)
    with scripted(answer("{}", "300 Multiple Choices", Date=late)) as keystone:
        there, clock = check_keystone(keystone.url)
    assert (there.state, clock.state, clock.check) == (OK, ERROR, "Keystone's clock")
    [finding] = check_keystone("http://127.0.0.1:9")
    assert (finding.check, finding.state) == ("Keystone", ERROR)


def test_a_check_that_fails_itself_is_told_and_the_others_go_on() -> None:
    def check() -> Iterator[Finding]:
        yield Finding("c", OK, "first")
        raise ZeroDivisionError("oh")

    assert [(one.state, one.detail) for one in examine("c", check)] == [(OK, "first"), (ERROR, "ZeroDivisionError: oh")]


@pytest.mark.broker
def test_the_broker_and_who_is_on_the_bus(doctor: Doctor, tmp_path: Path) -> None:
    reason = missing()
    if reason:
        require_or_skip("broker", reason)
    broker = Broker(tmp_path)
    broker.start()
    try:
        config = _write(tmp_path, f"state_path = {tmp_path}/state\ntransport_url = {broker.url}\n")
        words = ("doctor", "--local", "--config-file", config)
        found = doctor(*words)
        assert (states(found)["broker"], states(found)["parts"]) == ({OK}, {WARNING})
        assert "_drivers" in found["parts"][0][1]
        with serving(tmp_path / "state", "--config-file", config, "--node-id", "all"):
            assert doctor(*words)["parts"] == [(OK, "all are on the bus, in all", "")]
    finally:
        broker.stop()
    [(state, _, hint)] = doctor(*words, code=1)["broker"]
    assert (state, "transport_url" in hint) == (ERROR, True)


LOGIN: dict[str, Any] = {
    "auth_url": "http://127.0.0.1:9/v3", "username": "u", "password": "p", "project_name": "p",
}  # fmt: skip


def _write(folder: Path, text: str) -> str:
    file = folder / "congress.conf"
    file.write_text("[DEFAULT]\n" + text)
    return str(file)
