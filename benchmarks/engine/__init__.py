# SPDX-License-Identifier: Apache-2.0
"""The engine against others on the same work: ``python -m benchmarks.engine``."""
