# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterator

import pytest

from tests.server.daemon import Server, serving


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One daemon for the tests that leave it running; names in it are each test's own."""
    with serving(tmp_path_factory.mktemp("state")) as made:
        yield made
        errors = [line for line in made.log if line["level"] == "ERROR"]
        assert errors == []
        assert made.other == []
