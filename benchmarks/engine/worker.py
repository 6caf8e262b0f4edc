# SPDX-License-Identifier: Apache-2.0
"""Runs one task with one engine in this process and prints what it found as one line of JSON.

Every engine starts alike: a task makes its inputs before its clock starts, and Python's cyclic garbage collector
is off while they are loaded, as in any program that loads millions of rows; after that it is on.
"""

import gc
import importlib
import json
import os
import sys

from benchmarks.engine.rivals import rival


def main(engine: str, task: str, size: int) -> None:
    """Run and print; whatever keeps an engine from running is an answer too."""
    try:
        module = importlib.import_module(f"benchmarks.engine.rivals.{rival(engine).module}")
    except ImportError as error:
        print(json.dumps({"skipped": f"{error} (pip install -e .[bench])"}))
        return
    reason = module.CANNOT.get(task)
    limit = getattr(module, "LIMITS", {}).get(task)
    if reason is None and limit is not None and size > limit:
        reason = f"beyond {limit} it takes too long"
    if reason is not None:
        print(json.dumps({"skipped": reason}))
        return
    gc.disable()
    report = getattr(module, task)(size)
    print(json.dumps({"figures": report.figures, "answers": report.answers}), flush=True)
    # Taking a million rows apart is no part of any task.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
