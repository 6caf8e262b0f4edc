# SPDX-License-Identifier: Apache-2.0
"""``congress service ...`` and ``congress driver ...``"""

import argparse
from typing import Any

from congress.cmd.online.base import OnlineCommand, OnlineLister, OnlineShow
from congress.cmd.online.inputs import assignment, document_of
from congress.tools.errors import ToolError

_SERVICE = "the service's name or id"


def _config_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        metavar="NAME=VALUE",
        type=assignment,
        action="append",
        default=[],
        help="an option of its driver, the value as text or JSON; can be repeated",
    )
    parser.add_argument("--config-file", metavar="FILE", help="options of its driver as an object in YAML or JSON")


def _config(parsed_args: argparse.Namespace) -> dict[str, Any]:
    found = document_of(parsed_args.config_file) if parsed_args.config_file else {}
    if not isinstance(found, dict):
        raise ToolError(f"{parsed_args.config_file} holds no options: expected an object")
    return {**found, **dict(parsed_args.config)}


class ListServices(OnlineLister):
    """List cloud services, oldest first."""

    fields_to_filter = ("name", "driver", "enabled", "state", "description", "id")

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        found = self.cloud.cloud_services.list(**self.query(parsed_args))
        return self.table(parsed_args, ("name", "driver", "enabled", "state", "description", "id"), found)


class ShowService(OnlineShow):
    """Show a cloud service; secrets are never shown."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("service", metavar="SERVICE", help=_SERVICE)

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        return self.fields(parsed_args, self.cloud.cloud_services.get(parsed_args.service).raw)


class CreateService(OnlineShow):
    """Add a cloud service and start it.  `congress driver show` tells the options of a driver."""

    repeats = False

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("name", metavar="NAME", help="its name, in rules too")
        parser.add_argument("driver", metavar="DRIVER", help="its driver; `congress driver list` shows them")
        parser.add_argument("--description", metavar="TEXT", default="", help="what it is")
        parser.add_argument("--disabled", action="store_true", help="do not start it yet")
        _config_arguments(parser)

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        made = self.cloud.cloud_services.create(
            parsed_args.name,
            parsed_args.driver,
            config=_config(parsed_args),
            description=parsed_args.description,
            enabled=not parsed_args.disabled,
        )
        return self.fields(parsed_args, made.raw)


class UpdateService(OnlineShow):
    """Change a cloud service; it is started anew.  Options of its driver that are not given stay as they are."""

    repeats = False

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("service", metavar="SERVICE", help=_SERVICE)
        parser.add_argument("--description", metavar="TEXT", help="what it is")
        switch = parser.add_mutually_exclusive_group()
        switch.add_argument("--enable", dest="enabled", action="store_true", default=None, help="start it")
        switch.add_argument(
            "--disable", dest="enabled", action="store_false", default=None, help="stop it, but keep it"
        )
        _config_arguments(parser)

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        services = self.cloud.cloud_services
        config = _config(parsed_args)
        if config:
            config = {**services.get(parsed_args.service).config, **config}
        changed = services.update(
            parsed_args.service,
            config=config or None,
            description=parsed_args.description,
            enabled=parsed_args.enabled,
        )
        return self.fields(parsed_args, changed.raw)


class DeleteService(OnlineCommand):
    """Stop cloud services and forget them."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("services", metavar="SERVICE", nargs="+", help=_SERVICE)

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        return self.each(parsed_args.services, self.cloud.cloud_services.delete)


class RefreshService(OnlineCommand):
    """Have the state of a cloud service read now; this does not wait until it was read."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("service", metavar="SERVICE", help=_SERVICE)

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        self.cloud.cloud_services.refresh(parsed_args.service)


class ServiceStatus(OnlineShow):
    """Show how a cloud service is: whether it runs, when it was read, its last error."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("service", metavar="SERVICE", help=_SERVICE)

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        return self.fields(parsed_args, self.cloud.cloud_services.status(parsed_args.service).raw)


class ServiceSchema(OnlineLister):
    """Show the tables of a cloud service with their columns."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("service", metavar="SERVICE", help=_SERVICE)

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        found = self.cloud.cloud_services.schema(parsed_args.service)
        rows = ([table.id, c.name, c.type, c.nullable, c.description] for table in found for c in table.columns)
        return ("table", "column", "type", "nullable", "description"), rows


class ServiceActions(OnlineLister):
    """List the actions of a cloud service with their arguments; `congress execute` carries one out."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("service", metavar="SERVICE", help=_SERVICE)

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        found = self.cloud.cloud_services.actions(parsed_args.service)
        rows = ([action.name, ", ".join(a.name for a in action.args), action.description] for action in found)
        return ("name", "arguments", "description"), rows


class ListDrivers(OnlineLister):
    """List the drivers that services can have."""

    fields_to_filter = ("id", "description")

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        found = self.cloud.drivers.list(**self.query(parsed_args))
        return self.table(parsed_args, ("id", "description"), found)


class ShowDriver(OnlineShow):
    """Show a driver: its options, which of them are secret, its tables."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("driver", metavar="DRIVER", help="the driver's id")

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        driver = self.cloud.drivers.get(parsed_args.driver)
        shown = dict(driver.raw)
        if parsed_args.formatter == "table":
            shown["config"] = "\n".join(f"{name}: {text}" for name, text in driver.config.items())
            shown["secret"] = ", ".join(driver.secret)
            shown["tables"] = "\n".join(
                f"{table.id}({', '.join(column.name for column in table.columns)})" for table in driver.tables
            )
            shown = {name: shown[name] for name in ("id", "description", "config", "secret", "tables")}
        return self.fields(parsed_args, shown)
