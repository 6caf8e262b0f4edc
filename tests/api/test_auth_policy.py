# SPDX-License-Identifier: Apache-2.0
"""Rules: their defaults, what a policy file changes, and what happens to one that is wrong."""

import json
import logging
import os
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
from oslo_policy import generator, policy

from congress.api.auth.identity import LOCAL, NOBODY, Identity
from congress.api.auth.policy import PolicyAuthorizer, PolicyFileError
from congress.api.auth.registered import get_enforcer, list_rules
from congress.api.auth.sample import sample_text
from congress.conf import load
from tests.api.auth import authorizer

ROOT = Path(__file__).parents[2]
CREATE, ADD, READ = "congress:policies:create", "congress:cloud-services:create", "congress:policies:list"


def somebody(*roles: str, **more: Any) -> Identity:
    return Identity(user_id="1", user_name="ann", roles=roles, **more)


@pytest.mark.parametrize(
    ("identity", "passes"),
    [
        (NOBODY, []),
        (somebody(), []),
        (somebody("reader"), [READ]),
        (somebody("member"), [READ, CREATE]),
        (somebody("admin"), [READ, CREATE, ADD]),
        (somebody("Admin"), [READ, CREATE, ADD]),
        (somebody("administrator", "superadmin"), []),
        (somebody("reader", trusted=False), []),
        (somebody("member", "reader", trusted=False), []),
        (somebody("admin", trusted=False), [READ, CREATE, ADD]),
        (LOCAL, [READ, CREATE, ADD]),
    ],
)
def test_defaults(identity: Identity, passes: list[str]) -> None:
    rules = authorizer()
    assert [rule for rule in (READ, CREATE, ADD) if rules.allows(rule, identity, {})] == passes


def test_what_is_open() -> None:
    rules = authorizer()
    assert rules.is_open("congress:health:live:get")
    assert rules.is_open("congress:versions:list")
    assert not rules.is_open(READ)
    assert not rules.is_open("congress:nothing:get")
    assert not rules.allows("congress:nothing:get", somebody("admin"), {})


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_a_file_changes_a_rule(tmp_path: Path, form: str) -> None:
    said = {ADD: "rule:ops", "ops": "role:ops", READ: "@"}
    file = tmp_path / f"policy.{form}"
    file.write_text(json.dumps(said))  # which is YAML as well
    conf = tmp_path / "congress.conf"
    conf.write_text(f"[oslo_policy]\npolicy_file = policy.{form}\n")
    rules = PolicyAuthorizer(load([], files=[str(conf)]).options, list_rules())
    assert rules.allows(ADD, somebody("ops"), {})
    assert not rules.allows(ADD, somebody("admin"), {})
    assert rules.is_open(READ)
    assert rules.allows(CREATE, somebody("member"), {})


def test_rules_can_ask_what_it_is_about(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("'congress:policies:rules:create': 'role:member and user_name:%(policy)s'\n")
    rules = authorizer(tmp_path)
    assert rules.allows("congress:policies:rules:create", somebody("member"), {"policy": "ann"})
    assert not rules.allows("congress:policies:rules:create", somebody("member"), {"policy": "bob"})
    assert not rules.allows("congress:policies:rules:create", somebody("member"), {})


def test_files_are_read_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    rules = authorizer(tmp_path, clock=lambda: now[0])
    file = tmp_path / "policy.yaml"
    assert not rules.allows(ADD, somebody("member"), {})
    file.write_text(f"'{ADD}': 'rule:member'\n")
    now[0] += 2
    assert rules.allows(ADD, somebody("member"), {})

    def kept(text: str, mode: int, word: str) -> None:
        caplog.clear()
        file.write_text(text)
        file.chmod(mode)
        now[0] += 2
        with caplog.at_level(logging.ERROR):
            assert rules.allows(ADD, somebody("member"), {})
            assert not rules.allows(ADD, somebody("reader"), {})
        assert "authorization.kept_old_rules" in caplog.text
        assert word in caplog.text

    kept("a: b: c", 0o600, "cannot be read")
    kept(f"'{ADD}': 'rule:nowhere'\n", 0o600, "do not exist")
    kept(f"'{ADD}': 'rule:reader'\n", 0o666, "others than its owner")
    file.chmod(0o600)
    now[0] += 2
    assert rules.allows(ADD, somebody("reader"), {})
    file.unlink()
    now[0] += 2
    assert not rules.allows(ADD, somebody("reader"), {})


def test_a_folder_of_rules(tmp_path: Path) -> None:
    now = [0.0]
    rules = authorizer(tmp_path, clock=lambda: now[0])
    (tmp_path / "policy.d").mkdir()
    (tmp_path / "policy.d" / "10.yaml").write_text(f"'{ADD}': 'rule:member'\n")
    now[0] += 2
    assert rules.allows(ADD, somebody("member"), {})
    assert rules.allows(CREATE, somebody("member"), {})


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("a: b: c", "cannot be read"),
        ("[1, 2]", "cannot be read"),
        ("'congress:policies:create': 'rule:nowhere'", "do not exist"),
        ("{'x': 'rule:y', 'y': 'rule:x'}", "circles"),
        ("'congress:policies:make': 'rule:member'", "no route asks for: congress:policies:make"),
    ],
)
def test_a_daemon_does_not_start_with_a_wrong_file(tmp_path: Path, text: str, word: str) -> None:
    (tmp_path / "policy.yaml").write_text(text)
    with pytest.raises(PolicyFileError, match=word):
        authorizer(tmp_path)


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    conf = tmp_path / "congress.conf"
    conf.write_text("[oslo_policy]\npolicy_file = mine.yaml\n")
    with pytest.raises(PolicyFileError, match=r"mine\.yaml, which is not there"):
        PolicyAuthorizer(load([], files=[str(conf)]).options, list_rules())


def test_the_sample_is_up_to_date() -> None:
    kept = (ROOT / "etc" / "congress" / "policy.yaml.sample").read_text(encoding="utf-8")
    assert kept == sample_text(), "run: python -m congress.api.auth.sample > etc/congress/policy.yaml.sample"


def test_the_sample_is_a_policy_file_that_changes_nothing(tmp_path: Path) -> None:
    lines = [line.removeprefix("#") for line in sample_text().splitlines() if line.startswith('#"')]
    (tmp_path / "policy.yaml").write_text("\n".join(lines))
    rules = policy.Rules.load("\n".join(lines))
    assert {name: str(check) for name, check in rules.items()} == {r.name: str(r.check) for r in list_rules()}


def test_the_file_shown_in_the_docs_does_what_it_says(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "howto" / "secure.rst").read_text(encoding="utf-8")
    [block] = re.findall(r"code-block:: yaml\n\n((?:   .*\n|\n)+)", page)
    (tmp_path / "policy.yaml").write_text(textwrap.dedent(block))
    rules = authorizer(tmp_path)
    assert rules.is_open("congress:metrics:get")
    assert not rules.allows(CREATE, somebody("member"), {})
    push = "congress:cloud-services:tables:rows:update"
    assert rules.allows(push, somebody("member"), {"service": "inventory", "table": "t"})
    assert not rules.allows(push, somebody("member"), {"service": "other", "table": "t"})
    assert rules.allows(push, somebody("admin"), {"service": "other", "table": "t"})


def test_the_tools_of_oslo_policy_find_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = tmp_path / "sample.yaml"
    generator.generate_sample(["--namespace", "congress", "--output-file", str(made)])
    text = made.read_text()
    assert '#"congress:policies:create": "rule:member"' in text
    assert "# POST  /v1/policies" in text
    monkeypatch.setenv("HOME", str(tmp_path))
    enforcer = get_enforcer()
    assert enforcer.registered_rules[CREATE].check_str == "rule:member"
    assert not os.path.exists(enforcer.policy_file)
