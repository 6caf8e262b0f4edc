# SPDX-License-Identifier: Apache-2.0
"""The pages about the bus name everything there is, and their example runs."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from congress.bus import errors
from congress.bus.bus import Bus
from congress.bus.publisher import TablePublisher
from congress.bus.service import Service
from congress.bus.subscriber import Subscriber

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/bus.rst").read_text(encoding="utf-8")

# For the services of the package itself, not for programs.
INNER = {"attach", "post", "send", "answer", "chunk"}


@pytest.mark.parametrize("cls", [Bus, Service, TablePublisher, Subscriber])
def test_all_that_is_public_is_on_the_page(cls: type) -> None:
    public = {name for name, _ in inspect.getmembers(cls) if not name.startswith("_")} - INNER
    assert [name for name in sorted(public) if not re.search(rf"``{name}[`(]", PAGE)] == []


def test_all_errors_are_on_the_page() -> None:
    names = [name for name, value in vars(errors).items() if inspect.isclass(value)]
    assert [name for name in names if f"``{name}``" not in PAGE] == []


def test_all_log_events_are_on_the_page_and_no_others() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "congress/bus").glob("*.py"))
    events = set(re.findall(r'"((?:bus|service|subscriber)\.[a-z_]+)[ "]', sources))
    assert events == set(re.findall(r"^``((?:bus|service|subscriber)\.[a-z_]+)``", PAGE, re.MULTILINE))


def test_the_figures_are_on_the_page() -> None:
    assert [name for name in Bus().stats() if f"``{name}``" not in PAGE] == []


def test_the_example_runs(tmp_path: Path) -> None:
    block = re.search(r":caption: example.py\n\n(.*?)\n\n\.\. contents", PAGE, re.DOTALL)
    assert block is not None
    program = tmp_path / "example.py"
    program.write_text(inspect.cleandoc(block[1].replace("\n   ", "\n").removeprefix("   ")), encoding="utf-8")
    command = [sys.executable, "-W", "error", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["1", "2", "True [('hall', 'bob'), ('kitchen', 'ann')]"]
