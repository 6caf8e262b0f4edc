# SPDX-License-Identifier: Apache-2.0
"""Head variables that no literal binds, which the rules of an ``action`` policy may have: new things that it makes.

``server+(id, n) :- create(n)`` says that creating makes a server with some id.  In the tables of the action policy a
stand-in takes the id's place: a text that depends on the variable's name and on what the body binds.  So each
instance of a rule has its own, while rules whose bodies bind the same (``result(id) :- create(n)``) and tables derived
from these speak of the same new thing.  Who carries the action out, a simulation, exchanges stand-ins for real ids.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from congress.datalog.builtins.registry import Argument, Builtin
from congress.datalog.core import Test, variables
from congress.datalog.values import Value

DEEPEST: Final = 3
"""How deep stand-ins are told apart that were made from stand-ins: without a bound ``p(new) :- p(x)`` had no end."""

_STAND_IN: Final = re.compile(r"new:([1-9]):\w+:[0-9a-f]{32}")


def is_stand_in(value: Value) -> bool:
    """Whether a value stands for something that an action would make."""
    return isinstance(value, str) and value.startswith("new:") and _STAND_IN.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class _StandIn:
    """Makes the stand-ins for a variable, from the values of others."""

    variable: str
    others: tuple[str, ...]

    def __call__(self, *given: Value) -> str:
        depths = [int(value[4]) if is_stand_in(value) else 0 for value in given]  # type: ignore[index]  # a text
        depth = min(DEEPEST, 1 + max(depths, default=0))
        digest = hashlib.blake2b(repr((self.variable, self.others)).encode(), digest_size=16)
        for value, deep in zip(given, depths, strict=True):
            digest.update(b"?" if deep == DEEPEST else _text(value).encode("utf-8", "surrogatepass"))
        return f"new:{depth}:{self.variable}:{digest.hexdigest()}"


def _text(value: Value) -> str:
    """Equal values have the same text, others do not."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"{type(value).__name__}{value!r},"


def stand_in(variable: str, given: Iterable[str]) -> Test:
    """The literal that binds a variable which nothing else does, from the variables that are bound."""
    inputs = tuple(dict.fromkeys(given))
    builtin = Builtin(
        f"new:{variable}",
        "internal",
        tuple(Argument(name, "any") for name in inputs),
        (Argument(variable, "string"),),
        _StandIn(variable, inputs),
        "A stand-in for something new.",
    )
    return Test(builtin, inputs, (variable,))


def lasting(body: Iterable[object], bound: set[str]) -> list[str]:
    """The variables on which stand-ins depend: all that are bound, but for those that move with the clock."""
    moving = {
        name for item in body if isinstance(item, Test) and item.builtin.temporal for name in variables(item.outputs)
    }
    return sorted(name for name in bound - moving if not name.startswith("$"))
