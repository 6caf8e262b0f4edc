# SPDX-License-Identifier: Apache-2.0
"""From the objects that an API gives to rows: declared once, compiled once, run over whole lists.

A declaration says which table an object's fields go to; fields that hold objects or lists go to tables of
their own, tied to the object's row by a parent key or by an id::

    SERVERS = HDict(
        "servers",
        (
            Field("id", type="string", nullable=False, description="id of the server"),
            Field("flavor", "flavor_id", type="string", extract=lambda flavor: flavor["id"]),
            Field("networks", rows=VDict("nets", "name", "address", parent_key="id", parent_column="server")),
        ),
    )
    servers = compile_translator(SERVERS)  # of congress.cloudservices.translation
    servers.schemas                        # {"servers": (id, flavor_id), "nets": (server, name, address)}
    servers(objects)                       # {"servers": [rows], "nets": [rows]}

Four kinds, by the reference's names: ``HDict`` (an object's fields side by side in one row), ``VDict`` (a
row for each key and value), ``ListOf`` (a row for each item) and ``Scalar`` (one value).  A missing field
is null.  A value that is a list or an object is kept as JSON text.  A value that its column's type can hold
without loss is turned into that type (``"5"`` in an integer column); any other is kept as it is, and the
driver's status tells.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from congress.datalog.schema import TYPES

Extract: TypeAlias = Callable[[Any], Any]
Selector: TypeAlias = Literal["key", "attribute"]


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value: its type, and how it is got out of what the API gives (``extract`` never gets null)."""

    type: str = "any"
    nullable: bool = True
    description: str = ""
    extract: Extract | None = None

    def __post_init__(self) -> None:
        if self.type not in TYPES:
            raise ValueError(f"there is no type {self.type!r}; the types are {', '.join(TYPES)}")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an object.

    ``name`` is a key, or a tuple of keys to follow inwards; with the attribute selector an attribute, dots
    followed inwards.  Anything missing on the way gives null.  ``column`` is the field's column, by default
    its name. ``extract`` gets what was found (never null) and gives the value.  With ``rows`` the field
    goes to a table of its own; it then has a column here only when that table is tied by ``id_column``: the
    id.
    """

    name: str | tuple[str, ...]
    column: str = ""
    type: str = "any"
    nullable: bool = True
    description: str = ""
    extract: Extract | None = None
    rows: "HDict | VDict | ListOf | None" = None

    def __post_init__(self) -> None:
        if self.type not in TYPES:
            raise ValueError(f"field {self.name!r} has type {self.type!r}; the types are {', '.join(TYPES)}")
        if not self.column:
            object.__setattr__(self, "column", self.name if isinstance(self.name, str) else self.name[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tied:
    """How a table is tied to the row that its objects came from; at most one of ``parent_key`` and
    ``id_column``.

    ``parent_key`` names the parent's column whose value comes first in each row here, under
    ``parent_column``. ``id_column`` puts an id first in each row here and into the parent's row: a digest
    of the content, or what ``id_of`` makes of the object.  ``extract`` is applied to the whole object
    before anything else, null included.
    """

    parent_key: str | None = None
    parent_column: str = "parent_key"
    parent_description: str = ""
    id_column: str | None = None
    id_of: Extract | None = None
    extract: Extract | None = None
    description: str = ""

    def __post_init__(self) -> None:
        if self.parent_key is not None and self.id_column is not None:
            raise ValueError("a table is tied by a parent key or by an id column, not by both")


@dataclass(frozen=True, slots=True)
class HDict(_Tied):
    """An object's fields side by side: a row for each object.

    ``selector`` says whether fields are keys of a mapping or attributes of an object.  ``in_list``: the
    field that this is the translator of holds a list of such objects, not one.
    """

    table: str
    fields: tuple[Field, ...]
    selector: Selector = field(default="key", kw_only=True)
    in_list: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class VDict(_Tied):
    """A mapping's items: a row (key, value) for each.

    ``value`` may be a table of its own, which is then tied by its ``id_column`` or, as parent key, by the
    key column.
    """

    table: str
    key_column: str
    value_column: str
    value: "Scalar | HDict | VDict | ListOf" = Scalar()
    key_description: str = field(default="", kw_only=True)


@dataclass(frozen=True, slots=True)
class ListOf(_Tied):
    """A list's items: a row (item) for each."""

    table: str
    value_column: str
    value: "Scalar | HDict | VDict | ListOf" = Scalar()


Translator: TypeAlias = HDict | VDict | ListOf
