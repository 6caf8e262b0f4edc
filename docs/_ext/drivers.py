# SPDX-License-Identifier: Apache-2.0
"""``.. declared-drivers::``: all drivers of cloud services: their options, tables and actions."""

import importlib.metadata
import re
from collections.abc import Iterable, Iterator
from textwrap import indent
from typing import Any

from declared import Declared
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from congress.cloudservices.catalog import NAMESPACE, DriverCatalog


def drivers_text() -> Iterator[str]:
    """A section for each driver; other names of one are told in its section."""
    catalog = DriverCatalog()
    names: dict[str, list[str]] = {}
    for entry in importlib.metadata.entry_points(group=NAMESPACE):
        if entry.value.startswith("congress."):
            names.setdefault(catalog.load(entry.name).NAME, []).append(entry.name)
    for name in sorted(names):
        yield from _driver(catalog.describe(name), sorted(set(names[name]) - {name}))


def _driver(driver: dict[str, Any], others: list[str]) -> Iterator[str]:
    name = driver["name"]
    yield from (f".. _driver-{name}:", "", name, "-" * len(name), "", _sentence(driver["description"]), "")
    if others:
        yield from ("Also called " + ", ".join(f"``{other}``" for other in others) + ".", "")
    yield from _part("Options:", map(_option, driver["options"]))
    yield from _part("Tables:", map(_table, driver["tables"]))
    yield from _part("Actions:", map(_action, driver["actions"]))


def _part(title: str, entries: Iterable[tuple[str, str]]) -> Iterator[str]:
    lines = [line for term, text in entries for line in (f"``{term}``", indent(text or "\\ ", "    "), "")]
    if lines:
        yield from (title, "", *lines)


def _option(option: dict[str, Any]) -> tuple[str, str]:
    notes = [str(option["type"])]
    if option.get("choices"):
        notes = ["one of " + ", ".join(f"``{choice}``" for choice in option["choices"])]
    if option.get("required"):
        notes.append("required")
    elif option.get("default") is not None:
        notes.append(f"default ``{option['default']}``")
    if option.get("secret"):
        notes.append("secret")
    return option["name"], f"{_sentence(option['description'])} ({', '.join(notes)})"


def _table(table: dict[str, Any]) -> tuple[str, str]:
    columns = ", ".join(column["name"] for column in table["columns"])
    return f"{table['table_id']}({columns})", _sentence(table["description"])


def _action(action: dict[str, Any]) -> tuple[str, str]:
    arguments = ", ".join(a["name"] + ("" if a.get("required", True) else "?") for a in action.get("args", ()))
    return f"{action['name']}({arguments})", _sentence(action.get("description", ""))


def _sentence(text: str) -> str:
    text = re.sub(r"([\\*`|]|_(?=\W|$))", r"\\\1", " ".join(text.split()))
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") or not text else ".")


class Drivers(Declared):
    source = "declared-drivers"

    def lines(self) -> Iterable[str]:
        return drivers_text()


def setup(app: Sphinx) -> ExtensionMetadata:
    """Called by Sphinx."""
    app.add_directive(Drivers.source, Drivers)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
