# SPDX-License-Identifier: Apache-2.0
"""The one door to oslo.messaging; all imports of it go through here.

The eventlet cure is here and nowhere else.  Left alone, ``import oslo_messaging`` makes oslo.service choose
its eventlet backend, and futurist imports eventlet wherever it is installed.  So first, unless the program we
run in uses eventlet itself, it is made unimportable and the threading backend is chosen.  Programs of this
package that import other oslo libraries import this module before them.
"""

import contextlib
import logging
import ssl
import sys
import warnings
from collections.abc import Callable
from typing import Any, Final

if "eventlet" not in sys.modules:
    sys.modules["eventlet"] = None  # type: ignore[assignment]  # the documented way to make an import fail

with warnings.catch_warnings():
    # oslo.messaging still imports modules of oslo.utils that announce their removal.
    warnings.simplefilter("ignore", DeprecationWarning)
    from oslo_service import backend

    with contextlib.suppress(Exception):  # a host program chose another backend before us: its choice stands
        backend.init_backend(backend.BackendType.THREADING)
    import oslo_messaging
    from oslo_config import cfg
    from oslo_messaging._drivers import base as driver_base

__all__ = ["Wire", "cfg", "configure", "driver_base", "oslo_messaging", "scheme"]

LOG = logging.getLogger(__name__)

EXCHANGE: Final = "congress"

DEFAULTS: Final[dict[str, object]] = {
    "rabbit_quorum_queue": True,
    "rabbit_transient_queues_ttl": 600,
    "rabbit_retry_backoff": 1,
    "rabbit_interval_max": 5,
    "kombu_reconnect_delay": 0.5,
    "heartbeat_timeout_threshold": 30,
}
"""Our defaults in ``[oslo_messaging_rabbit]``: queues that survive a broker, and no long waits to come back
to it.
"""

_LOCAL: Final = ("", "inproc", "fake")


# What oslo.messaging.opts.list_opts() gives, without the brokers' drivers that its import loads (30 ms).
_GENERAL: Final = (
    ("server", "_pool_opts", None),
    ("rpc.client", "_client_opts", None),
    ("rpc.dispatcher", "_dispatcher_opts", None),
    ("transport", "_transport_opts", None),
    ("notify.notifier", "_notifier_opts", "oslo_messaging_notifications"),
    ("_tracing.client", "oslo_messaging_tracing", "oslo_messaging_tracing"),
    ("_metrics.client", "oslo_messaging_metrics", "oslo_messaging_metrics"),
)


def configure(conf: "cfg.ConfigOpts | None" = None, url: str = "") -> "cfg.ConfigOpts":
    """Options for a transport: those given, or new ones, with oslo.messaging's registered and our defaults
    set; those of the brokers only where the URL names one.

    oslo.messaging registers some of its options on the global object only and then fails on any other, so all
    of them are registered here.
    """
    made = conf if conf is not None else cfg.ConfigOpts()
    for module, name, group in _GENERAL:
        made.register_opts(getattr(sys.modules.get(f"oslo_messaging.{module}"), name, ()), group=group)
    if scheme(url) not in _LOCAL:
        _configure_brokers(made)
    if conf is None:
        made([], default_config_files=[], default_config_dirs=[])
    return made


def _configure_brokers(conf: "cfg.ConfigOpts") -> None:
    from oslo_messaging import opts  # noqa: PLC0415  # see _GENERAL

    for group, options in opts.list_opts():
        conf.register_opts(options, group=group)
    system_ca = ssl.get_default_verify_paths().cafile
    for option, value in {**DEFAULTS, "ssl_ca_file": system_ca or ""}.items():
        conf.set_default(option, value, group="oslo_messaging_rabbit")


def scheme(url: str) -> str:
    """Which transport a URL names."""
    return url.partition(":")[0].partition("+")[0]


class Wire:
    """One transport as one node uses it: to send to a node or to all, and to be delivered to.

    It drives the transport itself, as oslo.messaging's RPC client and server do.  Their part is not needed:
    what comes only goes into inboxes, so no pool of threads is wanted (one of more than one thread loses the
    order, and its threads end up to a second late), and answers are messages like others, so that deadlines
    hold.

    Nothing here is bounded in time: a broker that is away blocks whoever sends until it is back, or raises.
    """

    def __init__(self, conf: "cfg.ConfigOpts", url: str, topic: str, node: str) -> None:
        self.url = url
        self._node = node
        self._topic = topic
        self._transport = oslo_messaging.get_rpc_transport(conf, url=url)
        self._hosts = oslo_messaging.TransportURL.parse(conf, url).hosts
        # Of the drivers only those for a broker have connections.
        self._connect: Callable[..., Any] | None = getattr(self._transport._driver, "_get_connection", None)
        self._everybody = oslo_messaging.Target(exchange=EXCHANGE, topic=topic, fanout=True)
        self._nodes: dict[str, Any] = {}
        self._must_arrive = oslo_messaging.TransportOptions(at_least_once=True)
        self._listener: Any = None

    def reach(self) -> None:
        """Make a connection and give it back to the transport's pool: whatever is wrong is raised at once."""
        if self._connect is not None:
            with self._connect(retry=max(0, len(self._hosts) - 1)):
                pass

    def listen(self, endpoint: object) -> None:
        """Have the endpoint's methods called with what comes, on threads of the transport; they must not
        block.
        """

        def on_incoming(incoming: list[Any]) -> None:
            for one in incoming:
                one.acknowledge()
                try:
                    getattr(endpoint, one.message["method"])(**one.message["args"])
                # Neither a transport's reader nor another service that sends may suffer for it.
                except Exception:
                    LOG.exception("bus.delivery_fault method=%s", one.message.get("method"))

        target = oslo_messaging.Target(exchange=EXCHANGE, topic=self._topic, server=self._node)
        self._listener = self._transport._listen(target, 1, None)
        self._listener.start(on_incoming)

    def send(self, node: str, method: str, **args: object) -> None:
        """Have one node's endpoint called.

        :raises oslo_messaging.MessageUndeliverable: there is no such node.
        """
        target = self._nodes.get(node)
        if target is None:
            target = oslo_messaging.Target(exchange=EXCHANGE, topic=self._topic, server=node)
            self._nodes[node] = target
        message = {"method": method, "args": args}
        self._transport._send(target, {}, message, retry=1, transport_options=self._must_arrive)

    def send_all(self, method: str, **args: object) -> None:
        """Have every node's endpoint called, this one's too."""
        self._transport._send(self._everybody, {}, {"method": method, "args": args}, retry=1)

    def forget(self, node: str) -> None:
        """A node is gone for good: drop what is kept for it, here and at the broker."""
        self._nodes.pop(node, None)
        # Quorum queues outlive their node and cannot be told to expire through oslo.messaging.
        self._delete(f"{self._topic}.{node}")

    def drop_queues(self, shared: bool) -> None:
        """Delete the queues that are listened on, so that the reader has to make them again.

        :param shared: also the one that all nodes listen on; theirs then have to as well.
        """
        self._delete(f"{self._topic}.{self._node}", *([self._topic] if shared else []))

    def _delete(self, *queues: str) -> None:
        if self._connect is None:
            return
        for queue in queues:
            with self._connect(retry=1) as connection:
                connection.channel.queue_delete(queue)

    def close(self) -> None:
        """Stop listening, give back what the transport holds.

        With a broker that is away this may take long.
        """
        if self._listener is not None:
            self._listener.stop()
            self._listener.cleanup()
            try:
                self.forget(self._node)
            # Whatever it is, the queue stays behind and that is all.
            except Exception as error:  # noqa: BLE001
                LOG.warning("bus.queue_left node=%s error=%s", self._node, error)
        self._transport.cleanup()
