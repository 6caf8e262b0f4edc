# SPDX-License-Identifier: Apache-2.0
"""Configuration: every option, where values come from, and logging."""

from congress.conf.load import Configuration, ConfigurationError, load
from congress.conf.options import list_opts

__all__ = ["Configuration", "ConfigurationError", "list_opts", "load"]
