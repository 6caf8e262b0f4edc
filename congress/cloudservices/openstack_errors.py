# SPDX-License-Identifier: Apache-2.0
"""What the OpenStack services' refusals mean: for a poll, and for an action."""

import html
import re
from dataclasses import dataclass
from typing import Any, Final

import orjson
import requests
from keystoneauth1 import exceptions as ksa
from urllib3.exceptions import NewConnectionError

from congress.cloudservices.errors import ActionFailed, DeadlineExceeded, PollError, RateLimited, Unavailable


@dataclass(frozen=True, slots=True)
class Trouble:
    """What an API's refusal comes to.  ``status`` is 0 when there was no answer at all.

    ``sent``: the request may have reached the service, so that it may have been carried out.
    """

    status: int
    message: str
    retry_after: float | None = None
    sent: bool = True
    late: bool = False


def trouble(error: BaseException) -> Trouble | None:
    """Read an error of keystoneauth, openstacksdk or novaclient; None for any other."""
    if isinstance(error, ksa.HttpError):
        response = error.response
        message = _text_of(response) or error.message or str(error)
        return Trouble(int(error.http_status or 0), message, _retry_after(response))
    if isinstance(error, ksa.ConnectTimeout | requests.Timeout):
        return Trouble(0, str(error), sent=not _never_sent(error), late=True)
    if isinstance(error, ksa.ConnectionError | requests.ConnectionError):
        return Trouble(0, str(error), sent=not _never_sent(error))
    if isinstance(error, ksa.ClientException):
        # No endpoint in the catalogue, a discovery document that cannot be read, a login that does not work.
        return Trouble(0, str(error) or type(error).__name__, sent=False)
    status = getattr(error, "code", None)
    if type(error).__module__.startswith("novaclient.") and isinstance(status, int):
        message = str(getattr(error, "message", "") or error)
        after = getattr(error, "retry_after", None)
        return Trouble(status, message, float(after) if isinstance(after, int | float) and after else None)
    return None


def _never_sent(error: BaseException) -> bool:
    """Whether not even a connection came about: then nothing can have been done."""
    seen: list[BaseException] = []
    todo: list[object] = [error]
    while todo:
        cause = todo.pop()
        if not isinstance(cause, BaseException) or cause in seen:
            continue
        seen.append(cause)
        if isinstance(cause, NewConnectionError | requests.ConnectTimeout):
            return True
        todo += [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]
    return False


def _text_of(response: Any) -> str:
    """The service's own words: each has its own wrapping (``{"conflictingRequest": {"message": …}}``), Glance HTML."""
    content = getattr(response, "content", None)
    if not isinstance(content, bytes):
        return ""
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        return _text_of_page(content.decode(errors="replace"))
    found = next(iter(body.values()), None) if isinstance(body, dict) else None
    if isinstance(found, list) and found:
        found = found[0]
    if isinstance(found, dict):
        found = found.get("message") or found.get("detail")
    return found if isinstance(found, str) else ""


def _text_of_page(page: str) -> str:
    """What an error page of WebOb's says beside its heading; of any other page, what can be read of it."""
    inner = _HEADING.sub(" ", page[:2_000]) if "<" in page else page[:300]
    return " ".join(html.unescape(_TAG.sub(" ", inner)).split())[:300]


_HEADING: Final = re.compile(r"<(head|h1|style|script)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
_TAG: Final = re.compile(r"<[^>]*>")


def _retry_after(response: Any) -> float | None:
    """Seconds; the other form, a date, is not used by these services."""
    try:
        return max(0.0, float(response.headers["Retry-After"]))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def poll_error(error: BaseException) -> PollError | None:
    """What a library's error means while reading; None when it is not about the service."""
    what = trouble(error)
    if what is None:
        return None
    if what.late:
        return DeadlineExceeded(what.message)
    if what.status in (413, 429) or (what.status == 503 and what.retry_after is not None):
        return RateLimited(f"HTTP {what.status}: {what.message}", retry_after=what.retry_after)
    if what.status >= 500:
        return Unavailable(f"HTTP {what.status}: {what.message}")
    if what.status == 0:
        return Unavailable(what.message)
    return PollError(f"HTTP {what.status}: {what.message}")


def action_error(error: BaseException) -> ActionFailed | None:
    """What a library's error means for an action; None when it is not about the service.

    ===============================  =========  ==========
    answer                           retryable  maybe_done
    ===============================  =========  ==========
    429, 413                         yes        no
    409 naming a task in progress    yes        no
    any other 4xx                    no         no
    501                              no         no
    any other 5xx                    yes        yes
    no connection                    yes        no
    no answer, or cut off            yes        yes
    ===============================  =========  ==========

    A 409 for the state that a thing is in (paused already, locked, in use) does not pass by waiting.
    """
    what = trouble(error)
    if what is None:
        return None
    status, text = what.status, what.message
    if status == 0:
        return ActionFailed(text, retryable=True, maybe_done=what.sent)
    shown = f"HTTP {status}: {text}"
    if status in (413, 429):
        return ActionFailed(shown, retryable=True, retry_after=what.retry_after)
    if status == 409:
        return ActionFailed(shown, retryable="task_state" in text, retry_after=what.retry_after, trouble=False)
    if status >= 500 and status != 501:
        return ActionFailed(shown, retryable=True, maybe_done=True, retry_after=what.retry_after)
    return ActionFailed(shown)
