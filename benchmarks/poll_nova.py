# SPDX-License-Identifier: Apache-2.0
"""What a poll of many Nova servers costs when few of them changed.

    python benchmarks/poll_nova.py [--servers 100000] [--changed 10] [--rounds 5] [--json FILE]

A Nova API server on loopback, in a process of its own, gives pages of 1000 servers with one address each and tags.
The driver runs on a bus as in the daemon; its tables ``servers``, ``servers.addresses`` and ``tags`` are wanted (in
one case ``servers`` alone).
All times are CPU times of the driver's one thread, so that the other process and the machine's other work do not
count.  The poll is taken apart: HTTP (requests, sockets), JSON (decoding), and the rest, which is what this program
adds: translating objects to rows, finding the difference, publishing it.
"""

import argparse
import gc
import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from congress.cloudservices import openstack
from congress.cloudservices.nova import NovaDriver
from tests.cloudservices.fake_openstack import PASSWORD
from tests.cloudservices.running import Running, running

ROOT = Path(__file__).parent.parent
TABLES = "servers,servers.addresses,tags"
Figures = dict[str, float]


class Cloud:
    """The API server's process."""

    def __init__(self, servers: int) -> None:
        command = [sys.executable, "-m", "tests.cloudservices.fake_openstack", "--servers", str(servers)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.url = self._line()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def touch(self, count: int, status: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"touch {count} {status}\n")
        assert self._line() == "touched"

    def stop(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(30)

    def config(self, **more: Any) -> dict[str, Any]:
        login = {"username": "congress", "password": PASSWORD, "project_name": "admin"}
        return {"auth_url": f"{self.url}/identity/v3", **login, "poll_time": 0, "poll_timeout": 3600, **more}


class Clock:
    """CPU time of this thread spent in functions that are wrapped."""

    def __init__(self) -> None:
        self.spent: Figures = {}

    @contextmanager
    def around(self, owner: Any, name: str, label: str) -> Iterator[None]:
        wrapped: Callable[..., Any] = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.thread_time()
            try:
                return wrapped(*args, **kwargs)
            finally:
                self.spent[label] = self.spent.get(label, 0.0) + time.thread_time() - began

        setattr(owner, name, timed)
        try:
            yield
        finally:
            setattr(owner, name, wrapped)


class TimedJson:
    """orjson, with its decoding timed: the driver's module sees it under orjson's name."""

    def __init__(self) -> None:
        self.loads = openstack.orjson.loads


def on_worker(service: Running, task: Callable[[], Figures]) -> Figures:
    """Run something on the driver's thread."""
    done, gave = threading.Event(), [Figures()]

    def run() -> None:
        try:
            gave[0] = task()
        finally:
            done.set()

    service.driver.submit(run)
    assert done.wait(3600)
    return gave[0]


def poll(service: Running) -> Figures:
    """One poll; what it cost."""
    driver = service.driver
    assert isinstance(driver, NovaDriver)

    def timed() -> Figures:
        clock, decoder = Clock(), TimedJson()
        before, wall, began = openstack.orjson, time.perf_counter(), time.thread_time()
        openstack.orjson = decoder  # type: ignore[assignment]  # for the time of this poll
        try:
            with clock.around(decoder, "loads", "json"), clock.around(driver.api.adapter, "request", "http"):
                driver.poll_now()
        finally:
            openstack.orjson = before
        total = time.thread_time() - began
        rest = total - sum(clock.spent.values())
        return {**clock.spent, "rest": rest, "total": total, "wall": time.perf_counter() - wall}

    figures = on_worker(service, timed)
    status = service.status()
    assert not status["last_error"], status["last_error"]
    return figures


def with_novaclient(service: Running) -> Figures:
    """The yardstick: novaclient's own list of servers, which a driver would still have to translate."""
    driver = service.driver
    assert isinstance(driver, NovaDriver)

    def timed() -> Figures:
        nova, began = driver.compute.nova(), time.thread_time()
        found = nova.servers.list(search_opts={"all_tenants": 1}, limit=-1)
        return {"total": time.thread_time() - began, "servers": float(len(found))}

    return on_worker(service, timed)


def measure(cloud: Cloud, args: argparse.Namespace) -> dict[str, Figures]:
    results: dict[str, Figures] = {}
    states = itertools.cycle(("PAUSED", "ACTIVE"))
    for name, mode, tables in (
        ("all read", "never", TABLES),
        ("all, servers only", "never", "servers"),
        ("changed ones read", "always", TABLES),
    ):
        config = cloud.config(eager_tables=tables, incremental=mode)
        with running(NovaDriver("nova", config)) as service:
            first = poll(service)
            assert len(service.driver.table_rows("servers")) == args.servers
            rounds = []
            for state in itertools.islice(states, args.rounds):
                cloud.touch(args.changed, state)
                before = set(service.driver.table_rows("servers"))
                rounds.append(poll(service))
                new = set(service.driver.table_rows("servers")) - before
                assert len(new) == args.changed
                assert {row[3] for row in new} == {state}
            if not results:
                results["first poll"] = first
                results["novaclient's list"] = with_novaclient(service)
            results[name] = {key: median(figures.get(key, 0.0) for figures in rounds) for key in first}
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", type=int, default=100_000)
    parser.add_argument("--changed", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=float, default=2.0, help="seconds of CPU that the rest may cost")
    parser.add_argument("--json", type=Path, help="write the figures there")
    args = parser.parse_args()
    # As the daemon has it: the collector of cycles seldom looks through a heap that has hardly any.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    cloud = Cloud(args.servers)
    try:
        results = measure(cloud, args)
    finally:
        cloud.stop()
    print(f"{args.servers} servers, {args.changed} changed; CPU seconds of the driver's thread\n")
    print(f"{'':20}{'HTTP':>8}{'JSON':>8}{'rest':>8}{'total':>8}{'clock':>8}")
    for name, figures in results.items():
        cells = (figures.get(key) for key in ("http", "json", "rest", "total", "wall"))
        print(f"{name:20}" + "".join(f"{'' if cell is None else format(cell, '.3f'):>8}" for cell in cells))
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")
    return 0 if results["all read"]["rest"] <= args.limit else 1


if __name__ == "__main__":
    sys.exit(main())
