# SPDX-License-Identifier: Apache-2.0
"""For tests of drivers: conformance checks, a driver on a bus of its own, stores in memory.

This is public: what is named here stays.
"""

from congress.cloudservices.conformance import DriverConformance, check_driver
from congress.cloudservices.fake import FakeCloud, FakeDriver, FakeUnavailable
from congress.cloudservices.harness import RunningDriver, running
from congress.cloudservices.noop import NoopDriver
from congress.cloudservices.store import MemoryRowStore, MemoryStore, ServiceDefinition

__all__ = [
    "DriverConformance",
    "FakeCloud",
    "FakeDriver",
    "FakeUnavailable",
    "MemoryRowStore",
    "MemoryStore",
    "NoopDriver",
    "RunningDriver",
    "ServiceDefinition",
    "check_driver",
    "running",
]
