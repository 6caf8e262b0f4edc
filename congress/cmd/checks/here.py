# SPDX-License-Identifier: Apache-2.0
"""The daemon's own things on this machine: its configuration, files, database and broker."""

import configparser
import difflib
import os
import shutil
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from congress.bus.bus import Bus
from congress.bus.errors import BusError
from congress.cmd.checks import ERROR, OK, SKIPPED, WARNING, Finding
from congress.cmd.security import api_settings
from congress.cmd.security import check as check_security
from congress.conf import Configuration, ConfigurationError, list_opts
from congress.db import migrate
from congress.db.crypt import Cipher
from congress.db.database import Database
from congress.db.errors import DbError, KeyFileError
from congress.db.services import ServiceStore

_FREE: Final = 200 * 2**20  # bytes below which a disk counts as nearly full
_BROKER_SECONDS: Final = 10.0
_PEERS_SECONDS: Final = 3.0
_PARTS: Final = ("policy", "_drivers", "executions")
_OTHERS: Final = ("keystone_authtoken", "cors", "oslo_")  # groups of libraries, which know their options themselves


def configuration_files(configuration: Configuration) -> list[str]:
    """The files that were read."""
    return [str(file) for file in configuration.options.config_file or []]


def is_here(configuration: Configuration) -> bool:
    """Whether a daemon was ever set up on this machine, for this user."""
    return bool(configuration_files(configuration)) or configuration.state_path.exists()


def check_configuration(configuration: Configuration) -> Iterator[Finding]:
    """Whether the options go together, and are options at all."""
    name, files = "configuration", configuration_files(configuration)
    told = False
    for file in files:
        for group, key in _unknown(sections(file)):
            near = _near(key, [option.dest for option in dict(list_opts())[group]])
            hint = f"Did you mean {near}?" if near else "Take it out; it has no effect."
            yield Finding(name, WARNING, f"{file}: [{group}] has no option {key}", hint)
            told = True
    try:
        check_security(configuration)
        api_settings(configuration)
    except ConfigurationError as error:
        yield Finding(name, ERROR, str(error), f"Change it in {files[0] if files else 'the configuration file'}.")
        return
    if not told:
        yield Finding(name, OK, ", ".join(files) or "no file; all options have their defaults")


def sections(file: str) -> Mapping[str, Mapping[str, str]]:
    """The options in a file by group, as texts.  Files that oslo.config reads and this does not are empty."""
    parser = configparser.RawConfigParser(strict=False, default_section="", allow_no_value=True, delimiters=("=", ":"))
    try:
        parser.read(file, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return {}
    return {group: dict(parser.items(group)) for group in parser.sections()}


def _unknown(found: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    known: dict[str, set[str]] = {}
    for group, declared in list_opts():
        for option in declared:
            old = {item.name.replace("-", "_") for item in option.deprecated_opts if item.name}
            known.setdefault(group, set()).update({option.dest, option.name.replace("-", "_")} | old)
    for group, given in found.items():
        if group in known and not group.startswith(_OTHERS):
            unknown = [key for key in given if key.replace("-", "_") not in known[group]]
            # Libraries have options in DEFAULT too: there, only what looks like a slip of the finger counts.
            yield from ((group, key) for key in unknown if group != "DEFAULT" or _near(key, known[group]))


def _near(key: str, known: Iterable[str]) -> str:
    """The option that was meant, perhaps."""
    return next(iter(difflib.get_close_matches(key, known, 1, 0.8)), "")


def check_files(configuration: Configuration) -> Iterator[Finding]:
    """The state folder and the key file: there, ours, and nobody else's to read."""
    folder = configuration.state_path
    if configuration.needs_state_folder() and folder.exists():
        if not os.access(folder, os.W_OK | os.X_OK):
            yield Finding("state folder", ERROR, f"{folder} cannot be written by this user", f"chown it: {_owner()}")
        else:
            free = shutil.disk_usage(folder).free
            state = OK if free > _FREE else WARNING
            hint = "" if state == OK else "Make room: the database cannot grow when the disk is full."
            yield Finding("state folder", state, f"{folder}, {free // 2**20} MiB free on its disk", hint)
    file = configuration.key_file
    if not file.exists():
        yield Finding("key file", SKIPPED, f"{file} is not there yet; the daemon makes it at its first start")
        return
    mode = stat.S_IMODE(file.stat().st_mode)
    try:
        Cipher.open(file)
    except KeyFileError as error:
        hint = f"chmod 600 {file}" if mode & 0o077 else "Bring it back from a backup; without it secrets are lost."
        yield Finding("key file", ERROR, str(error), hint)
        return
    yield Finding("key file", OK, f"{file}, mode {mode:04o}")


def _owner() -> str:
    return f"uid {os.getuid()} runs this"


def check_database(configuration: Configuration) -> Iterator[Finding]:
    """The database: reachable, of the right version, writable, and its secrets readable."""
    url, name = configuration.database_url, "database"
    file = url.removeprefix("sqlite:///") if url.startswith("sqlite:///") else ""
    if file and not Path(file).exists():
        yield Finding(name, SKIPPED, f"{file} is not there yet; the daemon makes it at its first start")
        return
    database: Database | None = None
    try:
        database = Database(url)
        revision = migrate.current(database)
        if revision is None:
            yield Finding(name, WARNING, f"{database.url} is empty", "The daemon fills it; or `congress-db upgrade`.")
            return
        if revision != migrate.HEAD:
            yield _other_version(database, revision)
            return
        _try_to_write(database)
        yield Finding(name, OK, f"{database.url}, revision {revision}, writable")
        yield from _secrets(configuration, database)
    except DbError as error:
        hint = "Look at [database] connection, and whether the database server runs and lets this user in."
        yield Finding(name, ERROR, f"{error} {error.__cause__ or ''}".strip(), hint)
    finally:
        if database is not None:
            database.close()


def _other_version(database: Database, revision: str) -> Finding:
    shown = f"{database.url} has revision {revision}, this program needs {migrate.HEAD}"
    if revision < migrate.HEAD:
        return Finding("database", WARNING, shown, "The daemon upgrades it at its start; or `congress-db upgrade`.")
    return Finding("database", ERROR, shown, "Install the newer version of Congress that has been here.")


def _try_to_write(database: Database) -> None:
    """Write, and take it back.

    :raises DbError: that cannot be done.
    """

    class Undone(Exception):
        pass

    try:
        with database.begin() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = version_num")
            raise Undone
    except Undone:
        pass


def _secrets(configuration: Configuration, database: Database) -> Iterator[Finding]:
    if not configuration.key_file.exists():
        return
    try:
        cipher = Cipher.open(configuration.key_file)
    except KeyFileError:
        return  # told already
    lost = [record.name for record in ServiceStore(database, cipher).all() if record.unreadable]
    if lost:
        shown = f"no key opens the secrets of {', '.join(lost)}"
        yield Finding("secrets", ERROR, shown, "Bring the key file back, or set them anew: congress service update.")
    else:
        yield Finding("secrets", OK, "the key file opens all of them")


def check_broker(configuration: Configuration) -> Iterator[Finding]:
    """The message broker, by going onto the bus for a moment; and the parts of the daemon that are on it."""
    options, name = configuration.options, "broker"
    if options.transport_url.startswith("inproc:"):
        yield Finding(name, OK, "none is needed: everything runs in one process")
        return
    node = f"{options.node_id}-doctor-{os.getpid()}"  # a name of its own, so that it takes nobody's place
    bus = Bus(options.transport_url, bus_id=options.bus.bus_id, node_id=node, conf=options)
    try:
        bus.start(_BROKER_SECONDS)
    except BusError as error:
        hint = "Look at transport_url: host, port, user, password, virtual host; and at the broker's log."
        yield Finding(name, ERROR, f"the broker cannot be used: {error}", hint)
        return
    try:
        yield Finding(name, OK, "connected, and messages come back")
        until = time.monotonic() + _PEERS_SECONDS
        missing = [part for part in _PARTS if not bus.wait_for(part, max(0.0, until - time.monotonic()))]
        if missing:
            shown = f"nobody on the bus {options.bus.bus_id!r} is {', '.join(missing)}"
            yield Finding("parts", WARNING, shown, "Start congress-server --policy-engine and --datasources.")
        else:
            nodes = sorted({member.node.rpartition(".")[0] for member in bus.members()})
            yield Finding("parts", OK, f"all are on the bus, in {', '.join(nodes)}")
    finally:
        bus.stop()
