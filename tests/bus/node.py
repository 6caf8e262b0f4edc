# SPDX-License-Identifier: Apache-2.0
"""A process with a publisher, a subscriber and a worker, for a test to kill: ``python -m tests.bus.node URL
BUS_ID``.

Says ``ready`` when all are on the bus; its publisher ``far`` then publishes without end, its subscriber
``far-mirror`` subscribes to ``tables``.
"""

import sys
import time

from tests.bus.services import Mirror, Tables, TestBus, Worker


def main() -> None:
    """Run until killed."""
    url, bus_id = sys.argv[1:]
    bus = TestBus(url, bus_id=bus_id, node_id="far", heartbeat_interval=0.1, peer_timeout=1.5)
    bus.start()
    tables, mirror, worker = Tables("far"), Mirror("far-mirror"), Worker("far-worker")
    for service in (tables, mirror, worker):
        bus.add(service)
    mirror.subscribe("tables", "t")
    print("ready", flush=True)
    number = 0
    while True:
        number += 1
        tables.put("numbers", (number,))
        tables.take("numbers", (number - 5,))
        time.sleep(0.002)


if __name__ == "__main__":
    main()
