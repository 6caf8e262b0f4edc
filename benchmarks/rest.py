# SPDX-License-Identifier: Apache-2.0
"""What a request costs: the real server beside a bare WebOb application with the same answers, both under waitress.

    python benchmarks/rest.py [--rounds 5] [--seconds 1] [--connections 1]

The rate per core is requests divided by the CPU seconds that the server's process used for them: on a shared machine
it is the figure to trust, and of several rounds in turns the best one.  Beside it stand the rate by the clock and the
latencies that the clients saw.
The old server's figures are those of OpenStack Congress 11.0.0 on one connection.

Then 100,000 rows are read as they come, as JSON and a line each: how fast that is, and by how much the server's
memory grows meanwhile.
"""

import argparse
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any

import orjson
import waitress
import webob

OLD = {"GET /v1/policies": 238.0, "1,000 rows of a policy table": 10.0, "1,000 rows of a service table": 53.0}
ROWS = 1000
MANY = 100_000
TICKS = os.sysconf("SC_CLK_TCK")

Address = tuple[str, int]


def bare(answers: dict[str, Any]) -> None:
    """Serve documents with WebOb and orjson alone, until killed.  Tells its port on standard output."""

    def application(environ: Any, start: Any) -> Any:
        request = webob.Request(environ)
        body = orjson.dumps(answers[request.path_qs])
        return webob.Response(body=body, content_type="application/json", charset="UTF-8")(environ, start)

    server = waitress.create_server(application, host="127.0.0.1", port=0, threads=72, connection_limit=1000)
    print(server.effective_port, flush=True)
    server.run()


def cpu_of(process: int) -> float:
    """CPU seconds that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def load(address: Address, path: str, seconds: float, connections: int) -> list[float]:
    """Latencies of requests from so many connections, one after another on each."""
    found: list[float] = []

    def client() -> None:
        connection = http.client.HTTPConnection(*address)
        until = time.perf_counter() + seconds
        while (began := time.perf_counter()) < until:
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
            found.append(time.perf_counter() - began)
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def measure(process: int, address: Address, path: str, seconds: float, connections: int) -> dict[str, float]:
    load(address, path, 0.5, connections)
    cpu = cpu_of(process)
    began = time.perf_counter()
    latencies = load(address, path, seconds, connections)
    wall = time.perf_counter() - began
    used = cpu_of(process) - cpu
    cuts = quantiles(latencies, n=100)
    return {
        "cpu_us": used / len(latencies) * 1e6,
        "per_core": len(latencies) / used,
        "per_second": len(latencies) / wall,
        "p50_ms": cuts[49] * 1000,
        "p99_ms": cuts[98] * 1000,
    }


@contextmanager
def running(command: list[str], first: str) -> Iterator[tuple[int, str]]:
    """A process, and the first line of its output that has a text in it."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    try:
        line = next(line for line in process.stdout if first in line)
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield process.pid, line
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def congress(*arguments: str) -> Iterator[tuple[int, Address]]:
    """The real server with 20 policies and tables of a thousand rows."""
    with tempfile.TemporaryDirectory() as state:
        command = [sys.executable, "-m", "congress.cmd.server", "--bind-port", "0", "--state-path", state, *arguments]
        with running([*command, "--log-format", "json"], "server.started") as (process, line):
            url = json.loads(line)["url"]
            send(url, "POST", "/v1/cloud-services", service("cloud"))
            rows = [[f"vm-{n:08}", f"host-{n % 50}", n, n % 2 == 0] for n in range(ROWS)]
            send(url, "PUT", "/v1/cloud-services/cloud/tables/servers/rows", rows)
            rule = "all(id, host, n, on) :- cloud:servers(id, host, n, on)"
            send(url, "POST", "/v1/policies", {"name": "bench", "rules": [{"rule": rule}]})
            for number in range(17):
                send(url, "POST", "/v1/policies", {"name": f"policy{number}", "description": "one of some"})
            while len(fetch(url, "/v1/policies/bench/tables/all/rows")["results"]) < ROWS:
                time.sleep(0.05)
            host, port = url.removeprefix("http://").rsplit(":", 1)
            yield process, (host, int(port))


def service(name: str) -> dict[str, Any]:
    return {"name": name, "driver": "push", "config": {"tables": {"servers": ["id", "host", "n", "on"]}}}


def send(url: str, method: str, path: str, body: Any) -> None:
    data = json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(url + path, data, headers, method=method), timeout=30).close()


def fetch(url: str, path: str) -> Any:
    with urllib.request.urlopen(url + path, timeout=30) as answer:
        return json.load(answer)


def keep(best: dict[str, dict[str, float]], name: str, found: dict[str, float]) -> None:
    """Keep the round that used the least CPU: others were disturbed."""
    if name not in best or found["cpu_us"] < best[name]["cpu_us"]:
        best[name] = found


PATHS = {
    "GET /": "/",
    "GET /v1/policies": "/v1/policies",
    "the same, sorted, cut, filtered": "/v1/policies?sort=name:desc&fields=id,name&kind=nonrecursive&limit=10",
    "one policy": "/v1/policies/bench",
    "its rules": "/v1/policies/bench/rules",
    "its status": "/v1/policies/bench/status",
    "1,000 rows of a policy table": "/v1/policies/bench/tables/all/rows",
    "100 of them, in order": "/v1/policies/bench/tables/all/rows?sort=host,id&limit=100",
    "why one is there": "/v1/policies/bench/tables/all/why?row=%5B%22vm-00000001%22%2C%22host-1%22%2C1%2Cfalse%5D",
    "1,000 rows of a service table": "/v1/cloud-services/cloud/tables/servers/rows",
    "cloud services": "/v1/cloud-services",
    "status of one": "/v1/cloud-services/cloud/status",
    "executions": "/v1/executions?limit=20",
    "health": "/health/live",
    "the OpenAPI document": "/v1/openapi.json",
}


def many(process: int, address: Address) -> None:
    """Read a big table as it comes, and tell what that costs."""
    url = f"http://{address[0]}:{address[1]}"
    send(url, "POST", "/v1/cloud-services", service("big"))
    path = "/v1/cloud-services/big/tables/servers/rows"
    for start in range(0, MANY, 10_000):
        rows = [[f"vm-{n:08}", "host" * 30, n, n % 2 == 0] for n in range(start, start + 10_000)]
        send(url, "POST", path, {"insert": rows})
    print(f"\n{'':32}{'rows/s':>15}{'MB/s':>15}{'MB sent':>15}{'MB more memory':>15}")
    for kind in ("application/json", "application/x-ndjson"):
        take(address, path, kind)
        Path(f"/proc/{process}/clear_refs").write_text("5", encoding="ascii")  # forgets the peak so far
        before, began = memory_of(process, "VmRSS"), time.perf_counter()
        size = take(address, path, kind)
        seconds = time.perf_counter() - began
        grown = memory_of(process, "VmHWM") - before
        figures = (f"{MANY / seconds:.0f}", f"{size / seconds / 1e6:.0f}", f"{size / 1e6:.1f}", f"{grown / 1000:.1f}")
        print("".join([f"{f'{MANY:,} rows, {kind[12:]}':32}", *(f"{figure:>15}" for figure in figures)]))


def take(address: Address, path: str, kind: str) -> int:
    """How many bytes came; none is kept."""
    connection = http.client.HTTPConnection(*address)
    connection.request("GET", path, headers={"Accept": kind})
    answer, size = connection.getresponse(), 0
    while piece := answer.read(65536):
        size += len(piece)
    connection.close()
    return size


def memory_of(process: int, what: str) -> int:
    """Kilobytes."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith(what)).split()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each route is asked")
    parser.add_argument("--connections", type=int, default=1, help="how many clients ask at once")
    parser.add_argument("--rounds", type=int, default=5, help="how often; the best round counts")
    parser.add_argument("--bare", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.bare:
        bare(json.loads(Path(given.bare).read_text(encoding="utf-8")))
        return
    ours: dict[str, dict[str, float]] = {}
    plain: dict[str, dict[str, float]] = {}
    with congress() as (process, address):
        url = f"http://{address[0]}:{address[1]}"
        documents = {path: fetch(url, path) for path in PATHS.values()}
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(documents, file)
            file.flush()
            with running([sys.executable, __file__, "--bare", file.name], "") as (other, line):
                for _ in range(given.rounds):
                    for name, path in PATHS.items():
                        keep(ours, name, measure(process, address, path, given.seconds, given.connections))
                        beside = ("127.0.0.1", int(line))
                        keep(plain, name, measure(other, beside, path, given.seconds, given.connections))
        table(ours, plain)
        many(process, address)


def table(ours: dict[str, dict[str, float]], plain: dict[str, dict[str, float]]) -> None:
    """One line a route."""
    heads = (
        "µs CPU",
        "req/s per core",
        "bare WebOb",
        "of bare",
        "old server",
        "times old",
        "req/s",
        "p50 ms",
        "p99 ms",
        "bare p99 ms",
    )
    print("".join([f"{'':32}", *(f"{head:>15}" for head in heads)]))
    for name in PATHS:
        a, b = ours[name], plain[name]
        figures = (
            f"{a['cpu_us']:.0f}",
            f"{a['per_core']:.0f}",
            f"{b['per_core']:.0f}",
            f"{a['per_core'] / b['per_core']:.0%}",
            f"{OLD[name]:.0f}" if name in OLD else "",
            f"{a['per_core'] / OLD[name]:.1f}" if name in OLD else "",
            f"{a['per_second']:.0f}",
            f"{a['p50_ms']:.2f}",
            f"{a['p99_ms']:.2f}",
            f"{b['p99_ms']:.2f}",
        )
        print("".join([f"{name:32}", *(f"{figure:>15}" for figure in figures)]))


if __name__ == "__main__":
    main()
