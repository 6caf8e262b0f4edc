# SPDX-License-Identifier: Apache-2.0
"""Texts that every one of the databases can hold; the others are refused here, always with one error."""

from congress.db.errors import Unstorable
from congress.db.models import NAME_LENGTH


def storable(field: str, text: str, limit: int | None = NAME_LENGTH) -> str:
    """The text itself.

    :raises Unstorable: it is longer than ``limit`` characters, or has NUL or lone surrogates in it.
    """
    if limit is not None and len(text) > limit:
        raise Unstorable(field, f"{len(text)} characters, at most {limit} are kept")
    if "\x00" in text:
        raise Unstorable(field, "a NUL character is no text")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Unstorable(field, "invalid Unicode (a lone surrogate)") from error
    return text
