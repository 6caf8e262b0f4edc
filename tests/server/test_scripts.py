# SPDX-License-Identifier: Apache-2.0
"""The two commands of the README: what they install, and to whom they pass their arguments on."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECORD = '#!/bin/sh\necho "$(basename "$0")" "$@" >> "$(dirname "$0")/calls"\n'


@pytest.mark.parametrize(
    ("script", "arguments", "installed", "called"),
    [
        ("server", ["--bind-port", "1790"], f"{ROOT}", "congress-server --bind-port 1790"),
        ("test", ["tests/api", "-k", "x"], f"{ROOT}[test]", "python -m pytest tests/api -k x"),
    ],
)
def test_arguments_do_not_change_what_is_installed(
    script: str, arguments: list[str], installed: str, called: str, tmp_path: Path
) -> None:
    """In an environment whose programs only write down how they were called."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("python", "congress-server"):
        (programs / name).write_text(RECORD, encoding="utf-8")
        (programs / name).chmod(0o755)
    environment = {**os.environ, "CONGRESS_VENV": str(tmp_path)}
    environment.pop("CONGRESS_EXTRAS", None)
    for _ in range(2):  # the second time nothing is installed
        subprocess.run([str(ROOT / "script" / script), *arguments], env=environment, check=True, timeout=60)
    calls = (programs / "calls").read_text(encoding="utf-8").splitlines()
    installation, *others = calls
    assert installation.startswith("python -m pip install ")
    assert installation.endswith(f" --editable {installed}")
    assert others == [called, called]
