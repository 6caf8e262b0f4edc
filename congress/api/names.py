# SPDX-License-Identifier: Apache-2.0
"""The names on the bus that the API calls."""

from typing import Final

POLICY: Final = "policy"  # the policy runtime
MANAGER: Final = "_drivers"  # the manager of the cloud services
LIBRARY: Final = "_library"  # the policy library
LEDGER: Final = "executions"  # the ledger of executions

OWN: Final = frozenset({POLICY, MANAGER, LIBRARY, LEDGER})
"""Parts of the daemon: where one is not on the bus, nothing is wrong with the request."""
