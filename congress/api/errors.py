# SPDX-License-Identifier: Apache-2.0
"""How whatever goes wrong becomes a status, a code and a body: one table, by the name of the exception's class.

The API does not import the engine, the drivers or the policy runtime: it knows their errors as they arrive over the
bus: by the ``status`` and ``code`` that they carry, else by name.  A class that is not in the table is looked for
under its base classes; what is nowhere in it is a fault of this program: 500, a fixed sentence, and the traceback in
the log under the request's id.

The body of every error is ``{"error": {"message", "error_code", "error_data"}}``.  ``error_code`` is one of
:data:`CODES` where the last OpenStack Congress had one for the case, else the status.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

CODES: Final[Mapping[int, str]] = {
    1000: "Unknown error",
    1002: "Syntax error for rule",
    1003: "Received multiple rules instead of 1",
    1004: "Simulate requires parameters: query, sequence, action_policy",
    1007: "Simulate failed",
    1008: "Rule already exists",
    1010: "Create policy failed: name must be given",
    1016: "Execution failed",
    1017: "Service:action syntax error",
    1018: "Execute action's arguments are not of the right form",
    1019: "Rule not permitted on a cloud service's tables",
    1020: "Policy does not exist",
    1022: "The abbreviation is not a string of 1 to 5 characters",
}


class ApiError(Exception):
    """A request that is answered with an error, by decision of the API itself."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: int | None = None,
        data: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = status if code is None else code
        self.data = data
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an exception from behind the bus means to a client."""

    status: int
    code: int | None = None  # None: the status


TABLE: Final[Mapping[str, Meaning]] = {
    # the bus
    "NotFound": Meaning(404),
    "Timeout": Meaning(503),
    "Overloaded": Meaning(503),
    "NameTaken": Meaning(409),  # of the database too
    "NotPortable": Meaning(400),
    "BusError": Meaning(503),
    # the database
    "RecordNotFound": Meaning(404),
    "Unstorable": Meaning(400),
    "Conflict": Meaning(409),
    "DbError": Meaning(503),
    # policies and rules
    "PolicyError": Meaning(400, 1002),
    "EngineError": Meaning(400),
    # cloud services
    "DriverError": Meaning(502),
    "ConfigError": Meaning(400),
    "InvalidName": Meaning(400),
    "DriverNotFound": Meaning(400),
    "ServiceNotFound": Meaning(404),
    "ServiceExists": Meaning(409),
    "TableNotFound": Meaning(404),
    "NotSupported": Meaning(400),
    "RowsError": Meaning(400),
    "ActionNotFound": Meaning(404),
    "ActionArgumentError": Meaning(400, 1018),
    "Unavailable": Meaning(503),  # of the database too
    "RateLimited": Meaning(503),
    # values
    "NotAValue": Meaning(400),
}
UNFORESEEN: Final = "The server met a fault of its own. Its log tells more under this request's id."


@dataclass(frozen=True, slots=True)
class Failure:
    """An error response, before it is written."""

    status: int
    code: int
    message: str
    data: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    unforeseen: bool = False

    def document(self) -> dict[str, Any]:
        """The JSON body."""
        return {"error": {"message": self.message, "error_code": self.code, "error_data": self.data}}


def failure_of(error: BaseException) -> Failure:
    """What to answer when this was raised."""
    if isinstance(error, ApiError):
        return Failure(error.status, error.code, str(error), error.data, error.headers)
    meaning = _meaning_of(error)
    if meaning is None:
        return Failure(500, 500, UNFORESEEN, unforeseen=True)
    code = meaning.status if meaning.code is None else meaning.code
    message = str(error) or type(error).__name__
    if code in CODES:
        message = f"{CODES[code]}::{message}"
    headers = {"Retry-After": "1"} if meaning.status == 503 else {}
    return Failure(meaning.status, code, message, _data_of(error), headers)


def _meaning_of(error: BaseException) -> Meaning | None:
    status, code = getattr(error, "status", None), getattr(error, "code", None)
    if isinstance(status, int):  # it says so itself
        return Meaning(status, code if isinstance(code, int) else None)
    if type(error).__name__ == "RemoteError":  # its own class did not travel; that class's name did
        return TABLE.get(str(getattr(error, "error_type", "")))
    names = (cls.__name__ for cls in type(error).__mro__)
    return next((TABLE[name] for name in names if name in TABLE), None)


def _data_of(error: BaseException) -> object:
    """The details that an error brings along: every diagnostic of a policy text, the option that is wrong."""
    diagnostics = getattr(error, "diagnostics", None)
    if diagnostics is not None:
        return {"diagnostics": [diagnostic.to_dict() for diagnostic in diagnostics]}
    data = getattr(error, "data", None)
    return data() if callable(data) else data
