# SPDX-License-Identifier: Apache-2.0
"""Directives that write reference pages from what the program declares, so that no page can lag behind it.

``.. declared-codes::``             the application codes of its errors
``.. declared-options::``           the options of the configuration file
``.. declared-metrics::``           what ``/metrics`` gives
``.. declared-roles::``             the rules that stand for roles
``.. declared-rules::``             the rule of each operation, with its default
"""

from collections.abc import Iterable, Iterator
from textwrap import indent
from typing import ClassVar

from docutils.nodes import Node
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from congress.api.auth.registered import list_rules
from congress.api.errors import CODES
from congress.api.metrics import METRICS
from congress.conf import list_opts
from congress.conf.sample import choices_of, default_of


def options_text() -> Iterator[str]:
    """A section for each group, a definition for each option."""
    for group, options in list_opts():
        yield f"[{group}]"
        yield "-" * (len(group) + 2)
        yield ""
        for option in options:
            shown = default_of(option)
            yield f"``{option.dest}``"
            yield indent(" ".join(option.help.replace("`", "``").split()), "    ")
            for choice, meaning in choices_of(option):
                yield f"\n    * ``{choice}``" + (f": {meaning}" if meaning else "")
            yield f"\n    Default: ``{shown}``." if shown else "\n    Empty by default."
            yield ""


def metrics_text() -> Iterator[str]:
    """A definition for each metric."""
    for name, metric in METRICS.items():
        suffix = "_total" if metric.type == "counter" else ""
        yield f"``{name}{suffix}`` ({metric.type})"
        labels = f" Labels: {', '.join(f'``{label}``' for label in metric.labels)}." if metric.labels else ""
        yield f"    {metric.meaning}{labels}"
        yield ""


def roles_text() -> Iterator[str]:
    """A definition for each rule that stands for a role."""
    for rule in list_rules():
        if not hasattr(rule, "operations"):
            yield f"``{rule.name}``"
            yield f"    ``{rule.check_str}``.  {rule.description.replace('`', '``')}"
            yield ""


def rules_text() -> Iterator[str]:
    """A definition for each operation's rule."""
    for rule in list_rules():
        if hasattr(rule, "operations"):
            default = "open to everybody" if rule.check_str == "@" else rule.check_str.removeprefix("rule:")
            yield f"``{rule.name}`` ({default})"
            addresses = ", ".join(f"``{one['method']} {one['path']}``" for one in rule.operations)
            yield f"    {rule.description.replace('`', '``')}  {addresses}."
            yield ""


class Declared(Directive):
    """Puts generated text in its place and has it read as if it stood there."""

    has_content = False
    optional_arguments = 20
    source: ClassVar[str]

    def lines(self) -> Iterable[str]:
        """The text."""
        raise TypeError("a subclass says what is declared")

    def run(self) -> list[Node]:
        text = "\n".join(self.lines()).splitlines()
        self.state_machine.insert_input(StringList(text, source=self.source), self.source)  # type: ignore[no-untyped-call]
        return []


class Codes(Declared):
    source = "declared-codes"

    def lines(self) -> Iterable[str]:
        return (f"* ``{code}``: {meaning}" for code, meaning in CODES.items())


class Options(Declared):
    source = "declared-options"

    def lines(self) -> Iterable[str]:
        return options_text()


class Metrics(Declared):
    source = "declared-metrics"

    def lines(self) -> Iterable[str]:
        return metrics_text()


class Roles(Declared):
    source = "declared-roles"

    def lines(self) -> Iterable[str]:
        return roles_text()


class Rules(Declared):
    source = "declared-rules"

    def lines(self) -> Iterable[str]:
        return rules_text()


def setup(app: Sphinx) -> ExtensionMetadata:
    """Called by Sphinx."""
    for directive in (Codes, Options, Metrics, Roles, Rules):
        app.add_directive(directive.source, directive)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
