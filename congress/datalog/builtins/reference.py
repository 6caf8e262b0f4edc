# SPDX-License-Identifier: Apache-2.0
"""The reference page of the built-ins, made from their declarations.

``python -m congress.datalog.builtins.reference docs/reference/builtins.rst`` writes it; a test fails when the
page in the repository is another.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from congress.datalog.builtins import SHELVES, core_registry
from congress.datalog.builtins.kinds import TYPES
from congress.datalog.builtins.registry import Builtin, Example, Registry
from congress.datalog.builtins.shelf import UNDEFINED

_HEAD: Final = """\
.. This page is made by ``python -m congress.datalog.builtins.reference``: change the declarations, not the page.

Built-ins
=========

A built-in is a literal whose answer is computed: ``builtin:lt(x, 5)``, or ``lt(x, 5)`` for short. What stands
before the arrow in a signature is its inputs, which other literals of the rule must bind; what stands behind
is its outputs. An output that is a constant, or bound elsewhere, is compared. A built-in with one output can
stand where a value can: ``lower(n) = "web"`` and ``age(c) > "30d"``.

Inputs are strict about their types. Inputs that a built-in has no answer for (a division by zero, a bad date,
a string where a number must be) make the literal **undefined**: neither it nor its negation holds for that
row, and the first few such rows are shown on the rule's status.

A built-in always gives the same answer for the same inputs. Strings that one makes are at most 1 MiB long, and integers
lie between -2\\ :sup:`63` and 2\\ :sup:`64` - 1, which JSON can carry on all sides.

Own ones can be added: see :doc:`../howto/add-a-builtin`.
"""

_TAIL: Final = """\
What differs from OpenStack Congress
------------------------------------

All built-ins of OpenStack Congress are here under their names. Their bugs are not:

* A literal without an answer is undefined and reported. It was false, which made its negation true.
* Booleans and null are values of their own. They were the strings ``True``, ``False`` and ``None``.
* ``networks_overlap`` does not depend on the order of its networks.
* ``now`` is in UTC, and rules that use it become true on time. It was in the server's zone, and was looked at only when
  something else changed.
* An offset in a date is converted to UTC. It was dropped, so that two names of one moment differed.
* A text that leaves the day open is undefined. The missing parts were those of the current day.
* ``pack_date``, ``pack_time`` and ``pack_datetime`` put zeros in front (``2020-02-03``, not ``2020-2-3``), and are
  undefined for a day that does not exist.
* ``validate_int`` and ``validate_float`` take the least value first, as they always did whatever their arguments were
  called.
* ``validate_string`` uses RE2, as all regular expressions do.
* Results that are too large are undefined. They were ``inf``, or filled the memory.
"""


def render_rst(registry: Registry) -> str:
    """The page, in reStructuredText, for all built-ins of a registry."""
    parts = [_HEAD, _types()]
    categories = list(dict.fromkeys(builtin.category for builtin in registry))
    about = {shelf.category: shelf.about for shelf in SHELVES}
    for category in categories:
        builtins = [builtin for builtin in registry if builtin.category == category]
        title = category[0].upper() + category[1:]
        parts.append("\n".join(_heading(title, "-") + _wrapped(about.get(category, "")) + _index(builtins)))
        for name in dict.fromkeys(builtin.name for builtin in builtins):
            same = [builtin for builtin in builtins if builtin.name == name]
            parts.append(f".. _builtin-{name}:\n\n" + "\n".join(_heading(name, "~")) + "\n".join(map(_entry, same)))
    parts.append(_TAIL)
    return "\n".join(parts)


def _heading(title: str, line: str) -> list[str]:
    return [title, line * len(title), ""]


def _wrapped(text: str) -> list[str]:
    return [text, ""] if text else []


def _index(builtins: Iterable[Builtin]) -> list[str]:
    names = dict.fromkeys(builtin.name for builtin in builtins)
    return [" · ".join(f":ref:`{name} <builtin-{name}>`" for name in names), ""]


def _types() -> str:
    lines = [*_heading("Types", "-"), ".. list-table::", "   :widths: 15 85", ""]
    for name, meaning in TYPES.items():
        lines += [f"   * - {name}", f"     - {meaning}"]
    return "\n".join([*lines, ""])


def _entry(builtin: Builtin) -> str:
    lines = ["", f"``{builtin.signature}``", "", builtin.description, ""]
    if builtin.many:
        lines += ["It may have many answers, or none: the literal holds once for each.", ""]
    if builtin.temporal:
        lines += ["It moves with the clock.", ""]
    if builtin.examples:
        width = max(len(example.literal) for example in builtin.examples)
        lines += [".. code-block:: text", ""]
        lines += [f"   {example.literal:<{width}}   {_outcome(example)}" for example in builtin.examples]
        lines.append("")
    return "\n".join(lines)


def _outcome(example: Example) -> str:
    result = example.result
    if result == UNDEFINED:
        return "undefined"
    if isinstance(result, list):
        return "; ".join(map(_bindings, result)) or "false"
    return _bindings(result) if isinstance(result, dict) else json.dumps(result)


def _bindings(values: dict[str, object]) -> str:
    return ", ".join(f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items())


def main() -> None:
    """Write the page of this package's built-ins to the file that is the only argument."""
    Path(sys.argv[1]).write_text(render_rst(core_registry()), encoding="utf-8")


if __name__ == "__main__":
    main()
