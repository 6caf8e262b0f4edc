# SPDX-License-Identifier: Apache-2.0
"""What the README and the pages on running the daemon tell people to type works, and prints what they show."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from docutils.core import publish_doctree
from docutils.nodes import image, reference

from congress import __version__
from congress.cmd.banner import banner
from congress.conf import load
from tests.docs.pages import Command, read_page
from tests.server.daemon import Server

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def clean(server: Server) -> Iterator[None]:
    """The pages use the same names."""
    yield
    for policy in ("care", "tidy"):
        server.request("DELETE", f"/v1/policies/{policy}")
    for service in ("inventory", "lab", "office"):
        server.request("DELETE", f"/v1/cloud-services/{service}")


def test_what_the_daemon_says_at_its_start(server: Server, tmp_path: Path) -> None:
    said = banner([server.url], load(["--state-path", str(tmp_path)], files=[]))
    assert said.splitlines()[0] == (
        f"Congress {__version__} is listening on {server.url} (no authentication: for this machine only)."
    )
    commands = said.partition("from another terminal:")[2].partition("docs/tutorial")[0]
    done = subprocess.run(["bash", "-c", commands], capture_output=True, text=True, timeout=60, check=True)
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["results"][0]["data"] == ["web-2"]
    assert last["results"][0]["why"]["because"][0]["row"] == ["web-2", None]


@pytest.mark.parametrize("page", ["README.rst", "docs/howto/start.rst"])
def test_page(server: Server, page: str, tmp_path: Path) -> None:
    commands = [step for step in read_page(ROOT / page) if isinstance(step, Command)]
    assert commands
    for command in commands:
        deadline = time.monotonic() + 30
        while not shows(command, done := run(server, command, tmp_path)):
            # What a table or the ledger shows comes a moment after what changed it.
            reads = command.line.startswith(READS)
            assert reads, (command.line, done.stdout, done.stderr)
            assert time.monotonic() < deadline, (command.line, done.stdout, done.stderr)
            time.sleep(0.1)


READS = ("congress row list", "congress why", "congress preview", "congress simulate", "congress execution list")


def run(server: Server, command: Command, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Type a command, with the environment of ``. .venv/bin/activate``, where the server of this test is the server."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    line = command.line.replace("http://127.0.0.1:1789", server.url)
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PATH": path, "CONGRESS_URL": server.url, "COLUMNS": "200"},
    )  # fmt: skip


def shows(command: Command, done: "subprocess.CompletedProcess[str]") -> bool:
    """Whether it went well and printed what the page shows; ``...`` stands for anything within a line."""
    wanted = re.escape(command.output).replace(re.escape("..."), ".*")
    return done.returncode == 0 and re.fullmatch(wanted, done.stdout.strip("\n")) is not None


def test_the_readme_is_plain_rst_and_its_links_lead_somewhere() -> None:
    """It is shown by what knows nothing of Sphinx."""
    text = (ROOT / "README.rst").read_text(encoding="utf-8")
    settings = {"halt_level": 2, "report_level": 2, "syntax_highlight": "none"}
    tree = publish_doctree(text, settings_overrides=settings)
    links = {node["refuri"] for node in tree.findall(reference) if "refuri" in node}
    links |= {node["uri"] for node in tree.findall(image)}
    assert len(links) > 8
    assert not [link for link in links if not (ROOT / link).is_file()]
