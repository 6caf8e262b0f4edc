# SPDX-License-Identifier: Apache-2.0
"""Atheris harness: the parser, the checks and the formatter must cope with any text.

``python -m tests.fuzz.parser --seeds FOLDER`` writes the texts of the test cases into FOLDER, to start from.
Any other arguments are libFuzzer's, such as ``-max_total_time=600 FOLDER``.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["congress.datalog"]):
    from tests.datalog.any_text import examine

from tests.datalog import syntax_cases


def one_input(data: bytes) -> None:
    """Try one input; bytes that are no UTF-8 become halves of surrogate pairs, which texts may hold, too."""
    examine(data.decode("utf-8", "surrogateescape"))


def write_seeds(folder: Path) -> None:
    """The texts of the cases, one file each."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("trees", "errors", "checks", "format"):
        for index, case in enumerate(syntax_cases.load(name)):
            (folder / f"{name}-{index}").write_bytes(case["text"].encode())


if __name__ == "__main__":
    if sys.argv[1:2] == ["--seeds"]:
        write_seeds(Path(sys.argv[2]))
    else:
        atheris.Setup(sys.argv, one_input)
        atheris.Fuzz()
