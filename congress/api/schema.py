# SPDX-License-Identifier: Apache-2.0
"""Typed descriptions of what a request may hold: they check it, and they describe it as JSON Schema.

A schema is a frozen value with two methods: ``check(value, place)`` returns the value (with defaults filled in) or
raises :class:`Invalid`, and ``document()`` is its JSON Schema, of which the API reference is made.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Protocol

from congress.api.errors import ApiError
from congress.api.shapes import REFERENCE, Leaf, Shape

_MISSING: Final = object()


class Invalid(ApiError):
    """A request that does not fit its schema: 400, with the place in ``error_data``."""

    def __init__(self, place: str, message: str, *, code: int | None = None) -> None:
        super().__init__(400, f"{place or 'The request body'} {message}", code=code, data={"place": place})


class Schema(Shape, Protocol):
    """What a value must be."""

    def check(self, value: Any, place: str) -> Any:
        """The value, defaults filled in; raises :class:`Invalid`."""


_KINDS: Final = {
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


def _kind(value: object) -> str:
    return _KINDS.get(type(value), type(value).__name__)


@dataclass(frozen=True, slots=True)
class Text(Leaf):
    """A string, with bounds on its length and a pattern that the whole of it matches."""

    longest: int = 255
    shortest: int = 0
    pattern: str = ""
    pattern_name: str = ""  # the pattern in words
    nullable: bool = False
    code: int | None = None  # the application error code of a violation

    def check(self, value: Any, place: str) -> Any:
        if value is None and self.nullable:
            return None
        if not isinstance(value, str):
            raise Invalid(place, f"must be a string, not {_kind(value)}.", code=self.code)
        if not self.shortest <= len(value) <= self.longest:
            wanted = f"{self.shortest} to {self.longest}" if self.shortest else f"at most {self.longest}"
            raise Invalid(place, f"must have {wanted} characters; it has {len(value)}.", code=self.code)
        if self.pattern and not re.fullmatch(self.pattern, value):
            raise Invalid(place, f"must be {self.pattern_name or self.pattern}, not {value!r:.80}.", code=self.code)
        return value

    def document(self) -> dict[str, Any]:
        made: dict[str, Any] = {"type": ["string", "null"] if self.nullable else "string", "maxLength": self.longest}
        if self.shortest:
            made["minLength"] = self.shortest
        if self.pattern:
            made["pattern"] = f"^{self.pattern}$"
        return made


@dataclass(frozen=True, slots=True)
class Choice(Leaf):
    """One of a few words; ``fold`` ignores their case."""

    words: tuple[str, ...]
    nullable: bool = False
    fold: bool = False

    def check(self, value: Any, place: str) -> Any:
        if value is None and self.nullable:
            return None
        if isinstance(value, str) and (found := value.lower() if self.fold else value) in self.words:
            return found
        raise Invalid(place, f"must be one of {', '.join(self.words)}, not {value!r:.80}.")

    def document(self) -> dict[str, Any]:
        return {"enum": [*self.words, None] if self.nullable else list(self.words)}


@dataclass(frozen=True, slots=True)
class Flag(Leaf):
    """A boolean; in a query string the words true and false in any case, 1 and 0."""

    nullable: bool = False

    def check(self, value: Any, place: str) -> Any:
        if value is None and self.nullable:
            return None
        if isinstance(value, bool):
            return value
        raise Invalid(place, f"must be true or false, not {_kind(value)}.")

    def document(self) -> dict[str, Any]:
        return {"type": ["boolean", "null"] if self.nullable else "boolean"}


@dataclass(frozen=True, slots=True)
class Number(Leaf):
    """An integer within bounds."""

    smallest: int = 0
    largest: int = 2**31 - 1

    def check(self, value: Any, place: str) -> Any:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Invalid(place, f"must be an integer, not {_kind(value)}.")
        if not self.smallest <= value <= self.largest:
            raise Invalid(place, f"must be from {self.smallest} to {self.largest}, not {value}.")
        return value

    def document(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.smallest, "maximum": self.largest}


@dataclass(frozen=True, slots=True)
class Moment(Leaf):
    """Seconds since 1970, with or without parts of them."""

    LATEST: ClassVar[float] = 2.0**40

    def check(self, value: Any, place: str) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= self.LATEST:
            raise Invalid(place, "must be a moment in seconds since 1970.")
        return value

    def document(self) -> dict[str, Any]:
        return {"type": "number", "minimum": 0, "maximum": self.LATEST}


@dataclass(frozen=True, slots=True)
class Anything(Leaf):
    """Any JSON value: checked by the service that gets it."""

    def check(self, value: Any, place: str) -> Any:
        return value

    def document(self) -> dict[str, Any]:
        return {}


@dataclass(frozen=True, slots=True)
class Mapped(Leaf):
    """An object with any keys."""

    nullable: bool = False
    code: int | None = None

    def check(self, value: Any, place: str) -> Any:
        if isinstance(value, dict) or (value is None and self.nullable):
            return value
        raise Invalid(place, f"must be an object, not {_kind(value)}.", code=self.code)

    def document(self) -> dict[str, Any]:
        return {"type": ["object", "null"] if self.nullable else "object"}


@dataclass(frozen=True, slots=True)
class Listed:
    """A list of things of one schema."""

    item: Schema = field(default_factory=Anything)
    longest: int = 1_000_000

    def check(self, value: Any, place: str) -> Any:
        if not isinstance(value, list):
            raise Invalid(place, f"must be a list, not {_kind(value)}.")
        if len(value) > self.longest:
            raise Invalid(place, f"has {len(value)} entries; at most {self.longest} are taken.")
        if isinstance(self.item, Anything):
            return value
        return [self.item.check(entry, f"{place}[{index}]") for index, entry in enumerate(value)]

    def document(self) -> dict[str, Any]:
        return {"type": "array", "items": self.item.document(), "maxItems": self.longest}

    def parts(self) -> Iterator[Shape]:
        yield self.item


@dataclass(frozen=True, slots=True)
class Key:
    """One key of an object: its schema, whether it must be there, what it is when it is not."""

    schema: Schema
    description: str
    required: bool = False
    default: Any = _MISSING
    missing_code: int | None = None


@dataclass(frozen=True, slots=True)
class Fields:
    """An object with known keys; any other key is refused by name.  One with a ``name`` is a component of its own."""

    keys: Mapping[str, Key]
    name: str = ""

    def check(self, value: Any, place: str) -> Any:
        if not isinstance(value, dict):
            raise Invalid(place, f"must be an object, not {_kind(value)}.")
        made = {}
        for name, key in self.keys.items():
            inner = f"{place}.{name}" if place else name
            if name in value:
                made[name] = key.schema.check(value[name], inner)
            elif key.required:
                raise Invalid(inner, "must be given.", code=key.missing_code)
            elif key.default is not _MISSING:
                made[name] = key.default
        for name in value:
            if name not in self.keys:
                known = ", ".join(self.keys)
                raise Invalid(f"{place}.{name[:80]}" if place else name[:80], f"is not a known key; they are {known}.")
        return made

    def document(self) -> dict[str, Any]:
        return {"$ref": f"{REFERENCE}{self.name}"} if self.name else self.definition()

    def definition(self) -> dict[str, Any]:
        """The schema itself."""
        properties = {}
        for name, key in self.keys.items():
            properties[name] = {**key.schema.document(), "description": key.description}
            if key.default is not _MISSING:
                properties[name]["default"] = key.default
        required = [name for name, key in self.keys.items() if key.required]
        made = {"type": "object", "properties": properties, "additionalProperties": False}
        return {**made, "required": required} if required else made

    def parts(self) -> Iterator[Shape]:
        yield from (key.schema for key in self.keys.values())


@dataclass(frozen=True, slots=True)
class Either:
    """One of several schemas, told apart by the JSON type of the value."""

    by_type: Mapping[type, Schema]

    def check(self, value: Any, place: str) -> Any:
        schema = self.by_type.get(type(value))
        if schema is None:
            wanted = " or ".join(_KINDS[kind] for kind in self.by_type)
            raise Invalid(place, f"must be {wanted}, not {_kind(value)}.")
        return schema.check(value, place)

    def document(self) -> dict[str, Any]:
        return {"anyOf": [schema.document() for schema in self.by_type.values()]}

    def parts(self) -> Iterator[Shape]:
        yield from self.by_type.values()


@dataclass(frozen=True, slots=True)
class Told:
    """Checked as one thing and told as another: the rest of the check is done by the service that gets the value."""

    checked: Schema
    shape: Shape

    def check(self, value: Any, place: str) -> Any:
        return self.checked.check(value, place)

    def document(self) -> dict[str, Any]:
        return self.shape.document()

    def parts(self) -> Iterator[Shape]:
        yield self.shape


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a query string."""

    schema: Schema
    description: str
    default: Any = None
    repeated: bool = False
    required: bool = False
    json: Shape | None = None  # what it is the JSON of, where its text is some


_WORDS: Final = {"true": True, "1": True, "false": False, "0": False}


def check_query(parameters: Mapping[str, Parameter], query: Mapping[str, list[str]]) -> dict[str, Any]:
    """The values of a query string.

    Unknown names are refused: a misspelt ``limt=10`` would otherwise quietly answer with everything.
    """
    for name in query:
        if name not in parameters:
            known = ", ".join(parameters) or "none"
            raise Invalid(f"The query parameter {name!r:.80}", f"is not known here; those known are {known}.")
    made: dict[str, Any] = {}
    for name, parameter in parameters.items():
        given = query.get(name)
        place = f"The query parameter {name!r}"
        if given is None and parameter.required:
            raise Invalid(place, "must be given.")
        if given is None:
            made[name] = [] if parameter.repeated else parameter.default
        elif parameter.repeated:
            made[name] = [_from_word(parameter.schema, word, place) for word in given]
        elif len(given) > 1:
            raise Invalid(place, "must be given once.")
        else:
            made[name] = _from_word(parameter.schema, given[0], place)
    return made


def _from_word(schema: Schema, word: str, place: str) -> Any:
    if isinstance(schema, Flag):
        if schema.nullable and not word:
            return None
        if word.lower() not in _WORDS:
            raise Invalid(place, f"must be true or false, not {word!r:.80}.")
        return _WORDS[word.lower()]
    if isinstance(schema, Number):
        if not re.fullmatch(r"-?[0-9]{1,18}", word):
            raise Invalid(place, f"must be an integer, not {word!r:.80}.")
        return schema.check(int(word), place)
    if isinstance(schema, Moment):
        return schema.check(float(word) if re.fullmatch(r"[0-9]{1,13}(\.[0-9]{1,20})?", word) else None, place)
    return schema.check(word, place)
