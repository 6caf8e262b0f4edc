# SPDX-License-Identifier: Apache-2.0
"""What people see: values, colours only on a terminal, errors that say what to do next."""

import json
import os
from collections.abc import Mapping
from typing import Any, Final, TextIO

PLAIN: Final = frozenset({"table", "value", "csv", "shell"})
"""Formats in which all cells are texts; the others keep the types of values."""

_COLOURS: Final[Mapping[str, str]] = {"green": "32", "red": "31", "yellow": "33", "dim": "2", "bold": "1"}
_STATES: Final[Mapping[str, str]] = {
    "active": "green", "running": "green", "succeeded": "green", "ok": "green", "closed": "green", "enforce": "green",
    "waiting": "yellow", "proposed": "yellow", "held": "yellow", "queued": "yellow", "half_open": "yellow",
    "stopped": "yellow", "warning": "yellow", "skipped": "dim", "cancelled": "dim", "obsolete": "dim",
    "off": "red", "error": "red", "failed": "red", "open": "red",
}  # fmt: skip


def coloured(stream: TextIO) -> bool:
    """Whether a stream is a terminal that shows colours, and nobody said NO_COLOR."""
    return bool(stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb")


def paint(stream: TextIO, text: str, colour: str) -> str:
    """A text in a colour, where the stream shows colours."""
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if coloured(stream) else text


def paint_state(stream: TextIO, state: str) -> str:
    """The name of a state in the colour of its kind."""
    return paint(stream, state, _STATES[state]) if state in _STATES else state


def cell(value: Any, formatter: str) -> Any:
    """A value of an object for a formatter: lists and objects become JSON texts, null nothing."""
    if formatter not in PLAIN:
        return value
    if value is None:
        return ""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return value
    return json.dumps(value, ensure_ascii=False)


def row_cell(value: Any, formatter: str) -> Any:
    """A value of a row for a formatter: as the policy language writes it, but texts without quotes.

    In CSV an empty field is null: so files of rows are read too.
    """
    if value is None and formatter == "csv":
        return ""
    if formatter not in PLAIN or (isinstance(value, str | int | float) and not isinstance(value, bool)):
        return value
    return json.dumps(value)


def error_text(error: Any, stream: TextIO) -> str:
    """What to print for an error of :mod:`congress.client.errors`."""
    message = error.message
    if getattr(error, "code", 0) >= 1000:  # then the sentence of old clients stands before what is the matter
        message = message.partition("::")[2] or message
    lines = [f"{paint(stream, 'error:', 'red')} {message}"]
    if getattr(error, "status", 0) >= 500 and error.request_id:
        lines.append(f"request: {error.request_id}")
    if error.hint:
        lines.append(f"{paint(stream, 'next:', 'bold')} {error.hint}")
    return "\n".join(lines) + "\n"
