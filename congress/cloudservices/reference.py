# SPDX-License-Identifier: Apache-2.0
"""Reference pages of drivers, made from their classes: options, tables, actions.

A page is written by hand but for the part between the two markers; ``python -m
congress.cloudservices.reference FOLDER`` renews that part of every page in a folder, and ``--check`` says
which pages are not up to date.
"""

import argparse
import inspect
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from congress.cloudservices.catalog import DriverCatalog, actions_of, kind_of
from congress.cloudservices.datasource_driver import DataSourceDriver
from congress.cloudservices.execution_driver import Action
from congress.cloudservices.options import Option
from congress.datalog.schema import TableSchema

BEGIN: Final = ".. begin generated: do not edit up to the end mark"
END: Final = ".. end generated"
_KINDS: Final = {
    "polling": "The service is polled.",
    "pushed": "Rows are pushed to the service.",
    "other": "The service neither polls nor takes rows.",
}


def generated(cls: type[DataSourceDriver]) -> str:
    """What a class says of its driver, as reStructuredText."""
    parts = [
        cls.DESCRIPTION.rstrip(".") + ".",
        _prose(inspect.getdoc(cls) or ""),
        _KINDS[kind_of(cls)],
        _heading("Options"),
        _options(cls.options()),
        _heading("Tables"),
        *_tables(cls),
        _heading("Actions"),
        *_actions(actions_of(cls)),
    ]
    return "\n\n".join(parts)


def page(cls: type[DataSourceDriver], name: str) -> str:
    """A new page for a driver, with nothing written by hand yet."""
    title = f"The {name} driver"
    return f"{title}\n{'=' * len(title)}\n\n{BEGIN}\n\n{generated(cls)}\n\n{END}\n"


def renewed(text: str, cls: type[DataSourceDriver]) -> str:
    """A page with its generated part made anew.  :raises ValueError: the page has no markers."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no part between the lines {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n\n{generated(cls)}\n\n{END}{after}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Renew or check the pages of a folder; each is called after its driver."""
    parser = argparse.ArgumentParser(prog="congress.cloudservices.reference", description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--check", action="store_true", help="change nothing; fail when a page is not up to date")
    parser.add_argument("drivers", nargs="*", help="which drivers (default: those that have a page)")
    given = parser.parse_args(arguments)
    catalog, stale = DriverCatalog(), []
    for path in sorted(given.folder.glob("*.rst")):
        name = path.stem
        if name not in (given.drivers or catalog.names()):
            continue
        old = path.read_text(encoding="utf-8")
        new = renewed(old, catalog.load(name))
        if new != old:
            stale.append(str(path))
            if not given.check:
                path.write_text(new, encoding="utf-8")
    for line in stale:
        print("not up to date:" if given.check else "renewed:", line)  # noqa: T201  # a command's output
    return 1 if stale and given.check else 0


def _heading(text: str) -> str:
    return f"{text}\n{'-' * len(text)}"


def _prose(text: str) -> str:
    """A docstring as prose for users: references to code become plain code."""
    return _code(re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"``\1``", text))


def _code(text: str) -> str:
    """Markdown's single backquotes as reStructuredText's double ones."""
    return re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", text)


def _options(options: Iterable[Option]) -> str:
    rows = [("Option", "Type", "Default", "Meaning")]
    for option in sorted(options, key=lambda option: not option.required):
        default = "required" if option.required else _default(option.default)
        more = [_code(option.description)]
        if option.choices:
            more.append("One of " + ", ".join(f"``{choice}``" for choice in option.choices) + ".")
        if option.synonyms:
            more.append("Older names: " + ", ".join(f"``{name}``" for name in option.synonyms) + ".")
        if option.secret:
            more.append("Secret: encrypted at rest and never shown.")
        rows.append((f"``{option.name}``", option.type, default, " ".join(more)))
    return _list_table(rows) if len(rows) > 1 else "None."


def _default(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return f"``{str(value).lower()}``"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"``{value}``"


def _tables(cls: type[DataSourceDriver]) -> list[str]:
    if not cls.TABLES:
        has = any(option.name == "tables" for option in cls.options())
        return ["As configured by the option ``tables``." if has else "None."]
    return [part for name, schema in cls.TABLES.items() for part in _table(name, schema)]


def _table(name: str, schema: TableSchema) -> list[str]:
    rows = [("Column", "Type", "Null", "Meaning")]
    for column in schema.columns:
        rows.append((f"``{column.name}``", column.type, "yes" if column.nullable else "no", _code(column.description)))
    head = f"``{name}({', '.join(schema.names)})``"
    return [head + (f": {_code(schema.description)}" if schema.description else ""), _list_table(rows)]


def _actions(actions: Sequence[Action]) -> list[str]:
    if not actions:
        return ["None."]
    return [part for action in actions for part in _action(action)]


def _action(action: Action) -> list[str]:
    notes = [
        "Changes things." if action.changes else "Only reads.",
        "May be repeated." if action.idempotent and action.changes else "",
        f"May change the tables {', '.join(f'``{table}``' for table in action.effects)}." if action.effects else "",
    ]
    parts = [f"``{action.signature}``", _prose(action.description), " ".join(note for note in notes if note)]
    if action.arguments:
        rows = [("Argument", "Type", "Default", "Meaning")]
        for argument in action.arguments:
            default = (
                "required" if argument.required else "any number" if argument.variadic else _default(argument.default)
            )
            rows.append((f"``{argument.name}``", argument.type, default, _code(argument.description)))
        parts.append(_list_table(rows))
    return parts


def _list_table(rows: Sequence[Sequence[str]]) -> str:
    """A table of which the first row is the heading; texts may be of any length."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in rows:
        for number, cell in enumerate(row):
            mark = "* -" if number == 0 else "  -"
            lines.append(f"   {mark} {cell}".rstrip())
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
