# SPDX-License-Identifier: Apache-2.0
"""Files that change, break, come back."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from congress.cloudservices.errors import ConfigError
from congress.cloudservices.files import FilesDriver
from congress.cloudservices.formats import BadFile
from congress.cloudservices.testing import RunningDriver, running

# A moment that no clock's granularity reaches: what is that old is not looked at twice.
LONG_AGO = time.time() - 1000


def write(path: Path, text: str, at: float | None = None) -> None:
    path.write_text(text)
    if at is not None:
        os.utime(path, (at, at))


def replace(path: Path, text: str) -> None:
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").rename(path)


def files(folder: Path, **more: Any) -> FilesDriver:
    tables = {"hosts": {"path": "hosts.csv"}, "zones": {"path": str(folder / "zones.json")}}
    return FilesDriver("files", {"directory": str(folder), "tables": tables, "poll_time": 0.02, **more})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "hosts.csv", "name,zone\nh1,a\n", LONG_AGO)
    write(tmp_path / "zones.json", '[{"zone": "a"}]', LONG_AGO)
    return tmp_path


def becomes(it: RunningDriver, table: str, rows: set[Any]) -> None:
    it.wait(lambda: it.copy(table) == rows, lambda: f"{it.copy(table)} instead of {rows}; {it.driver.freshness}")


def breaks(it: RunningDriver, table: str, error: str) -> None:
    it.wait(lambda: error in str(it.freshness(table).error), lambda: f"{it.freshness(table)} instead of {error}")


def test_files_become_tables(folder: Path) -> None:
    with running(files(folder)) as it:
        it.subscribe()
        assert it.copy("hosts") == {("h1", "a")}
        assert it.copy("zones") == {("a",)}
        assert it.call("schema")["hosts"].names == ("name", "zone")


def test_replaced_files_are_read_again(folder: Path) -> None:
    with running(files(folder, debounce=60)) as it:
        it.subscribe()
        replace(folder / "hosts.csv", "name,zone\nh1,a\nh2,a\n")
        becomes(it, "hosts", {("h1", "a"), ("h2", "a")})
        replace(folder / "hosts.csv", "name,zone\n")
        becomes(it, "hosts", set())


def test_files_that_are_written_into_have_to_rest(folder: Path) -> None:
    with running(files(folder, debounce=0.3)) as it:
        it.subscribe()
        for number in range(10):
            write(folder / "hosts.csv", "name,zone\n" + f"h{number},\n" * (number + 1))
            assert it.copy("hosts") == {("h1", "a")}
            time.sleep(0.02)
        write(folder / "hosts.csv", "name,zone\nh2,b\n")
        began = time.time()
        becomes(it, "hosts", {("h2", "b")})
        assert time.time() - began > 0.25


def test_the_same_size_and_moment_does_not_deceive(folder: Path) -> None:
    with running(files(folder, debounce=0)) as it:
        it.subscribe()
        now = time.time()
        write(folder / "hosts.csv", "name,zone\nh2,b\n", now)
        becomes(it, "hosts", {("h2", "b")})
        write(folder / "hosts.csv", "name,zone\nh3,c\n", now)
        becomes(it, "hosts", {("h3", "c")})


def test_a_file_that_did_not_change_is_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[Path] = []
    driver = files(folder)
    content = driver._content
    monkeypatch.setattr(driver, "_content", lambda path: (reads.append(path), content(path))[1])
    with running(driver) as it:
        it.subscribe()
        before = len(reads)
        polls = it.call("status")["polls"]
        it.wait(lambda: it.call("status")["polls"] > polls + 5, lambda: "no polls")
        assert len(reads) == before


def test_a_bad_file_keeps_the_rows_and_says_the_line(folder: Path) -> None:
    with running(files(folder)) as it:
        it.subscribe()
        replace(folder / "hosts.csv", "name,zone\nh1,a\nh2\n")
        breaks(it, "hosts", "hosts.csv: line 3: 1 cells, but the heading has 2")
        assert it.copy("hosts") == {("h1", "a")}
        assert it.fresh("zones")
        replace(folder / "hosts.csv", "name,zone\nh1,a\nh2,b\n")
        becomes(it, "hosts", {("h1", "a"), ("h2", "b")})
        assert it.fresh("hosts")


@pytest.mark.parametrize(
    ("text", "error"),
    [("", "there is no heading"), ("\n\n", "there is no heading"), ("name,area\nh2,a\n", "no column 'zone'")],
)
def test_a_file_without_its_heading_is_not_an_empty_table(folder: Path, text: str, error: str) -> None:
    """A program that writes into a file empties it first; one that renames its columns has other rows."""
    with running(files(folder)) as it:
        it.subscribe()
        replace(folder / "hosts.csv", text)
        breaks(it, "hosts", error)
        assert it.copy("hosts") == {("h1", "a")}


def test_a_bad_file_is_looked_at_as_often_as_a_good_one(folder: Path) -> None:
    one = {"hosts": {"path": "hosts.csv"}}
    with running(files(folder, tables=one)) as it:
        it.subscribe()
        for number in range(6):
            replace(folder / "hosts.csv", f"name,zone\nbad {number}\n")
            breaks(it, "hosts", "line 2")
            time.sleep(0.03)
        began = time.monotonic()
        replace(folder / "hosts.csv", "name,zone\nh2,b\n")
        becomes(it, "hosts", {("h2", "b")})
        assert time.monotonic() - began < 5


def test_a_file_that_goes_and_comes(folder: Path) -> None:
    with running(files(folder)) as it:
        it.subscribe()
        (folder / "hosts.csv").unlink()
        breaks(it, "hosts", "hosts.csv: No such file or directory")
        assert it.copy("hosts") == {("h1", "a")}
        replace(folder / "hosts.csv", "name,zone\nh1,a\n")
        it.settle()


@pytest.mark.parametrize("kind", ["directory", "pipe"])
def test_what_is_no_file(folder: Path, kind: str) -> None:
    with running(files(folder)) as it:
        it.subscribe()
        (folder / "zones.json").unlink()
        (folder / "zones.json").mkdir() if kind == "directory" else os.mkfifo(folder / "zones.json")
        breaks(it, "zones", "directory" if kind == "directory" else "not a regular file")


def test_too_large(folder: Path) -> None:
    with running(files(folder, max_bytes=20)) as it:
        it.subscribe()
        replace(folder / "hosts.csv", "name,zone\n" + "h1,a\n" * 10)
        breaks(it, "hosts", "larger than 20 bytes")


def test_written_to_while_it_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = files(folder)
    real, times = os.fstat, iter(range(1000))

    def fstat(descriptor: int) -> os.stat_result:
        found = real(descriptor)
        return os.stat_result((*found[:6], found.st_size + next(times), *found[7:10]))

    monkeypatch.setattr("congress.cloudservices.files.os.fstat", fstat)
    with pytest.raises(Exception, match="it was being written to while it was read"):
        driver._content(folder / "hosts.csv")


def test_columns_need_a_file_unless_they_are_given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("congress.cloudservices.schedule.FIRST_RETRY", 0.05)
    (folder / "hosts.csv").unlink()
    driver = files(folder)
    seen: list[str | None] = []
    driver.observer = lambda it: (seen.append(it.error), it.error and replace(folder / "hosts.csv", "id\nx\n"))[0]
    with running(driver) as it:
        it.subscribe("hosts")
        assert it.copy("hosts") == {("x",)}
    assert any("No such file or directory" in str(error) for error in seen)
    (folder / "hosts.csv").unlink()
    given = {"hosts": {"path": "hosts.csv", "columns": ["id"]}}
    with running(files(folder, tables=given)) as it:
        it._watcher.subscribe("files", "hosts")
        breaks(it, "hosts", "No such file")


@pytest.mark.parametrize("columns", [None, ["id", {"name": "on", "from": "yes"}]])
@pytest.mark.parametrize(("key", "shown"), [("yes", "true"), ("2026-11-21", "2026-11-21"), ("5", "5"), ("~", "null")])
def test_a_key_that_is_no_text(folder: Path, key: str, shown: str, columns: list[Any] | None) -> None:
    replace(folder / "keys.yaml", f"- {{id: 1, {key}: yes}}\n")
    given = {"keys": {"path": "keys.yaml", **({"columns": columns} if columns else {})}}
    driver = files(folder, tables=given)
    driver.observer = None
    if columns is None:
        with pytest.raises(BadFile, match=f"keys.yaml: row 0: the key {shown} is no text; quote it"):
            driver.open()
        return
    with running(driver) as it:
        it._watcher.subscribe("files", "keys")
        breaks(it, "keys", f"row 0: the key {shown} is no text; quote it")


def test_two_headings_that_make_one_name(folder: Path) -> None:
    replace(folder / "twice.json", '[{"a b": 1, "a_b": 2}]')
    with pytest.raises(BadFile, match=r"twice\.json: 'a b' and 'a_b' would both be column 'a_b'; name the columns"):
        files(folder, tables={"twice": {"path": "twice.json"}}).open()


@pytest.mark.parametrize(
    ("table", "error"),
    [
        (["id"], "needs a path"),
        ({"columns": ["id"]}, "needs a path"),
        ({"path": 5}, "path must be a string"),
        ({"path": "a.txt"}, "format must be one of csv, json, jsonl, yaml"),
        ({"path": "a.csv", "format": "xml"}, "format must be one of"),
        ({"path": "a.csv", "delimiter": ";;"}, "delimiter must be one character"),
        ({"path": "a.csv", "header": "no"}, "header must be true or false"),
        ({"path": "a.csv", "header": False}, "a file without a heading needs columns"),
        ({"path": "a.csv", "encoding": "klingon"}, "unknown encoding"),
        ({"path": "a.json", "rows": "$["}, "is not a JSON path"),
        ({"path": "a.json", "columns": [{"name": "a", "from": "$["}]}, "is not a JSON path"),
    ],
)
def test_configurations_that_make_no_sense(table: Any, error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        FilesDriver("files", {"tables": {"t": table}})
