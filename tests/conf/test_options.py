# SPDX-License-Identifier: Apache-2.0
"""Options: described, in the sample, and read from where they may stand."""

import re
from pathlib import Path
from typing import Any

import pytest

from congress.cmd.daemon import Daemon, Parts
from congress.conf import ConfigurationError, list_opts, load
from congress.conf.sample import sample_text

ROOT = Path(__file__).parents[2]
OPTIONS = [(group, option) for group, options in list_opts() for option in options]


@pytest.mark.parametrize(("group", "option"), OPTIONS, ids=lambda value: getattr(value, "dest", value))
def test_every_option_is_described(group: str, option: Any) -> None:
    assert option.help
    assert option.help.rstrip().endswith(".")
    assert option.dest.replace("_", "").isalnum()


def test_the_sample_is_up_to_date() -> None:
    kept = (ROOT / "etc" / "congress" / "congress.conf.sample").read_text(encoding="utf-8")
    assert kept == sample_text(), "run: python -m congress.conf.sample > etc/congress/congress.conf.sample"


def test_the_sample_is_a_configuration(tmp_path: Path) -> None:
    file = tmp_path / "congress.conf"
    lines = [line.removeprefix("#") if re.match(r"#[a-z]", line) else line for line in sample_text().splitlines()]
    file.write_text(
        "\n".join(line for line in lines if "$" not in line and "the name of" not in line), encoding="utf-8"
    )
    assert load([], files=[str(file)]).options.bind_port == 1789


def test_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CONGRESS_STATE_PATH", str(tmp_path))
    configuration = load(["--state-path", str(tmp_path / "here")], files=[])
    options = configuration.options
    assert (options.bind_host, options.bind_port, options.transport_url) == ("127.0.0.1", 1789, "inproc://")
    assert configuration.database_url == f"sqlite:///{tmp_path}/here/congress.sqlite"
    assert configuration.key_file == tmp_path / "here" / "keys"
    assert configuration.needs_state_folder()
    assert configuration.log_level == "INFO"


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ([], "here"),
        (["--api"], "here-api"),
        (["--policy-engine"], "here-policy-engine"),
        (["--datasources", "--api"], "here-api-datasources"),
        (["--datasources", "--api", "--policy-engine"], "here"),
        (["--datasources", "--node-id", "there"], "there"),
    ],
)
def test_processes_on_one_host_have_names_of_their_own(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], name: str
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "here")
    assert load(arguments, files=[]).node_id == name


def test_precedence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "congress.conf"
    file.write_text(
        "[DEFAULT]\nbind_host = ::1\nlog_format = json\nlog_level = error\ntransport_url = rabbit://h/\n"
        "[dse]\nbus_id = mine\n[oslo_messaging_rabbit]\nrabbit_qos_prefetch_count = 7\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("OS_DEFAULT__BIND_PORT", "2")
    monkeypatch.setenv("OS_DEFAULT__BIND_HOST", "127.0.0.2")
    configuration = load(["--bind-port", "3", "--log-level", "warning"], files=[str(file)])
    options = configuration.options
    assert (options.bind_port, options.bind_host, options.log_format) == (3, "127.0.0.2", "json")
    assert configuration.log_level == "WARNING"
    assert options.transport_url == "rabbit://h/"
    assert options.bus.bus_id == "mine"
    assert options.oslo_messaging_rabbit.rabbit_qos_prefetch_count == 7


@pytest.mark.parametrize("text", ["[api]\nthreads = many\n", "[api]\ncall_timeout = -1\n", "what\n"])
def test_wrong_files(tmp_path: Path, text: str) -> None:
    file = tmp_path / "congress.conf"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError):
        load([], files=[str(file)])


@pytest.mark.parametrize("text", ["[DEFAULT]\nbind_port = 99999\n", "[DEFAULT]\nlog_format = xml\n"])
def test_wrong_values_of_what_is_on_the_command_line(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """oslo.config ends the process itself for these, as for a wrong command line."""
    file = tmp_path / "congress.conf"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        load([], files=[str(file)])
    assert ended.value.code == 1
    assert "Invalid" in capsys.readouterr().err


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.conf"):
        load(["--config-file", str(tmp_path / "none.conf")])


def test_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        load(["--no-such-option"])
    assert ended.value.code == 2
    with pytest.raises(SystemExit) as ended:
        load(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert "--state-path" in shown
    assert "OS_API__THREADS" in shown


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_without_authentication_only_loopback(host: str) -> None:
    with pytest.raises(ConfigurationError, match="auth_strategy"):
        Daemon(load(["--bind-host", host], files=[]), Parts()).check()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_is_good(host: str) -> None:
    Daemon(load(["--bind-host", host], files=[]), Parts()).check()


def test_parts_need_a_broker() -> None:
    with pytest.raises(ConfigurationError, match="transport_url"):
        Daemon(load([], files=[]), Parts(api=True, policy_engine=False, datasources=False)).check()


def test_secret_options_are_marked() -> None:
    assert {option.dest for _, option in OPTIONS if option.secret} == {"transport_url", "connection"}
