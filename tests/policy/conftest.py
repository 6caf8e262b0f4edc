# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterator

import pytest

from tests.policy.world import World


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()
