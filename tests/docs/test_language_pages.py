# SPDX-License-Identifier: Apache-2.0
"""The pages on the language, the engine and the tools do what they say."""

import doctest
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, run_page


@pytest.mark.parametrize("page", ["reference/language.rst", "explanation/engine.rst", "howto/test-policies.rst"])
def test_page(page: str, tmp_path: Path) -> None:
    assert run_page(DOCS / page, tmp_path) > 0


@pytest.mark.parametrize("page", ["howto/use-the-engine-from-python.rst"])
def test_session(page: str) -> None:
    """Python as typed at its prompt, all blocks of a page as one session."""
    result = doctest.testfile(str(DOCS / page), module_relative=False, encoding="utf-8")
    assert result.attempted > 0
    assert result.failed == 0
