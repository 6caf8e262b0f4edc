# SPDX-License-Identifier: Apache-2.0
"""What the OpenStack drivers share: how to log in, how to ask an API, and what its refusals mean.

Reads are plain JSON over one keystoneauth session: for tables of a hundred thousand rows the clients'
resource objects would cost more than everything else.  The session is used on the driver's worker thread
only.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Protocol
from urllib.parse import parse_qs, quote, urlsplit

import orjson
from keystoneauth1 import adapter as ksa_adapter
from keystoneauth1 import exceptions as ksa

from congress.cloudservices.errors import ActionArgumentError, ConfigError, PollError
from congress.cloudservices.options import Option

Json = dict[str, Any]

# The versions that the paths are of.
_VERSIONS: Final = {"compute": "2.1", "identity": "3", "image": "2", "network": "2.0"}

OPTIONS: Final[tuple[Option, ...]] = (
    Option(
        "cloud",
        target=True,
        description="Name of a cloud in clouds.yaml on the server's machine; then the other options of the "
        "login are not needed, and region, interface and endpoint override what the file says.",
    ),
    Option("auth_url", "url", description="Keystone's URL, such as https://keystone.example.org:5000/v3."),
    Option("username", description="User to log in as."),
    Option("password", secret=True, description="The user's password."),
    Option(
        "project_name",
        synonyms=("tenant_name",),
        description="Project to log in to (tenant_name: its older, deprecated name).",
    ),
    Option("user_domain_name", default="Default", description="Domain of the user."),
    Option("project_domain_name", default="Default", description="Domain of the project."),
    Option("application_credential_id", description="Application credential to log in with."),
    Option(
        "application_credential_name",
        description="Name of the application credential, where username says whose it is.",
    ),
    Option("application_credential_secret", secret=True, description="The application credential's secret."),
    Option("region", synonyms=("region_name",), description="Region whose endpoints are used."),
    Option(
        "endpoint",
        "url",
        description="URL of the API with its version, such as https://nova.example.org:8774/v2.1, instead of "
        "the catalogue's.",
    ),
    Option(
        "interface",
        choices=("public", "internal", "admin"),
        description="Which of the catalogue's endpoints to use (default: public).",
    ),
    Option("cacert", "path", description="File of CA certificates to trust."),
    Option("insecure", "boolean", default=False, description="Do not check the servers' certificates."),
    Option(
        "request_timeout",
        "number",
        default=60.0,
        minimum=0.1,
        maximum=3600,
        description="Seconds to wait for one answer of an API.",
    ),
    Option(
        "page_size",
        "integer",
        default=1000,
        minimum=1,
        maximum=10000,
        description="How many objects to ask for at once.",
    ),
)


class Response(Protocol):
    """The part of an HTTP answer that is used here."""

    status_code: int
    content: bytes
    headers: Mapping[str, str]


class Adapter(Protocol):
    """keystoneauth's adapter: a session bound to one API of the catalogue."""

    def request(self, url: str, method: str, **options: Any) -> Response: ...
    def get_endpoint_data(self) -> Any: ...


# Logging in ---------------------------------------------------------------------------------------------


def cloud_region(config: Mapping[str, Any], service_type: str) -> Any:
    """openstacksdk's settings of a cloud, from a driver's configuration.  Asks nobody.

    :raises ConfigError: the options do not make a login.
    """
    check_login(config)
    # Three quarters of a second of imports, only where a cloud is really configured.
    from openstack import config as sdk_config  # noqa: PLC0415
    from openstack import exceptions as sdk_exceptions  # noqa: PLC0415

    more: Json = {
        "region_name": config["region"],
        "interface": config["interface"],
        f"{service_type}_endpoint_override": config["endpoint"],
        "cacert": config["cacert"],
        "api_timeout": config["request_timeout"],
        "verify": False if config["insecure"] else None,
    }
    more = {name: value for name, value in more.items() if value is not None}
    try:
        if config["cloud"]:
            loader = sdk_config.OpenStackConfig(app_name="congress")
            return loader.get_one(cloud=config["cloud"], **more)
        loader = sdk_config.OpenStackConfig(load_yaml_config=False, load_envvars=False, app_name="congress")
        return loader.get_one(**_login(config), **more)
    except sdk_exceptions.ConfigException as error:
        raise ConfigError(str(error), "cloud" if config["cloud"] else "auth_url") from error
    except ksa.MissingRequiredOptions as error:
        raise ConfigError(f"the login is not complete: {error}", "auth_url") from error


def adapter_of(region: Any, service_type: str) -> Adapter:
    """keystoneauth's adapter for one API of a cloud.  Asks nobody yet."""
    adapter: Adapter = ksa_adapter.Adapter(
        region.get_session(),
        **find_endpoint(region, service_type),
        service_type=region.get_service_type(service_type),
        service_name=region.get_service_name(service_type),
        version=_VERSIONS[service_type],
    )
    return adapter


def find_endpoint(region: Any, service_type: str) -> Json:
    """Which of the catalogue's endpoints to use, by the names of keystoneauth's options."""
    return {
        "region_name": region.get_region_name(service_type) or None,
        "interface": region.get_interface(service_type),
        "endpoint_override": region.get_endpoint(service_type),
    }


def check_login(config: Mapping[str, Any]) -> None:
    """:raises ConfigError: the options name neither a cloud, nor a user, nor an application credential."""
    if config["cloud"]:
        return
    if not config["auth_url"]:
        raise ConfigError("option 'auth_url' is required (or 'cloud', the name of a cloud in clouds.yaml)", "auth_url")
    if config["application_credential_id"] or config["application_credential_name"]:
        wanted: tuple[str, ...] = ("application_credential_secret",)
        if not config["application_credential_id"]:
            wanted += ("username",)
    else:
        wanted = ("username", "password", "project_name")
    for name in wanted:
        if not config[name]:
            raise ConfigError(f"option {name!r} is required", name)


def _login(config: Mapping[str, Any]) -> Json:
    if config["application_credential_id"] or config["application_credential_name"]:
        names = ["auth_url", "application_credential_id", "application_credential_secret"]
        if not config["application_credential_id"]:
            names += ["application_credential_name", "username", "user_domain_name"]
        auth_type = "v3applicationcredential"
    else:
        names = [
            "auth_url",
            "username",
            "password",
            "project_name",
            "user_domain_name",
            "project_domain_name",
        ]
        auth_type = "password"
    return {"auth_type": auth_type, "auth": {name: config[name] for name in names if config[name]}}


# Asking -------------------------------------------------------------------------------------------------


class Api:
    """One API of a cloud.  Logs in with the first request; a token that runs out is renewed by itself.

    Worker thread only; each request may block for ``request_timeout`` seconds.  What goes wrong is raised as
    the library's own error: :func:`poll_error` and :func:`action_error` say what it means.
    """

    def __init__(self, config: Mapping[str, Any], service_type: str, time_left: Callable[[float], float]) -> None:
        """:param service_type: ``compute``, ``network``, ``identity`` or ``image``.
        :param time_left: the driver's: seconds that a request may take, at most the given ones."""
        self.service_type = service_type
        self.page_size = int(config["page_size"])
        self._most = float(config["request_timeout"])
        self._time_left = time_left
        self._region = cloud_region(config, service_type)
        self._adapter: Adapter | None = None

    @property
    def adapter(self) -> Adapter:
        self._limit()
        if self._adapter is None:
            self._adapter = adapter_of(self._region, self.service_type)
        return self._adapter

    @property
    def session(self) -> Any:
        """The keystoneauth session, for a client library; its requests end with the poll's or action's time.

        :raises DeadlineExceeded: there is no time left.
        """
        self._limit()
        return self._region.get_session()

    def _limit(self) -> None:
        """The next requests, a login among them, have as long as the driver has."""
        self._region.get_session().timeout = self._time_left(self._most)

    @property
    def endpoint_filter(self) -> Json:
        """How a client library finds the same endpoint in the catalogue."""
        return find_endpoint(self._region, self.service_type)

    def close(self) -> None:
        """Close the connections.  A later request opens new ones."""
        if self._adapter is not None:
            close = getattr(self._region.get_session(), "close", None)  # keystoneauth has it of late
            if close is not None:
                close()
            self._adapter = None

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        microversion: str | None = None,
    ) -> Json:
        """One request; the JSON object of its answer, empty where there is none."""
        more: Json = {"headers": dict(headers)} if headers else {}
        if body is not None:
            more["json"] = body
        if microversion:
            more["microversion"] = microversion
        response = self.adapter.request(path, method, params=dict(params or {}), raise_exc=True, **more)
        if not response.content:
            return {}
        answer = orjson.loads(response.content)
        return answer if isinstance(answer, dict) else {"value": answer}

    def get(self, path: str, params: Mapping[str, Any] | None = None, microversion: str | None = None) -> Json:
        return self.request("GET", path, params=params, microversion=microversion)

    def pages(
        self,
        path: str,
        key: str,
        params: Mapping[str, Any] | None = None,
        microversion: str | None = None,
        *,
        sized: bool = True,
    ) -> Iterator[list[Json]]:
        """The objects of a list, page by page.  ``sized``: the API takes a ``limit``.

        Of the link to the next page only the marker is used: behind a proxy its address is often wrong.
        :raises PollError: the service cut the list, or sends us round in circles.
        """
        query: Json = {**(params or {}), **({"limit": self.page_size} if sized else {})}
        seen: set[str] = set()
        while True:
            answer = self.get(path, query, microversion)
            objects = answer.get(key)
            if not isinstance(objects, list):
                raise PollError(f"the answer to GET {path} has no list {key!r}")
            if answer.get("truncated"):
                raise PollError(
                    f"the service cut the list of {key} after {len(objects)}: raise its list_limit, "
                    "for what is missing cannot be told from what is not there"
                )
            yield objects
            marker = next_marker(answer, key)
            if marker is None:
                return
            if marker in seen:
                raise PollError(f"the list of {key} goes round in circles at {marker}")
            seen.add(marker)
            query["marker"] = marker

    def all(
        self,
        path: str,
        key: str,
        params: Mapping[str, Any] | None = None,
        microversion: str | None = None,
        *,
        sized: bool = True,
    ) -> list[Json]:
        """All objects of a list."""
        return [item for page in self.pages(path, key, params, microversion, sized=sized) for item in page]


def next_marker(answer: Mapping[str, Any], key: str) -> str | None:
    """Where the next page begins:

    from Nova's and Neutron's ``X_links``, Keystone's ``links``, Glance's ``next``.
    """
    link = answer.get("next")
    if isinstance(answer.get("links"), dict):
        link = answer["links"].get("next")
    for entry in answer.get(f"{key}_links") or ():
        if entry.get("rel") == "next":
            link = entry.get("href")
    if not link:
        return None
    markers = parse_qs(urlsplit(str(link)).query).get("marker")
    return markers[0] if markers else None


def quoted(part: str) -> str:
    """An id as a part of a path: ids come from rows, and a row may hold anything.

    :raises ActionArgumentError: it would lead elsewhere.
    """
    if part in ("", ".", ".."):
        raise ActionArgumentError(f"{part!r} cannot be an id")
    return quote(part, safe="")
