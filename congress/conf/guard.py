# SPDX-License-Identifier: Apache-2.0
"""The options of the group ``[guard]``: the settings that hold for policies and services which say nothing else.

They are made from what the settings say of themselves: ``policy_max_rows`` is ``max_rows`` of PolicyGuard.
"""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any, Final

from oslo_config import cfg

from congress.executions.settings import (
    MODES,
    POLICY,
    SERVICE,
    Defaults,
    Guarded,
    GuardInvalid,
    Mode,
    PolicyGuard,
    ServiceGuard,
    Setting,
    merge,
    settings_of,
)

_KINDS: Final = {POLICY: PolicyGuard, SERVICE: ServiceGuard}


def guard_defaults(options: Any) -> Defaults:
    """The settings as configured.

    :param options: all options; the group is ``options.guard``.
    :raises GuardInvalid: an option has a value that cannot be; ``key`` is its name.
    """
    return Defaults(_made(options.guard, POLICY, PolicyGuard()), _made(options.guard, SERVICE, ServiceGuard()))


def _made(group: Any, prefix: str, defaults: Guarded) -> Guarded:
    given = {name: group[f"{prefix}_{name}"] for name in settings_of(type(defaults))}
    try:
        return merge(defaults, given)
    except GuardInvalid as error:
        raise GuardInvalid(f"{prefix}_{error.key}", f"[guard] {prefix}_{error}") from error


def _options() -> Iterator[Any]:
    for prefix, kind in _KINDS.items():
        for one in fields(kind):
            yield _option(f"{prefix}_{one.name}", one.metadata["setting"], one.default, prefix)


def _option(name: str, setting: Setting, default: Any, prefix: str) -> Any:
    which = "Policies" if prefix == POLICY else "Services"
    unit = f" Unit: {setting.unit}." if setting.unit else ""
    null = f" Empty: {setting.null}." if setting.null else ""
    text = f"{setting.meaning}{unit}{null} {which} may have their own."
    if setting.kind is Mode:
        choices = [(str(mode), meaning) for mode, meaning in MODES.items()]
        return cfg.StrOpt(name, default=str(default), choices=choices, help=text)
    if setting.kind is bool:
        return cfg.BoolOpt(name, default=default, help=text)
    number = cfg.IntOpt if setting.kind is int else cfg.FloatOpt
    return number(name, default=default, min=setting.kind(setting.low), max=setting.kind(setting.high), help=text)


GUARD: Final = tuple(_options())
