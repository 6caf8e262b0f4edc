# SPDX-License-Identifier: Apache-2.0
"""Working on policies without a daemon: reading files, checking, evaluating, testing and timing them."""
