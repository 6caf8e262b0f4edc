# SPDX-License-Identifier: Apache-2.0
"""Settings of the random tests: a busy machine is no reason for one to fail."""

from hypothesis import settings

settings.register_profile("datalog", deadline=None)
settings.load_profile("datalog")
