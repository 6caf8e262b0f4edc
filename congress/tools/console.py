# SPDX-License-Identifier: Apache-2.0
"""The interactive console for trying rules: what it understands, without the terminal it is typed into."""

from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path

from congress.datalog.diagnostics import DatalogError
from congress.datalog.engine import Delta, Engine, NewRule
from congress.datalog.explain import show
from congress.datalog.formatter import format_rule
from congress.datalog.parser import parse_partial, parse_query
from congress.datalog.schema import TableSchema
from congress.datalog.syntax import Atom, Constant, Rule
from congress.datalog.values import Row
from congress.tools.datafiles import read_data
from congress.tools.errors import ToolError
from congress.tools.workspace import Workspace, add_data

SHOWN = 100
"""Rows of a change that are shown."""

HELP = """\
p(x) :- q(x)            add a rule or a fact; what follows from it is shown
? p(x), x > 3           ask: every binding for which the literals hold
+ nova:servers("a", 1)  insert a row of a cloud service (its table is made at its first row)
- nova:servers("a", 1)  retract it
.why p("a")             why a row is there      .whynot p("a")   why it is not
.rules                  the rules with their ids; .remove ID takes one away
.tables                 all tables with their sizes; .rows TABLE lists one
.plan ID                how a rule is evaluated
.load FILE              rows from a JSON, YAML or CSV file
.policy NAME            work in another policy
.help  .quit"""


class Console:
    """Takes lines, gives lines.  ``finished`` is set by ``.quit``."""

    def __init__(self, workspace: Workspace) -> None:
        self.engine: Engine = workspace.engine
        self.policy = workspace.default_policy
        self.finished = False
        self._numbers = count(1)  # of typed rules; those of files have a dot in their ids
        if self.policy not in self.engine.policies():
            self.engine.create_policy(self.policy)
        self._commands: dict[str, Callable[[str], Iterator[str]]] = {
            ".why": self._why,
            ".whynot": self._why_not,
            ".rules": self._rules,
            ".remove": self._remove,
            ".tables": self._tables,
            ".rows": self._rows,
            ".plan": self._plan,
            ".load": self._load,
            ".policy": self._change_policy,
            ".help": lambda _: iter([HELP]),
            ".quit": self._quit,
        }

    @property
    def words(self) -> list[str]:
        """What completion offers: commands and tables."""
        return [*self._commands, *(info.key for info in self.engine.tables())]

    def run(self, line: str) -> list[str]:
        """Do what a line says; errors come back as lines."""
        line = line.strip()
        if not line:
            return []
        before = self.engine.exceeded
        try:
            found = list(self._dispatch(line))
            if self.engine.exceeded is not before:
                found += [finding.render() for finding in self.engine.exceeded]
            return found
        except (DatalogError, ToolError) as error:
            return [str(error)]

    def _dispatch(self, line: str) -> Iterator[str]:
        if line[0] == ".":
            word, _, rest = line.partition(" ")
            command = self._commands.get(word)
            if command is None:
                raise ToolError(f"there is no command {word}; .help lists them")
            yield from command(rest.strip())
        elif line[0] == "?":
            yield from self._ask(line[1:])
        elif line[0] in "+-":
            yield from self._change(line[0], line[1:])
        else:
            yield from self._add(line)

    def _add(self, text: str) -> Iterator[str]:
        program, findings = parse_partial(text)
        new = [NewRule(self.policy, rule, f"r{next(self._numbers)}") for rule in program.statements]
        delta = self.engine.apply(add=new, findings=findings)
        for rule in new:
            status = self.engine.status(rule.id)
            yield from (finding.render() for finding in status.diagnostics)
            yield f"rule {rule.id} is {status.state}"
        yield from show_delta(delta)

    def _ask(self, text: str) -> Iterator[str]:
        answer = self.engine.query(self.policy, text.strip())
        for error in answer.errors:
            yield f"passed over: {error.message} for {', '.join(map(show, error.inputs))}"
        names = [name or "?" for name in answer.columns]
        for row in sorted(answer.rows, key=repr):
            yield ", ".join(f"{name} = {show(value)}" for name, value in zip(names, row, strict=True)) or "true"
        found = len(answer.rows)
        if names:
            yield "1 answer" if found == 1 else f"{found} answers"
        else:
            yield "yes" if found else "no"

    def _change(self, sign: str, text: str) -> Iterator[str]:
        table, row = self._row(text)
        service, _, name = table.partition(":")
        if not name:
            raise ToolError("rows are of a cloud service, such as nova:servers; facts need no sign")
        schema = self.engine.schema(service) or {}
        if name not in schema:
            columns = TableSchema.of(*(f"c{number}" for number in range(len(row))))
            self.engine.set_schema(service, {**schema, name: columns})
        yield from show_delta(self.engine.apply({table: ([row], []) if sign == "+" else ([], [row])}))

    def _row(self, text: str) -> tuple[str, Row]:
        atom = parse_query(text)
        if isinstance(atom, Rule):
            head = atom.head
            if atom.has_body or not isinstance(head, Atom):
                raise ToolError("expected a row, such as p(1)")
            atom = head
        values = [term.value for term in atom.args if isinstance(term, Constant)]
        if len(values) != len(atom.args) or atom.named:
            raise ToolError("a row holds values only; texts need quotes")
        return atom.name, tuple(values)

    def _full(self, text: str) -> tuple[str, Row]:
        table, row = self._row(text)
        return (table if ":" in table else f"{self.policy}:{table}"), row

    def _why(self, text: str) -> Iterator[str]:
        table, row = self._full(text)
        proof = self.engine.why(table, row)
        yield proof.render() if proof is not None else "it does not hold; .whynot tells more"

    def _why_not(self, text: str) -> Iterator[str]:
        yield self.engine.why_not(*self._full(text)).render()

    def _rules(self, _: str) -> Iterator[str]:
        for rule in self.engine.rules():
            state = self.engine.status(rule.id).state
            note = "" if state == "active" else f"   ({state})"
            yield f"{rule.id:>8} {rule.policy}: {' '.join(format_rule(rule.rule).split())}{note}"

    def _remove(self, rule: str) -> Iterator[str]:
        yield from show_delta(self.engine.apply(remove=[self._rule_id(rule)]))

    def _rule_id(self, text: str) -> str:
        """The id that is meant: ``2`` is short for ``r2``."""
        ids = {rule.id for rule in self.engine.rules()}
        for rule_id in (text, f"r{text}"):
            if rule_id in ids:
                return rule_id
        raise ToolError(f"there is no rule {text!r}; .rules lists them")

    def _tables(self, _: str) -> Iterator[str]:
        for info in self.engine.tables():
            columns = ", ".join(name or "?" for name in info.columns)
            yield f"{info.key}({columns})   {info.rows} rows"

    def _rows(self, table: str) -> Iterator[str]:
        key = table if ":" in table else f"{self.policy}:{table}"
        for row in sorted(self.engine.rows(key), key=repr):
            yield f"{key}({', '.join(map(show, row))})"

    def _plan(self, rule: str) -> Iterator[str]:
        yield self.engine.plan(self._rule_id(rule)).render()

    def _load(self, path: str) -> Iterator[str]:
        data = read_data([Path(path)], {})
        add_data(self.engine, data)
        yield f"{sum(map(len, data.rows.values()))} rows in {', '.join(data.rows)}"

    def _change_policy(self, name: str) -> Iterator[str]:
        if name not in self.engine.policies():
            self.engine.create_policy(name)
        self.policy = name
        yield f"in policy {name}"

    def _quit(self, _: str) -> Iterator[str]:
        self.finished = True
        return iter(())


def show_delta(delta: Delta) -> Iterator[str]:
    """A change as signed rows, the first of them where there are many."""
    lines = _signed(delta)
    yield from islice(lines, SHOWN)
    left = sum(1 for _ in lines)
    if left:
        yield f"... and {left} more; .rows TABLE lists them"


def _signed(delta: Delta) -> Iterator[str]:
    for table, change in delta.items():
        yield from (f"- {table}({', '.join(map(show, row))})" for row in change.retractions)
        yield from (f"+ {table}({', '.join(map(show, row))})" for row in change.insertions)
