# SPDX-License-Identifier: Apache-2.0
"""The drivers' pages are up to date, and what they tell people to type works."""

from pathlib import Path

import pytest

from congress.cloudservices import reference
from congress.cloudservices.fake import FakeDriver
from congress.cloudservices.noop import NoopDriver
from tests.docs.pages import DOCS, run_page

PAGES = DOCS / "reference" / "drivers"
DRIVERS = ("fake", "files", "http_json", "noop", "push", "sql")


@pytest.mark.parametrize("name", DRIVERS)
def test_examples_work(name: str, tmp_path: Path) -> None:
    assert run_page(PAGES / f"{name}.rst", tmp_path) > 2


def test_pages_are_up_to_date() -> None:
    assert {path.stem for path in PAGES.glob("*.rst")} >= set(DRIVERS)
    assert reference.main([str(PAGES), "--check"]) == 0, "run python -m congress.cloudservices.reference"


def test_a_page_that_lags_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "fake.rst"
    page.write_text("Mine.\n\n" + reference.page(NoopDriver, "fake") + "\nMine too.\n")
    assert reference.main([str(tmp_path), "--check"]) == 1
    assert f"not up to date: {page}" in capsys.readouterr().out
    assert reference.main([str(tmp_path)]) == 0
    assert reference.main([str(tmp_path), "--check"]) == 0
    text = page.read_text()
    assert text.startswith("Mine.")
    assert text.endswith("\nMine too.\n")
    assert reference.generated(FakeDriver) in text


def test_a_page_without_marks() -> None:
    with pytest.raises(ValueError, match="has no part between the lines"):
        reference.renewed("Mine.", FakeDriver)


def test_how_to_write_a_driver(tmp_path: Path) -> None:
    assert run_page(DOCS / "howto" / "write-a-driver.rst", tmp_path) == 2
