# SPDX-License-Identifier: Apache-2.0
"""The policies that come with the package: they do what they say, on the tables and actions that drivers have."""

import re
from pathlib import Path
from typing import Final

import pytest

from congress.cloudservices.catalog import DriverCatalog
from congress.cmd.cli import main
from congress.datalog import syntax
from congress.datalog.schema import Column, TableSchema
from congress.db.library import LibraryRecord
from congress.library.files import SHIPPED, paths_of, read_file, read_folder
from congress.policy.policies import parse_one
from congress.tools.policyfiles import read_policies
from congress.tools.policytests import read_test_file
from congress.tools.workspace import build
from tests.docs.pages import DOCS, run_page

CASES = Path(__file__).parent / "cases"
DRIVERS: Final = {"nova": "nova", "neutronv2": "neutronv2", "glancev2": "glancev2", "keystonev3": "keystonev3"}
NAMES: Final = {
    "BadFlavors", "CrossProjectNetwork", "DisallowedServerImages", "NetworkGateway", "PauseBadFlavors",
    "PauseDisallowedServerImages", "SecurityGroups", "TagBasedNetworkSecurityZone", "UnsafeTraffic", "VolumeEncryption",
    "VolumeEncryptionPauseServer",
}  # fmt: skip
# As OpenStack Congress published them; there is no such driver here yet.
CINDER: Final = {
    "volumes": "id size user_id status description name bootable created_at volume_type encrypted availability_zone "
    "replication_status multiattach snapshot_id source_volid consistencygroup_id migration_status",
    "attachments": "volume_id server_id attachment_id host_name device",
}


def schemas() -> dict[str, dict[str, TableSchema]]:
    """The tables of the services that the policies read, under the services' usual names."""
    found = {name: dict(DriverCatalog().load(driver).TABLES) for name, driver in DRIVERS.items()}
    kinds = {"encrypted": "boolean"}
    found["cinder"] = {
        table: TableSchema(tuple(Column(column, kinds.get(column, "any")) for column in columns.split()))
        for table, columns in CINDER.items()
    }
    return found


def rules_of(record: LibraryRecord) -> list[syntax.Rule]:
    return [parse_one(rule["rule"], record.name) for rule in record.rules]


def test_the_policies_of_old_are_there() -> None:
    assert {record.name for record in read_folder(SHIPPED)} == NAMES


def test_they_are_packaged() -> None:
    assert "congress.library = policies/*.yaml" in (DOCS.parent / "setup.cfg").read_text(encoding="utf-8")


def test_their_policy_tests_pass_and_leave_no_rule_out(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["test", str(CASES), "--fail-under", "100"])
    printed = capsys.readouterr().out
    assert code == 0, printed
    assert " 0 failed" in printed


def test_each_has_policy_tests() -> None:
    tested = {path.resolve() for file in CASES.glob("*_test.yaml") for path in read_test_file(file).policies}
    assert {path.resolve() for path in paths_of(SHIPPED)} == tested
    named = " ".join(file.read_text(encoding="utf-8") for file in CASES.glob("*_test.yaml"))
    assert not [name for name in NAMES if f"{name}:" not in named]


def test_rules_fit_the_tables_of_the_drivers() -> None:
    workspace = build(read_policies(paths_of(SHIPPED)), schemas(), 0.0)
    findings = [finding.message for finding in workspace.findings()]
    # The one table that is left to whoever adapts the policy.
    assert [
        message for message in findings if not message.endswith("derives TagBasedNetworkSecurityZone:zone_project")
    ] == []
    states = {rule_id: workspace.engine.status(rule_id).state for rule_id in workspace.rules}
    assert set(states.values()) == {"active"}


def test_the_tables_of_the_policy_tests_are_those_of_the_drivers() -> None:
    real = schemas()
    for file in CASES.glob("*_test.yaml"):
        for service, tables in read_test_file(file).schema.items():
            for table, columns in tables.items():
                names = tuple(column if isinstance(column, str) else column["name"] for column in columns)
                assert names == real[service][table].names, f"{file.name}: {service}:{table}"


def test_actions_are_those_of_the_drivers() -> None:
    login = {"auth_url": "http://127.0.0.1:1", "username": "u", "password": "p", "project_name": "x"}
    actions = {
        (service, action.name): action
        for service, driver in DRIVERS.items()
        for action in DriverCatalog().load(driver)(service, login).actions()
    }
    used = [rule.head.atom for record in read_folder(SHIPPED) for rule in rules_of(record)
            if isinstance(rule.head, syntax.Modal)]  # fmt: skip
    assert used
    for atom in used:
        assert len(atom.args) == len(actions[atom.service, atom.table].arguments)
        assert not atom.named


@pytest.mark.parametrize("path", paths_of(SHIPPED), ids=lambda path: path.stem)
def test_descriptions_tell_what_was_wrong(path: Path) -> None:
    record = read_file(path)
    assert re.search(r"\bold (policy|language)\b", record.description)
    assert all(set(rule) <= {"rule", "name", "comment"} for rule in record.rules)
    for needed in record.depends_on:
        assert needed in NAMES
    read = {
        item.atom.service for rule in rules_of(record) for item in rule.body if isinstance(item, syntax.Literal)
    } & NAMES  # fmt: skip
    assert read <= set(record.depends_on)


def test_each_has_a_page() -> None:
    pages = {path.stem: path.read_text(encoding="utf-8") for path in (DOCS / "reference" / "library").glob("*.rst")}
    assert pages.keys() == NAMES
    for name, text in pages.items():
        assert f".. declared-library:: {name}\n" in text


def test_the_page_of_the_library_works(tmp_path: Path) -> None:
    assert run_page(DOCS / "reference" / "library.rst", tmp_path) == 4
