# SPDX-License-Identifier: Apache-2.0
"""Options: typed, complete, and silent about values."""

from typing import Any

import pytest

from congress.cloudservices.errors import ConfigError
from congress.cloudservices.options import HIDDEN, Option, merge, redact, scrub, secret_values, validate
from tests.cloudservices.case_files import cases


def option(given: dict[str, Any]) -> Option:
    return Option(**{key: tuple(value) if isinstance(value, list) else value for key, value in given.items()})


@cases("options")
def test_cases(case: dict[str, Any]) -> None:
    options = [option(given) for given in case["options"]]
    if "errors" not in case:
        assert validate(options, case["given"]) == case["config"]
        return
    with pytest.raises(ConfigError) as refused:
        validate(options, case["given"])
    for text in case["errors"]:
        assert text in str(refused.value)


@pytest.mark.parametrize("type_", ["string", "integer", "number", "boolean", "list", "object", "url", "path"])
def test_no_value_is_repeated(type_: str) -> None:
    given = {"a": [{"sesame": "sesame"}]}
    with pytest.raises(ConfigError) as refused:
        validate([Option("a", type_, secret=True)], given)
    assert "sesame" not in str(refused.value)
    assert "sesame" not in repr(refused.value.data())
    assert refused.value.option == "a"


def test_check_of_the_drivers_own() -> None:
    even = Option("a", "integer", check=lambda value: None if value % 2 == 0 else "must be even")
    assert validate([even], {"a": 4}) == {"a": 4}
    with pytest.raises(ConfigError, match="'a' must be even"):
        validate([even], {"a": 3})


def test_declarations_are_checked() -> None:
    with pytest.raises(ValueError, match="has type 'text'"):
        Option("a", "text")
    with pytest.raises(ValueError, match="required and has a default"):
        Option("a", required=True, default="x")


def test_later_classes_override_options() -> None:
    merged = merge([Option("a"), Option("b")], [Option("a", "integer")])
    assert [(o.name, o.type) for o in merged] == [("a", "integer"), ("b", "string")]


def test_redact_hides_secrets_by_any_name() -> None:
    options = [Option("password", secret=True, synonyms=("passwd",)), Option("user")]
    config = {"password": "sesame", "passwd": "sesame", "user": "alice"}
    assert redact(options, config) == {"password": HIDDEN, "passwd": HIDDEN, "user": "alice"}
    assert redact(options, {"password": None}) == {"password": None}


def test_scrub_takes_out_what_is_inside_secret_objects() -> None:
    options = [Option("headers", "object", secret=True)]
    secrets = secret_values(options, {"headers": {"X-Key": ["sesame-1", {"deep": "sesame-12"}], "short": "ab"}})
    assert secrets == ("sesame-12", "sesame-1")
    assert scrub("a sesame-12 b sesame-1 ab", secrets) == "a <hidden> b <hidden> ab"
