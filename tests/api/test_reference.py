# SPDX-License-Identifier: Apache-2.0
"""The reference page of the API leaves nothing out: every operation, parameter, object, member and error code."""

import re
import sys
from functools import cache

import pytest

from congress.api.application import routes
from congress.api.errors import CODES
from congress.api.openapi import OLD_TAG, document
from congress.api.routing import Route
from tests.docs.pages import DOCS

pytest.importorskip("sphinx")
sys.path.append(str(DOCS / "_ext"))

import restapi

PAGE = DOCS / "reference" / "rest.rst"
ROUTES = routes()
LIST = {"limit", "marker", "sort", "fields", "where"}


@cache
def sections() -> dict[str, str]:
    """What is written about each operation."""
    text = PAGE.read_text(encoding="utf-8")
    patterns = [word for line in re.findall(r"declared-routes:: (.+)", text) for word in line.split()]
    written = "\n".join(restapi.routes_text(patterns))
    parts = re.split(r"^``([A-Z]+ /\S*)``$", written, flags=re.MULTILINE)[1:]
    assert len(set(parts[::2])) == len(parts[::2])
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_every_operation_is_on_the_page_once_and_no_other() -> None:
    assert set(sections()) == {route.operation for route in ROUTES}
    text = PAGE.read_text(encoding="utf-8")
    patterns = [word for line in re.findall(r"declared-routes:: (.+)", text) for word in line.split()]
    for route in ROUTES:
        exact = [p for p in patterns if p.removesuffix("/*") == route.path]
        below = [p for p in patterns if p.endswith("/*") and route.path.startswith(p.removesuffix("*"))]
        assert len(exact) + len(below) == 1, route.operation


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation)
def test_every_operation_says_all_and_shows_an_example(route: Route) -> None:
    text = sections()[route.operation]
    assert text.lstrip().startswith(route.summary)
    assert all(f"``{name}``" in text for name in route.query if name not in LIST)
    assert all(f"``{alias}``" in text for alias in route.aliases)
    assert ("Body" in text) == (route.body is not None)
    assert f"Answers {route.status}" in text
    assert all(str(status) in text for status in route.errors if status != 400)
    assert (route.access == "open") == ("Open to everybody" in text)
    method = route.method
    assert f".. code-block:: text\n\n       {method} " in text, "no example"


def test_what_all_lists_take_is_told() -> None:
    text = PAGE.read_text(encoding="utf-8").split("\nLists\n-----\n")[1].split("\nErrors\n------\n")[0]
    assert all(f"``{name}``" in text for name in LIST)
    assert "application/x-ndjson" in text


def test_every_object_is_on_the_page_with_its_members() -> None:
    assert "declared-schemas::" in PAGE.read_text(encoding="utf-8")
    written = "\n".join(restapi.schemas_text())
    parts = re.split(r"^(\w+)\n\^+\n", written, flags=re.MULTILINE)[1:]
    texts = dict(zip(parts[::2], parts[1::2], strict=True))
    schemas = document()["components"]["schemas"]
    assert list(texts) == list(schemas)
    for name, schema in schemas.items():
        for member in schema["properties"]:
            assert f"\n``{member}`` (" in texts[name], (name, member)


def test_every_error_code_is_on_the_page() -> None:
    assert "declared-codes::" in PAGE.read_text(encoding="utf-8")
    assert all(CODES.values())


def test_older_paths_are_told_of_with_the_newer_ones() -> None:
    old = [path for path, methods in document()["paths"].items() for one in methods.values() if OLD_TAG in one["tags"]]
    assert old
    told = "\n".join(sections().values())
    assert all(f"``{path}``" in told for path in old)
