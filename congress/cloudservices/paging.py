# SPDX-License-Identifier: Apache-2.0
"""How an API hands out a long list page by page, and where the next page is.  Pure.

=========
================================================================================================== type
the next page =========
================================================================================================== ``link``
the header ``Link: <...>; rel="next"`` has its URL ``next``   a place in the document (``from``, a JSON
path) has its URL ``page``   the parameter ``param`` counts pages from ``start``, until one has no rows or
fewer than ``size`` ``offset`` the parameter ``param`` counts rows from ``start``, until a page has none or
fewer than ``size`` ``marker`` the parameter ``param`` is a value (``from``, a JSON path) of the last row,
until a page has no rows =========
==================================================================================================

``size`` rows at once are asked for by the parameter ``size_param``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import requests.utils

from congress.cloudservices.http_client import Answer, Request
from congress.cloudservices.jsonpaths import compile_value
from congress.cloudservices.tabular import wrong

TYPES: Final = ("link", "next", "page", "offset", "marker")
_NEEDS: Final[Mapping[str, frozenset[str]]] = {
    "link": frozenset(),
    "next": frozenset({"from"}),
    "page": frozenset({"param"}),
    "offset": frozenset({"param"}),
    "marker": frozenset({"param", "from"}),
}
_KEYS: Final = frozenset({"type", "param", "from", "start", "size", "size_param"})

Link = Callable[[str, str], str]
"""From the URL of an answer and a link in it to the URL to ask; raises BadAnswer where that leads
elsewhere.
"""


def _nothing(document: Any) -> None:
    """The source of paging that needs none."""


@dataclass(frozen=True, slots=True)
class Paging:
    """How pages are asked for; see the module."""

    type: str
    param: str = ""
    source: Callable[[Any], Any] = _nothing
    start: int = 0
    size: int | None = None
    size_param: str = ""

    def first(self, request: Request) -> Request:
        """The request for the first page."""
        more: dict[str, Any] = {self.size_param: self.size} if self.size_param and self.size else {}
        if self.type in ("page", "offset"):
            more[self.param] = self.start
        return replace(request, params={**request.params, **more})

    def next(self, request: Request, answer: Answer, document: Any, rows: Sequence[Any], link: Link) -> Request | None:
        """The request for the page after this one; None after the last.

        :param rows: the rows of this page.
        """
        if self.type in ("link", "next"):
            target = self.source(document) if self.type == "next" else _link_header(answer)
            if not isinstance(target, str) or not target:
                return None
            # The link has the query of its own.
            return replace(request, url=link(answer.url, target), params={})
        if not rows or (self.size is not None and self.type != "marker" and len(rows) < self.size):
            return None
        if self.type == "marker":
            marker = self.source(rows[-1])
            return None if marker is None else self._with(request, marker)
        step = 1 if self.type == "page" else len(rows)
        return self._with(request, int(request.params[self.param]) + step)

    def _with(self, request: Request, value: object) -> Request:
        return replace(request, params={**request.params, self.param: value})


def _link_header(answer: Answer) -> str | None:
    links = requests.utils.parse_header_links(answer.headers.get("Link", ""))
    return next((link["url"] for link in links if "next" in link.get("rel", "").lower().split()), None)


def paging_of(table: str, given: object) -> Paging | None:
    """Paging from a table's ``paging``; None for a list that comes whole.

    :raises ConfigError: it makes no sense.
    """
    if given is None:
        return None
    if not isinstance(given, Mapping) or given.get("type") not in TYPES:
        raise wrong(f"table {table!r}: paging must be an object with a type: {', '.join(TYPES)}")
    if unknown := sorted(str(key) for key in given.keys() - _KEYS):
        raise wrong(f"table {table!r}: paging has an unknown key {unknown[0]!r:.60}")
    kind = str(given["type"])
    if missing := sorted(_NEEDS[kind] - given.keys()):
        raise wrong(f"table {table!r}: paging of type {kind!r} needs {missing[0]!r}")
    for key in ("param", "from", "size_param"):
        if not isinstance(given.get(key, ""), str):
            raise wrong(f"table {table!r}: paging: {key} must be a string")
    start = _number(table, given, "start", 1 if kind == "page" else 0)
    size = _number(table, given, "size", None)
    try:
        source = compile_value(given["from"]) if "from" in given else _nothing
    except ValueError as error:
        raise wrong(f"table {table!r}: paging: {error}") from error
    return Paging(kind, given.get("param", ""), source, start or 0, size, given.get("size_param", ""))


def _number(table: str, given: Mapping[str, Any], key: str, default: int | None) -> int | None:
    value = given.get(key, default)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    raise wrong(f"table {table!r}: paging: {key} must be a whole number")
