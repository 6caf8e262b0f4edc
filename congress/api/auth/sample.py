# SPDX-License-Identifier: Apache-2.0
"""Writes the sample policy file: ``python -m congress.api.auth.sample > etc/congress/policy.yaml.sample``."""

import json
import sys
import textwrap
from collections.abc import Iterator

from congress.api.auth.registered import list_rules


def sample_text() -> str:
    """The whole file: every rule with its default, commented out."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Congress: every rule of authorisation with its default.  Uncomment what you change, in policy.yaml."
    for rule in list_rules():
        yield ""
        yield from textwrap.wrap(rule.description, 110, initial_indent="# ", subsequent_indent="# ")
        for operation in getattr(rule, "operations", ()):
            yield f"#   {operation['method']} {operation['path']}"
        yield f"#{json.dumps(rule.name)}: {json.dumps(rule.check_str)}"


if __name__ == "__main__":
    sys.stdout.write(sample_text())
