# SPDX-License-Identifier: Apache-2.0
"""What the ledger refuses, each with the code and the HTTP status that clients know it by.

Everything here travels over the bus as itself.
"""

from typing import Any, ClassVar

from congress.bus.codec import portable


class LedgerError(Exception):
    """The ledger could not do what was asked; nothing changed."""

    code: ClassVar[int] = 400
    status: ClassVar[int] = 400
    data: Any = None

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").split("\n")[0])


@portable
class ExecutionNotFound(LedgerError):
    """There is no such execution, or its time of being kept is over."""

    code, status = 404, 404


@portable
class SetNotFound(LedgerError):
    """There is no such set of executions, or nothing of it waits any more."""

    code, status = 404, 404


@portable
class StateConflict(LedgerError):
    """The execution is in a state in which that cannot be done."""

    code, status = 409, 409


@portable
class SetChanged(LedgerError):
    """The set is not the one that was looked at: look at it again, and approve its present digest.

    ``data["digest"]`` has that one.
    """

    code, status = 409, 409

    def __init__(self, message: str = "", digest: str = "") -> None:
        super().__init__(message)
        self.data = {"digest": digest}


@portable
class TokenInvalid(LedgerError):
    """The token is not the execution's, or was used."""

    code, status = 403, 403


@portable
class GuardSettingsInvalid(LedgerError):
    """The settings of the guard have a part that is unknown or out of range."""


@portable
class LedgerUnavailable(LedgerError):
    """The database does not answer; nothing changed."""

    code, status = 503, 503
