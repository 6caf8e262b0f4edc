# SPDX-License-Identifier: Apache-2.0
"""Trying a sequence of changes and actions on a policy: what would hold after it, and which actions would fire.

Everything happens within ``Engine.hypothetical()``: whatever comes of it, the engine is then exactly as it was.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from congress.datalog.engine import Delta, Engine
from congress.datalog.values import Row, decode_row
from congress.policy.action_description import ActionDescription, shadow_of
from congress.policy.borrowing import Borrower
from congress.policy.dependencies import tables_read
from congress.policy.errors import PolicyNotFound, SimulationIncomplete, SimulationInvalid
from congress.policy.mentions import Mentions, mentioned_by_steps
from congress.policy.outcome import Discretion, Outcome, Secrets, traced
from congress.policy.policies import Policies
from congress.policy.question import Answers, Question, read_question
from congress.policy.rehearsal import Rehearsal, refusals
from congress.policy.steps import Change, Invocation, Step, read_sequence, read_steps

ACTION_POLICY: Final = "action"
"""Where actions are described unless another policy is named."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be simulated, as a client gives it: ``sequence`` (text) or ``steps`` (JSON)."""

    policy: str
    query: object = None
    sequence: str | None = None
    action_policy: str | None = None
    steps: Sequence[Any] | None = None
    delta: bool = False
    trace: bool = False

    def complete(self) -> "Request":
        """:raises SimulationIncomplete: something is missing, or both forms are used."""
        if self.steps is not None:
            if self.sequence is not None:
                raise SimulationIncomplete("a simulation has a sequence or steps, not both")
            return self
        missing = [name for name in ("query", "sequence", "action_policy") if getattr(self, name) is None]
        if missing:
            raise SimulationIncomplete(f"{missing[0]} is missing (or steps, of the form without quotes)")
        return self


class Simulation:
    """One simulation.  Runs on the engine's thread; blocks while services are asked for tables no rule reads yet."""

    def __init__(self, engine: Engine, policies: Policies, borrower: Borrower, secrets: Secrets) -> None:
        """:param secrets: for a service, what marks the secret arguments of its actions."""
        self._secrets = secrets
        self._engine = engine
        self._policies = policies
        self._borrower = borrower

    def run(self, request: Request, now: float) -> dict[str, Any]:
        """What would be, as plain JSON types.

        ``result`` has the answers to the query as literals (``delta``: those that came and went, as ``t+(...)`` and
        ``t-(...)``), ``actions`` the actions that would fire, ``trace`` what each step changed, if that is wanted.
        With ``steps`` there are, besides, ``rows`` (or ``insertions`` and ``retractions``), the answers as lists;
        ``changes``, the net change of every table; ``unsettled``, tables whose rows are not known.

        :raises SimulationIncomplete: something is missing.  :raises SimulationInvalid: whatever is wrong in it.
        """
        asked = request.complete()
        policy = self._policy(asked.policy)
        action_policy = self._policy(asked.action_policy or ACTION_POLICY)
        registry = self._engine.registry
        if asked.steps is None:
            steps = read_sequence(str(asked.sequence), registry)
        else:
            steps = read_steps(asked.steps, registry)
        question = None if asked.query is None else Question(self._engine, policy, read_question(asked.query))
        if question is not None:
            self._check_tables(policy, action_policy, steps, question, asked.query)
        with self._engine.hypothetical():
            self._engine.advance(now)
            unsettled = self._borrower.borrow(*_needs(policy, steps, question))
            outcome = Outcome(self._engine, Discretion(self._secrets), shadow_of(action_policy))
            course = _Course(Rehearsal(self._engine, self._policies, policy), action_policy, steps, outcome)
            answers = _Answers(question, asked.delta, outcome)
            lines = [f"simulation on policy {policy}, actions as policy {action_policy} describes them"]
            for number, step in enumerate(steps, 1):
                lines.append(f"{number}. {step.text}")
                lines += course.take(number, step)
            made: dict[str, Any] = answers.view(asked.steps is not None)
            made["actions"] = outcome.actions()
            if asked.steps is not None:
                made |= {"changes": outcome.changes(), "unsettled": unsettled}
            if asked.trace:
                lines += answers.lines()
                made["trace"] = "\n".join(lines)
        return made

    def _check_tables(
        self, policy: str, action_policy: str, steps: Iterable[Step], question: Question, given: object
    ) -> None:
        """:raises SimulationInvalid: the query asks for a table of a policy that nothing mentions, not even a step."""
        mentions = Mentions(self._engine, self._policies)

        def besides() -> set[str]:
            return mentioned_by_steps(policy, steps) | mentions.of(action_policy, policy)

        text = given if isinstance(given, str) else ""
        if slips := mentions.check(policy, question.rule, text, besides):
            raise SimulationInvalid(diagnostics=slips)

    def _policy(self, key: str) -> str:
        try:
            return self._policies.find(key).record.name
        except PolicyNotFound as error:
            raise SimulationInvalid(str(error)) from error


class _Course:
    """Carries out one step after the other."""

    def __init__(self, rehearsal: Rehearsal, action_policy: str, steps: Sequence[Step], outcome: Outcome) -> None:
        self._rehearsal = rehearsal
        self._action_policy = action_policy
        self._invocations = [step for step in steps if isinstance(step, Invocation)]
        self._outcome = outcome
        self._description: ActionDescription | None = None
        self._results: tuple[Row, ...] = ()

    def take(self, number: int, step: Step) -> Iterable[str]:
        """Carry a step out; the lines of the trace."""
        if isinstance(step, Change):
            return traced(self._rehearsal.policy, self._change(step, number), self._outcome)
        with refusals(number):
            if self._description is None:
                engine, policy = self._rehearsal.engine, self._rehearsal.policy
                self._description = ActionDescription(engine, self._action_policy, policy, self._invocations)
            effect = self._description.carry_out(step, self._results)
        if effect is None:
            self._results = ()
            self._outcome.add({})
            return ["    no answer to its body, so nothing is done"]
        self._results = effect.results
        return traced(self._rehearsal.policy, self._change(effect.change, number), self._outcome)

    def _change(self, change: Change, number: int) -> Delta:
        if self._description is not None and self._action_policy in self._rehearsal.owners(change):
            self._description.remove()
            self._description = None
        return self._outcome.add(self._rehearsal.change(change, number))


class _Answers:
    """The answers to the query, before and after."""

    def __init__(self, question: Question | None, delta: bool, outcome: Outcome) -> None:
        self._question = question
        self._delta = delta
        self._outcome = outcome
        self._before: Answers | None = None
        self._gained: Answers = {}
        self._lost: Answers = {}
        if question is not None and delta and question.whole_table is None:
            self._before = question.answers()

    def view(self, structured: bool) -> dict[str, Any]:
        """The answers as JSON types."""
        if self._question is None:
            return {}
        self._ask(self._question)
        made: dict[str, Any] = {"result": self._texts()}
        if structured and self._delta:
            made |= {"insertions": _lists(self._gained), "retractions": _lists(self._lost)}
        elif structured:
            made["rows"] = _lists(self._gained)
        return made

    def _ask(self, question: Question) -> None:
        if not self._delta:
            self._gained = question.answers()
        elif self._before is None:
            question.check()
            self._gained, self._lost = question.changes(self._outcome.net)
        else:
            after = question.answers()
            self._gained = {key: row for key, row in after.items() if key not in self._before}
            self._lost = {key: row for key, row in self._before.items() if key not in after}

    def _texts(self) -> list[str]:
        assert self._question is not None  # asked for only then
        gained = sorted(self._question.text(key, "+" if self._delta else "") for key in self._gained)
        return gained + sorted(self._question.text(key, "-") for key in self._lost)

    def lines(self) -> list[str]:
        """What the trace says of the answers."""
        if self._question is None:
            return []
        if self._delta:
            return [f"answers: {len(self._gained)} more, {len(self._lost)} fewer"]
        return [f"answers: {len(self._gained)}"]


def _lists(answers: Answers) -> list[list[Any]]:
    return [list(decode_row(row)) for row in answers.values()]


def _needs(policy: str, steps: Iterable[Step], question: Question | None) -> tuple[set[str], set[str]]:
    """The services that are named, and the tables that are read."""
    services: set[str] = set()
    rules = [] if question is None else [question.rule]
    for step in steps:
        rules += step.rules()
        if isinstance(step, Change):
            for fact in (*step.insertions, *step.deletions):
                services.add(getattr(fact.head, "service", None) or policy)
    tables = {key for rule in rules for key in tables_read(policy, rule)}
    return services | {key.partition(":")[0] for key in tables}, tables
