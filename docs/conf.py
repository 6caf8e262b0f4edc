# SPDX-License-Identifier: Apache-2.0
"""Sphinx configuration.  The build fails on warnings: a page in no table of contents, a link that leads nowhere."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

from congress import __version__  # noqa: E402  # found by the path above

project = "Congress"
author = "The Congress developers"
copyright = author
release = version = __version__

extensions = [
    "declared",
    "clientlibrary",
    "commands",
    "diagnostics",
    "drivers",
    "guards",
    "owntables",
    "policylibrary",
    "restapi",
    "statechart",
]
exclude_patterns = ["_build", "_ext"]
html_theme = "alabaster"
html_theme_options = {
    "description": "Cloud state as tables, Datalog policies, safe actions",
    "page_width": "72em",
    "sidebar_width": "16em",
}
html_show_sourcelink = False
nitpicky = True
highlight_language = "none"
