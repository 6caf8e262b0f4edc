# SPDX-License-Identifier: Apache-2.0
"""Ways to log in to an HTTP API."""

import base64
from collections.abc import Mapping
from typing import Any

from congress.cloudservices.errors import DeadlineExceeded, Unavailable
from congress.cloudservices.http_errors import Refused
from congress.cloudservices.http_watch import watched, watched_session


class FixedCredentials:
    """The same headers every time: basic and bearer authentication."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = dict(headers)

    def headers(self, timeout: float) -> Mapping[str, str]:
        return self._headers

    def refused(self) -> bool:
        return False


def basic(username: str, password: str) -> FixedCredentials:
    """HTTP basic authentication."""
    pair = base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
    return FixedCredentials({"Authorization": f"Basic {pair}"})


def bearer(token: str) -> FixedCredentials:
    """A fixed token."""
    return FixedCredentials({"Authorization": f"Bearer {token}"})


class KeystoneCredentials:
    """A token of Keystone's, fetched with the first request and again when it runs out."""

    def __init__(self, login: Mapping[str, Any], verify: bool | str) -> None:
        """:param login: auth_url, username, password, project_name, user_domain_name, project_domain_name."""
        # A third of a second of imports, only where Keystone is really used.
        from keystoneauth1 import session  # noqa: PLC0415
        from keystoneauth1.identity import v3  # noqa: PLC0415

        self._session: Any = session.Session(auth=v3.Password(**login), verify=verify, session=watched_session())

    def headers(self, timeout: float) -> Mapping[str, str]:
        from keystoneauth1 import exceptions  # noqa: PLC0415  # as above

        self._session.timeout = timeout
        try:
            with watched(timeout):
                return {"X-Auth-Token": str(self._session.get_token())}
        except TimeoutError as error:
            raise DeadlineExceeded("Keystone: no answer in time") from error
        except exceptions.HttpError as error:
            if error.http_status >= 500:
                raise Unavailable(f"Keystone: HTTP {error.http_status}") from error
            raise Refused(f"Keystone: HTTP {error.http_status}", status=error.http_status) from error
        except exceptions.ClientException as error:
            raise Unavailable(f"Keystone cannot be asked: {type(error).__name__}") from error

    def refused(self) -> bool:
        self._session.invalidate()
        return True
