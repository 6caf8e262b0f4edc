# SPDX-License-Identifier: Apache-2.0
"""A whole driver without a cloud: what a real one looks like, and a stand-in for one in tests.

Its service is an object in memory, :attr:`FakeDriver.cloud`. Tests change it, slow it down, make it fail,
and look at what was asked of it.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from congress.bus.service import exposed
from congress.cloudservices import rows as shapes
from congress.cloudservices.datasource_driver import Rows
from congress.cloudservices.errors import Unavailable
from congress.cloudservices.execution_driver import ExecutionDriver, action
from congress.cloudservices.options import Option
from congress.cloudservices.polling_driver import PollingDriver
from congress.datalog.schema import Column, TableSchema
from congress.datalog.values import Value


class FakeUnavailable(Unavailable):
    """The fake cloud was told to fail."""

    code = "fake_unavailable"


@dataclass(slots=True)
class FakeCloud:
    """The service behind a fake driver.  Any thread.

    :ivar things: names by id; what ``fake_table`` shows.
    :ivar failures: so many of the next requests fail, then it works again.
    :ivar error: what they fail with.
    :ivar latency: seconds that every request takes.
    :ivar requests: how often it was read.
    :ivar calls: the actions that it carried out, each (name, arguments).
    """

    things: dict[str, str] = field(default_factory=dict)
    failures: int = 0
    error: Exception = field(default_factory=FakeUnavailable)
    latency: float = 0.0
    requests: int = 0
    calls: list[tuple[str, tuple[Value, ...]]] = field(default_factory=list)

    def request(self) -> None:
        """Take its time, and fail if told to."""
        self.requests += 1
        if self.latency:
            time.sleep(self.latency)
        if self.failures > 0:
            self.failures -= 1
            raise self.error

    def read(self) -> list[tuple[str, str]]:
        """Its things."""
        self.request()
        return list(self.things.items())

    def call(self, name: str, *arguments: Value) -> None:
        """Carry out an action."""
        self.request()
        self.calls.append((name, arguments))


class FakeDriver(ExecutionDriver, PollingDriver):
    """Publishes and changes the things of a cloud in memory."""

    NAME: ClassVar[str] = "fake"
    DESCRIPTION: ClassVar[str] = "A cloud in memory, for trying things out and for tests"
    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("things", "object", description="The things it has at the start: names by id."),
        Option("latency", "number", default=0.0, minimum=0, maximum=60, description="Seconds each request takes."),
        Option("username", description="Accepted, as by real clouds; means nothing."),
        Option("password", secret=True, description="Accepted, as by real clouds; means nothing."),
    )
    TABLES: ClassVar[Mapping[str, TableSchema]] = {
        "fake_table": TableSchema(
            (
                Column("id", "string", False, "id of the thing"),
                Column("name", "string", True, "its name"),
            ),
            "Everything in the fake cloud.",
        )
    }

    def configure(self) -> None:
        things = {str(key): str(name) for key, name in (self.config["things"] or {}).items()}
        self.cloud = FakeCloud(things, latency=self.config["latency"])

    def fetch(self, wanted: frozenset[str]) -> Mapping[str, Rows]:
        return {"fake_table": self.cloud.read()}

    @action("fake_act", effects=("fake_table",))
    def fake_act(self, *arguments: Value) -> None:
        """Do nothing but be remembered.

        :param arguments: anything
        """
        self.cloud.call("fake_act", *arguments)

    @action("things.rename", effects=("fake_table",), idempotent=True)
    def rename(self, thing: str, name: str | None = None) -> dict[str, str | None]:
        """Give a thing another name, or make it.

        :param thing: id of the thing
        :param name: its new name; null takes the thing away
        """
        self.cloud.call("things.rename", thing, name)
        if name is None:
            self.cloud.things.pop(thing, None)
        else:
            self.cloud.things[thing] = name
        return {"id": thing, "name": name}

    @action("things.count", changes=False)
    def count(self) -> int:
        """How many things there are."""
        self.cloud.call("things.count")
        return len(self.cloud.things)

    @exposed
    def put_rows(self, table: str, rows: object) -> bool:
        """Have the cloud hold just these things; they are published at once.

        Real polled services refuse this.
        """
        parsed = shapes.parse(table, self.schema_of(table), rows)
        self.cloud.things = {str(row[0]): str(row[1]) for row in parsed}
        return self.replace_rows({table: list(self.cloud.things.items())})
