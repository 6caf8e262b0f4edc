# SPDX-License-Identifier: Apache-2.0
"""The policy language and its incremental engine: data in, deltas out.

No I/O, no threads, no clock and no import from the rest of the package.
"""
