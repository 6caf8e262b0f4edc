# SPDX-License-Identifier: Apache-2.0
"""``python -m tests.server.examples`` tells the story of examples.yaml to a real daemon and writes the answers down.

What differs from one telling to the next (ids, times, ports) is put in the same words each time, so that the examples
change only when the answers do.
"""

import http.client
import json
import re
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from congress.api.examples import PATH
from congress.tools.documents import load_document
from tests.api.declared import router
from tests.contract.cases import difference, fill
from tests.executions.rest.lamps import City, Reply, city
from tests.server.daemon import Server, serving

STORY: Final = Path(__file__).with_name("examples.yaml")
PATIENCE: Final = 30.0
_KEYS: Final = {"request", "body", "send", "status", "answer", "until", "keep", "shown", "only", "lines"}
_UUID: Final = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_HASH: Final = re.compile(r"\b[0-9a-f]{32}\b")
_EPOCH: Final = re.compile(r"\b[0-9a-f]{8,}\.\d+\b")  # the place of an event in its table's history
_MOMENT: Final = re.compile(r"\b20\d\d-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(\+00:00|Z)?")
_NOW: Final = 1767254400.0  # the first of January 2026, noon
_TIMES: Final = re.compile(r"(_at|_updated|not_before|deadline|since|until|at)$")

_ALWAYS: Final[Mapping[str, Any]] = {"sequence": 1, "idempotency_key": "api.18a0c4f2:1"}


class Words:
    """The same words for what differs from one telling to the next, in the order in which it comes up."""

    def __init__(self, replaced: Mapping[str, str]) -> None:
        self._replaced = dict(replaced)
        self._known: dict[str, str] = {}

    def __call__(self, value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {self(name): self(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [self(inner, key) for inner in value]
        if isinstance(value, float) and _TIMES.search(key) and value > 1e9:
            return _NOW
        if type(value) is type(_ALWAYS.get(key, self)):
            return _ALWAYS[key]
        return self._text(value) if isinstance(value, str) else value

    def _text(self, text: str) -> str:
        for old, new in self._replaced.items():
            text = text.replace(old, new)
        text = _UUID.sub(self._numbered(lambda number: str(uuid.uuid5(uuid.NAMESPACE_OID, f"congress {number}"))), text)
        text = _HASH.sub(self._numbered(lambda number: uuid.uuid5(uuid.NAMESPACE_OID, f"congress {number}").hex), text)
        text = _EPOCH.sub("18a0c4f2.1", text)
        return _MOMENT.sub("2026-01-01 12:00:00+00:00", text)

    def _numbered(self, make: Callable[[int], str]) -> Callable[[re.Match[str]], str]:
        return lambda found: self._known.setdefault(found[0], make(len(self._known)))


def tell(server: Server, gate: City) -> Iterator[dict[str, Any]]:
    """Ask everything in order, and give the examples as they are written down."""
    known: dict[str, str] = {"city": gate.url("gate")}
    gate.parks["gate"].always = Reply(hang_up=True)
    words = Words({server.url: "http://127.0.0.1:1789", gate.url("gate"): "https://gate.example"})
    steps: Any = load_document(STORY)
    for step in steps:
        assert set(step) <= _KEYS, step
        asked = fill({key: value for key, value in step.items() if key != "keep"}, known)
        example = _example(server, asked, known, step)
        if step.get("shown", True):
            yield words(example)


def _example(server: Server, step: Mapping[str, Any], known: dict[str, str], given: Mapping[str, Any]) -> Any:
    method, _, path = step["request"].partition(" ")
    route = router().find(method, path.partition("?")[0], re.findall(r"action=([\w-]+)", path))[0].route
    found: dict[str, Any] = {"operation": route.operation, "request": step["request"]}
    if "text/event-stream" in route.others:
        return {**found, "status": 200, "kind": "text/event-stream", "answer": _events(server, path)}
    deadline = time.monotonic() + PATIENCE
    while True:
        status, answer, headers = server.request(method, _quoted(path), step.get("body"), step.get("send"))
        wrong = "" if status == step.get("status", 200) else f"{status} {answer}"
        wrong = wrong or difference(answer, step.get("answer", "<any>"), "")
        if not wrong:
            break
        if not step.get("until") or time.monotonic() > deadline:
            raise AssertionError(f"{step['request']}: {wrong}")
        time.sleep(0.05)
    known.update({name: _at(answer, place) for name, place in given.get("keep", {}).items()})
    if "body" in step:
        found |= {"has_body": True, "body": step["body"]}
    if answer is not None or headers.get("Content-Length") not in (None, "0"):
        found |= {"kind": headers.get_content_type(), "answer": _shown(answer, step)}  # type: ignore[attr-defined]
    return {**found, "status": status}


def _quoted(path: str) -> str:
    return path.replace('"', "%22").replace("[", "%5B").replace("]", "%5D")


def _at(answer: Any, place: str) -> str:
    for part in place.split("."):
        answer = answer[int(part)] if isinstance(answer, list) else answer[part]
    return str(answer)


def _shown(answer: Any, step: Mapping[str, Any]) -> Any:
    if isinstance(answer, bytes):
        text = answer.decode()
        if "export" in step["request"]:
            return [json.loads(line) for line in text.splitlines()]
        return "\n".join(text.splitlines()[: step.get("lines")]) + "\n"
    return {key: answer[key] for key in step["only"]} if "only" in step else answer


def _events(server: Server, path: str) -> str:
    """A stream until its first event."""
    connection = http.client.HTTPConnection(*server.address, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    assert answer.status == 200
    text = ""
    while "data: " not in text or not text.endswith("\n\n"):
        text += answer.readline().decode()
    answer.close()
    connection.close()
    return text


def told(folder: Path) -> list[dict[str, Any]]:
    """The examples, from a daemon of their own."""
    with serving(folder) as server, city() as gate:
        return list(tell(server, gate))


def text_of(examples: list[dict[str, Any]]) -> str:
    """As they are kept: one in a line, so that a change shows which it is."""
    return "[\n" + ",\n".join(json.dumps(example, ensure_ascii=False) for example in examples) + "\n]\n"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        PATH.write_text(text_of(told(Path(folder))), encoding="utf-8")
    sys.stdout.write(f"{PATH}\n")
