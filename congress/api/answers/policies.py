# SPDX-License-Identifier: Apache-2.0
"""Policies, rules, their tables, explanations, and what would be."""

from typing import Final

from congress.api.answers.common import (
    ARGUMENTS,
    BINDINGS,
    DATA,
    DIAGNOSTIC,
    INTEGER,
    MAYBE_TEXT,
    ROW,
    ROWS,
    TEXT,
    TEXTS,
    VALUE,
)
from congress.api.shapes import Again, ListOf, MapOf, Member, Nullable, Object, Plain, Words

_STATES: Final = Words(("active", "waiting", "off"))

RULE: Final = Object(
    "Rule",
    "A rule or fact of a policy.",
    {
        "id": Member(TEXT, "Its id."),
        "rule": Member(TEXT, "Its text, as it was given."),
        "name": Member(MAYBE_TEXT, "Its name."),
        "comment": Member(TEXT, "A comment on it."),
    },
)
RULE_STATUS: Final = Object(
    "RuleStatus",
    "How a rule is.",
    {
        "id": Member(TEXT, "Its id."),
        "name": Member(MAYBE_TEXT, "Its name."),
        "comment": Member(TEXT, "The comment on it."),
        "original_str": Member(TEXT, "Its text, as it was given."),
        "state": Member(_STATES, "In force, waiting for a service, table or column, or switched off."),
        "diagnostics": Member(ListOf(DIAGNOSTIC), "Why it waits or is off."),
        "errors": Member(
            ListOf(
                Object(
                    "RuleError",
                    "An error of a built-in in a rule.",
                    {
                        "literal": Member(INTEGER, "The number of the literal in the body, from 0."),
                        "inputs": Member(ROW, "What it was evaluated with."),
                        "message": Member(TEXT, "What went wrong."),
                    },
                )
            ),
            "The first errors of built-ins in it.",
        ),
        "error_count": Member(INTEGER, "How many errors there were."),
    },
)
POLICY: Final = Object(
    "Policy",
    "A policy.",
    {
        "id": Member(TEXT, "Its id."),
        "name": Member(TEXT, "Its name."),
        "owner_id": Member(TEXT, "Who owns it."),
        "description": Member(TEXT, "What it is for."),
        "abbreviation": Member(TEXT, "A short form of its name."),
        "kind": Member(TEXT, "Its kind."),
    },
)
CHANGED_POLICY: Final = POLICY.with_(
    "PolicyWithRules",
    "A policy that was made or changed.",
    rules=Member(ListOf(RULE), "Its rules, where the request had some.", optional=True),
)
POLICY_STATUS: Final = Object(
    "PolicyStatus",
    "How a policy is; of a name that is a service's there is only the name.",
    {
        "id": Member(TEXT, "Its id.", optional=True),
        "name": Member(TEXT, "Its name."),
        "rules": Member(
            MapOf(INTEGER, "Numbers by states."), "How many of its rules are active, waiting and off.", True
        ),
        "tables": Member(MapOf(INTEGER, "Numbers by tables."), "How many rows each of its tables has.", True),
        "actions": Member(
            ListOf(
                Object(
                    "WantedAction",
                    "An action that a policy wants.",
                    {
                        "id": Member(TEXT, "The table of the action."),
                        "service": Member(TEXT, "The service that is to act."),
                        "action": Member(TEXT, "The action."),
                        "rows": Member(INTEGER, "How many rows ask for it."),
                        "waiting": Member(INTEGER, "How many of them were not asked for yet."),
                    },
                )
            ),
            "The actions that it wants.",
            optional=True,
        ),
    },
)
LIBRARY_RULE: Final = Object(
    "LibraryRule",
    "A rule of a library policy, as it was given.",
    {
        "rule": Member(TEXT, "Its text."),
        "name": Member(MAYBE_TEXT, "Its name.", optional=True),
        "comment": Member(MAYBE_TEXT, "A comment on it.", optional=True),
    },
)
LIBRARY_POLICY: Final = Object(
    "LibraryPolicy",
    "A policy of the library.",
    {
        "id": Member(TEXT, "Its id."),
        "name": Member(TEXT, "Its name."),
        "abbreviation": Member(TEXT, "A short form of its name."),
        "description": Member(TEXT, "What it is for."),
        "kind": Member(TEXT, "The kind of the policies made of it."),
        "depends-on": Member(TEXTS, "Policies whose tables its rules read."),
        "rules": Member(ListOf(LIBRARY_RULE), "Its rules; not with `include_rules=false`.", optional=True),
    },
)

COLUMN: Final = Object(
    "Column",
    "A column of a table; of a derived table only its name is known, and not always that.",
    {
        "name": Member(MAYBE_TEXT, "Its name; null where the rules do not agree on one."),
        "type": Member(TEXT, "The type of its values.", optional=True),
        "nullable": Member(Plain("boolean"), "Whether null is among them.", optional=True),
        "description": Member(MAYBE_TEXT, "What it holds.", optional=True),
    },
)
TABLE: Final = Object(
    "PolicyTable",
    "A table that the rules of a policy make or read.",
    {
        "id": Member(TEXT, "Its name; that of another policy or a service has it before a colon."),
        "kind": Member(TEXT, "`policy`, `service`, `action`, or `unknown` while nothing defines it."),
        "columns": Member(Nullable(ListOf(COLUMN)), "Its columns; null while they are not known."),
        "rows": Member(INTEGER, "How many rows it has."),
        "action": Member(TEXT, "Of a table of an action: its name.", optional=True),
    },
)

PROOF: Final = Object(
    "Proof",
    "Why a row is there.",
    {
        "table": Member(TEXT, "The table."),
        "row": Member(ROW, "The row."),
        "reason": Member(
            Words(("service", "fact", "rule", "absent", "test", "cut")),
            "A service published it, it is a fact, a rule derives it; of a negated literal: no row fits it; of a "
            "built-in: it holds; or the rest was left out for its size.",
        ),
        "rule_id": Member(TEXT, "The rule that derives it.", optional=True),
        "rule": Member(TEXT, "The text of that rule.", optional=True),
        "bindings": Member(BINDINGS, "What its variables stand for.", optional=True),
        "text": Member(TEXT, "The literal, where the row does not show it.", optional=True),
        "published": Member(
            Object(
                "Publication",
                "What brought the present rows of a service's table.",
                {
                    "service": Member(TEXT, "The service."),
                    "sequence": Member(INTEGER, "The number of the publication."),
                    "or_before": Member(Plain("boolean"), "Whether the row may have come with an earlier one."),
                    "ids": Member(MapOf(TEXT), "The poll, request and the like that brought it."),
                },
            ),
            "With which publication its table was last changed.",
            optional=True,
        ),
        "because": Member(
            ListOf(Again("Proof")),
            "The proofs of what the rule joins; 100 levels deep, a row that rests on others is `cut`.",
            optional=True,
        ),
    },
)
WHY: Final = Object(
    "Why",
    "Whether a row is in a table, and why.",
    {
        "row": Member(ROW, "The row."),
        "holds": Member(Plain("boolean"), "Whether it is there."),
        "proof": Member(Nullable(PROOF), "Its proof, if it is."),
    },
)
WHY_NOT: Final = Object(
    "WhyNot",
    "Whether a row is in a table, and why not.",
    {
        "row": Member(ROW, "The row."),
        "holds": Member(Plain("boolean"), "Whether it is there."),
        "attempts": Member(
            ListOf(
                Object(
                    "Attempt",
                    "What a rule lacks to derive a row.",
                    {
                        "rule_id": Member(TEXT, "The rule."),
                        "rule": Member(TEXT, "Its text."),
                        "reason": Member(TEXT, "Why it does not derive the row."),
                        "misses": Member(
                            ListOf(
                                Object(
                                    "Miss",
                                    "A literal that fails, and how near it comes.",
                                    {
                                        "literal": Member(TEXT, "The literal that fails."),
                                        "bindings": Member(BINDINGS, "With what its variables stand for."),
                                        "nearest": Member(
                                            ROWS,
                                            "Rows of its table that fit all columns whose values are known but one; "
                                            "where one only is known, rows with a text or number near to it.",
                                        ),
                                        "detail": Member(
                                            TEXT,
                                            "What a comparison or built-in came to, or the row that a negated "
                                            "literal denies; empty where there is no more to say.",
                                        ),
                                    },
                                )
                            ),
                            "How near it comes.",
                        ),
                        "instead": Member(
                            ROWS, "Of a rule with aggregates: the row that it derives for the row's group."
                        ),
                    },
                )
            ),
            "What each rule lacks.",
        ),
    },
)
EXPLAINED: Final = Object(
    "RowWithProof",
    "A row of a policy's table.",
    {
        "data": Member(ROW, "The values, in the order of the table's columns."),
        "why": Member(Nullable(PROOF), "With `why=true`: its proof.", optional=True),
    },
)

QUERIED: Final = Object(
    "QueryAnswer",
    "The answers to a query.",
    {
        "columns": Member(ListOf(MAYBE_TEXT), "The variables."),
        "results": Member(ListOf(DATA), "What they stand for in each answer."),
    },
)
FORESEEN: Final = Object(
    "ForeseenAction",
    "An action that would be asked for.",
    {
        "policy": Member(TEXT, "The policy that asks."),
        "name": Member(TEXT, "The action, as `service:action`."),
        "args": Member(ARGUMENTS, "Its arguments."),
    },
)
FIRING: Final = FORESEEN.with_(
    "FiringAction",
    "An action that would be asked for on the way.",
    step=Member(INTEGER, "After which step."),
    stays=Member(Plain("boolean"), "Whether it is still asked for after the last."),
)
CHANGES: Final = MapOf(
    Object(
        "TableChange",
        "How a table would change.",
        {
            "insertions": Member(ROWS, "Rows that would appear, the first thousand."),
            "retractions": Member(ROWS, "Rows that would vanish, the first thousand."),
            "inserted": Member(INTEGER, "How many would appear."),
            "retracted": Member(INTEGER, "How many would vanish."),
        },
    ),
    "Changes by tables, as `policy:table`.",
)
_UNSETTLED: Final = "Tables whose rows are not known now, so that what is said of them may be wrong."
SIMULATION: Final = Object(
    "Simulation",
    "What would hold.",
    {
        "result": Member(TEXTS, "The answers to the query, as literals; with `delta` as `t+(...)`, `t-(...)`.", True),
        "actions": Member(ListOf(FIRING), "The actions that would be asked for, in order."),
        "rows": Member(ListOf(ListOf(VALUE)), "With `steps`: the answers as rows.", optional=True),
        "insertions": Member(ROWS, "With `steps` and `delta`: answers that came.", optional=True),
        "retractions": Member(ROWS, "With `steps` and `delta`: answers that went.", optional=True),
        "changes": Member(CHANGES, "With `steps`: the change of every table.", optional=True),
        "unsettled": Member(TEXTS, f"With `steps`: {_UNSETTLED[0].lower()}{_UNSETTLED[1:]}", optional=True),
        "trace": Member(TEXT, "With `trace`: what each step changed, as text.", optional=True),
    },
)
PREVIEW: Final = Object(
    "Preview",
    "What a change of rules would lead to.",
    {
        "changes": Member(CHANGES, "How tables would change."),
        "actions": Member(ListOf(FIRING), "The actions that would be asked for."),
        "withdrawn": Member(ListOf(FORESEEN), "The actions that would be asked for no more."),
        "rules": Member(
            ListOf(
                Object(
                    "PreviewedRule",
                    "How a new rule would be.",
                    {
                        "rule": Member(TEXT, "Its text."),
                        "state": Member(_STATES, "How it would be."),
                        "diagnostics": Member(ListOf(DIAGNOSTIC), "Why it would wait or be off."),
                        "error_count": Member(INTEGER, "How many errors it would have."),
                    },
                )
            ),
            "The new rules.",
        ),
        "unsettled": Member(TEXTS, _UNSETTLED),
    },
)
