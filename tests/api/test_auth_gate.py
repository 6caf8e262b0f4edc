# SPDX-License-Identifier: Apache-2.0
"""What happens between a request and its handler: limits, who is asked for, streams that may not go on."""

import gc
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from congress.api import event_stream
from congress.api.application import Settings, make_application
from congress.api.auth.contracts import Unauthenticated
from congress.api.auth.gate import Gate
from congress.api.auth.identity import Identity
from congress.api.auth.limits import Buckets, Limits, network_of
from congress.api.backend import BusBackend
from congress.api.call import Call
from congress.api.errors import ApiError
from congress.api.event_stream import Slots
from congress.api.measures import Measures
from congress.api.streams import StreamHub
from congress.bus import context
from congress.bus.bus import Bus
from congress.bus.service import Service, exposed
from tests.api.auth import authorizer, login, settings
from tests.api.fakes import Client, FakeBackend, answering

FAR = {"REMOTE_ADDR": "192.0.2.7"}


class Recorder(Service):
    """Stands where the policy runtime does, and notes on whose behalf it was called."""

    def __init__(self) -> None:
        super().__init__("policy")
        self.seen: list[dict[str, str]] = []

    @exposed
    def list_policies(self) -> list[Any]:
        self.seen.append(dict(context.ids()))
        return []

    @exposed
    def get_policy(self, policy: str) -> dict[str, Any]:
        return {"name": policy}

    @exposed
    def list_tables(self, policy: str) -> list[Any]:
        self.seen.append(dict(context.ids()))
        return []


@pytest.fixture
def behind() -> Iterator[tuple[BusBackend, Recorder]]:
    bus, hub, recorder = Bus("inproc://", bus_id="gate"), StreamHub("_api"), Recorder()
    bus.start()
    bus.add(hub)
    bus.add(recorder)
    yield BusBackend(bus, hub), recorder
    bus.stop(2)


def test_the_caller_is_known_behind_the_bus(tmp_path: Path, behind: tuple[BusBackend, Recorder]) -> None:
    backend, recorder = behind
    client = Client(backend, settings(tmp_path))
    answer = client("GET", "/v1/policies", **login("reader"))
    assert answer.status_int == 200
    [ids] = recorder.seen
    assert ids["user"] == "reader"
    assert ids["request_id"] == answer.headers["X-Openstack-Request-Id"]
    assert context.ids() == {}


def test_the_caller_of_a_stream_is_known_as_long_as_it_lasts(
    tmp_path: Path, behind: tuple[BusBackend, Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream looks for new tables of a policy from time to time, on its caller's behalf."""
    monkeypatch.setattr(event_stream, "REFRESH", 0.0)
    backend, recorder = behind
    answer = Client(backend, settings(tmp_path))("GET", "/v1/policies/p/stream", **login("reader"))
    events = answer.app_iter
    next(events)
    while len(recorder.seen) < 2:
        reader = threading.Thread(target=lambda: next(events, None), daemon=True)
        reader.start()
        reader.join(1)
        backend._hub.close_all()
        reader.join(10)
    events.close()
    assert {ids["user"] for ids in recorder.seen} == {"reader"}
    assert len({ids["request_id"] for ids in recorder.seen}) == 1


def test_one_user_cannot_take_all_streams() -> None:
    slots = Slots(4, 2)
    slots.take("ann")
    slots.take("ann")
    with pytest.raises(ApiError) as raised:
        slots.take("ann")
    assert raised.value.status == 429
    slots.take("bob")
    slots.take()
    with pytest.raises(ApiError) as raised:
        slots.take("carl")
    assert raised.value.status == 503
    slots.free("ann")
    slots.take("ann")
    for user in ("ann", "ann", "bob", ""):
        slots.free(user)
    assert slots.taken == 0
    for _ in range(4):
        slots.take()


def test_without_authentication_there_is_no_caller(behind: tuple[BusBackend, Recorder]) -> None:
    backend, recorder = behind
    assert Client(backend)("GET", "/v1/policies", **login("reader")).status_int == 200
    assert "user" not in recorder.seen[0]


def test_the_log_names_the_caller(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    said: list[str] = []

    class Seen(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(context.ids().get("user", "-") + " " + record.getMessage())

    handler = Seen()
    requests = logging.getLogger("congress.api.requests")
    requests.addHandler(handler)
    requests.setLevel(logging.INFO)
    try:
        client = Client(FakeBackend({"policy.list_policies": []}), settings(tmp_path))
        client("GET", "/v1/policies", **login("reader"))
        client("GET", "/v1/policies", **login("reader", "wrong"))
    finally:
        requests.removeHandler(handler)
        requests.setLevel(logging.NOTSET)
    assert [line.split(" ")[0] for line in said] == ["reader", "-"]


def test_names_are_one_line() -> None:
    assert Identity(user_name="a\nb\x1b[0m", user_domain="x").who == "a?b?[0m@x"
    assert len(Identity(user_name="x" * 1000).who) == 255
    assert Identity(user_id="7", user_name="ann", user_domain="Default", project_id="p").ids() == {
        "user": "ann@Default",
        "user_id": "7",
        "project_id": "p",
    }


def test_a_wrong_password_is_refused_before_the_body_is_looked_at(tmp_path: Path) -> None:
    client = Client(FakeBackend(), settings(tmp_path))
    assert client("POST", "/v1/policies", b"{not json", **login("member", "x")).status_int == 401
    assert client("POST", "/v1/policies", b"{not json", **login("reader")).status_int == 403
    assert client("POST", "/v1/policies", b"{not json", **login("member")).status_int == 400


def test_a_wrong_password_does_not_close_what_is_open(tmp_path: Path) -> None:
    client = Client(FakeBackend(), settings(tmp_path))
    assert client("GET", "/health/live", **login("member", "x")).status_int == 200


def test_a_forgotten_gate_lets_nobody_in() -> None:
    call = Call(FakeBackend(), Measures(), "r", "GET", "/", root_url="")
    with pytest.raises(ApiError, match="past the gate"):
        call.admit(None, ())


def test_an_answered_call_is_no_garbage_that_waits(tmp_path: Path) -> None:
    """The daemon collects garbage seldom; what requests leave behind must go by itself."""
    client = Client(FakeBackend({"policy.list_policies": []}), settings(tmp_path))
    gc.collect()
    gc.disable()
    try:
        for path in ("/v1/policies", "/v1/nothing", "/v1/policies?limit=0"):
            client("GET", path, **login("reader"))
        client("GET", "/v1/policies")
        left = [one for one in gc.get_objects() if isinstance(one, Call)]
    finally:
        gc.enable()
    assert left == []


# Limits


def test_buckets() -> None:
    now = [100.0]
    buckets = Buckets(2.0, 3, clock=lambda: now[0])
    assert [buckets.take("a") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert buckets.take("b") == 0.0
    now[0] += 0.5
    assert buckets.wait("a") == 0.0
    assert [buckets.take("a") for _ in range(2)] == [0.0, 0.5]
    now[0] += 1000
    assert [buckets.take("a") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert all(Buckets(0, 1).take("a") == 0.0 for _ in range(10))


def test_buckets_are_bounded() -> None:
    buckets = Buckets(1.0, 1, clock=lambda: 0.0, most=100)
    for number in range(1000):
        buckets.take(str(number))
    assert len(buckets._buckets) == 100


def test_buckets_of_many_threads_give_no_token_twice() -> None:
    buckets = Buckets(1.0, 500, clock=lambda: 0.0)
    given: list[float] = []

    def take() -> None:
        for _ in range(200):
            given.append(buckets.take("a"))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert given.count(0.0) == 500


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
    ],
)
def test_one_client_has_one_key(address: str, network: str) -> None:
    assert network_of(address) == network


def limited(tmp_path: Path, **more: Any) -> Client:
    backend = FakeBackend({"policy.list_policies": answering([])})
    return Client(backend, settings(tmp_path, limits=Limits(clock=lambda: 0.0, **more)))


def test_a_user_has_a_limit(tmp_path: Path) -> None:
    client = limited(tmp_path, rate=1, burst=3)
    answers = [client("GET", "/v1/policies", **login("reader"), **FAR) for _ in range(4)]
    assert [answer.status_int for answer in answers] == [200, 200, 200, 429]
    assert answers[3].headers["Retry-After"] == "1"
    assert answers[3].json["error"]["error_code"] == 429
    assert client("GET", "/v1/policies", **login("member"), **FAR).status_int == 200
    assert client("GET", "/v1/policies", **login("reader"), REMOTE_ADDR="198.51.100.9").status_int == 429


def test_an_address_has_a_limit_where_the_user_is_not_known(tmp_path: Path) -> None:
    client = limited(tmp_path, rate=1, burst=3)
    assert [client("GET", "/health/live", **FAR).status_int for _ in range(4)] == [200, 200, 200, 429]
    assert client("GET", "/v1/policies", **FAR).status_int == 429
    assert client("GET", "/v1/policies", **login("reader"), **FAR).status_int == 200


def test_this_machine_is_not_limited_unless_so_configured(tmp_path: Path) -> None:
    for address in ("127.0.0.1", "::1"):
        for local in (False, True):
            client = limited(tmp_path, rate=1, burst=1, local=local)
            statuses = [client("GET", "/health/live", REMOTE_ADDR=address).status_int for _ in range(3)]
            assert statuses == ([200, 429, 429] if local else [200, 200, 200])


def test_guessing_passwords_is_slow(tmp_path: Path) -> None:
    client = limited(tmp_path, failures=3)
    wrong = [client("GET", "/v1/policies", **login("admin", f"x{n}"), **FAR).status_int for n in range(5)]
    assert wrong == [401, 401, 401, 429, 429]
    assert client("GET", "/v1/policies", **login("admin"), **FAR).status_int == 429
    assert client("GET", "/v1/policies", **login("admin"), REMOTE_ADDR="192.0.2.8").status_int == 200
    assert client("GET", "/health/live", **FAR).status_int == 200


def test_asking_without_credentials_is_no_guess(tmp_path: Path) -> None:
    client = limited(tmp_path, failures=1)
    assert [client("GET", "/v1/policies", **FAR).status_int for _ in range(5)] == [401] * 5


# Streams


class Changing:
    """An authenticator whose mind can be changed."""

    def __init__(self) -> None:
        self.answer: Identity | Exception = Identity(user_id="1", user_name="ann", roles=("reader",))

    def authenticate(self, environ: Any) -> Identity:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("becomes", "over"),
    [
        (Identity(user_id="1", user_name="ann", roles=("reader", "member")), False),
        (ApiError(503, "Keystone is away"), False),
        (Unauthenticated("expired", "x", tried=True), True),
        (Identity(user_id="1", user_name="ann"), True),
        (Identity(user_id="2", user_name="bob", roles=("reader",)), True),
    ],
)
def test_a_stream_ends_when_its_caller_may_no_longer_have_it(becomes: Any, over: bool) -> None:
    authenticator, followed = Changing(), []

    class Following(FakeBackend):
        def follow(self, keys: Any, last_event_id: str, refresh: Any, disconnected: Any) -> Any:
            followed.append(disconnected)
            return super().follow(keys, last_event_id, refresh, disconnected)

    backend = Following({"policy.get_policy": {"name": "p"}, "policy.get_table": {"id": "t"}})
    gone: list[bool] = []
    gate = Gate(authenticator, authorizer(), recheck=0.0)
    app = make_application(backend, Measures(), Settings(gate=gate, guard_host=False))
    client = Client(backend, Settings(gate=gate, guard_host=False))
    client.app = app
    more = {"waitress.client_disconnected": lambda: bool(gone)}
    assert client("GET", "/v1/policies/p/tables/t/stream", **more).status_int == 200
    [disconnected] = followed
    assert disconnected() is False
    authenticator.answer = becomes
    assert disconnected() is over
    gone.append(True)
    assert disconnected() is True
