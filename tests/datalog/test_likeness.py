# SPDX-License-Identifier: Apache-2.0
"""Hints find the name that is meant among few and among very many."""

import pytest

from congress.datalog.likeness import Names

MANY = [f"p:table_{number:05}_of_{number % 7}" for number in range(20_000)]


@pytest.mark.parametrize("others", [[], MANY])
@pytest.mark.parametrize(
    "typo", ["p:eror_of_servers", "p:error_of_server", "q:error_of_servers", "p:error_off_servers"]
)
def test_a_misspelt_name_is_known(others: list[str], typo: str) -> None:
    assert Names([*others, "p:error_of_servers"]).like(typo) == "p:error_of_servers"


def test_nothing_is_made_up() -> None:
    assert Names([]).like("p:error") == ""
    assert Names(MANY).like("xyz") == ""
