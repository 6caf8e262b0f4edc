# SPDX-License-Identifier: Apache-2.0
"""What people get wrong on the command line: what they are told, and what scripts see."""

import pytest

from congress.client import Connection
from tests.client.test_commands import Run, run

__all__ = ["run"]  # a fixture


@pytest.mark.parametrize(
    "words",
    [
        "row list slips:t --limit -1",
        "row list slips:t --limit 0",
        "execution list --limit -1",
        "execution list --limit much",
        "watch slips:t --count 0",
        "policy list --watch --interval -1",
        "policy list --watch --interval nan",
        "policy list --watch --interval 0",
        "execution wait nothing --seconds nan",
        "execution wait nothing --seconds -1",
        "execute slips:fake_act --wait inf",
        "--timeout 0",
    ],
)
def test_numbers_have_bounds(words: str, run: Run) -> None:
    error = run(*words.split(), code=2)
    assert words.rpartition(" ")[0].rpartition(" ")[2] in error
    assert "must be" in error
    assert "islice" not in error


def test_more_rows_may_be_asked_for_than_a_page_has(run: Run, cloud: Connection) -> None:
    cloud.policies.create("slips", rules=["t(1)", "t(2)"])
    assert run("row", "list", "slips:t", "--limit", "1000000", "-f", "value") == "1\n2\n"
