# SPDX-License-Identifier: Apache-2.0
"""What the tools say when a file cannot be used."""


class ToolError(Exception):
    """A file, an option or a row cannot be used; the message names it and says what to do."""
