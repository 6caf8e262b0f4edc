# SPDX-License-Identifier: Apache-2.0
"""The page on the architecture names each folder there is, and its picture can be shown anywhere."""

import re
from xml.etree import ElementTree

from congress.cloudservices.catalog import DriverCatalog
from congress.cloudservices.service_tables import NAME
from tests.docs.pages import DOCS

SVG = "{http://www.w3.org/2000/svg}"


def test_every_folder_is_told_of() -> None:
    text = (DOCS / "explanation" / "architecture.rst").read_text(encoding="utf-8")
    told = {
        name for row in re.findall(r"^   \* - (``.*)$", text, re.MULTILINE) for name in re.findall(r"``(\S+)/``", row)
    }
    packages = {f"congress/{path.parent.name}" for path in (DOCS.parent / "congress").glob("*/__init__.py")}
    assert packages
    assert not packages - told
    assert not [name for name in told if not (DOCS.parent / name).is_dir()]


def test_the_picture_stands_by_itself() -> None:
    """In the README it is an image: no fonts, styles or scripts from elsewhere, a ground of its own, light and dark."""
    text = (DOCS / "_static" / "architecture.svg").read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    assert not re.findall(r"href|<script|@import|url\((?!#)", text)
    assert "prefers-color-scheme: dark" in text
    ground = root.find(f"{SVG}rect")
    assert ground is not None
    assert (ground.get("class"), ground.get("width"), ground.get("height")) == (
        "paper", root.get("width"), root.get("height"),
    )  # fmt: skip
    light, dark = (set(re.findall(r"--(\w+): #", part)) for part in text.split("prefers-color-scheme"))
    assert light == dark
    assert len(root.findtext(f"{SVG}desc") or "") > 200


def test_the_drivers_in_the_picture_are_drivers() -> None:
    root = ElementTree.parse(DOCS / "_static" / "architecture.svg").getroot()
    drawn = {text.text for text in root.iter(f"{SVG}text") if text.get("y") == "469" and text.get("class") == "title"}
    assert NAME in drawn
    assert len(drawn) > 5
    catalog = DriverCatalog()
    assert not [name for name in drawn - {NAME, None} if name != catalog.load(str(name)).NAME]
