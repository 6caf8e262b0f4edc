# SPDX-License-Identifier: Apache-2.0
"""Glance as a cloud service: images and their tags as tables, and what can be asked of it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from keystoneauth1 import exceptions as ksa

from congress.cloudservices.errors import ActionArgumentError
from congress.cloudservices.openstack import Json, quoted
from congress.cloudservices.openstack_actions import OpenStackActions, api_action, structure
from congress.cloudservices.openstack_driver import OpenStackDriver, Pages
from congress.cloudservices.translation import Compiled, compile_translator
from congress.cloudservices.translators import Field, HDict, ListOf

VISIBILITIES: Final = ("public", "private", "shared", "community")
PATCH: Final = {"Content-Type": "application/openstack-images-v2.1-json-patch"}


def _text(name: str, description: str, nullable: bool = True) -> Field:
    return Field(name, type="string", nullable=nullable, description=description)


IMAGES = compile_translator(
    HDict(
        "images",
        (
            _text("id", "id of the image", nullable=False),
            _text("status", "``active``, ``queued``, ``deactivated``, …", nullable=False),
            _text("name", "its name"),
            _text("container_format", "such as ``bare``"),
            _text("created_at", "when it was made, in UTC"),
            _text("updated_at", "when it was last changed, in UTC"),
            _text("disk_format", "such as ``qcow2``"),
            _text("owner", "id of the project it belongs to"),
            Field("protected", type="boolean", description="whether it cannot be deleted"),
            Field("min_ram", type="integer", description="MiB of memory that a server needs for it"),
            Field("min_disk", type="integer", description="GiB of disk that a server needs for it"),
            _text("checksum", "MD5 of its data; null while it has none"),
            Field("size", type="integer", description="bytes of its data; null while it has none"),
            _text("file", "path of its data in the API"),
            _text("kernel_id", "id of the image of its kernel"),
            _text("ramdisk_id", "id of the image of its RAM disk"),
            _text("schema", "path of its schema in the API"),
            _text("visibility", "``public``, ``private``, ``shared`` or ``community``"),
            Field(
                "tags",
                rows=ListOf(
                    "tags",
                    "tag",
                    parent_key="id",
                    parent_column="image_id",
                    parent_description="id of the image",
                    description="Tags of images.",
                ),
            ),
        ),
        description="Images of all projects, hidden ones included.",
    )
)


def _is(attribute: str, wanted: Any) -> Any:
    def check(driver: "GlanceActions", image: str) -> bool | None:
        found = driver.show(image)
        return None if found is None else bool(found.get(attribute) == wanted)

    return check


def _updated(driver: "GlanceActions", image: str, body: object) -> bool | None:
    found = driver.show(image)
    if found is None:
        return None
    return all(found.get(name) == value for name, value in structure("body", body).items())


def _visible(driver: "GlanceActions", image: str, visibility: str) -> bool | None:
    return _updated(driver, image, {"visibility": visibility})


def _tagged(wanted: bool) -> Any:
    def check(driver: "GlanceActions", image: str, tag: str) -> bool | None:
        found = driver.show(image)
        return None if found is None else (tag in found["tags"]) is wanted

    return check


def _shared(wanted: bool) -> Any:
    def check(driver: "GlanceActions", image: str, member: str, *_: object, **__: object) -> bool:
        return driver.has_member(image, member) is wanted

    return check


class GlanceActions(OpenStackActions):
    """The actions of :class:`GlanceDriver`.  Images are named by their ids."""

    api: Any

    def show(self, image: str) -> Json | None:
        """What Glance says about an image now; None when there is none of this id."""
        try:
            found: Json = self.api.get(f"/images/{quoted(image)}")
        except ksa.NotFound:
            return None
        return found

    def has_member(self, image: str, member: str) -> bool:
        """Whether an image is shared with a project."""
        try:
            self.api.get(f"/images/{quoted(image)}/members/{quoted(member)}")
        except ksa.NotFound:
            return False
        return True

    def _patch(self, image: str, attributes: Mapping[str, Any]) -> None:
        operations: list[Json] = [
            {"op": "remove", "path": _pointer(name)}
            if value is None
            else {"op": "add", "path": _pointer(name), "value": value}
            for name, value in attributes.items()
        ]
        self.api.request("PATCH", f"/images/{quoted(image)}", body=operations, headers=PATCH)

    @api_action("images.update", effects=("images",), idempotent=True, check=_updated)
    def images_update(self, image: str, body: object) -> None:
        """Set attributes and properties of an image; a property that is set to null is removed.

        :param image: id of the image
        :param body: object of attributes and properties, also as JSON or YAML text
        """
        given = structure("body", body)
        if not given:
            raise ActionArgumentError("give at least one attribute to change", argument="body")
        self._patch(image, given)

    @api_action("images.set_visibility", effects=("images",), idempotent=True, check=_visible)
    def images_set_visibility(self, image: str, visibility: str) -> None:
        """Say who can see an image.

        :param image: id of the image
        :param visibility: ``public``, ``private``, ``shared`` or ``community``
        """
        if visibility not in VISIBILITIES:
            raise ActionArgumentError(
                f"argument 'visibility' must be one of: {', '.join(VISIBILITIES)}", argument="visibility"
            )
        self._patch(image, {"visibility": visibility})

    @api_action("images.protect", effects=("images",), idempotent=True, check=_is("protected", True))
    def images_protect(self, image: str) -> None:
        """Let an image not be deleted.

        :param image: id of the image
        """
        self._patch(image, {"protected": True})

    @api_action("images.unprotect", effects=("images",), idempotent=True, check=_is("protected", False))
    def images_unprotect(self, image: str) -> None:
        """Let an image be deleted.

        :param image: id of the image
        """
        self._patch(image, {"protected": False})

    @api_action("images.deactivate", effects=("images",), idempotent=True, check=_is("status", "deactivated"))
    def images_deactivate(self, image: str) -> None:
        """Let nobody but administrators use an image's data.

        :param image: id of the image
        """
        self.api.request("POST", f"/images/{quoted(image)}/actions/deactivate")

    @api_action("images.reactivate", effects=("images",), idempotent=True, check=_is("status", "active"))
    def images_reactivate(self, image: str) -> None:
        """Let an image's data be used again.

        :param image: id of the image
        """
        self.api.request("POST", f"/images/{quoted(image)}/actions/reactivate")

    @api_action(
        "images.delete",
        effects=("images", "tags"),
        idempotent=True,
        check=lambda driver, image: driver.show(image) is None,
    )
    def images_delete(self, image: str) -> None:
        """Delete an image.

        :param image: id of the image
        """
        self.api.request("DELETE", f"/images/{quoted(image)}")

    def _tag(self, image: str, tag: str) -> None:
        if tag.isascii():
            self.api.request("PUT", f"/images/{quoted(image)}/tags/{quoted(tag)}")
        elif tag not in (tags := self._tags(image)):
            self._patch(image, {"tags": [*tags, tag]})

    def _untag(self, image: str, tag: str) -> None:
        if tag.isascii():
            self.api.request("DELETE", f"/images/{quoted(image)}/tags/{quoted(tag)}")
        elif tag in (tags := self._tags(image)):
            self._patch(image, {"tags": [other for other in tags if other != tag]})

    def _tags(self, image: str) -> list[str]:
        """For tags beyond ASCII, which Glance garbles in paths (``ü`` comes to ``Ã¼``) but not in bodies."""
        tags: list[str] = self.api.get(f"/images/{quoted(image)}")["tags"]
        return tags

    @api_action("image_tags.update", effects=("tags", "images"), idempotent=True, check=_tagged(True))
    def image_tags_update(self, image: str, tag: str) -> None:
        """Put a tag on an image.

        :param image: id of the image
        :param tag: the tag
        """
        self._tag(image, tag)

    @api_action("image_tags.delete", effects=("tags", "images"), idempotent=True, check=_tagged(False))
    def image_tags_delete(self, image: str, tag: str) -> None:
        """Take a tag off an image.

        :param image: id of the image
        :param tag: the tag
        """
        self._untag(image, tag)

    @api_action("images.add_tag", effects=("tags", "images"), idempotent=True, check=_tagged(True))
    def images_add_tag(self, image: str, tag: str) -> None:
        """Put a tag on an image; the same as ``image_tags.update``.

        :param image: id of the image
        :param tag: the tag
        """
        self._tag(image, tag)

    @api_action("images.delete_tag", effects=("tags", "images"), idempotent=True, check=_tagged(False))
    def images_delete_tag(self, image: str, tag: str) -> None:
        """Take a tag off an image; the same as ``image_tags.delete``.

        :param image: id of the image
        :param tag: the tag
        """
        self._untag(image, tag)

    @api_action("image_members.create", idempotent=True, check=_shared(True))
    def image_members_create(self, image: str, member: str) -> None:
        """Share an image, whose visibility is ``shared``, with a project.

        :param image: id of the image
        :param member: id of the project
        """
        self.api.request("POST", f"/images/{quoted(image)}/members", body={"member": member})

    @api_action("image_members.delete", idempotent=True, check=_shared(False))
    def image_members_delete(self, image: str, member: str) -> None:
        """Share an image with a project no more.

        :param image: id of the image
        :param member: id of the project
        """
        self.api.request("DELETE", f"/images/{quoted(image)}/members/{quoted(member)}")


def _pointer(name: str) -> str:
    """A name as a JSON pointer."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


class GlanceDriver(GlanceActions, OpenStackDriver):
    """Images of all projects, where the account is an administrator's; else those that Glance shows it."""

    NAME = "glance"
    DESCRIPTION = "OpenStack Image (Glance, v2): images and their tags"
    SERVICE_TYPE = "image"
    TABLES = IMAGES.schemas

    def lists(self) -> Sequence[tuple[Compiled, Pages]]:
        return ((IMAGES, self._images),)

    def _images(self) -> Iterator[list[Json]]:
        # Hidden images are left out of a list unless asked for, and then they are the only ones.
        for hidden in ("false", "true"):
            query = {"visibility": "all", "os_hidden": hidden, "member_status": "all"}
            yield from self.api.pages("/images", "images", query)
