# SPDX-License-Identifier: Apache-2.0
"""The clients behind a real Keystone and its catalogue: the old one, ours, and ours in OpenStackClient."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from congress.client import connect
from congress.cmd.cli import main
from tests.client.old_client import OldClient, admin, errors, walk
from tests.client.test_old_client import commands
from tests.openstack.raw import Raw
from tests.openstack.stage import Stage
from tests.server.daemon import Server, serving

pytestmark = pytest.mark.openstack


@pytest.fixture(scope="module")
def secured(raw: Raw, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A daemon that asks Keystone, with the cloud's administrator as its service user."""
    folder = tmp_path_factory.mktemp("clients")
    cloud = yaml.safe_load(raw.file.read_text())["clouds"][raw.cloud]
    auth = cloud["auth"]
    options = {
        # Other tests put a Keystone of their own into the catalogue, in a region of theirs.
        "region_name": cloud["region_name"],
        "auth_type": "password",
        "auth_url": raw.auth_url,
        "www_authenticate_uri": raw.auth_url,
        "username": auth["username"],
        "password": auth["password"],
        "project_name": auth["project_name"],
        "user_domain_name": auth.get("user_domain_name", "Default"),
        "project_domain_name": auth.get("project_domain_name", "Default"),
    }
    lines = [f"{name} = {value}" for name, value in options.items()]
    text = "\n".join(["[DEFAULT]", "auth_strategy = keystone", "[keystone_authtoken]", *lines])
    (folder / "congress.conf").write_text(text + "\n")
    with serving(folder / "state", "--config-file", str(folder / "congress.conf")) as made:
        yield made


@pytest.fixture(scope="module")
def clouds(raw: Raw, stage: Stage, secured: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clouds.yaml with ``mine``: a region of our own, in which the catalogue knows the daemon; not ``elsewhere``."""
    region = f"{stage.name}-clients"
    stage.make("identity", "/regions", "region", id=region)
    policy = stage.make("identity", "/services", "service", type="policy", name=region)
    endpoint = {"service_id": policy["id"], "interface": "public", "region_id": region, "url": secured.url}
    stage.make("identity", "/endpoints", "endpoint", **endpoint)
    mine = dict(yaml.safe_load(raw.file.read_text())["clouds"][raw.cloud])
    file = tmp_path_factory.mktemp("clouds") / "clouds.yaml"
    mine["auth_type"] = "password"
    file.write_text(yaml.safe_dump({"clouds": {"mine": mine | {"region_name": region}, "elsewhere": mine}}))
    return file


@pytest.fixture(autouse=True)
def mine(clouds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(clouds))
    for name in ("OS_CLOUD", "OS_AUTH_TYPE", "OS_AUTH_URL", "OS_ENDPOINT", "OS_TOKEN", "CONGRESS_URL"):
        monkeypatch.delenv(name, raising=False)


def token(raw: Raw) -> str:
    return str(raw.http.headers["X-Auth-Token"])


def test_every_command_of_the_old_client(secured: Server, raw: Raw, tmp_path: Path) -> None:
    client = OldClient(["--os-cloud", "mine"])
    walk(client, admin(secured, {"X-Auth-Token": token(raw)}), tmp_path, "cloud")
    assert client.done == commands()
    errors(client)


def test_the_old_client_with_options_and_with_a_token(
    clouds: Path, raw: Raw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = yaml.safe_load(clouds.read_text())["clouds"]["mine"]
    place = ["--os-auth-url", raw.auth_url, "--os-region-name", cloud["region_name"]]
    auth = cloud["auth"]
    words = ("username", "password", "project_name", "user_domain_name", "project_domain_name")
    login = [word for name in words for word in (f"--os-{name.replace('_', '-')}", auth[name])]
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "none.yaml"))  # else its only cloud would be taken
    assert OldClient(["--os-auth-type", "password", *place, *login]).shown("policy list")
    scope = ["--os-project-name", auth["project_name"], "--os-project-domain-name", auth["project_domain_name"]]
    login = ["--os-auth-type", "v3token", "--os-token", token(raw), *scope]
    assert OldClient([*login, *place]).shown("policy list")


def test_our_library(monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = connect(cloud="mine")
    cloud.policies.create("librarian", rules=["p(1)"])
    with cloud.follow("librarian:p") as events:
        assert next(iter(events)).rows == ((1,),)  # type: ignore[union-attr]
    monkeypatch.setenv("OS_CLOUD", "mine")
    assert connect().policies.delete("librarian").name == "librarian"


def test_our_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def shown(*words: str) -> Any:
        assert main([*words, "-f", "json"]) == 0
        return json.loads(capsys.readouterr().out)

    assert shown("--os-cloud", "mine", "policy", "create", "typed", "--rule", "p(1)")["name"] == "typed"
    monkeypatch.setenv("OS_CLOUD", "mine")
    assert shown("row", "list", "typed:p")[0] in ({"c0": 1}, {"x": 1})
    assert main(["policy", "delete", "typed"]) == 0
    assert main(["--os-password", "wrong", "policy", "list"]) == 4
    assert "Keystone does not know who asks" in capsys.readouterr().err
    assert main(["--os-cloud", "elsewhere", "policy", "list"]) == 2
    assert "no service of type 'policy'" in capsys.readouterr().err


def test_our_commands_in_openstackclient() -> None:
    client = OldClient(["--os-cloud", "mine"])
    assert "BadFlavors" in {row["name"] for row in client.shown("library list")}
    assert client.run("policy create", "plugged", "-f", "value", "-c", "name") == "plugged\n"
    assert client.shown("policy status", "plugged")["rules"]["active"] == 0
    client.run("policy delete", "plugged")
