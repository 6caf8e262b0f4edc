# SPDX-License-Identifier: Apache-2.0
"""Scenarios: one for each action of a driver."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from tests.cloudservices.running import Running
from tests.openstack.raw import Raw, wait
from tests.openstack.stage import Stage


class Play:
    """One scenario at work: the driver, and the cloud."""

    def __init__(self, service: Running, stage: Stage) -> None:
        self.service, self.stage = service, stage
        self.raw: Raw = stage.raw

    def do(self, action: str, *args: Any, **named: Any) -> Any:
        """Execute; what it changes is not so before and is so afterwards, as far as ``verify`` can tell."""
        before = self.service.verify(action, *args, **named)
        assert before != "done", f"{action} is done already"
        gave = self.service.execute(action, *args, **named)
        if before == "not_done":
            wait(f"{action} done", lambda: self.service.verify(action, *args, **named) == "done")
        return gave


P = TypeVar("P", bound=Play)


class Scenarios(dict[str, Callable[[P], None]], Generic[P]):
    """What is done with each action, and how it is seen."""

    def __call__(self, action: str) -> Callable[[Callable[[P], None]], Callable[[P], None]]:
        def mark(function: Callable[[P], None]) -> Callable[[P], None]:
            assert action not in self, action
            self[action] = function
            return function

        return mark
