# SPDX-License-Identifier: Apache-2.0
"""Regular expressions, by RE2.

Python's own ``re`` backtracks: ``(a+)+$`` on thirty letters takes it minutes, it cannot be interrupted, and
the letters may come from whoever names a server. RE2 runs an automaton: one search costs at most the size
of the compiled expression times the length of the text, whatever they are. It has no back-references and no
look-around.

Finding *all* matches can still cost that much for each of them, so the work is counted before it is done,
and is refused beyond a limit of a few seconds at the very worst (milliseconds for expressions that people
write). The count depends on the inputs alone, not on the clock: the same inputs always give the same
answer.
"""

import re as python_re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import re2

from congress.datalog.builtins.kinds import MAX_ROWS, bounded, room, short_text, show, text
from congress.datalog.builtins.registry import BuiltinError
from congress.datalog.builtins.shelf import Shelf, fails, gives, gives_each, holds, undefined
from congress.datalog.values import Value

regex = Shelf(
    "regular expression",
    "The syntax is that of `RE2 <https://github.com/google/re2/wiki/Syntax>`_: like Python's, without "
    "back-references and look-around, and its time is bounded for every expression and every string. "
    "An expression matches anywhere in a string unless it says otherwise (``^``, ``$``); ``(?i)`` in "
    "front ignores case. Expressions have at most 1,000 characters. A long string under a large "
    "expression (the product of their sizes counts, for each match) is undefined.",
)

_MAX_PATTERN: Final = 1000
_MAX_WORK: Final = 100_000_000  # instructions of the automaton; RE2 does 25 million a second at the very worst


@lru_cache(maxsize=128)
def _compile(pattern: str, ignore_case: bool, groups: bool) -> Any:
    """The compiled expression, or what is wrong with it."""
    if len(pattern) > _MAX_PATTERN:
        return f"the regular expression has more than {_MAX_PATTERN} characters"
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not ignore_case
    options.never_capture = not groups
    options.max_mem = 2 << 20
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        said = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        return f"{show(pattern)} is no regular expression: {said:.100}"
    except UnicodeEncodeError:
        return f"{show(pattern)} has half a character in it"


def _compiled(pattern: Value, *, ignore_case: bool = False, groups: bool = True) -> Any:
    found = _compile(text(pattern), ignore_case, groups)
    if type(found) is str:
        raise BuiltinError(found)
    return found


def _work(compiled: Any, length: int, ascii_only: bool) -> int:
    return int(compiled.programsize) * (length if ascii_only else 4 * length)


def _check(work: int) -> None:
    if work > _MAX_WORK:
        raise BuiltinError("the string is too long for this regular expression")


def search(pattern: Value, subject: str, *, ignore_case: bool = False) -> bool:
    """Whether the expression matches somewhere in the subject.

    :raises BuiltinError: when it is no expression, or the subject is too long for it.
    """
    compiled, encoded = _compiled(pattern, ignore_case=ignore_case, groups=False), subject.encode()
    _check(compiled.programsize * len(encoded))
    return compiled.search(encoded) is not None  # with a str it would count characters, at twice the cost


def _all(compiled: Any, subject: str) -> Iterator[Any]:
    """Each match, from left to right.  Finding the next one may look at all of the rest."""
    ascii_only, work = subject.isascii(), _work(compiled, len(subject), subject.isascii())
    _check(work)
    for count, match in enumerate(compiled.finditer(subject)):
        if count >= MAX_ROWS:
            raise BuiltinError(f"there are more than {MAX_ROWS} matches")
        work += _work(compiled, len(subject) - match.end(), ascii_only)
        _check(work)
        yield match


@regex(
    "matches(a: string, pattern: pattern)",
    holds('matches("web-17.example.org", "^web-[0-9]+")'),
    fails('matches("db-1", "^web-")'),
    holds('matches("WEB-1", "(?i)^web-")'),
    undefined('matches("db-1", "(")'),
    undefined('matches(17, "[0-9]+")'),
)
def matches(a: Value, pattern: Value) -> bool:
    """The expression matches somewhere in the string."""
    return search(pattern, text(a))


@regex(
    "regex_extract(a: string, pattern: pattern -> found: string)",
    gives_each('regex_extract("web-17-3", "[0-9]+", x)', {"x": "17"}, {"x": "3"}),
    gives_each('regex_extract("env=prod,team=a", "team=([a-z]+)", x)', {"x": "a"}),
    gives_each('regex_extract("web", "[0-9]+", x)'),
    undefined('regex_extract("web", "[", x)'),
    many=True,
)
def regex_extract(a: Value, pattern: Value) -> list[str]:
    """What each match found: the first group where the expression has groups, else all of the match."""
    subject, compiled = text(a), _compiled(pattern)
    group = 1 if compiled.groups else 0
    return [
        subject[match.start(group) : match.end(group)] for match in _all(compiled, subject) if match.start(group) >= 0
    ]


@regex(
    "regex_groups(a: string, pattern: pattern -> match: integer, group: integer, found: string)",
    gives_each(
        'regex_groups("a=1", "([a-z])=([0-9])", m, g, x)',
        {"m": 0, "g": 0, "x": "a=1"},
        {"m": 0, "g": 1, "x": "a"},
        {"m": 0, "g": 2, "x": "1"},
    ),
    gives_each('regex_groups("a=1,b=2", "([a-z])=([0-9])", m, 2, x)', {"m": 0, "x": "1"}, {"m": 1, "x": "2"}),
    undefined('regex_groups(1, "1", m, g, x)'),
    many=True,
)
def regex_groups(a: Value, pattern: Value) -> list[tuple[int, int, str]]:
    """What each group of each match found.  Matches count from 0; group 0 is all of the match.

    A group that took no part in the match has no row. More than 10,000 rows, or 1 MiB, are undefined.
    """
    subject, compiled = text(a), _compiled(pattern)
    rows: list[tuple[int, int, str]] = []
    made = 0
    for count, match in enumerate(_all(compiled, subject)):
        for group in range(compiled.groups + 1):
            start, end = match.span(group)
            if start < 0:
                continue
            made += end - start
            room(made)
            rows.append((count, group, subject[start:end]))
        if len(rows) > MAX_ROWS:
            raise BuiltinError(f"there are more than {MAX_ROWS} groups")
    return rows


_REFERENCE: Final = python_re.compile(r"\\(.?)", python_re.DOTALL)


@lru_cache(maxsize=128)
def _template(replacement: str) -> tuple[str | int, ...]:
    """The parts of a replacement: texts, and the numbers of groups."""
    parts = _REFERENCE.split(replacement)
    for at in range(1, len(parts), 2):
        if parts[at] != "\\" and not ("0" <= parts[at] <= "9"):
            raise BuiltinError("in a replacement, a backslash stands before a digit or another backslash")
    return tuple(int(part) if at % 2 and part != "\\" else part for at, part in enumerate(parts) if part)


@regex(
    "regex_replace(a: string, pattern: pattern, replacement: string -> replaced: string)",
    gives('regex_replace("web-17", "[0-9]+", "N", x)', x="web-N"),
    gives('regex_replace("k=v", "(.)=(.)", "\\\\2=\\\\1", x)', x="v=k"),
    undefined('regex_replace("web-17", "[0-9]+", "\\\\1", x)'),
    undefined('regex_replace("web-17", "*", "N", x)'),
)
def regex_replace(a: Value, pattern: Value, replacement: Value) -> Value:
    r"""The string with each match replaced.

    In the replacement ``\0`` is the match, ``\1`` to ``\9`` are its groups and ``\\`` is a backslash. (A
    string in a rule doubles each backslash: ``"\\1"``.)
    """
    subject, compiled, template = (
        text(a),
        _compiled(pattern),
        _template(short_text(replacement, "replacement", 1000)),
    )
    if any(type(part) is int and part > compiled.groups for part in template):
        raise BuiltinError("the replacement names a group that the expression does not have")
    parts: list[str] = []
    at = made = 0
    for match in _all(compiled, subject):
        groups = (match.group(), *match.groups(""))
        new = [groups[part] if isinstance(part, int) else part for part in template]
        new.insert(0, subject[at : match.start()])
        made += sum(map(len, new))
        room(made)
        parts += new
        at = match.end()
    parts.append(subject[at:])
    return bounded("".join(parts))
