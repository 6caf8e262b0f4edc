# SPDX-License-Identifier: Apache-2.0
"""Values of options: from the command line, the environment, files, defaults; in this order of precedence."""

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from congress.bus.oslo import cfg, configure
from congress.conf.guard import guard_defaults
from congress.conf.options import CLI, GROUPS, TRANSPORT_URL
from congress.executions.settings import Defaults, GuardInvalid

PROJECT: Final = "congress"
DESCRIPTION: Final = "Watches cloud services by Datalog policies and acts on them."
EPILOG: Final = (
    "Every option of the configuration file can also be set by an environment variable: "
    "OS_DEFAULT__BIND_PORT=1790, OS_API__THREADS=16. Without --config-file, ~/.congress/congress.conf and "
    "/etc/congress/congress.conf are read where they exist."
)


class ConfigurationError(Exception):
    """The configuration cannot be used; the message says which option, and what to do."""


class Configuration:
    """The options' values: ``configuration.options.api.threads``; and what follows from several of them."""

    def __init__(self, options: Any) -> None:
        self.options = options

    @property
    def state_path(self) -> Path:
        """The folder of the embedded database and of the keys."""
        return Path(self.options.state_path).expanduser()

    @property
    def database_url(self) -> str:
        """The database, which is a file in the state folder unless another one is named."""
        return self.options.database.connection or f"sqlite:///{self.state_path / 'congress.sqlite'}"

    @property
    def key_file(self) -> Path:
        """The file of the encryption keys."""
        return Path(self.options.encryption_key_path or self.state_path / "keys").expanduser()

    @property
    def guard(self) -> Defaults:
        """What the guard goes by for policies and services that are not given settings of their own."""
        return guard_defaults(self.options)

    @property
    def node_id(self) -> str:
        """What this process is called; by default so that the parts of one installation on one host differ."""
        options = self.options
        parts = {"api": options.api_part, "policy-engine": options.policy_engine, "datasources": options.datasources}
        run = [part for part, runs in parts.items() if runs]
        named = run if len(run) < len(parts) else []
        return str(options.node_id) or "-".join([socket.gethostname(), *named])

    @property
    def log_level(self) -> str:
        """The least severe lines that are written."""
        return "DEBUG" if self.options.debug else str(self.options.log_level).upper()

    def needs_state_folder(self) -> bool:
        """Whether anything is kept in the state folder."""
        return not self.options.database.connection or not self.options.encryption_key_path


def load(arguments: Sequence[str], *, files: Sequence[str] | None = None, version: str = "") -> Configuration:
    """Read the configuration.

    :param arguments: of the command line; ``--help`` and errors in them end the process, as argparse does.
    :param files: configuration files instead of those usually looked for.
    :raises ConfigurationError: a file is missing or wrong, or values do not go together.
    """
    options = cfg.ConfigOpts()
    for group, declared in GROUPS.items():
        for option in declared:
            if group == "DEFAULT" and option.name in CLI:
                options.register_cli_opt(option)
            else:
                options.register_opt(option, group=None if group == "DEFAULT" else group)
    configure(options)
    options.set_default(TRANSPORT_URL.dest, TRANSPORT_URL.default)
    try:
        options(
            list(arguments),
            project=PROJECT,
            prog="congress-server",
            version=version,
            description=DESCRIPTION,
            epilog=EPILOG,
            default_config_files=None if files is None else list(files),
        )
        for group, declared in GROUPS.items():
            for option in declared:
                _ = options[option.dest] if group == "DEFAULT" else options[group][option.dest]
        configure(options, options.transport_url)
        guard_defaults(options)
    except (cfg.Error, GuardInvalid) as error:
        raise ConfigurationError(str(error)) from error
    return Configuration(options)
