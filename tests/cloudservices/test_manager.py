# SPDX-License-Identifier: Apache-2.0
"""The driver manager: definitions, faults, what it shows and what it hides."""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from congress.bus.bus import Bus
from congress.bus.errors import NotFound
from congress.bus.service import Service
from congress.cloudservices.catalog import DriverCatalog
from congress.cloudservices.datasource_driver import DataSourceDriver
from congress.cloudservices.errors import (
    ConfigError,
    DriverError,
    DriverNotFound,
    InvalidName,
    ServiceExists,
    ServiceNotFound,
)
from congress.cloudservices.fake import FakeDriver
from congress.cloudservices.harness import Watcher
from congress.cloudservices.manager import MANAGER, DriverManager
from congress.cloudservices.options import Option
from congress.cloudservices.push import PushDriver
from congress.cloudservices.service_tables import CongressService
from congress.cloudservices.store import MemoryRowStore, MemoryStore, ServiceDefinition
from congress.datalog.schema import TableSchema
from congress.datalog.values import FALSE, TRUE
from congress.db import migrate
from congress.db.crypt import Cipher
from congress.db.database import Database
from congress.db.service_rows import ServiceRowStore
from congress.db.services import ServiceRecord, ServiceStore

SECRET = "sesame-4711"


class Constructor(FakeDriver):
    def configure(self) -> None:
        raise RuntimeError(f"broken by {self.config['password']}")


class Quitter(FakeDriver):
    def configure(self) -> None:
        raise SystemExit("no configuration file")


class Mortal(FakeDriver):
    def fetch(self, wanted: frozenset[str]) -> Any:
        if self.cloud.failures:
            raise SystemExit("a library that thinks it may end the process")
        return super().fetch(wanted)


class Stubborn(FakeDriver):
    def open(self) -> None:
        raise OSError(f"refused: {self.config['password']}")


class Distant(FakeDriver):
    OPTIONS = (
        Option("base_url", "url", synonyms=("url",)),
        Option("host", default="localhost", target=True),
        Option("proxy", secret=True, target=True),
        Option("headers", "object"),
        Option("places", "list"),
    )


class Asking(FakeDriver):
    OPTIONS = (Option("request", "object"),)


CLASSES: dict[str, type[DataSourceDriver]] = {
    "asking": Asking,
    "constructor": Constructor,
    "mortal": Mortal,
    "quitter": Quitter,
    "stubborn": Stubborn,
    "distant": Distant,
    "fake": FakeDriver,
    "push": PushDriver,
}


class World:
    """A bus with a manager, the daemon's tables, and a subscriber to them."""

    def __init__(self, **more: Any) -> None:
        self.store = more.pop("store", None) or MemoryStore()
        self.rows = more.pop("row_store", None) or MemoryRowStore()
        self.bus = Bus(bus_id=f"manager-{id(self):x}")
        self.congress = CongressService()
        self.watcher = Watcher()
        catalog = more.pop("catalog", None) or DriverCatalog(CLASSES)
        self.manager = DriverManager(self.store, catalog=catalog, congress=self.congress, row_store=self.rows, **more)

    def __enter__(self) -> "World":
        self.bus.start()
        for service in (self.congress, self.watcher, self.manager):
            self.bus.add(service)
        self.watcher.subscribe("congress", "services")
        self.watcher.subscribe("congress", "freshness")
        return self

    def __exit__(self, *error: object) -> None:
        self.bus.stop()

    def call(self, method: str, **arguments: Any) -> Any:
        return self.bus.call(MANAGER, method, **arguments)

    def create(self, name: str, driver: str = "fake", **config: Any) -> Any:
        return self.call("create_service", name=name, driver=driver, config=config)

    def driver(self, name: str) -> Any:
        return self.manager._running.driver(name)

    def table(self, name: str) -> set[Any]:
        return set(self.watcher.copy_of("congress", name))

    def wait(self, until: Callable[[], bool]) -> None:
        end = time.monotonic() + 10
        while not until():
            assert time.monotonic() < end, (self.table("services"), self.table("freshness"))
            time.sleep(0.01)


@pytest.fixture
def world() -> Iterator[World]:
    with World() as made:
        yield made


class TestDefinitions:
    def test_a_service_is_made_shown_and_deleted(self, world: World) -> None:
        made = world.create("lamps", things={"a": "1"}, password=SECRET)
        assert made["config"] == {"things": {"a": "1"}, "password": "<hidden>"}
        assert (made["name"], made["driver"], made["enabled"], made["type"]) == ("lamps", "fake", True, None)
        assert world.call("get_service", service=made["id"])["id"] == made["id"]
        assert world.call("get_service", service="lamps")["id"] == made["id"]
        assert [s["name"] for s in world.call("list_services")] == ["lamps"]
        assert world.bus.call("lamps", "rows", table="fake_table") == [("a", "1")]
        assert world.call("delete_service", service="lamps") is None
        assert not world.bus.has("lamps")
        assert world.store.all() == []
        with pytest.raises(ServiceNotFound):
            world.call("get_service", service="lamps")

    @pytest.mark.parametrize(
        "name", ["", "_x", "a b", "a:b", "a.b", "1a", "congress", "policy", "not", "x" * 256, 5, None, "ä-b"]
    )
    def test_names_that_are_none(self, world: World, name: Any) -> None:
        with pytest.raises(InvalidName):
            world.create(name)
        assert world.store.all() == []

    def test_names_that_are_taken(self) -> None:
        with World(is_policy=lambda name: name == "alarm") as world:
            world.create("lamps")
            world.bus.add(Service("other"))
            for name, what in (("lamps", "service"), ("other", "service"), ("alarm", "policy")):
                with pytest.raises(ServiceExists, match=f"there is a {what}"):
                    world.create(name)
            assert world.create("größe")["name"] == "größe"

    def test_wrong_configurations(self, world: World) -> None:
        with pytest.raises(ConfigError) as refused:
            world.create("lamps", poll_time="soon", pasword=SECRET)
        assert SECRET not in str(refused.value)
        assert [problem.option for problem in refused.value.problems] == ["poll_time", "pasword"]
        with pytest.raises(DriverNotFound, match="there is no driver 'lamp'; the drivers are: asking, constructor"):
            world.create("lamps", "lamp", password=SECRET)
        assert world.store.all() == []
        assert not world.bus.has("lamps")

    def test_options_that_are_null_are_not_kept(self, world: World) -> None:
        assert world.create("lamps", password=None, username="a")["config"] == {"username": "a"}

    def test_disabled(self, world: World) -> None:
        made = world.call("create_service", name="lamps", driver="fake", enabled=False)
        assert made["state"] == "disabled"
        assert not world.bus.has("lamps")
        with pytest.raises(ServiceNotFound, match="'lamps' is not running: disabled"):
            world.call("resolve", service="lamps")
        made = world.call("update_service", service="lamps", changes={"enabled": True})
        assert world.call("resolve", service=made["id"]) == "lamps"
        assert world.bus.wait_for("lamps")
        world.call("update_service", service="lamps", changes={"enabled": False})
        assert not world.bus.has("lamps")

    def test_changes(self, world: World) -> None:
        world.create("lamps", password=SECRET, username="a")
        first = world.driver("lamps")
        changed = world.call("update_service", service="lamps", changes={"description": "All lamps."})
        assert changed["description"] == "All lamps."
        assert world.driver("lamps") is first
        config = {"password": "<hidden>", "username": "b"}
        world.call("update_service", service="lamps", changes={"config": config})
        second = world.driver("lamps")
        assert second is not first
        assert (second.config["password"], second.config["username"]) == (SECRET, "b")
        assert first.state == "stopped"
        with pytest.raises(ConfigError):
            world.call("update_service", service="lamps", changes={"config": {"colour": "red"}})
        with pytest.raises(ConfigError, match="'name' of a service cannot be changed"):
            world.call("update_service", service="lamps", changes={"name": "x"})
        assert world.driver("lamps") is second
        assert world.store.all()[0].config["username"] == "b"

    def test_a_hidden_secret_that_is_not_known(self, world: World) -> None:
        world.create("lamps")
        with pytest.raises(ConfigError, match="value of option 'password' is not known any more; give it anew"):
            world.call("update_service", service="lamps", changes={"config": {"password": "<hidden>"}})

    @pytest.mark.parametrize(
        ("changed", "moved"),
        [
            ({"base_url": "http://other.example.org/api"}, "base_url"),
            ({"base_url": "http://h.example.org:81/api?api_key=<hidden>"}, "base_url"),
            ({"base_url": None}, "base_url"),
            ({"base_url": None, "url": "http://other.example.org/api"}, "base_url"),
            ({"host": "other"}, "host"),
            ({"proxy": f"http://u:{SECRET}@other.example.org"}, "proxy"),
            ({"places": ["http://other.example.org/"]}, "places"),
        ],
    )
    def test_a_hidden_secret_stays_where_the_service_is(
        self, world: World, changed: dict[str, Any], moved: str
    ) -> None:
        stored = {
            "base_url": f"http://h.example.org/api?api_key={SECRET}",
            "proxy": f"http://u:{SECRET}@proxy.example.org",
            "places": ["http://one.example.org/a", "two"],
            "password": SECRET,
        }
        shown = world.create("lamps", "distant", **stored)["config"]
        config = {**shown, "base_url": stored["base_url"], **changed}
        with pytest.raises(ConfigError, match=f"option '{moved}' says where .*secrets of option '.*' again") as refused:
            world.call("update_service", service="lamps", changes={"config": config})
        assert SECRET not in str(refused.value)
        assert world.driver("lamps").config["base_url"] == stored["base_url"]

    def test_a_hidden_secret_stays_when_other_things_change(self, world: World) -> None:
        stored = {
            "base_url": f"http://h.example.org/api?api_key={SECRET}",
            "proxy": f"http://u:{SECRET}@proxy.example.org",
            "places": ["http://one.example.org/a", "http://two.example.org"],
            "password": SECRET,
            "headers": {"X-Token": SECRET},
        }
        shown = world.create("lamps", "distant", **stored)["config"]
        changed = {**shown, "host": "localhost", "places": ["http://one.example.org/b"], "username": "b"}
        world.call("update_service", service="lamps", changes={"config": changed})
        config = world.driver("lamps").config
        assert {name: config[name] for name in stored} == {**stored, "places": ["http://one.example.org/b"]}
        moved = {"base_url": "http://other.example.org", "proxy": "<hidden>", "password": "anew-4711"}
        world.call("update_service", service="lamps", changes={"config": moved})
        assert world.driver("lamps").config["proxy"] == stored["proxy"]

    def test_secrets_in_other_options(self, world: World) -> None:
        headers = {"X-Auth-Token": SECRET, "Accept": "text/plain"}
        asked = {"headers": headers, "path": f"/a?api_key={SECRET}&limit=2", "paging": {"token": "$.next"}}
        made = world.create("lamps", "asking", request=asked)
        shown = {
            "headers": {"X-Auth-Token": "<hidden>", "Accept": "text/plain"},
            "path": "/a?api_key=<hidden>&limit=2",
            "paging": {"token": "$.next"},
        }
        assert made["config"] == {"request": shown}
        assert world.bus.call("lamps", "status")["config"]["request"] == shown
        assert world.store.all()[0].secret_options == {"request"}
        shown["headers"]["Accept"] = "*/*"  # type: ignore[index]
        shown["path"] = "/b?limit=3&api_key=<hidden>"
        made = world.call("update_service", service="lamps", changes={"config": {"request": shown}})
        assert made["config"] == {"request": shown}
        assert world.driver("lamps").config["request"] == {
            "headers": {"X-Auth-Token": SECRET, "Accept": "*/*"},
            "path": f"/b?limit=3&api_key={SECRET}",
            "paging": {"token": "$.next"},
        }
        shown["headers"] = {"X-Other-Token": "<hidden>"}
        with pytest.raises(ConfigError, match="a value of option 'request' is not known any more; give it anew"):
            world.call("update_service", service="lamps", changes={"config": {"request": shown}})
        assert SECRET not in world.driver("lamps").clean(f"what https://h/?x={SECRET} said")

    def test_restart(self, world: World) -> None:
        world.create("lamps")
        first = world.driver("lamps")
        world.call("restart_service", service="lamps")
        assert world.driver("lamps") is not first
        assert world.bus.call("lamps", "status")["state"] == "running"

    def test_what_is_stored_runs_after_a_restart(self) -> None:
        store, rows = MemoryStore(), MemoryRowStore()
        with World(store=store, row_store=rows) as world:
            world.create("lamps")
            world.create("pushed", "push", tables={"t": ["a"]}, persist=True)
            world.bus.call("pushed", "put_rows", table="t", rows=[[1]])
        with World(store=store, row_store=rows) as world:
            world.wait(lambda: world.bus.has("pushed"))
            assert world.bus.call("pushed", "rows", table="t") == [(1,)]
            assert [s["name"] for s in world.call("list_services")] == ["lamps", "pushed"]

    def test_a_store_that_does_not_answer_yet(self) -> None:
        class Late(MemoryStore):
            tries = 0

            def all(self) -> Any:
                self.tries += 1
                if self.tries < 2:
                    raise OSError("not yet")
                return super().all()

        with World(store=Late([ServiceDefinition("lamps", "fake")])) as world:
            world.wait(lambda: world.bus.has("lamps"))


class TestFaults:
    def test_a_constructor_that_fails_shows_no_secret(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        with pytest.raises(
            DriverError, match="driver 'constructor' cannot be set up: RuntimeError: broken by <hidden>"
        ) as refused:
            world.create("lamps", "constructor", password=SECRET)
        assert SECRET not in str(refused.value) + caplog.text

    def test_one_bad_definition_does_not_touch_the_others(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("congress.cloudservices.schedule.FIRST_RETRY", 0.05)
        stored = [
            ServiceDefinition("a", "constructor", {"password": SECRET}),
            ServiceDefinition("b", "gone", {"password": SECRET}, frozenset({"password"})),
            ServiceDefinition("c", "fake", {"colour": "red"}),
            ServiceDefinition("d", "fake", {}, unreadable=frozenset({"password"})),
            ServiceDefinition("e", "stubborn", {"password": SECRET}),
            ServiceDefinition("f", "fake"),
        ]
        with World(store=MemoryStore(stored)) as world:
            world.wait(lambda: len(world.table("services")) == 6)
            world.wait(lambda: {row[0]: row[4] for row in world.table("services")}["e"] == "error")
            shown = {service["name"]: service for service in world.call("list_services")}
            assert {name: service["state"] for name, service in shown.items()} == {
                **dict.fromkeys("abcde", "error"),
                "f": "running",
            }
            errors = {name: str(service["error"]) for name, service in shown.items()}
            assert "cannot be set up" in errors["a"]
            assert "there is no driver 'gone'" in errors["b"]
            assert "there is no option 'colour'" in errors["c"]
            assert "secret options cannot be decrypted, give them again: password" in errors["d"]
            assert errors["e"] == "OSError: refused: <hidden>"
            assert SECRET not in repr(shown)
            assert world.call("service_status", service="a")["state"] == "error"
            config = {"password": "new"}
            assert world.call("update_service", service="d", changes={"config": config})["state"] == "running"

    def test_a_constructor_that_would_end_the_process_does_not_end_the_manager(self, world: World) -> None:
        with pytest.raises(DriverError, match="cannot be set up: SystemExit: no configuration file"):
            world.create("lamps", "quitter")
        assert world.create("lights", "fake")["state"] == "running"

    # What kills the thread is shown by pytest as well as by the manager.
    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_a_thread_that_dies_is_replaced(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("congress.cloudservices.running.WATCH", 0.05)
        monkeypatch.setattr("congress.cloudservices.schedule.FIRST_RETRY", 0.05)
        with World() as world:
            world.create("lamps", "mortal", things={"a": "1"}, poll_time=0)
            world.bus.call("lamps", "rows", table="fake_table")
            first = world.driver("lamps")
            first.cloud.failures = 1
            world.bus.cast("lamps", "request_refresh")
            world.wait(lambda: not first.alive)
            world.wait(lambda: world.driver("lamps") not in (None, first))
            assert world.bus.call("lamps", "rows", table="fake_table") == [("a", "1")]

    def test_a_service_that_is_gone_leaves_its_tables_stale(self, world: World) -> None:
        world.create("lamps", things={"a": "1"}, poll_time=0)
        world.bus.call("lamps", "rows", table="fake_table")
        world.wait(
            lambda: any(row[:2] == ("lamps", "fake_table") and row[3] is FALSE for row in world.table("freshness"))
        )
        world.call("update_service", service="lamps", changes={"enabled": False})
        world.wait(lambda: any(row[3] is TRUE and row[4] == "disabled" for row in world.table("freshness")))
        world.call("delete_service", service="lamps")
        world.wait(lambda: not world.table("freshness") and not world.table("services"))


class TestTables:
    def test_services_and_freshness(self, world: World) -> None:
        made = world.create("lamps", things={"a": "1"}, poll_time=0)
        world.bus.call("lamps", "rows", table="fake_table")
        world.wait(lambda: ("lamps", made["id"], "fake", TRUE, "running", None) in world.table("services"))
        world.wait(lambda: any(row[3] is FALSE for row in world.table("freshness")))
        ((service, table, updated, stale, error, rows),) = world.table("freshness")
        assert (service, table, stale, error, rows) == ("lamps", "fake_table", FALSE, None, 1)
        assert time.time() - updated < 60
        world.driver("lamps").cloud.failures = 100
        world.bus.call("lamps", "request_refresh")
        world.wait(
            lambda: any(row[3:5] == (TRUE, "The fake cloud was told to fail.") for row in world.table("freshness"))
        )
        assert all(row[2] == updated for row in world.table("freshness"))

    def test_other_parts_add_tables(self, world: World) -> None:
        world.congress.declare({"executions": TableSchema.of("id", "state")})
        world.watcher.subscribe("congress", "executions")
        world.congress.put({"executions": [("e1", "running"), ("e2", "queued")]})
        world.congress.change({"executions": ([("e1", "done")], [("e1", "running")])})
        world.wait(lambda: world.table("executions") == {("e1", "done"), ("e2", "queued")})
        assert "executions" in world.bus.call("congress", "schema")


class TestWhatItAnswers:
    def test_about_a_busy_service(self, world: World) -> None:
        world.create("lamps", latency=1, poll_time=0, password=SECRET)
        world.bus.cast("lamps", "request_refresh")
        world.wait(lambda: world.driver("lamps").cloud.requests > 0)
        began = time.monotonic()
        status = world.call("service_status", service="lamps")
        schema = world.call("service_schema", service="lamps")
        actions = world.call("service_actions", service="lamps")
        assert time.monotonic() - began < 0.9
        assert (status["name"], status["state"], status["driver"]) == ("lamps", "running", "fake")
        assert SECRET not in repr(status)
        assert schema[0]["columns"][0] == {
            "name": "id",
            "type": "string",
            "nullable": False,
            "description": "id of the thing",
        }
        assert [action["name"] for action in actions] == ["fake_act", "things.count", "things.rename"]
        assert actions[2]["args"][0]["name"] == "thing"

    def test_about_services_that_are_not_its_own(self, world: World) -> None:
        assert world.call("resolve", service="congress") == "congress"
        assert world.call("service_status", service="congress")["name"] == "congress"
        assert {t["table_id"] for t in world.call("service_schema", service="congress")} >= {"services", "freshness"}
        assert world.call("service_actions", service="congress") == []
        for name in ("_drivers", "nobody", "", 5):
            for method in ("resolve", "service_status", "service_schema", "service_actions"):
                with pytest.raises(ServiceNotFound):
                    world.call(method, service=name)

    def test_drivers(self, world: World) -> None:
        assert {d["id"]: d["description"] for d in world.call("list_drivers")}["fake"] == FakeDriver.DESCRIPTION
        fake = world.call("get_driver", driver="fake")
        assert (fake["kind"], fake["secret"]) == ("polling", ["password"])
        assert fake["config"]["things"] == "(optional)"
        assert world.call("get_driver", driver="push")["config"]["tables"] == "required"
        with pytest.raises(DriverNotFound):
            world.call("get_driver", driver="nothing")

    def test_methods_that_are_not_exposed(self, world: World) -> None:
        for method in ("_build", "_make", "catalog", "on_start", "submit"):
            with pytest.raises(NotFound):
                world.call(method)


class TestWithADatabase:
    @pytest.fixture
    def made(self, tmp_path: Path) -> Iterator[Mapping[str, Any]]:
        database = Database(f"sqlite:///{tmp_path}/congress.sqlite")
        migrate.upgrade(database)
        cipher = Cipher.open(tmp_path / "keys")
        yield {
            "store": ServiceStore(database, cipher),
            "row_store": ServiceRowStore(database),
            "new_record": ServiceRecord,
        }
        database.close()

    def test_definitions_and_rows_outlive_the_process(self, made: Mapping[str, Any], tmp_path: Path) -> None:
        with World(**made) as world:
            world.create("lamps", password=SECRET, things={"a": "1"})
            world.create("pushed", "push", tables={"t": ["a"]}, persist=True)
            world.bus.call("pushed", "put_rows", table="t", rows=[[True], ["x"]])
            world.bus.call("pushed", "change_rows", table="t", delete=[["x"]], insert=[[None]])
            world.call("update_service", service="lamps", changes={"config": {"password": "<hidden>"}})
            with pytest.raises(ServiceExists):
                world.create("lamps")
        assert SECRET.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
        with World(**made) as world:
            world.wait(lambda: world.bus.has("pushed") and world.bus.has("lamps"))
            assert world.driver("lamps").config["password"] == SECRET
            assert world.driver("lamps").config["things"] is None
            assert set(world.bus.call("pushed", "rows", table="t")) == {(TRUE,), (None,)}
            world.call("delete_service", service="pushed")
            world.create("pushed", "push", tables={"t": ["a"]}, persist=True)
            assert world.bus.call("pushed", "rows", table="t") == []


class TestCatalog:
    def test_every_driver_of_the_package_can_be_loaded(self) -> None:
        shown = {driver["id"]: driver for driver in DriverCatalog().summaries()}
        assert {"noop", "fake", "push", "files", "http_json", "sql", "nova", "neutronv2"} <= set(shown)
        assert [driver for driver in shown.values() if "error" in driver] == []

    def test_names_are_found_without_importing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        catalog = DriverCatalog({"mine": FakeDriver})
        monkeypatch.setattr(catalog, "_import", lambda name: pytest.fail("imported"))
        assert {"mine", "nova"} <= set(catalog.names())
        assert catalog.load("mine") is FakeDriver

    def test_a_driver_that_cannot_be_imported(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        catalog = DriverCatalog()

        def fail(*arguments: Any, **named: Any) -> Any:
            raise ImportError("no module named klingon")

        monkeypatch.setattr("congress.cloudservices.catalog.stevedore_driver.DriverManager", fail)
        for _ in range(3):
            with pytest.raises(DriverError, match="driver 'fake' cannot be loaded: ImportError: no module"):
                catalog.load("fake")
        assert caplog.text.count("driver.load_failed") == 1

    def test_what_is_no_driver(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Found:
            driver = Service

        monkeypatch.setattr("congress.cloudservices.catalog.stevedore_driver.DriverManager", lambda *a, **k: Found())
        with pytest.raises(DriverError, match="is no driver class"):
            DriverCatalog().load("fake")
