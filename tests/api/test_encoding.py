# SPDX-License-Identifier: Apache-2.0
"""Rows as JSON."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from congress.api.encoding import dumps, rows_document
from congress.datalog.values import FALSE, TRUE, decode_row

VALUES = st.one_of(
    st.none(),
    st.sampled_from([TRUE, FALSE, "],[", "]", "[", '"],["', "\\", "\ud800"]),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
)


@given(st.lists(st.lists(VALUES, max_size=3).map(tuple), max_size=5), st.booleans())
def test_rows_come_out_as_they_are(rows: list[tuple[Any, ...]], more: bool) -> None:
    beside: dict[str, object] = {"trace": "x"} if more else {}
    found = json.loads(b"".join(rows_document(rows, beside)))
    assert found == {"results": [{"data": list(decode_row(row))} for row in rows], **beside}


def test_many_rows() -> None:
    rows = [(n, "],[" if n == 3000 else "x") for n in range(4500)]
    found = json.loads(b"".join(rows_document(rows, {})))
    assert [tuple(entry["data"]) for entry in found["results"]] == rows


def test_other_values() -> None:
    moment = datetime(2031, 5, 1, tzinfo=UTC)
    assert json.loads(dumps({"at": moment, "some": {2, 1}, 3: (TRUE,)})) == {
        "at": "2031-05-01T00:00:00+00:00",
        "some": [1, 2],
        "3": [True],
    }
    with pytest.raises(TypeError):
        dumps(object())
