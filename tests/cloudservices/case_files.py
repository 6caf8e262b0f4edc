# SPDX-License-Identifier: Apache-2.0
"""Test cases that are data: each file in ``cases`` is a YAML list of objects with a ``name``."""

from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).parent / "cases"


def cases(file: str) -> Any:
    """Parametrises a test over the cases of a file, as the argument ``case``."""
    loaded = yaml.safe_load((FOLDER / f"{file}.yaml").read_text())
    return pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in loaded])
