# SPDX-License-Identifier: Apache-2.0
"""Lists: pages, order, filters and a choice of fields, all optional; without them a list is whole, as it always was.

``?limit=10&marker=ID&sort=name:desc,id&fields=id,name&kind=action`` means the same for every list.  What a list can be
sorted and filtered by follows from the declared shape of its entries.  With ``Accept: application/x-ndjson`` its
entries come one a line.
"""

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

import webob
from webob.acceptparse import create_accept_header

from congress.api.answers.common import ROW, VALUE, results
from congress.api.body import parse
from congress.api.call import Call
from congress.api.encoding import JSON, NDJSON, dumps, ndjson_of, ndjson_of_rows, rows_document
from congress.api.errors import ApiError
from congress.api.schema import Flag, Number, Parameter, Text
from congress.api.shapes import MapOf, Member, Object, Shape
from congress.datalog.values import Bool, Row, Value, encode, encode_row

LARGEST: Final = 100_000
_WHOLE: Final = 10_000  # rows in an answer of known length

_LIMIT: Final = Parameter(Number(1, LARGEST), "At most so many entries; more of them are under the link `next`.")
_SORT: Final = "The order: names of {}, separated by commas, each with `:asc` or `:desc` if need be."
_FIELDS: Final = "Only these {} of each entry, separated by commas."


def wants_ndjson(call: Call) -> bool:
    """Whether the client would rather have a line for each entry than one document."""
    accept = call.headers.get("accept", "")
    if "ndjson" not in accept:
        return False
    offers = create_accept_header(accept).acceptable_offers([JSON.partition(";")[0], NDJSON])
    return bool(offers) and offers[0][0] == NDJSON


def ndjson_response(lines: Iterable[bytes], more: Mapping[str, Any]) -> webob.Response:
    """A response with a line for each entry; the address of the next page is in the header ``Link``."""
    headers = [("Content-Type", NDJSON)]
    headers += [("Link", f'<{link["href"]}>; rel="{link["rel"]}"') for link in more.get("links", ())]
    return webob.Response(app_iter=lines, status=200, headerlist=headers)


def next_link(call: Call, marker: str) -> dict[str, Any]:
    """The link to the page after this one, with the other parameters as they were."""
    given = [(name, value) for name, values in call.query.items() if name != "marker" for value in values]
    return {"links": [{"rel": "next", "href": f"{call.url}?{urlencode([*given, ('marker', marker)])}"}]}


# Lists of objects -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of objects: what its entries are, which key names one of them, what else a request can say.

    ``more`` are other parameters, in the place of those with the same name.  ``sorts`` are the members that it can be
    sorted by, all that are scalar unless given; by these it can be ``filtered``, too.
    """

    entry: Object
    key: str = "id"
    more: Mapping[str, Parameter] = field(default_factory=dict)
    sorts: Sequence[str] = ()
    filtered: bool = True

    def __post_init__(self) -> None:
        scalars = [name for name, member in self.entry.members.items() if getattr(member.shape, "scalar", False)]
        object.__setattr__(self, "sorts", self.sorts or scalars)

    @property
    def filters(self) -> list[str]:
        """The members that the list can be filtered by."""
        return [name for name in self.sorts if name not in self.more] if self.filtered else []

    @property
    def declared(self) -> dict[str, Any]:
        """What a route with this list declares: its query and its answer."""
        query = {
            "limit": _LIMIT,
            "marker": Parameter(Text(4096), f"Only entries after this one: the `{self.key}` of the last one before."),
            "sort": Parameter(Text(1000), _SORT.format("fields: " + ", ".join(f"`{name}`" for name in self.sorts))),
            "fields": Parameter(Text(1000), _FIELDS.format("fields")),
            **{name: _filter(name, self.entry.members[name]) for name in self.filters},
            **self.more,
        }
        return {"query": query, "answer": results(self.entry), "others": {NDJSON: self.entry}}

    def page(self, call: Call, entries: Iterable[Mapping[str, Any]]) -> Any:
        """``{"results": [...]}`` with the entries that a call asks for, or a response with a line for each.

        :raises ApiError: 400 for a marker that is none of the entries, for an unknown field.
        """
        limit, marker = call.parameters["limit"], call.parameters["marker"]
        chosen = self._chosen(call)
        found = self._sorted(call, self._filtered(call, entries))
        if marker is not None:
            at = next((index for index, entry in enumerate(found) if entry[self.key] == marker), None)
            if at is None:
                raise ApiError(400, f"The marker {marker!r:.100} is no entry of this list.")
            found = found[at + 1 :]
        more: dict[str, Any] = {}
        if limit is not None and len(found) > limit:
            found = found[:limit]
            more = next_link(call, str(found[-1][self.key]))
        return self.given(call, found, more, chosen)

    def given(
        self,
        call: Call,
        entries: Sequence[Mapping[str, Any]],
        more: Mapping[str, Any],
        chosen: Sequence[str] | None = None,
    ) -> Any:
        """An answer with the entries of a page that somebody else made."""
        chosen = self._chosen(call) if chosen is None else chosen
        if chosen:
            entries = [{name: entry[name] for name in chosen if name in entry} for entry in entries]
        return entries_response(call, entries, more)

    def _chosen(self, call: Call) -> list[str]:
        names = _names(call.parameters["fields"])
        for name in names:
            if name not in self.entry.members:
                raise _unknown("field", name, self.entry.members)
        return names

    def _filtered(self, call: Call, entries: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        wanted = {name: set(map(_word, call.parameters[name])) for name in self.filters if call.parameters[name]}
        if not wanted:
            return list(entries)
        return [e for e in entries if all(_word(e.get(name)) in words for name, words in wanted.items())]

    def order(self, call: Call) -> list[tuple[str, bool]]:
        """The names to sort by, and whether each goes down.

        :raises ApiError: 400 for one that the list cannot be sorted by.
        """
        found = _order_of(call.parameters["sort"])
        for name, _ in found:
            if name not in self.sorts:
                raise _unknown("field to sort by", name, self.sorts)
        return found

    def _sorted(self, call: Call, entries: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        # From the last field to the first: each sort keeps the order that those before it have made.
        for name, down in reversed(self.order(call)):
            entries.sort(key=_by(name), reverse=down)
        return entries


def _filter(name: str, member: Member) -> Parameter:
    text = f"Only entries whose `{name}` is this; given several times: one of these."
    document = member.shape.document()
    nullable = "null" in str(document)
    if nullable:
        text += " An empty one stands for null too."
    boolean = document.get("type") in ("boolean", ["boolean", "null"])
    return Parameter(Flag(nullable) if boolean else Text(1000), text, repeated=True)


def _word(value: object) -> str:
    """A value as a query string would have it."""
    if value is None:
        return ""
    return value if isinstance(value, str) else dumps(value).decode()


def _by(name: str) -> Callable[[Mapping[str, Any]], tuple[int, Any]]:
    def key(entry: Mapping[str, Any]) -> tuple[int, Any]:
        value = entry.get(name)
        return _rank(encode(value) if isinstance(value, bool) else value)

    return key


def _names(text: str | None) -> list[str]:
    return [] if text is None else [name.strip() for name in text.split(",")]


def _order_of(text: str | None) -> list[tuple[str, bool]]:
    """Names, and whether each goes down."""
    made = []
    for word in _names(text):
        name, colon, direction = word.rpartition(":")
        if colon and direction.lower() in ("asc", "desc"):
            made.append((name, direction.lower() == "desc"))
        else:
            made.append((word, False))
    return made


def _unknown(what: str, name: str, known: Iterable[str]) -> ApiError:
    return ApiError(400, f"There is no {what} {name!r:.80} here; there are {', '.join(known) or 'none'}.")


# Lists of rows --------------------------------------------------------------------------------------------

_ROW_QUERY: Final[Mapping[str, Parameter]] = {
    "limit": Parameter(Number(1, LARGEST), "At most so many rows, in a fixed order; more are under the link `next`."),
    "marker": Parameter(
        Text(65536), "Only rows after this one: the JSON of the last row of the page before.", json=ROW
    ),
    "sort": Parameter(Text(4096), _SORT.format("columns or their numbers from 0")),
    "fields": Parameter(Text(4096), _FIELDS.format("columns, by name or number from 0,")),
    "where": Parameter(
        Text(65536),
        'Only rows with these values, as JSON: `{"status": "ERROR", "0": null}`; columns by name or number.',
        json=MapOf(VALUE),
    ),
}


def row_listing(entry: Shape, more: Mapping[str, Parameter] | None = None, **beside: Member) -> dict[str, Any]:
    """What a route with a list of rows declares: its query and its answer."""
    return {
        "query": {**_ROW_QUERY, **(more or {})},
        "answer": results(entry, beside),
        "others": {NDJSON: entry},
    }


def page_of_rows(
    call: Call, rows: Collection[Row], columns: Callable[[], Sequence[str | None] | None]
) -> tuple[Sequence[Row], dict[str, Any]]:
    """The rows of the page, whole, and what goes beside ``results``.

    Pages are in the order of ``sort`` and then of :func:`order`, so a row that comes or goes between two of them moves
    no other row.

    :param columns: tells the names of the columns, as far as they have any; called only where one is named.
    """
    limit, marker, sort, where = (call.parameters[name] for name in ("limit", "marker", "sort", "where"))
    named = _Columns(columns(), rows) if sort or where else None
    key: Callable[[Row], Any] = order
    if named is not None:
        if where:
            wanted = named.wanted(where)
            rows = [row for row in rows if all(row[at] == value for at, value in wanted.items())]
        key = named.order(_order_of(sort))
    if limit is None and marker is None:
        return sorted(rows, key=key) if sort else list(rows), {}
    last = None if marker is None else parse_row(marker, "The marker")
    if named is not None and last is not None:
        named.check_width(last)
    if sort:
        page, more = _cut(rows, last, limit, key)
    else:
        try:
            page, more = _cut(rows, last, limit)
        except TypeError:  # values of different kinds in one column: there a text cannot be compared with a number
            page, more = _cut(rows, last, limit, order)
    return page, next_link(call, dumps(page[-1]).decode()) if more else {}


def _cut(
    rows: Iterable[Row], last: Row | None, limit: int | None, key: Callable[[Row], Any] | None = None
) -> tuple[list[Row], bool]:
    """The rows after ``last`` in the order of a key, and whether there are more; without a key rows compare as tuples.

    That is five times as fast, and the same order as that of :func:`order` wherever it is one.
    """
    if last is None:
        found = list(rows)
    elif key is None:
        found = [row for row in rows if row > last]
    else:
        after = key(last)
        found = [row for row in rows if key(row) > after]
    if limit is None or len(found) <= limit:
        return sorted(found, key=key), False
    return heapq.nsmallest(limit, found, key=key), True


def chosen_columns(
    call: Call, rows: Sequence[Row], columns: Callable[[], Sequence[str | None] | None]
) -> list[int] | None:
    """The places of the columns that a call asks for; None for all.

    :raises ApiError: 400 for one that there is not.
    """
    if call.parameters["fields"] is None:
        return None
    named = _Columns(columns(), rows)
    return [named.at(name) for name in _names(call.parameters["fields"])]


def rows_response(
    call: Call, rows: Sequence[Row], more: dict[str, Any], places: Sequence[int] | None = None
) -> webob.Response:
    """A response with rows, written piece by piece where they are many: they are never one string in memory."""
    if wants_ndjson(call):
        return ndjson_response(ndjson_of_rows(rows, places), _lines_only(more))
    document = rows_document(rows, more, places)
    headers = [("Content-Type", JSON)]
    if len(rows) > _WHOLE:
        return webob.Response(app_iter=document, status=200, headerlist=headers)
    return webob.Response(body=b"".join(document), status=200, headerlist=headers)


def entries_response(call: Call, entries: Sequence[Mapping[str, Any]], more: Mapping[str, Any]) -> Any:
    """The same with entries that are more than their rows."""
    if wants_ndjson(call):
        return ndjson_response(ndjson_of(entries), _lines_only(more))
    return {"results": entries, **more}


def _lines_only(more: Mapping[str, Any]) -> Mapping[str, Any]:
    beside = sorted(more.keys() - {"links"})
    if beside:
        raise ApiError(400, f"{beside[0]} has no place among the lines of {NDJSON}; ask for {JSON.partition(';')[0]}.")
    return more


class _Columns:
    """The columns of a table: found by name, or by number from 0."""

    def __init__(self, names: Sequence[str | None] | None, rows: Collection[Row]) -> None:
        self._width = len(names) if names is not None else len(next(iter(rows), ()))
        self._places = {str(at): at for at in range(self._width)}
        self._places.update({name: at for at, name in enumerate(names or ()) if name is not None})

    def at(self, name: str) -> int:
        """:raises ApiError: 400 when there is no such column."""
        if name not in self._places:
            raise _unknown("column", name, self._places)
        return self._places[name]

    def wanted(self, text: str) -> dict[int, Value]:
        """The values of ``where`` by the places of their columns."""
        given = parse(text.encode(), "The query parameter where=")
        try:
            if not isinstance(given, dict):
                raise TypeError("it is no object")
            return {self.at(name): encode(value) for name, value in given.items()}
        except TypeError as error:
            raise ApiError(400, f"The query parameter where= must be a JSON object of row values: {error}") from error

    def order(self, by: Sequence[tuple[str, bool]]) -> "Callable[[Row], tuple[Any, ...]]":
        """A key for rows, which is total."""
        places = [(self.at(name), down) for name, down in by]

        def key(row: Row) -> tuple[Any, ...]:
            return (*((_Down(_rank(row[at])) if down else _rank(row[at])) for at, down in places), *order(row))

        return key

    def check_width(self, marker: Row) -> None:
        """:raises ApiError: 400 when a row that a client gives has other columns."""
        if len(marker) != self._width:
            raise ApiError(400, f"The marker has {len(marker)} values; the table has {self._width} columns.")


@dataclass(frozen=True, slots=True)
class _Down:
    """The other way round."""

    rank: tuple[int, Any]

    def __lt__(self, other: "_Down") -> bool:
        return other.rank < self.rank


def parse_row(text: str, what: str) -> Row:
    """A row from its JSON, as query parameters hold it.

    :raises ApiError: 400 when it is not a list of strings, numbers, booleans and nulls.
    """
    given = parse(text.encode(), what)
    try:
        if not isinstance(given, list):
            raise TypeError("it is no list")
        return encode_row(given)
    except TypeError as error:
        raise ApiError(400, f'{what} must be a row as JSON, such as ["vm-1", 5]: {error}') from error


def order(row: Row) -> tuple[tuple[int, Any], ...]:
    """A total order of rows: null, booleans, numbers, texts."""
    return tuple(map(_rank, row))


def _rank(value: Value) -> tuple[int, Any]:
    if value is None:
        return (0, 0)
    if isinstance(value, Bool):
        return (1, bool(value))
    return (3, value) if isinstance(value, str) else (2, value)


def lines_of(pages: Iterator[Sequence[Mapping[str, Any]]]) -> Iterator[bytes]:
    """Entries that come page by page, a line for each."""
    for page in pages:
        yield from ndjson_of(page)
