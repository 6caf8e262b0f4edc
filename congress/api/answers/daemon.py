# SPDX-License-Identifier: Apache-2.0
"""Versions, health, and streams."""

from typing import Final

from congress.api.answers.common import LINK, OBJECT, TEXT
from congress.api.shapes import ListOf, MapOf, Member, Object, Words

VERSION: Final = Object(
    "Version",
    "A version of the API.",
    {
        "id": Member(TEXT, "Its id."),
        "status": Member(TEXT, "`CURRENT`."),
        "updated": Member(TEXT, "When it was made."),
        "links": Member(ListOf(LINK), "Its root (`self`), its documentation and its OpenAPI document."),
    },
)
VERSIONS: Final = Object("", "", {"versions": Member(ListOf(VERSION), "The versions.")})
ONE_VERSION: Final = Object("", "", {"version": Member(VERSION, "The version.")})
OPENAPI: Final = OBJECT
ALIVE: Final = Object("", "", {"status": Member(Words(("alive",)), "That it is.")})
READY: Final = Object(
    "Readiness",
    "Whether the daemon does its work.",
    {
        "status": Member(Words(("ready", "not ready")), "Whether all parts answer."),
        "checks": Member(MapOf(TEXT, "`ok` or what is wrong, by parts."), "How each part is."),
    },
)
