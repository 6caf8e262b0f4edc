# SPDX-License-Identifier: Apache-2.0
"""What can go wrong, as one tree.

::

    ClientError
    ├── SettingsError            what says where the server is, who asks, or what is asked about, cannot be used
    ├── Unreachable              no answer came
    ├── NotCongress              an answer came, but not from Congress
    ├── Broken                   a stream, or a long answer, ended in the middle
    ├── StillGoing               what was waited for is not over yet
    └── ApiError                 the server answered with an error
        ├── Refused              4xx: the request is at fault; nothing was changed by it
        │   ├── InvalidRequest       400
        │   │   └── InvalidRule      400 with findings in a policy's text: ``diagnostics``
        │   ├── NotAuthenticated     401
        │   ├── Forbidden            403
        │   ├── NotFound             404
        │   ├── Conflict             409
        │   └── TooManyRequests      429
        └── ServerFault          5xx
            └── Unavailable          503: later it may work

Each of them has a ``message`` and a ``hint``: what to do next, or an empty text.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final


class ClientError(Exception):
    """Root of everything that the client raises on purpose.

    ``exit_code`` is what programs of the command line end with.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str = "", hint: str = "") -> None:
        self.message = message or " ".join((type(self).__doc__ or "").split())
        self.hint = hint
        super().__init__(self.message)


class SettingsError(ClientError):
    """What says where the server is, who asks, or what is asked about, cannot be used."""

    exit_code = 2


class Unreachable(ClientError):
    """No answer came from the server."""

    exit_code = 3


class NotCongress(ClientError):
    """What answered is not Congress."""

    exit_code = 3


class Broken(ClientError):
    """A stream, or a long answer, ended in the middle."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding in the text of a policy.  ``line`` and ``column`` count from 1; ``severity`` is error or warning."""

    code: str
    message: str
    severity: str = "error"
    line: int = 0
    column: int = 0
    length: int = 1
    file: str = ""
    hint: str = ""

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "Diagnostic":
        """A finding as the server writes it; what it leaves out is empty."""
        known = {name: given[name] for name in cls.__slots__ if given.get(name) is not None}
        return cls(**{"code": "", "message": "", **known})

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}: " if self.line else ""
        return f"{place}{self.severity}{f'[{self.code}]' if self.code else ''}: {self.message}"


class StillGoing(ClientError):
    """What was waited for is not over yet."""


class ApiError(ClientError):
    """The server answered with an error.

    ``status`` is that of HTTP; ``code`` is one of Congress's own (1000 and up) or the status; ``data`` has details
    as the server gave them; ``request_id`` finds the request in the server's log.
    """

    def __init__(
        self,
        message: str = "",
        *,
        status: int = 0,
        code: int | None = None,
        data: Any = None,
        request_id: str = "",
        retry_after: float | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint)
        self.status = status
        self.code = status if code is None else code
        self.data = data
        self.request_id = request_id
        self.retry_after = retry_after

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """The findings in a policy's text, where that is what the error is about."""
        found = self.data.get("diagnostics") if isinstance(self.data, Mapping) else None
        return tuple(Diagnostic.of(item) for item in found or () if isinstance(item, Mapping))


class Refused(ApiError):
    """The request is at fault; nothing was changed by it."""


class InvalidRequest(Refused):
    """The request is not one that the server understands."""


class InvalidRule(InvalidRequest):
    """The text of a rule is wrong; ``diagnostics`` says where and why."""


class NotAuthenticated(Refused):
    """The server does not know who asks."""

    exit_code = 4


class Forbidden(Refused):
    """Whoever asks may not do this."""

    exit_code = 4


class NotFound(Refused):
    """There is nothing of that name."""

    exit_code = 5


class Conflict(Refused):
    """It does not go together with what is there."""


class TooManyRequests(Refused):
    """Too many requests in a short time."""


class ServerFault(ApiError):
    """The server met a fault of its own."""

    exit_code = 3


class Unavailable(ServerFault):
    """The server, or a part of it, cannot answer now."""


_RULE_CODES: Final = frozenset({1002, 1003})
_BY_STATUS: Final[Mapping[int, type[ApiError]]] = {
    400: InvalidRequest,
    401: NotAuthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    429: TooManyRequests,
    503: Unavailable,
}
_HINTS: Final[Mapping[int, str]] = {
    401: "Give a user and a password (CONGRESS_USER and CONGRESS_PASSWORD, --user and --password) or a cloud of "
    "clouds.yaml (OS_CLOUD, --os-cloud).",
    403: "Ask whoever runs this server for a role that may do it.",
    413: "Send it in smaller parts.",
    429: "Wait a moment and try again.",
    500: "The server's log has more under this request's id.",
    503: "Wait a moment and try again; `congress doctor` says which part does not answer.",
}
_COLUMNS: Final = "`congress table show OWNER:TABLE` shows the columns; one without a name goes by its number, from 0."
_TAKEN: Final = "`congress service list` and `congress policy list` show the names that are taken."
_ADVICE: Final[tuple[tuple[int, str, str], ...]] = (  # the status, where it was asked, what helps; the first that fits
    (400, r"/tables/[^/]+/(rows|why|why-not)$", _COLUMNS),
    (400, r"/guard$", "`congress guard show` shows the settings there are, with their values."),
    (400, r"\?action=execute$", "`congress service actions NAME` shows the actions with their arguments."),
    (
        400,
        r"/v1/cloud-services(/[^/?]+)?$",
        "`congress driver list` shows the drivers, `congress driver show DRIVER` the options of one.",
    ),
    (404, "/rules", "`congress rule list POLICY` shows the rules of a policy."),
    (404, "/tables|/v1/stream", "`congress table list NAME` shows the tables of a policy or service."),
    (404, "/v1/policies", "`congress policy list` shows the policies."),
    (
        404,
        "/v1/cloud-services",
        "`congress service list` shows the services, `congress service actions NAME` their actions.",
    ),
    (404, "/v1/system/drivers", "`congress driver list` shows the drivers."),
    (404, "/v1/executions", "`congress execution list` shows the executions."),
    (404, "/v1/execution-sets", "`congress execution set list` shows the sets that wait."),
    (404, "/v1/breakers", "`congress service list` shows the services."),
    (404, "/v1/librarypolicies", "`congress library list` shows the library."),
    (409, "/rules", "`congress rule list POLICY` shows the rules of a policy."),
    (409, "/v1/(policies|cloud-services)$", _TAKEN),
    (409, "/v1/executions/", "`congress execution show EXECUTION` shows how far it is."),
    (409, "/v1/execution-sets/", "`congress execution set show SET` shows it as it is now."),
    (409, "/v1/librarypolicies", "`congress library list` shows the library."),
)


def error_of(status: int, message: str, *, path: str = "", **more: Any) -> ApiError:
    """The error for a response.

    :param path: where it was asked, with ``?action=`` where the query has one.
    :param more: arguments of :class:`ApiError`.
    """
    kind = _BY_STATUS.get(status, Refused if status < 500 else ServerFault)
    if kind is InvalidRequest and more.get("code") in _RULE_CODES:
        kind = InvalidRule
    return kind(message, status=status, hint=_hint(status, path), **more)


def _hint(status: int, path: str) -> str:
    advice = (hint for at, where, hint in _ADVICE if at == status and re.search(where, path))
    return next(advice, _HINTS.get(status, ""))
