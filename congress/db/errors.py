# SPDX-License-Identifier: Apache-2.0
"""What the stores raise.  Nothing of SQLAlchemy leaves this package."""

from collections.abc import Sequence


class DbError(Exception):
    """The database could not do what was asked."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").split("\n")[0])


class RecordNotFound(DbError):
    """There is no such record."""


class NameTaken(DbError):
    """The name belongs to a policy or a service already; ``kind`` says to which of the two."""

    def __init__(self, name: str, kind: str) -> None:
        self.name = name
        self.kind = kind
        super().__init__(f"the name {name!r} is taken by a {kind}")


class Unstorable(DbError):
    """A text that no database can hold: too long, or not text; ``field`` says which."""

    def __init__(self, field: str, reason: str) -> None:
        self.field = field
        super().__init__(f"{field}: {reason}")


class Conflict(DbError):
    """The change contradicts what is in the database, such as a rule for a policy that has just gone."""


class Stale(DbError):
    """Others have changed the record meanwhile: read it again; ``ids`` names those that are not as expected."""

    def __init__(self, ids: Sequence[str]) -> None:
        self.ids = tuple(ids)
        more = f" and {len(self.ids) - 3} more" if len(self.ids) > 3 else ""
        super().__init__(f"changed meanwhile, or gone: {', '.join(self.ids[:3])}{more}")


class Unavailable(DbError):
    """The database cannot be reached, is locked by somebody else or is out of space."""


class OutcomeUnknown(Unavailable):
    """The connection was lost while committing: the change may or may not be in the database."""


class SchemaTooNew(DbError):
    """The database was made by a newer version of this program."""


class KeyFileError(DbError):
    """The file of the encryption keys is unusable."""


class SecretUnreadable(DbError):
    """A secret cannot be decrypted with the keys at hand."""
