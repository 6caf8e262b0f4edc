# SPDX-License-Identifier: Apache-2.0
"""What a test needs of the machine: skip loudly where it is missing, fail where it must be there."""

import os
from typing import NoReturn

import pytest


def required(name: str) -> bool:
    """Whether ``CONGRESS_REQUIRE`` (a comma-separated list; CI sets ``broker,database``) names it."""
    return name in {item.strip() for item in os.environ.get("CONGRESS_REQUIRE", "").split(",")}


def require_or_skip(name: str, reason: str) -> NoReturn:
    """Call it when something is missing: skips the test, or fails it where this thing is required."""
    if required(name):
        pytest.fail(f"{name} is required here (CONGRESS_REQUIRE) but: {reason}", pytrace=False)
    pytest.skip(f"SKIPPED for want of a {name}: {reason}")
