# SPDX-License-Identifier: Apache-2.0
"""Writes the sample configuration: ``python -m congress.conf.sample > etc/congress/congress.conf.sample``."""

import sys
import textwrap
from collections.abc import Iterator
from typing import Any

from congress.conf.options import list_opts


def default_of(option: Any) -> str:
    """An option's default as it would stand in a file."""
    value = option.sample_default if option.sample_default is not None else option.default
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def choices_of(option: Any) -> Iterator[tuple[str, str]]:
    """The words that an option takes, each with its meaning where there is one."""
    choices = getattr(option.type, "choices", None) or {}
    return ((choice, meaning or "") for choice, meaning in choices.items())


def sample_text() -> str:
    """The whole file."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Congress: every option with its default.  Uncomment what you change."
    for group, options in list_opts():
        yield ""
        yield f"[{group}]"
        for option in options:
            yield ""
            yield from textwrap.wrap(option.help, 110, initial_indent="# ", subsequent_indent="# ")
            for choice, meaning in choices_of(option):
                yield f"#   {choice}" + (f": {meaning}" if meaning else "")
            yield f"#{option.dest} = {default_of(option)}".rstrip()


if __name__ == "__main__":
    sys.stdout.write(sample_text())
