# SPDX-License-Identifier: Apache-2.0
"""Every driver of the package passes the conformance checks; drivers with faults do not."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from congress.cloudservices.fake import FakeDriver
from congress.cloudservices.files import FilesDriver
from congress.cloudservices.http_json import HttpJsonDriver
from congress.cloudservices.noop import NoopDriver
from congress.cloudservices.push import PushDriver
from congress.cloudservices.sql import SqlDriver
from congress.cloudservices.testing import DriverConformance, check_driver
from tests.cloudservices.api_server import ApiServer, Reply, api_server


class TestNoop(DriverConformance):
    driver_class = NoopDriver


class TestFake(DriverConformance):
    driver_class = FakeDriver

    def config(self) -> dict[str, Any]:
        return {"things": {"a": "one", "b": "two"}, "username": "alice", "password": "sesame-4711"}

    def make(self) -> FakeDriver:
        self.driver = FakeDriver("tested", {**self.config(), "poll_time": 0})
        return self.driver

    def change(self) -> None:
        self.driver.cloud.things["c"] = "three"

    @contextmanager
    def broken(self) -> Iterator[None]:
        cloud = self.driver.cloud
        cloud.error = RuntimeError("login of alice with sesame-4711 failed")
        cloud.failures = 1000
        yield
        cloud.failures = 0

    def harmless(self) -> tuple[str, list[Any], dict[str, Any]]:
        return "fake_act", ["x", 1], {}


class TestPush(DriverConformance):
    driver_class = PushDriver

    def config(self) -> dict[str, Any]:
        typed = {"columns": [{"name": "id", "type": "string", "nullable": False}, "name"], "key": ["id"]}
        return {"tables": {"servers": ["id", "name"], "volumes": typed}}


class TestFiles(DriverConformance):
    driver_class = FilesDriver

    @pytest.fixture(autouse=True)
    def _files(self, tmp_path: Path) -> None:
        self.path = tmp_path
        self.write("1")
        (tmp_path / "zones.yaml").write_text("- {name: a, hosts: 2}\n- {name: b, hosts: null}\n")

    def write(self, size: str) -> None:
        (self.path / "new").write_text(f"id,size\nv1,{size}\nv2,7\n")
        (self.path / "new").rename(self.path / "volumes.csv")

    def config(self) -> dict[str, Any]:
        volumes = {"path": "volumes.csv", "columns": ["id", {"name": "size", "type": "integer"}]}
        tables = {"volumes": volumes, "zones": {"path": "zones.yaml"}}
        return {"directory": str(self.path), "tables": tables}

    def change(self) -> None:
        self.write("8")

    @contextmanager
    def broken(self) -> Iterator[None]:
        before = {name: (self.path / name).read_text() for name in ("volumes.csv", "zones.yaml")}
        (self.path / "volumes.csv").unlink()
        (self.path / "zones.yaml").unlink()
        yield
        for name, text in before.items():
            (self.path / name).write_text(text)


class TestSql(DriverConformance):
    driver_class = SqlDriver

    @pytest.fixture(autouse=True)
    def _database(self, tmp_path: Path) -> None:
        self.path = tmp_path / "inventory.sqlite"
        self.execute("create table hosts (name text primary key, cores integer)")
        self.execute("insert into hosts values ('a', 4), ('b', null)")

    def execute(self, statement: str) -> None:
        connection = sqlite3.connect(self.path)
        connection.execute(statement)
        connection.commit()
        connection.close()

    def config(self) -> dict[str, Any]:
        columns = [{"name": "name", "type": "string"}, {"name": "cores", "type": "integer"}]
        tables = {
            "hosts": {"query": "select name, cores from hosts", "columns": columns},
            "total": {"query": "select count(*) as hosts from hosts"},
        }
        return {"url": f"sqlite:///{self.path}", "tables": tables}

    def change(self) -> None:
        self.execute("insert into hosts values ('c', 8)")

    @contextmanager
    def broken(self) -> Iterator[None]:
        self.path.rename(self.path.with_suffix(".away"))
        yield
        self.path.with_suffix(".away").rename(self.path)


class TestHttpJson(DriverConformance):
    driver_class = HttpJsonDriver

    @pytest.fixture(autouse=True)
    def _server(self) -> Iterator[None]:
        with api_server() as self.server:
            self.server.routes["GET /api/hosts"] = self.hosts
            self.server.routes["POST /api/hosts/h1/reboot"] = Reply({"task": "t-1"})
            self.names = ["h1", "h2"]
            yield

    def hosts(self, asked: Any) -> Reply:
        assert asked.headers["X-Api-Key"] == "key-sesame-1"
        rows = [{"name": name, "state": {"up": True}} for name in self.names]
        return Reply({"hosts": rows})

    def config(self) -> dict[str, Any]:
        columns = [{"name": "name", "type": "string"}, {"name": "up", "type": "boolean", "from": "$.state.up"}]
        reboot = {
            "path": "/hosts/{host}/reboot",
            "description": "Reboot a host.",
            "arguments": [{"name": "host", "type": "string", "description": "its name"}],
            "effects": ["hosts"],
        }
        return {
            "base_url": f"{self.server.url}/api",
            "auth": "basic",
            "username": "alice",
            "password": "pass-sesame-2",
            "secret_headers": {"X-Api-Key": "key-sesame-1"},
            "secret_params": {"sig": "sig-sesame-3"},
            "tables": {"hosts": {"path": "/hosts", "rows": "$.hosts[*]", "columns": columns}},
            "actions": {"hosts.reboot": reboot},
        }

    def change(self) -> None:
        self.names.append("h3")

    def broken(self) -> AbstractContextManager[None]:
        text = "key-sesame-1 pass-sesame-2 sig-sesame-3 " + json.dumps(self.config())
        return self.server.broken(Reply({"message": text}, 500))

    def harmless(self) -> tuple[str, list[Any], dict[str, Any]]:
        return "hosts.reboot", ["h1"], {}

    server: ApiServer


# Faulty drivers: the name of the check that has to find each fault.


class Threaded(FakeDriver):
    def configure(self) -> None:
        super().configure()
        self.thread = threading.Thread(target=self.wait, daemon=True)
        self.thread.start()

    def wait(self) -> None:
        threading.Event().wait(3)


class Talkative(FakeDriver):
    def status(self) -> dict[str, object]:
        return {**super().status(), "login": self.config["password"]}


class Open(FakeDriver):
    def execute(self, name: str, *args: Any, **kwargs: Any) -> object:
        return getattr(self, name)()


class Forgetful(FakeDriver):
    def fetch(self, wanted: frozenset[str]) -> Any:
        try:
            return super().fetch(wanted)
        except RuntimeError:
            return {"fake_table": []}


class Restless(FakeDriver):
    count = 0

    def fetch(self, wanted: frozenset[str]) -> Any:
        self.count += 1
        return {"fake_table": [("a", str(self.count))]}


class Mistyped(FakeDriver):
    def fetch(self, wanted: frozenset[str]) -> Any:
        return {"fake_table": [(1, True)]}


class Trespasser(FakeDriver):
    def _rows(self) -> None:
        """A name of the base classes' own."""

    _guarded = _rows


class Undescribed(FakeDriver):
    DESCRIPTION: ClassVar[str] = " "


class Eager(FakeDriver):
    def started(self) -> None:
        self._subscribed_tables.add("fake_table")
        super().started()


FAULTS: list[tuple[type[FakeDriver], str]] = [
    (Threaded, "test_constructor_starts_nothing"),
    (Talkative, "test_secrets_appear_nowhere"),
    (Open, "test_only_listed_actions_can_be_called"),
    (Forgetful, "test_failed_poll_keeps_rows_and_recovers"),
    (Restless, "test_unchanged_poll_publishes_nothing"),
    (Mistyped, "test_every_table_is_read_and_fits_its_schema"),
    (Trespasser, "test_class_hides_nothing_of_its_bases"),
    (Undescribed, "test_class_says_what_it_is"),
    (Eager, "test_nothing_is_read_that_nobody_wants"),
]


@pytest.mark.parametrize(("driver", "check"), FAULTS, ids=[driver.__name__ for driver, _ in FAULTS])
def test_the_checks_find_faults(driver: type[FakeDriver], check: str) -> None:
    class Checks(TestFake):
        driver_class = driver

        def make(self) -> FakeDriver:
            self.driver = driver("tested", {**self.config(), "poll_time": 0})
            return self.driver

    with pytest.raises(AssertionError):
        getattr(Checks(), check)()


def test_check_driver_tells_all_that_failed() -> None:
    with pytest.raises(AssertionError, match="test_class_says_what_it_is"):
        check_driver(Undescribed, {"things": {"a": "one"}, "password": "sesame-4711"})


def test_check_driver_tells_what_it_could_not_check() -> None:
    skipped = check_driver(FakeDriver, {"things": {"a": "one"}, "password": "sesame-4711"})
    assert set(skipped) == {
        "test_action_is_carried_out",
        "test_action_is_verified",
        "test_change_is_published_as_a_difference",
        "test_failed_poll_keeps_rows_and_recovers",
    }
