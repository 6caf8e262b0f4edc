# SPDX-License-Identifier: Apache-2.0
"""What the library refuses: requests, by errors that travel over the bus as themselves, and files."""

from congress.bus.codec import portable
from congress.policy.errors import PolicyRuntimeError


@portable
class LibraryPolicyNotFound(PolicyRuntimeError):
    """The library has no such policy."""

    code, status = 404, 404


@portable
class LibraryPolicyExists(PolicyRuntimeError):
    """The library has a policy of that name."""

    code, status = 409, 409


@portable
class LibraryPolicyInvalid(PolicyRuntimeError):
    """What was given for the library policy has a part that is missing, unknown or of the wrong kind."""


class LibraryFileError(Exception):
    """A file of the library cannot be used."""
