# SPDX-License-Identifier: Apache-2.0
"""From objects to rows."""

import datetime
import decimal
import enum
import ipaddress
import uuid
from types import SimpleNamespace
from typing import Any

import pytest

from congress.cloudservices import convert
from congress.cloudservices.errors import TranslationError
from congress.cloudservices.translation import compile_translator, schemas_of
from congress.cloudservices.translators import Field, HDict, ListOf, Scalar, Translator, VDict
from congress.datalog.values import FALSE, TRUE, Bool, decode_row
from tests.cloudservices.case_files import cases


def translator(given: dict[str, Any]) -> Translator:
    given = dict(given)
    kind, rows = given.pop("kind"), given.pop("rows", None)
    if "id_of" in given:
        key = given["id_of"]
        given["id_of"] = lambda found: found[key]
    if kind == "HDict":
        given["fields"] = tuple(field(f) for f in given["fields"])
        return HDict(**given)
    value = translator(rows) if rows is not None else Scalar()
    if kind == "VDict":
        return VDict(given.pop("table"), given.pop("key"), given.pop("value"), value, **given)
    return ListOf(given.pop("table"), given.pop("value"), value, **given)


def field(given: dict[str, Any]) -> Field:
    given = dict(given)
    if isinstance(given["name"], list):
        given["name"] = tuple(given["name"])
    if "rows" in given:
        given["rows"] = translator(given["rows"])
    return Field(**given)


@cases("translation")
def test_cases(case: dict[str, Any]) -> None:
    compiled = compile_translator(translator(case["translator"]))
    if "error" in case:
        with pytest.raises(TranslationError, match=case["error"]):
            compiled(case["objects"])
        return
    made = compiled(case["objects"])
    shown = {table: [list(decode_row(row)) for row in rows] for table, rows in made.items()}
    assert shown == case["tables"]
    for table, rows in case["tables"].items():
        kinds = [[type(value) for value in row] for row in rows]
        assert [[type(value) for value in row] for row in shown[table]] == kinds
    assert not any(isinstance(value, bool) for rows in made.values() for row in rows for value in row)
    for table, names in case.get("schemas", {}).items():
        assert list(compiled.schemas[table].names) == names


SERVERS = HDict(
    "servers",
    (
        Field("id", type="string", nullable=False),
        Field("flavor", "flavor_id", type="string", extract=lambda flavor: flavor["id"]),
        Field("tags", rows=ListOf("tags", "tag", parent_key="id", parent_column="server_id")),
        Field("nics", rows=ListOf("nics", "nic", HDict("nic", (Field("mac"),), id_column="id"), parent_key="id")),
    ),
)


def test_only_wanted_tables_are_made() -> None:
    compiled = compile_translator(SERVERS)
    objects = [{"id": "s", "flavor": {"id": "f"}, "tags": ["x"], "nics": [{"mac": "m"}]}]
    assert set(compiled(objects)) == {"servers", "tags", "nics", "nic"}
    assert compiled(objects, frozenset({"tags"})) == {"tags": [("s", "x")]}
    assert compiled(objects, frozenset({"nic", "elsewhere"})).keys() == {"nic"}
    assert compiled(objects, frozenset()) == {}


def test_an_unwanted_table_is_not_even_looked_at() -> None:
    compiled = compile_translator(SERVERS)
    assert compiled([{"id": "s", "tags": "no list"}], frozenset({"servers"})) == {"servers": [("s", None)]}


def test_ids_are_digests_of_the_content() -> None:
    compiled = compile_translator(SERVERS)
    one = compiled([{"id": "s", "nics": [{"mac": "m", "n": 1}]}])
    other = compiled([{"id": "t", "nics": [{"n": 1, "mac": "m"}, {"mac": "o"}]}])
    assert one["nic"][0] == other["nic"][0]
    assert other["nic"][0][0] != other["nic"][1][0]
    assert [row[1] for row in other["nics"]] == [row[0] for row in other["nic"]]


def test_a_child_has_the_type_of_its_parents_key() -> None:
    assert compile_translator(SERVERS).schemas["tags"].columns[0].type == "string"


def test_attributes() -> None:
    fields = (Field("id"), Field("flavor.cores", "cores"), Field("gone.too.far", "gone"))
    compiled = compile_translator(HDict("t", fields, selector="attribute"))
    things = [SimpleNamespace(id=1, flavor=SimpleNamespace(cores=4)), SimpleNamespace(id=2, flavor=None)]
    assert compiled(things) == {"t": [(1, 4, None), (2, None, None)]}


def test_what_extract_raises_is_placed() -> None:
    with pytest.raises(TranslationError, match="table 'servers', column 'flavor_id', object 1: KeyError: 'id'"):
        compile_translator(SERVERS)([{"id": "s", "flavor": {"id": 1}}, {"flavor": {"name": "x"}}])


def test_extract_never_gets_null() -> None:
    value = Scalar(extract=lambda text: text.upper())
    assert compile_translator(ListOf("t", "x", value))([["a", None]]) == {"t": [("A",), (None,)]}


def test_extract_of_a_table_gets_the_whole_object() -> None:
    made = compile_translator(HDict("t", (Field("x"),), extract=lambda o: {"x": o[0]}))
    assert made([[1], [2]]) == {"t": [(1,), (2,)]}


def test_a_value_of_no_kind_is_placed() -> None:
    with pytest.raises(TranslationError, match="column 'x', object 1: TypeError: a object cannot be a value"):
        compile_translator(HDict("t", (Field("x"),)))([{"x": 1}, {"x": object()}])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: HDict("t", (), parent_key="a", id_column="b"), "not by both"),
        (lambda: compile_translator(HDict("t", (Field("a"), Field("a")))), "two columns of the same name"),
        (lambda: compile_translator(HDict("t", (Field("a"),), parent_key="b")), "has a parent key and no parent"),
        (
            lambda: compile_translator(HDict("t", (Field("a", rows=ListOf("u", "x", parent_key="b")),))),
            "its parent has no column 'b'",
        ),
        (lambda: compile_translator(HDict("t", (Field("a", rows=ListOf("t", "x")),))), "filled by two translators"),
        (lambda: schemas_of(*[compile_translator(HDict("t", (Field("a"),)))] * 2), "filled by two translators"),
        (lambda: Field("a", type="text"), "has type 'text'"),
        (lambda: Scalar("text"), "no type 'text'"),
    ],
)
def test_declarations_are_checked(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


class Colour(enum.Enum):
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (True, TRUE),
        (FALSE, FALSE),
        (Text("x"), "x"),
        (Number.ONE, 1),
        (Colour.RED, "red"),
        (float("nan"), None),
        (float("-inf"), None),
        (decimal.Decimal("10.50"), 10.5),
        (decimal.Decimal("12"), 12),
        (decimal.Decimal("NaN"), None),
        (datetime.datetime(2026, 11, 21, 1, 2, 3, tzinfo=datetime.UTC), "2026-11-21T01:02:03+00:00"),
        (datetime.date(2026, 11, 21), "2026-11-21"),
        (datetime.timedelta(minutes=2), 120.0),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (ipaddress.ip_network("10.0.0.0/8"), "10.0.0.0/8"),
        (b"text", "text"),
        (b"\xff\x00", "ff00"),
        (memoryview(b"x"), "x"),
        ({"b": TRUE, "a": (1, {2})}, '{"a":[1,[2]],"b":true}'),
        ([Colour.RED, decimal.Decimal("1.5")], '["red",1.5]'),
    ],
)
def test_values_of_other_libraries(given: object, expected: object) -> None:
    found = convert.to_value(given)
    assert found == expected
    assert type(found) in (str, int, float, Bool, type(None))


def test_huge_numbers_as_text_stay_text() -> None:
    digits = "9" * 5000
    assert convert.to_value(digits, "integer") == digits
    assert convert.to_value("1e999", "float") == "1e999"
