# SPDX-License-Identifier: Apache-2.0
"""Who may use the API, put together from the configuration."""

import logging
from pathlib import Path
from typing import Any, Final

from congress.api.application import Settings
from congress.api.auth.contracts import NO_AUTHENTICATOR, NO_AUTHORIZER, Authenticator, Authorizer
from congress.api.auth.gate import Gate
from congress.api.auth.limits import Limits
from congress.api.guard import is_loopback
from congress.api.headers import ANY
from congress.api.proxy import Proxies
from congress.conf import Configuration, ConfigurationError

_log = logging.getLogger(__name__)
# What only some strategies need is loaded where one of them is chosen: it would double the time to start.
_ROLES_COUNT_NOWHERE: Final = "Only the role admin counts: [authorization] trusted_projects is empty."


def check(configuration: Configuration) -> None:
    """Refuse combinations of options that must not be run.

    :raises ConfigurationError: saying which option to change.
    """
    options = configuration.options
    if options.auth_strategy == "noauth" and not is_loopback(options.bind_host):
        raise ConfigurationError(
            f"bind_host is {options.bind_host}, which other machines can reach, and auth_strategy is noauth: "
            "everybody there could do everything. Listen on 127.0.0.1 or ::1, or choose another auth_strategy."
        )
    if ANY in options.api.allowed_origins and options.auth_strategy != "keystone":
        raise ConfigurationError(
            "[api] allowed_origins is *, and auth_strategy is not keystone: any page could act with what the browser "
            "of its reader sends by itself. Name the origins."
        )
    try:
        Proxies(options.api.trusted_proxies)
    except ValueError as error:
        raise ConfigurationError(f"[api] trusted_proxies: {error}") from error


def api_settings(configuration: Configuration) -> Settings:
    """What the API is made with.

    :raises ConfigurationError: a file or a group of options cannot be used.
    """
    options = configuration.options
    strategy = options.auth_strategy
    if strategy != "noauth" and not is_loopback(options.bind_host):
        _log.warning("server.plain_http host=%s", options.bind_host)
    return Settings(
        max_body=options.api.max_body_size,
        guard_origin=strategy != "keystone",
        guard_host=strategy == "noauth",
        allowed_hosts=options.api.allowed_hosts,
        allowed_origins=options.api.allowed_origins,
        trusted_proxies=options.api.trusted_proxies,
        gate=Gate(_authenticator(configuration), _authorizer(configuration), _limits(options)),
    )


def _limits(options: Any) -> Limits:
    api = options.api
    return Limits(api.rate_limit, api.rate_burst, api.login_failures, local=api.limit_local)


def _authenticator(configuration: Configuration) -> Authenticator:
    strategy = configuration.options.auth_strategy
    if strategy == "http_basic":
        return _basic(configuration)
    if strategy == "keystone":
        return _keystone(configuration)
    return NO_AUTHENTICATOR


def _basic(configuration: Configuration) -> Authenticator:
    from congress.api.auth.basic import BasicAuthenticator  # noqa: PLC0415
    from congress.api.auth.files import UnsafeFile, others_can_read  # noqa: PLC0415
    from congress.api.auth.passwords import UserFiles  # noqa: PLC0415

    given = configuration.options.http_basic
    users = Path(given.users_file or configuration.state_path / "users").expanduser()
    roles = Path(given.roles_file or configuration.state_path / "roles").expanduser()
    try:
        made = BasicAuthenticator(UserFiles(users, roles), remember=given.remember)
    except (UnsafeFile, ValueError) as error:
        raise ConfigurationError(f"auth_strategy is http_basic: {error}") from error
    if others_can_read(users):
        _log.warning("users.readable_by_all file=%s", users)
    return made


def _keystone(configuration: Configuration) -> Authenticator:
    from congress.api.auth.keystone import KeystoneAuthenticator, KeystoneConfigError  # noqa: PLC0415

    trusted = configuration.options.authorization.trusted_projects
    try:
        made = KeystoneAuthenticator(configuration.options, trusted)
    except KeystoneConfigError as error:
        raise ConfigurationError(str(error)) from error
    if not trusted:
        _log.warning("authorization.admins_only reason=%s", _ROLES_COUNT_NOWHERE)
    elif ANY in trusted:
        _log.warning("authorization.all_projects roles=%s", "member,reader")
    return made


def _authorizer(configuration: Configuration) -> Authorizer:
    if configuration.options.auth_strategy == "noauth":
        return NO_AUTHORIZER
    from congress.api.auth.policy import PolicyAuthorizer, PolicyFileError  # noqa: PLC0415
    from congress.api.auth.registered import list_rules  # noqa: PLC0415

    try:
        return PolicyAuthorizer(configuration.options, list_rules())
    except PolicyFileError as error:
        raise ConfigurationError(str(error)) from error
