# SPDX-License-Identifier: Apache-2.0
"""Any REST API that speaks JSON: what to ask for and what to call by it is all configuration."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from congress.cloudservices import convert, http_auth, tabular
from congress.cloudservices.errors import ConfigError, DeadlineExceeded, DriverError, PollError, RateLimited
from congress.cloudservices.execution_driver import Declared, ExecutionDriver
from congress.cloudservices.http_actions import RequestAction, request_actions
from congress.cloudservices.http_client import Answer, Credentials, HttpClient, Limits, Request
from congress.cloudservices.http_errors import BadAnswer, NotSent, action_failure
from congress.cloudservices.jsonpaths import Values, compile_rows, compile_value
from congress.cloudservices.options import Option
from congress.cloudservices.paging import Paging, paging_of
from congress.cloudservices.polling_driver import UNCHANGED, Fetched, PollingDriver
from congress.cloudservices.tabular import TableSpec
from congress.datalog.schema import TableSchema
from congress.datalog.values import Row

_KEYS: Final = ("path", "params", "headers", "rows", "paging")
# These end a poll: asking for the next table would be no use, or no kindness.
_HOPELESS: Final = (NotSent, DeadlineExceeded, RateLimited)


@dataclass(frozen=True, slots=True)
class Listing:
    """Where the rows of a table come from."""

    spec: TableSpec
    request: Request
    rows: Values
    paging: Paging | None
    getters: tuple[Callable[[Any], Any], ...]

    @property
    def key(self) -> str:
        """Tables with the same key are read by the same requests."""
        return repr((self.request, self.spec.rest.get("paging"), self.spec.rest.get("rows")))


class HttpJsonDriver(ExecutionDriver, PollingDriver):
    """Polls a REST API and carries out requests as actions."""

    NAME: ClassVar[str] = "http_json"
    DESCRIPTION: ClassVar[str] = "Any REST API that speaks JSON; tables and actions are configuration"
    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("base_url", "url", required=True, description="What paths are below."),
        Option(
            "tables",
            "object",
            required=True,
            description="The tables: for each an object with `path`, `columns`, and where needed `rows` (JSON path to "
            "the list of rows), `params`, `headers`, `paging`, `description`. A column is a name, or an object with "
            "`name`, `from` (JSON path in the row), `type`, `nullable`, `description`.",
        ),
        Option(
            "actions",
            "object",
            description="The actions: for each an object with `method`, `path`, and where needed `params`, `headers`, "
            "`body`, `arguments`, `result`, `effects`, `changes`, `idempotent`, `description`. `{argument}` stands "
            "for an argument's value.",
        ),
        Option(
            "auth",
            default="none",
            choices=("none", "basic", "bearer", "keystone"),
            description="How to log in.",
        ),
        Option("username", description="For basic and keystone."),
        Option("password", secret=True, description="For basic and keystone."),
        Option("token", secret=True, description="For bearer."),
        Option("auth_url", "url", description="For keystone: its URL, such as `https://keystone.example.org:5000/v3`."),
        Option("project_name", synonyms=("tenant_name",), description="For keystone."),
        Option("user_domain_name", default="Default", description="For keystone."),
        Option("project_domain_name", default="Default", description="For keystone."),
        Option("headers", "object", description="Headers of every request."),
        Option("secret_headers", "object", secret=True, description="Headers that hold secrets, such as an API key."),
        Option("secret_params", "object", secret=True, description="Query parameters that hold secrets."),
        Option("verify", "boolean", default=True, description="Whether the server's certificate is checked."),
        Option("ca_file", "path", description="File of CA certificates to check it by."),
        Option("cert_file", "path", description="Client certificate; with its key, or with `key_file`."),
        Option("key_file", "path", description="Key of the client certificate."),
        Option(
            "proxy", secret=True, target=True, description="URL of a proxy; proxies of the environment are not used."
        ),
        Option(
            "allowed_hosts",
            "list",
            default=[],
            description="Hosts (`host` or `host:port`), beside the base URL's, to which redirects and links to next "
            "pages may lead; credentials are never sent there.",
        ),
        Option("timeout", "number", default=30.0, minimum=0.1, maximum=3600, description="Seconds for one request."),
        Option("max_bytes", "integer", default=64 * 2**20, minimum=1, description="The largest answer."),
        Option("max_pages", "integer", default=1000, minimum=1, description="The most pages of one list."),
    )

    def configure(self) -> None:
        for option in ("headers", "secret_headers", "secret_params"):
            _check_strings(option, self.config[option])
        specs = tabular.table_specs(self.config["tables"], keys=_KEYS)
        self._listings = {name: _listing(spec) for name, spec in specs.items()}
        self._requests = request_actions(self.config["actions"], frozenset(specs))
        self._declared = {
            name: Declared(made.action, _carry_out(made), structures=True) for name, made in self._requests.items()
        }
        self._etags: dict[str, str] = {}
        self._check_login()

    def open(self) -> None:
        """Asks nobody yet."""
        self._etags.clear()
        self.client = HttpClient(
            self.config["base_url"],
            self.time_left,
            limits=Limits(self.config["timeout"], self.config["max_bytes"], frozenset(self.config["allowed_hosts"])),
            headers={**(self.config["headers"] or {}), **(self.config["secret_headers"] or {})},
            params=self.config["secret_params"],
            credentials=self._credentials(),
            verify=self._verify(),
            cert=self._cert(),
            proxy=self.config["proxy"],
        )
        for name, listing in self._listings.items():
            request = replace(listing.request, url=self.client.url(listing.spec.rest.get("path", "")))
            self._listings[name] = replace(listing, request=request)

    def close(self) -> None:
        if hasattr(self, "client"):
            self.client.close()

    def tables(self) -> Mapping[str, TableSchema]:
        return {name: listing.spec.schema for name, listing in self._listings.items()}

    def declared_actions(self) -> Mapping[str, Declared]:
        return self._declared

    # Reading ----------------------------------------------------------------------------------------------

    def fetch(self, wanted: frozenset[str]) -> Mapping[str, Fetched]:
        found: dict[str, Fetched] = {}
        together: dict[str, list[str]] = {}
        for table in sorted(wanted):
            together.setdefault(self._listings[table].key, []).append(table)
        for key, tables in together.items():
            try:
                items = self._items(key, tables)
                found |= {
                    table: UNCHANGED if items is None else rows_of(self._listings[table], items) for table in tables
                }
            except _HOPELESS:
                raise
            except DriverError as error:
                self._etags.pop(key, None)
                found |= dict.fromkeys(tables, error)
        return found

    def _items(self, key: str, tables: list[str]) -> list[Any] | None:
        """All items of a list, of all its pages; None when the service says that they are what they were."""
        listing = self._listings[tables[0]]
        request = listing.paging.first(listing.request) if listing.paging is not None else listing.request
        known = self._etags.pop(key, None)
        if known is not None and all(self.holds(table) for table in tables):
            answer = self.client.request(replace(request, headers={**request.headers, "If-None-Match": known}))
            if answer.status == 304:
                self._etags[key] = known
                return None
        else:
            answer = self.client.request(request)
        items, pages = self._pages(listing, request, answer)
        # The tag of a first page says nothing about the others.
        if pages == 1 and "ETag" in answer.headers:
            self._etags[key] = answer.headers["ETag"]
        return items

    def _pages(self, listing: Listing, request: Request, answer: Answer) -> tuple[list[Any], int]:
        items: list[Any] = []
        asked = {_place(request)}
        while True:
            document = answer.json()
            try:
                page = listing.rows(document)
            except ValueError as error:
                raise BadAnswer(f"{answer.where}: {error}") from error
            items += page
            following = (
                listing.paging.next(request, answer, document, page, self.client.link)
                if listing.paging is not None
                else None
            )
            if following is None:
                return items, len(asked)
            if _place(following) in asked:
                raise BadAnswer(f"{answer.where}: the pages of the list go round in circles")
            if len(asked) >= self.config["max_pages"]:
                raise BadAnswer(f"{answer.where}: the list has more than {len(asked)} pages (option 'max_pages')")
            asked.add(_place(following))
            request, answer = following, self.client.request(following)

    # Logging in -------------------------------------------------------------------------------------------

    def _check_login(self) -> None:
        needed = {
            "basic": ("username", "password"),
            "bearer": ("token",),
            "keystone": ("auth_url", "username", "password", "project_name"),
        }
        for option in needed.get(self.config["auth"], ()):
            if self.config[option] is None:
                raise ConfigError(f"option {option!r} is required with auth {self.config['auth']!r}", option)

    def _credentials(self) -> Credentials | None:
        config = self.config
        match config["auth"]:
            case "basic":
                return http_auth.basic(config["username"], config["password"])
            case "bearer":
                return http_auth.bearer(config["token"])
            case "keystone":
                names = (
                    "auth_url",
                    "username",
                    "password",
                    "project_name",
                    "user_domain_name",
                    "project_domain_name",
                )
                return http_auth.KeystoneCredentials({name: config[name] for name in names}, self._verify())
        return None

    def _verify(self) -> bool | str:
        return str(self.config["ca_file"]) if self.config["ca_file"] else bool(self.config["verify"])

    def _cert(self) -> str | tuple[str, str] | None:
        cert, key = self.config["cert_file"], self.config["key_file"]
        return (cert, key) if cert and key else cert


def rows_of(listing: Listing, items: list[Any]) -> list[Row]:
    """The rows of a table from the items of its list."""
    if any(source != "$" for source in listing.spec.sources):
        for number, item in enumerate(items):
            if not isinstance(item, dict):
                raise BadAnswer(f"{listing.request.where}: row {number} is no object")
    columns = [
        convert.column([get(item) for item in items], column.type)
        for get, column in zip(listing.getters, listing.spec.columns, strict=True)
    ]
    for column, values in zip(listing.spec.columns, columns, strict=True):
        if bad := convert.bad_text(values):
            raise BadAnswer(f"{listing.request.where}: column {column.name!r}: {bad}")
    return list(zip(*columns, strict=True))


def _carry_out(made: RequestAction) -> Callable[..., object]:
    def carry_out(driver: HttpJsonDriver, *args: Any, **named: Any) -> object:
        request = made.request(driver.client.url, args, named, driver.completion)
        try:
            return made.result(driver.client.request(request).json())
        except PollError as error:
            raise action_failure(error, made.action.idempotent) from error

    return carry_out


def _listing(spec: TableSpec) -> Listing:
    """:raises ConfigError: the table's keys make no request, or its paths are none."""
    path, rows = spec.rest.get("path", ""), spec.rest.get("rows", "$")
    params, headers = spec.rest.get("params", {}), spec.rest.get("headers", {})
    if not isinstance(path, str) or "://" in path:
        raise tabular.wrong(f"table {spec.name!r}: path must be a path below the base URL")
    if not isinstance(params, Mapping):
        raise tabular.wrong(f"table {spec.name!r}: params must be an object")
    if not isinstance(headers, Mapping) or not all(isinstance(text, str) for text in headers.values()):
        raise tabular.wrong(f"table {spec.name!r}: headers must be an object of strings")
    if not isinstance(rows, str):
        raise tabular.wrong(f"table {spec.name!r}: rows must be a JSON path")
    try:
        getters = tuple(compile_value(source) for source in spec.sources)
        request = Request("GET", path, dict(params), dict(headers))
        return Listing(spec, request, compile_rows(rows), paging_of(spec.name, spec.rest.get("paging")), getters)
    except ValueError as error:
        raise tabular.wrong(f"table {spec.name!r}: {error}") from error


def _place(request: Request) -> tuple[str, str]:
    return request.url, repr(sorted(request.params.items(), key=str))


def _check_strings(option: str, given: Mapping[str, Any] | None) -> None:
    if not all(isinstance(value, str) for value in (given or {}).values()):
        raise ConfigError(f"option {option!r} must be an object of strings", option)
