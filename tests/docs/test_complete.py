# SPDX-License-Identifier: Apache-2.0
"""Everything that users can name is in the docs.

Built-ins, aggregates, codes, commands, options, metrics, rules of authorisation, drivers, tables of the daemon, entry
points, environment variables, pages.  Routes are in ``tests/api/test_reference.py``, tables of the database in
``test_database.py``, states and reasons in ``test_executions.py``, settings of guards in ``test_guard_page.py``,
policies of the library in ``tests/library``.
"""

import argparse
import configparser
import importlib
import importlib.metadata
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator
from functools import cache

import pytest

from tests.docs.pages import DOCS

pytest.importorskip("sphinx")
sys.path.append(str(DOCS / "_ext"))

import clientlibrary
import commands
import declared
import diagnostics
import drivers
import guards
import owntables
import policylibrary
import restapi

import congress.client
from congress.api.auth.registered import list_rules
from congress.api.errors import CODES
from congress.api.metrics import METRICS
from congress.cloudservices.catalog import DriverCatalog
from congress.cloudservices.service_tables import CongressService
from congress.cmd.db import make_parser
from congress.conf import list_opts
from congress.datalog.builtins import core_registry
from congress.datalog.expressions import MAX_OPERATIONS
from congress.datalog.limits import Limits
from congress.datalog.program import MAX_LITERALS
from congress.datalog.reader import MAX_ERRORS
from congress.datalog.tokens import AGGREGATES
from congress.executions.board import TABLES as LEDGER_TABLES

CLIENT_INSIDES = {
    "congress.client.transport", "congress.client.osc", "congress.client.values", "Resource", "EventReader",
}  # fmt: skip
"""Modules and classes of the client that its users never meet."""

DIRECTIVES = {
    cls.source: cls
    for module in (clientlibrary, commands, declared, diagnostics, drivers, guards, owntables, policylibrary, restapi)
    for cls in vars(module).values()
    if isinstance(cls, type) and issubclass(cls, declared.Declared) and cls is not declared.Declared
}
DRIVER_GROUPS = (
    "congress.datasource.drivers", "congress.actions", "congress.loadbalancer.drivers", "congress.container.engines",
)  # fmt: skip


@cache
def page(name: str) -> str:
    """A page with what its directives write."""
    return _expanded((DOCS / name).read_text(encoding="utf-8"))


def _expanded(text: str) -> str:
    def written(found: re.Match[str]) -> str:
        cls = DIRECTIVES[found[1]]
        directive = cls.__new__(cls)
        directive.arguments = found[2].split()
        return "\n".join(directive.lines())

    return re.sub(r"^\.\. (declared-[\w-]+)::(.*)$", written, text, flags=re.MULTILINE)


@cache
def all_pages() -> str:
    names = sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.rst") if "_build" not in path.parts)
    return "\n".join(page(name) for name in names)


def test_every_built_in_is_described() -> None:
    text = page("reference/builtins.rst")
    missing = [item.signature for item in core_registry() if f"``{item.signature}``" not in text]
    assert not missing


def test_every_aggregate_is_described() -> None:
    text = page("reference/language.rst").split("\nAggregates\n")[1].split("\nRecursion\n")[0]
    assert not [name for name in AGGREGATES if f"``{name}``" not in text]


def test_every_diagnostic_code_is_described() -> None:
    described = re.findall(r"^``?([A-Z]\d{3})``?$|^([A-Z]\d{3})$", page("reference/diagnostics.rst"), re.MULTILINE)
    assert {one or other for one, other in described} == set(diagnostics.declared_codes())


def test_the_limits_shown_are_the_engines() -> None:
    text = page("reference/language.rst")
    limits = Limits()
    assert f"{limits.rows:,}" in text
    assert f"{limits.work:,}" in text
    assert limits.seconds is None
    assert re.search(rf"^literals in one body +{MAX_LITERALS} ", text, re.MULTILINE)
    assert re.search(rf"^operations and calls in one .* {MAX_OPERATIONS} each", text, re.MULTILINE)
    assert re.search(rf"^errors reported for one text +{MAX_ERRORS:,} ", text, re.MULTILINE)


def _sections() -> dict[str, str]:
    """The sections of the command line's page by their titles."""
    parts = re.split(r"^(\S.*)\n-{3,}\n", page("reference/cli.rst"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if action.help is not argparse.SUPPRESS and action.dest != "help":
            yield from action.option_strings or [str(action.metavar or action.dest)]


def test_every_command_is_described_with_its_options_and_exit_codes() -> None:
    sections = _sections()
    for entry in importlib.metadata.entry_points(group="congress.cli"):
        name = entry.name.replace("_", " ")
        text = sections[f"congress {name}"]
        parser = commands.parsers()[name]
        missing = [option for option in _options(parser) if not re.search(rf"``{re.escape(option)}[ `]", text)]
        assert not missing, f"congress {name}"
        assert len(text.split("\n\n")[0]) > 10, f"congress {name} says nothing about itself"
        ends = text.rsplit("Ends with ", 1)[1]
        assert all(f"``{code}``:" in ends for code in (0, 1, 2)), f"congress {name}"
        unexplained = [a.dest for a in parser._actions if not a.help]
        assert not unexplained, f"congress {name}"


def test_every_part_of_the_client_is_described() -> None:
    text = page("reference/client.rst")
    for found in pkgutil.iter_modules(congress.client.__path__, "congress.client."):
        if found.name in CLIENT_INSIDES:
            continue
        module = importlib.import_module(found.name)
        public = [
            value
            for name, value in vars(module).items()
            if inspect.isclass(value) and value.__module__ == found.name and not name.startswith("_")
        ]
        assert public, found.name
        for cls in public:
            if cls.__name__ not in CLIENT_INSIDES:
                assert f"\n``{cls.__name__}" in text, f"{found.name}.{cls.__name__}"
                undescribed = [name for name, member in clientlibrary.public_members(cls) if not inspect.getdoc(member)]
                assert not [name for name in undescribed if name != "of"], cls
    for name in congress.client.__all__:
        assert f"\n``{name}" in text, name


def test_every_command_of_the_plug_in_is_described() -> None:
    text = page("reference/cli.rst")
    names = [e.name.replace("_", " ") for e in importlib.metadata.entry_points(group="openstack.congress.v1")]
    assert names
    assert not [name for name in names if f"\n``openstack {name}``\n    " not in text]


def test_every_console_script_is_described() -> None:
    scripts = [
        e.name for e in importlib.metadata.entry_points(group="console_scripts") if e.value.startswith("congress.")
    ]
    assert scripts
    assert not [name for name in scripts if not any(re.fullmatch(rf"{name}( .*)?", title) for title in _sections())]
    text = _sections()["congress-db"]
    subcommands = next(a.choices for a in make_parser()._actions if isinstance(a, argparse._SubParsersAction))
    assert not [name for name in subcommands if f"``congress-db {name}" not in text]


def test_every_configuration_option_is_described() -> None:
    sections = re.split(r"^\[(\w+)\]\n-+$", page("reference/configuration.rst"), flags=re.MULTILINE)
    text = dict(zip(sections[1::2], sections[2::2], strict=True))
    missing = [
        (group, o.dest) for group, options in list_opts() for o in options if f"``{o.dest}``\n" not in text[group]
    ]
    assert not missing


def test_every_rule_of_authorisation_is_described() -> None:
    text = page("reference/authorization.rst")
    assert not [rule.name for rule in list_rules() if f"``{rule.name}``" not in text]


@pytest.mark.parametrize("group", DRIVER_GROUPS)
def test_every_driver_is_described(group: str) -> None:
    own = [e.name for e in importlib.metadata.entry_points(group=group) if e.value.startswith("congress.")]
    text = all_pages()
    # A driver has a section of its own, or is another name for one that has.
    missing = [
        n
        for n in own
        if not re.search(rf"^{re.escape(n)}\n[-~^]{{3,}}\n|^Also called .*``{re.escape(n)}``", text, re.M)
    ]
    assert not missing


def test_every_table_option_and_action_of_a_driver_is_described() -> None:
    parts = re.split(r"^([\w-]+)\n-{3,}\n", page("reference/drivers.rst"), flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    catalog, seen = DriverCatalog(), 0
    for entry in importlib.metadata.entry_points(group="congress.datasource.drivers"):
        if not entry.value.startswith("congress."):
            continue
        cls = catalog.load(entry.name)
        described = catalog.describe(cls.NAME)
        terms = re.findall(r"^``([\w.-]+)(?:\(.*\))?``\n    (\S.*)$", sections[cls.NAME], re.MULTILINE)
        texts = dict(terms)
        declared_names = [
            *(option["name"] for option in described["options"]),
            *(table["table_id"] for table in described["tables"]),
            *(action["name"] for action in described["actions"]),
        ]
        assert not [name for name in declared_names if len(texts.get(name, "\\ ")) < 5], cls.NAME
        seen += len(declared_names)
    assert seen > 300


def test_every_table_of_the_daemon_is_described() -> None:
    parts = re.split(r"^congress:(\w+)\n-+\n", page("reference/own-tables.rst"), flags=re.MULTILINE)
    text = dict(zip(parts[1::2], parts[2::2], strict=True))
    tables = {**CongressService.TABLES, **LEDGER_TABLES}
    assert text.keys() == tables.keys()
    for name, schema in tables.items():
        described = re.findall(r"^``(\w+)`` \(.*\)\n    \S{2}", text[name], re.MULTILINE)
        assert described == list(schema.names), name


def test_every_metric_is_described() -> None:
    text = page("reference/metrics.rst")
    described = re.findall(r"^``(\w+)`` \(\w+\)\n    \S{3}", text, re.MULTILINE)
    assert {name.removesuffix("_total") for name in described} == {name.removesuffix("_total") for name in METRICS}


def test_every_code_of_the_api_is_described() -> None:
    text = page("reference/rest.rst")
    assert not [code for code in CODES if not re.search(rf"^\* ``{code}``: \S", text, re.MULTILINE)]


def test_every_door_for_other_packages_is_described() -> None:
    setup = configparser.ConfigParser(delimiters=("=",))
    setup.read(DOCS.parent / "setup.cfg", encoding="utf-8")
    source = "\n".join(path.read_text(encoding="utf-8") for path in (DOCS.parent / "congress").rglob("*.py"))
    groups = {
        *setup["options.entry_points"],
        *re.findall(r'^(?:GROUP|NAMESPACE): Final = "(congress\.[\w.]+)"', source, re.M),
    }
    assert "congress.builtins" in groups
    text = page("reference/entry-points.rst")
    terms = {
        name
        for line in re.findall(r"^(``.*``)\n    \S", text, re.MULTILINE)
        for name in re.findall(r"``([\w.]+)``", line)
    }
    assert not groups - terms


def test_every_environment_variable_is_described() -> None:
    root = DOCS.parent
    files = [path for folder in ("congress", "tests") for path in (root / folder).rglob("*.py")]
    files += [path for folder in ("script", ".ci") for path in (root / folder).iterdir() if path.is_file()]
    named = {
        name
        for path in files
        for name in re.findall(r"\b(?:OS_)?CONGRESS_[A-Z_]*[A-Z]\b(?!__)", path.read_text(encoding="utf-8"))
    }
    assert "CONGRESS_STATE_PATH" in named
    terms = re.findall(r"^(``.*``)\n    \S", page("reference/environment.rst"), re.MULTILINE)
    assert not named - {name for line in terms for name in re.findall(r"``(\w+)``", line)}


def test_every_page_is_told_of_on_the_first() -> None:
    text = (DOCS / "index.rst").read_text(encoding="utf-8")
    told = re.findall(r"^:doc:`([\w/-]+)`\n    \S", text, re.MULTILINE)
    pages = [
        f"{folder}/{path.stem}"
        for folder in ("tutorial", "howto", "reference", "explanation")
        for path in (DOCS / folder).glob("*.rst")
    ]
    assert sorted(told) == sorted(pages), "docs/index.rst has a sentence for each page, and each page once"
