# SPDX-License-Identifier: Apache-2.0
"""YAML and JSON files with nothing in them but what JSON has.

YAML 1.1 takes ``no`` for a boolean, ``12:30`` for a number and ``2026-01-01`` for a date; here they are texts, as in
YAML 1.2.  A key that an object has twice is refused: readers of JSON and YAML differ in which of the two counts.
"""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from congress.tools.errors import ToolError

DEPTH = 100
"""Objects and lists within one another; PyYAML in C crashes where there are very many."""

DOCUMENTS = {".yaml", ".yml", ".json"}


def _loader() -> Any:
    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is there where PyYAML was built with libyaml
    loader: Any = type("Loader", (base,), {"yaml_implicit_resolvers": {}})
    for tag, pattern, first in (
        ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
        ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
        ("int", r"[-+]?(0|[1-9][0-9]*)|0x[0-9a-fA-F]+", list("-+0123456789")),
        ("float", r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?", list("-+.0123456789")),
        ("merge", r"<<", ["<"]),
    ):
        loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), first)
    loader.add_constructor("tag:yaml.org,2002:float", lambda maker, node: float(maker.construct_scalar(node)))
    return loader


_LOADER = _loader()


def read_text(path: Path) -> str:
    """A file's text, without the mark that some programs begin UTF-8 with.

    :raises ToolError: when there is none to read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ToolError(f"cannot read {path}: {reason}") from error


def write_text(path: Path, text: str) -> None:
    """Write a file.

    :raises ToolError: when it cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ToolError(f"cannot write {path}: {error.strerror}") from error


def writable(text: str) -> str:
    """A text that can be written anywhere: JSON can have halves of surrogate pairs, which nothing takes."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def load_document(path: Path, text: str | None = None) -> object:
    """A YAML or JSON file's content.

    :raises ToolError: when it is neither.
    """
    text = text if text is not None else read_text(path)
    try:
        return json.loads(text, object_pairs_hook=_object) if path.suffix == ".json" else _load_yaml(text)
    except _Twice as error:
        raise ToolError(f"{path}: {error}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ToolError(f"{path} is neither YAML nor JSON: {error}") from error


class _Twice(Exception):
    def __init__(self, key: str, place: str = "") -> None:
        super().__init__(f"the key {key!r} is there twice{place}")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise _Twice(next(key for key, number in Counter(key for key, _ in pairs).items() if number > 1))
    return made


def _refuse_endless(text: str) -> None:
    """Stop at nesting that no row or rule needs, and at what an alias puts within itself."""
    loader = _LOADER(text)
    within: list[str | None] = []  # the anchors of all that is open
    try:
        while loader.check_event():
            event = loader.get_event()
            if isinstance(event, yaml.CollectionStartEvent):
                within.append(event.anchor)
                if len(within) > DEPTH:
                    raise ValueError(f"it is nested more than {DEPTH} deep")
            elif isinstance(event, yaml.CollectionEndEvent):
                within.pop()
            elif isinstance(event, yaml.AliasEvent) and event.anchor in within:
                raise ValueError(f"*{event.anchor} stands within itself")
    finally:
        loader.dispose()


def _load_yaml(text: str) -> object:
    _refuse_endless(text)
    loader = _LOADER(text)  # it makes nothing but JSON's types
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _refuse_twins(node)
        content: object = loader.construct_document(node)
        return content
    finally:
        loader.dispose()


def _refuse_twins(root: yaml.Node) -> None:
    """Look for twins as they are written: merged in (``<<``), a key may be written over."""
    left, seen = [root], {id(root)}
    while left:
        node = left.pop()
        inner: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            _refuse_twin_keys([key for key, _ in node.value if isinstance(key, yaml.ScalarNode)])
            inner = [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            inner = node.value
        left += [part for part in inner if id(part) not in seen]
        seen.update(map(id, inner))


def _refuse_twin_keys(keys: list[yaml.ScalarNode]) -> None:
    found = {(key.tag, key.value) for key in keys}
    if len(found) == len(keys):
        return
    for key in keys:
        if (key.tag, key.value) not in found:
            raise _Twice(key.value, f": line {key.start_mark.line + 1}, column {key.start_mark.column + 1}")
        found.remove((key.tag, key.value))
