# SPDX-License-Identifier: Apache-2.0
"""What answers look like, as JSON Schema: small frozen values that :mod:`congress.api.answers` is written in.

They describe and do not check: clients may find more in an object than is told here, as the API grows.  The tests are
stricter: there every answer of the real daemon must hold just what is told.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, runtime_checkable

REFERENCE: Final = "#/components/schemas/"
_SCALARS: Final = frozenset({"string", "number", "integer", "boolean", "null"})


class Shape(Protocol):
    """What a JSON value is."""

    def document(self) -> dict[str, Any]:
        """The shape as JSON Schema (2020-12); objects with a name are referred to."""

    def parts(self) -> "Iterator[Shape]":
        """The shapes inside, one level deep."""


@runtime_checkable
class Defined(Protocol):
    """An object that may have a name, by which others refer to its definition."""

    name: str

    def definition(self) -> dict[str, Any]:
        """The schema itself."""


class Leaf:
    """A shape with none inside."""

    __slots__ = ()

    def parts(self) -> Iterator[Shape]:
        """None."""
        return iter(())


@dataclass(frozen=True, slots=True, init=False)
class Plain(Leaf):
    """A value of one JSON type, or of one of several; of no named type: any value at all."""

    types: tuple[str, ...]

    def __init__(self, *types: str) -> None:
        object.__setattr__(self, "types", types)

    @property
    def scalar(self) -> bool:
        """Whether it is neither list nor object, so that lists can be sorted and filtered by it."""
        return bool(self.types) and _SCALARS.issuperset(self.types)

    def document(self) -> dict[str, Any]:
        if not self.types:
            return {}
        return {"type": self.types[0] if len(self.types) == 1 else list(self.types)}


@dataclass(frozen=True, slots=True)
class Words(Leaf):
    """One of a few words; nullable: or none of them."""

    words: tuple[str, ...]
    nullable: bool = False
    scalar: bool = field(default=True, init=False)

    def document(self) -> dict[str, Any]:
        words = [str(word) for word in self.words]
        return {"enum": [*words, None] if self.nullable else words}


@dataclass(frozen=True, slots=True)
class Between(Leaf):
    """A number within bounds: an ``integer`` or any ``number``."""

    type: str
    low: float
    high: float
    nullable: bool = False
    scalar: bool = field(default=True, init=False)

    def document(self) -> dict[str, Any]:
        return {
            "type": [self.type, "null"] if self.nullable else self.type,
            "minimum": self.low,
            "maximum": self.high,
        }


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of things of one shape."""

    item: Shape

    def document(self) -> dict[str, Any]:
        return {"type": "array", "items": self.item.document()}

    def parts(self) -> Iterator[Shape]:
        yield self.item


@dataclass(frozen=True, slots=True)
class MapOf:
    """An object with any keys; ``keys`` says in words what they are."""

    value: Shape
    keys: str = ""

    def document(self) -> dict[str, Any]:
        made: dict[str, Any] = {"type": "object", "additionalProperties": self.value.document()}
        return {**made, "description": self.keys} if self.keys else made

    def parts(self) -> Iterator[Shape]:
        yield self.value


@dataclass(frozen=True, slots=True)
class Nullable:
    """A thing of a shape, or null."""

    shape: Shape

    def document(self) -> dict[str, Any]:
        return {"anyOf": [self.shape.document(), {"type": "null"}]}

    def parts(self) -> Iterator[Shape]:
        yield self.shape


@dataclass(frozen=True, slots=True)
class Again(Leaf):
    """An object with a name inside of itself."""

    name: str

    def document(self) -> dict[str, Any]:
        return {"$ref": f"{REFERENCE}{self.name}"}


@dataclass(frozen=True, slots=True)
class Empty(Leaf):
    """No body at all."""

    def document(self) -> dict[str, Any]:
        return {}


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an object; ``optional``: it may be missing."""

    shape: Shape
    description: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Object:
    """An object with known members.  One with a name is a component of its own; that name is unique."""

    name: str
    description: str
    members: Mapping[str, Member]
    open: bool = False  # a driver or a service adds members that nobody knows here
    closed: bool = False  # requests have it too, and there others are refused

    def document(self) -> dict[str, Any]:
        return {"$ref": f"{REFERENCE}{self.name}"} if self.name else self.definition()

    def definition(self) -> dict[str, Any]:
        """The schema itself."""
        properties = {name: _described(member) for name, member in self.members.items()}
        required = [name for name, member in self.members.items() if not member.optional]
        made: dict[str, Any] = {"type": "object", "properties": properties}
        if self.description:
            made["description"] = self.description
        if required:
            made["required"] = required
        # Where it is absent, there may come to be more.
        return {**made, "additionalProperties": self.open} if self.open or self.closed else made

    def parts(self) -> Iterator[Shape]:
        yield from (member.shape for member in self.members.values())

    def with_(self, name: str, description: str, **members: Member) -> "Object":
        """The same with other members besides, or in the place of those that it has."""
        return Object(name, description, {**self.members, **members}, self.open, self.closed)


def _described(member: Member) -> dict[str, Any]:
    return {**member.shape.document(), "description": member.description}


def named(roots: Iterable[Shape]) -> dict[str, dict[str, Any]]:
    """The definitions of all objects with names in some shapes, however deep, by name.

    :raises ValueError: two different ones have the same.
    """
    found: dict[str, Any] = {}
    waiting = list(roots)
    while waiting:
        shape = waiting.pop()
        if isinstance(shape, Defined) and shape.name:
            if shape.name in found:
                if found[shape.name] != shape:
                    raise ValueError(f"two shapes are called {shape.name}")
                continue
            found[shape.name] = shape
        waiting += shape.parts()
    return {name: shape.definition() for name, shape in sorted(found.items())}
