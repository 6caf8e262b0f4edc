# SPDX-License-Identifier: Apache-2.0
"""``congress-db``: looks after the daemon's database.

The daemon upgrades its database by itself; this is for those who want to do it beforehand, go back to an older
version of the program, change the encryption keys, or load files into the policy library.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from congress import __version__
from congress.conf import Configuration, ConfigurationError, load
from congress.db import migrate
from congress.db.crypt import Cipher, add_key, drop_old_keys
from congress.db.database import Database
from congress.db.errors import DbError
from congress.db.library import LibraryStore
from congress.db.services import ServiceStore
from congress.executions.store import ExecutionStore
from congress.library.errors import LibraryFileError


def make_parser() -> argparse.ArgumentParser:
    """The command line.  What is not in it, such as ``--config-file``, is the daemon's own and means the same."""
    parser = argparse.ArgumentParser(
        prog="congress-db",
        description="Looks after the database of congress-server.",
        epilog="Takes --config-file, --state-path and the other options of congress-server too, after all else.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("current", help="show which version the database has, and which this program needs")
    commands.add_parser("upgrade", help="bring the database to the version that this program needs")
    down = commands.add_parser("downgrade", help="take the database back to an older version; data may be lost")
    down.add_argument("revision", help="the version to go back to; 'base' removes all tables")
    commands.add_parser(
        "rotate-keys", help="encrypt all secrets anew under a fresh key; the daemon must not run meanwhile"
    )
    loading = commands.add_parser(
        "load-library", help="add the policies that come with this program, and your own files, to the policy library"
    )
    loading.add_argument(
        "--folder", metavar="FOLDER", action="append", type=Path, help="take the files of this folder instead of those"
    )
    loading.add_argument(
        "--replace", action="store_true", help="also put them in the place of those that have the same name"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The entry point.  :returns: 0 when all went well, 1 when it did not; a wrong command line ends with 2."""
    own, rest = make_parser().parse_known_args(arguments)
    try:
        configuration = load(rest, version=__version__)
        database = Database(configuration.database_url)
        try:
            run(own, configuration, database)
        finally:
            database.close()
    except (ConfigurationError, DbError, LibraryFileError) as error:
        print(f"congress-db: {error}", file=sys.stderr)
        return 1
    return 0


def run(own: argparse.Namespace, configuration: Configuration, database: Database) -> None:
    """Carry out one command.

    :raises DbError: it could not be done.
    """
    if own.command == "upgrade":
        migrate.upgrade(database)
    elif own.command == "downgrade":
        migrate.downgrade(database, own.revision)
    elif own.command == "rotate-keys":
        rotate_keys(configuration, database)
        return
    elif own.command == "load-library":
        load_library(own, configuration, database)
        return
    revision = migrate.current(database) or "empty"
    print(f"{database.url}: {revision}; this version of the program needs {migrate.HEAD}")


def rotate_keys(configuration: Configuration, database: Database) -> None:
    """Add a key, encrypt everything under it, drop the others.  After a failure, it can be run again."""
    Cipher.open(configuration.key_file)  # it must be readable, or there is nothing to keep
    cipher = add_key(configuration.key_file)
    count = ServiceStore(database, cipher).reencrypt() + ExecutionStore(database, cipher).reencrypt()
    dropped = drop_old_keys(configuration.key_file)
    print(f"{configuration.key_file}: {count} secrets encrypted anew, {dropped} old keys dropped")


def load_library(own: argparse.Namespace, configuration: Configuration, database: Database) -> None:
    """Load files into the library; a file that cannot be used keeps all of them out.

    :raises LibraryFileError: naming the file and what is wrong with it.
    """
    # Imported where it is needed: reading files takes the parser and YAML.
    from congress.library.files import SHIPPED, gathered  # noqa: PLC0415

    path = configuration.options.policy_library_path
    folders = own.folder or [*([Path(path)] if path else []), SHIPPED]
    records = gathered(folders)
    migrate.upgrade(database)
    added, replaced = LibraryStore(database).load(records, replace=own.replace)
    kept = len(records) - added - replaced
    print(f"{database.url}: {added} policies added to the library, {replaced} replaced, {kept} left as they are")


if __name__ == "__main__":
    sys.exit(main())
