# SPDX-License-Identifier: Apache-2.0
"""What a request's body may be."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from congress.api.body import MAX_DEPTH, parse
from congress.api.errors import ApiError

CASES = yaml.safe_load((Path(__file__).parent / "cases" / "bodies.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["body"][:40])
def test_bodies(case: dict[str, Any]) -> None:
    body = case["body"].encode()
    if "error" in case:
        with pytest.raises(ApiError, match=case["error"].replace("+", r"\+")) as raised:
            parse(body)
        assert raised.value.status == 400
    else:
        assert parse(body) == case["value"]


def test_not_utf8() -> None:
    with pytest.raises(ApiError, match="not valid JSON"):
        parse(b'"\xff"')


def nested(depth: int) -> bytes:
    return b'{"a":[' * (depth // 2) + b"]}" * (depth // 2)


def test_nesting_is_bounded() -> None:
    parse(nested(MAX_DEPTH))
    with pytest.raises(ApiError, match="nested"):
        parse(nested(MAX_DEPTH + 2))
    with pytest.raises(ApiError):
        parse(b"[" * 100_000)


def test_many_rows_are_not_deep() -> None:
    assert len(parse(b"[" + b",".join([b"[1,2]"] * 1000) + b"]")) == 1000
