# SPDX-License-Identifier: Apache-2.0
"""The smallest driver: no tables and no actions.  Read :mod:`congress.cloudservices.fake` next."""

from typing import ClassVar

from congress.cloudservices.datasource_driver import DataSourceDriver


class NoopDriver(DataSourceDriver):
    """Does nothing; for trying out definitions of services."""

    NAME: ClassVar[str] = "noop"
    DESCRIPTION: ClassVar[str] = "No tables and no actions"
