# SPDX-License-Identifier: Apache-2.0
"""Sets of executions that wait for one decision of a person."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from congress.db.records import new_id
from congress.executions.model import Execution, set_digest
from congress.executions.states import Reason, State

DECIDED: Final = frozenset({Reason.MODE_PROPOSE, Reason.BLAST_RADIUS, Reason.OSCILLATION})
"""Why an execution waits for a person, who decides about the whole set at once."""

CAPPED: Final = frozenset({Reason.BLAST_RADIUS, Reason.OSCILLATION})
"""Those of them that a set as a whole is let go by when its guard allows more."""


@dataclass(frozen=True, slots=True)
class ExecutionSet:
    """All executions that one guard, of a policy or of a service, holds or proposes for one reason.

    ``digest`` is of exactly these.
    """

    id: str
    reason: Reason
    executions: tuple[Execution, ...]

    @property
    def digest(self) -> str:
        return set_digest(self.executions)

    def to_dict(self) -> dict[str, Any]:
        """The set for machines: plain JSON types."""
        return {
            "id": self.id,
            "reason": self.reason.value,
            "policies": sorted({execution.origin.policy for execution in self.executions} - {""}),
            "services": sorted({execution.call.service for execution in self.executions}),
            "actions": sorted({execution.call.name for execution in self.executions}),
            "digest": self.digest,
            "size": len(self.executions),
            "detail": self.executions[-1].detail,
            "created_at": min(execution.created_at for execution in self.executions),
        }


def waiting(execution: Execution) -> bool:
    """Whether it is in a set that a person decides about."""
    return execution.reason in DECIDED and execution.state in (State.HELD, State.PROPOSED)


def sets_of(executions: Iterable[Execution]) -> dict[str, ExecutionSet]:
    """The sets that there are, by id, in the order of their oldest executions."""
    members: dict[str, list[Execution]] = {}
    for execution in executions:
        if execution.set_id is not None and waiting(execution):
            members.setdefault(execution.set_id, []).append(execution)
    return {key: _made(key, found) for key, found in members.items()}


def _made(key: str, found: Sequence[Execution]) -> ExecutionSet:
    reason = found[0].reason
    assert reason is not None
    return ExecutionSet(key, reason, tuple(found))


class SetNames:
    """Gives what one guard holds for one reason one name; what comes later gets the name of what waits already.

    What waited before a restart stays together, and later ones make another set.
    """

    def __init__(self) -> None:
        self._names: dict[tuple[str, Reason], str] = {}

    def of(self, scope: str, reason: Reason, present: Collection[str]) -> str:
        """The name of the set of a guard's scope and a reason.  :param present: sets of which something waits."""
        name = self._names.get((scope, reason))
        if name is None or name not in present:
            name = self._names[scope, reason] = new_id()
        return name
