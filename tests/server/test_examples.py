# SPDX-License-Identifier: Apache-2.0
"""The examples in the API's description are what the daemon answers."""

import json
from pathlib import Path
from typing import Any

from congress.api.examples import PATH
from tests.server.examples import text_of, told


def test_the_examples_are_what_the_daemon_answers(tmp_path: Path) -> None:
    now, kept = told(tmp_path), json.loads(PATH.read_bytes())
    assert [example["request"] for example in now] == [example["request"] for example in kept]
    for one, other in zip(now, kept, strict=True):
        assert _steady(one) == _steady(other), "if this is as it should be: python -m tests.server.examples"
    assert PATH.read_text(encoding="utf-8") == text_of(kept)


def _steady(value: Any) -> Any:
    """Without what depends on how fast the daemon is: the way that an execution took to its end."""
    if isinstance(value, dict):
        return {key: _steady(inner) for key, inner in value.items() if key != "trail"}
    return [_steady(inner) for inner in value] if isinstance(value, list) else value
