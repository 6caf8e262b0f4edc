# SPDX-License-Identifier: Apache-2.0
"""Built-ins of other packages, by the entry-point group ``congress.builtins``.

Each entry point names a :class:`~congress.datalog.builtins.registry.Builtin` or an iterable of them. Their
faults are cut here: a package that cannot be loaded is left out, and a function that raises anything, or
answers with something that is no value, makes its literal undefined.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import wraps
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from congress.datalog.builtins.kinds import MAX_ROWS, bounded, finite, is_number
from congress.datalog.builtins.registry import Builtin, BuiltinError, Registry
from congress.datalog.values import Value, encode

LOG: Final = logging.getLogger(__name__)
GROUP: Final = "congress.builtins"


@dataclass(frozen=True, slots=True)
class Extensions:
    """What other packages offer, and what is wrong with some of it."""

    builtins: tuple[Builtin, ...]
    faults: tuple[str, ...]


def load(taken: Registry, points: Iterable[EntryPoint] | None = None) -> Extensions:
    """Load what installed packages offer; never raises.

    :param taken: the built-ins whose names and arities are not to be had.
    :param points: the entry points to load instead of those that are installed.
    """
    trial = Registry()
    faults: list[str] = []
    for point in sorted(entry_points(group=GROUP) if points is None else points, key=lambda one: one.name):
        try:
            offered = _offered(point.load())
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - the code of others may raise anything, SystemExit included
            faults.append(_fault(point, f"{type(error).__name__}: {error}"))
            continue
        for builtin in offered:
            if taken.find(builtin.name, builtin.arity) or trial.find(builtin.name, builtin.arity):
                faults.append(_fault(point, f"{builtin.name}/{builtin.arity} is taken"))
            else:
                trial.add(guard(builtin))
    return Extensions(tuple(trial), tuple(faults))


def _offered(loaded: object) -> list[Builtin]:
    if isinstance(loaded, Builtin):
        loaded = [loaded]
    if not isinstance(loaded, Iterable):
        raise TypeError(f"it is {loaded!r:.80}, neither a Builtin nor several")
    offered = list(loaded)
    for builtin in offered:
        if not isinstance(builtin, Builtin):
            raise TypeError(f"it offers {builtin!r:.80}, which is no Builtin")
        if not builtin.name.isidentifier():
            raise ValueError(f"{builtin.name!r} cannot be the name of a built-in")
    return offered


def _fault(point: EntryPoint, reason: str) -> str:
    LOG.warning("builtin_not_loaded name=%s value=%s reason=%s", point.name, point.value, reason)
    return f"{point.name} ({point.value}): {reason}"


def guard(builtin: Builtin) -> Builtin:
    """The built-in with its faults cut: it answers with values of the language, or BuiltinError.

    Python's booleans become the language's, and an inline expression is dropped, since nothing could be cut
    there.
    """
    inner = builtin.function
    outputs, many = len(builtin.outputs), builtin.many

    @wraps(inner)
    def guarded(*inputs: Any) -> Any:
        try:
            answer = inner(*inputs)
            if many:
                return _rows(answer, outputs)
            return bool(answer) if outputs == 0 else _answer(answer, outputs)
        except (BuiltinError, KeyboardInterrupt):
            raise
        except BaseException as error:  # SystemExit, too, is no way for it to end the process
            raise BuiltinError(f"{builtin.name}: {type(error).__name__}: {error}") from error

    function: Callable[..., Any] = guarded
    return replace(builtin, function=function, inline=None)


def _rows(answers: Iterable[Any], outputs: int) -> list[Any]:
    rows: list[Any] = []
    for answer in answers:
        if len(rows) >= MAX_ROWS:
            raise BuiltinError(f"it has more than {MAX_ROWS} answers")
        rows.append(_answer(answer, outputs))
    return rows


def _answer(answer: Any, outputs: int) -> Any:
    if outputs == 1:
        return _value(answer)
    made = tuple(map(_value, answer))
    if len(made) != outputs:
        raise BuiltinError(f"it answers with {len(made)} values instead of {outputs}")
    return made


def _value(made: object) -> Value:
    value = encode(made)
    if type(value) is str:
        return bounded(value)
    return finite(value) if is_number(value) else value
