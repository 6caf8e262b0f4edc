# SPDX-License-Identifier: Apache-2.0
"""What is looked at in the text of a query before a database sees it: that it is one statement, and asks.  Pure.

A statement that ends the transaction, or begins another one, would end what keeps queries from changing anything.
"""

import re
from typing import Final

BEGINNINGS: Final = ("SELECT", "WITH", "VALUES", "TABLE", "SHOW")

# MySQL carries out what stands in comments like ``/*! */``; PostgreSQL's comments nest, and its lines end with CR too.
_BEGINNING: Final = re.compile(
    rf"(?:[\s(]|--[^\r\n]*\r?\n|/\*(?!M?!)(?:(?!\*/|/\*).)*\*/)*(?:{'|'.join(BEGINNINGS)})\b", re.DOTALL | re.IGNORECASE
)
# Quoted texts and comments, in which a semicolon means nothing, and the semicolon.
_TOKENS: Final = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|--[^\n]*|/\*.*?\*/|(;)", re.DOTALL)
# With these, databases do not agree about where a quoted text or a comment ends.
_DOUBTFUL: Final = re.compile(r"[\\$#\[]|--\S|\r(?!\n)|/\*!|/\*M!|/\*(?:(?!\*/).)*/\*", re.DOTALL)


def wrong_with(query: str, one_by_one: bool = False) -> str | None:
    """Why this is no query, as a phrase; None if it is one.

    :param one_by_one: whether the database's driver itself takes one statement at a time.
    """
    if not _BEGINNING.match(query):
        return f"query must begin with one of {', '.join(BEGINNINGS)}"
    tokens = list(_TOKENS.finditer(query))
    ends = [found.start() for found in tokens if found[1]]
    if ends and query[ends[0] + 1 :].strip():
        return "query must be a single statement"
    if not one_by_one and _DOUBTFUL.search(query) and any(";" in found[0] for found in tokens if not found[1]):
        return "query has a semicolon in it that could end it; write it another way, as with chr(59) or char(59)"
    return None
