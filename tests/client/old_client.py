# SPDX-License-Identifier: Apache-2.0
"""python-congressclient as it is, in OpenStackClient: ``openstack congress ...`` in this process.

A process of its own takes seconds to start; ``openstackclient.shell.main`` is what it runs.
"""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.server.daemon import Server

BROKEN = ("policy create-from-file", "datasource actions show", "datasource schema show", "driver schema show")
"""Commands that fail inside of the client on any Python of today, whatever the server answers.

The first calls PyYAML's ``load_all`` without a loader, which PyYAML 6 refuses; the others call ``dict.iteritems``,
which Python 3 does not have.
"""


class OldClient:
    """Runs its commands with the options of one way to log in."""

    def __init__(self, options: Sequence[str]) -> None:
        self.options = list(options)
        self.done: set[str] = set()

    def run(self, command: str, *words: str) -> str:
        """What a command prints; it must succeed."""
        code, out, err = self.attempt(command, *words)
        assert code == 0, (command, words, out, err)
        self.done.add(command)
        return out

    def shown(self, command: str, *words: str) -> Any:
        """The JSON that a command prints."""
        return json.loads(self.run(command, *words, "-f", "json"))

    def attempt(self, command: str, *words: str) -> tuple[int, str, str]:
        """Exit code, output and errors of a command."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it is of another age
            from openstack.config import defaults  # noqa: PLC0415  # a second, only where they are used
            from openstackclient import shell  # noqa: PLC0415  # as above
            from osc_lib.clientmanager import ClientCache, ClientManager  # noqa: PLC0415  # as below

            # What one login left behind must not meet the next, which usually is in another process.
            defaults._defaults = None
            for cache in vars(ClientManager).values():
                if isinstance(cache, ClientCache):
                    cache._handle = None
            root, out, err = logging.getLogger(), io.StringIO(), io.StringIO()
            handlers, level = list(root.handlers), root.level
            try:
                with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                    code = shell.main([*self.options, "congress", *command.split(), *words])
            finally:
                root.handlers[:], root.level = handlers, level
        return int(code or 0), out.getvalue(), err.getvalue()


@contextlib.contextmanager
def of_its_time() -> Any:
    """PyYAML and dictionaries as the client knew them, for the four commands that cannot do without."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import yaml  # noqa: PLC0415
        from congressclient.common import utils  # noqa: PLC0415
        from congressclient.osc.v1 import policy  # noqa: PLC0415

        class Yaml:
            load_all = staticmethod(yaml.safe_load_all)

        def format_long_dict_list(data: Sequence[Mapping[str, Any]]) -> str:
            return ",\n".join(str({str(key): str(value) for key, value in d.items()}) for d in data) + "\n"

        patch.setattr(policy, "yaml", Yaml)
        patch.setattr(utils, "format_long_dict_list", format_long_dict_list)
        yield


def walk(client: OldClient, server_ok: Callable[..., Any], folder: Path, prefix: str) -> None:
    """Use every command as people did, and look at what each prints.

    :param server_ok: makes a request to the server, for what the old client cannot do.
    """
    run, shown = client.run, client.shown
    assert shown("version list") == [{"id": "v1", "status": "CURRENT", "updated": "2013-08-12T17:42:13Z"}]

    # policies
    name = f"{prefix}_care"
    made = shown("policy create", name, "--description", "of them", "--abbreviation", "car", "--kind", "nonrecursive")
    assert (made["name"], made["description"], made["abbreviation"]) == (name, "of them", "car")
    plain = shown("policy create", f"{prefix}_plain")
    assert (plain["kind"], plain["owner_id"], plain["abbreviation"]) == ("nonrecursive", "user", plain["name"][:5])
    listed = {row["name"]: row for row in shown("policy list")}
    assert listed[name] == {
        "id": made["id"], "name": name, "owner_id": "user", "kind": "nonrecursive", "description": "of them",
    }  # fmt: skip
    assert shown("policy show", name) == shown("policy show", made["id"]) == made
    (folder / "policy.yaml").write_text(
        f"name: {prefix}_file\nrules:\n  - rule: p(1)\n    name: one\n  - rule: q(x) :- p(x)\n"
    )
    with of_its_time():
        from_file = shown("policy create-from-file", str(folder / "policy.yaml"))
    assert from_file["rules"].split() == ["p(1)", "q(x)", ":-", "p(x)"]

    # rules
    rule = shown("policy rule create", name, "error(x) :- item(x, n), n < 5", "--name", "low", "--comment", "too few")
    assert (rule["name"], rule["comment"]) == ("low", "too few")
    fact = shown("policy rule create", name, 'item("nut", 1)')
    assert (
        shown("policy rule show", name, "low")["id"] == shown("policy rule show", name, rule["id"])["id"] == rule["id"]
    )
    text = run("policy rule list", name)
    assert f"// ID: {rule['id']}\n// Name: low\n// too few\nerror(x) :- item(x, n), n < 5\n" in text
    assert f"// ID: {fact['id']}\n" in text

    # tables and rows
    assert {row["id"] for row in shown("policy table list", name)} == {"error", "item"}
    assert shown("policy table show", name, "error")["id"] == "error"
    assert shown("policy row list", name, "error") == [{"Col0": "nut"}]
    assert run("policy row list", name, "error", "--trace").startswith(f'{name}:error("nut")   by rule ')
    answer = run("policy simulate", name, "error(x)", 'item+("fig", 2)', "action")
    assert answer.split() == ['error("fig")', 'error("nut")']
    answer = run("policy simulate", name, "error(x)", 'item+("fig", 2)', "action", "--delta", "--trace")
    assert 'error+("fig")' in answer
    run("policy rule delete", name, "low")
    run("policy rule delete", name, fact["id"])
    assert run("policy rule list", name).split() == []

    # drivers
    drivers = {row["id"] for row in shown("driver list")}
    assert {"nova", "push", "fake_datasource"} <= drivers
    config = shown("driver config show", "nova")
    assert "tables" not in config
    assert "password" in config["secret"]
    with of_its_time():
        assert "servers" in {row["table"] for row in shown("driver schema show", "nova")}

    # data sources
    toys = f"{prefix}_toys"
    made = shown(
        "datasource create", "fake_datasource", toys, "--description", "to play with", "--config", "poll_time=60"
    )
    assert (made["name"], made["driver"], made["description"]) == (toys, "fake_datasource", "to play with")
    listed = {row["name"]: row for row in shown("datasource list")}
    assert (listed[toys]["id"], listed[toys]["enabled"]) == (made["id"], True)
    assert [row["id"] for row in shown("datasource table list", toys)] == ["fake_table"]
    assert shown("datasource table show", made["id"], "fake_table")["id"] == "fake_table"
    assert [row["name"] for row in shown("datasource table schema show", toys, "fake_table")] == ["id", "name"]
    status = shown("datasource status show", toys)
    assert status["initialized"] == "True"
    assert {"last_updated", "last_error", "number_of_updates", "subscribers", "subscriptions"} <= status.keys()
    with of_its_time():
        assert [row["table"] for row in shown("datasource schema show", toys)] == ["fake_table"]
        assert "fake_act" in [row["action"] for row in shown("datasource actions show", toys)]
    run("datasource request-refresh", toys)
    shelf = f"{prefix}_shelf"
    server_ok("POST", "/v1/data-sources", {"name": shelf, "driver": "push", "config": {"tables": {"t": ["x", "y"]}}})
    run("datasource row update", shelf, "t", '[["a", 1], ["b", null]]')
    rows = sorted(shown("datasource row list", shelf, "t"), key=str)
    assert rows == [{"x": "a", "y": 1}, {"x": "b", "y": None}]
    run("datasource row update", shelf, "t", "[]")
    assert run("datasource row list", shelf, "t").split() == []

    # the end
    run("datasource delete", toys)
    run("datasource delete", shelf)
    for policy in (name, plain["id"], f"{prefix}_file"):
        run("policy delete", policy)
    assert not [row for row in shown("policy list") if row["name"].startswith(prefix)]


def errors(client: OldClient) -> None:
    """What people see when something is wrong."""
    code, _, err = client.attempt("policy show", "nothing")
    assert code == 1
    assert "Resource nothing not found" in err
    code, _, err = client.attempt("policy rule create", "classification", "p(x) :- q(y)")
    assert code == 1
    assert "Syntax error for rule::" in err
    assert "(HTTP 400)" in err
    code, _, err = client.attempt("datasource delete", "nothing")
    assert code == 1
    assert "Resource nothing not found" in err


def admin(server: Server, headers: Mapping[str, str]) -> Callable[..., Any]:
    """Requests that must succeed, with these headers."""

    def ok(method: str, path: str, body: Any = None) -> Any:
        status, found, _ = server.request(method, path, body, headers)
        assert status < 300, (method, path, status, found)
        return found

    return ok
