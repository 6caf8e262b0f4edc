# SPDX-License-Identifier: Apache-2.0
"""The driver manager: makes services of stored definitions, keeps them running, and answers about them.

It is on the bus as ``_drivers`` (users cannot take names that start with ``_``).  Its answers are plain
JSON types, secrets hidden, and come at once even while a driver is busy with a poll: the REST API asks
here.
"""

import dataclasses
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from congress.bus.service import Service, exposed
from congress.cloudservices.catalog import DriverCatalog, action_to_json, tables_to_json
from congress.cloudservices.datasource_driver import DataSourceDriver
from congress.cloudservices.errors import (
    ConfigError,
    DriverError,
    DriverNotFound,
    InvalidName,
    ServiceExists,
    ServiceNotFound,
    UnknownDriver,
)
from congress.cloudservices.options import (
    HIDDEN,
    names_to_encrypt,
    redact,
    scrub,
    secret_names,
    secret_values,
    with_old_secrets,
)
from congress.cloudservices.pushed_driver import PushedDriver, RowStore
from congress.cloudservices.running import RunningServices
from congress.cloudservices.service_tables import CongressService
from congress.cloudservices.store import ServiceDefinition, ServiceStore, StoredService
from congress.cloudservices.tabular import NAME
from congress.cloudservices.targets import check_moved

LOG = logging.getLogger(__name__)

MANAGER: Final = "_drivers"
# Words of the policy language and names of the daemon's own.
RESERVED: Final = frozenset(
    {"congress", "policy", "builtin", "not", "execute", "insert", "delete", "true", "false", "null"}
)
LONGEST_NAME: Final = 255


class DriverManager(Service):
    """Creates, changes, starts and stops cloud services.

    A fault of a driver (it cannot be imported, its constructor or thread dies) ends here: the service is in
    state ``error`` and is tried again after growing pauses; the other services go on.
    """

    def __init__(
        self,
        store: ServiceStore,
        *,
        catalog: DriverCatalog | None = None,
        congress: CongressService | None = None,
        row_store: RowStore | None = None,
        new_record: Callable[..., StoredService] = ServiceDefinition,
        is_policy: Callable[[str], bool] = lambda name: False,
    ) -> None:
        """
        :param store: where definitions are kept; it encrypts secrets.
        :param congress: the service whose tables ``services`` and ``freshness`` are kept up to date.
        :param row_store: where drivers keep pushed rows.
        :param new_record: makes a definition of the store's class, of keywords as in ServiceDefinition.
        :param is_policy: whether a policy has this name; called on the manager's thread.
        """
        super().__init__(MANAGER)
        self.catalog = catalog or DriverCatalog()
        self._store = store
        self._row_store = row_store
        self._new_record = new_record
        self._is_policy = is_policy
        self._running = RunningServices(self, self._build, congress)

    def on_start(self) -> None:
        self._load(1.0)

    def _load(self, pause: float) -> None:
        """Start what is stored; while the store does not answer, try again."""
        try:
            records = self._store.all()
        except Exception as error:  # noqa: BLE001  # stores raise what they like; the daemon goes on
            LOG.error("services.store_failed error=%s", error)
            self.after(pause, self._load, min(pause * 2, 60.0))
            return
        for record in records:
            self._running.put(record)

    # Drivers ----------------------------------------------------------------------------------------------

    @exposed
    def list_drivers(self) -> list[dict[str, object]]:
        """``[{"id", "description"}]``; a driver that cannot be loaded has an ``error``."""
        return self.catalog.summaries()

    @exposed
    def get_driver(self, driver: str) -> dict[str, object]:
        """Options, secret options, tables, actions.  :raises UnknownDriver: it is not installed."""
        try:
            return self.catalog.describe(driver)
        except DriverNotFound as error:
            raise UnknownDriver(error.message) from error

    # Services ---------------------------------------------------------------------------------------------

    @exposed
    def list_services(self) -> list[dict[str, object]]:
        """Every service as :meth:`get_service`, in the order in which they were made."""
        return [self._describe(record) for record in self._running.records()]

    @exposed
    def get_service(self, service: str) -> dict[str, object]:
        """``{"id", "name", "driver", "description", "type", "enabled", "config", "state", "error"}``.

        :param service: id or name.
        :raises ServiceNotFound: there is none.
        """
        return self._describe(self._running.record(service))

    @exposed
    def create_service(
        self,
        name: str,
        driver: str,
        description: str | None = None,
        enabled: bool = True,
        config: Mapping[str, Any] | None = None,
        id: str | None = None,
    ) -> dict[str, object]:
        """Check, keep and start a service.  It is kept when this returns; it may still be starting.

        :raises InvalidName: the name cannot stand in a rule.
        :raises ServiceExists: a service or a policy has it.
        :raises DriverNotFound: no such driver is installed.
        :raises ConfigError: with everything that is wrong with the configuration; never with a value.
        """
        self._check_name(name)
        if id is not None and self._running.knows(id):
            raise ServiceExists(f"there is a service with the id {id!r} already")
        built = self._make(name, driver, config)
        record = self._new_record(
            name=name,
            driver=driver,
            config=_given(config),
            secret_options=_secrets(built, config),
            description=description or "",
            enabled=enabled,
            **({"id": id} if id is not None else {}),
        )
        self._store.create(record)
        self._running.put(record, self._furnish(built, record))
        return self._describe(record)

    @exposed
    def update_service(self, service: str, changes: Mapping[str, Any]) -> dict[str, object]:
        """Change ``description``, ``enabled`` or ``config``.

        The configuration is given whole; a secret in it that is given as ``<hidden>`` stays as it is,
        unless the service is to be at another address.  The service is started anew where its configuration changed.
        :raises ServiceNotFound: there is none.
        :raises ConfigError: as :meth:`create_service`; nothing is changed then.
        """
        record = self._running.record(service)
        if unknown := sorted(changes.keys() - {"description", "enabled", "config"}):
            raise ConfigError(f"{unknown[0]!r:.60} of a service cannot be changed")
        new: dict[str, Any] = {key: changes[key] for key in ("description", "enabled") if key in changes}
        new["description"] = new.get("description", record.description) or ""
        built: DataSourceDriver | None = None
        if changes.get("config") is not None:
            config = _given(self._with_old_secrets(record, changes["config"]))
            built = self._make(record.name, record.driver, config)
            new |= {"config": config, "secret_options": _secrets(built, config), "unreadable": frozenset()}
        changed: Any = dataclasses.replace(record, **new)  # type: ignore[type-var]  # stores' records are dataclasses
        self._store.update(changed)
        same = built is None and changed.enabled == record.enabled
        if same:
            self._running.relabel(changed)
        else:
            self._running.put(changed, self._furnish(built, changed) if built is not None else None)
        return self._describe(changed)

    @exposed
    def delete_service(self, service: str) -> None:
        """Stop a service and forget it, its kept rows too.  :raises ServiceNotFound: there is none."""
        record = self._running.record(service)
        self._store.delete(record.id)
        self._running.remove(record)

    @exposed
    def restart_service(self, service: str) -> None:
        """Stop a service and start it anew.  :raises ServiceNotFound: there is none."""
        self._running.put(self._running.record(service))

    # About a service --------------------------------------------------------------------------------------

    @exposed
    def resolve(self, service: str) -> str:
        """The name on the bus of a service given by id or name.

        :raises ServiceNotFound: there is none, or it is not running.
        """
        name = self._name(service)
        if not self.bus.has(name):
            raise ServiceNotFound(f"service {name!r} is not running: {self._running.why_not(name)}")
        return name

    @exposed
    def service_status(self, service: str) -> dict[str, object]:
        """How a service is; for one that cannot run, why.  Does not wait for a busy driver."""
        driver = self._running.driver(service)
        if driver is not None:
            record = self._running.record(service)
            state, error = self._running.state_of(record)
            return {**driver.status(), "id": record.id, "enabled": record.enabled, "state": state, "error": error}
        if self._running.knows(service):
            shown = self._describe(self._running.record(service))
            return {**shown, "tables": {}, "last_updated": None, "last_error": shown["error"]}
        status = self.call(self._name(service), "status", timeout=5.0)
        return dict(status)

    @exposed
    def service_schema(self, service: str) -> list[dict[str, Any]]:
        """``[{"table_id", "description", "columns": [{"name", "type", "nullable", "description"}]}]``."""
        driver = self._running.driver(service)
        if driver is None:
            return tables_to_json(self.call(self.resolve(service), "schema", timeout=5.0))
        return tables_to_json(driver.schema())

    @exposed
    def service_actions(self, service: str) -> list[dict[str, object]]:
        """``[{"name", "args": [{"name", "type", ...}], "description", "changes", "effects", ...}]``."""
        driver = self._running.driver(service)
        found = driver.actions() if driver else self.call(self.resolve(service), "actions", timeout=5.0)
        return [action_to_json(action) for action in found]

    # ------------------------------------------------------------------------------------------------------

    def _name(self, service: str) -> str:
        """:raises ServiceNotFound: no service has this id or name."""
        if self._running.knows(service):
            return self._running.record(service).name
        if isinstance(service, str) and not service.startswith("_") and self.bus.has(service):
            return service
        raise ServiceNotFound(f"there is no service {str(service)[:100]!r}")

    def _check_name(self, name: object) -> None:
        if not isinstance(name, str) or not NAME.fullmatch(name) or "." in name or len(name) > LONGEST_NAME:
            raise InvalidName("a service's name consists of letters, digits and _, and begins with a letter")
        if name.startswith("_") or name in RESERVED:
            raise InvalidName(f"{name!r} is a reserved name")
        if self._is_policy(name):
            raise ServiceExists(f"there is a policy {name!r}; a service and a policy cannot share a name")
        if self._running.knows(name) or self.bus.has(name):
            raise ServiceExists(f"there is a service {name!r} already")

    def _build(self, record: StoredService) -> DataSourceDriver:
        """A driver for a stored definition.  :raises DriverError: it cannot be made."""
        if record.unreadable:
            names = ", ".join(sorted(record.unreadable))
            raise ConfigError(f"secret options cannot be decrypted, give them again: {names}")
        return self._furnish(self._make(record.name, record.driver, record.config), record)

    def _furnish(self, driver: DataSourceDriver, record: StoredService) -> DataSourceDriver:
        if isinstance(driver, PushedDriver):
            driver.row_store, driver.service_id = self._row_store, record.id
        return driver

    def _make(self, name: str, driver: str, config: Mapping[str, Any] | None) -> DataSourceDriver:
        cls = self.catalog.load(driver)
        try:
            return cls(name, config)
        except DriverError:
            raise
        except BaseException as error:  # noqa: BLE001  # the boundary at which a driver's fault is cut
            secrets = secret_values(cls.options(), config or {})
            text = scrub(f"{type(error).__name__}: {error}", secrets)
            raise DriverError(f"driver {driver!r} cannot be set up: {text}") from None  # it may hold a secret

    def _with_old_secrets(self, record: StoredService, config: Mapping[str, Any]) -> dict[str, Any]:
        """The new configuration with the old values of the secrets that are given as hidden."""
        options = self.catalog.load(record.driver).options()
        restored = with_old_secrets(options, config, record.config, record.unreadable)
        check_moved(options, config, record.config, restored)
        return restored

    def _describe(self, record: StoredService) -> dict[str, object]:
        """A definition and how it fares; nothing secret is shown, also where the driver is gone."""
        try:
            options = self.catalog.load(record.driver).options()
            config = redact(options, record.config)
            whole = secret_names(options) & record.secret_options
            # What is encrypted without a secret that we know of was one for the version that stored it.
            whole |= {name for name in record.secret_options if config.get(name) == record.config.get(name)}
        except DriverError:
            config, whole = dict(record.config), record.secret_options
        config |= dict.fromkeys(whole | record.unreadable, HIDDEN)
        state, error = self._running.state_of(record)
        return {
            "id": record.id,
            "name": record.name,
            "driver": record.driver,
            "description": record.description or None,
            "type": None,
            "enabled": record.enabled,
            "config": config,
            "state": state,
            "error": error,
        }


def _given(config: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (config or {}).items() if value is not None}


def _secrets(driver: DataSourceDriver, config: Mapping[str, Any] | None) -> frozenset[str]:
    return names_to_encrypt(driver.options(), _given(config))
