# SPDX-License-Identifier: Apache-2.0
"""How executions come into the ledger, and how rows that were acted on are kept in step with it."""

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from congress.datalog.values import Row
from congress.executions.guard import Guard, Verdict, held_by
from congress.executions.ledger import Batch, Ledger, Place, place_of
from congress.executions.model import Execution, digest_of, person
from congress.executions.sets import CAPPED, DECIDED, SetNames, waiting
from congress.executions.states import Reason, State, Trigger

LOG = logging.getLogger(__name__)

START: Final = "start"
"""The cause of rows that may have been true, and acted on, before the policy runtime started."""
_UNDONE: Final = frozenset({State.OBSOLETE})
_CAME_TO_NOTHING: Final = frozenset({State.FAILED, State.OBSOLETE})
_PULLED_BACK: Final = frozenset({State.PROPOSED, State.HELD, State.APPROVED, State.QUEUED})


MOST_OPEN: Final = 10_000
"""Open executions of one policy beyond which nothing more is held or proposed for its rows: nobody looks through more,
and a rule that asks for something because something is held would never come to an end."""


class Admission:
    """Decides, by the guard, what becomes of executions that are new or that are looked at again.  One thread."""

    def __init__(self, ledger: Ledger, guard: Guard) -> None:
        self._ledger = ledger
        self._guard = guard
        self._names = SetNames()
        self._left_out: dict[Place, tuple[Execution, Verdict]] = {}  # true rows for which there was no room

    def admit(self, batch: Batch, new: Sequence[Execution], now: float) -> None:
        """Take in what was asked for in one transaction; rows that are known already are left out."""
        self._decide(batch, [execution for execution in new if not self._known(batch, execution)], now)

    def again(self, batch: Batch, executions: Sequence[Execution], who: str, now: float) -> None:
        """Let the guard decide anew about executions that are held, proposed, failed or cancelled."""
        present = self._sets()
        approved: list[Execution] = []
        for execution, verdict in self._verdicts(batch, executions, now):
            if (verdict.state, verdict.reason) == (execution.state, execution.reason):
                continue
            if verdict.state is State.APPROVED:
                approved.append(execution)
            else:
                self._hold(batch, execution, verdict, present)
        self.approve(batch, approved, who, now)

    def again_as_one(self, batch: Batch, members: Sequence[Execution], now: float) -> None:
        """Let the guard decide anew about a set that it holds: all of it goes, or nothing of it.

        Where another guard would hold some of it now, that one holds all of it from now on.
        """
        verdicts = [verdict for _, verdict in self._verdicts(batch, members, now)]
        against = next((verdict for verdict in verdicts if verdict.state is not State.APPROVED), None)
        if against is None:
            self.approve(batch, members, "guard", now)
        elif against.reason in CAPPED and not any(_is_against(one, against) for one in members):
            present = self._sets()
            for one in members:
                self._hold(batch, one, against, present)

    def revive(self, batch: Batch, now: float) -> bool:
        """Look again at what was left out because the same was on its way, where that was not for it.

        :returns: whether there was any.
        """
        found = []
        for ended in list(batch.changed.values()):
            told = _not_for_others(ended)
            duplicate = self._ledger.duplicate(ended.digest) if told else None
            if duplicate is None or duplicate.id in batch.changed:
                continue
            if duplicate.trigger is Trigger.LIVE:
                self._ledger.note(batch, duplicate, "ledger", told)
                found.append(duplicate)
            else:  # when its rule is back, its row is a new one
                self._ledger.note(batch, duplicate, "ledger", told, trigger=Trigger.ENDED)
        if found:
            self.again(batch, found, "ledger", now)
        return bool(found)

    def recognized(self, new: Iterable[Execution]) -> list[Execution]:
        """New executions, known as the same that was asked for before anybody knew the places of its arguments."""
        found, before = list(new), None
        for at, one in enumerate(found):
            as_given = digest_of(one.origin.policy, one.call)
            if as_given == one.digest:
                continue
            before = self._open_digests() if before is None else before
            if as_given in before or self._guard.history.last(as_given) is not None:
                found[at] = replace(one, digest=as_given)
        return found

    def left_out(self) -> Counter[str]:
        """How many rows of each policy are true and wait for others of it to be over before they are recorded."""
        return Counter(one.origin.policy for one, _ in self._left_out.values())

    def take_up(self, batch: Batch, now: float) -> bool:
        """Take in rows that were left out, as far as there is room by now.

        :returns: whether there were any.
        """
        if not self._left_out:
            return False
        opened, found = self._ledger.open_of(batch), []
        for one, _ in self._left_out.values():
            if opened[one.origin.policy] < MOST_OPEN and one.id not in batch.added:
                opened[one.origin.policy] += 1
                found.append(one)
        if found:
            self._decide(batch, found, now)
        batch.after.append(lambda: [self._left_out.pop(place_of(one), None) for one in found])
        return bool(found)

    def verdicts(self, new: Sequence[Execution], now: float) -> list[Verdict]:
        """What would be decided about executions that nobody has asked for."""
        return self._guard.admit(new, now, self._open_digests())

    def approve(self, batch: Batch, executions: Iterable[Execution], who: str, now: float) -> None:
        """Let these go, on a person's or the guard's word."""
        approved = [self._let_go(batch, execution, who, now) for execution in executions]
        batch.after.append(lambda: self._guard.approved(approved, now))

    def _let_go(self, batch: Batch, execution: Execution, who: str, now: float) -> Execution:
        """On to its service's queue: two steps of its trail."""
        more: dict[str, Any] = {
            "approved_at": now,
            "approved_by": (who == "ledger" and execution.approved_by) or who,  # it does as it was told before
            "not_before": None,
            "attempts": 0,
            "deadline": self._guard.deadline(execution, now),
        }
        if execution.id in batch.added:
            return self._ledger.move(batch, execution, State.QUEUED, who, **more)
        self._ledger.move(batch, execution, State.APPROVED, who, **more, finished_at=None, error=None)
        return self._ledger.move(batch, execution, State.QUEUED, who)

    def pull_back(self, batch: Batch, found: Sequence[tuple[Execution, Verdict]]) -> None:
        """Have a person be asked about what the guard had let go."""
        there = (e for e in batch.changed.values() if waiting(e) and e.set_id is not None)
        present = self._sets() | {str(e.set_id) for e in there} if found else set()
        for execution, verdict in found:
            if execution.state is State.QUEUED:
                self._ledger.move(batch, execution, State.HELD, "guard", verdict.reason, verdict.detail)
            self._hold(batch, execution, verdict, present)

    def vanished(self, batch: Batch, places: Sequence[tuple[str, Row]], for_good: bool) -> None:
        """Rows are true no more.  :param for_good: when they are true again, they are new ones."""
        for table, row in places:
            self._left_out.pop((table, row), None)
            execution = self._ledger.at(table, row)
            if execution is not None:
                self._end(batch, execution, Trigger.ENDED if for_good else Trigger.SUSPENDED)

    def began(self, batch: Batch, tables: Collection[str]) -> None:
        """Rows of tables that no rule makes any more are gone with their rules."""
        self._left_out = {place: found for place, found in self._left_out.items() if place[0] in tables}
        for execution in self._ledger.places():
            if execution.origin.table not in tables and execution.trigger is Trigger.LIVE:
                self._end(batch, execution, Trigger.SUSPENDED)

    def present(self, batch: Batch, table: str, rows: Collection[Row]) -> None:
        """All rows of a table that are true: what was acted on and is not among them stopped being true unseen."""
        true = set(rows)
        self._left_out = {
            place: found for place, found in self._left_out.items() if place[0] != table or place[1] in true
        }
        for execution in self._ledger.places(table):
            self._ledger.tell(execution)
            if execution.origin.row not in true:
                self._end(batch, execution, Trigger.ENDED)

    def _known(self, batch: Batch, execution: Execution) -> bool:
        """Whether a row was acted on already; then it is true (again), and that is all."""
        before = self._ledger.at(execution.origin.table, execution.origin.row) if execution.origin.table else None
        if before is None:
            return False
        self._ledger.tell(before)
        new = before.trigger is Trigger.LIVE and execution.origin.cause != START  # it stopped being true unseen
        if new:
            self._end(batch, before, Trigger.ENDED)
            return False
        if before.state in _UNDONE:
            self._ledger.note(batch, before, "ledger", "its row is true again", trigger=Trigger.ENDED)
            return False
        if before.trigger is Trigger.SUSPENDED:
            self._ledger.note(batch, before, "ledger", "its row is true again", trigger=Trigger.LIVE)
        return True

    def _end(self, batch: Batch, execution: Execution, trigger: Trigger) -> None:
        self._ledger.tell(execution)
        detail = "its row is true no more" if trigger is Trigger.ENDED else "the rule of its row is gone"
        if execution.state in _PULLED_BACK and execution.reason is not Reason.UNKNOWN:
            self._ledger.move(batch, execution, State.OBSOLETE, "ledger", None, detail, trigger=trigger)
        else:
            self._ledger.note(batch, execution, "ledger", detail, trigger=trigger)

    def _decide(self, batch: Batch, fresh: Sequence[Execution], now: float) -> None:
        present, opened = self._sets(), self._ledger.open_of(batch)
        approved = []
        for execution, decided in self._verdicts(batch, fresh, now):
            who, verdict = _asker(execution), self._as_before(execution, decided)
            if verdict.state is State.APPROVED:
                approved.append(self._ledger.add(batch, execution, who))
                continue
            if not verdict.state.terminal:
                if execution.origin.table and opened[execution.origin.policy] >= MOST_OPEN:
                    self._leave_out(execution, verdict)
                    continue
                opened[execution.origin.policy] += 1
            made = replace(
                execution,
                state=verdict.state,
                reason=verdict.reason,
                detail=verdict.detail,
                not_before=verdict.until,
                finished_at=now if verdict.state.terminal else None,
            )
            if verdict.reason in DECIDED:
                made = replace(made, set_id=self._set_of(verdict, present))
            self._ledger.add(batch, made, who)
        self.approve(batch, approved, "guard", now)

    def _as_before(self, execution: Execution, verdict: Verdict) -> Verdict:
        """What was too much together with others that there was room for does not go because it is left alone."""
        _, before = self._left_out.get(place_of(execution), (None, verdict))
        return before if verdict.state is State.APPROVED and before.reason in CAPPED else verdict

    def _leave_out(self, execution: Execution, verdict: Verdict) -> None:
        policy = execution.origin.policy
        if not any(one.origin.policy == policy for one, _ in self._left_out.values()):
            LOG.warning("executions.left_out policy=%r open=%d", policy, MOST_OPEN)
        self._left_out[place_of(execution)] = execution, verdict

    def _sets(self) -> set[str]:
        return {e.set_id for e in self._ledger.all_open() if e.set_id is not None and waiting(e)}

    def _set_of(self, verdict: Verdict, present: set[str]) -> str:
        assert verdict.reason is not None
        name = self._names.of(verdict.scope, verdict.reason, present)
        present.add(name)
        return name

    def _hold(self, batch: Batch, execution: Execution, verdict: Verdict, present: set[str]) -> None:
        more: dict[str, Any] = {"not_before": verdict.until, "set_id": None, "finished_at": None}
        if verdict.reason in DECIDED:
            more["set_id"] = self._set_of(verdict, present)
        self._ledger.move(batch, execution, verdict.state, "guard", verdict.reason, verdict.detail, **more)

    def _verdicts(
        self, batch: Batch, executions: Sequence[Execution], now: float
    ) -> Iterable[tuple[Execution, Verdict]]:
        over = {key for key, execution in batch.changed.items() if execution.state.terminal}
        verdicts = self._guard.admit(executions, now, self._open_digests(over | {e.id for e in executions}))
        return zip(executions, verdicts, strict=True)

    def _open_digests(self, without: Collection[str] = ()) -> set[str]:
        return {
            e.digest for e in self._ledger.all_open() if e.reason is not Reason.MODE_MONITOR and e.id not in without
        }


def _is_against(one: Execution, verdict: Verdict) -> bool:
    """Whether an execution is held for that already."""
    return one.reason is verdict.reason and held_by(one, verdict.scope)


def _not_for_others(over: Execution) -> str:
    """Why an execution does not count for those that were left out because of it; empty where it does."""
    if over.state in _CAME_TO_NOTHING:
        return f"the same action, {over.id}, came to nothing"
    if over.state is State.SUCCEEDED and over.trigger is Trigger.ENDED:
        return f"the same action, {over.id}, was sent before the row was true again"
    return ""


def _asker(execution: Execution) -> str:
    origin = execution.origin
    return f"policy {origin.policy}" if origin.table else person(origin.requested_by)
