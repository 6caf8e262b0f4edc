# SPDX-License-Identifier: Apache-2.0
"""A real database goes away under the daemon and comes back: what can wait waits, what cannot says so, and all of it
recovers by itself.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.databases import empty_database
from tests.server.daemon import Server, serving
from tests.server.test_story import execution_of


class PostgreSQL:
    """Refuses one of its databases to everybody, and cuts those who use it."""

    def __init__(self, url: sa.URL) -> None:
        self.url = url
        self._name = url.database
        elsewhere = url.set(drivername="postgresql+psycopg2", database="template1")
        self._server = sa.create_engine(elsewhere, isolation_level="AUTOCOMMIT")

    def begin(self) -> None:
        self._do(f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS false")
        self._do(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self._name}'")

    def end(self) -> None:
        self._do(f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS true")

    def close(self) -> None:
        self._server.dispose()

    def _do(self, statement: str) -> None:
        with self._server.connect() as connection:
            connection.execute(sa.text(statement))


class MySQL:
    """Locks the account of one of its users out, and cuts its connections."""

    def __init__(self, url: sa.URL) -> None:
        self._user = str(url.database)  # unique, as a user should be
        self.url = url.set(username=self._user, password="sesame")
        elsewhere = url.set(drivername="mysql+pymysql", database="mysql")
        self._server = sa.create_engine(elsewhere, isolation_level="AUTOCOMMIT")
        self._do(f"CREATE USER '{self._user}'@'%' IDENTIFIED BY 'sesame'")
        self._do(f"CREATE USER '{self._user}'@'localhost' IDENTIFIED BY 'sesame'")
        for host in ("%", "localhost"):
            self._do(f"GRANT ALL ON {url.database}.* TO '{self._user}'@'{host}'")

    def begin(self) -> None:
        for host in ("%", "localhost"):
            self._do(f"ALTER USER '{self._user}'@'{host}' ACCOUNT LOCK")
        self._do(f"KILL HARD USER '{self._user}'@'localhost'")
        with self._server.connect() as connection:
            query = sa.text("SELECT id FROM information_schema.processlist WHERE user = :user")
            for (number,) in connection.execute(query, {"user": self._user}).all():
                connection.execute(sa.text(f"KILL {number}"))

    def end(self) -> None:
        for host in ("%", "localhost"):
            self._do(f"ALTER USER '{self._user}'@'{host}' ACCOUNT UNLOCK")

    def close(self) -> None:
        for host in ("%", "localhost"):
            self._do(f"DROP USER '{self._user}'@'{host}'")
        self._server.dispose()

    def _do(self, statement: str) -> None:
        with self._server.connect() as connection:
            connection.execute(sa.text(statement))


@contextmanager
def outages(backend: str, folder: Path) -> Iterator[Any]:
    """A database that can be taken away."""
    with empty_database(backend, folder) as text:
        made = {"postgresql": PostgreSQL, "mysql": MySQL}[backend](sa.make_url(text))
        try:
            yield made
        finally:
            made.end()
            made.close()


@pytest.mark.database
@pytest.mark.parametrize("backend", ["postgresql", "mysql"])
def test_an_outage(tmp_path: Path, backend: str) -> None:
    with outages(backend, tmp_path) as outage:
        environment = {"OS_DATABASE__CONNECTION": outage.url.render_as_string(hide_password=False)}
        with serving(tmp_path, environment=environment) as server:
            prepare(server)
            outage.begin()
            during(server)
            outage.end()
            after(server)
            before = server.ok("GET", "/v1/policies/care/rules")
            assert server.stop() == 0
            told(server)
            outage.begin()
            cannot_start(tmp_path, environment)
            outage.end()
        with serving(tmp_path, environment=environment) as server:
            assert server.ok("GET", "/v1/policies/care/rules") == before
            server.until("/v1/cloud-services/kept/tables/servers/rows", [["k-2", "bob"]])


def prepare(server: Server) -> None:
    tables = {"tables": {"servers": ["id", "owner"]}}
    server.ok("POST", "/v1/cloud-services", {"name": "inventory", "driver": "push", "config": tables})
    kept = {**tables, "persist": True}
    server.ok("POST", "/v1/cloud-services", {"name": "kept", "driver": "push", "config": kept})
    server.ok("POST", "/v1/cloud-services", {"name": "cloud", "driver": "fake", "config": {"things": {"a": "old"}}})
    rules = [
        {"name": "first", "rule": "error(s) :- inventory:servers(id=s, owner=null)"},
        {"name": "second", "rule": 'execute[cloud:things.rename("a", s)] :- error(s)'},
    ]
    server.ok("POST", "/v1/policies", {"name": "care", "rules": rules})
    server.ok("PUT", "/v1/cloud-services/kept/tables/servers/rows", [["k-1", "ann"]])


REQUESTS: list[tuple[str, str, Any]] = [
    ("POST", "/v1/policies", {"name": "more"}),
    ("POST", "/v1/policies/care/rules", {"rule": "p(1)"}),
    ("DELETE", "/v1/policies/care/rules/first", None),
    ("DELETE", "/v1/policies/care", None),
    ("POST", "/v1/cloud-services", {"name": "other", "driver": "fake"}),
    ("DELETE", "/v1/cloud-services/cloud", None),
    ("PUT", "/v1/cloud-services/kept/tables/servers/rows", [["k-2", "bob"]]),
    ("POST", "/v1/cloud-services/cloud?action=execute", {"name": "things.rename", "args": ["b", "B"]}),
]


def during(server: Server) -> None:
    for method, path, body in REQUESTS:
        status, found, headers = server.request(method, path, body)
        assert (status, found["error"]["error_code"]) == (503, 503), (method, path, found)
        assert "database does not answer" in found["error"]["message"]
        assert headers["Retry-After"]
    # Nothing of it happened.
    assert [rule["name"] for rule in server.ok("GET", "/v1/policies/care/rules")["results"]] == ["first", "second"]
    assert "cloud" in [service["name"] for service in server.ok("GET", "/v1/cloud-services")["results"]]
    server.until("/v1/cloud-services/kept/tables/servers/rows", [["k-1", "ann"]])
    # Rows come, are evaluated and can be read; what follows from them is not done before it is written down.
    server.ok("PUT", "/v1/cloud-services/inventory/tables/servers/rows", [["web-1", "ann"], ["web-2", None]])
    server.until("/v1/policies/care/tables/error/rows", [["web-2"]])
    assert server.request("GET", "/health/ready")[0] == 200
    server.until("/v1/cloud-services/cloud/tables/fake_table/rows", [["a", "old"]])


def after(server: Server) -> None:
    # By itself: the action of the row that came during the outage.
    deadline = time.monotonic() + 60
    while not (found := server.ok("GET", "/v1/executions")["results"]) or found[0]["state"] != "succeeded":
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    assert len(found) == 1
    server.ok("POST", "/v1/cloud-services/cloud?action=request-refresh")
    server.until("/v1/cloud-services/cloud/tables/fake_table/rows", [["a", "web-2"]])
    # And by hand.
    server.ok("POST", "/v1/policies/care/rules", {"rule": "p(1)", "name": "third"})
    server.ok("PUT", "/v1/cloud-services/kept/tables/servers/rows", [["k-2", "bob"]])
    status, _, headers = server.request("POST", *REQUESTS[-1][1:])
    assert status == 204
    assert execution_of(server, headers)["state"] == "succeeded"


def told(server: Server) -> None:
    """The log says it once for each way to the database, and there are no faults and no secrets in it."""
    events = [line.get("event") for line in server.log]
    assert events.count("db.unavailable") == events.count("db.recovered") == 1
    assert "service.fault" not in events
    assert [line for line in server.log if "traceback" in line] == []
    assert "sesame" not in repr(server.log)


def cannot_start(folder: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "congress.cmd.server", "--bind-port", "0", "--state-path", str(folder)]
    done = subprocess.run(
        command,
        env={**environment, "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "cannot use the database or its keys: the database does not answer" in done.stderr
    assert "Traceback" not in done.stderr
    assert "sesame" not in done.stderr
