# SPDX-License-Identifier: Apache-2.0
"""Requests and answers: JSON over a keystoneauth adapter, errors as exceptions, lists page by page."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import parse_qs, quote, urlsplit

import requests
from keystoneauth1 import exceptions as ksa

from congress.client.errors import ApiError, Broken, ClientError, NotCongress, SettingsError, Unreachable, error_of

T = TypeVar("T")

NDJSON: Final = "application/x-ndjson"
PAGE: Final = 1000  # entries asked for at once
_SECRET: Final = frozenset({"config", "token"})  # keys of bodies whose values no log may have
_START: Final = "Is it running?  `congress-server` starts it; --endpoint or CONGRESS_URL says where it is."


class Transport:
    """One server.  Any thread may use it; every method blocks until the answer is there."""

    def __init__(self, adapter: Any) -> None:
        self._adapter = adapter

    @property
    def endpoint(self) -> str:
        """The root of the server, without ``/v1``.

        :raises SettingsError: the catalogue has no service of type ``policy``.
        """
        if self._adapter.endpoint_override:
            return str(self._adapter.endpoint_override)
        found = self._guarded(self._adapter.get_endpoint)
        if not found:
            raise _no_endpoint()
        return str(found)

    @property
    def keystone(self) -> str:
        """The address of Keystone, where there is one."""
        auth = self._adapter.auth or self._adapter.session.auth
        return str(getattr(auth, "auth_url", "") or "")

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """The JSON at a path."""
        return self.request("GET", path, query=query)

    def post(self, path: str, body: Any = None, query: Mapping[str, Any] | None = None) -> Any:
        """What the server answers to a body."""
        return self.request("POST", path, body, query=query)

    def request(self, method: str, path: str, body: Any = None, *, query: Mapping[str, Any] | None = None) -> Any:
        """The JSON of the answer; None for an empty one.

        :param body: any JSON; None sends none.
        :raises ApiError: one of its kinds, when the server answers with an error.
        :raises Unreachable: it does not answer.
        """
        response = self.respond(method, path, body, query=query)
        if not response.content:
            return None
        return _json_of(response)

    def respond(
        self, method: str, path: str, body: Any = None, *, query: Mapping[str, Any] | None = None, **more: Any
    ) -> Any:
        """The response itself, which is no error.  Raises as :meth:`request` does.

        :param more: arguments for ``requests``, such as ``stream`` and ``timeout``.
        """
        headers = {"Accept": "application/json", **more.pop("headers", {})}
        if body is not None:
            more["json"] = body
            if isinstance(body, Mapping) and body.keys() & _SECRET:
                more["log"] = False
        if query:
            more["params"] = {name: _parameter(value) for name, value in query.items() if value is not None}

        def send() -> Any:
            return self._adapter.request(path, method, headers=headers, raise_exc=False, **more)

        response = self._guarded(send)
        if response.status_code >= 300:
            action = (query or {}).get("action")
            raise _error(response, f"{path}?action={action}" if action else path)
        return response

    def pages(
        self, path: str, query: Mapping[str, Any] | None = None, page: int | None = PAGE
    ) -> Iterator[Mapping[str, Any]]:
        """The entries of a list, asked for in pages as they are used up.

        :param page: entries in a page; None asks for all at once.
        """
        asked = {**(query or {}), "limit": page}
        while True:
            found = self.get(path, asked)
            if not isinstance(found, Mapping) or "results" not in found:
                raise NotCongress(f"the answer to {path} is no list", _OTHER)
            yield from found["results"]
            links = [link["href"] for link in found.get("links") or () if link.get("rel") == "next"]
            if not links:
                return
            following = parse_qs(urlsplit(links[0]).query, keep_blank_values=True)
            # The path stays ours: behind a proxy, the server's own idea of its address may be another.
            asked = {name: values if len(values) > 1 else values[0] for name, values in following.items()}

    def lines(self, path: str, query: Mapping[str, Any] | None = None) -> Iterator[Any]:
        """The entries of a list from one answer that has one a line, read as they are used up."""
        headers = {"Accept": NDJSON}
        response = self.respond("GET", path, query=query, headers=headers, stream=True, log=False)
        with response:
            try:
                for line in response.iter_lines(chunk_size=65536):
                    if line:
                        yield json.loads(line)
            except (requests.RequestException, ValueError) as error:
                raise Broken(f"the answer ended in the middle: {error}", "Ask again.") from error

    def listed(
        self, path: str, make: Callable[[Mapping[str, Any]], T], query: Mapping[str, Any] | None = None
    ) -> Iterator[T]:
        """The entries of a list as objects."""
        return (make(entry) for entry in self.pages(path, query))

    def _guarded(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except ksa.ConnectTimeout as error:
            raise Unreachable(f"the server does not answer in time: {error}", _START) from error
        except ksa.SSLError as error:
            hint = "--os-cacert names the authority's file, --insecure believes any certificate."
            raise Unreachable(f"the server's certificate is not believed: {error}", hint) from error
        except ksa.ConnectionError as error:
            raise Unreachable(_plain(error), _START) from error
        except ksa.EndpointNotFound as error:
            raise _no_endpoint() from error
        except ksa.Unauthorized as error:
            raise error_of(401, f"Keystone does not know who asks: {error.message}") from error
        except (ksa.ClientException, ksa.HttpError) as error:
            raise SettingsError(
                f"no way to the server: {error}", "Look at OS_CLOUD, the other OS_* variables and clouds.yaml."
            ) from error


def _no_endpoint() -> SettingsError:
    return SettingsError(
        "the cloud's catalogue has no service of type 'policy' in this region",
        "`openstack endpoint create` adds one; --endpoint or CONGRESS_URL says where the server is without it.",
    )


_OTHER: Final = "Does the address lead to Congress?  It is the root of the server, without /v1."


def path_of(*segments: str) -> str:
    """``/v1/policies/a%2Fb`` from ``"policies", "a/b"``.

    :raises SettingsError: a name is empty, ``.`` or ``..``: these are folders of an address, escaped or not.
    """
    if not all(segments):
        raise SettingsError("a name is empty", "Give a name or an id.")
    folder = next((segment for segment in segments if segment in (".", "..")), None)
    if folder is not None:
        raise SettingsError(f"{folder!r} is no name: it would lead to another address", "Give a name or an id.")
    return "/v1/" + "/".join(quote(segment, safe=":") for segment in segments)


def _parameter(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


def _plain(error: Exception) -> str:
    """What ``requests`` says without its wrappings."""
    text = str(error)
    for reason in ("Connection refused", "Name or service not known", "No route to host", "timed out"):
        if reason in text:
            return f"{text.partition(':  ')[0].partition(': HTTPConnectionPool')[0]}: {reason.lower()}"
    return text


def _json_of(response: Any) -> Any:
    try:
        return response.json()
    except ValueError as error:
        raise NotCongress(f"the answer from {response.url} is no JSON", _OTHER) from error


def _error(response: Any, path: str) -> ClientError:
    """The exception for an error response, whoever wrote it: Congress, Keystone's middleware or a proxy."""
    try:
        document = response.json()
    except ValueError:
        document = None
    told = document.get("error") if isinstance(document, Mapping) else None
    status = int(response.status_code)
    if status < 400:
        return NotCongress(f"{response.url} answers with {status}", _OTHER)
    details = told if isinstance(told, Mapping) else {}
    message = details.get("message") or (told if isinstance(told, str) else "") or f"HTTP {status} {response.reason}"
    code = details.get("error_code", details.get("code"))
    retry = response.headers.get("Retry-After", "")
    made: ApiError = error_of(
        status,
        str(message),
        path=path,
        code=code if isinstance(code, int) else None,
        data=details.get("error_data"),
        request_id=response.headers.get("X-Openstack-Request-Id", ""),
        retry_after=float(retry) if retry.isdecimal() else None,
    )
    return made
