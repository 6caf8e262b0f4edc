# SPDX-License-Identifier: Apache-2.0
"""Congress: cloud state as tables, Datalog policies over it, safe actions from it."""

__version__ = "0.1.0"
