# SPDX-License-Identifier: Apache-2.0
"""The base of the drivers of OpenStack services."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, TypeAlias

from congress.cloudservices.errors import DriverError, Unavailable
from congress.cloudservices.openstack import OPTIONS, Api, Json, check_login
from congress.cloudservices.openstack_actions import OpenStackActions
from congress.cloudservices.openstack_errors import poll_error
from congress.cloudservices.polling_driver import Fetched, PollingDriver
from congress.cloudservices.translation import Compiled, Tables

Pages: TypeAlias = Callable[[], Iterable[list[Json]]]


def translated(translate: Compiled, pages: Iterable[list[Json]], tables: frozenset[str] | None = None) -> Tables:
    """The rows of a list's tables, page by page, so that a large cloud is never here as a whole."""
    rows = translate((), tables)
    for page in pages:
        for table, more in translate(page, tables).items():
            rows[table] += more
    return rows


class OpenStackDriver(OpenStackActions, PollingDriver):
    """Logs in with the options that all of them share, and says what the services' refusals mean.

    Write :meth:`lists` rather than ``fetch``.
    """

    OPTIONS = OPTIONS
    SERVICE_TYPE: ClassVar[str] = ""
    """The API's type in Keystone's catalogue."""

    api: Api

    def configure(self) -> None:
        check_login(self.config)

    def open(self) -> None:
        """Reads clouds.yaml at most; the login comes with the first request."""
        self.api = self.connect(self.config, self.time_left)

    def connect(self, config: Mapping[str, Any], time_left: Callable[[float], float]) -> Api:
        """Optional: make the API object, where it is one of the driver's own."""
        return Api(config, self.SERVICE_TYPE, time_left)

    def close(self) -> None:
        if hasattr(self, "api"):
            self.api.close()

    @abstractmethod
    def lists(self) -> Sequence[tuple[Compiled, Pages]]:
        """The lists of the API: what translates each, and how to get its pages.

        Errors of the libraries may pass.  Each page is translated, and let go, before the next one is asked for.
        """

    def fetch(self, wanted: frozenset[str]) -> Mapping[str, Fetched]:
        """Every list of which a table is wanted.

        A list that is refused (403, 404) fails its own tables; a service that is not to be reached, or busy,
        fails the poll.
        """
        found: dict[str, Fetched] = {}
        for translate, pages in self.lists():
            if tables := wanted & translate.schemas.keys():
                found.update(self._fetch_list(translate, pages, tables))
        return found

    def _fetch_list(self, translate: Compiled, pages: Pages, tables: frozenset[str]) -> Mapping[str, Fetched]:
        try:
            with self.asking():
                return translated(translate, pages(), tables)
        except Unavailable:
            raise
        except DriverError as error:
            return dict.fromkeys(tables, error)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """What a library raises inside becomes a ``PollError`` that says what it means."""
        try:
            yield
        except Exception as error:
            meant = poll_error(error)
            if meant is None:
                raise
            raise meant from error
