# SPDX-License-Identifier: Apache-2.0
"""Asking an HTTP API within bounds: of time, of size, and of where requests may lead.

Requests go to the *origin* (scheme, host and port) of the base URL.  A redirect, or a link to a next page,
that leads to another origin is followed only to hosts that the configuration allows, and never takes
credentials there. Redirects are followed for reading only, five at most.  Proxies and ``.netrc`` of the
daemon's environment are not used.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import urljoin, urlsplit

import orjson
import requests
from urllib3.exceptions import HTTPError as Urllib3Error
from urllib3.exceptions import NewConnectionError, ReadTimeoutError

from congress import __version__
from congress.cloudservices.errors import DeadlineExceeded, PollError, Unavailable
from congress.cloudservices.http_errors import BadAnswer, NotSent, refusal
from congress.cloudservices.http_watch import watched, watched_session
from congress.cloudservices.telltale import is_telling

Origin = tuple[str, str, int]

REDIRECTS: Final = 5
_CHUNK: Final = 65536
# A body that comes too late is left by itself; it is cut off where not even a whole chunk of it came.
_GRACE: Final = 1.0
_FOREVER: Final = 86_400.0
_READS: Final = frozenset({"GET", "HEAD"})


class WithoutQueries(logging.Filter):
    """Takes the queries out of what urllib3 logs of requests: there may be a secret in them."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_without_query(argument) for argument in record.args)
        return True


def _without_query(argument: object) -> object:
    return argument.partition("?")[0] if isinstance(argument, str) and argument.startswith("/") else argument


logging.getLogger("urllib3.connectionpool").addFilter(WithoutQueries())


class Credentials(Protocol):
    """What makes a request one of ours."""

    def headers(self, timeout: float) -> Mapping[str, str]:
        """Headers that carry the credentials; may block that long to get them."""

    def refused(self) -> bool:
        """The service did not accept them (401).  :returns: whether asking again with new ones may help."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What an API may cost, and where it may lead.

    :ivar max_bytes: the largest answer, unpacked.
    :ivar allowed_hosts: ``host`` or ``host:port`` beside the base URL's own.
    """

    timeout: float = 30.0
    max_bytes: int = 64 * 2**20
    allowed_hosts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answered: never an error, that is raised."""

    status: int
    url: str
    headers: Mapping[str, str]
    content: bytes
    where: str = ""

    def json(self) -> Any:
        """The document in the answer; null where there is none.  :raises BadAnswer: it is no JSON."""
        if not self.content.strip():
            return None
        try:
            return orjson.loads(self.content)
        except orjson.JSONDecodeError as error:
            raise BadAnswer(f"{self.where}: the answer is not JSON (line {error.lineno}: {error.msg})") from error


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask."""

    method: str
    url: str
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None

    @property
    def where(self) -> str:
        """The request in error texts: without its query, which may hold a secret."""
        return f"{self.method} {urlsplit(self.url).path or '/'}"


class HttpClient:
    """One API.  One thread at a time; requests block for as long as ``time_left`` says.

    :meth:`request` raises nothing but what is in :mod:`congress.cloudservices.errors` and
    :mod:`congress.cloudservices.http_errors`.
    """

    def __init__(
        self,
        base_url: str,
        time_left: Callable[[float], float],
        *,
        limits: Limits = Limits(),
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        credentials: Credentials | None = None,
        verify: bool | str = True,
        cert: str | tuple[str, str] | None = None,
        proxy: str | None = None,
    ) -> None:
        """
        :param time_left: gives the seconds that a request may take, at most the given ones; raises
            DeadlineExceeded when there are none (a driver's ``time_left``).
        :param headers: sent with every request to the base URL's origin.
        :param params: added to the query of every request there.
        :param verify: whether certificates are checked, or the file of CA certificates to check them by.
        """
        self.base_url = base_url
        self._origin = origin(base_url)
        self._time_left = time_left
        self._limits = limits
        self._headers = dict(headers or {})
        self._params = dict(params or {})
        self._credentials = credentials
        self._session = watched_session()
        self._session.trust_env = False
        self._session.verify = verify
        self._session.cert = cert
        self._session.headers["User-Agent"] = f"congress/{__version__}"
        self._session.headers["Accept"] = "application/json"
        if proxy is not None:
            self._session.proxies = {"http": proxy, "https": proxy}

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def url(self, path: str) -> str:
        """The URL of a path below the base URL; a path that begins with ``/`` is below it too."""
        return f"{self.base_url.rstrip('/')}/{path.lstrip('/')}" if path else self.base_url

    def link(self, base: str, target: str) -> str:
        """The URL of a link found in an answer.  :raises BadAnswer: it leads where we do not go."""
        try:
            url = urljoin(base, target)
            found = origin(url)
        except ValueError:
            url, found = "", ("", "", 0)
        if found == self._origin or self._allowed(found):
            return url
        raise BadAnswer("the service's answer leads to another host, which option 'allowed_hosts' does not name")

    def request(self, wanted: Request) -> Answer:
        """Ask, and have the whole answer."""
        for _ in range(REDIRECTS + 1):
            answer = self._ask(wanted)
            target = answer.headers.get("Location")
            if answer.status not in (301, 302, 303, 307, 308):
                return answer
            if wanted.method not in _READS or target is None:
                raise BadAnswer(f"{wanted.where}: the service redirects (HTTP {answer.status}), which is not followed")
            wanted = Request(wanted.method, self.link(answer.url, target), {}, wanted.headers)
        raise BadAnswer(f"{wanted.where}: more than {REDIRECTS} redirects")

    def _ask(self, wanted: Request) -> Answer:
        """One request, and once more with new credentials or on a new connection where that may help."""
        ours = origin(wanted.url) == self._origin
        again = True
        while True:
            try:
                answer = self._send(wanted, ours)
            except Unavailable as error:
                if again and wanted.method in _READS and not isinstance(error, NotSent | DeadlineExceeded):
                    again = False  # a kept connection that the service closed meanwhile, most often
                    continue
                raise
            if answer.status == 401 and ours and again and self._credentials is not None:
                again = False
                if self._credentials.refused():
                    continue
            if answer.status >= 400:
                raise refusal(answer.status, wanted.where, _text(answer.content), answer.headers)
            return answer

    def _send(self, wanted: Request, ours: bool) -> Answer:
        timeout = self._time_left(self._limits.timeout)
        headers = {**self._headers, **wanted.headers}
        if not ours:
            headers = {name: text for name, text in wanted.headers.items() if not is_telling(name)}
        params = {**wanted.params, **self._params} if ours else dict(wanted.params)
        if ours and self._credentials is not None:
            headers |= self._credentials.headers(timeout)
        try:
            with (
                watched(timeout) as watch,
                self._session.request(
                    wanted.method,
                    wanted.url,
                    params=params,
                    headers=headers,
                    data=wanted.body,
                    timeout=timeout,
                    allow_redirects=False,
                    stream=True,
                ) as response,
            ):
                watch.extend(self._time_left(_FOREVER) + _GRACE)
                content = b"".join(self._chunks(response, wanted))
                return Answer(response.status_code, response.url, response.headers, content, wanted.where)
        except PollError:
            raise
        except (requests.RequestException, Urllib3Error, ValueError, TimeoutError) as error:
            raise _trouble(error, wanted.where) from error

    def _chunks(self, response: requests.Response, wanted: Request) -> Iterator[bytes]:
        """The body as it comes: a service that sends a byte now and then does not hold us for ever."""
        size = 0
        while chunk := response.raw.read1(_CHUNK, decode_content=True):
            size += len(chunk)
            if size > self._limits.max_bytes:
                raise BadAnswer(f"{wanted.where}: the answer is larger than {self._limits.max_bytes} bytes")
            self._time_left(self._limits.timeout)
            yield chunk

    def _allowed(self, found: Origin) -> bool:
        scheme, host, port = found
        allowed = self._limits.allowed_hosts
        return scheme in ("http", "https") and bool(allowed & {host, f"{host}:{port}"})


def origin(url: str) -> Origin:
    """Scheme, host and port of a URL.  :raises ValueError: it has none."""
    parts = urlsplit(url)
    scheme, host = parts.scheme.lower(), (parts.hostname or "").lower()
    if scheme not in ("http", "https") or not host:
        raise ValueError(f"{url!r:.100} is no http or https URL")
    return scheme, host, parts.port or (443 if scheme == "https" else 80)


def _trouble(error: Exception, where: str) -> PollError:
    """What a library's error means.  Its text is not repeated: it has the whole URL in it."""
    if _caused_by(error, NewConnectionError, requests.ConnectTimeout):
        return NotSent(f"{where}: no connection to the service")
    if isinstance(error, requests.exceptions.SSLError):
        return NotSent(f"{where}: no secure connection to the service: its certificate is not accepted")
    if isinstance(error, requests.Timeout) or _caused_by(error, ReadTimeoutError, TimeoutError):
        return DeadlineExceeded(f"{where}: no answer in time")
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return BadAnswer(f"{where}: the answer cannot be unpacked")
    if isinstance(error, requests.exceptions.InvalidHeader | requests.exceptions.InvalidURL | UnicodeError):
        return PollError(f"{where}: the request cannot be made ({type(error).__name__})")
    return Unavailable(f"{where}: the connection was cut ({type(error).__name__})")


def _caused_by(error: BaseException, *kinds: type[BaseException]) -> bool:
    """Whether one of these is anywhere in what led to an error; requests and urllib3 wrap in several ways."""
    seen: list[BaseException] = []
    todo: list[object] = [error]
    while todo:
        cause = todo.pop()
        if not isinstance(cause, BaseException) or cause in seen:
            continue
        if isinstance(cause, kinds):
            return True
        seen.append(cause)
        todo += [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]
    return False


def _text(content: bytes) -> str:
    """The first words of an error's body, on one line."""
    return " ".join(content[:1000].decode("utf-8", "replace").split())[:200]
