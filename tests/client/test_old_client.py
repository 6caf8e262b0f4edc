# SPDX-License-Identifier: Apache-2.0
"""python-congressclient, unmodified, against our server: every command, with every way to log in."""

import base64
import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.api.auth import PASSWORD, write_users
from tests.client.old_client import BROKEN, OldClient, admin, errors, of_its_time, walk
from tests.server.daemon import Server, serving

OPENSTACK = Path(sys.executable).parent / "openstack"


def commands() -> set[str]:
    """Every command of the old client, without the word congress."""
    entries = importlib.metadata.entry_points(group="openstack.congressclient.v1")
    return {entry.name.replace("_", " ").removeprefix("congress ") for entry in entries}


def none(url: str) -> list[str]:
    return ["--os-auth-type", "none", "--os-endpoint", url]


def basic(url: str, user: str = "admin", password: str = PASSWORD) -> list[str]:
    return ["--os-auth-type", "http_basic", "--os-endpoint", url, "--os-username", user, "--os-password", password]


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A daemon with a password file."""
    folder = tmp_path_factory.mktemp("basic")
    write_users(folder)
    (folder / "congress.conf").write_text(
        f"[DEFAULT]\nauth_strategy = http_basic\n"
        f"[http_basic]\nusers_file = {folder / 'users'}\nroles_file = {folder / 'roles'}\n"
    )
    with serving(folder / "state", "--config-file", str(folder / "congress.conf")) as made:
        yield made


def test_every_command_without_authentication(server: Server, tmp_path: Path) -> None:
    client = OldClient(none(server.url))
    walk(client, server.ok, tmp_path, "open")
    assert client.done == commands()
    errors(client)


def test_every_command_with_a_password(secured: Server, tmp_path: Path) -> None:
    client = OldClient(basic(secured.url))
    token = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
    walk(client, admin(secured, {"Authorization": f"Basic {token}"}), tmp_path, "basic")
    assert client.done == commands()
    errors(client)


def test_a_wrong_password_and_a_small_role(secured: Server) -> None:
    code, _, err = OldClient(basic(secured.url, password="wrong")).attempt("policy list")
    assert code == 1
    assert "(HTTP 401)" in err
    reader = OldClient(basic(secured.url, "reader"))
    assert reader.shown("policy list")
    code, _, err = reader.attempt("policy create", "forbidden")
    assert code == 1
    assert "(HTTP 403)" in err


def test_what_fails_in_the_client_itself_fails_nowhere_else(server: Server, tmp_path: Path) -> None:
    """The four commands that no server can make work fail before, or after, everything was right."""
    client = OldClient(none(server.url))
    (tmp_path / "p.yaml").write_text("name: unread_file\nrules: []\n")
    server.ok("POST", "/v1/data-sources", {"name": "unread", "driver": "fake_datasource"})
    words = (str(tmp_path / "p.yaml"), "unread", "unread", "nova")
    for command, word in zip(BROKEN, words, strict=True):
        code, _, err = client.attempt(command, word)
        assert code == 1, command
        assert "Loader" in err or "iteritems" in err, command
    with of_its_time():
        for command, word in zip(BROKEN, words, strict=True):
            client.run(command, word)


WAYS = {
    "a cloud of clouds.yaml": (["--os-cloud", "mine"], {"OS_CLIENT_CONFIG_FILE": "FILE"}),
    "the environment": ([], {"OS_AUTH_TYPE": "none", "OS_ENDPOINT": "URL"}),
    "an administrator's token": (["--os-auth-type", "admin_token", "--os-endpoint", "URL", "--os-token", "t"], {}),
    "a token and an endpoint": (["--os-token", "t", "--os-endpoint", "URL"], {}),
    "an endpoint with a slash": (["--os-auth-type", "none", "--os-endpoint", "URL/"], {}),
}


@pytest.mark.parametrize("way", WAYS)
def test_other_ways_to_say_where(server: Server, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options, environment = WAYS[way]
    file = tmp_path / "clouds.yaml"
    file.write_text(f"clouds: {{mine: {{auth_type: none, auth: {{endpoint: '{server.url}'}}}}}}")
    for name, value in environment.items():
        monkeypatch.setenv(name, value.replace("URL", server.url).replace("FILE", str(file)))
    client = OldClient([option.replace("URL", server.url) for option in options])
    assert {"action", "classification"} <= {row["name"] for row in client.shown("policy list")}
    assert client.shown("version list")[0]["id"] == "v1"


@pytest.mark.parametrize("auth", ["none", "http_basic"])
def test_the_program_itself(server: Server, secured: Server, auth: str) -> None:
    options: Sequence[str] = none(server.url) if auth == "none" else basic(secured.url)
    environment: Mapping[str, str] = {k: v for k, v in os.environ.items() if not k.startswith("OS_")}
    done = subprocess.run(
        [str(OPENSTACK), *options, "congress", "policy", "list", "-f", "value", "-c", "name"],
        env=environment, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert {"action", "classification"} <= set(done.stdout.split())
