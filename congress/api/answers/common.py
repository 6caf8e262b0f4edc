# SPDX-License-Identifier: Apache-2.0
"""Shapes that answers of all resources are made of."""

from collections.abc import Mapping
from typing import Final

from congress.api.shapes import ListOf, MapOf, Member, Object, Plain, Shape, Words

TEXT: Final = Plain("string")
MAYBE_TEXT: Final = Plain("string", "null")
INTEGER: Final = Plain("integer")
NUMBER: Final = Plain("number")
MAYBE_NUMBER: Final = Plain("number", "null")
FLAG: Final = Plain("boolean")
NULL: Final = Plain("null")
ANYTHING: Final = Plain()
OBJECT: Final = MapOf(ANYTHING)
TEXTS: Final = ListOf(TEXT)

VALUE: Final = Plain("string", "number", "boolean", "null")
ROW: Final = ListOf(VALUE)
ROWS: Final = ListOf(ROW)
BINDINGS: Final = MapOf(VALUE, "Values by the names of variables.")

LINK: Final = Object(
    "Link",
    "An address to go on from.",
    {
        "rel": Member(TEXT, "What is there: `next` is the next page."),
        "href": Member(TEXT, "The address."),
        "type": Member(TEXT, "The type of what is there.", optional=True),
    },
)
LINKS: Final = Member(ListOf(LINK), "With `rel` `next`: the address of the next page, where there is one.", True)

ERROR: Final = Object(
    "Error",
    "What every error response holds.",
    {
        "error": Member(
            Object(
                "ErrorDetails",
                "What is wrong.",
                {
                    "message": Member(TEXT, "What is wrong, for people."),
                    "error_code": Member(INTEGER, "An application code, or the status."),
                    "error_data": Member(ANYTHING, "Details for programs, such as `diagnostics` or `place`, or null."),
                },
            ),
            "The error.",
        )
    },
)

DIAGNOSTIC: Final = Object(
    "Diagnostic",
    "A finding in a text of the policy language.",
    {
        "code": Member(TEXT, "Its stable code."),
        "severity": Member(Words(("error", "warning")), "Whether the text is refused for it."),
        "message": Member(TEXT, "What is wrong."),
        "file": Member(TEXT, "The file, or another name of the text."),
        "line": Member(INTEGER, "Its line, from 1."),
        "column": Member(INTEGER, "Its column, from 1."),
        "length": Member(INTEGER, "How many characters it is about."),
        "hint": Member(MAYBE_TEXT, "What may help."),
    },
)

ARGUMENTS: Final = Object(
    "Arguments",
    "The arguments of an action; secrets in them are masked.",
    {
        "positional": Member(ListOf(ANYTHING), "Positional arguments."),
        "named": Member(OBJECT, "Named arguments."),
    },
)

DATA: Final = Object(
    "Row", "A row of a table.", {"data": Member(ROW, "The values, in the order of the table's columns.")}
)


def results(item: Shape, beside: Mapping[str, Member] | None = None, *, links: bool = True) -> Object:
    """``{"results": [...]}``, with what stands beside it; ``links``: with the address of the next page."""
    found = {"results": Member(ListOf(item), "The entries."), **({"links": LINKS} if links else {})}
    return Object("", "", {**found, **(beside or {})})
