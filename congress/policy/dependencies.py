# SPDX-License-Identifier: Apache-2.0
"""Which tables a rule names, and which tables of services everything in a table comes from in the end."""

from collections.abc import Iterable, Iterator

from congress.datalog import syntax
from congress.datalog.builtins.registry import BARE_NAMES
from congress.datalog.resolve import head_table, literal_table


def tables_read(policy: str, rule: syntax.Rule, *, negated: bool = False) -> Iterator[str]:
    """Keys of the tables in a rule's body, those of its own policy with the policy's name; no built-ins.

    :param negated: only those that are negated.
    """
    for item in rule.body:
        if not isinstance(item, syntax.Literal) or (negated and not item.negated):
            continue
        atom = item.atom
        if atom.service == "builtin":
            continue
        if atom.service is None:
            if atom.table in ("true", "false") and not atom.args and not atom.named:
                continue
            if atom.table in BARE_NAMES and not atom.named:
                continue
        yield literal_table(atom, policy)


PolicyRule = tuple[str, syntax.Rule]
"""A rule and the name of its policy."""


class Dependencies:
    """The rules that are in force, as edges between tables; and tables with rules that wait for something."""

    def __init__(self) -> None:
        self._reads: dict[str, set[str]] = {}
        self._falls: dict[str, set[str]] = {}  # of these tables, those of which more rows may mean fewer
        self._waiting: set[str] = set()
        self._closures: dict[str, frozenset[str]] = {}
        self._doubts: dict[str, tuple[bool, bool]] = {}

    def rebuild(self, rules: Iterable[PolicyRule], waiting: Iterable[PolicyRule]) -> None:
        """Take these rules in place of all that were known.  :param waiting: those that are not in force yet."""
        self._reads, self._falls, self._closures, self._doubts = {}, {}, {}, {}
        self._waiting = {head_table(policy, rule.head) for policy, rule in waiting}
        for policy, rule in rules:
            head = head_table(policy, rule.head)
            self._reads.setdefault(head, set()).update(tables_read(policy, rule))
            falls = set(tables_read(policy, rule, negated=not _aggregates(rule)))
            if falls:
                self._falls.setdefault(head, set()).update(falls)

    def leaves(self, table: str) -> frozenset[str]:
        """The tables that a table depends on and no rule derives: those of services, and empty ones."""
        found = self._closures.get(table)
        if found is None:
            found = self._closures[table] = frozenset(self._walk(table))
        return found

    def _walk(self, table: str) -> Iterator[str]:
        seen = {table}
        todo = [table]
        while todo:
            key = todo.pop()
            read = self._reads.get(key)
            if read is None:
                yield key
                continue
            new = read - seen
            seen |= new
            todo += new

    def whole(self, table: str) -> bool:
        """Whether no rule waits that could bring a table rows, or take some."""
        return not self._doubt(table)[0]

    def safe(self, table: str) -> bool:
        """Whether no rule waits that could take a table rows: those that it has stay true, whatever comes."""
        return not self._doubt(table)[1]

    def _doubt(self, table: str) -> tuple[bool, bool]:
        found = self._doubts.get(table)
        if found is None:
            found = self._doubts[table] = self._look_for_doubt(table) if self._waiting else (False, False)
        return found

    def _look_for_doubt(self, table: str) -> tuple[bool, bool]:
        """Whether a table with a rule that waits is below; whether one is below a negation or an aggregate."""
        seen = {(table, False)}
        todo = [(table, False)]
        while todo:
            key, below = todo.pop()
            falls = self._falls.get(key, ())
            new = {(read, below or read in falls) for read in self._reads.get(key, ())} - seen
            seen |= new
            todo += new
        doubtful = {below for key, below in seen if key in self._waiting}
        return bool(doubtful), True in doubtful


def _aggregates(rule: syntax.Rule) -> bool:
    head = rule.head.atom if isinstance(rule.head, syntax.Modal) else rule.head
    return any(isinstance(term, syntax.Aggregate) for term in head.terms())
