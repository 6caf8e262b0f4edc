# SPDX-License-Identifier: Apache-2.0
"""One request as the handlers see it: read, bounded and checked before they are called."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from congress.api.auth.identity import NOBODY, Identity
from congress.api.backend import Backend
from congress.api.body import parse
from congress.api.errors import ApiError
from congress.api.measures import Measures


def admit_nobody(route: Any, values: Sequence[str]) -> None:
    """What stands in a call's ``admit`` before it has come to the gate, and after it has been answered."""
    raise ApiError(500, "This call went past the gate.")


@dataclass(slots=True)
class Call:
    """What a handler is given.

    ``parameters`` and ``body`` have been checked by what the route declares, defaults filled in, before the handler
    runs.  Handlers run on the HTTP server's worker threads and may block for as long as ``backend`` lets them.
    """

    backend: Backend
    measures: Measures
    request_id: str
    method: str
    path: str
    root_url: str  # scheme and host as the client wrote them, without a slash at the end
    query: dict[str, list[str]] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)  # lower-case names
    content_type: str = ""
    raw_body: bytes = b""
    parameters: dict[str, Any] = field(default_factory=dict)
    body: Any = None
    operation: str = "unknown"  # the route's stable name, for logs and metrics
    disconnected: Callable[[], bool] | None = None  # whether the client has gone, where the HTTP server can tell
    user: Identity = NOBODY  # known once the call is admitted, which is before any handler runs
    admit: Callable[[Any, Sequence[str]], None] = admit_nobody  # takes the route and the values in its path

    @property
    def url(self) -> str:
        """The address of this very path, for Location headers to extend."""
        return self.root_url + quote(self.path)

    def json(self, *, any_type: bool = False) -> Any:
        """The body's JSON value.

        :param any_type: take it whatever its content type says.

        :raises ApiError: 400 for another content type or character set, 400 for what is not valid JSON.
        """
        if any_type:
            return parse(self.raw_body)
        kind, _, parameters = self.content_type.partition(";")
        if kind.strip().lower() not in ("", "application/json"):
            raise ApiError(400, f"The request body must be application/json, not {kind.strip()[:80]}.")
        for parameter in parameters.split(";"):
            name, _, value = parameter.partition("=")
            if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in ("utf-8", "utf8"):
                raise ApiError(400, f"The request body must be UTF-8, not {value.strip()[:80]}.")
        return parse(self.raw_body)
