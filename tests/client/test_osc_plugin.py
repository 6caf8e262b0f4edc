# SPDX-License-Identifier: Apache-2.0
"""Our commands in OpenStackClient, beside those of python-congressclient."""

import importlib.metadata
import json
from collections.abc import Iterator

import pytest

from congress.client import Connection
from congress.cmd.cli import main
from tests.api.auth import PASSWORD, write_users
from tests.client.old_client import OldClient
from tests.server.daemon import Server, serving

OURS = "openstack.congress.v1"


def entries(group: str) -> dict[str, str]:
    return {entry.name.replace("_", " "): entry.value for entry in importlib.metadata.entry_points(group=group)}


@pytest.fixture
def openstack(server: Server) -> OldClient:
    return OldClient(["--os-auth-type", "none", "--os-endpoint", server.url])


def test_no_command_takes_the_name_of_another() -> None:
    everything = {entry.group for one in importlib.metadata.distributions() for entry in one.entry_points}
    groups = {group for group in everything if group.startswith("openstack.")}
    others = {name for group in groups - {OURS} for name in entries(group)}
    assert "congress policy list" in others
    assert not entries(OURS).keys() & others


def test_every_command_that_talks_to_a_daemon_is_there() -> None:
    ours, old = entries(OURS), entries("openstack.congressclient.v1")
    for name, value in entries("congress.cli").items():
        if ".online." in value and f"congress {name}" not in old:
            assert ours.pop(f"congress {name}") == value
    assert not ours


def test_they_work_without_authentication(openstack: OldClient, cloud: Connection) -> None:
    cloud.policies.create("osc", rules=["low(x) :- item(x, n), n < 5", 'item("nut", 1)'])
    cloud.cloud_services.create("osctoys", "fake")
    assert openstack.run("why", "osc:low", "nut").startswith('osc:low("nut")   by rule ')
    code, out, err = openstack.attempt("why", "osc:low", "fig")
    assert (code, out) == (1, "")
    assert "why-not" in err
    assert 'osc:low("fig") does not hold' in openstack.run("why-not", "osc:low", "fig")
    assert openstack.run("watch", "osc:low", "--count", "1") == '+ osc:low("nut")\n'
    assert openstack.run("preview", "osc", "--rule", 'item("fig", 2)').splitlines() == [
        '+ osc:item("fig", 2)',
        '+ osc:low("fig")',
    ]
    execution = openstack.run("execute", "osctoys:fake_act", "x", "--wait", "30").strip()
    assert openstack.shown("execution show", execution)["state"] == "succeeded"
    assert openstack.shown("guard show", "--policy", "osc")[0]["setting"] == "mode"
    assert "BadFlavors" in {row["name"] for row in openstack.shown("library list")}
    assert openstack.shown("policy status", "osc")["rules"]["active"] == 2
    code, out, err = openstack.attempt("policy status", "nothing")
    assert (code, out) == (5, "")
    assert "there is no policy 'nothing'" in err


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("basic")
    write_users(folder)
    files = f"users_file = {folder / 'users'}\nroles_file = {folder / 'roles'}\n"
    (folder / "congress.conf").write_text(f"[DEFAULT]\nauth_strategy = http_basic\n[http_basic]\n{files}")
    with serving(folder / "state", "--config-file", str(folder / "congress.conf")) as made:
        yield made


def test_they_work_with_a_password(secured: Server) -> None:
    login = ["--os-auth-type", "http_basic", "--os-endpoint", secured.url, "--os-password", PASSWORD, "--os-username"]
    assert OldClient([*login, "reader"]).shown("service list") == []
    code, _, err = OldClient([*login, "reader"]).attempt("library delete", "BadFlavors")
    assert code == 4
    assert "next: Ask whoever runs this server" in err
    code, _, err = OldClient([*login, "nobody"]).attempt("library list")
    assert code == 4


def test_the_command_of_our_own_logs_in_too(secured: Server, capsys: pytest.CaptureFixture[str]) -> None:
    who = ["--endpoint", secured.url, "--user", "member", "--password", PASSWORD]
    assert main([*who, "policy", "create", "logged", "--rule", "p(1)", "-f", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "logged"
    assert main([*who, "watch", "logged:p", "--count", "1"]) == 0
    assert capsys.readouterr().out == "+ logged:p(1)\n"
    assert main([*who[:-1], "wrong", "policy", "list"]) == 4
