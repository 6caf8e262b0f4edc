# SPDX-License-Identifier: Apache-2.0
"""Log lines: an event with a stable name, its fields, and the ids in force; as text or as JSON.

Modules log by the standard library, with the event's name first and its fields as ``key=%s``::

    LOG.info("poll.finished service=%s rows=%d", service, rows)

As text that is what is written; as JSON the name and the fields become keys of their own.  The ids of
:mod:`congress.bus.context` (of the request, the poll, the execution) are added to every line.
"""

import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, TextIO

from congress.api.encoding import dumps
from congress.bus import context

# Libraries that are loud at INFO, or write bodies and secrets at DEBUG.
_QUIET: Final = {
    "alembic": logging.WARNING,
    "amqp": logging.WARNING,
    "keystoneauth": logging.WARNING,
    "keystoneclient": logging.WARNING,
    "novaclient": logging.WARNING,
    "openstack": logging.WARNING,
    "oslo.messaging": logging.WARNING,
    "oslo_messaging": logging.WARNING,
    "sqlalchemy": logging.WARNING,
    "stevedore": logging.WARNING,
    "urllib3": logging.WARNING,
    "waitress": logging.WARNING,
}
_EVENT: Final = re.compile(r"([a-z][a-z0-9_]*(?:\.[a-z0-9_]+)+)(.*)", re.DOTALL)
_FIELD: Final = re.compile(r" ([a-z][a-z0-9_]*)=(%[-+ #0]*\d*(?:\.\d+)?[a-zA-Z])")


@lru_cache(maxsize=2048)
def _parts(template: str) -> tuple[str, tuple[str, ...]] | None:
    """The event and the keys of a template, where all of it has that form."""
    found = _EVENT.fullmatch(template)
    if found is None:
        return None
    fields = _FIELD.findall(found[2])
    whole = "".join(f" {key}={conversion}" for key, conversion in fields) == found[2]
    return (found[1], tuple(key for key, _ in fields)) if whole else None


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _printable(text: str) -> str:
    """One line whatever is in it: a name with a line feed must not look like a line of the log."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _ids() -> Mapping[str, str]:
    """The ids in force, but for the bus's own of the message that is handled."""
    return {key: value for key, value in context.ids().items() if key != "idempotency_key"}


class TextFormatter(logging.Formatter):
    """``2031-05-01T10:00:00.000Z INFO congress.api.front request.finished status=200 request_id=req-…``"""

    def format(self, record: logging.LogRecord) -> str:
        ids = "".join(f" {key}={value}" for key, value in _ids().items())
        said = _printable(record.getMessage()) if _parts(str(record.msg)) else record.getMessage()
        text = f"{_time(record)} {record.levelname} {record.name} {said}{ids}"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return text


class JsonFormatter(logging.Formatter):
    """One object a line: ``time``, ``level``, ``logger``, ``event`` or ``message``, the fields, the ids."""

    def format(self, record: logging.LogRecord) -> str:
        made: dict[str, Any] = {"time": _time(record), "level": record.levelname, "logger": record.name}
        parts = _parts(str(record.msg))
        arguments = record.args
        if parts is not None and not isinstance(arguments, Mapping) and len(parts[1]) == len(arguments or ()):
            made["event"] = parts[0]
            made.update(zip(parts[1], map(_plain, arguments or ()), strict=True))
        else:
            made["message"] = record.getMessage()
        made.update(_ids())
        if record.exc_info:
            made["traceback"] = self.formatException(record.exc_info)
        return dumps(made).decode()


def _plain(value: object) -> object:
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes each record in one go, so that lines of several processes on one pipe do not mix."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.stream.write(self.format(record) + "\n")
            self.stream.flush()
        except Exception:  # noqa: BLE001  # a reader that has gone must not take the daemon along
            self.handleError(record)


def configure(form: str, level: str, stream: TextIO | None = None, *, requests: bool = False) -> None:
    """Have the whole process log to one stream, standard error unless given.  Replaces what was set up before."""
    handler = LineHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(least)
    logging.getLogger("congress.api.requests").setLevel(logging.INFO if requests else logging.WARNING)
    # What no line shows need not be looked up for each: the caller's file, the thread, the process.
    logging._srcfile = None  # so says the library's own page on optimisation
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.captureWarnings(True)
