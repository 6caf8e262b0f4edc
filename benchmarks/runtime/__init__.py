# SPDX-License-Identifier: Apache-2.0
"""The policy runtime on its bus: ``python -m benchmarks.runtime.push_to_action`` and ``... .start``."""
