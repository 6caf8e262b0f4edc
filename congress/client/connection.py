# SPDX-License-Identifier: Apache-2.0
"""The way in: :func:`connect`."""

from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import Any, Self

from congress.client.executions import Executions, ExecutionSets
from congress.client.explanations import Why, WhyNot
from congress.client.following import Stream
from congress.client.guards import Breakers, Guards
from congress.client.library import Library
from congress.client.models import Preview, Simulation
from congress.client.policies import Policies, RuleLike, Rules
from congress.client.services import CloudServices, Drivers
from congress.client.settings import SERVICE_TYPE, Settings, adapter_for, root_of
from congress.client.tables import Rows, Tables, split
from congress.client.transport import Transport
from congress.client.values import Value


def user_agent() -> str:
    """What servers see of this client."""
    try:
        return f"congress-client/{version('congress')}"
    except PackageNotFoundError:
        return "congress-client"


def connect(
    endpoint: str = "",
    *,
    user: str = "",
    password: str = "",
    cloud: str = "",
    session: Any = None,
    region_name: str | None = None,
    interface: str = "public",
    verify: bool | str = True,
    timeout: float | None = 60.0,
    **openstack: Any,
) -> "Connection":
    """A connection to a server; nothing is sent yet.

    Without arguments it goes where the environment says, see :mod:`congress.client.settings`, and without that to
    the daemon on this machine::

        cloud = connect()
        cloud = connect("https://congress.example.org", user="ann", password="...")
        cloud = connect(cloud="production")                       # of clouds.yaml
        cloud = connect(session=keystoneauth_session)             # one that is there already

    :param endpoint: the root of the server, without ``/v1``.
    :param user: for HTTP basic authentication, with ``password``.
    :param cloud: the name of a cloud in clouds.yaml.
    :param session: a keystoneauth session; its catalogue's service of type ``policy`` is used, or ``endpoint``.
    :param verify: False believes any certificate; a text is a file of authorities.
    :param timeout: seconds that an answer may take; None waits for ever.
    :param openstack: anything else that clouds.yaml may say: ``auth_url``, ``username``, ``project_name``...
    :raises SettingsError: what is given cannot be used.
    """
    if session is not None:
        from keystoneauth1 import adapter  # noqa: PLC0415  # not before it is needed

        override = root_of(endpoint) or None
        return Connection(
            adapter.Adapter(
                session,
                service_type=SERVICE_TYPE,
                interface=interface,
                region_name=region_name,
                endpoint_override=override,
                user_agent=user_agent(),
            )
        )
    more = dict(openstack)
    if region_name:
        more["region_name"] = region_name
    settings = Settings(endpoint, user, password, cloud, more, verify, timeout)
    return Connection(adapter_for(settings, user_agent()))


class Connection:
    """One server.  Any thread may use it; every method blocks until the answer is there.

    ======================  ==========================================================
    ``policies``            policies; simulation, preview, queries
    ``rules``               the rules of policies
    ``tables``, ``rows``    tables of policies and services, their rows, why and why not
    ``cloud_services``      cloud services, their state and actions
    ``drivers``             what services can be made with
    ``executions``          actions that were asked for, and what became of them
    ``execution_sets``      what waits for a person's decision as a whole
    ``guards``              how careful to be, for each policy and service; dry runs
    ``breakers``            the circuit breakers of services
    ``library``             policies to choose from
    ======================  ==========================================================

    Lists are iterators that ask for one page after the other.  Errors are in :mod:`congress.client.errors`.
    """

    def __init__(self, adapter: Any) -> None:
        self._transport = transport = Transport(adapter)
        self.policies = Policies(transport)
        self.rules = Rules(transport)
        self.tables = Tables(transport)
        self.rows = Rows(transport, self.tables)
        self.cloud_services = CloudServices(transport)
        self.drivers = Drivers(transport)
        self.executions = Executions(transport)
        self.execution_sets = ExecutionSets(transport)
        self.guards = Guards(transport)
        self.breakers = Breakers(transport)
        self.library = Library(transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Nothing is left open but streams, which are closed by themselves."""

    @property
    def endpoint(self) -> str:
        """The root of the server."""
        return self._transport.endpoint

    @property
    def keystone(self) -> str:
        """The address of the Keystone that is logged in at; empty without one."""
        return self._transport.keystone

    def headers(self, path: str) -> Mapping[str, str]:
        """The headers of the answer at a path, such as its ``Date``."""
        found: Mapping[str, str] = self._transport.respond("GET", path).headers
        return found

    def request(self, method: str, path: str, body: Any = None, query: Mapping[str, Any] | None = None) -> Any:
        """Anything else that the API has: ``cloud.request("GET", "/health/ready")``."""
        return self._transport.request(method, path, body, query=query)

    def execute(self, action: str, *positional: Any, policy: str = "", **named: Any) -> str:
        """Ask for an action: ``cloud.execute("nova:servers.pause", "vm-1")``.

        Returns before the action has run; see :meth:`congress.client.executions.Executions.wait`.

        :param policy: carry it out as if this policy said so, under its guard.
        :returns: the id of the execution.
        """
        return self.executions.request(action, positional, named, policy=policy)

    def why(self, table: str, row: Iterable[Value]) -> Why:
        """Why a row is in a policy's table: ``cloud.why("care:error", ["web-2"]).proof.render()``."""
        return self.rows.why(table, row)

    def why_not(self, table: str, row: Iterable[Value]) -> WhyNot:
        """Why a row is not in a policy's table."""
        return self.rows.why_not(table, row)

    def simulate(self, policy: str, query: str | Mapping[str, Any] | None = None, **more: Any) -> Simulation:
        """Tell what would hold after some steps: :meth:`congress.client.policies.Policies.simulate`."""
        return self.policies.simulate(policy, query, **more)

    def preview(self, policy: str, rules: Iterable[RuleLike] = (), **more: Any) -> Preview:
        """Tell what a change of rules would lead to: :meth:`congress.client.policies.Policies.preview`."""
        return self.policies.preview(policy, rules, **more)

    def follow(
        self,
        *tables: str,
        policies: Iterable[str] = (),
        services: Iterable[str] = (),
        reconnect: bool = True,
    ) -> Stream:
        """The changes of tables as they happen::

            with cloud.follow("care:error") as events:
                for event in events:
                    ...  # a Snapshot first, then a Delta for each change

        :param tables: as ``policy:table`` or ``service:table``.
        :param policies: all tables of these.
        :param services: all tables of these.
        :param reconnect: whether to go on when the connection breaks.
        :raises SettingsError: a table is not named so.
        """
        for table in tables:
            split(table)
        query = {"table": list(tables), "policy": list(policies), "service": list(services)}
        given = {name: values for name, values in query.items() if values}
        return Stream(self._transport, "/v1/stream", given, reconnect=reconnect)
