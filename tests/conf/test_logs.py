# SPDX-License-Identifier: Apache-2.0
"""Log lines in both forms."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from congress.bus import context
from congress.conf.logs import configure


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What the process logs; its logging is as before afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    flags = {name: getattr(logging, name) for name in ("_srcfile", "logThreads", "logProcesses", "logMultiprocessing")}
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, value in flags.items():
        setattr(logging, name, value)
    logging.captureWarnings(False)


LOG = logging.getLogger("congress.tests")


def only(stream: io.StringIO) -> dict[str, Any]:
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1
    made: dict[str, Any] = json.loads(lines[0])
    return made


def test_json_fields(stream: io.StringIO) -> None:
    configure("json", "INFO", stream)
    with context.bind(request_id="req-1", idempotency_key="k"):
        LOG.info("poll.finished service=%s rows=%d seconds=%.3f error=%s", "nova", 7, 0.123456, None)
    line = only(stream)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "INFO",
        "logger": "congress.tests",
        "event": "poll.finished",
        "service": "nova",
        "rows": 7,
        "seconds": 0.123456,
        "error": None,
        "request_id": "req-1",
    }


@pytest.mark.parametrize(
    ("message", "arguments"),
    [("plain words", ()), ("50%% of %s", ("it",)), ("a.b c=%s and more", (1,)), ("x.y z=%(z)s", ({"z": 3},))],
)
def test_json_of_other_messages(stream: io.StringIO, message: str, arguments: tuple[Any, ...]) -> None:
    configure("json", "INFO", stream)
    LOG.info(message, *arguments)
    assert only(stream)["message"] == (message % (arguments[0] if "(z)" in message else arguments))


def test_text(stream: io.StringIO) -> None:
    configure("text", "INFO", stream)
    with context.bind(poll_id="p-1"):
        LOG.warning("poll.failed service=%s error=%s", "nova", "no\nroute")
    line = stream.getvalue()
    assert " WARNING congress.tests poll.failed service=nova error=no\\nroute poll_id=p-1\n" in line
    assert line.count("\n") == 1


def test_texts_that_json_finds_hard(stream: io.StringIO) -> None:
    configure("json", "INFO", stream)
    LOG.info("odd.values text=%s number=%d thing=%s", "\ud800", 2**80, {1: object})
    line = only(stream)
    assert (line["text"], line["number"]) == ("\ud800", 2**80)


def test_tracebacks(stream: io.StringIO) -> None:
    configure("json", "INFO", stream)
    try:
        raise KeyError("x")
    except KeyError:
        LOG.exception("thing.failed")
    line = only(stream)
    assert line["event"] == "thing.failed"
    assert "KeyError" in line["traceback"]


def test_levels(stream: io.StringIO) -> None:
    configure("text", "WARNING", stream, requests=True)
    LOG.info("quiet.please")
    logging.getLogger("urllib3").info("chatter")
    assert stream.getvalue() == ""
    configure("text", "INFO", stream, requests=False)
    logging.getLogger("congress.api.requests").info("request.finished")
    assert stream.getvalue() == ""
