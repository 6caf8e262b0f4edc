# SPDX-License-Identifier: Apache-2.0
"""Directives that write the reference of the Python client, and of OpenStackClient's plug-in, from what they declare.

``.. declared-client:: MODULE NAME...``   classes and functions of a module of ``congress.client``, by their docstrings
``.. declared-openstack-commands::``      the commands that OpenStackClient gets, with what they do
"""

import dataclasses
import importlib
import importlib.metadata
import inspect
import re
from collections.abc import Iterable, Iterator
from textwrap import indent
from typing import Any

from declared import Declared
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

GROUP = "openstack.congress.v1"


def client_text(module: str, names: Iterable[str]) -> Iterator[str]:
    """A definition for each name of a module, and below a class one for each of its public members."""
    found = importlib.import_module(module)
    for name in names:
        value = getattr(found, name)
        yield f"``{_call(name, value)}``"
        yield indent(_doc(value), "    ")
        yield ""
        if inspect.isclass(value):
            yield from (indent(line, "    ") for line in _members(value))


def _members(cls: type) -> Iterator[str]:
    for name, member in public_members(cls):
        shown = f"``{name}``" if isinstance(member, property) else f"``{_call(name, member)}``"
        yield shown
        yield indent(_doc(member.fget if isinstance(member, property) else member), "    ")
        yield ""


def public_members(cls: type) -> Iterator[tuple[str, Any]]:
    """Methods and properties of a class of ours, in the order in which they stand there."""
    for name, member in vars(cls).items():
        method = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        if not name.startswith("_") and (inspect.isfunction(method) or isinstance(method, property)):
            yield name, method


def _call(name: str, value: Any) -> str:
    if dataclasses.is_dataclass(value):
        return f"{name}({', '.join(field.name for field in dataclasses.fields(value) if field.name != 'raw')})"
    if inspect.isclass(value):
        return name
    signature = inspect.signature(value)
    shown = [item.replace(annotation=item.empty) for key, item in signature.parameters.items() if key != "self"]
    return f"{name}{signature.replace(parameters=shown, return_annotation=signature.empty)}"


def _doc(value: Any) -> str:
    """A docstring whose references are names, since there is a page for all of them and not one for each."""
    text = inspect.getdoc(value) or ""
    text = re.sub(r":(?:func|class|meth|mod):`~?([^`]+)`", lambda found: f"``{found[1].rpartition('.')[2]}``", text)
    text = re.sub(r"(?<!`)`([^`\n]+)`(?!`)", r"``\1``", text)
    return re.sub(r"^:(param|raises|returns) ?(\w*): (.*(?:\n +.*)*)", _field, text, flags=re.MULTILINE)


def _field(found: re.Match[str]) -> str:
    """A field of a docstring as an item of a list."""
    kind, name, text = found[1], found[2], " ".join(found[3].split())
    return f"* ``{name}``: {text}" if kind == "param" else f"* {kind} {f'``{name}``: ' if name else ''}{text}"


def openstack_text() -> Iterator[str]:
    """A line for each command of the plug-in."""
    for entry in sorted(importlib.metadata.entry_points(group=GROUP)):
        name = entry.name.replace("_", " ")
        about = " ".join((inspect.getdoc(entry.load()) or "").split("\n\n", maxsplit=1)[0].split())
        yield f"``openstack {name}``"
        yield indent(re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", about), "    ")
        yield ""


class Client(Declared):
    source = "declared-client"
    required_arguments = 1
    optional_arguments = 100

    def lines(self) -> Iterable[str]:
        module, *names = self.arguments
        return client_text(module, names)


class OpenStackCommands(Declared):
    source = "declared-openstack-commands"

    def lines(self) -> Iterable[str]:
        return openstack_text()


def setup(app: Sphinx) -> ExtensionMetadata:
    """Called by Sphinx."""
    for directive in (Client, OpenStackCommands):
        app.add_directive(directive.source, directive)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
