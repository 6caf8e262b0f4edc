# SPDX-License-Identifier: Apache-2.0
"""What the page on deployment and the units of systemd say can be used as it stands."""

import configparser
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from congress.cmd.checks.here import check_configuration, sections
from congress.conf import load
from congress.conf.options import PARTS
from tests.docs.pages import DOCS, File, read_page
from tests.requirements import require_or_skip

ROOT = DOCS.parent
UNITS = sorted((ROOT / "etc" / "systemd").glob("*.service"))
CONFIGURATIONS = [step for step in read_page(DOCS / "howto" / "deploy.rst") if isinstance(step, File)]


@pytest.mark.parametrize("file", CONFIGURATIONS, ids=lambda file: file.name)
def test_the_configurations_are_ones(file: File, tmp_path: Path) -> None:
    path = tmp_path / file.name
    path.write_text(file.text.replace("/etc/congress", str(tmp_path)))
    for name in ("users", "roles"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o600)
    configuration = load(["--config-file", str(path)])
    assert [finding.state for finding in check_configuration(configuration)] == ["ok"]
    assert sections(str(path))["DEFAULT"]["auth_strategy"] == "http_basic"


def _unit(path: Path) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names have capitals
    parser.read_string(path.read_text(encoding="utf-8"))
    return parser


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_starts_the_daemon_with_options_that_it_has(path: Path) -> None:
    start = _unit(path)["Service"]["ExecStart"].split()
    assert start[0] == "/opt/congress/bin/congress-server"
    for part in ("api", "policy-engine", "datasources"):
        assert part in {option.name for option in PARTS}
        words = [word.replace("%i", part) for word in start[1:] if not word.startswith(("--config-file", "/etc/"))]
        assert load(words, files=[]).state_path == Path("/var/lib/congress")


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_takes_a_unit(path: Path, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        require_or_skip("systemd", "there is no systemd-analyze on this machine")
    copy = tmp_path / path.name.replace("@.", "@api.")
    text = path.read_text(encoding="utf-8").replace("/opt/congress/bin/congress-server", sys.executable)
    copy.write_text(text.replace("User=congress", "User=root").replace("Group=congress", "Group=root"))
    done = subprocess.run([analyze, "verify", str(copy)], capture_output=True, text=True, timeout=60, check=False)
    ours = [line for line in (done.stdout + done.stderr).splitlines() if copy.name in line]
    assert ours == []
