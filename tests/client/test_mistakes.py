# SPDX-License-Identifier: Apache-2.0
"""What people get wrong on the command line: what they are told, and what scripts see."""

import pytest

from congress.client import Connection
from congress.client.errors import SettingsError
from tests.client.test_commands import Run, run

__all__ = ["run"]  # a fixture


@pytest.mark.parametrize(
    "words",
    [
        "row list slips:t --limit -1",
        "row list slips:t --limit 0",
        "execution list --limit -1",
        "execution list --limit much",
        "watch slips:t --count 0",
        "policy list --watch --interval -1",
        "policy list --watch --interval nan",
        "policy list --watch --interval 0",
        "execution wait nothing --seconds nan",
        "execution wait nothing --seconds -1",
        "execute slips:fake_act --wait inf",
        "--timeout 0",
    ],
)
def test_numbers_have_bounds(words: str, run: Run) -> None:
    error = run(*words.split(), code=2)
    assert words.rpartition(" ")[0].rpartition(" ")[2] in error
    assert "must be" in error
    assert "islice" not in error


def test_more_rows_may_be_asked_for_than_a_page_has(run: Run, cloud: Connection) -> None:
    cloud.policies.create("slips", rules=["t(1)", "t(2)"])
    assert run("row", "list", "slips:t", "--limit", "1000000", "-f", "value") == "1\n2\n"


def test_what_is_no_table_is_no_fault_of_the_server(run: Run, cloud: Connection) -> None:
    assert "next: A table is named OWNER:TABLE" in run("watch", "slips:t", "lab", code=2)
    with pytest.raises(SettingsError, match="'lab' is no table"):
        cloud.follow("lab")


def test_a_question_that_cannot_be_asked_is_not_a_no(run: Run, cloud: Connection) -> None:
    cloud.policies.create("pairs", rules=["q(1, 2)"])
    assert "2 columns" in run("why", "pairs:q", "1", code=2)
    assert "2 columns" in run("why-not", "pairs:q", "1", code=2)
    run("why", "pairs:q", "1", "3", code=1)
    run("why-not", "pairs:q", "1", "2", code=1)
    run("why", "nobody:q", "1", code=5)


@pytest.mark.parametrize("kind", ["policy", "service", "library", "rule"])
def test_a_miss_does_not_stop_the_others_from_being_deleted(kind: str, run: Run, cloud: Connection) -> None:
    cloud.policies.create("doomed", rules=["p(1)"])
    cloud.cloud_services.create("doomed2", "fake")
    cloud.library.create("doomed", ["p(1)"])
    name = {"service": "doomed2", "rule": next(cloud.rules.list("doomed")).id}.get(kind, "doomed")
    where = ["doomed"] if kind == "rule" else []
    error = run(kind, "delete", *where, "nope", name, "..", code=5)
    assert [line.partition(":")[0] for line in error.splitlines()] == ["error", "next"] * 2
    assert "nope" in error
    assert "'..' is no name" in error
    run(kind, "show", *where, name, code=5)
    for other, left in (("policy", "doomed"), ("service", "doomed2"), ("library", "doomed")):
        if other != kind:
            run(other, "delete", left)


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        ("service create advised push", 1, "`congress service list` and `congress policy list` show the names"),
        ("service create nobody novax", 1, "`congress driver list` shows the drivers"),
        ("service create nobody nova --config foo=1", 1, "`congress driver show DRIVER`"),
        ("service update advised --config foo=1", 1, "`congress driver show DRIVER`"),
        ("policy create advice", 1, "`congress service list` and `congress policy list` show the names"),
        ("rule create advice p(1)", 1, "`congress rule list POLICY`"),
        ("guard set --policy advice mode=fly", 1, "`congress guard show`"),
        ("execute advised:fake_act a 5 --named x=true", 1, "`congress service actions NAME`"),
        ("watch advice lab", 2, "OWNER:TABLE"),
        ("watch advice:nix", 5, "`congress table list NAME`"),
        ("row list advice:p --sort nope", 1, "`congress table show OWNER:TABLE`"),
        ("row list advice:p --where nope=1", 1, "`congress table show OWNER:TABLE`"),
        ("why advice:p 1 2", 2, "`congress table show OWNER:TABLE`"),
        ("push advised:owners /nope", 2, "or - for standard input"),
        ("push advised:owners /nope.csv", 2, "or - for standard input"),
        ("policy create q1 --file /nope", 2, "or - for standard input"),
        ("library create /tmp --name BadFlavors", 2, "or - for standard input"),
        ("execution set approve nix --digest x", 5, "`congress execution set list`"),
    ],
)
def test_an_error_says_what_to_do_next(words: str, code: int, hint: str, run: Run, cloud: Connection) -> None:
    if not list(cloud.policies.list(name="advice")):
        cloud.policies.create("advice", rules=["p(1)"])
        cloud.cloud_services.create("advised", "fake")
    error = run(*words.split(), code=code)
    assert hint in error.partition("\nnext: ")[2]
