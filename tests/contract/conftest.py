# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterator

import pytest

from tests.server.daemon import Server, serving


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The real daemon, over HTTP, on a SQLite of its own; names in it are each case's own."""
    with serving(tmp_path_factory.mktemp("state")) as made:
        yield made
        errors = [line for line in made.log if line["level"] == "ERROR"]
        # One test has a service that cannot be reached, to see that this is told.
        assert [line for line in errors if "service=w22 " not in line["message"]] == []
        assert made.other == []
