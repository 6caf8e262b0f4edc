# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a policy text, where, and what to do about it.

Every diagnostic has a stable code.  ``CODES`` lists them all with one sentence each: the reference page of the docs
is made from it, and a test fails when a code is raised that is not listed.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple


class Span(NamedTuple):
    """Half-open range of character offsets in a source text."""

    start: int
    end: int


NOWHERE = Span(0, 0)


@dataclass(frozen=True, slots=True)
class Source:
    """A policy text and the name that errors call it by (a file's path, ``alice``, ``<string>``)."""

    text: str
    name: str = "<string>"

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column, both from 1, of a character offset."""
        starts = _line_starts(self.text)
        line = bisect_right(starts, offset)
        return line, offset - starts[line - 1] + 1

    def line(self, number: int, first: int = 1, length: int | None = None) -> str:
        """The text of a line (from 1) without its end, or ``length`` characters of it from column ``first`` on."""
        starts = _line_starts(self.text)
        if not 0 < number <= len(starts):
            return ""
        begin = starts[number - 1] + first - 1
        end = starts[number] - 1 if number < len(starts) else len(self.text)
        return self.text[begin : end if length is None else min(end, begin + length)].rstrip("\r")


@lru_cache(maxsize=4)  # all findings of a text ask, one after the other
def _line_starts(text: str) -> tuple[int, ...]:
    return tuple(line_starts(text))


def line_starts(text: str) -> list[int]:
    """Offsets at which lines begin; lines end with a line feed, as everywhere in this package."""
    starts = [0]
    at = text.find("\n")
    while at >= 0:
        starts.append(at + 1)
        at = text.find("\n", at + 1)
    return starts


SHOWN = 600
"""Characters of a message or a hint that are shown; of a longer one, its two ends."""


def _short(text: str) -> str:
    if len(text) <= SHOWN:
        return text
    end = SHOWN // 3
    return f"{text[: SHOWN - end - 5]} ... {text[-end:]}"


def _writable(text: str) -> str:
    return text if text.isascii() else text.encode(errors="replace").decode()


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: a stable code, a sentence, a place, and a hint on how to mend it."""

    code: str
    message: str
    source: Source = field(default=Source(""), repr=False)
    span: Span = NOWHERE
    hint: str = ""
    severity: str = "error"  # or "warning"

    def __post_init__(self) -> None:
        # Both may quote the text: it may be long, and halves of surrogate pairs cannot be written anywhere.
        for name in ("message", "hint"):
            object.__setattr__(self, name, _writable(_short(getattr(self, name))))

    @property
    def line(self) -> int:
        return self.source.position(self.span.start)[0]

    @property
    def column(self) -> int:
        return self.source.position(self.span.start)[1]

    def render(self) -> str:
        """The finding as a person reads it: place, code, message, the line, a caret, the hint."""
        line, column = self.source.position(self.span.start)
        parts = [f"{self.source.name}:{line}:{column}: {self.severity}[{self.code}]: {self.message}"]
        first = max(1, column - 80) if column > 120 else 1  # a minified line: show the part around the caret
        text = _writable(self.source.line(line, first, 160).expandtabs(1))
        if text.strip():
            width = max(1, min(self.span.end - self.span.start, len(text) - (column - first)))
            parts += [f"    {text}", "    " + " " * (column - first) + "^" * width]
        if self.hint:
            parts.append(f"    hint: {self.hint}")
        return "\n".join(parts)

    def to_dict(self) -> dict[str, object]:
        """The finding for machines: plain JSON types."""
        line, column = self.source.position(self.span.start)
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "file": self.source.name,
            "line": line,
            "column": column,
            "length": max(1, self.span.end - self.span.start),
            "hint": self.hint,
        }


class DatalogError(Exception):
    """Root of every error that the datalog package raises on purpose."""


class PolicyError(DatalogError):
    """Texts were refused; ``diagnostics`` has every finding in them, text by text, in the order of each."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        found = list(diagnostics)
        texts: dict[int, int] = {}
        for finding in found:
            texts.setdefault(id(finding.source), len(texts))
        self.diagnostics: Sequence[Diagnostic] = tuple(sorted(found, key=lambda d: (texts[id(d.source)], d.span)))
        super().__init__("\n".join(d.render() for d in self.diagnostics))


# Stable codes.  S: the text's shape (tokens, grammar).  R: one rule by itself.  N: names, arities, columns.
# P: the program as a whole.  E: evaluation.  W: warnings.
CODES: dict[str, str] = {}


def register_code(code: str, meaning: str) -> str:
    """Declare a stable code; its meaning is the sentence the reference page shows."""
    if code in CODES:
        raise ValueError(f"diagnostic code {code} is declared twice")
    CODES[code] = meaning
    return code
