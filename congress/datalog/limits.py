# SPDX-License-Identifier: Apache-2.0
"""How far a rule may go before it is switched off."""

from dataclasses import dataclass

from congress.datalog.diagnostics import DatalogError, register_code

TABLE_LIMIT = register_code("E001", "The rule was switched off: its table outgrew the row limit.")
WORK_LIMIT = register_code("E002", "The rule was switched off: one evaluation visited too many rows.")
TIME_LIMIT = register_code("E003", "The rule was switched off: one evaluation took too long.")
UNDEFINED_LITERAL = register_code("E004", "A built-in has no answer for these values; the row was passed over.")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on derived tables, and on what one rule may do in one change (an evaluation, in messages)."""

    rows: int = 20_000_000  # in one derived table
    work: int = 2_000_000_000  # rows visited, and built-ins called, by one rule
    seconds: float | None = None  # taken by one rule, by the engine's clock; None: no limit
    chunk: int = 2_000  # rows visited between two looks at the two; fewer where that takes long


class LimitExceeded(DatalogError):
    """A rule went over a limit; the transaction is taken back and tried again without it."""

    def __init__(self, rule_id: str, code: str, message: str) -> None:
        self.rule_id = rule_id
        self.code = code
        self.message = message
        super().__init__(message)
