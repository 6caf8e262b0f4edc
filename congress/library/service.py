# SPDX-License-Identifier: Apache-2.0
"""The library as a service on the bus."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from congress.bus.service import Service, exposed
from congress.db.database import Database
from congress.db.errors import DbError, NameTaken, RecordNotFound, Unstorable
from congress.db.library import LibraryRecord, LibraryStore
from congress.library.documents import KEYS, record_of, view_of
from congress.library.errors import LibraryPolicyExists, LibraryPolicyInvalid, LibraryPolicyNotFound
from congress.policy.errors import StorageFailed

LOG = logging.getLogger(__name__)

LIBRARY: Final = "_library"


class LibraryService(Service):
    """Keeps the library.  A policy in it is named by its id or its name everywhere.

    All methods run on the worker thread and block on the database.  What they raise is of
    :mod:`congress.library.errors` or :mod:`congress.policy.errors` and has a code and an HTTP status.
    """

    def __init__(self, database: Database, folder: Path | None = None) -> None:
        """
        :param database: upgraded.
        :param folder: where the operator's own files are; they fill an empty library along with the shipped ones.
        """
        super().__init__(LIBRARY)
        self._store = LibraryStore(database)
        self._folder = folder

    def on_start(self) -> None:
        self._fill(1.0)

    def _fill(self, pause: float) -> None:
        """Fill an empty library; while the database does not answer, try again."""
        try:
            if not self._store.is_empty():
                return
            from congress.library.files import first_filling  # noqa: PLC0415  # most starts need no YAML

            count = self._store.fill(first_filling(self._folder))
        except DbError as error:
            LOG.error("library.fill_failed error=%s", error)
            self.after(pause, self._fill, min(2 * pause, 60.0))
            return
        if count:
            LOG.info("library.filled policies=%d", count)

    @exposed
    def list_library_policies(self, include_rules: bool = True, name: str | None = None) -> list[dict[str, Any]]:
        """All policies of the library, or the one with a name, by name."""
        with _translated():
            return [view_of(record, rules=include_rules) for record in self._store.all(name)]

    @exposed
    def get_library_policy(self, library_policy: str, include_rules: bool = True) -> dict[str, Any]:
        """One policy.  :raises LibraryPolicyNotFound: there is none."""
        return view_of(self._find(library_policy), rules=include_rules)

    @exposed
    def create_library_policy(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Add a policy.  :raises LibraryPolicyExists: there is one of that name."""
        record = record_of(document)
        with _translated():
            self._store.create(record)
        return view_of(record)

    @exposed
    def replace_library_policy(self, library_policy: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """Put another document in the place of a policy; it keeps its id.

        :raises LibraryPolicyExists: another policy has the new name.
        """
        old = self._find(library_policy)
        return self._update(old, record_of(document))

    @exposed
    def update_library_policy(self, library_policy: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change some keys of a policy's document; the others stay as they are.

        :raises LibraryPolicyExists: another policy has the new name.
        """
        old = self._find(library_policy)
        known = {key: value for key, value in view_of(old).items() if key in KEYS}
        if "name" in changes and "abbreviation" not in changes and old.abbreviation == old.name[:5]:
            del known["abbreviation"]  # it follows the name
        return self._update(old, record_of({**known, **changes}))

    @exposed
    def delete_library_policy(self, library_policy: str) -> dict[str, Any]:
        """Take a policy out of the library.  Policies that were made of it stay.  :returns: what it was."""
        found = self._find(library_policy)
        with _translated():
            self._store.delete(found.id)
        return view_of(found)

    def _find(self, key: str) -> LibraryRecord:
        with _translated():
            return self._store.find(key)

    def _update(self, old: LibraryRecord, new: LibraryRecord) -> dict[str, Any]:
        changed = replace(new, id=old.id, created_at=old.created_at)
        with _translated():
            self._store.update(changed)
        return view_of(changed)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except RecordNotFound as error:
        raise LibraryPolicyNotFound(str(error)) from error
    except NameTaken as error:
        raise LibraryPolicyExists(f"the library has a policy {error.name!r:.100} already") from error
    except Unstorable as error:
        raise LibraryPolicyInvalid(str(error)) from error
    except DbError as error:
        raise StorageFailed(str(error)) from error
