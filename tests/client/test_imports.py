# SPDX-License-Identifier: Apache-2.0
"""The client speaks HTTP; it never imports the server, and it starts fast because it imports little."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import congress.client

FOLDER = Path(congress.client.__file__).parent
FILES = sorted(FOLDER.rglob("*.py"))
HEAVY = (
    "sqlalchemy",
    "congress.datalog",
    "congress.policy",
    "congress.db",
    "congress.bus",
    "congress.api",
    "oslo_messaging",
)


def _imported(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_no_module_imports_the_server(path: Path) -> None:
    ours = {name for name in _imported(ast.parse(path.read_text(encoding="utf-8"))) if name.split(".")[0] == "congress"}
    assert {name for name in ours if not f"{name}.".startswith("congress.client.")} == set()


def test_what_a_connection_loads() -> None:
    text = (
        "import sys; from congress.client import connect; connect('http://127.0.0.1:9').policies;"
        "print(' '.join(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True, timeout=60)
    loaded = done.stdout.split()
    assert "keystoneauth1.session" in loaded
    assert [name for name in loaded if name.startswith(HEAVY)] == []
    assert "openstack" not in loaded  # only where a cloud is named
