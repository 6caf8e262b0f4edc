# SPDX-License-Identifier: Apache-2.0
"""What the docs tell people to type works, and prints what they show."""

from pathlib import Path

import pytest

from tests.docs.pages import DOCS, run_page

PAGES = [
    "tutorial/first-violation.rst",
    "tutorial/language.rst",
    "howto/simulate-a-change.rst",
    "howto/put-a-policy-into-force.rst",
    "howto/handle-held-and-unknown-executions.rst",
    "howto/use-the-command-line.rst",
    "howto/find-out-what-is-wrong.rst",
    "howto/use-the-client-from-python.rst",
    "howto/move-from-openstack-congress.rst",
]


@pytest.mark.parametrize("page", PAGES)
def test_page(page: str, tmp_path: Path) -> None:
    assert run_page(DOCS / page, tmp_path) > 0
