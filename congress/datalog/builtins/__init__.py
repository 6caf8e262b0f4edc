# SPDX-License-Identifier: Apache-2.0
"""The built-ins of the language: one module for each category, and those of other packages."""

from functools import cache
from typing import Final

from congress.datalog.builtins.arithmetic import arithmetic
from congress.datalog.builtins.comparison import comparison
from congress.datalog.builtins.dates import dates
from congress.datalog.builtins.extensions import Extensions, load
from congress.datalog.builtins.hashes import hashes
from congress.datalog.builtins.jsonpath import json_paths
from congress.datalog.builtins.networks import networks
from congress.datalog.builtins.regex import regex
from congress.datalog.builtins.registry import Registry
from congress.datalog.builtins.shelf import Shelf
from congress.datalog.builtins.strings import strings
from congress.datalog.builtins.types import types
from congress.datalog.builtins.validation import validation
from congress.datalog.builtins.windows import windows

SHELVES: Final[tuple[Shelf, ...]] = (
    comparison,
    arithmetic,
    strings,
    regex,
    types,
    validation,
    dates,
    windows,
    networks,
    json_paths,
    hashes,
)
"""The categories, in the order of the reference."""


def core_registry() -> Registry:
    """A new registry with the built-ins of this package alone."""
    registry = Registry()
    for shelf in SHELVES:
        for builtin in shelf.builtins:
            registry.add(builtin)
    return registry


def default_registry() -> Registry:
    """A new registry with the built-ins of this package and those that installed packages offer.

    Packages are searched once in a process. One that cannot be loaded, or that takes a name and arity that
    is taken, does no harm: it is left out, logged once, and named in the registry's ``faults``.
    """
    registry = core_registry()
    found = _offered()
    for builtin in found.builtins:
        registry.add(builtin)
    registry.faults.extend(found.faults)
    return registry


@cache
def _offered() -> Extensions:
    """What installed packages offer beside the built-ins of this one."""
    return load(core_registry())
