# SPDX-License-Identifier: Apache-2.0
"""What the policy runtime refuses, each with the application code and the HTTP status that clients know it by.

Everything here travels over the bus as itself.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from congress.bus.codec import portable
from congress.bus.errors import NotFound
from congress.datalog.diagnostics import Diagnostic


class PolicyRuntimeError(Exception):
    """The policy runtime could not do what was asked.

    :cvar code: the application code of the REST API, or the HTTP status where there is none.
    :cvar status: the HTTP status.
    :ivar data: details as plain JSON types, or None.
    """

    code: ClassVar[int] = 400
    status: ClassVar[int] = 400
    data: Any = None

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").split("\n")[0])


@portable
class PolicyNotFound(PolicyRuntimeError):
    """There is no such policy."""

    code, status = 1020, 404


@portable
class RuleNotFound(PolicyRuntimeError):
    """The policy has no such rule."""

    code, status = 404, 404


@portable
class TableNotFound(PolicyRuntimeError):
    """No rule of the policy makes or reads such a table."""

    code, status = 404, 404


@portable
class RowInvalid(PolicyRuntimeError):
    """No row of the table could be this one."""


@portable
class PolicyNameRequired(PolicyRuntimeError):
    """A policy needs a name."""

    code = 1010


@portable
class InvalidPolicyName(PolicyRuntimeError):
    """The name cannot stand in a rule."""


@portable
class InvalidPolicy(PolicyRuntimeError):
    """What was given for the policy has a part that is unknown or of the wrong kind."""


@portable
class InvalidAbbreviation(PolicyRuntimeError):
    """An abbreviation is a text of one to five characters."""

    code = 1022


@portable
class PolicyNameTaken(PolicyRuntimeError):
    """A policy or a cloud service has that name."""

    code, status = 409, 409


@portable
class PolicyProtected(PolicyRuntimeError):
    """The policies ``classification`` and ``action`` cannot be deleted."""

    code, status = 403, 403


@portable
class InvalidRuleName(PolicyRuntimeError):
    """The name of a rule cannot be part of its address."""


@portable
class RuleInvalid(PolicyRuntimeError):
    """The rule does not parse or contradicts a check; ``data["diagnostics"]`` has every finding."""

    code = 1002

    def __init__(self, message: str = "", diagnostics: Iterable[Diagnostic] = ()) -> None:
        findings = tuple(diagnostics)
        super().__init__("\n".join(d.render() for d in findings) or message)
        self.data: Mapping[str, Any] = {"diagnostics": [d.to_dict() for d in findings]}


@portable
class MultipleRules(PolicyRuntimeError):
    """One rule was expected, and there are several."""

    code = 1003


@portable
class RuleExists(PolicyRuntimeError):
    """The policy has this rule already."""

    code, status = 1008, 409


@portable
class RuleNotPermitted(PolicyRuntimeError):
    """A cloud service's tables have no rules."""

    code = 1019


@portable
class SimulationIncomplete(PolicyRuntimeError):
    """A simulation takes a query, a sequence and an action policy, or a list of steps."""

    code = 1004


@portable
class SimulationInvalid(PolicyRuntimeError):
    """What was to be simulated is wrong; nothing changed.

    ``data["step"]`` has the number of the step, from 1, or null; ``data["diagnostics"]`` every finding.
    """

    code = 1007

    def __init__(self, message: str = "", diagnostics: Iterable[Diagnostic] = (), step: int | None = None) -> None:
        findings = tuple(diagnostics)
        text = "\n".join(d.render() for d in findings) or message
        super().__init__(text if step is None else f"step {step}: {text}")
        self.data: Mapping[str, Any] = {"step": step, "diagnostics": [d.to_dict() for d in findings]}


@portable
class ExecutionNotFound(PolicyRuntimeError):
    """There is no such execution, or it was forgotten."""

    code, status = 404, 404


class ExecuteError(PolicyRuntimeError):
    """The action cannot be executed; nothing was done."""

    code = 1016


@portable
class ServiceNotFound(ExecuteError, NotFound):
    """There is no such service on the bus; nothing was done."""

    status = 404


@portable
class ActionNotFound(ExecuteError):
    """The service has no such action; nothing was done."""

    status = 404


@portable
class ActionNameInvalid(ExecuteError):
    """An action is named ``service:action``."""

    code = 1017


@portable
class ActionArgumentsInvalid(ExecuteError):
    """The arguments do not fit the action; nothing was done."""

    code = 1018


@portable
class StorageFailed(PolicyRuntimeError):
    """The database did not take the change; nothing changed."""

    code, status = 503, 503
