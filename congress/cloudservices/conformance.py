# SPDX-License-Identifier: Apache-2.0
"""What every driver has to do, as tests: a third-party driver's own test suite runs them on it.

With pytest::

    from congress.cloudservices.testing import DriverConformance

    class TestLamps(DriverConformance):
        driver_class = LampsDriver

        def config(self):
            return {"url": self.server.url, "password": "sesame-4711"}

Anything else calls :func:`check_driver`.
"""

import inspect
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, Final

import orjson

from congress.bus.service import Service
from congress.cloudservices import rows as shapes
from congress.cloudservices.datasource_driver import DataSourceDriver
from congress.cloudservices.errors import (
    ActionArgumentError,
    ActionFailed,
    ActionNotFound,
    ConfigError,
    NotSupported,
    RowsError,
    TableNotFound,
)
from congress.cloudservices.execution_driver import DONE, NOT_DONE, UNKNOWN, ExecutionDriver
from congress.cloudservices.harness import RunningDriver, running
from congress.cloudservices.options import secret_values
from congress.cloudservices.polling_driver import PollingDriver
from congress.cloudservices.pushed_driver import PushedDriver
from congress.cloudservices.signatures import Action
from congress.datalog.schema import TableSchema

STOP_SECONDS: Final = 5.0
MARK: Final = "sesame-9f2c41"
_SECRETIVE: Final = re.compile(r"passw|secret|token|credential|(^|_)key$|private")
_NOT_SECRET: Final = re.compile(r"_(id|name|file|path|url)$")


class NotApplicable(BaseException):
    """A check does not apply to this driver, or nobody said how to carry it out: like pytest's, no
    Exception.
    """


class DriverConformance:
    """Checks of one driver; a subclass says which, and how its service is made to change and to fail."""

    driver_class: ClassVar[type[DataSourceDriver]]
    """The driver to check."""

    # What a subclass says ---------------------------------------------------------------------------------

    def config(self) -> dict[str, Any]:
        """Required, unless the driver needs none: a configuration under which the driver works."""
        return {}

    def change(self) -> None:
        """Optional: change the service so that a poll finds other rows."""
        raise NotApplicable("nobody said how")

    def broken(self) -> AbstractContextManager[object]:
        """Optional: within it the service fails."""
        raise NotApplicable("nobody said how")

    def harmless(self) -> tuple[str, list[Any], dict[str, Any]]:
        """Optional: an action that may be carried out, with positional and named arguments."""
        raise NotApplicable("nobody said how")

    def make(self) -> DataSourceDriver:
        """Optional: a driver to check, anew for each check."""
        config = self.config()
        if issubclass(self.driver_class, PollingDriver):
            config = {"poll_time": 0, **config}
        return self.driver_class("tested", config)

    # Declarations -----------------------------------------------------------------------------------------

    def test_class_says_what_it_is(self) -> None:
        cls = self.driver_class
        assert cls.NAME.isidentifier(), "NAME must be an identifier, the same as the entry point's name"
        assert cls.DESCRIPTION.strip(), "DESCRIPTION must say in a sentence what the driver is for"

    def test_options_are_described_and_secrets_marked(self) -> None:
        for option in self.driver_class.options():
            assert option.description.strip(), f"option {option.name!r} needs a description"
            hidden = bool(_SECRETIVE.search(option.name)) and not _NOT_SECRET.search(option.name)
            assert option.secret or not hidden, f"option {option.name!r} looks like a secret; mark it as one"

    def test_tables_are_described(self) -> None:
        for name, schema in self.driver_class.TABLES.items():
            for column in schema.columns:
                assert column.description.strip(), f"column {name}.{column.name} needs a description"

    def test_actions_are_described(self) -> None:
        for action in _actions(self.make()):
            assert action.description.strip(), f"action {action.name!r} needs a description"
            for argument in action.arguments:
                assert argument.description.strip(), f"argument {argument.name!r} of {action.name!r} needs one"
                secretive = _SECRETIVE.search(argument.name) and not _NOT_SECRET.search(argument.name)
                assert argument.secret or not secretive, f"argument {argument.name!r} of {action.name!r} looks secret"

    def test_effects_are_tables_of_the_service(self) -> None:
        driver = self.make()
        for action in _actions(driver):
            unknown = set(action.effects) - driver.schema().keys()
            assert not unknown, f"action {action.name!r} has effects on unknown tables: {sorted(unknown)}"

    def test_class_hides_nothing_of_its_bases(self) -> None:
        ours = {name for cls in _own_classes(self.driver_class) for name in vars(cls) if _private(name)}
        theirs = {name for cls in DataSourceDriver.__mro__ for name in vars(cls) if _private(name)}
        probe = set(vars(self.make())) - set(vars(_plain_instance()))
        clash = (ours & theirs) | (probe & {name for name in dir(Service) if _private(name)})
        assert not clash, f"these names belong to the base classes: {sorted(clash)}"

    # Configuration ----------------------------------------------------------------------------------------

    def test_unknown_option_is_refused(self) -> None:
        _refused(lambda: self.driver_class("tested", {**self.config(), "no_such_option": MARK}))

    def test_missing_options_are_refused(self) -> None:
        config = self.config()
        for option in self.driver_class.options():
            if option.required:
                names = (option.name, *option.synonyms)
                less = {name: value for name, value in config.items() if name not in names}
                _refused(lambda less=less: self.driver_class("tested", less))  # type: ignore[misc]  # bound at once

    def test_wrong_types_are_refused_without_repeating_values(self) -> None:
        for option in self.driver_class.options():
            if option.type == "any" or option.synonyms:
                continue
            config = {**self.config(), option.name: [{MARK: MARK}]}
            _refused(lambda config=config: self.driver_class("tested", config))  # type: ignore[misc]  # bound at once

    def test_constructor_starts_nothing(self) -> None:
        before, began = threading.active_count(), time.monotonic()
        self.make()
        assert threading.active_count() <= before, "the constructor starts threads; open() is the place"
        assert time.monotonic() - began < 1.0, "the constructor takes its time; open() is the place to wait"

    # Tables -----------------------------------------------------------------------------------------------

    def test_schema_is_sound(self) -> None:
        with self.running() as it:
            schemas = it.call("schema")
            for name, schema in schemas.items():
                assert isinstance(schema, TableSchema), f"table {name!r} has no TableSchema"
                assert schema.columns, f"table {name!r} has no columns"
                assert len(set(schema.names)) == schema.arity, f"table {name!r} has two columns of one name"

    def test_every_table_is_read_and_fits_its_schema(self) -> None:
        self.needs_polls()
        with self.running() as it:
            it.subscribe()
            for name, schema in it.driver.schema().items():
                rows = list(it.rows(name))
                assert shapes.shaped(name, schema, rows) == rows
                assert set(it.call("rows", table=name)) == set(rows)
            assert not it.driver.warnings, f"values against the schema: {sorted(it.driver.warnings.values())}"

    def test_nothing_is_read_that_nobody_wants(self) -> None:
        self.needs_polls()
        with self.running() as it:
            time.sleep(0.05)
            assert it.call("status")["polls"] == 0, "it was polled though nobody wants a table"

    def test_one_table_is_read_alone(self) -> None:
        self.needs_polls()
        with self.running() as it:
            tables = tuple(it.driver.schema())
        for table in tables:
            with self.running() as it:
                it.subscribe(table)
                others = [name for name in tables if name != table and it.freshness(name).updated_at is not None]
                assert not others, f"tables that nobody wants were published: {others}"

    def test_unchanged_poll_publishes_nothing(self) -> None:
        self.needs_polls()
        with self.running() as it:
            it.subscribe()
            before = len(it.updates)
            it.poll()
            it.settle()
            assert len(it.updates) == before, f"published without a change: {it.updates[before:]}"

    def test_change_is_published_as_a_difference(self) -> None:
        self.needs_polls()
        self.needs("change")
        with self.running() as it:
            it.subscribe()
            before = {table: it.rows(table) for table in it.driver.schema()}
            seen = len(it.updates)
            self.change()
            it.poll()
            it.wait(lambda: any(it.rows(table) != rows for table, rows in before.items()), lambda: "no change")
            it.settle()
            for update in it.updates[seen:]:
                assert not update.snapshot, "a whole table was sent"

    def test_failed_poll_keeps_rows_and_recovers(self) -> None:
        self.needs_polls()
        self.needs("broken")
        with self.running() as it:
            it.subscribe()
            before = {table: it.rows(table) for table in it.driver.schema()}
            with self.broken():
                it.poll()
                assert not any(map(it.fresh, before)), f"still fresh: {it.driver.freshness}"
                assert {table: it.rows(table) for table in before} == before, "a failed poll took rows away"
                assert all(it.freshness(table).error for table in before), "no error is shown"
            it.poll()
            it.settle()

    # Pushed rows ------------------------------------------------------------------------------------------

    def test_rows_are_pushed_or_refused(self) -> None:
        with self.running() as it:
            for name, schema in it.driver.schema().items():
                before = it.rows(name)
                wide = [[None] * (schema.arity + 1)]
                error = RowsError if issubclass(self.driver_class, PushedDriver) else (NotSupported, RowsError)
                _raises(error, lambda: it.call("put_rows", table=name, rows=wide))  # noqa: B023  # called at once
                assert it.rows(name) == before, "refused rows changed the table"
            _raises((TableNotFound, NotSupported), lambda: it.call("put_rows", table="no_such_table", rows=[]))
            _raises(TableNotFound, lambda: it.call("rows", table="no_such_table"))

    # Actions ----------------------------------------------------------------------------------------------

    def test_only_listed_actions_can_be_called(self) -> None:
        with self.running() as it:
            listed = {action.name for action in it.call("actions")}
            methods = [name for name, _ in inspect.getmembers(self.driver_class, callable)]
            for name in ["", "no.such.action", "cloud", "client", "__class__.__name__", *methods]:
                if name not in listed:
                    _raises(ActionNotFound, lambda: it.call("execute", name=name))  # noqa: B023  # called at once

    def test_hostile_arguments_are_refused(self) -> None:
        with self.running() as it:
            for action in it.call("actions"):
                for positional, named in _hostile(action):
                    _raises(
                        ActionArgumentError,
                        lambda: it.call("execute", name=action.name, positional=positional, named=named),  # noqa: B023  # called at once
                    )

    def test_action_is_carried_out(self) -> None:
        if not issubclass(self.driver_class, ExecutionDriver):
            raise _skip("the driver has no actions")
        self.needs("harmless")
        name, positional, named = self.harmless()
        with self.running() as it:
            call = {"name": name, "positional": positional, "named": named, "execution_id": "e-1"}
            result = it.call("execute", **call, **self.completion(name))
            orjson.dumps(result)
            again = it.call("execute", **call, **self.completion(name))
            assert again == result

    def test_action_is_verified(self) -> None:
        if not issubclass(self.driver_class, ExecutionDriver):
            raise _skip("the driver has no actions")
        self.needs("harmless")
        name, positional, named = self.harmless()
        call = {"name": name, "positional": positional, "named": named}
        with self.running() as it:
            before = it.call("verify", execution_id="e-1", **call)
            assert before["state"] in (DONE, NOT_DONE, UNKNOWN), "verify answers done, not_done or unknown"
            result = it.call("execute", execution_id="e-1", **self.completion(name), **call)
            if not self.completion(name):
                assert it.call("verify", execution_id="e-1", **call) == {"state": DONE, "result": result}
            after = it.call("verify", execution_id="e-2", **call)
            assert after["state"] != NOT_DONE, "its effect is there, and verify says that it was not done"

    def test_asynchronous_actions_want_a_token(self) -> None:
        with self.running() as it:
            for action in it.call("actions"):
                if action.asynchronous and not any(argument.required for argument in action.arguments):
                    _raises(ActionFailed, lambda: it.call("execute", name=action.name))  # noqa: B023  # called at once

    # Life and secrets -------------------------------------------------------------------------------------

    def test_stops_in_time_and_leaves_no_thread(self) -> None:
        before = set(threading.enumerate())
        with self.running() as it:
            if issubclass(self.driver_class, PollingDriver):
                it.subscribe()
            began = time.monotonic()
            assert it.bus.remove(it.driver.name, timeout=STOP_SECONDS), "it did not stop in time"
            assert time.monotonic() - began < STOP_SECONDS
            assert it.driver.state == "stopped"
        end = time.monotonic() + STOP_SECONDS
        while left := {t for t in threading.enumerate() if t not in before and "tested" in t.name}:
            assert time.monotonic() < end, f"threads were left: {left}"
            time.sleep(0.01)

    def test_secrets_appear_nowhere(self) -> None:
        secrets = secret_values(self.driver_class.options(), self.config())
        with self.running() as it:
            if issubclass(self.driver_class, PollingDriver):
                it.subscribe()
                with self.broken() if self.says("broken") else nullcontext():
                    it.poll()
            seen = [repr(it.call("status")), repr(it.driver.freshness), repr(it.driver.last_fault), *it.log.lines]
        for secret in secrets:
            for text in seen:
                assert secret not in text, f"a secret is shown in: {text.replace(secret, '<secret>')[:500]}"

    # ------------------------------------------------------------------------------------------------------

    def completion(self, name: str) -> dict[str, str]:
        """What an action is given besides its arguments."""
        asynchronous = any(action.asynchronous for action in _actions(self.make()) if action.name == name)
        return {"completion_token": "token"} if asynchronous else {}

    def running(self) -> AbstractContextManager[RunningDriver]:
        """The driver on a bus of its own."""
        return running(self.make())

    def needs_polls(self) -> None:
        """What follows is about drivers that poll."""
        if not issubclass(self.driver_class, PollingDriver):
            raise _skip("the driver does not poll")

    def says(self, hook: str) -> bool:
        """Whether a subclass wrote an optional hook."""
        return getattr(type(self), hook) is not getattr(DriverConformance, hook)

    def needs(self, hook: str) -> None:
        """What follows needs an optional hook."""
        if not self.says(hook):
            raise _skip(f"override {hook}() to have this checked")


def check_driver(
    driver_class: type[DataSourceDriver],
    config: Mapping[str, Any],
    *,
    change: Callable[[], None] | None = None,
    broken: Callable[[], AbstractContextManager[object]] | None = None,
    harmless: tuple[str, list[Any], dict[str, Any]] | None = None,
) -> dict[str, str]:
    """Run all checks on a driver; the arguments are the hooks of :class:`DriverConformance`.

    :returns: the checks that did not apply, with the reason.
    :raises AssertionError: naming every check that failed, and why.
    """
    said: dict[str, Any] = {"driver_class": driver_class, "config": lambda self: dict(config)}
    if change is not None:
        said["change"] = lambda self: change()
    if broken is not None:
        said["broken"] = lambda self: broken()
    if harmless is not None:
        said["harmless"] = lambda self: harmless
    checks = type("Checks", (DriverConformance,), said)()
    skipped: dict[str, str] = {}
    failed: list[str] = []
    for name in [name for name in dir(checks) if name.startswith("test_")]:
        try:
            getattr(checks, name)()
        except Exception as error:  # noqa: BLE001  # whatever it is, the check did not pass
            failed.append(f"{name}: {type(error).__name__}: {error}")
        except _skipped() as error:
            skipped[name] = str(error)
    if failed:
        raise AssertionError("\n".join([f"driver {driver_class.NAME!r} does not conform:", *failed]))
    return skipped


def _skip(reason: str) -> BaseException:
    """What to raise so that a check counts as skipped, with or without pytest."""
    return _skipped()(reason)


def _skipped() -> type[BaseException]:
    pytest: Any = sys.modules.get("pytest")
    return NotApplicable if pytest is None else pytest.skip.Exception


def _refused(make: Callable[[], object]) -> None:
    refusal: ConfigError | None = None
    try:
        make()
    except ConfigError as error:
        refusal = error
    assert refusal is not None, "a wrong configuration was accepted"
    shown = f"{refusal} {refusal.data()}"
    assert MARK not in shown, f"the error repeats a value: {shown}"
    assert refusal.problems, "the error names no option"


def _raises(kinds: type[Exception] | tuple[type[Exception], ...], call: Callable[[], object]) -> None:
    try:
        result = call()
    except kinds:
        return
    except Exception as error:
        raise AssertionError(f"it was refused in another way: {type(error).__name__}: {error}") from error
    raise AssertionError(f"it was not refused: {result!r:.200}")


def _actions(driver: DataSourceDriver) -> list[Action]:
    return driver.actions()


def _hostile(action: Action) -> Iterator[tuple[list[Any], dict[str, Any]]]:
    """Arguments that cannot be bound, whatever the service; so nothing is ever carried out by them."""
    plain = [argument for argument in action.arguments if not argument.variadic]
    yield [], {"no such argument": 1}
    yield [], {"self": 1}
    if len(plain) == len(action.arguments):
        yield ["x"] * (len(plain) + 1), {}
    if any(argument.required for argument in plain):
        yield [], {}
    for argument in plain:
        if argument.type != "json":
            yield [], {argument.name: {"$gt": ""}}
            yield [], {argument.name: ["../.."]}
    if plain:
        yield ["x"], {plain[0].name: "x"}
    for argument in action.arguments:
        if argument.variadic and argument.type != "json":
            yield [*["x"] * len(plain), {"$gt": ""}], {}


def _own_classes(cls: type) -> list[type]:
    """The driver's own classes: not those that every driver has."""
    return [base for base in cls.__mro__ if base not in (*PushedDriver.__mro__, *_Plain.__mro__)]


class _Plain(ExecutionDriver, PollingDriver):
    """What every polling and executing driver has."""

    def fetch(self, wanted: frozenset[str]) -> Mapping[str, Any]:
        return {}


def _plain_instance() -> DataSourceDriver:
    return _Plain("plain")


def _private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and not name.startswith("_abc_")
