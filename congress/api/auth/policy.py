# SPDX-License-Identifier: Apache-2.0
"""Authorisation by oslo.policy: the defaults of the routes, and what a policy file says instead."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from oslo_policy import policy

from congress.api.auth.files import Mark, UnsafeFile, mark_of, read_safe
from congress.api.auth.identity import NOBODY, Identity, Target

_log = logging.getLogger(__name__)
_LOOK: Final = 1.0  # seconds between looks at whether the files have changed
_MOST: Final = 10_000  # verdicts that are remembered
_CHANGING: Final = ("%(", "http:", "https:", "remote:")  # in checks that ask for more than the caller
DEFAULT_FILE: Final = "policy.yaml"


class PolicyFileError(Exception):
    """A policy file cannot be used; the message says which and why."""


class _Rules:
    """The rules as they are between two changes, and what they said: a verdict costs 0.1 ms, a request 0.3 ms."""

    def __init__(self, enforcer: Any) -> None:
        self._enforcer = enforcer
        checks = " ".join(map(str, enforcer.rules.values()))
        self._lasting = not any(word in checks for word in _CHANGING)
        self._known: dict[tuple[str, Identity], bool] = {}

    def verdict(self, rule: str, identity: Identity, target: Target) -> bool:
        """Whether the caller passes the rule."""
        if not self._lasting:
            return self._ask(rule, identity, target)
        known = self._known.get((rule, identity))
        if known is None:
            if len(self._known) >= _MOST:
                self._known.clear()
            known = self._known[rule, identity] = self._ask(rule, identity, target)
        return known

    def _ask(self, rule: str, identity: Identity, target: Target) -> bool:
        return bool(self._enforcer.enforce(rule, dict(target), identity.credentials()))


class PolicyAuthorizer:
    """Asks oslo.policy.  Reads its files again when they change; one that cannot be used changes nothing.

    A new state of the files makes a new enforcer, which then takes the place of the old one as a whole: no request
    meets rules that are half read.
    """

    def __init__(self, conf: Any, defaults: Sequence[Any], *, clock: Callable[[], float] = time.monotonic) -> None:
        """
        :param conf: the configuration; its group ``[oslo_policy]`` names the files.
        :param defaults: all rules.
        :raises PolicyFileError: a file is missing though it was named, or cannot be used.
        """
        self._conf = conf
        self._defaults = defaults
        self._clock = clock
        self._lock = threading.Lock()
        self._looked = clock()
        self._marks = self._look()
        self._rules = _Rules(self._load())

    def is_open(self, rule: str) -> bool:
        self._refresh()
        return self._rules.verdict(rule, NOBODY, {})

    def allows(self, rule: str, identity: Identity, target: Target) -> bool:
        self._refresh()
        return self._rules.verdict(rule, identity, target)

    def _refresh(self) -> None:
        now = self._clock()
        if now - self._looked < _LOOK or not self._lock.acquire(blocking=False):
            return
        try:
            self._looked = now
            marks = self._look()
            if marks == self._marks:
                return
            self._marks = marks
            self._rules = _Rules(self._load())
            _log.info("authorization.reloaded files=%s", ",".join(str(path) for path in marks))
        except PolicyFileError as error:
            _log.error("authorization.kept_old_rules error=%s", error)
        finally:
            self._lock.release()

    def _look(self) -> dict[Path, Mark | None]:
        """The files that rules come from, as they are now."""
        return {path: mark_of(path) for path in self._files()}

    def _files(self) -> list[Path]:
        options = self._conf.oslo_policy if "oslo_policy" in self._conf else None
        main = self._find(options.policy_file if options else DEFAULT_FILE)
        files = [main] if main else []
        for name in options.policy_dirs if options else ():
            folder = self._find(name)
            if folder is not None and folder.is_dir():
                files += sorted(path for path in folder.iterdir() if path.is_file() and path.name[:1] != ".")
        return files

    def _find(self, name: str) -> Path | None:
        found = self._conf.find_file(name)
        return Path(found) if found else None

    def _load(self) -> Any:
        """An enforcer with the rules as they are now.

        :raises PolicyFileError: they cannot be used.
        """
        for path in self._files():
            try:
                read_safe(path)
            except UnsafeFile as error:
                raise PolicyFileError(str(error)) from error
        try:
            made = policy.Enforcer(self._conf)
            made.register_defaults(self._defaults)
            made.load_rules()
            made.check_rules(raise_on_violation=True)
        except policy.InvalidDefinitionError as error:
            raise PolicyFileError(
                f"the policy file refers to rules that do not exist, or in circles: {error}"
            ) from error
        except Exception as error:  # whatever a YAML reader raises
            raise PolicyFileError(f"the policy file cannot be read: {error}") from error
        named = self._conf.oslo_policy.policy_file
        if made.policy_path is None and named != DEFAULT_FILE:
            raise PolicyFileError(f"[oslo_policy] policy_file names {named}, which is not there")
        unknown = sorted(
            rule for rule in made.file_rules if rule.startswith("congress:") and rule not in made.registered_rules
        )
        if unknown:
            raise PolicyFileError(f"the policy file has rules that no route asks for: {', '.join(unknown)}")
        made.use_conf = False  # it never reads files by itself again
        return made
