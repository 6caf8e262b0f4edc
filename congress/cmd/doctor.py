# SPDX-License-Identifier: Apache-2.0
"""``congress doctor``: what is wrong, and what to do about it?"""

import argparse
import logging
import os
from collections.abc import Generator, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from congress import __version__
from congress.cmd.checks import ERROR, SKIPPED, WARNING, Finding, examine
from congress.cmd.online.base import EXITS, Report
from congress.cmd.online.screen import paint_state

if TYPE_CHECKING:
    from congress.conf import Configuration


class Doctor(Report):
    """Look at the daemon from inside and outside, and say what is wrong and what to do about it.

    On the machine of the daemon: the configuration, the state folder, the key file, the database (reachable, migrated,
    writable), the broker.  From anywhere: the API, the login, services, rules, actions that wait, clocks.  Nothing is
    changed.  Run it as the user that the daemon runs as.
    """

    EXITS = {**EXITS, 0: "nothing is wrong", 1: "something is, or with ``--strict`` there is a warning"}

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--config-file", metavar="FILE", action="append", default=[], help="the daemon's configuration"
        )
        parser.add_argument(
            "--state-path", metavar="FOLDER", help="the daemon's state folder, where it is not configured"
        )
        where = parser.add_mutually_exclusive_group()
        where.add_argument("--remote", action="store_true", help="only what can be seen from anywhere")
        where.add_argument("--local", action="store_true", help="only what can be seen on the daemon's machine")
        parser.add_argument("--strict", action="store_true", help="a warning counts as an error")

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        for loud in ("congress", "oslo_service", "oslo.messaging", "amqp"):  # what matters becomes a finding
            logging.getLogger(loud).setLevel(logging.CRITICAL)
        found: list[Finding] = []
        for finding in self._findings(parsed_args):
            found.append(finding)
            if parsed_args.format == "text":
                self._show(finding)
        errors = sum(one.state == ERROR for one in found)
        warnings = sum(one.state == WARNING for one in found)
        if parsed_args.format == "text":
            self.say(f"\n{_number(errors, 'error')}, {_number(warnings, 'warning')}")
        else:
            self.report(parsed_args, [asdict(one) for one in found], "")
        return 1 if errors or (warnings and parsed_args.strict) else 0

    def _show(self, finding: Finding) -> None:
        state = paint_state(self.app.stdout, finding.state) + " " * (8 - len(finding.state))
        self.say(f"{state} {finding.check:<17} {finding.detail}")
        if finding.next:
            self.say(f"{'':<26} next: {finding.next}")
        self.app.stdout.flush()

    def _findings(self, given: argparse.Namespace) -> Iterator[Finding]:
        keystone = ""
        if not given.remote:
            configuration = yield from _configuration(given)
            if configuration is not None:
                yield from _here(configuration, asked=bool(given.config_file or given.state_path or given.local))
                keystone = _keystone_of(configuration)
                if not _says_where(self.app.options):
                    self.app.options.endpoint = _endpoint_of(configuration)
        if not given.local:
            keystone = keystone or self.cloud.keystone
            yield from self._there()
        if keystone:
            from congress.cmd.checks import there  # noqa: PLC0415  # as below

            yield from examine("Keystone", lambda: there.check_keystone(keystone))

    def _there(self) -> Iterator[Finding]:
        from congress.cmd.checks import there  # noqa: PLC0415  # as below

        cloud, failed = self.cloud, False
        for finding in examine("API", lambda: there.check_api(cloud)):
            failed = failed or finding.state == ERROR
            yield finding
        if not failed:
            yield from examine("clock", lambda: there.check_clock(cloud))
            yield from examine("services", lambda: there.check_services(cloud))
            yield from examine("rules", lambda: there.check_policies(cloud))
            yield from examine("actions", lambda: there.check_executions(cloud))


# The daemon's own modules are imported where they are needed: with --remote, none of them is.


def _configuration(given: argparse.Namespace) -> "Generator[Finding, None, Configuration | None]":
    from congress.conf import ConfigurationError, load  # noqa: PLC0415  # see above

    words = [word for file in given.config_file for word in ("--config-file", file)]
    words += ["--state-path", given.state_path] if given.state_path else []
    try:
        return load(words, version=__version__)
    except ConfigurationError as error:
        yield Finding("configuration", ERROR, str(error), "Change it in the configuration file.")
        return None


def _here(configuration: "Configuration", *, asked: bool) -> Iterator[Finding]:
    from congress.cmd.checks import here  # noqa: PLC0415  # see above

    if not asked and not here.is_here(configuration):
        shown = "no daemon was set up on this machine; only what can be seen from outside is looked at"
        yield Finding("configuration", SKIPPED, shown, "--config-file names another configuration file.")
        return
    yield from examine("configuration", lambda: here.check_configuration(configuration))
    yield from examine("files", lambda: here.check_files(configuration))
    yield from examine("database", lambda: here.check_database(configuration))
    yield from examine("broker", lambda: here.check_broker(configuration))


def _says_where(options: argparse.Namespace) -> bool:
    """Whether the command line or the environment says where the server is."""
    from congress.client.settings import OPENSTACK  # noqa: PLC0415  # see above

    named = ("CONGRESS_URL", *OPENSTACK)
    given = [value for name, value in vars(options).items() if name.startswith("os_") and name != "os_cacert"]
    return bool(options.endpoint or any(given) or any(os.environ.get(name) for name in named))


def _endpoint_of(configuration: "Configuration") -> str:
    """Where the daemon of a configuration listens, as seen from its machine."""
    options = configuration.options
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(options.bind_host, options.bind_host)  # noqa: S104  # not bound here
    return f"http://[{host}]:{options.bind_port}" if ":" in host else f"http://{host}:{options.bind_port}"


def _keystone_of(configuration: "Configuration") -> str:
    """The Keystone that the daemon asks, if it does."""
    from congress.cmd.checks import here  # noqa: PLC0415  # see above

    if configuration.options.auth_strategy != "keystone":
        return ""
    found: dict[str, str] = {}
    for file in here.configuration_files(configuration):
        found |= here.sections(file).get("keystone_authtoken", {})
    return found.get("auth_url") or found.get("www_authenticate_uri") or ""


def _number(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
