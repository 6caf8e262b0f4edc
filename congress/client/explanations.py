# SPDX-License-Identifier: Apache-2.0
"""Why a row is in a table, and why one is not: trees to walk, and texts to read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from congress.client.models import Resource
from congress.client.values import Row, as_row, show, show_row


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof(Resource):
    """Why a row is there.

    ``reason`` is ``rule`` (then ``rule``, ``rule_id`` and ``bindings`` say which), ``service`` (a service published
    it; ``published`` says with which publication), ``fact``, ``absent`` (no row fits a negated literal), ``test`` (a
    built-in holds) or ``cut`` (left out for its size).  ``because`` has what it rests on.
    """

    table: str = ""
    row: Row = ()
    reason: str = ""
    rule_id: str = ""
    rule: str = ""
    bindings: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    published: Mapping[str, Any] = field(default_factory=dict)
    because: tuple["Proof", ...] = ()

    @classmethod
    def _nested(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return {
            "row": as_row(given.get("row") or ()),
            "because": tuple(Proof.of(child) for child in given.get("because") or ()),
        }

    def __iter__(self) -> Iterator["Proof"]:
        """This one and all that it rests on, depth first."""
        yield self
        for child in self.because:
            yield from child

    def render(self, indent: str = "") -> str:
        """The proof as an indented tree."""
        note = {"service": "published by the service", "fact": "a fact", "cut": "left out: the proof is too large"}
        line = self.text or show_row(self.table, self.row)
        if self.reason == "rule":
            line += f"   by rule {self.rule_id}: {' '.join(self.rule.split())}"
        elif self.reason in note:
            line += f"   {note[self.reason]}"
        return "\n".join([indent + line, *(child.render(indent + "  ") for child in self.because)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Why(Resource):
    """The answer to why: ``proof`` is None when the row is not there, and ``holds`` False."""

    row: Row = ()
    holds: bool = False
    proof: Proof | None = None

    @classmethod
    def _nested(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        proof = given.get("proof")
        return {"row": as_row(given.get("row") or ()), "proof": Proof.of(proof) if proof else None}


@dataclass(frozen=True, slots=True)
class Miss:
    """How near a rule comes: the literal that fails, the bindings with which it does, rows that almost fit.

    ``detail`` says what a comparison or built-in came to, and which row it is that a negated literal denies.
    """

    literal: str
    bindings: Mapping[str, Any]
    nearest: tuple[Row, ...] = ()
    detail: str = ""

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        return cls(
            given.get("literal", ""),
            given.get("bindings") or {},
            tuple(as_row(row) for row in given.get("nearest") or ()),
            given.get("detail") or "",
        )


@dataclass(frozen=True, slots=True)
class Attempt:
    """Why one rule does not derive the row; ``instead`` are the rows that it derives for the row's group."""

    rule_id: str
    rule: str
    reason: str
    misses: tuple[Miss, ...] = ()
    instead: tuple[Row, ...] = ()

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        misses = tuple(Miss.of(miss) for miss in given.get("misses") or ())
        instead = tuple(as_row(row) for row in given.get("instead") or ())
        return cls(given.get("rule_id", ""), given.get("rule", ""), given.get("reason", ""), misses, instead)


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyNot(Resource):
    """The answer to why not: what each rule of the table lacks; ``holds`` when the row is there after all."""

    row: Row = ()
    holds: bool = False
    attempts: tuple[Attempt, ...] = ()

    @classmethod
    def _nested(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return {
            "row": as_row(given.get("row") or ()),
            "attempts": tuple(Attempt.of(attempt) for attempt in given.get("attempts") or ()),
        }

    def render(self, table: str) -> str:
        """The explanation as a person reads it."""
        shown = show_row(table, self.row)
        if self.holds:
            return f"{shown} holds"
        lines = [f"{shown} does not hold"]
        if not self.attempts:
            lines.append("  no rule derives this table")
        for attempt in self.attempts:
            lines.append(f"  rule {attempt.rule_id}: {' '.join(attempt.rule.split())}")
            lines.append(f"    {attempt.reason}")
            for miss in attempt.misses:
                bound = ", ".join(f"{name} = {show(value)}" for name, value in miss.bindings.items())
                lines.append(f"    fails at {' '.join(miss.literal.split())}" + (f" with {bound}" if bound else ""))
                if miss.detail:
                    lines.append(f"      {miss.detail}")
                lines += [f"      nearest row: ({', '.join(map(show, row))})" for row in miss.nearest]
        return "\n".join(lines)
