# SPDX-License-Identifier: Apache-2.0
"""Cloud services, their tables and actions, and drivers."""

from typing import Final

from congress.api.answers.common import (
    ANYTHING,
    FLAG,
    INTEGER,
    MAYBE_NUMBER,
    MAYBE_TEXT,
    OBJECT,
    TEXT,
    TEXTS,
)
from congress.api.shapes import ListOf, MapOf, Member, Object, Words

SERVICE: Final = Object(
    "CloudService",
    "A cloud service.",
    {
        "id": Member(TEXT, "Its id."),
        "name": Member(TEXT, "Its name on the bus and in rules."),
        "driver": Member(TEXT, "The id of its driver."),
        "description": Member(MAYBE_TEXT, "What it is."),
        "type": Member(MAYBE_TEXT, "Always null; older clients look for it."),
        "enabled": Member(FLAG, "Whether it is to run."),
        "config": Member(OBJECT, "The options of its driver; secrets read `<hidden>`."),
        "state": Member(TEXT, "`starting`, `running`, `error`, `disabled` and the like."),
        "error": Member(MAYBE_TEXT, "What keeps it from running."),
    },
)
_FRESHNESS: Final = Object(
    "TableFreshness",
    "How current a table of a service is.",
    {
        "rows": Member(INTEGER, "How many rows it has.", optional=True),
        "updated_at": Member(MAYBE_NUMBER, "When they were last known to be right, in seconds since 1970.", True),
        "stale": Member(FLAG, "Whether the latest attempt to bring it up to date failed.", optional=True),
        "error": Member(MAYBE_TEXT, "What went wrong in that attempt.", optional=True),
        "subscribers": Member(TEXTS, "Who follows it.", optional=True),
        "wanted": Member(FLAG, "Whether a poll reads it now.", optional=True),
    },
)
SERVICE_STATUS: Final = Object(
    "CloudServiceStatus",
    "How a cloud service is. The first six stay texts and lists, as older clients know them. A driver may add members.",
    {
        "initialized": Member(Words(("True", "False")), "Whether it is running, as text."),
        "last_updated": Member(TEXT, "When rows last came, as text, or `None`."),
        "last_error": Member(TEXT, "The last error, or `None`."),
        "number_of_updates": Member(TEXT, "How often rows came, as text."),
        "subscriptions": Member(TEXTS, "Always empty."),
        "subscribers": Member(TEXTS, "Who follows its tables."),
        "id": Member(TEXT, "Its id.", optional=True),
        "name": Member(TEXT, "Its name."),
        "driver": Member(TEXT, "Its driver.", optional=True),
        "state": Member(TEXT, "`starting`, `running`, `error`, `disabled` and the like."),
        "error": Member(MAYBE_TEXT, "What keeps it from running.", optional=True),
        "enabled": Member(FLAG, "Whether it is to run.", optional=True),
        "config": Member(OBJECT, "The options of its driver; secrets read `<hidden>`.", optional=True),
        "stale": Member(FLAG, "Whether a table that somebody wants is out of date.", optional=True),
        "tables": Member(MapOf(_FRESHNESS, "By tables."), "How current its tables are."),
        "warnings": Member(TEXTS, "What is not as it should be.", optional=True),
        "polls": Member(INTEGER, "How often it was read.", optional=True),
        "failed_polls_in_a_row": Member(INTEGER, "How many readings have failed since one succeeded.", optional=True),
        "poll_time": Member(MAYBE_NUMBER, "Seconds between readings.", optional=True),
    },
    open=True,
)
SPEC: Final = Object(
    "TableSpec",
    "A table of a service with its columns.",
    {
        "table_id": Member(TEXT, "Its name."),
        "description": Member(MAYBE_TEXT, "What it holds."),
        "columns": Member(
            ListOf(
                Object(
                    "ColumnSpec",
                    "A column of a service's table.",
                    {
                        "name": Member(TEXT, "Its name."),
                        "type": Member(TEXT, "The type of its values."),
                        "nullable": Member(FLAG, "Whether null is among them."),
                        "description": Member(MAYBE_TEXT, "What it holds."),
                    },
                )
            ),
            "Its columns, in the order of the values of a row.",
        ),
    },
)
SCHEMA: Final = Object("", "", {"tables": Member(ListOf(SPEC), "Its tables.")})
SERVICE_TABLE: Final = Object("ServiceTable", "A table of a service.", {"id": Member(TEXT, "Its name.")})
ACTION: Final = Object(
    "Action",
    "Something that a service can be asked to do.",
    {
        "name": Member(TEXT, "Its name."),
        "args": Member(
            ListOf(
                Object(
                    "ActionArgument",
                    "An argument of an action.",
                    {
                        "name": Member(TEXT, "Its name."),
                        "type": Member(TEXT, "What it takes."),
                        "required": Member(FLAG, "Whether it must be given."),
                        "nullable": Member(FLAG, "Whether it may be null."),
                        "default": Member(ANYTHING, "What it is where it is not given."),
                        "variadic": Member(FLAG, "Whether it stands for any number of positional arguments."),
                        "secret": Member(FLAG, "Whether it is never shown.", optional=True),
                        "description": Member(TEXT, "What it means."),
                    },
                )
            ),
            "Its arguments, in order.",
        ),
        "description": Member(TEXT, "What it does."),
        "changes": Member(FLAG, "Whether it changes anything, or only reads."),
        "effects": Member(TEXTS, "Tables of the service whose rows it may change."),
        "idempotent": Member(FLAG, "Whether doing it twice comes to the same as once."),
        "asynchronous": Member(FLAG, "Whether it is accepted first, and its outcome told later.", optional=True),
        "signature": Member(TEXT, "All of its arguments in a line."),
    },
)
DRIVER: Final = Object(
    "Driver",
    "A driver that is installed.",
    {
        "id": Member(TEXT, "Its id."),
        "description": Member(TEXT, "What it reads."),
        "error": Member(TEXT, "Why it cannot be loaded, if it cannot.", optional=True),
    },
)
DRIVER_DETAILS: Final = Object(
    "DriverDetails",
    "A driver with its options, tables and actions.",
    {
        "id": Member(TEXT, "Its id."),
        "name": Member(TEXT, "Its own name; an id may be an older one."),
        "description": Member(TEXT, "What it reads."),
        "kind": Member(Words(("polling", "pushed", "other")), "How its rows come."),
        "config": Member(MapOf(TEXT), "Its options, each with `required` or `(optional)`."),
        "secret": Member(TEXTS, "Those that are secret."),
        "options": Member(
            ListOf(
                Object(
                    "DriverOption",
                    "An option of a driver.",
                    {
                        "name": Member(TEXT, "Its name."),
                        "type": Member(TEXT, "What it takes."),
                        "required": Member(FLAG, "Whether it must be given."),
                        "default": Member(ANYTHING, "What it is where it is not given."),
                        "secret": Member(FLAG, "Whether it is encrypted and never shown."),
                        "description": Member(TEXT, "What it means."),
                        "choices": Member(ListOf(ANYTHING), "What it can be, if only a few things."),
                    },
                )
            ),
            "Its options with their types.",
        ),
        "tables": Member(ListOf(SPEC), "Its tables."),
        "actions": Member(ListOf(ACTION), "Its actions."),
    },
)
