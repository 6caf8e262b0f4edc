# SPDX-License-Identifier: Apache-2.0
"""Keystone as a cloud service: users, roles, projects and domains as tables, and what can be asked of it."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final

from keystoneauth1 import exceptions as ksa

from congress.cloudservices.errors import ActionArgumentError
from congress.cloudservices.openstack import Json, quoted
from congress.cloudservices.openstack_actions import OpenStackActions, api_action
from congress.cloudservices.openstack_driver import OpenStackDriver, Pages
from congress.cloudservices.translation import Compiled, compile_translator, schemas_of
from congress.cloudservices.translators import Field, HDict

ID: Final = Field("id", type="string", nullable=False, description="its id")
NAME: Final = Field("name", type="string", nullable=False, description="its name")
ENABLED: Final = Field("enabled", type="boolean", nullable=False, description="whether it can be used")
DESCRIPTION: Final = Field("description", type="string", description="its description")
DOMAIN: Final = Field("domain_id", type="string", description="id of the domain it belongs to")

USERS = compile_translator(
    HDict(
        "users",
        (
            ID,
            NAME,
            ENABLED,
            Field("default_project_id", type="string", description="id of the user's default project"),
            DOMAIN,
        ),
        description="Users of all domains that Keystone lists.",
    )
)
ROLES = compile_translator(HDict("roles", (ID, NAME), description="Roles."))
PROJECTS = compile_translator(
    HDict("projects", (ENABLED, DESCRIPTION, NAME, DOMAIN, ID), description="Projects of all domains.")
)
DOMAINS = compile_translator(HDict("domains", (ENABLED, DESCRIPTION, NAME, ID), description="Domains."))
LISTS: Final[tuple[Compiled, ...]] = (USERS, ROLES, PROJECTS, DOMAINS)


def _given(**attributes: Any) -> Json:
    """The attributes that were given.  :raises ActionArgumentError: none was."""
    given = {name: value for name, value in attributes.items() if value is not None}
    if not given:
        raise ActionArgumentError("give at least one attribute to change")
    return given


def _is_set(kind: str, *names: str) -> Any:
    """A check: the thing has the attributes that the action sets."""

    def check(driver: "KeystoneActions", thing: str, *args: Any, **kwargs: Any) -> bool | None:
        wanted = {**dict(zip(names, args, strict=False)), **kwargs}
        found = driver.show(kind, thing)
        if found is None:
            return None
        return all(found.get(_FIELDS.get(n, n)) == v for n, v in wanted.items() if v is not None)

    return check


def _is_enabled(kind: str, wanted: bool) -> Any:
    def check(driver: "KeystoneActions", thing: str) -> bool | None:
        found = driver.show(kind, thing)
        return None if found is None else bool(found["enabled"]) is wanted

    return check


def _gone(kind: str) -> Any:
    return lambda driver, thing: driver.show(kind, thing) is None


def _granted(wanted: bool) -> Any:
    return lambda driver, *args, **kwargs: driver.has(driver.assignment(*args, **kwargs)) is wanted


def _member(wanted: bool) -> Any:
    return lambda driver, user, group: driver.has(_membership(user, group)) is wanted


def _membership(user: str, group: str) -> str:
    return f"/groups/{quoted(group)}/users/{quoted(user)}"


# Arguments that are named otherwise than the attributes they set.
_FIELDS: Final = {"default_project": "default_project_id", "domain": "domain_id"}


class KeystoneActions(OpenStackActions):
    """The actions of :class:`KeystoneDriver`.  Things are named by their ids."""

    api: Any

    def show(self, kind: str, thing: str) -> Json | None:
        """What Keystone says about a user, project, …; None when there is none of this id."""
        try:
            found: Json = self.api.get(f"/{kind}s/{quoted(thing)}")[kind]
        except ksa.NotFound:
            return None
        return found

    def has(self, path: str) -> bool:
        """Whether there is something at a path."""
        try:
            self.api.request("HEAD", path)
        except ksa.NotFound:
            return False
        return True

    def _update(self, kind: str, thing: str, **attributes: Any) -> None:
        self.api.request("PATCH", f"/{kind}s/{quoted(thing)}", body={kind: _given(**attributes)})

    def _create(self, kind: str, **attributes: Any) -> Json:
        return {"id": self.api.request("POST", f"/{kind}s", body={kind: _given(**attributes)})[kind]["id"]}

    def _delete(self, kind: str, thing: str) -> None:
        self.api.request("DELETE", f"/{kind}s/{quoted(thing)}")

    # Users

    @api_action("users.create", effects=("users",))
    def users_create(
        self,
        name: str,
        domain: str = "default",
        email: str | None = None,
        description: str | None = None,
        default_project: str | None = None,
        enabled: bool = True,
    ) -> Json:
        """Create a user, without a password.  Gives the user's id.

        :param name: the user's name
        :param domain: id of the domain
        :param email: mail address
        :param description: description
        :param default_project: id of the default project
        :param enabled: whether the user can log in
        """
        return self._create(
            "user",
            name=name,
            domain_id=domain,
            email=email,
            description=description,
            default_project_id=default_project,
            enabled=enabled,
        )

    @api_action(
        "users.update",
        effects=("users",),
        idempotent=True,
        check=_is_set("user", "name", "email", "description", "default_project", "enabled"),
    )
    def users_update(
        self,
        user: str,
        name: str | None = None,
        email: str | None = None,
        description: str | None = None,
        default_project: str | None = None,
        enabled: bool | None = None,
    ) -> None:
        """Change attributes of a user; those that are null stay.

        :param user: id of the user
        :param name: new name
        :param email: mail address
        :param description: description
        :param default_project: id of the default project
        :param enabled: whether the user can log in
        """
        self._update(
            "user",
            user,
            name=name,
            email=email,
            description=description,
            default_project_id=default_project,
            enabled=enabled,
        )

    @api_action("users.enable", effects=("users",), idempotent=True, check=_is_enabled("user", True))
    def users_enable(self, user: str) -> None:
        """Let a user log in again.

        :param user: id of the user
        """
        self._update("user", user, enabled=True)

    @api_action("users.disable", effects=("users",), idempotent=True, check=_is_enabled("user", False))
    def users_disable(self, user: str) -> None:
        """Let a user log in no more; what tokens the user has are void.

        :param user: id of the user
        """
        self._update("user", user, enabled=False)

    @api_action("users.delete", effects=("users",), idempotent=True, check=_gone("user"))
    def users_delete(self, user: str) -> None:
        """Delete a user.

        :param user: id of the user
        """
        self._delete("user", user)

    @api_action("users.add_to_group", effects=("users",), idempotent=True, check=_member(True))
    def users_add_to_group(self, user: str, group: str) -> None:
        """Put a user into a group.

        :param user: id of the user
        :param group: id of the group
        """
        self.api.request("PUT", _membership(user, group))

    @api_action("users.remove_from_group", effects=("users",), idempotent=True, check=_member(False))
    def users_remove_from_group(self, user: str, group: str) -> None:
        """Take a user out of a group.

        :param user: id of the user
        :param group: id of the group
        """
        self.api.request("DELETE", _membership(user, group))

    # Projects

    @api_action("projects.create", effects=("projects",))
    def projects_create(
        self, name: str, domain: str = "default", description: str | None = None, enabled: bool = True
    ) -> Json:
        """Create a project.  Gives its id.

        :param name: its name
        :param domain: id of its domain
        :param description: description
        :param enabled: whether it can be used
        """
        return self._create("project", name=name, domain_id=domain, description=description, enabled=enabled)

    @api_action(
        "projects.update",
        effects=("projects",),
        idempotent=True,
        check=_is_set("project", "name", "description", "enabled"),
    )
    def projects_update(
        self,
        project: str,
        name: str | None = None,
        description: str | None = None,
        enabled: bool | None = None,
    ) -> None:
        """Change attributes of a project; those that are null stay.

        :param project: id of the project
        :param name: new name
        :param description: description
        :param enabled: whether it can be used
        """
        self._update("project", project, name=name, description=description, enabled=enabled)

    @api_action("projects.enable", effects=("projects",), idempotent=True, check=_is_enabled("project", True))
    def projects_enable(self, project: str) -> None:
        """Let a project be used again.

        :param project: id of the project
        """
        self._update("project", project, enabled=True)

    @api_action("projects.disable", effects=("projects",), idempotent=True, check=_is_enabled("project", False))
    def projects_disable(self, project: str) -> None:
        """Let a project be used no more.

        :param project: id of the project
        """
        self._update("project", project, enabled=False)

    @api_action("projects.delete", effects=("projects",), idempotent=True, check=_gone("project"))
    def projects_delete(self, project: str) -> None:
        """Delete a project.

        :param project: id of the project
        """
        self._delete("project", project)

    # Domains

    @api_action("domains.create", effects=("domains",))
    def domains_create(self, name: str, description: str | None = None, enabled: bool = True) -> Json:
        """Create a domain.  Gives its id.

        :param name: its name
        :param description: description
        :param enabled: whether it can be used
        """
        return self._create("domain", name=name, description=description, enabled=enabled)

    @api_action(
        "domains.update",
        effects=("domains",),
        idempotent=True,
        check=_is_set("domain", "name", "description", "enabled"),
    )
    def domains_update(
        self,
        domain: str,
        name: str | None = None,
        description: str | None = None,
        enabled: bool | None = None,
    ) -> None:
        """Change attributes of a domain; those that are null stay.

        :param domain: id of the domain
        :param name: new name
        :param description: description
        :param enabled: whether it can be used; only one that is not can be deleted
        """
        self._update("domain", domain, name=name, description=description, enabled=enabled)

    @api_action("domains.delete", effects=("domains",), idempotent=True, check=_gone("domain"))
    def domains_delete(self, domain: str) -> None:
        """Delete a domain that is disabled, with all that belongs to it.

        :param domain: id of the domain
        """
        self._delete("domain", domain)

    # Roles

    @api_action("roles.create", effects=("roles",))
    def roles_create(self, name: str, description: str | None = None) -> Json:
        """Create a role.  Gives its id.

        :param name: its name
        :param description: description
        """
        return self._create("role", name=name, description=description)

    @api_action("roles.delete", effects=("roles",), idempotent=True, check=_gone("role"))
    def roles_delete(self, role: str) -> None:
        """Delete a role.

        :param role: id of the role
        """
        self._delete("role", role)

    @api_action("roles.grant", idempotent=True, check=_granted(True))
    def roles_grant(
        self,
        role: str,
        user: str | None = None,
        project: str | None = None,
        group: str | None = None,
        domain: str | None = None,
    ) -> None:
        """Give a user or a group a role in a project or a domain.

        :param role: id of the role
        :param user: id of the user
        :param project: id of the project
        :param group: id of the group, instead of a user
        :param domain: id of the domain, instead of a project
        """
        self.api.request("PUT", self.assignment(role, user, project, group, domain))

    @api_action("roles.revoke", idempotent=True, check=_granted(False))
    def roles_revoke(
        self,
        role: str,
        user: str | None = None,
        project: str | None = None,
        group: str | None = None,
        domain: str | None = None,
    ) -> None:
        """Take a role in a project or a domain from a user or a group.

        :param role: id of the role
        :param user: id of the user
        :param project: id of the project
        :param group: id of the group, instead of a user
        :param domain: id of the domain, instead of a project
        """
        self.api.request("DELETE", self.assignment(role, user, project, group, domain))

    @staticmethod
    def assignment(
        role: str,
        user: str | None = None,
        project: str | None = None,
        group: str | None = None,
        domain: str | None = None,
    ) -> str:
        """The path of a role's assignment.  :raises ActionArgumentError: to whom or where is not clear."""
        if (user is None) == (group is None):
            raise ActionArgumentError("give either a user or a group", argument="user")
        if (project is None) == (domain is None):
            raise ActionArgumentError("give either a project or a domain", argument="project")
        where = f"/domains/{quoted(domain)}" if domain is not None else f"/projects/{quoted(project or '')}"
        who = f"/groups/{quoted(group)}" if group is not None else f"/users/{quoted(user or '')}"
        return f"{where}{who}/roles/{quoted(role)}"


class KeystoneDriver(KeystoneActions, OpenStackDriver):
    """Users and projects of all domains, where the account may read them."""

    NAME = "keystone"
    DESCRIPTION = "OpenStack Identity (Keystone, v3): users, roles, projects, domains"
    SERVICE_TYPE = "identity"
    TABLES = schemas_of(*LISTS)

    def lists(self) -> Sequence[tuple[Compiled, Pages]]:
        return tuple((translate, partial(self._list, translate.table)) for translate in LISTS)

    def _list(self, kind: str) -> Iterator[list[Json]]:
        # Keystone has no pages but where it was told to make some; then it links to the next one.
        yield from self.api.pages(f"/{kind}", kind, sized=False)
