# SPDX-License-Identifier: Apache-2.0
"""The WSGI application before Pecan: reads and bounds the request, and turns whatever is raised into an answer.

Controllers find all of it in the :class:`~congress.api.call.Call`; nothing behind reads the WSGI environment again.
"""

import logging
import re
import time
from collections.abc import Callable, Iterable
from functools import partial
from http.client import responses
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl
from uuid import uuid4

import webob.exc

from congress.api.auth.gate import Gate
from congress.api.backend import Backend
from congress.api.call import Call, admit_nobody
from congress.api.encoding import JSON, line
from congress.api.errors import ApiError, Failure, failure_of
from congress.api.guard import OriginGuard
from congress.api.headers import Cors, secure
from congress.api.measures import Measures
from congress.api.proxy import Proxies
from congress.api.routing import CALL_KEY
from congress.bus import context

Environ: TypeAlias = dict[str, Any]
StartResponse: TypeAlias = Callable[..., Any]
Application: TypeAlias = Callable[[Environ, StartResponse], Iterable[bytes]]

_log = logging.getLogger(__name__)
_requests = logging.getLogger("congress.api.requests")  # switched off by itself: one line a request
_MAX_PARAMETERS: Final = 200
_GLOBAL_ID: Final = re.compile(r"req-[0-9a-fA-F-]{36}")


class Front:
    """Wraps Pecan.  Called on the HTTP server's worker threads; holds no state but counters."""

    def __init__(
        self,
        application: Application,
        backend: Backend,
        measures: Measures,
        *,
        guard: OriginGuard,
        gate: Gate,
        proxies: Proxies,
        cors: Cors,
        max_body: int,
    ) -> None:
        self._application = application
        self._backend = backend
        self._guard = guard
        self._gate = gate
        self._proxies = proxies
        self._cors = cors
        self._measures = measures
        self._max_body = max_body

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        began = time.perf_counter()
        request_id = f"req-{uuid4()}"
        self._proxies.apply(environ)
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO") or "/"
        call = Call(self._backend, self._measures, request_id, method, path, root_url="")
        seen: list[str] = []

        def started(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            seen.append(status)
            headers.append(("X-Openstack-Request-Id", request_id))
            secure(headers, environ.get("wsgi.url_scheme", "http"))
            self._cors.add(headers, environ)
            return start_response(status, headers, exc_info)

        with context.bind(request_id=request_id):
            try:
                asked = self._cors.preflight(environ)
                if asked is not None:
                    started("204 No Content", asked)
                    return []
                self._read(environ, call)
                call.admit = partial(self._gate.admit, call, environ)
                environ[CALL_KEY] = call
                return self._application(environ, started)
            except webob.exc.HTTPException as error:  # Pecan's own, such as a 404 from its dispatch
                return _answer(Failure(error.status_int, error.status_int, error.detail or error.title), call, started)
            except Exception as error:  # noqa: BLE001  # the boundary: whatever it is, the client gets an answer
                failure = failure_of(error)
                if failure.unforeseen:
                    _log.exception("request.failed method=%s path=%s", call.method[:40], call.path[:500])
                return _answer(failure, call, started)
            finally:
                # These hold the call and the environment in circles, which would wait for a collection of garbage.
                call.admit = admit_nobody
                environ.pop(CALL_KEY, None)
                environ.pop("pecan.locals", None)
                seconds = time.perf_counter() - began
                status = seen[-1][:3] if seen else "500"
                self._measures.request(call.operation, status, seconds)
                _requests.info(
                    "request.finished method=%s path=%s status=%d ms=%.2f client=%s",
                    call.method[:40],
                    call.path[:500],
                    int(status),
                    seconds * 1000,
                    environ.get("REMOTE_ADDR", "-"),
                )

    def _read(self, environ: Environ, call: Call) -> None:
        self._guard.check(environ)
        try:
            call.path = call.path.encode("latin-1").decode("utf-8")
        except UnicodeError as error:
            raise ApiError(400, "The path is not UTF-8.") from error
        if "\0" in call.path:
            raise ApiError(400, "The path has the character U+0000.")
        call.root_url = _root_url_of(environ)
        call.query = _query_of(environ.get("QUERY_STRING", ""))
        call.content_type = environ.get("CONTENT_TYPE", "")
        call.headers = {
            "accept": environ.get("HTTP_ACCEPT", ""),
            "last-event-id": environ.get("HTTP_LAST_EVENT_ID", ""),
        }
        call.disconnected = environ.get("waitress.client_disconnected")
        call.raw_body = self._body_of(environ)

    def _body_of(self, environ: Environ) -> bytes:
        length = environ.get("CONTENT_LENGTH") or "0"
        if not length.isdecimal() or len(length) > 18:
            raise ApiError(400, "Content-Length is not a number.")
        if int(length) > self._max_body:
            raise ApiError(413, f"The request body is longer than {self._max_body} bytes.")
        body: bytes = environ["wsgi.input"].read(int(length)) if int(length) else b""
        return body


def _root_url_of(environ: Environ) -> str:
    host = environ.get("HTTP_HOST") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    return f"{environ.get('wsgi.url_scheme', 'http')}://{host}{environ.get('SCRIPT_NAME', '')}"


def _query_of(text: str) -> dict[str, list[str]]:
    if not text:
        return {}
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=_MAX_PARAMETERS
        )
    except UnicodeDecodeError as error:
        raise ApiError(400, "The query string is not UTF-8.") from error
    except ValueError as error:
        raise ApiError(400, f"The query string has more than {_MAX_PARAMETERS} parameters.") from error
    made: dict[str, list[str]] = {}
    for name, value in pairs:
        if "\0" in name or "\0" in value:
            raise ApiError(400, "The query string has the character U+0000.")
        made.setdefault(name, []).append(value)
    return made


def _answer(failure: Failure, call: Call, started: StartResponse) -> Iterable[bytes]:
    body = line(failure.document())
    status = f"{failure.status} {responses.get(failure.status, 'Error')}"
    headers = [("Content-Type", JSON), ("Content-Length", str(len(body))), *failure.headers.items()]
    started(status, headers)
    return [] if call.method == "HEAD" else [body]
