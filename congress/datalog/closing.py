# SPDX-License-Identifier: Apache-2.0
"""Functions that take a recursive rule to its end at once, for many changed rows of its own table.

``path(x, z) :- path(x, y), edge(y, z)`` leaves ``x`` as it is.  So what follows from the paths of one ``x`` does not
depend on those of another, and each such *group* can be closed by itself: round after round, its values of ``y`` as
they come are the next to go on from.  All that has to be remembered of them is one small set per group, and only
what is new in it becomes a row; round by round over all groups, each derivation is a row to make and to look up in
the whole table.
"""

from collections.abc import Callable, Collection, Mapping
from operator import itemgetter
from typing import Any

from congress.datalog.codegen import Compiled, Generator, Purpose, RuleState
from congress.datalog.core import Const, Positive, Rule
from congress.datalog.table import Table
from congress.datalog.values import Row

MANY = 256
"""From how many changed rows on it is looked at whether that is worth it."""

FEW = 2
"""Groups that have fewer rows than this to begin with are better taken round by round, all at once."""


def kept_columns(rule: Rule, start: int) -> tuple[int, ...]:
    """The columns that a rule hands on unchanged from the literal at ``start``, of the head's table, to its head.

    Empty where all are, or where that literal is negated or of another table.
    """
    item = rule.body[start]
    if not isinstance(item, Positive) or item.table != rule.table:
        return ()
    kept = tuple(c for c, arg in enumerate(rule.args) if arg is not None and arg == item.args[c])
    return kept if len(kept) < len(rule.args) else ()


def group_of(rule: Rule, start: int) -> Callable[[Row], Any] | None:
    """Tells the group of a row of the literal at ``start``; None where there are no groups."""
    kept = kept_columns(rule, start)
    return itemgetter(*kept) if kept else None


def pays(group: Callable[[Row], Any], rows: Collection[Row]) -> bool:
    """Whether groups are large enough for what each costs."""
    return len(set(map(group, rows))) * FEW <= len(rows)


def compile_closing(
    rule: Rule,
    start: int | None,
    purpose: Purpose,
    tables: Mapping[str, Table],
    state: RuleState,
    recursive: frozenset[str] = frozenset(),
) -> Compiled:
    """The function for ``rule`` when many rows of the literal at ``start`` changed; some columns must be kept.

    It is called as that for ``NEW``, with the rows in the table and in its indexes, and returns the highest rank that
    it gave to a row.  Rows that it puts in are not met by other literals of the body: they rank from ``sign`` on.
    """
    return _Closing(rule, start, purpose, tables, state, recursive).build()


class _Closing(Generator):
    def _open(self) -> None:
        """Loops over groups, over rounds within a group and over the rows of a round."""
        item = self._start_item()
        assert self.start is not None
        assert isinstance(item, Positive)
        kept = kept_columns(self.rule, self.start)
        columns = [f"c{column}" for column in range(len(item.args))]
        self.kept = self._key([columns[c] for c in kept])
        self.moving = [c for c in range(len(columns)) if c not in kept]
        self.moved = self._key([columns[c] for c in self.moving])
        self.row = self._tuple(columns)
        self.target = self._table(self.rule.table).lower()
        self._state()
        for line in (
            "groups = {}",
            f"for {', '.join(columns)} in delta:",
            f"    ks = groups.get({self.kept})",
            f"    if ks is None: groups[{self.kept}] = [{self.moved}]",
            f"    else: ks.append({self.moved})",
            f"alone = len({self.target}) == len(delta); top = sign",
            f"for {self.kept}, ks in groups.items():",
            "    rank = sign; seen = set(ks)",
            "    while ks:",
        ):
            self._line(line)
        self.depth += 2
        self._line(self._work("len(ks)"))
        self._line("new = []")
        self._line(f"for {self.moved} in ks:")
        self.depth += 1
        for column, arg in enumerate(item.args):
            if isinstance(arg, Const) or arg in self.names:
                self._line(f"if {columns[column]} != {self._value(arg)}: continue")
            elif arg is not None:
                self.names[arg] = columns[column]

    def _key(self, parts: list[str]) -> str:
        return parts[0] if len(parts) == 1 else self._tuple(parts)

    def _emit(self) -> None:
        self._line(f"n = {self._key([self._value(self.rule.args[c]) for c in self.moving])}")
        self._line("if n not in seen: seen.add(n); new.append(n)")

    def _end(self) -> None:
        """The rows of a round go into the table; where it had none but the changed ones, what is new is known."""
        self.depth = 4
        for line in (
            "if alone:",
            "    ks = new",
            f"    for {self.moved} in new: h = {self.row}; {self.target}[h] = rank; acc.append(h)",
            "else:",
            "    ks = []",
            f"    for {self.moved} in new:",
            f"        h = {self.row}",
            f"        if h not in {self.target}: {self.target}[h] = rank; acc.append(h); ks.append({self.moved})",
            "if ks and rank > top: top = rank",
            f"if len({self.target}) > S.most: return top",
            "rank += 1",
        ):
            self._line(line)
        self.depth = 2
        self._line("return top")
