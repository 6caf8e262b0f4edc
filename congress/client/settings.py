# SPDX-License-Identifier: Apache-2.0
"""Where the server is and who asks: from arguments, from the environment, from clouds.yaml.

The first of these that says something counts:

1. arguments;
2. ``OS_CLOUD``, ``OS_AUTH_TYPE``, ``OS_AUTH_URL`` and the other ``OS_*`` variables, and clouds.yaml, as all OpenStack
   clients read them: a Keystone, its catalogue's service of type ``policy``, or ``auth_type: none`` and ``http_basic``;
3. ``CONGRESS_URL``, ``CONGRESS_USER`` and ``CONGRESS_PASSWORD``;
4. ``http://127.0.0.1:1789`` without credentials, where a daemon just started listens.

``endpoint``, and ``CONGRESS_URL``, say where the server is also when a cloud says who asks.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from congress.client.errors import SettingsError

DEFAULT_ENDPOINT: Final = "http://127.0.0.1:1789"
SERVICE_TYPE: Final = "policy"
OPENSTACK: Final = frozenset({"OS_CLOUD", "OS_AUTH_TYPE", "OS_AUTH_PLUGIN", "OS_AUTH_URL", "OS_ENDPOINT", "OS_TOKEN"})
"""The variables of the environment that say that there is an OpenStack to go to."""

_NO_AUTH: Final = frozenset(
    {"auth", "auth_type", "region_name", "interface", "cacert", "cert", "key", "verify", "profile"}
)
"""What clouds.yaml has beside ``auth``; everything else that is given stands in there."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to reach a server.

    ``openstack`` are options as clouds.yaml and ``--os-...`` name them, with underscores and without ``os_``:
    ``auth_url``, ``username``, ``region_name``...  ``verify`` is False to believe any certificate, or the path of a
    file of authorities.  ``timeout`` is in seconds, None waits for ever.
    """

    endpoint: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    cloud: str = ""
    openstack: Mapping[str, Any] = field(default_factory=dict, repr=False)
    verify: bool | str = True
    timeout: float | None = 60.0

    def completed(self, environment: Mapping[str, str] = os.environ) -> "Settings":
        """With what the environment says where the arguments say nothing."""
        user = self.user or environment.get("CONGRESS_USER", "")
        return Settings(
            endpoint=root_of(self.endpoint or environment.get("CONGRESS_URL", "")),
            user="" if self.cloud else user,
            password=self.password or environment.get("CONGRESS_PASSWORD", "") if user else "",
            cloud=self.cloud,
            openstack=self.openstack,
            verify=self.verify,
            timeout=self.timeout,
        )

    def uses_openstack(self, environment: Mapping[str, str] = os.environ) -> bool:
        """Whether a cloud says who asks."""
        if self.cloud or self.openstack:
            return True
        return not self.user and any(environment.get(name) for name in OPENSTACK)


def root_of(endpoint: str) -> str:
    """The address of a server without a slash or ``/v1`` at its end.

    :raises SettingsError: it is no address.
    """
    if not endpoint:
        return ""
    if not endpoint.startswith(("http://", "https://")):
        raise SettingsError(f"{endpoint!r} is no address of a server", "It begins with http:// or https://.")
    return endpoint.rstrip("/").removesuffix("/v1").rstrip("/")


def adapter_for(given: Settings, user_agent: str) -> Any:
    """A keystoneauth adapter that knows where the server is and how to show who asks.

    :raises SettingsError: the settings do not go together or name something that is not there.
    """
    settings = given.completed()
    if settings.uses_openstack():
        return _from_cloud(settings, user_agent)
    # What OpenStack needs takes 0.3 s to import: only where it is used.
    from keystoneauth1 import adapter, http_basic, noauth, session  # noqa: PLC0415  # 0.1 s

    endpoint = settings.endpoint or DEFAULT_ENDPOINT
    if settings.user:
        auth = http_basic.HTTPBasicAuth(endpoint=endpoint, username=settings.user, password=settings.password)
    else:
        auth = noauth.NoAuth(endpoint=endpoint)
    made = session.Session(auth=auth, verify=settings.verify, timeout=settings.timeout)
    return adapter.Adapter(made, endpoint_override=endpoint, user_agent=user_agent)


def _from_cloud(settings: Settings, user_agent: str) -> Any:
    from keystoneauth1 import adapter, exceptions  # noqa: PLC0415
    from openstack import config  # noqa: PLC0415
    from openstack import exceptions as openstack_exceptions  # noqa: PLC0415

    options = {name: value for name, value in settings.openstack.items() if name in _NO_AUTH}
    auth = {name: value for name, value in settings.openstack.items() if name not in _NO_AUTH}
    if settings.user:
        auth |= {"username": settings.user, "password": settings.password}
    if auth:
        options["auth"] = {**options.get("auth", {}), **auth}
    if settings.verify is not True:
        options |= {"verify": False} if settings.verify is False else {"cacert": settings.verify}
    try:
        region = config.OpenStackConfig().get_one(cloud=settings.cloud or None, **options)
        session = region.get_session()
    except (openstack_exceptions.ConfigException, exceptions.ClientException, TypeError) as error:
        raise SettingsError(
            f"the cloud cannot be used: {error}",
            "Look at OS_CLOUD, the other OS_* variables and clouds.yaml; `openstack configuration show` shows them.",
        ) from error
    session.timeout = region.config.get("api_timeout") or settings.timeout
    endpoint = settings.endpoint or region.get_endpoint(SERVICE_TYPE)
    return adapter.Adapter(
        session,
        service_type=SERVICE_TYPE,
        interface=region.get_interface(SERVICE_TYPE) or "public",
        region_name=region.get_region_name(SERVICE_TYPE),
        endpoint_override=root_of(endpoint or "") or None,
        user_agent=user_agent,
    )
