# SPDX-License-Identifier: Apache-2.0
"""Options of the test suite."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--programs",
        type=int,
        default=2000,
        help="how many random programs the engine is compared with the naive evaluator on (default: 2000)",
    )
    parser.addoption(
        "--hostile",
        type=int,
        default=0,
        help="how many hostile requests a test of the API makes, others each time (default: a few hundred, the same)",
    )
    parser.addoption("--soak", type=float, default=1200.0, help="seconds of the soak test, with --slow (default: 1200)")
    parser.addoption("--slow", action="store_true", help="also run the tests marked slow")
    parser.addoption("--crash-runs", type=int, help="how many times over the ledger is killed (default: some tens)")
    parser.addoption("--crash-seed", type=int, default=0, help="the first seed of these runs")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="takes minutes; run it with --slow"))
