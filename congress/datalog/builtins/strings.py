# SPDX-License-Identifier: Apache-2.0
"""Strings: a position counts characters, from 0."""

from collections.abc import Iterator

from congress.datalog.builtins.kinds import MAX_ROWS, bounded, integer, room, text
from congress.datalog.builtins.registry import BuiltinError
from congress.datalog.builtins.shelf import Shelf, fails, gives, gives_each, holds, undefined
from congress.datalog.values import Value

strings = Shelf(
    "string",
    "They take strings and nothing else: make one of a number with ``to_string``. Positions count "
    "characters, from 0. Results of more than 1 MiB characters are undefined.",
)


@strings(
    "concat(a: string, b: string -> both: string)",
    gives('concat("web-", "1", x)', x="web-1"),
    undefined('concat("web-", 1, x)'),
)
def concat(a: Value, b: Value) -> Value:
    """The two strings one after the other."""
    a, b = text(a), text(b)
    room(len(a) + len(b))
    return a + b


@strings(
    "len(a: string -> length: integer)",
    gives('len("naïve", x)', x=5),
    undefined("len(12, x)"),
)
@strings(
    "length(a: string -> length: integer)",
    gives('length("abc", x)', x=3),
    undefined("length(null, x)"),
)
def length(a: Value) -> Value:
    """The number of characters.  (``len`` and ``length`` are the same.)"""
    return len(text(a))


@strings(
    "lower(a: string -> lowered: string)",
    gives('lower("Web-01", x)', x="web-01"),
    undefined("lower(1, x)"),
)
def lower(a: Value) -> Value:
    """The string in lower case."""
    return bounded(text(a).lower())


@strings(
    "upper(a: string -> raised: string)",
    gives('upper("Web-01", x)', x="WEB-01"),
    undefined("upper(true, x)"),
)
def upper(a: Value) -> Value:
    """The string in upper case."""
    return bounded(text(a).upper())


@strings(
    "trim(a: string -> trimmed: string)",
    gives('trim("  a b ", x)', x="a b"),
    undefined("trim(null, x)"),
)
def trim(a: Value) -> Value:
    """The string without the white space at its ends."""
    return text(a).strip()


@strings(
    "starts_with(a: string, prefix: string)",
    holds('starts_with("prod-web", "prod-")'),
    fails('starts_with("web", "prod-")'),
    undefined("starts_with(12, 1)"),
)
def starts_with(a: Value, prefix: Value) -> bool:
    """The first string begins with the second."""
    return text(a).startswith(text(prefix))


@strings(
    "ends_with(a: string, suffix: string)",
    holds('ends_with("disk.qcow2", ".qcow2")'),
    fails('ends_with("disk.raw", ".qcow2")'),
    undefined('ends_with(null, "w")'),
)
def ends_with(a: Value, suffix: Value) -> bool:
    """The first string ends with the second."""
    return text(a).endswith(text(suffix))


@strings(
    "contains(a: string, part: string)",
    holds('contains("a test server", "test")'),
    fails('contains("Test", "test")'),
    undefined('contains(123, "2")'),
)
def contains(a: Value, part: Value) -> bool:
    """The second string occurs in the first."""
    return text(part) in text(a)


@strings(
    "replace(a: string, old: string, new: string -> replaced: string)",
    gives('replace("a-b-c", "-", ".", x)', x="a.b.c"),
    gives('replace("abc", "x", "y", x)', x="abc"),
    undefined('replace("abc", "", "x", x)'),
)
def replace(a: Value, old: Value, new: Value) -> Value:
    """The first string with the third in each place where the second stood."""
    a, old, new = text(a), text(old), text(new)
    if not old:
        raise BuiltinError("the string to replace is empty")
    room(len(a) + a.count(old) * (len(new) - len(old)))
    return a.replace(old, new)


@strings(
    "substring(a: string, start: integer -> part: string)",
    gives('substring("web-17", 4, x)', x="17"),
    gives('substring("web-17", -2, x)', x="17"),
    undefined('substring("web", "1", x)'),
)
def substring(a: Value, start: Value) -> Value:
    """The string from a position on; a negative position counts from the end.

    Where the string is too short, the result is shorter, or empty.
    """
    return text(a)[integer(start) :]


@strings(
    "substring(a: string, start: integer, length: integer -> part: string)",
    gives('substring("web-17", 0, 3, x)', x="web"),
    gives('substring("web-17", 4, 10, x)', x="17"),
    undefined('substring("web-17", 0, -1, x)'),
)
def substring_length(a: Value, start: Value, length: Value) -> Value:
    """At most so many characters of the string, from a position on."""
    count = integer(length)
    if count < 0:
        raise BuiltinError("a length must not be negative")
    return text(a)[integer(start) :][:count]


@strings(
    "split(a: string, separator: string -> index: integer, part: string)",
    gives_each('split("a,b", ",", i, p)', {"i": 0, "p": "a"}, {"i": 1, "p": "b"}),
    gives_each('split("a:b:c", ":", 1, p)', {"p": "b"}),
    undefined('split("abc", "", i, p)'),
    many=True,
)
def split(a: Value, separator: Value) -> Iterator[tuple[int, str]]:
    """Each part between the separators, with its index from 0.

    A string without the separator is one part. More than 10,000 parts are undefined.
    """
    separator = text(separator)
    if not separator:
        raise BuiltinError("the separator is empty")
    parts = text(a).split(separator, MAX_ROWS)
    if len(parts) > MAX_ROWS:
        raise BuiltinError(f"there are more than {MAX_ROWS} parts")
    return enumerate(parts)
