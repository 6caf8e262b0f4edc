# SPDX-License-Identifier: Apache-2.0
"""A scaffolded driver is a package that installs, passes its own tests, and runs in the daemon."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from congress.cloudservices.errors import InvalidName
from congress.cloudservices.scaffold import FolderInUse, scaffold_driver

SCAFFOLD = [sys.executable, "-m", "congress.cmd.cli", "scaffold", "driver"]
# Asks the manager of a fresh process for the new driver, found by its entry point.
LOOK = """
import json
from congress.cloudservices.catalog import DriverCatalog
catalog = DriverCatalog()
made = catalog.describe("my_cmdb")
print(json.dumps([made["id"], made["kind"], made["secret"], [t["table_id"] for t in made["tables"]],
                  [a["name"] for a in made["actions"]]]))
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scaffold") / "package"
    said = run([*SCAFFOLD, "my_cmdb", str(folder)], dict(os.environ), folder.parent)
    assert "README.rst" in said
    return folder


@pytest.fixture(scope="module")
def environment(package: Path) -> dict[str, str]:
    """Installs the package beside everything that is here; the network is not asked for anything."""
    target = package.parent / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    run([*command, "--target", str(target), str(package)], dict(os.environ))
    return {**os.environ, "PYTHONPATH": str(target), "PYTHONDONTWRITEBYTECODE": "1"}


def run(command: list[str], environment: dict[str, str], folder: Path | None = None) -> str:
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_its_own_tests_pass(package: Path, environment: dict[str, str]) -> None:
    said = run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], environment, package)
    assert "passed" in said
    assert "failed" not in said


def test_it_is_found_by_its_entry_point(environment: dict[str, str], tmp_path: Path) -> None:
    found: list[Any] = json.loads(run([sys.executable, "-c", LOOK], environment, tmp_path))
    assert found == ["my_cmdb", "polling", ["token"], ["things", "tags"], ["things.rename"]]


def test_it_satisfies_the_linter(package: Path, environment: dict[str, str]) -> None:
    pytest.importorskip("ruff")
    ruff = [sys.executable, "-m", "ruff"]
    run([*ruff, "check", "--no-cache", "."], environment, package)
    run([*ruff, "format", "--no-cache", "--check", "."], environment, package)


def test_the_page_documents_the_driver(package: Path) -> None:
    page = (package / "docs" / "my_cmdb.rst").read_text()
    for text in ("The my_cmdb driver", "``url``", "``things.rename(thing: string, name: string)``", "``thing_id``"):
        assert text in page


def test_no_mark_is_left(package: Path) -> None:
    for path in package.rglob("*"):
        if path.is_file() and path.suffix != ".pyc":
            assert not any(mark in path.read_text() for mark in ("@name@", "@Name@", "@NAME@", "@version@")), path
        assert "@" not in path.name
        assert path.suffix != ".in"


@pytest.mark.parametrize("name", ["", "My", "my-cmdb", "1st", "a__b", "policy", "../x", "a" * 41, "push"])
def test_names_that_are_none(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidName):
        scaffold_driver(name, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written = scaffold_driver("my_cmdb")
    assert written[0].parts[0] == "congress-my-cmdb"
    with pytest.raises(FolderInUse):
        scaffold_driver("my_cmdb")
    for name, error in (("my_cmdb", "has something in it already"), ("My", "a driver's name has lower-case")):
        done = subprocess.run([*SCAFFOLD, name], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert error in done.stderr
