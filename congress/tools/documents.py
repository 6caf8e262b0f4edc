# SPDX-License-Identifier: Apache-2.0
"""YAML and JSON files with nothing in them but what JSON has.

YAML 1.1 takes ``no`` for a boolean, ``12:30`` for a number and ``2026-01-01`` for a date; here they are texts, as in
YAML 1.2.
"""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from congress.tools.errors import ToolError

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
    """A file's text.

    :raises ToolError: when there is none to read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ToolError(f"cannot read {path}: {reason}") from error


def load_document(path: Path, text: str | None = None) -> object:
    """A YAML or JSON file's content.

    :raises ToolError: when it is neither.
    """
    text = text if text is not None else read_text(path)
    try:
        if path.suffix == ".json":
            return json.loads(text)
        return yaml.load(text, _LOADER)  # noqa: S506 - it makes nothing but JSON's types
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ToolError(f"{path} is neither YAML nor JSON: {error}") from error
