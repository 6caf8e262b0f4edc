# SPDX-License-Identifier: Apache-2.0
"""Starting and stopping the daemon.  A start costs seconds on a busy machine, so each test makes much of its own."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.server.daemon import Server, serving

NOT_FOR_A_START = {  # on the in-process bus, with a database that is up to date and no service of these kinds
    *("amqp.connection", "kombu.connection"),
    *("jinja2.environment", "pygments.lexer"),
    *("alembic.command", "psycopg2._psycopg", "pymysql.connections"),
    *("openstack.connection", "novaclient.client"),
    *("jsonpath_ng.jsonpath", "prometheus_client.registry"),
}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The server with arguments that end it at once."""
    command = [sys.executable, "-m", "congress.cmd.server", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_what_was_made_is_there_after_kill(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        config = {"tables": {"t": ["x"]}, "persist": True}
        server.ok("POST", "/v1/cloud-services", {"name": "kept", "driver": "push", "config": config})
        server.ok("PUT", "/v1/cloud-services/kept/tables/t/rows", [[1], [2]])
        server.ok("POST", "/v1/policies", {"name": "p", "rules": [{"rule": "big(x) :- kept:t(x), x > 1"}]})
        rules = [{"rule": f"p{n}(x) :- s:t(x, y), q{n}(y), not r{n}(x)"} for n in range(1000)]
        server.ok("POST", "/v1/policies", {"name": "many", "rules": rules})
        server.until("/v1/policies/p/tables/big/rows", [[2]])
        server.process.kill()
        server.process.wait(10)
    with serving(tmp_path, environment={"PYTHONPROFILEIMPORTTIME": "1"}) as server:
        loaded = {line.rpartition("|")[2].strip() for line in server.other}
        assert {"congress.bus.oslo", "oslo_messaging.transport", "pecan.core", "sqlalchemy.engine"} <= loaded
        assert loaded & NOT_FOR_A_START == set()
        # The promise is 2 s in all on a free machine; this one may be busy with other tests.
        assert time.monotonic() - server.began < 15
        assert server.event("policy.loaded")["rules"] == 1001
        assert server.event("policy.loaded")["seconds"] < 3
        server.until("/v1/policies/p/tables/big/rows", [[2]])
        # A stream that is open does not hold up the end.
        connection = server.connect()
        connection.request("GET", "/v1/stream?table=congress:services")
        assert connection.getresponse().status == 200
        began = time.monotonic()
        assert server.stop(signal.SIGTERM) == 0
        assert time.monotonic() - began < 2.5
        assert server.event("server.stopped")["clean"] is True
        connection.close()
    for secret in ("keys", "congress.sqlite"):
        assert (tmp_path / secret).stat().st_mode & 0o077 == 0


SLOW = {"name": "slow", "driver": "fake", "config": {"latency": 30}}


def keep_busy(server: Server) -> None:
    """An action that takes half a minute."""
    server.ok("POST", "/v1/cloud-services", SLOW)
    server.ok("POST", "/v1/cloud-services/slow?action=execute", {"name": "things.rename", "args": ["a"]})
    time.sleep(0.3)


def test_a_busy_service_does_not_hold_up_the_end(tmp_path: Path) -> None:
    file = tmp_path / "congress.conf"
    file.write_text("[api]\nmax_body_size = 2000\n", encoding="utf-8")
    with serving(tmp_path, "--config-file", str(file), environment={"OS_API__MAX_STREAMS": "0"}) as server:
        assert server.request("POST", "/v1/policies", b'"' + b"x" * 3000 + b'"')[0] == 413
        assert server.request("GET", "/v1/stream?table=congress:services")[0] == 503
        keep_busy(server)
        began = time.monotonic()
        assert server.stop(signal.SIGINT) == 0
        assert time.monotonic() - began < 3
        assert server.event("server.stopped")["clean"] is False


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        keep_busy(server)
        server.process.send_signal(signal.SIGHUP)
        server.process.send_signal(signal.SIGTERM)  # comes with the first: the same wish
        server.event("server.stopping")
        time.sleep(0.7)
        assert server.process.poll() is None
        assert server.stop(signal.SIGINT) == 128 + signal.SIGINT


def test_port_in_use(server: Server, tmp_path: Path) -> None:
    done = run("--bind-port", str(server.address[1]), "--state-path", str(tmp_path))
    assert done.returncode == 1
    assert "--bind-port" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_log_follows_a_request(server: Server) -> None:
    _, _, headers = server.request("POST", "/v1/policies", {"name": "logged"})
    request_id = headers["X-Openstack-Request-Id"]
    deadline = time.monotonic() + 5
    while not (lines := [line for line in server.log if line.get("request_id") == request_id]):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert lines[-1]["event"] == "request.finished"
    assert (lines[-1]["method"], lines[-1]["path"], lines[-1]["status"]) == ("POST", "/v1/policies", 201)


def test_a_second_daemon_on_the_same_folder_does_not_start(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        second = run("--bind-port", "0", "--state-path", str(tmp_path))
        assert second.returncode == 1
        assert "Congress is running already" in second.stderr
        assert "--state-path" in second.stderr
        assert server.ok("GET", "/health/live")
        server.process.kill()
        server.process.wait(10)
    with serving(tmp_path) as server:
        assert server.ok("GET", "/health/live"), "what was killed holds nothing"
