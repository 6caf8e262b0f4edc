# SPDX-License-Identifier: Apache-2.0
"""The drivers that are installed: found by their entry points, imported when they are first asked for."""

import inspect
import logging
from collections.abc import Collection, Mapping
from typing import Any, Final

from stevedore import driver as stevedore_driver
from stevedore import exception as stevedore_errors
from stevedore import named as stevedore_named

from congress.cloudservices.datasource_driver import DataSourceDriver
from congress.cloudservices.errors import DriverError, DriverNotFound
from congress.cloudservices.execution_driver import ExecutionDriver
from congress.cloudservices.polling_driver import PollingDriver
from congress.cloudservices.pushed_driver import PushedDriver
from congress.cloudservices.signatures import Action
from congress.datalog.schema import TableSchema

LOG = logging.getLogger(__name__)

NAMESPACE: Final = "congress.datasource.drivers"


class DriverCatalog:
    """Driver classes by name: those of the entry points ``congress.datasource.drivers``, and those given.

    Any thread.  A driver that cannot be imported is reported once in the log and at every use of it; the
    others are not touched by it.
    """

    def __init__(
        self, classes: Mapping[str, type[DataSourceDriver]] | None = None, disabled: Collection[str] = ()
    ) -> None:
        """
        :param classes: drivers beside the installed ones; they go before those of the same name.
        :param disabled: drivers that are as if they were not there.
        """
        self._classes: dict[str, type[DataSourceDriver]] = dict(classes or {})
        self._disabled = frozenset(disabled)
        self._given = frozenset(self._classes)
        self._broken: dict[str, str] = {}

    def names(self) -> list[str]:
        """The names of all drivers, sorted.  Imports none."""
        found = stevedore_named.NamedExtensionManager(NAMESPACE, names=[])
        return sorted(self._given.union(found.entry_points_names()) - self._disabled)

    def load(self, name: str) -> type[DataSourceDriver]:
        """The class of a driver.

        :raises DriverNotFound: there is no driver of this name.
        :raises DriverError: there is one, but it cannot be imported or is no driver.
        """
        if name not in self._classes:
            self._classes[name] = self._import(name)
        return self._classes[name]

    def _import(self, name: str) -> type[DataSourceDriver]:
        if not isinstance(name, str) or name not in self.names():
            raise DriverNotFound(f"there is no driver {str(name)[:100]!r}; the drivers are: {', '.join(self.names())}")
        try:
            found = stevedore_driver.DriverManager(
                NAMESPACE, name, invoke_on_load=False, on_load_failure_callback=_raise
            ).driver
        except stevedore_errors.MultipleMatches as error:
            raise DriverError(f"several packages install a driver {name!r}") from error
        except BaseException as error:  # a module may call sys.exit
            text = f"driver {name!r} cannot be loaded: {type(error).__name__}: {error}"
            if self._broken.get(name) != text:
                LOG.error("driver.load_failed driver=%s", name, exc_info=error)
            self._broken[name] = text
            raise DriverError(text) from error
        if not isinstance(found, type) or not issubclass(found, DataSourceDriver) or inspect.isabstract(found):
            raise DriverError(f"driver {name!r} cannot be loaded: {found!r:.100} is no driver class")
        return found

    def summaries(self) -> list[dict[str, object]]:
        """Every driver with its description; a broken one with its error.  Imports them all."""
        shown: list[dict[str, object]] = []
        for name in self.names():
            try:
                shown.append({"id": name, "description": self.load(name).DESCRIPTION})
            except DriverError as error:
                shown.append({"id": name, "description": "", "error": error.message})
        return shown

    def describe(self, name: str) -> dict[str, object]:
        """All about a driver, as plain JSON types.  :raises DriverNotFound: as :meth:`load`."""
        cls = self.load(name)
        options = cls.options()
        return {
            "id": name,
            "name": cls.NAME,
            "description": cls.DESCRIPTION,
            "kind": kind_of(cls),
            "config": {option.name: "required" if option.required else "(optional)" for option in options},
            "secret": [option.name for option in options if option.secret],
            "options": [option.to_dict() for option in options],
            "tables": tables_to_json(cls.TABLES),
            "actions": [action_to_json(action) for action in actions_of(cls)],
        }


def _raise(_manager: object, _entry_point: object, error: BaseException) -> None:
    raise error


def kind_of(cls: type[DataSourceDriver]) -> str:
    """How the driver's rows come: ``polling``, ``pushed`` or ``other``."""
    if issubclass(cls, PollingDriver):
        return "polling"
    return "pushed" if issubclass(cls, PushedDriver) else "other"


def actions_of(cls: type[DataSourceDriver]) -> list[Action]:
    """The actions that every service of this driver has."""
    if not issubclass(cls, ExecutionDriver):
        return []
    return [declared.action for _, declared in sorted(cls.listed_actions().items())]


def tables_to_json(tables: Mapping[str, TableSchema]) -> list[dict[str, Any]]:
    """Schemas for machines: ``[{"table_id", "description", "columns": [{"name", "type", ...}]}]``."""
    return [
        {
            "table_id": name,
            "description": schema.description,
            "columns": [
                {
                    "name": column.name,
                    "type": column.type,
                    "nullable": column.nullable,
                    "description": column.description,
                }
                for column in schema.columns
            ],
        }
        for name, schema in tables.items()
    ]


def action_to_json(action: Action) -> dict[str, object]:
    """An action for machines; its arguments are under ``args``, as clients know them."""
    shown = action.to_dict()
    shown["args"] = shown.pop("arguments")
    return shown
