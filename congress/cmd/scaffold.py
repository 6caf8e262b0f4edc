# SPDX-License-Identifier: Apache-2.0
"""``congress scaffold driver NAME [DIR]``: begin a driver of one's own."""

import argparse
from pathlib import Path

from cliff.command import Command

from congress.cloudservices.errors import DriverError
from congress.tools.errors import ToolError


class ScaffoldDriver(Command):  # type: ignore[misc]  # cliff has no type information
    """Write a working driver as a package of its own, with tests, a page of documentation and an entry point."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("name", metavar="NAME", help="the driver's name, such as my_cmdb")
        parser.add_argument(
            "folder", metavar="DIR", nargs="?", type=Path, help="where to (default: congress-NAME here)"
        )
        return parser

    def take_action(self, given: argparse.Namespace) -> None:
        # What drivers need is imported when one is made, not with every command.
        from congress.cloudservices.scaffold import scaffold_driver  # noqa: PLC0415  # as said

        try:
            written = scaffold_driver(given.name, given.folder)
        except (DriverError, OSError) as error:
            raise ToolError(str(error)) from error
        for path in written:
            print(path)
        print(f"\nNext: read {written[0].parent / 'README.rst'}")
