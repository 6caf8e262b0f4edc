# SPDX-License-Identifier: Apache-2.0
"""Each row of the table of the old API, against the real daemon."""

from collections import Counter
from typing import Final

import pytest

from tests.contract.cases import PREFIXES, Row, difference, read_rows, run
from tests.server.daemon import Server

TABLE: Final = (
    [f"C{number}" for number in range(1, 9)]  # conventions valid for all routes
    + [f"V{number}" for number in range(1, 4)]  # versions
    + [f"P{number}" for number in range(1, 12)]  # policies
    + [f"R{number}" for number in range(1, 7)]  # rules
    + [f"T{number}" for number in range(1, 6)]  # tables of policies
    + [f"L{number}" for number in range(1, 7)]  # the library
    + [f"D{number}" for number in range(1, 19)]  # services, under both of their names
    + [f"S{number}" for number in range(1, 4)]  # drivers
)
ALL: Final = list(read_rows())


@pytest.mark.parametrize("row", ALL, ids=lambda row: row.id)
def test_row(row: Row, server: Server) -> None:
    run(row, server)


def test_no_row_is_missing() -> None:
    expected = Counter(
        name for row in TABLE for name in ([f"{row}-{prefix}" for prefix in PREFIXES] if row[0] == "D" else [row])
    )
    assert Counter(row.id for row in ALL) == expected


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (1, True),
        (1, 1.0),
        ("1", 1),
        ([1], [1, 2]),
        ([2, 1], [1, 2]),
        ({"a": 1}, {"b": 1}),
        ({"a": 1, "b": 2}, {"<only>": True, "a": 1}),
        ([1, 2], {"<holds>": [3]}),
        (None, "<any text>"),
        (5, "<text>"),
        (True, "<number>"),
        ("x", "<uuid>"),
        ("abc", "<has d>"),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}),
    ],
)
def test_the_comparison_notices(value: object, wanted: object) -> None:
    assert difference(value, wanted, "") != ""
