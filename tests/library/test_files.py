# SPDX-License-Identifier: Apache-2.0
"""Files of library policies, and the command that loads them."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from congress.cmd.db import main
from congress.db.database import Database
from congress.db.library import LibraryStore
from congress.library.documents import record_of, view_of
from congress.library.errors import LibraryFileError, LibraryPolicyInvalid
from congress.library.files import SHIPPED, first_filling, gathered, read_file, read_folder
from congress.policy.errors import InvalidPolicyName, MultipleRules, PolicyNameRequired, RuleInvalid

OLD = """\
---
name: Old
description: "as operators have them"
depends-on:
  - SecurityGroups
rules:
  -
    comment: "User should customize this."
    rule: permitted_flavor('m1.tiny')
  -
    rule: >
      bad(id) :- nova:servers(id=id,flavor_id=flavor_id),
      nova:flavors(id=flavor_id, name=flavor), not permitted_flavor(flavor)
"""


def test_a_file_of_old(tmp_path: Path) -> None:
    path = tmp_path / "old.yaml"
    path.write_text(OLD)
    record = read_file(path)
    assert (record.name, record.abbreviation, record.kind, record.depends_on) == (
        "Old", "Old", "nonrecursive", ("SecurityGroups",),
    )  # fmt: skip
    assert [set(rule) for rule in record.rules] == [{"comment", "rule"}, {"rule"}]
    assert view_of(record)["depends-on"] == ["SecurityGroups"]


def test_json_too(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"name": "a", "rules": [{"rule": "p(1)"}]}))
    assert read_folder(tmp_path)[0].rules == ({"rule": "p(1)"},)


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({}, PolicyNameRequired),
        ({"name": "", "rules": []}, PolicyNameRequired),
        ({"name": "a:b", "rules": []}, InvalidPolicyName),
        ({"name": "a"}, LibraryPolicyInvalid),
        ({"name": "a", "rules": "p(1)"}, LibraryPolicyInvalid),
        ({"name": "a", "rules": ["p(1)"]}, LibraryPolicyInvalid),
        ({"name": "a", "rules": [{"rule": 1}]}, LibraryPolicyInvalid),
        ({"name": "a", "rules": [{"rule": "p(1)", "why": ""}]}, LibraryPolicyInvalid),
        ({"name": "a", "rules": [{"rule": "p(1)", "name": "n" * 256}]}, LibraryPolicyInvalid),
        ({"name": "a", "rules": [], "description": 1}, LibraryPolicyInvalid),
        ({"name": "a", "rules": [], "depends-on": "b"}, LibraryPolicyInvalid),
        ({"name": "a", "rules": [], "depends-on": [1]}, InvalidPolicyName),
        ({"name": "a", "rules": [], "colour": "red"}, LibraryPolicyInvalid),
        ({"name": "a", "rules": [{"rule": "p(1) q(1)"}]}, MultipleRules),
        ({"name": "a", "rules": [{"rule": ""}]}, RuleInvalid),
        ({"name": "a", "rules": [{"rule": "p("}, {"rule": "q)"}]}, RuleInvalid),
    ],
)
def test_wrong_documents(document: dict[str, Any], error: type[Exception], tmp_path: Path) -> None:
    with pytest.raises(error):
        record_of(document)
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(document))
    with pytest.raises(LibraryFileError, match=r"wrong\.json"):
        read_file(path)


def test_all_findings_of_all_rules_are_told() -> None:
    with pytest.raises(RuleInvalid) as caught:
        record_of({"name": "a", "rules": [{"rule": "p("}, {"rule": "q)"}]})
    assert len(caught.value.data["diagnostics"]) == 2


def test_files_that_cannot_be_used_leave_the_others_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.yaml").write_text("name: [")
    (tmp_path / "b.yaml").write_text(OLD)
    (tmp_path / "c.yaml").write_text(OLD)
    (tmp_path / "d.txt").write_text("no policy")
    (tmp_path / "e.yaml").write_text("- a list")
    with caplog.at_level(logging.ERROR):
        names = [record.name for record in first_filling(tmp_path)]
    assert names.count("Old") == 1
    assert len(names) == 12
    assert [Path(message.split("error=")[1].split()[0].rstrip(":")).name for message in caplog.messages] == [
        "a.yaml", "c.yaml", "e.yaml",
    ]  # fmt: skip
    with pytest.raises(LibraryFileError, match=r"a\.yaml"):
        read_folder(tmp_path)
    with pytest.raises(LibraryFileError, match="cannot read the folder"):
        read_folder(tmp_path / "nowhere")


def test_own_files_go_first(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(OLD.replace("Old", "BadFlavors"))
    for found in (first_filling(tmp_path), gathered([tmp_path, SHIPPED])):
        assert len(found) == 11
        assert [r.description for r in found if r.name == "BadFlavors"] == ["as operators have them"]


def test_two_files_of_one_name(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(OLD)
    with pytest.raises(LibraryFileError, match=r"b\.yaml has the name of another file: Old"):
        read_folder(tmp_path)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state, folder = ["--state-path", str(tmp_path / "state")], tmp_path / "own"
    folder.mkdir()
    (folder / "old.yaml").write_text(OLD)
    assert main(["load-library", *state]) == 0
    assert "11 policies added to the library, 0 replaced, 0 left" in capsys.readouterr().out
    assert main(["load-library", "--folder", str(folder), *state]) == 0
    assert "1 policies added to the library, 0 replaced, 0 left" in capsys.readouterr().out
    (folder / "old.yaml").write_text(OLD.replace("as operators have them", "newer"))
    assert main(["load-library", "--folder", str(folder), *state]) == 0
    assert "0 policies added to the library, 0 replaced, 1 left" in capsys.readouterr().out
    assert main(["load-library", "--replace", "--folder", str(folder), *state]) == 0
    assert "0 policies added to the library, 1 replaced, 0 left" in capsys.readouterr().out
    (folder / "old.yaml").write_text("name: 1")
    assert main(["load-library", "--replace", "--folder", str(folder), *state]) == 1
    assert "old.yaml" in capsys.readouterr().err
    configuration = tmp_path / "congress.conf"
    configuration.write_text(f"[DEFAULT]\npolicy_library_path = {folder}\n")
    (folder / "old.yaml").write_text(OLD.replace("Old", "Older"))
    assert main(["load-library", *state, "--config-file", str(configuration)]) == 0
    assert "1 policies added to the library, 0 replaced, 11 left" in capsys.readouterr().out
    database = Database(f"sqlite:///{tmp_path}/state/congress.sqlite")
    library = LibraryStore(database)
    assert library.find("Old").description == "newer"
    assert len(library.all()) == 13
    database.close()
