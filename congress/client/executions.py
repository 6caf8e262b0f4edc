# SPDX-License-Identifier: Apache-2.0
"""Actions that were asked for, and what became of them; the sets of them that wait for a person."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from congress.client.errors import SettingsError, StillGoing
from congress.client.models import Resource
from congress.client.transport import Transport, path_of

TERMINAL: Final = frozenset({"succeeded", "failed", "cancelled", "obsolete"})
"""States of executions that are over."""

WAITING: Final = frozenset({"proposed", "held"})
"""States that a person, or time, ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailLine(Resource):
    """One line of an execution's trail: a change of state, or a note within one."""

    number: int = 0
    at: float = 0.0
    before: str = ""
    after: str = ""
    who: str = ""
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution(Resource):
    """One action that was asked for, by a row of a policy or by a person.

    ``state`` is ``proposed``, ``approved``, ``queued``, ``running``, ``held``, ``succeeded``, ``failed``,
    ``cancelled`` or ``obsolete``; ``reason`` is a code, ``detail`` a sentence, both say why.  Moments are seconds
    since 1970, None while they have not come.  ``trail`` is there where one execution is shown, not in lists.
    """

    id: str = ""
    service: str = ""
    action: str = ""
    args: Mapping[str, Any] = field(default_factory=dict)
    policy: str = ""
    table: str = ""
    row: Sequence[Any] = ()
    requested_by: str = ""
    state: str = ""
    reason: str = ""
    detail: str = ""
    set: str = ""
    attempts: int = 0
    created_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    approved_by: str = ""
    result: Any = None
    error: str = ""
    trail: tuple[TrailLine, ...] = ()

    @classmethod
    def _nested(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"trail": tuple(TrailLine.of(line) for line in given.get("trail") or ())}

    @property
    def name(self) -> str:
        """The action as rules name it: ``nova:servers.pause``."""
        return f"{self.service}:{self.action}"

    @property
    def done(self) -> bool:
        """Whether it is over."""
        return self.state in TERMINAL


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionSet(Resource):
    """Executions that wait for one decision.  ``digest`` names exactly these: an approval must give it."""

    id: str = ""
    reason: str = ""
    policies: Sequence[str] = ()
    services: Sequence[str] = ()
    actions: Sequence[str] = ()
    digest: str = ""
    size: int = 0
    detail: str = ""
    created_at: float | None = None
    executions: tuple[Execution, ...] = ()

    @classmethod
    def _nested(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"executions": tuple(Execution.of(one) for one in given.get("executions") or ())}


class Executions:
    """``cloud.executions``.

    ::

        execution = cloud.execute("park:stop", "web1")
        print(cloud.executions.wait(execution, timeout=30).state)
        for held in cloud.executions.list(state="held"):
            print(held.name, held.reason, held.detail)
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, **filters: Any) -> Iterator[Execution]:
        """Executions, newest first.

        :param filters: ``state`` and ``reason`` (several with commas between), ``policy``, ``service``, ``action``,
            ``set``, ``since`` and ``until`` (whole seconds since 1970); ``sort="state,created_at:desc"``.
        """
        return self._transport.listed("/v1/executions", Execution.of, filters)

    def export(self, **filters: Any) -> Iterator[Execution]:
        """The same with their trails, in one response; memory stays flat however many there are."""
        return (Execution.of(entry) for entry in self._transport.lines("/v1/executions/export", filters))

    def get(self, execution: str) -> Execution:
        """One execution with its trail.

        :raises NotFound: there is none such.
        """
        return Execution.of(self._transport.get(path_of("executions", execution)))

    def request(
        self,
        action: str,
        positional: Sequence[Any] = (),
        named: Mapping[str, Any] | None = None,
        *,
        policy: str = "",
    ) -> str:
        """Ask for an action of a service; returns before it has run.

        :param action: ``service:action``.
        :param policy: as if this policy said so, under its guard.
        :returns: the id of the execution.
        :raises NotFound: there is no such service or action.
        :raises InvalidRequest: the arguments do not fit.
        """
        service, colon, name = action.partition(":")
        if not (service and colon and name):
            raise SettingsError(f"{action!r} is no action", "An action is named SERVICE:ACTION.")
        where = path_of("policies", policy) if policy else path_of("cloud-services", service)
        arguments = {"positional": list(positional), "named": dict(named or {})}
        body = {"name": action if policy else name, "args": arguments}
        response = self._transport.respond("POST", where, body, query={"action": "execute"})
        return str(response.headers.get("Location", "").rpartition("/")[2])

    def cancel(self, execution: str, detail: str = "") -> Execution:
        """Have an execution not be done.

        :raises Conflict: it is with its service, or over.
        """
        return self._act(execution, "cancel", {"detail": detail})

    def retry(self, execution: str, detail: str = "") -> Execution:
        """Have one that failed, was cancelled or is in doubt done again; the guard decides about it as about a new one.

        :raises Conflict: it is none of these.
        """
        return self._act(execution, "retry", {"detail": detail})

    def settle(self, execution: str, outcome: str, detail: str = "") -> Execution:
        """Tell what became of one whose outcome nobody knows: ``succeeded`` or ``failed``."""
        return self._act(execution, "settle", {"outcome": outcome, "detail": detail})

    def complete(
        self, execution: str, token: str, outcome: str, *, result: Any = None, error: str | None = None
    ) -> Execution:
        """For services: tell what became of an action that was accepted, by the token that came with it."""
        body = {"token": token, "outcome": outcome, "result": result, "error": error}
        return self._act(execution, "complete", body)

    def wait(self, execution: str, timeout: float = 60.0, interval: float = 0.5) -> Execution:
        """Wait until an execution is over or waits for a person (``proposed``, ``held``).

        :raises StillGoing: it is neither after ``timeout`` seconds.
        """
        until = time.monotonic() + timeout
        while True:
            found = self.get(execution)
            if found.done or found.state in WAITING:
                return found
            if time.monotonic() + interval > until:
                raise StillGoing(f"the execution {execution} is still {found.state} after {timeout:g} seconds")
            time.sleep(interval)

    def _act(self, execution: str, action: str, body: Mapping[str, Any]) -> Execution:
        return Execution.of(self._transport.post(path_of("executions", execution), body, {"action": action}))


class ExecutionSets:
    """``cloud.execution_sets``: what the guard holds or proposes as a whole.

    ::

        for one in cloud.execution_sets.list():
            print(one.reason, one.size, one.actions)
            cloud.execution_sets.approve(one.id, one.digest)
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, **query: Any) -> Iterator[ExecutionSet]:
        """The sets that wait for a decision.

        :param query: ``sort="name:desc,id"``, and filters by fields, each a value or a list of them:
            ``reason="blast_radius"``.
        """
        return self._transport.listed("/v1/execution-sets", ExecutionSet.of, query)

    def get(self, execution_set: str) -> ExecutionSet:
        """One set with its executions."""
        return ExecutionSet.of(self._transport.get(path_of("execution-sets", execution_set)))

    def approve(self, execution_set: str, digest: str) -> ExecutionSet:
        """Let exactly this set go.

        :param digest: of the set that was looked at.
        :raises Conflict: the set is another one by now; nothing happened.
        """
        return self._act(execution_set, "approve", {"digest": digest})

    def reject(self, execution_set: str, detail: str = "") -> ExecutionSet:
        """Have nothing of this set be done."""
        return self._act(execution_set, "reject", {"detail": detail})

    def _act(self, execution_set: str, action: str, body: Mapping[str, Any]) -> ExecutionSet:
        path = path_of("execution-sets", execution_set)
        return ExecutionSet.of(self._transport.post(path, body, {"action": action}))
