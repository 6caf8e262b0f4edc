# SPDX-License-Identifier: Apache-2.0
"""Numbers as options have them.  Nothing is imported here that takes time."""

import argparse
import math
import sys
from typing import Final

_YEAR: Final = 366 * 86400.0


def count(text: str) -> int:
    """How many things: at least one, as the API has it.

    :raises argparse.ArgumentTypeError: it is no such number.
    """
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:20]) <= sys.maxsize:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, not {text!r}")
    return int(text)


def seconds(text: str, least: float = 0.0) -> float:
    """A time to wait.

    :raises argparse.ArgumentTypeError: it is no number, too small, or more than a year.
    """
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not least <= found <= _YEAR:
        raise argparse.ArgumentTypeError(f"must be a number of seconds from {least:g}, not {text!r}")
    return found


def pause(text: str) -> float:
    """A time that is not nothing: between two questions, or for an answer.

    :raises argparse.ArgumentTypeError: as with :func:`seconds`.
    """
    return seconds(text, 0.1)


def percent(text: str) -> float:
    """A share of all.

    :raises argparse.ArgumentTypeError: it is no number from 0 to 100.
    """
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0.0 <= found <= 100.0:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 100, not {text!r}")
    return found
