# SPDX-License-Identifier: Apache-2.0
"""Files of rows: CSV, JSON, JSON Lines and YAML, read into records that know their place in the file.

Pure.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import yaml

from congress.cloudservices import convert
from congress.cloudservices.errors import PollError
from congress.cloudservices.jsonpaths import Values, compile_value
from congress.cloudservices.tabular import TableSpec, as_name
from congress.datalog.constants import bad_character
from congress.datalog.schema import Column
from congress.datalog.values import Row, kind

FORMATS: Final = ("csv", "json", "jsonl", "yaml")
_BY_ENDING: Final = {
    "csv": "csv",
    "json": "json",
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "yaml": "yaml",
    "yml": "yaml",
}
_TEXTS: Final = frozenset({str})


class BadFile(PollError):
    """A file does not hold what it should."""

    code = "bad_file"


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a file before it is brought into shape: by position or by name, and where it stands."""

    place: str  # "line 7", "row 3"
    values: Sequence[Any] | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Format:
    """How to read a file: its kind, and what users may say about it."""

    kind: str
    rows: Values | None = None
    header: bool = True
    delimiter: str = ","
    encoding: str = "utf-8-sig"


def format_of(path: str) -> str | None:
    """The kind of a file by the ending of its name."""
    return _BY_ENDING.get(path.rpartition(".")[2].lower())


def read(data: bytes, format_: Format, needed: Iterable[str] = ()) -> list[Record]:
    """The records of a file.

    :param needed: what a CSV file's heading must have; rows of nothing but null would come of another one.
    :raises BadFile: with the line where it went wrong.
    """
    if format_.kind == "json":
        return _records(_json(data), format_)
    try:
        text = data.decode(format_.encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadFile(f"line {line}: not {format_.encoding} text ({error.reason})") from error
    if format_.kind == "csv":
        return list(_csv(text, format_, needed))
    if format_.kind == "jsonl":
        lines = enumerate(text.split("\n"), 1)
        return [_record(f"line {n}", _json(line.encode(), n)) for n, line in lines if line.strip()]
    return _records(_yaml(text), format_)


def columns_of(records: Sequence[Record]) -> tuple[Column, ...]:
    """The columns that a file's records have, in the order in which they first come.

    :raises BadFile: there are none, or only rows without names, or two that would have one name.
    """
    found: dict[str, None] = {}
    for record in records:
        if not isinstance(record.values, Mapping):
            raise BadFile(f"{record.place}: rows that are lists need columns in the service's configuration")
        found.update(dict.fromkeys(record.values))
    if not found:
        raise BadFile("there are no rows to tell the columns by; name them in the service's configuration")
    called: dict[str, str] = {}
    for name in found:
        before = called.setdefault(as_name(name), name)
        if before != name:
            raise BadFile(
                f"{before!r:.60} and {name!r:.60} would both be column {as_name(name)!r:.60}; name the columns in the "
                "service's configuration"
            )
    return tuple(map(Column, called))


def sources_of(records: Sequence[Record]) -> tuple[str, ...]:
    """The names by which :func:`columns_of` found the columns."""
    return tuple(dict.fromkeys(name for record in records for name in record.values))


def shape(records: Sequence[Record], spec: TableSpec) -> list[Row]:
    """The rows of a table.  :raises BadFile: a value does not fit its column, or a row its table."""
    getters = [_getter(source) for source in spec.sources]
    return [_shape(record, spec, getters) for record in records]


def _shape(record: Record, spec: TableSpec, getters: Sequence[Callable[[Any], Any]]) -> Row:
    if isinstance(record.values, Mapping):
        given = [get(record.values) for get in getters]
    elif len(record.values) == len(spec.columns):
        given = list(record.values)
    else:
        raise BadFile(
            f"{record.place}: {len(record.values)} values, but table {spec.name!r} has {len(spec.columns)} columns"
        )
    return tuple(_value(record, column, value) for column, value in zip(spec.columns, given, strict=True))


def _value(record: Record, column: Column, given: Any) -> Any:
    if given == "" and column.type not in ("string", "any"):
        given = None  # CSV has no other way to say that there is nothing
    try:
        value = convert.to_value(given, column.type)
    except TypeError as error:
        raise BadFile(f"{record.place}, column {column.name!r}: {error}") from error
    if type(value) not in convert.kinds_of(column.type, column.nullable):
        wanted = f"of type {column.type}, not {kind(value)}" if value is not None else "not null"
        raise BadFile(f"{record.place}, column {column.name!r}: the value must be {wanted}")
    if isinstance(value, str) and (bad := bad_character(value)):
        raise BadFile(f"{record.place}, column {column.name!r}: U+{ord(bad):04X} is a character that no text may hold")
    return value


def _getter(source: str) -> Callable[[Any], Any]:
    if source.startswith("$"):
        return compile_value(source)
    return lambda values: values.get(source)


def _csv(text: str, format_: Format, needed: Iterable[str]) -> Iterator[Record]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=format_.delimiter, strict=True)
    header: list[str] | None = None
    try:
        for cells in reader:
            if not cells:
                continue
            if format_.header and header is None:
                header = [cell.strip() for cell in cells]
                if twice := {name for name in header if header.count(name) > 1}:
                    raise BadFile(f"line {reader.line_num}: two columns are called {sorted(twice)[0]!r:.60}")
                if missing := [name for name in needed if not name.startswith("$") and name not in header]:
                    raise BadFile(f"line {reader.line_num}: the heading has no column {missing[0]!r:.60}")
            elif header is None:
                yield Record(f"line {reader.line_num}", cells)
            elif len(cells) == len(header):
                yield Record(f"line {reader.line_num}", dict(zip(header, cells, strict=True)))
            else:
                raise BadFile(f"line {reader.line_num}: {len(cells)} cells, but the heading has {len(header)}")
    except csv.Error as error:
        raise BadFile(f"line {reader.line_num}: {error}") from error
    if format_.header and header is None:
        raise BadFile("there is no heading; is it being written?")


def _json(data: bytes, line: int | None = None) -> Any:
    try:
        return orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        at = line if line is not None else error.lineno
        raise BadFile(f"line {at}, column {error.colno}: not JSON: {error.msg}") from error


def _yaml(text: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506  # a safe loader, without aliases
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
        raise BadFile(f"{place}not YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadFile(f"not YAML: {error}") from error


class _Loader(yaml.SafeLoader):
    """Safe, and without aliases: nested ones make gigabytes out of a few lines."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]  # its stubs leave it out
            raise yaml.composer.ComposerError(None, None, "aliases are not allowed", event.start_mark)
        return super().compose_node(parent, index)


def _records(document: Any, format_: Format) -> list[Record]:
    try:
        found = format_.rows(document) if format_.rows is not None else document
    except ValueError as error:
        raise BadFile(str(error)) from error
    if not isinstance(found, list):
        raise BadFile("the file must hold a list of rows; say by `rows` where in it they are")
    return [_record(f"row {number}", value) for number, value in enumerate(found)]


def _record(place: str, value: Any) -> Record:
    if isinstance(value, Mapping):
        # YAML has keys of other types: a plain ``yes`` or ``on`` is a truth.
        if not _TEXTS.issuperset(map(type, value)):
            key = next(key for key in value if type(key) is not str)
            raise BadFile(f"{place}: the key {_yaml_key(key)} is no text; quote it")
        return Record(place, value)
    if isinstance(value, list):
        return Record(place, value)
    raise BadFile(f"{place}: a row must be an object or a list, not a {type(value).__name__}")


def _yaml_key(key: Any) -> str:
    return "null" if key is None else str(key).lower() if isinstance(key, bool) else str(key)
