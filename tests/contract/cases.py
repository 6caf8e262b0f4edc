# SPDX-License-Identifier: Apache-2.0
"""Cases of the contract: requests one after the other, and what their answers must hold.

A file of ``tests/contract/rows`` is a list of rows of the table of the old API::

    - row: P5
      what: show a policy
      steps:
        - request: POST /v1/policies
          body: {name: p5}
          status: 201
          keep: {id: id}                 # the answer's field, under a name for later steps
        - request: GET /v1/policies/$id
          answer: {id: $id, name: p5}

``status`` is 200 unless given.  ``answer`` is compared with the JSON of the body: of objects the given keys must be
there (``<only>: true``: and no others), lists are equal item by item, or hold the items of ``{<holds>: [...]}`` among
others, and a text in angle brackets stands for anything of a kind: ``<any>``, ``<text>``, ``<uuid>``, ``<number>``,
``<list>``, ``<object>``, ``<has TEXT>``.  ``answer: <empty>`` means no body.  ``text`` is a body as it stands;
``send`` are headers of the request.  ``until: true`` repeats a request until its answer fits, for what comes a moment
later.

In rows of services ``$at`` is ``/v1/data-sources`` in one run and ``/v1/cloud-services`` in the other, ``$n`` makes
names differ between the two.
"""

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from congress.tools.documents import load_document
from tests.server.daemon import Server

ROWS: Final = Path(__file__).parent / "rows"
PREFIXES: Final = {"data-sources": "ds", "cloud-services": "cs"}
PATIENCE: Final = 30.0
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NAME: Final = re.compile(r"\$(\w+)")
_KEYS: Final = {"request", "body", "text", "send", "status", "headers", "answer", "keep", "until"}
_KINDS: Final[Mapping[str, type | tuple[type, ...]]] = {
    "<any>": object,
    "<text>": str,
    "<number>": (int, float),
    "<list>": list,
    "<object>": dict,
}


@dataclass(frozen=True)
class Row:
    """One row of the table; ``variables`` tell under which name of the services."""

    id: str
    steps: list[dict[str, Any]]
    variables: Mapping[str, str] = field(default_factory=dict)


def read_rows() -> Iterator[Row]:
    """All rows of all files; those of services under both of their names."""
    for path in sorted(ROWS.glob("*.yaml")):
        document: Any = load_document(path)
        for entry in document:
            assert set(entry) == {"row", "what", "steps"}, f"{path.name}: {entry}"
            if "$at" not in str(entry["steps"]):
                yield Row(entry["row"], entry["steps"])
                continue
            for prefix, short in PREFIXES.items():
                yield Row(f"{entry['row']}-{prefix}", entry["steps"], {"at": f"/v1/{prefix}", "n": short})


def run(row: Row, server: Server) -> None:
    """Send the requests of a row and check their answers."""
    known: dict[str, Any] = {"url": server.url, **row.variables}
    for number, step in enumerate(row.steps, 1):
        assert set(step) <= _KEYS, f"step {number}: {set(step) - _KEYS}"
        deadline = time.monotonic() + PATIENCE
        while problem := _run_step(step, server, known):
            if not step.get("until") or time.monotonic() > deadline:
                raise AssertionError(f"step {number}: {fill(step['request'], known)}: {problem}")
            time.sleep(0.05)


def _run_step(step: Mapping[str, Any], server: Server, known: dict[str, Any]) -> str:
    """What is wrong with the answer; empty when nothing is."""
    filled = fill({key: value for key, value in step.items() if key != "keep"}, known)
    method, _, path = filled["request"].partition(" ")
    body: Any = None
    if "text" in filled:
        body = filled["text"].encode()
    elif "body" in filled:
        body = b"null" if filled["body"] is None else filled["body"]
    status, answer, headers = server.request(method, path, body, filled.get("send"))
    if status != filled.get("status", 200):
        return f"{status} {answer!r}"
    for name, value in filled.get("headers", {}).items():
        if problem := difference(headers.get(name), value, name):
            return problem
    wanted = filled.get("answer", "<any>")
    problem = (
        ("" if answer is None else f"a body: {answer!r}") if wanted == "<empty>" else difference(answer, wanted, "")
    )
    if not problem:
        known.update({name: _at(answer, place) for name, place in step.get("keep", {}).items()})
    return problem


def _at(value: Any, place: str) -> Any:
    for part in place.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def fill(value: Any, known: Mapping[str, Any]) -> Any:
    """Put variables in; a ``$word`` that is none stays."""
    if isinstance(value, dict):
        return {fill(key, known): fill(item, known) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, known) for item in value]
    if not isinstance(value, str):
        return value
    return _NAME.sub(lambda found: str(known.get(found[1], found[0])), value)


def difference(value: Any, wanted: Any, place: str) -> str:
    """Where a value is not what was wanted; empty when it is."""
    if isinstance(wanted, str) and wanted.startswith("<") and wanted.endswith(">"):
        return "" if _is_kind(value, wanted) else f"{place}: {value!r} is no {wanted}"
    if isinstance(wanted, dict) and set(wanted) == {"<holds>"} and isinstance(value, list):
        missing = [w for w in wanted["<holds>"] if all(difference(v, w, place) for v in value)]
        return f"{place}: {missing} not in {value}" if missing else ""
    if isinstance(wanted, dict) and isinstance(value, dict):
        return _difference_of_objects(value, wanted, place)
    if isinstance(wanted, list) and isinstance(value, list):
        if len(value) != len(wanted):
            return f"{place}: {value}, not {wanted}"
        pairs = enumerate(zip(value, wanted, strict=True))
        return next(filter(None, (difference(*pair, f"{place}[{number}]") for number, pair in pairs)), "")
    same = value == wanted and type(value) is type(wanted)
    return "" if same else f"{place}: {value!r}, not {wanted!r}"


def _difference_of_objects(value: dict[str, Any], wanted: dict[str, Any], place: str) -> str:
    keys = {key: item for key, item in wanted.items() if key != "<only>"}
    if wanted.get("<only>") and value.keys() != keys.keys():
        return f"{place}: keys {sorted(value)}, not {sorted(keys)}"
    if missing := [key for key in keys if key not in value]:
        return f"{place}: no {missing} in {value}"
    return next(filter(None, (difference(value[key], item, f"{place}.{key}") for key, item in keys.items())), "")


def _is_kind(value: Any, kind: str) -> bool:
    if kind == "<uuid>":
        return isinstance(value, str) and _UUID.fullmatch(value) is not None
    if kind.startswith("<has "):
        return isinstance(value, str) and kind[5:-1] in value
    if kind in _KINDS:
        return isinstance(value, _KINDS[kind]) and not (kind == "<number>" and isinstance(value, bool))
    return bool(value == kind)  # a text that just looks like one: ``<hidden>``
