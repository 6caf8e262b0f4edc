# SPDX-License-Identifier: Apache-2.0
"""What drivers and their manager raise on purpose.

Each class has a stable ``code`` and says by its docstring what went wrong in general; the text given to it
is for the user and never holds a secret.  Where the cause matters to the operator it is kept in
``__cause__``.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from congress.bus.codec import portable


@portable
class DriverError(Exception):
    """The cloud service's driver failed."""

    code = "driver_error"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())

    @property
    def message(self) -> str:
        return str(self.args[0])

    def data(self) -> dict[str, object]:
        """Machine-readable details beside the message: plain JSON types, no secrets."""
        return {}

    def to_dict(self) -> dict[str, object]:
        return {"error_code": self.code, "message": self.message, "error_data": self.data()}


@portable
@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One thing that is wrong with a service's configuration."""

    option: str
    message: str


@portable
class ConfigError(DriverError):
    """The configuration of the service is not valid."""

    code = "invalid_config"

    def __init__(self, message: str | Iterable[ConfigProblem], option: str = "") -> None:
        if isinstance(message, str):
            self.problems: tuple[ConfigProblem, ...] = (ConfigProblem(option, message),)
        else:
            self.problems = tuple(message)
        super().__init__("; ".join(p.message for p in self.problems))

    @property
    def option(self) -> str:
        """The first option that is wrong; empty when it is no single option's fault."""
        return self.problems[0].option if self.problems else ""

    def data(self) -> dict[str, object]:
        return {"problems": [asdict(problem) for problem in self.problems]}


@portable
class DriverNotFound(DriverError):
    """No driver of this name is installed."""

    code = "driver_not_found"


@portable
class UnknownDriver(DriverNotFound):
    """There is no driver of this name to show."""

    code = "unknown_driver"
    status = 404


@portable
class TableNotFound(DriverError):
    """The service has no table of this name."""

    code = "table_not_found"


@portable
class NotSupported(DriverError):
    """This kind of service cannot do that."""

    code = "not_supported"


@portable
class RowsError(DriverError):
    """Rows that were handed in do not fit the table."""

    code = "invalid_rows"

    def __init__(
        self,
        message: str | None = None,
        *,
        table: str = "",
        row: int | None = None,
        column: str | None = None,
    ) -> None:
        super().__init__(message)
        self.table, self.row, self.column = table, row, column

    def data(self) -> dict[str, object]:
        return {"table": self.table, "row": self.row, "column": self.column}


@portable
class TranslationError(DriverError):
    """The service's answer does not have the shape that the driver expects."""

    code = "translation_failed"


@portable
class PollError(DriverError):
    """The state of the service could not be read."""

    code = "poll_failed"


@portable
class Unavailable(PollError):
    """The service cannot be reached or does not answer."""

    code = "unavailable"


@portable
class DeadlineExceeded(Unavailable):
    """The service took longer than the deadline allows."""

    code = "deadline_exceeded"


@portable
class RateLimited(Unavailable):
    """The service asks for fewer requests."""

    code = "rate_limited"

    def __init__(self, message: str | None = None, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after

    def data(self) -> dict[str, object]:
        return {"retry_after": self.retry_after}


@portable
class ActionError(DriverError):
    """An action was not carried out."""

    code = "action_error"


@portable
class ActionNotFound(ActionError):
    """The service has no action of this name."""

    code = "action_not_found"


@portable
class ActionArgumentError(ActionError):
    """The arguments do not fit the action."""

    code = "invalid_arguments"

    def __init__(self, message: str | None = None, *, argument: str = "") -> None:
        super().__init__(message)
        self.argument = argument

    def data(self) -> dict[str, object]:
        return {"argument": self.argument}


@portable
class ActionFailed(ActionError):
    """The service was asked and did not do it.

    ``retryable`` says that asking again later may help (the service was busy, gone or over its limits).
    ``maybe_done`` says that the request may have been carried out although no good answer came (a time-out
    after sending): repeating it is only safe for an idempotent action.  ``trouble`` says whether the service itself is
    unwell (unreachable, failing inside, over its limits), which its breaker counts, or only this request's object is
    busy; by default what is retryable or in doubt is taken for trouble.
    """

    code = "action_failed"

    def __init__(
        self,
        message: str | None = None,
        *,
        retryable: bool = False,
        maybe_done: bool = False,
        retry_after: float | None = None,
        trouble: bool | None = None,
    ) -> None:
        super().__init__(message or "The service did not carry out the action.")
        self.retryable, self.maybe_done, self.retry_after = retryable, maybe_done, retry_after
        self.trouble = (retryable or maybe_done) if trouble is None else trouble

    def data(self) -> dict[str, object]:
        return {
            "retryable": self.retryable,
            "maybe_done": self.maybe_done,
            "retry_after": self.retry_after,
            "trouble": self.trouble,
        }


@portable
class ServiceExists(DriverError):
    """The name is taken by another service or by a policy."""

    code = "service_exists"


@portable
class ServiceNotFound(DriverError):
    """There is no service of this name."""

    code = "service_not_found"


@portable
class InvalidName(DriverError):
    """The name cannot name a service."""

    code = "invalid_name"
