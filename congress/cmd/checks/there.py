# SPDX-License-Identifier: Apache-2.0
"""A daemon as its clients see it: the API, who may use it, services, rules, executions, clocks."""

import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Final

from congress.client import Connection
from congress.client.errors import ApiError, ClientError, Forbidden, NotAuthenticated, NotFound, Unavailable
from congress.cmd.checks import ERROR, OK, SKIPPED, WARNING, Finding

SKEW_WARNING: Final = 5.0  # seconds; the header of HTTP is exact to one
SKEW_ERROR: Final = 60.0
_SHOWN: Final = 5


def check_api(cloud: Connection) -> Iterator[Finding]:
    """Whether it answers, is ready, and lets us in."""
    try:
        cloud.request("GET", "/health/live")
        yield Finding("API", OK, cloud.endpoint)
    except NotFound:
        shown = f"{cloud.endpoint} answers, but is no Congress of this kind"
        yield Finding("API", ERROR, shown, "Look at --endpoint and CONGRESS_URL: the root of the server, without /v1.")
        return
    except ClientError as error:
        yield Finding("API", ERROR, error.message, error.hint)
        return
    yield from _ready(cloud)
    try:
        next(cloud.policies.list(), None)
        yield Finding("login", OK, "policies can be read")
    except (NotAuthenticated, Forbidden) as error:
        yield Finding("login", ERROR, error.message, error.hint)
    except ApiError as error:
        yield Finding("login", ERROR, error.message, error.hint)


def _ready(cloud: Connection) -> Iterator[Finding]:
    try:
        cloud.request("GET", "/health/ready")
        yield Finding("readiness", OK, "policies and services are loaded")
    except Unavailable:
        hint = "Wait while it starts; then look at the daemon's log, and whether all its parts run."
        yield Finding("readiness", ERROR, "the policy engine or the cloud services do not answer", hint)


def check_services(cloud: Connection) -> Iterator[Finding]:
    """Whether every service runs and is fresh."""
    number, told = 0, False
    for service in cloud.cloud_services.list():
        number += 1
        if not service.enabled:
            continue
        status = cloud.cloud_services.status(service.name)
        stale = [name for name, table in (status.raw.get("tables") or {}).items() if table.get("stale")]
        if not status.ready:
            why = status.last_error if status.last_error not in ("", "None") else "no error was told"
            hint = f"`congress service status {service.name}`; `congress driver show {service.driver}` has its options."
            yield Finding("services", ERROR, f"{service.name} is {status.state or 'not running'}: {why}", hint)
            told = True
        elif stale:
            shown = f"{service.name}: {', '.join(stale[:_SHOWN])} could not be read lately: {status.last_error}"
            yield Finding("services", WARNING, shown, f"`congress service refresh {service.name}` tries again now.")
            told = True
    if not told:
        yield Finding("services", OK, f"all {number} run" if number else "there are none yet")


def check_policies(cloud: Connection) -> Iterator[Finding]:
    """Whether all rules are in force."""
    rules, told = 0, False
    for policy in cloud.policies.list():
        states = cloud.policies.status(policy.name).rules
        rules += sum(states.values())
        off, waiting = states.get("off", 0), states.get("waiting", 0)
        if off or waiting:
            parts = [f"{off} off"] * bool(off) + [f"{waiting} waiting for a service, table or column"] * bool(waiting)
            hint = f"`congress rule list {policy.name}`, then `congress rule status {policy.name} RULE` says why."
            yield Finding("rules", WARNING, f"policy {policy.name}: {' and '.join(parts)}", hint)
            told = True
    if not told:
        yield Finding("rules", OK, f"all {rules} are in force")


def check_executions(cloud: Connection) -> Iterator[Finding]:
    """Whether actions wait for a person, or a service's breaker is open."""
    breakers = [breaker for breaker in cloud.breakers.list() if breaker.state != "closed"]
    for breaker in breakers:
        shown = f"the breaker of {breaker.service} is {breaker.state}: {breaker.detail or breaker.by}"
        hint = f"Mend the service, then `congress breaker close {breaker.service}`."
        yield Finding("actions", WARNING, shown, hint)
    waiting = list(islice(cloud.execution_sets.list(), _SHOWN))
    for one in waiting:
        shown = f"{one.size} wait for a decision: {one.reason}, {', '.join(one.actions)}"
        yield Finding("actions", WARNING, shown, f"`congress execution set show {one.id}`")
    unknown = len(list(islice(cloud.executions.list(reason="unknown"), 100)))
    if unknown:
        shown = f"of {unknown} nobody knows whether they were done"
        hint = "`congress execution list --reason unknown`, look, then `congress execution settle`."
        yield Finding("actions", WARNING, shown, hint)
    if not (breakers or waiting or unknown):
        yield Finding("actions", OK, "no breaker is open, none waits for a person")


def check_clock(cloud: Connection) -> Iterator[Finding]:
    """The daemon's clock against ours."""
    yield compared("clock", "the server's clock", cloud.headers("/health/live"), time.time())


def check_keystone(url: str) -> Iterator[Finding]:
    """Keystone: whether it answers, and its clock against ours; tokens are worthless when they differ by much."""
    import requests  # noqa: PLC0415  # only where there is a Keystone

    try:
        answer = requests.get(url, timeout=10)
    except requests.RequestException as error:
        hint = "Look at [keystone_authtoken] auth_url, and whether Keystone runs."
        yield Finding("Keystone", ERROR, f"{url} does not answer: {error}", hint)
        return
    yield Finding("Keystone", OK, url)
    yield compared("Keystone's clock", "Keystone's clock", answer.headers, time.time())


def compared(check: str, whose: str, headers: Mapping[str, str], now: float) -> Finding:
    """A finding on a clock by the ``Date`` of its answer."""
    try:
        there = parsedate_to_datetime(headers.get("Date", "")).timestamp()
    except (TypeError, ValueError):
        return Finding(check, SKIPPED, f"{whose} is not known: the answer has no Date")
    ahead = there - now
    if abs(ahead) < SKEW_WARNING:
        return Finding(check, OK, f"{whose} is right to a few seconds")
    way = "ahead of" if ahead > 0 else "behind"
    hint = "Have all machines take their time from the network (chrony, systemd-timesyncd)."
    state = ERROR if abs(ahead) >= SKEW_ERROR else WARNING
    return Finding(check, state, f"{whose} is {abs(ahead):.0f} seconds {way} this machine's", hint)
