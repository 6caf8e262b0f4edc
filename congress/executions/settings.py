# SPDX-License-Identifier: Apache-2.0
"""What a guard goes by: settings for each policy and for each service, over defaults from the configuration.

Every setting says itself what it means, in which unit, and what values it takes; the reference page and the options
of the configuration file are made from that.  An override is partial: the keys that it has not are the default's.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, Final, TypeVar

DAY: Final = 86400.0
POLICY: Final = "policy"
SERVICE: Final = "service"
MOST: Final = 1_000_000  # of rows, executions, attempts: more is a slip of the finger


class GuardInvalid(Exception):
    """Settings of a guard that cannot be: the message says what to give, ``key`` where."""

    def __init__(self, key: str, message: str) -> None:
        self.key = key
        super().__init__(message)


class Mode(StrEnum):
    """What a guard does with what is wanted, from the strictest on."""

    MONITOR = "monitor"
    PROPOSE = "propose"
    ENFORCE = "enforce"


MODES: Final[Mapping[str, str]] = {
    Mode.MONITOR: "what is wanted is recorded and never done",
    Mode.PROPOSE: "each waits until a person approves it",
    Mode.ENFORCE: "it is done without asking, within the other settings",
}
_STRICTNESS: Final = {Mode.MONITOR: 0, Mode.PROPOSE: 1, Mode.ENFORCE: 2}


def strictest(one: Mode, other: Mode) -> Mode:
    """The mode under which less is done."""
    return min(one, other, key=_STRICTNESS.__getitem__)


@dataclass(frozen=True, slots=True)
class Setting:
    """What a setting takes and means.

    ``kind`` is Mode, int, float or bool; ``low`` and ``high`` are the bounds of numbers; ``null`` says what null
    means, and is empty where null cannot be given.
    """

    kind: type
    meaning: str
    unit: str = ""
    low: float = 0
    high: float = MOST
    null: str = ""

    def check(self, key: str, value: object) -> Any:
        """The value as the setting keeps it.

        :raises GuardInvalid: it cannot be this setting's.
        """
        if value is None and self.null:
            return None
        if self.kind is bool and isinstance(value, bool):
            return value
        if self.kind is Mode and isinstance(value, str) and value in MODES:
            return Mode(value)
        numbers = int if self.kind is int else (int, float)
        is_number = self.kind in {int, float} and isinstance(value, numbers) and not isinstance(value, bool)
        if is_number and self.low <= value <= self.high:  # type: ignore[operator]  # false for not-a-number
            return self.kind(value)
        raise GuardInvalid(key, f"{key} must be {self.wanted}, not {_shown(value)}.")

    @property
    def wanted(self) -> str:
        """What to give."""
        if self.kind is bool:
            words = "true or false"
        elif self.kind is Mode:
            words = "one of " + ", ".join(MODES)
        else:
            kind = "a whole number" if self.kind is int else "a number"
            words = f"{kind} from {self.low:.12g} to {self.high:.12g}"
        return f"{words}, or null ({self.null})" if self.null else words


def _shown(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, int) and abs(value) > 10**18:
        return "a number so large"
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "…"


def _setting(default: object, kind: type, meaning: str, **more: Any) -> Any:
    return field(default=default, metadata={"setting": Setting(kind, meaning, **more)})


def _max_rows(default: int | None) -> Any:
    return _setting(
        default,
        int,
        "Executions that may be let through within a window without a person's approval. A transaction that would "
        "bring more is held as a whole.",
        unit="executions",
        null="no such cap",
    )


def _max_percent(default: float | None) -> Any:
    return _setting(
        default,
        float,
        "The same in per cent of the rows of the table that they come from: the largest that the row depends on, of "
        "the service that is to act if that has one among them. What comes from tables of different sizes is added up, "
        "each with its own share; what comes from none has no share.",
        unit="per cent",
        high=100.0,
        null="no such cap",
    )


@dataclass(frozen=True, slots=True)
class Caps:
    """What policies and services have in common."""

    mode: Mode = _setting(  # noqa: RUF009  # it makes a field
        Mode.ENFORCE,
        Mode,
        "What is done with what is wanted. Where policy and service have different modes, the stricter one holds.",
    )
    max_rows: int | None = _max_rows(20)
    max_percent: float | None = _max_percent(25.0)
    percent_floor: int = _setting(
        5,
        int,
        "Executions within a window up to which max_percent is not looked at: half of two servers is no disaster.",
        unit="executions",
    )
    window: float = _setting(
        300.0,
        float,
        "How far back executions that were let through count towards max_rows and max_percent.",
        unit="seconds",
        low=1.0,
        high=DAY,
    )
    rate: float | None = _setting(
        None,
        float,
        "Attempts that may be sent in a minute, in the long run. It holds for approved ones as well.",
        unit="attempts a minute",
        low=0.01,
        null="no such limit",
    )
    burst: int = _setting(
        10, int, "Attempts that may be sent at once after a quiet time, where there is a rate.", unit="attempts", low=1
    )


@dataclass(frozen=True, slots=True)
class PolicyGuard(Caps):
    """What holds for the executions that a policy asks for, and for those asked for at its route."""

    cool_down: float = _setting(
        0.0,
        float,
        "How long after it was let through, or done, the same action with the same arguments is held.",
        unit="seconds",
        high=7 * DAY,
    )
    oscillation_count: int | None = _setting(
        5,
        int,
        "How often rows may bring the same action with the same arguments within oscillation_window; the next one is "
        "held.",
        unit="executions",
        low=1,
        high=1000,
        null="not looked at",
    )
    oscillation_window: float = _setting(
        3600.0, float, "How far back oscillation_count looks.", unit="seconds", low=1.0, high=DAY
    )
    hold_stale: bool = _setting(
        True,
        bool,
        "Whether an execution is held while a table that its row depends on is stale, that is, its last poll failed.",
    )


@dataclass(frozen=True, slots=True)
class ServiceGuard(Caps):
    """What holds for all executions at a service, whoever asks."""

    max_rows: int | None = _max_rows(100)
    max_percent: float | None = _max_percent(None)
    concurrency: int = _setting(
        1,
        int,
        "Executions that are at the service at the same time. A driver works them off one by one: more would only "
        "wait in its inbox, where no guard, cancellation or vanished row reaches them any more.",
        unit="executions",
        low=1,
        high=1000,
    )
    timeout: float = _setting(
        120.0,
        float,
        "How long an attempt may take, a poll that is under way at the service included.",
        unit="seconds",
        low=0.1,
        high=DAY,
    )
    deadline: float | None = _setting(
        3600.0,
        float,
        "How long after its approval an execution may still be sent, waiting and attempts included.",
        unit="seconds",
        low=1.0,
        high=7 * DAY,
        null="no such limit",
    )
    attempts: int = _setting(
        4,
        int,
        "How often one execution is tried, the first time included, after errors that the driver calls retryable.",
        unit="attempts",
        low=1,
        high=100,
    )
    backoff: float = _setting(
        2.0,
        float,
        "Before the second attempt it waits a random time up to this long; before each further one up to twice as "
        "long as before.",
        unit="seconds",
        high=3600.0,
    )
    backoff_max: float = _setting(
        300.0,
        float,
        "The longest of these random times. A service that names a time itself is given at least that.",
        unit="seconds",
        high=DAY,
    )
    breaker_failures: int | None = _setting(
        5,
        int,
        "Attempts in a row after which the breaker opens, because the service could not be reached, did not answer in "
        "time, failed inside or was over its limits. An answer that refuses the action is none of these.",
        unit="attempts",
        low=1,
        high=1000,
        null="it never opens by itself",
    )
    breaker_seconds: float = _setting(
        60.0,
        float,
        "How long an open breaker lets nothing through. Then one attempt is made, which closes it or opens it again.",
        unit="seconds",
        low=0.1,
        high=DAY,
    )


Guarded = TypeVar("Guarded", bound=Caps)

MORE: Final = frozenset({"max_rows", "max_percent", "percent_floor", "oscillation_count"})
"""Settings of which a larger value, or null, holds less."""
LESS: Final = frozenset({"window", "oscillation_window", "cool_down"})
"""Settings of which a smaller value holds less."""


def loosened(before: Caps, after: Caps) -> frozenset[str]:
    """The settings, of those that hold anything by itself, that hold less than before."""

    def limit(guard: Caps, name: str) -> float:
        value: float | None = getattr(guard, name)
        return math.inf if value is None else value

    common = {one.name for one in fields(after)}
    more = {name for name in MORE & common if limit(after, name) > limit(before, name)}
    return frozenset(more | {name for name in LESS & common if limit(after, name) < limit(before, name)})


def settings_of(kind: type[Caps]) -> dict[str, Setting]:
    """The settings of PolicyGuard or ServiceGuard by name, in the order in which they are declared."""
    return {one.name: one.metadata["setting"] for one in fields(kind)}


def check_override(kind: type[Caps], override: object) -> dict[str, Any]:
    """An override as it is kept: JSON-like, only the keys that were given.

    :raises GuardInvalid: it is no object, has an unknown key, or a value that cannot be.
    """
    known = settings_of(kind)
    if not isinstance(override, Mapping):
        raise GuardInvalid("", f"Settings of a guard must be an object, not {_shown(override)}.")
    for key in override:
        if key not in known:
            raise GuardInvalid(str(key), f"There is no setting {_shown(key)}; there are: {', '.join(known)}.")
    checked = {key: known[key].check(key, value) for key, value in override.items()}
    return {key: str(value) if isinstance(value, Mode) else value for key, value in checked.items()}


def merge(defaults: Guarded, override: object) -> Guarded:
    """The defaults with what the override has instead.

    :raises GuardInvalid: as :func:`check_override`.
    """
    checked = check_override(type(defaults), override)
    if "mode" in checked:
        checked["mode"] = Mode(checked["mode"])
    return replace(defaults, **checked)


def to_dict(guard: Caps) -> dict[str, Any]:
    """The settings as a JSON object, every key given."""
    return {key: str(value) if isinstance(value, Mode) else value for key, value in asdict(guard).items()}


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds where nothing else is said."""

    policy: PolicyGuard = PolicyGuard()
    service: ServiceGuard = ServiceGuard()


class SettingsBook:
    """The settings in force: defaults, and overrides for single policies and services."""

    def __init__(self, defaults: Defaults | None = None) -> None:
        self.defaults = defaults or Defaults()
        self._policies: dict[str, PolicyGuard] = {}
        self._services: dict[str, ServiceGuard] = {}
        self.horizon = self._horizon()
        """How many seconds back anything that was let through is looked at, as the settings are."""

    def policy(self, name: str) -> PolicyGuard:
        """What holds for a policy."""
        return self._policies.get(name, self.defaults.policy)

    def service(self, name: str) -> ServiceGuard:
        """What holds for a service."""
        return self._services.get(name, self.defaults.service)

    def override(self, kind: str, name: str, override: object | None) -> Caps:
        """Have a policy or service differ from the defaults, or follow them again (None); what holds for it now.

        :param kind: ``policy`` or ``service``.
        :raises GuardInvalid: as :func:`check_override`; nothing has changed.
        """
        if override is None:
            (self._policies if kind == POLICY else self._services).pop(name, None)
        elif kind == POLICY:
            self._policies[name] = merge(self.defaults.policy, override)
        else:
            self._services[name] = merge(self.defaults.service, override)
        self.horizon = self._horizon()
        return self.policy(name) if kind == POLICY else self.service(name)

    @property
    def memory(self) -> float:
        """How many seconds back anything counts: as ``horizon``, and until a bucket is full again, a week at most."""
        rates = (one for one in self._all() if one.rate is not None)
        return max(self.horizon, *(min(60 * one.burst / (one.rate or 1), 7 * DAY) for one in rates), 0.0)

    def _all(self) -> Iterator[Caps]:
        yield from (self.defaults.policy, *self._policies.values())
        yield from (self.defaults.service, *self._services.values())

    def _horizon(self) -> float:
        return max(self._looks_back())

    def _looks_back(self) -> Iterator[float]:
        for policy in (self.defaults.policy, *self._policies.values()):
            yield from (policy.window, policy.cool_down, policy.oscillation_window)
        for service in (self.defaults.service, *self._services.values()):
            yield service.window
