# SPDX-License-Identifier: Apache-2.0
"""How values cross from one process to another: as JSON text that keeps every type apart.

In one process values travel by reference and nothing here runs.  Between processes a tuple stays a tuple,
TRUE stays apart from 1 and from Python's True, and big integers and lone surrogates survive.  What JSON has
no word for becomes an object with the key ``"!"``; many rows at once go as plain arrays, at orjson's speed.
"""

import base64
import importlib
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from itertools import chain
from typing import Any, Final, TypeVar

import orjson

from congress.bus import errors
from congress.datalog import schema
from congress.datalog.values import FALSE, TRUE, Bool, Row

T = TypeVar("T", bound=type)

_CLASSES: Final[dict[str, type]] = {}
_NAMES: Final[dict[type, str]] = {}
_SCALARS: Final = frozenset({str, int, float, type(None), Bool})
_CONTAINERS: Final[dict[type, str]] = {list: "l", tuple: "t", set: "s", frozenset: "f"}
_MAKERS: Final[dict[str, Callable[[Iterable[Any]], Any]]] = {"l": list, "t": tuple, "s": set, "f": frozenset}


def portable(cls: T) -> T:
    """Mark a dataclass or an exception class as one that may travel; use it as a decorator.

    Fields, or the exception's ``args`` and attributes, must be portable themselves.  An object arrives as an
    equal one of the same class (its ``__init__`` is not run).  A process that does not know the class of an
    error gets :class:`~congress.bus.errors.RemoteError` in its place.
    """
    name = f"{cls.__module__}:{cls.__qualname__}"
    if not (is_dataclass(cls) or issubclass(cls, BaseException)):
        raise TypeError(f"{name} is neither a dataclass nor an exception")
    _CLASSES[name] = cls
    _NAMES[cls] = name
    return cls


def is_portable(cls: type) -> bool:
    """Whether objects of exactly this class may travel."""
    return cls in _NAMES


for _cls in vars(errors).values():
    if isinstance(_cls, type) and issubclass(_cls, errors.BusError):
        portable(_cls)
portable(schema.Column)
portable(schema.TableSchema)


def pack(value: Any) -> Any:
    """What stands for a value in JSON.

    :raises NotPortable: naming the class that cannot travel.
    """
    kind = type(value)
    if kind in (str, int, bool) or value is None:
        return value
    if kind is float:
        return value if math.isfinite(value) else {"!": "n", "v": str(value)}
    if kind is Bool:
        return {"!": "b", "v": bool(value)}
    if kind in _CONTAINERS:
        return _pack_container(value, _CONTAINERS[kind])
    if kind is dict or isinstance(value, Mapping):
        return _pack_mapping(value)
    if kind in _NAMES:
        return _pack_object(value, _NAMES[kind])
    if kind is bytes:
        return {"!": "y", "v": base64.b64encode(value).decode()}
    return _pack_subclass(value)


def _pack_subclass(value: Any) -> Any:
    """Of an enumeration's member or a named tuple its plain value travels."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return pack(float.__float__(value))
    if isinstance(value, tuple):
        return _pack_container(tuple(value), "t")
    name = f"{type(value).__module__}.{type(value).__qualname__}"
    raise errors.NotPortable(f"a {name} cannot travel on the bus: {value!r:.80}")


def _pack_container(value: Any, code: str) -> Any:
    if value and set(map(type, value)) == {tuple} and _are_rows(value):
        return {"!": "r", "k": code, "v": list(value)}
    packed = [pack(item) for item in value]
    return packed if code == "l" else {"!": code, "v": packed}


def _are_rows(tuples: Iterable[tuple[Any, ...]]) -> bool:
    kinds = set(map(type, chain.from_iterable(tuples)))
    if float in kinds:
        return kinds <= _SCALARS and all(
            math.isfinite(value) for value in chain.from_iterable(tuples) if type(value) is float
        )
    return kinds <= _SCALARS


def _pack_mapping(value: Mapping[Any, Any]) -> Any:
    if all(type(key) is str for key in value) and "!" not in value:
        return {key: pack(item) for key, item in value.items()}
    return {"!": "d", "v": [[pack(key), pack(item)] for key, item in value.items()]}


def _pack_object(value: Any, name: str) -> Any:
    if isinstance(value, BaseException):
        state = {key: pack(item) for key, item in vars(value).items() if key != "__notes__"}
        return {"!": "e", "c": name, "a": [pack(item) for item in value.args], "s": state, "m": str(value)}
    return {
        "!": "c",
        "c": name,
        "v": {field.name: pack(getattr(value, field.name)) for field in fields(value)},
    }


def unpack(value: Any) -> Any:
    """The value for what :func:`pack` made."""
    if type(value) is list:
        return [unpack(item) for item in value]
    if type(value) is not dict:
        return value
    code = value.get("!")
    if code is None:
        return {key: unpack(item) for key, item in value.items()}
    if code == "r":
        return _MAKERS[value["k"]](unpack_rows(value["v"]))
    if code == "b":
        return TRUE if value["v"] else FALSE
    if code in _MAKERS:
        return _MAKERS[code](unpack(item) for item in value["v"])
    if code == "d":
        return {unpack(key): unpack(item) for key, item in value["v"]}
    if code == "y":
        return base64.b64decode(value["v"])
    if code == "n":
        return float(value["v"])
    return _unpack_object(value, code)


def _unpack_object(value: dict[str, Any], code: str) -> Any:
    cls = _find(value["c"])
    if code == "e":
        if cls is None:
            return errors.RemoteError(value["c"].rpartition(":")[2], value["m"])
        error = cls.__new__(cls)
        error.args = tuple(unpack(item) for item in value["a"])
        vars(error).update(unpack(value["s"]))
        return error
    if cls is None:
        raise errors.NotPortable(f"this process has no portable class {value['c']}")
    made = cls.__new__(cls)
    for name, item in value["v"].items():
        object.__setattr__(made, name, unpack(item))
    return made


def _find(name: str) -> Any:
    """A class marked portable; a module of this package is imported to find it, nothing else ever is."""
    if name not in _CLASSES and name.startswith("congress."):
        try:
            importlib.import_module(name.partition(":")[0])
        except ImportError:
            return None
    return _CLASSES.get(name)


def unpack_rows(rows: list[list[Any]]) -> list[Row]:
    """Rows from their JSON arrays."""
    tuples: list[Row] = list(map(tuple, rows))
    if bool in set(map(type, chain.from_iterable(tuples))):
        return [tuple(TRUE if v is True else FALSE if v is False else v for v in row) for row in rows]
    return tuples


def _truth(value: Any) -> bool:
    if type(value) is Bool:
        return bool(value)
    raise errors.NotPortable(f"a {type(value).__qualname__} cannot travel on the bus: {value!r:.80}")


def dumps(packed: Any) -> bytes:
    """JSON text.  It starts with ``~`` where orjson could not write it: big integers, lone surrogates."""
    try:
        return orjson.dumps(packed, default=_truth)
    except orjson.JSONEncodeError as error:
        if isinstance(error.__cause__, errors.NotPortable):
            raise error.__cause__ from None
        return b"~" + json.dumps(packed, default=_truth, separators=(",", ":")).encode("ascii")


def loads(text: bytes) -> Any:
    """What :func:`dumps` was given."""
    return json.loads(text[1:]) if text.startswith(b"~") else orjson.loads(text)
