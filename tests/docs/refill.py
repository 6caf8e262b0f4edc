# SPDX-License-Identifier: Apache-2.0
"""``python -m tests.docs.refill docs/PAGE.rst...`` puts below the commands of a page what they print now.

Output of which the page shows a part, with ``...``, stays where it still fits.  Read the difference it makes.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.docs.pages import Command, File, _fits, read_page


def refill(path: Path, folder: Path) -> None:
    """Do what a page says in an empty folder and write down what came out."""
    text = path.read_text(encoding="utf-8")
    binaries = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "200"}
    for step in read_page(path):
        if isinstance(step, File):
            target = folder / step.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(step.text, encoding="utf-8")
            continue
        done = subprocess.run(
            step.line, shell=True, cwd=folder, env=environment, text=True, timeout=60, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        if not _fits(step.output, done.stdout):
            text = text.replace(_shown(step), _shown(Command(step.line, done.stdout.strip("\n"))))
    path.write_text(text, encoding="utf-8")


def _shown(command: Command) -> str:
    lines = [*f"$ {command.line}".split("\n"), *(command.output.split("\n") if command.output else [])]
    return "\n".join(f"   {line}".rstrip() for line in lines)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as temporary:
            refill(Path(argument), Path(temporary))
