# SPDX-License-Identifier: Apache-2.0
"""Pages of the docs as scripts: files to write, commands to type and what they print.

A ``code-block`` with a ``:caption:`` is a file of that name.  A ``code-block:: console`` holds commands after ``$``
and their output below; ``...`` on a line of its own stands for any lines.
A command goes on after a backslash at the end of its line.
"""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PORTS = ("1789", "8765")
"""The daemon's, and that of an API beside it."""

DOCS = Path(__file__).parents[2] / "docs"


@dataclass(frozen=True, slots=True)
class File:
    """Write this text to a file."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """Run a line in a shell and compare what it prints."""

    line: str
    output: str


Step = File | Command

_BLOCK = re.compile(r"^( *)\.\. code-block:: (\w+)\n((?:\1 +:\w+:.*\n)*)\n((?:\1 +.*\n|\n)+)", re.MULTILINE)


def read_page(path: Path) -> Iterator[Step]:
    """The steps of a page, in order."""
    for found in _BLOCK.finditer(path.read_text(encoding="utf-8") + "\n"):
        language, options, body = found[2], found[3], _dedent(found[4])
        caption = re.search(r":caption: (\S+)", options)
        if caption:
            yield File(caption[1], body)
        elif language == "console":
            yield from _commands(body)


def _dedent(text: str) -> str:
    lines = text.rstrip("\n").split("\n")
    indent = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
    return "\n".join(line[indent:] for line in lines) + "\n"


def _commands(body: str) -> Iterator[Command]:
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        line, _, output = part.partition("\n")
        while line.endswith("\\"):
            more, _, output = output.partition("\n")
            line = f"{line}\n{more}"
        yield Command(line, output.strip("\n"))


def run_page(path: Path, folder: Path) -> int:
    """Do what a page says in an empty folder; how many commands it has.

    A command that ends with ``&`` runs until the page is done, and the page goes on once its port answers.  The ports
    that pages show are exchanged for free ones.

    :raises AssertionError: where a command prints something else than the page shows.
    """
    commands = 0
    binaries = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "200"}
    ports = {shown: str(_free_port()) for shown in PORTS}
    environment["CONGRESS_URL"] = f"http://127.0.0.1:{ports['1789']}"
    background: list[subprocess.Popen[bytes]] = []
    try:
        for step in read_page(path):
            if isinstance(step, File):
                target = folder / step.name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(_exchange(step.text, ports), encoding="utf-8")
                continue
            commands += 1
            line = _exchange(step.line, ports)
            if line.endswith("&"):
                background.append(_start(line.removesuffix("&"), folder, environment, ports))
                continue
            done = subprocess.run(
                line, shell=True, cwd=folder, env=environment, text=True, timeout=60, check=False,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            printed = _exchange(done.stdout, {free: shown for shown, free in ports.items()})
            assert _fits(step.output, printed), (
                f"{path.name}: $ {step.line}\nthe page shows:\n{step.output}\nit printed:\n{printed}"
            )
    finally:
        for process in background:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(20)
    return commands


def _start(line: str, folder: Path, environment: dict[str, str], ports: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start something that goes on, and wait until its port answers."""
    port = ports["8765"]
    if line.startswith("congress-server"):
        port = ports["1789"]
        line += f" --bind-port {port}"
    process = subprocess.Popen(
        line, shell=True, cwd=folder, env=environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", int(port)), 1):
            return process
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    raise AssertionError(f"nothing answers after $ {line}")


def _exchange(text: str, ports: dict[str, str]) -> str:
    for old, new in ports.items():
        text = text.replace(f":{old}", f":{new}").replace(f", {old})", f", {new})")
    return text


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _fits(shown: str, printed: str) -> bool:
    """Whether the lines are the same, ``...`` standing for any lines, and times for any times."""
    lines = [line.rstrip() for line in printed.strip("\n").split("\n")]
    at = 0
    gap = False
    for wanted in (line.rstrip() for line in shown.split("\n")):
        if wanted == "...":
            gap = True
            continue
        while gap and at < len(lines) and not _same(wanted, lines[at]):
            at += 1
        if at >= len(lines) or not _same(wanted, lines[at]):
            return False
        at += 1
        gap = False
    return gap or at == len(lines)


def _same(shown: str, printed: str) -> bool:
    return _TIME.sub("in N s", shown) == _TIME.sub("in N s", printed)


_TIME = re.compile(r"in \d+\.\d+ s")
