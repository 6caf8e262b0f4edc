# SPDX-License-Identifier: Apache-2.0
"""Tables that are files: CSV, JSON, JSON Lines and YAML, read again whenever they change."""

import os
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Final, TypeAlias

from congress.cloudservices import formats, tabular
from congress.cloudservices.errors import PollError
from congress.cloudservices.formats import BadFile, Format
from congress.cloudservices.jsonpaths import compile_rows, compile_value
from congress.cloudservices.options import Option
from congress.cloudservices.polling_driver import UNCHANGED, Fetched, PollingDriver
from congress.cloudservices.tabular import TableSpec
from congress.datalog.schema import TableSchema

# What tells that a file is another one: device, inode, size, and when it was changed.
Mark: TypeAlias = tuple[int, int, int, int]

_KEYS: Final = ("path", "format", "rows", "header", "delimiter", "encoding")
# A clock may stand still this long while a file is changed: a mark that young proves nothing.
_GRANULARITY: Final = 2.0


@dataclass(frozen=True, slots=True)
class Source:
    """One file: where it is, how it is read, and which table its rows go to."""

    path: Path
    format: Format
    spec: TableSpec


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found when a file was last read."""

    mark: Mark
    proven: bool  # whether the same mark later means the same content
    error: BadFile | None = None


class FilesDriver(PollingDriver):
    """Each table is a file.

    Files are looked at every ``poll_time`` seconds and read when they are another one: by replacing (write
    a new file, rename it over the old one: the way that never shows half a file) or by writing into it,
    once nobody has written for ``debounce`` seconds.  A file that cannot be read, or does not hold what it
    should, leaves the table's rows as they were and marks the table stale, with the line that is wrong.
    """

    NAME: ClassVar[str] = "files"
    DESCRIPTION: ClassVar[str] = "CSV, JSON, JSON Lines and YAML files, read again when they change"
    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option(
            "tables",
            "object",
            required=True,
            description="The tables: for each an object with `path`, and where needed `format` (csv, json, jsonl, "
            "yaml; by default after the file's ending), `columns`, `rows` (JSON path to the list of rows), `header` "
            "and `delimiter` (CSV), `encoding`, `description`.",
        ),
        Option("directory", "path", description="What relative paths start from; by default the daemon's directory."),
        Option("debounce", "number", default=0.2, minimum=0, maximum=60, description="Seconds a file must rest."),
        Option("max_bytes", "integer", default=64 * 2**20, minimum=1, description="The largest file that is read."),
        Option("poll_time", "number", default=1.0, minimum=0, maximum=86400, description="Seconds between looks."),
    )

    def configure(self) -> None:
        specs = tabular.table_specs(self.config["tables"], keys=_KEYS, needs_columns=False)
        directory = Path(self.config["directory"] or ".")
        self._sources = {name: _source(spec, directory) for name, spec in specs.items()}
        self._seen: dict[str, Seen] = {}

    def open(self) -> None:
        """Find out the columns of the tables that are configured without."""
        for table, source in self._sources.items():
            if not source.spec.columns:
                try:
                    records = formats.read(self._content(source.path)[0], source.format)
                    columns, names = formats.columns_of(records), formats.sources_of(records)
                except OSError as error:
                    raise PollError(f"{source.path}: {error.strerror or error}") from error
                except BadFile as error:
                    raise BadFile(f"{source.path}: {error.message}") from error
                self._sources[table] = replace(source, spec=replace(source.spec, columns=columns, sources=names))

    def tables(self) -> Mapping[str, TableSchema]:
        return {table: source.spec.schema for table, source in self._sources.items()}

    def fetch(self, wanted: frozenset[str]) -> Mapping[str, Fetched]:
        return {table: self._look(table, self._sources[table]) for table in wanted}

    def _look(self, table: str, source: Source) -> Fetched:
        try:
            now = _mark(os.stat(source.path))
            seen = self._seen.get(table)
            if seen is not None and seen.mark == now and seen.proven:
                if seen.error is not None:
                    return seen.error
                if self.holds(table):
                    return UNCHANGED
            resting = time.time() - now[3] / 1e9
            # The same file as before may be half written; another one in its place came whole.
            same_file = seen is not None and seen.mark[:2] == now[:2]
            if same_file and self.holds(table) and 0 <= resting < self.config["debounce"]:
                self.plan_poll(self.config["debounce"] - resting)
                return UNCHANGED
            return self._load(table, source)
        except OSError as error:
            self._seen.pop(table, None)
            return PollError(f"{source.path}: {error.strerror or error}")
        except PollError as error:
            return error

    def _load(self, table: str, source: Source) -> Fetched:
        content, mark = self._content(source.path)
        proven = time.time() - mark[3] / 1e9 > _GRANULARITY
        try:
            rows = formats.shape(formats.read(content, source.format, source.spec.sources), source.spec)
        except BadFile as error:
            bad = BadFile(f"{source.path}: {error.message}")
            self._seen[table] = Seen(mark, proven, bad)
            return bad
        self._seen[table] = Seen(mark, proven)
        return rows

    def _content(self, path: Path) -> tuple[bytes, Mark]:
        """A whole file and its mark.

        :raises PollError: it is no regular file, too large, or was written to meanwhile.
        """
        # A pipe would block the service for good if it were opened in the usual way.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise PollError(f"{path}: not a regular file")
            most = self.config["max_bytes"]
            content = file.read(most + 1)
            if len(content) > most:
                raise PollError(f"{path}: larger than {most} bytes (option 'max_bytes')")
            if _mark(os.fstat(descriptor)) != _mark(before):
                raise PollError(f"{path}: it was being written to while it was read")
        return content, _mark(before)


def _mark(found: os.stat_result) -> Mark:
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _source(spec: TableSpec, directory: Path) -> Source:
    """:raises ConfigError: the table's keys do not say which file it is or how it is read."""
    path = _string(spec, "path", "")
    if not path or "\0" in path:
        raise tabular.wrong(f"table {spec.name!r} needs a path")
    kind = _string(spec, "format", formats.format_of(path) or "")
    if kind not in formats.FORMATS:
        raise tabular.wrong(f"table {spec.name!r}: format must be one of {', '.join(formats.FORMATS)}")
    delimiter = _string(spec, "delimiter", ",")
    if len(delimiter) != 1 or delimiter in '\r\n"':
        raise tabular.wrong(f"table {spec.name!r}: delimiter must be one character")
    header = spec.rest.get("header", True)
    if not isinstance(header, bool):
        raise tabular.wrong(f"table {spec.name!r}: header must be true or false")
    if not header and not spec.columns:
        raise tabular.wrong(f"table {spec.name!r}: a file without a heading needs columns")
    encoding = _string(spec, "encoding", "utf-8-sig")
    rows = _string(spec, "rows", "")
    try:
        "".encode(encoding)
        format_ = Format(kind, compile_rows(rows) if rows else None, header, delimiter, encoding)
        for source in spec.sources:
            if source.startswith("$"):
                compile_value(source)
    except (LookupError, ValueError) as error:
        raise tabular.wrong(f"table {spec.name!r}: {error}") from error
    return Source(directory / path, format_, spec)


def _string(spec: TableSpec, key: str, default: str) -> str:
    value = spec.rest.get(key, default)
    if not isinstance(value, str):
        raise tabular.wrong(f"table {spec.name!r}: {key} must be a string")
    return value
