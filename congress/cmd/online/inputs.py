# SPDX-License-Identifier: Apache-2.0
"""What commands read from files and arguments, policies, rows, options of drivers; and files that they write."""

import argparse
import csv
import io
import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TextIO

from congress.client.errors import SettingsError
from congress.client.values import Row, Value, value_of
from congress.tools.errors import ToolError

_NUMBER: Final = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_WORDS: Final = {"true": True, "false": False, "": None}


def text_of(path: str) -> str:
    """A file's text; that of standard input for ``-``.

    :raises SettingsError: it cannot be read.
    """
    if path == "-":
        return sys.stdin.read()
    from congress.tools.documents import read_text  # noqa: PLC0415  # with PyYAML, 0.03 s

    try:
        return read_text(Path(path))
    except ToolError as error:
        raise SettingsError(str(error), "Give the path of a file, or - for standard input.") from error


@contextmanager
def written(path: str) -> Iterator[TextIO]:
    """A file to write a text to.

    :raises SettingsError: it cannot be written, or not to its end.
    """
    try:
        with Path(path).open("w", encoding="utf-8") as file:
            yield file
    except OSError as error:
        hint = "Give the path of a file where there is room, in a folder that is there and yours to write."
        raise SettingsError(f"cannot write {path}: {error.strerror}", hint) from error


def document_of(path: str) -> Any:
    """A YAML or JSON file's content.

    :raises ToolError: it is neither.
    """
    from congress.tools.documents import load_document  # noqa: PLC0415  # as above

    return load_document(Path("standard input.yaml" if path == "-" else path), text_of(path))


def policy_of(path: str) -> dict[str, Any]:
    """A policy from a file: ``rules`` and, where the file says so, ``name``, ``description``, ``kind``...

    A file that ends with .yaml, .yml or .json holds a document; any other, and standard input, rules as text.

    :raises ToolError: it cannot be read or is no policy.
    :raises PolicyError: the text of a rule is wrong.
    """
    from congress.tools.documents import DOCUMENTS  # noqa: PLC0415  # as above

    if Path(path).suffix in DOCUMENTS:
        found = document_of(path)
        if not isinstance(found, dict) or not isinstance(found.get("rules", []), list):
            raise ToolError(f"{path} is no policy: expected an object with a list 'rules'")
        return found
    from congress.datalog.parser import parse  # noqa: PLC0415  # the language, only where a text must be taken apart

    return {"rules": [rule.text for rule in parse(text_of(path), path).statements]}


def rows_of(path: str) -> list[Any]:
    """Rows from a file: a list in JSON or YAML, or CSV whose first line has the names of columns.

    :raises ToolError: it cannot be read or holds no rows.
    """
    if Path(path).suffix == ".csv":
        return _csv(path)
    found = document_of(path)
    if not isinstance(found, list):
        raise ToolError(f"{path} holds no rows: expected a list, each row a list or an object")
    return found


def _csv(path: str) -> list[Any]:
    reader = csv.reader(io.StringIO(text_of(path)), strict=True)
    try:
        header = next(reader, None)
        if not header:
            raise ToolError(f"{path} is empty; its first line has the names of columns")
        twice = next((name for name in header if header.count(name) > 1), None)
        if twice is not None:
            raise ToolError(f"{path}: the column {twice!r} is there twice")
        lines = [[_guess(text) for text in line] for line in reader if line]
    except csv.Error as error:
        raise ToolError(f"{path}: line {reader.line_num}: {error}") from error
    wrong = next((line for line in lines if len(line) != len(header)), None)
    if wrong is not None:
        raise ToolError(f"{path}: a line has {len(wrong)} values, the header {len(header)} names")
    return [dict(zip(header, line, strict=True)) for line in lines]


def _guess(text: str) -> Value:
    if text in _WORDS:
        return _WORDS[text]
    return value_of(text) if _NUMBER.fullmatch(text) else text


def row_of(words: Sequence[str]) -> Row:
    """A row from arguments: one for each value, or all of it as one JSON list.

    :raises ToolError: the list holds what is no value.
    """
    if len(words) == 1 and words[0].lstrip().startswith("["):
        try:
            values = json.loads(words[0])
        except ValueError as error:
            raise ToolError(f'{words[0]!r} is no row; write ["vm-1", 5], or the values one by one') from error
        if any(isinstance(value, list | dict) for value in values):
            raise ToolError(f"{words[0]!r} is no row: its values are texts, numbers, true, false or null")
        return tuple(values)
    return tuple(value_of(word) for word in words)


def assignment(text: str) -> tuple[str, Any]:
    """``("poll_time", 5)`` from ``poll_time=5``; JSON on the right side is read as such.

    :raises argparse.ArgumentTypeError: there is no equals sign.
    """
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def json_row(text: str) -> Any:
    """A row as JSON: a list or an object.

    :raises argparse.ArgumentTypeError: it is neither.
    """
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list | dict):
        raise argparse.ArgumentTypeError(f'{text!r} is no row; write it as JSON: ["vm-1", 5]')
    return found
