# SPDX-License-Identifier: Apache-2.0
"""Python functions made for one rule and the literal of it that changed.

A function loops over the changed rows and joins them with the rest of the body in planned order.  What happens with
each head row it finds is its *purpose*:

* ``COUNT``: ``acc[head] += sign``, for tables that count derivations;
* ``NEW``: put head rows that the table lacks into it with rank ``sign`` and append them to ``acc``;
* ``CLOSE``: the same until nothing new follows (see :mod:`congress.datalog.closing`);
* ``HEADS``: collect head rows in the set ``acc``;
* ``EXISTS``: given a head row, tell whether a derivation exists whose recursive rows rank below a limit;
* ``FIND``: given a head row, yield (variables, matched rows) of each such derivation.

Constants, tables, indexes and built-ins are parameters of the generated source, so rules of one shape share one
compilation.  Loops over more than one row count down by the rows they visit, and calls of built-ins by one; where
nothing is left they ask for more, and limits are checked.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from congress.datalog.builtins.registry import BuiltinError
from congress.datalog.core import Arg, Const, Equal, Item, Negative, Positive, Rule, Test, variables
from congress.datalog.plan import Step, make_plan
from congress.datalog.table import Table

# Loops in one generated function; CPython allows 20 nested blocks, a "try" among them.
MAX_LOOPS = 14

# What a built-in may raise for inputs it has no answer for.
UNDEFINED = (BuiltinError, TypeError, ValueError, ArithmeticError)


class Purpose(IntEnum):
    """What the generated function does with the head rows it finds."""

    COUNT = 1
    NEW = 2
    HEADS = 3
    EXISTS = 4
    FIND = 5
    CLOSE = 6


# Those that see rows of the rule's own component only where they rank below the limit given.
RANKED = (Purpose.NEW, Purpose.EXISTS, Purpose.FIND, Purpose.CLOSE)


@dataclass(frozen=True, slots=True)
class Compiled:
    """A generated function, its source and plan, and the indexes it holds on to."""

    function: Callable[..., Any]
    source: str
    steps: tuple[Step, ...]
    indexes: tuple[tuple[Table, tuple[int, ...]], ...]

    def release(self) -> None:
        """Let go of the indexes."""
        for table, columns in self.indexes:
            table.release(columns)


class RuleState:
    """What generated code needs of its rule while it runs: how far it may go, and where errors are noted."""

    __slots__ = ("left", "most", "note", "spend")

    def __init__(
        self,
        spend: Callable[[int], int],
        note: Callable[[int, tuple[Any, ...], Exception], None],
        left: int,
        most: int,
    ) -> None:
        self.spend = spend
        self.note = note
        self.left = left  # rows to visit before it asks whether it may go on
        self.most = most  # rows in one table


_FACTORIES: dict[str, Callable[..., Callable[..., Any]]] = {}


def compile_rule(
    rule: Rule,
    start: int | None,
    purpose: Purpose,
    tables: Mapping[str, Table],
    state: RuleState,
    recursive: frozenset[str] = frozenset(),
) -> Compiled:
    """The function for ``rule`` when the literal at ``start`` changed (None: evaluate all of it).

    ``recursive`` names the tables of the rule's own recursive component.
    """
    return Generator(rule, start, purpose, tables, state, recursive).build()


class Generator:
    """Writes one function; see :func:`compile_rule` for what it takes."""

    def __init__(
        self,
        rule: Rule,
        start: int | None,
        purpose: Purpose,
        tables: Mapping[str, Table],
        state: RuleState,
        recursive: frozenset[str],
    ) -> None:
        self.rule = rule
        self.start = start
        self.purpose = purpose
        self.tables = tables
        self.state = state
        self.recursive = recursive
        self.lines: list[str] = []
        self.depth = 2
        self.names: dict[str, str] = {}  # variable -> local name
        self.params: dict[str, Any] = {}
        self.param_of: dict[tuple[str, object], str] = {}
        self.indexes: list[tuple[Table, tuple[int, ...]]] = []
        self.rows: list[tuple[int, str]] = []  # (body position, expression of the matched row)
        self.loops = 0
        self.steps: list[Step] = []
        self.loops_left = 0  # loops that planned steps have yet to open
        self.nesting = 0
        self.calls: list[tuple[int, str]] = []  # (depth, line) to write once the innermost loop is done
        self.uses: Counter[str] = Counter()
        self.copied = ""  # the head's row, where it is the changed literal's row just as it is

    # -- assembling

    def build(self) -> Compiled:
        given = self._given()
        steps = make_plan(self.rule, self.start, given, self.tables)
        self._count_uses(steps)
        self.loops_left = sum(map(self._is_loop, steps))
        self.steps = steps
        self._open()
        self._from(0)
        for depth, line in reversed(self.calls):
            self.depth = depth
            self._line(line)
        self._end()
        source = self._assemble()
        factory = _FACTORIES.get(source)
        if factory is None:
            scope: dict[str, Any] = {"UNDEFINED": UNDEFINED}
            # The source holds no text of the rule: names are numbered and constants are parameters.
            exec(compile(source, f"<rule {self.rule.table}>", "exec"), scope)  # noqa: S102
            factory = _FACTORIES[source] = scope["make"]
        return Compiled(factory(**self.params), source, tuple(steps), tuple(self.indexes))

    def _from(self, at: int) -> None:
        """Write the steps from one on, and what is done with each head row."""
        if at == len(self.steps):
            self._emit()
            return
        step = self.steps[at]
        self.loops_left -= self._is_loop(step)
        if isinstance(step.item, Positive) and self._is_loop(step) and step.bound and not self.loops_left:
            self._last_look_up(step, step.item, at)
        else:
            self._step(step)
            self._from(at + 1)

    def _is_loop(self, step: Step) -> bool:
        if isinstance(step.item, Positive):
            return len(step.bound) < len(step.item.args)
        return isinstance(step.item, Test) and step.item.builtin.many

    def _given(self) -> set[str]:
        if self.purpose in (Purpose.EXISTS, Purpose.FIND):
            return set(variables(self.rule.args))
        if self.start is None:
            return set()
        return set(variables(self._start_item().args))

    def _start_item(self) -> Positive | Negative:
        assert self.start is not None
        item = self.rule.body[self.start]
        assert isinstance(item, Positive | Negative)
        return item

    def _count_uses(self, steps: Sequence[Step]) -> None:
        for step in steps:
            item = step.item
            if isinstance(item, Positive | Negative):
                self.uses.update(variables(item.args))
            elif isinstance(item, Test):
                self.uses.update(variables(item.inputs + item.outputs))
            else:
                self.uses.update(variables((item.left, item.right)))
        self.uses.update(variables(self.rule.args))

    def _assemble(self) -> str:
        parameters = ", ".join(self.params)
        if self.purpose in (Purpose.EXISTS, Purpose.FIND):
            signature = "def rule(head, sign):"
        else:
            signature = "def rule(delta, sign, acc, skip=(), changed=None):"
        head = [f"def make({parameters}):", f"    {signature}"]
        for name in self.params:
            if name[0] in "TI":  # bound methods and dicts are looked up once a call
                attribute = "rows" if name[0] == "T" else "map"
                head.append(f"        {name.lower()} = {name}.{attribute}")
        if "S" in self.params:
            head.append("        w = S.left")
        tail = ["    return rule"]
        if self.purpose is Purpose.EXISTS:
            tail.insert(0, "        return False")
        return "\n".join([*head, *self.lines, *tail, ""])

    def _line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    def _param(self, kind: str, key: object, value: object) -> str:
        name = self.param_of.get((kind, key))
        if name is None:
            name = f"{kind}{sum(1 for n in self.params if n[0] == kind)}"
            self.param_of[(kind, key)] = name
            self.params[name] = value
        return name

    def _table(self, key: str) -> str:
        return self._param("T", key, self.tables[key])

    def _index(self, key: str, columns: tuple[int, ...]) -> str:
        table = self.tables[key]
        if ("I", (key, columns)) not in self.param_of:
            self.indexes.append((table, columns))
            return self._param("I", (key, columns), table.index(columns))
        return self._param("I", (key, columns), None)

    def _constant(self, value: object) -> str:
        # Not shared between places: two constants may be equal in one rule and differ in another of its shape.
        return self._param("C", len(self.params), value)

    def _state(self) -> str:
        self.params.setdefault("S", self.state)
        return "S"

    # -- values

    def _value(self, arg: Arg) -> str:
        if isinstance(arg, Const):
            return self._constant(arg.value)
        assert arg is not None
        return self.names[arg]

    def _bind(self, name: str, expression: str) -> None:
        local = f"v{len(self.names)}"
        self.names[name] = local
        self._line(f"{local} = {expression}")

    def _tuple(self, parts: Sequence[str]) -> str:
        return "(" + ", ".join(parts) + ("," if len(parts) == 1 else "") + ")"

    # -- loops

    def _open(self) -> None:
        if self.purpose in (Purpose.EXISTS, Purpose.FIND):
            self._line("for _ in (0,):")
            self.depth += 1
            self._match_row("head", self.rule.args, ())
        elif self.start is None:
            self._line("for _ in (0,):")
            self.depth += 1
        else:
            item = self._start_item()
            if isinstance(item, Positive) and self._unpacks(item):
                self.depth += 1
                return
            self._line("for d in delta:")
            self.depth += 1
            if isinstance(item, Positive):
                self._match_row("d", item.args, ())
                self.rows.append((self.start, "d"))
            else:
                args = tuple(arg for arg in item.args if arg is not None)
                if len(args) == 1 and len(item.args) > 1:
                    self._match_value("d", args[0])  # an index on one column has plain keys
                else:
                    self._match_row("d", args, ())

    def _end(self) -> None:
        """What comes after the loops."""

    def _unpacks(self, item: Positive) -> bool:
        """Open the loop over changed rows with one variable per column, where all columns are variables in use."""
        names = [arg for arg in item.args if isinstance(arg, str) and self.uses[arg]]
        if len(set(names)) < len(item.args) or not names:
            return False
        if not self.steps and self.rule.args == item.args:
            self.copied = "d"
            self._line("for d in delta:")
            return True
        self.names = {name: f"v{at}" for at, name in enumerate(names)}
        self._line(f"for {', '.join(self.names.values())}{',' if len(names) == 1 else ''} in delta:")
        return True

    def _match_row(self, row: str, args: Sequence[Arg], done: Sequence[int], own: bool = False) -> None:
        """Check and bind the columns of a row, except those that the look-up has settled.

        ``own`` tells that the literal is among the planned steps, so that its variables were counted as used once
        for each place they have in it.
        """
        checks: list[tuple[int, Arg]] = []
        times = Counter(variables(tuple(args)))
        for column, arg in enumerate(args):
            if column in done or arg is None:
                continue
            if isinstance(arg, Const) or arg in self.names:
                checks.append((column, arg))
                continue
            elsewhere = self.uses[arg] - (times[arg] if own else 0)
            if elsewhere == 1 and times[arg] == 1 and not self.loops_left and self.purpose is not Purpose.FIND:
                self.names[arg] = f"{row}[{column}]"
                continue
            local = self.names[arg] = f"v{len(self.names)}"
            if elsewhere or times[arg] > 1 or self.purpose is Purpose.FIND:
                self._line(f"{local} = {row}[{column}]")
        for column, arg in checks:
            self._line(f"if {row}[{column}] != {self._value(arg)}: continue")

    def _match_value(self, expression: str, arg: Arg) -> None:
        if isinstance(arg, Const):
            self._line(f"if {expression} != {self._constant(arg.value)}: continue")
        elif arg is not None:
            self._bind(arg, expression)

    # -- steps

    def _step(self, step: Step) -> None:
        item = step.item
        if isinstance(item, Positive):
            self._positive(step, item)
        elif isinstance(item, Negative):
            self._negative(step, item)
        elif isinstance(item, Test):
            self._test(item)
        else:
            self._equal(item)

    def _skips(self, position: int, table: str) -> bool:
        """Whether this literal must not see the rows that just changed (an earlier place of a self-join)."""
        if self.start is None or self.purpose not in (Purpose.COUNT, Purpose.HEADS):
            return False
        start = self._start_item()
        return isinstance(start, Positive) and start.table == table and position < self.start

    def _ranked(self, table: str) -> bool:
        """Whether rows of this table count only below a rank."""
        return table in self.recursive and self.purpose in RANKED

    def _positive(self, step: Step, item: Positive) -> None:
        skips = self._skips(step.position, item.table)
        name = self._table(item.table) if len(step.bound) in (0, len(item.args)) or self._ranked(item.table) else ""
        rows = name.lower()
        if len(step.bound) == len(item.args):
            row = self._tuple([self._value(arg) for arg in item.args])
            if self.purpose is Purpose.FIND or skips:
                self._line(f"k{step.position} = {row}")
                row = f"k{step.position}"
            if self._ranked(item.table):
                self._line(f"if {rows}.get({row}, sign) >= sign: continue")
            else:
                self._line(f"if {row} not in {rows}: continue")
            if skips:
                self._line(f"if {row} in skip: continue")
            self.rows.append((step.position, row))
            return
        self._nest()
        loop = f"q{step.position}"
        if not step.bound:
            self._line(self._work(f"len({rows})"))
            mutable = item.table in self.recursive and self.purpose in (Purpose.NEW, Purpose.CLOSE)
            self._line(f"for {loop} in {f'list({rows})' if mutable else rows}:")
        else:
            self._look_up(step, item)
            self._line("if type(e) is tuple: e = (e,)")
            self._line("else:")
            self.depth += 1
            self._line(self._work("len(e)"))
            self.depth -= 1
            self._line(f"for {loop} in e:")
        self.depth += 1
        self._row_found(loop, step, item)

    def _look_up(self, step: Step, item: Positive) -> None:
        """Set ``e`` to what the index has under the bound values."""
        index = self._index(item.table, step.bound).lower()
        key = [self._value(item.args[c]) for c in step.bound]
        self._line(f"e = {index}.get({key[0] if len(key) == 1 else self._tuple(key)})")
        self._line("if e is None: continue")

    def _last_look_up(self, step: Step, item: Positive, at: int) -> None:
        """The innermost loop; where the index has a single row, what follows is written out without one."""
        self._nest()
        self._look_up(step, item)
        loop = f"q{step.position}"
        before = dict(self.names), list(self.rows)
        self._line("if type(e) is tuple:")
        self.depth += 1
        self._line(f"{loop} = e")
        self._row_found(loop, step, item)
        self._from(at + 1)
        self._line("continue")
        self.depth -= 1
        self.names, self.rows = before
        self._line(self._work("len(e)"))
        self._line(f"for {loop} in e:")
        self.depth += 1
        self._row_found(loop, step, item)
        self._from(at + 1)

    def _row_found(self, loop: str, step: Step, item: Positive) -> None:
        if self._skips(step.position, item.table):
            self._line(f"if {loop} in skip: continue")
        if self._ranked(item.table):
            self._line(f"if {self._table(item.table).lower()}[{loop}] >= sign: continue")
        self.rows.append((step.position, loop))
        self._match_row(loop, item.args, step.bound, own=True)

    def _nest(self) -> None:
        """Start an inner function before CPython's limit of 20 nested blocks is reached."""
        self.nesting += 1
        if self.nesting % MAX_LOOPS:
            return
        name = f"inner{self.nesting // MAX_LOOPS}"
        call = {Purpose.EXISTS: f"if {name}(): return True", Purpose.FIND: f"yield from {name}()"}
        self.calls.append((self.depth, call.get(self.purpose, f"{name}()")))
        self._line(f"def {name}():")
        self.depth += 1
        self._state()
        self._line("nonlocal w")
        self._line("for _ in (0,):")
        self.depth += 1

    def _work(self, amount: str) -> str:
        self._state()
        pad = "    " * self.depth
        return f"w -= {amount}\n{pad}if w < 0: w = S.spend(w)"

    def _negative(self, step: Step, item: Negative) -> None:
        columns = tuple(c for c, arg in enumerate(item.args) if arg is not None)
        parts = [self._value(item.args[c]) for c in columns]
        if len(columns) == len(item.args):
            found = f"{self._tuple(parts)} in {self._table(item.table).lower()}" if parts else (
                self._table(item.table).lower()
            )  # fmt: skip
            key = self._tuple(parts)
        elif not columns:
            found, key = self._table(item.table).lower(), "()"
        else:
            key = parts[0] if len(parts) == 1 else self._tuple(parts)
            found = f"{key} in {self._index(item.table, columns).lower()}"
        if self._later_negative(step.position, item.table):
            found += f" or {key} in changed[{columns!r}]"
        self._line(f"if {found}: continue")

    def _later_negative(self, position: int, table: str) -> bool:
        if self.start is None or self.purpose not in (Purpose.COUNT, Purpose.HEADS):
            return False
        start = self._start_item()
        return isinstance(start, Negative) and start.table == table and position > self.start

    def _equal(self, item: Equal) -> None:
        left, right = item.left, item.right
        if isinstance(left, str) and left not in self.names:
            self._bind(left, self._value(right))
        elif isinstance(right, str) and right not in self.names:
            self._bind(right, self._value(left))
        else:
            op = "==" if item.negated else "!="
            self._line(f"if {self._value(left)} {op} {self._value(right)}: continue")

    def _test(self, item: Test) -> None:
        builtin = item.builtin
        given = [self._value(arg) for arg in item.inputs]
        if builtin.inline is not None:
            call = builtin.inline.format(*given)
        else:
            self._line(self._work("1"))  # it may take as long as it likes
            function = self._param("B", (builtin.name, builtin.arity), builtin.function)
            call = f"{function}({', '.join(given)})"
        arguments = self._tuple(given)
        note = f"{self._state()}.note({item.source}, {arguments}, x)"
        if builtin.many:
            call = f"list({call})"
        if not builtin.outputs:
            self._line(f"try: ok = {call}")
            self._undefined(note)
            self._line(f"if {'' if item.negated else 'not '}ok: continue")
            return
        self._line(f"try: o = {call}")
        self._undefined(note)
        if item.negated:
            self._negated_outputs(item)
            return
        if builtin.many:
            self._nest()
            self._line(self._work("len(o)"))
            self.loops += 1
            loop = f"o{self.loops}"
            self._line(f"for {loop} in o:")
            self.depth += 1
            result = loop
        else:
            result = "o"
        if len(item.outputs) == 1:
            self._output(item.outputs[0], result)
        else:
            if result == "o":
                self.loops += 1
                result = f"o{self.loops}"
                self._line(f"{result} = o")
            for at, arg in enumerate(item.outputs):
                self._output(arg, f"{result}[{at}]")

    def _undefined(self, note: str) -> None:
        """Pass over what a built-in has no answer for; it is noted where it comes, not where it goes."""
        self._line("except UNDEFINED as x:")
        if self.purpose is Purpose.COUNT:
            self._line(f"    if sign > 0: {note}")
        elif self.purpose in (Purpose.NEW, Purpose.CLOSE):
            self._line(f"    {note}")
        self._line("    continue")

    def _output(self, arg: Arg, expression: str) -> None:
        if isinstance(arg, Const) or arg in self.names:
            self._line(f"if {expression} != {self._value(arg)}: continue")
        elif arg is not None:
            self._bind(arg, expression)

    def _negated_outputs(self, item: Test) -> None:
        """``not f(x, y)`` with y bound: holds when no result equals y."""
        single = len(item.outputs) == 1
        equal = [
            f"{'r' if single else f'r[{at}]'} == {self._value(arg)}"
            for at, arg in enumerate(item.outputs)
            if arg is not None
        ]
        results = "o" if item.builtin.many else "(o,)"
        # A comprehension would not see the loop's locals as cells cheaply; a plain loop with a flag does.
        self._line("ok = False")
        self._line(f"for r in {results}:")
        self._line(f"    if {' and '.join(equal) or 'True'}: ok = True; break")
        self._line("if ok: continue")

    # -- what is found

    def _emit(self) -> None:
        if self.purpose is Purpose.EXISTS:
            self._line("return True")
            return
        if self.purpose is Purpose.FIND:
            named = [name for name in self.names if not name.startswith("$")]
            bindings = "{" + ", ".join(f"{self._constant(n)}: {self.names[n]}" for n in named) + "}"
            rows = "{" + ", ".join(f"{position}: {row}" for position, row in self.rows) + "}"
            self._line(f"yield {bindings}, {rows}")
            return
        head = self.copied or self._tuple([self._value(arg) for arg in self.rule.args])
        if self.purpose is Purpose.COUNT:
            self._line(f"acc[{head}] += sign")
        elif self.purpose is Purpose.HEADS:
            self._line(f"acc.add({head})")
        else:
            target = self._table(self.rule.table).lower()
            self._line(f"h = {head}")
            self._line(f"if h not in {target}: {target}[h] = sign; acc.append(h)")


def describe(item: Item) -> str:
    """A step's literal as it is joined: all columns in order, expressions taken apart."""
    if isinstance(item, Positive | Negative):
        return f"{'not ' if isinstance(item, Negative) else ''}{item.table}({', '.join(map(_shown, item.args))})"
    if isinstance(item, Equal):
        return f"{_shown(item.left)} {'!=' if item.negated else '='} {_shown(item.right)}"
    inputs = ", ".join(map(_shown, item.inputs))
    outputs = ", ".join(map(_shown, item.outputs))
    return f"{'not ' if item.negated else ''}{item.builtin.name}({inputs}{' -> ' + outputs if outputs else ''})"


def _shown(arg: Arg) -> str:
    if isinstance(arg, Const):
        return f'"{arg.value}"' if isinstance(arg.value, str) else "null" if arg.value is None else str(arg.value)
    return "_" if arg is None else arg
