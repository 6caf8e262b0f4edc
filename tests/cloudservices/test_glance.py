# SPDX-License-Identifier: Apache-2.0
"""Glance's tables against the fake cloud."""

from collections.abc import Iterator
from typing import Any

import pytest

from congress.cloudservices.glance import GlanceDriver
from congress.datalog.values import FALSE, TRUE
from tests.cloudservices.fake_openstack import FakeCloud, fake_cloud
from tests.cloudservices.running import running


@pytest.fixture
def cloud() -> Iterator[FakeCloud]:
    with fake_cloud() as cloud:
        yield cloud


def _image(image_id: str, **more: Any) -> dict[str, Any]:
    return {
        "id": image_id,
        "status": "active",
        "name": "Debian 12",
        "container_format": "bare",
        "disk_format": "qcow2",
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-02T00:00:00Z",
        "owner": "t1",
        "protected": False,
        "min_ram": 512,
        "min_disk": 2,
        "checksum": "d41d8cd98f00b204e9800998ecf8427e",
        "size": 4294967296,
        "file": f"/v2/images/{image_id}/file",
        "schema": "/v2/schemas/image",
        "visibility": "public",
        "tags": ["stable", "debian"],
        **more,
    }


def test_tables(cloud: FakeCloud) -> None:
    cloud.state.images |= {
        "i1": _image("i1"),
        "i2": _image(
            "i2", status="queued", name=None, checksum=None, size=None, tags=[], kernel_id="k", protected=True
        ),
        "i3": _image("i3", os_hidden=True, tags=["old"]),
    }
    with running(GlanceDriver("glance", cloud.config())) as glance:
        images = {row[0]: row for row in glance.rows("images")}
        tags = glance.rows("tags")
        assert glance.status()["warnings"] == []
    assert images.keys() == {"i1", "i2", "i3"}
    assert images["i1"] == (
        "i1",
        "active",
        "Debian 12",
        "bare",
        "2026-01-01T00:00:00Z",
        "2026-01-02T00:00:00Z",
        "qcow2",
        "t1",
        FALSE,
        512,
        2,
        "d41d8cd98f00b204e9800998ecf8427e",
        4294967296,
        "/v2/images/i1/file",
        None,
        None,
        "/v2/schemas/image",
        "public",
    )
    assert images["i2"][1:3] == ("queued", None)
    assert images["i2"][8] is TRUE
    assert images["i2"][11:15] == (None, None, "/v2/images/i2/file", "k")
    assert tags == {("i1", "stable"), ("i1", "debian"), ("i3", "old")}


def test_pages(cloud: FakeCloud) -> None:
    cloud.page_limit = 2
    cloud.state.images |= {f"i{n}": _image(f"i{n}", tags=[]) for n in range(5)}
    with running(GlanceDriver("glance", cloud.config())) as glance:
        assert {row[0] for row in glance.rows("images")} == {f"i{n}" for n in range(5)}
    visible = [r for r in cloud.asked("GET", "/images") if r.query["os_hidden"] == "false"]
    assert [r.query.get("marker") for r in visible] == [None, "i1", "i3"]
    assert {r.query["visibility"] for r in visible} == {"all"}
