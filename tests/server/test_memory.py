# SPDX-License-Identifier: Apache-2.0
"""Many rows are sent without room for all of them: what the server's memory grows by is a fraction of what it sends."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.daemon import Server, serving

ROWS = 100_000
BATCH = 10_000
TEXT = "x" * 250 + "~"
NDJSON = "application/x-ndjson"
SERVICE = "/v1/cloud-services/store/tables/things/rows"
POLICY = "/v1/policies/all/tables/thing/rows"

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("state")) as made:
        config = {"tables": {"things": ["id", "text", "n"]}}
        made.ok("POST", "/v1/cloud-services", {"name": "store", "driver": "push", "config": config})
        rule = {"rule": "thing(i, t, n) :- store:things(i, t, n)"}
        made.ok("POST", "/v1/policies", {"name": "all", "rules": [rule]})
        for start in range(0, ROWS, BATCH):
            rows = [[f"id-{n:07}", TEXT, n] for n in range(start, start + BATCH)]
            made.ok("POST", SERVICE, {"insert": rows})
        while len(made.ok("GET", f"{POLICY}?fields=n")["results"]) < ROWS:
            pass
        yield made


def taken(server: Server, path: str, accept: str) -> tuple[int, int]:
    """How many rows and bytes came, read as they come and kept nowhere."""
    connection = server.connect(timeout=120)
    connection.request("GET", path, headers={"Accept": accept})
    answer = connection.getresponse()
    assert answer.status == 200
    assert answer.headers["Transfer-Encoding"] == "chunked"
    rows = size = 0
    while piece := answer.read(65536):
        rows += piece.count(b"~")  # the end of each row's text
        size += len(piece)
    connection.close()
    return rows, size


def kilobytes(server: Server, what: str) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith(what)).split()[1])


@pytest.mark.parametrize("path", [SERVICE, POLICY], ids=["service", "policy"])
@pytest.mark.parametrize("accept", ["application/json", NDJSON])
def test_memory_stays_flat(server: Server, path: str, accept: str) -> None:
    first = taken(server, path, accept)
    assert first[0] == ROWS
    assert first[1] > 25_000_000
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5", encoding="ascii")  # forgets the peak so far
    before = kilobytes(server, "VmRSS")
    found: list[tuple[int, int]] = []
    clients = [threading.Thread(target=lambda: found.append(taken(server, path, accept))) for _ in range(3)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert found == [first] * 3
    grown = kilobytes(server, "VmHWM") - before
    print(f"{path} {accept}: {before} kB, grown by {grown} kB for 3 x {first[1] // 1024} kB")
    assert grown < 3 * first[1] / 1024 / 5
