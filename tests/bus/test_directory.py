# SPDX-License-Identifier: Apache-2.0
"""Who is on the bus: announcements, silence, restarts, clashes, and a way there that was cut."""

from collections.abc import Mapping

from congress.bus.directory import Directory, Member
from congress.bus.messages import Joined, Left, Presence

ME = "me.1"


def presence(
    node: str, revision: int = 1, services: Mapping[str, str] | None = None, leaving: bool = False
) -> Presence:
    return Presence(node, revision, services or {}, {}, False, leaving)


def directory() -> Directory:
    return Directory(ME, 1.0, 5.0, 0.0)


def test_services_come_change_and_go() -> None:
    known = directory()
    assert known.hear(presence("a.1", 1, {"x": "i1"}), 1.0) == [Joined("x", "i1", "a.1")]
    assert known.hear(presence("a.1", 2, {"x": "i1"}), 1.0) == []
    assert known.hear(presence("a.1", 3, {"x": "i2", "y": "i3"}), 1.0) == [
        Left("x", "i1", "a.1"),
        Joined("x", "i2", "a.1"),
        Joined("y", "i3", "a.1"),
    ]
    assert known.hear(presence("a.1", 4, {"y": "i3"}), 1.0) == [Left("x", "i2", "a.1")]
    assert known.hear(presence("a.1", 5, {}, leaving=True), 1.0) == [Left("y", "i3", "a.1")]
    assert known.find("y") is None


def test_an_announcement_that_comes_late_changes_nothing() -> None:
    known = directory()
    known.hear(presence("a.1", 7, {"x": "i1"}), 1.0)
    assert known.hear(presence("a.1", 6, {"old": "i0"}), 1.0) == []
    known.hear(presence("a.1", 8, {}, leaving=True), 1.0)
    assert known.hear(presence("a.1", 7, {"x": "i1"}), 1.0) == []
    assert known.peers == frozenset()


def test_silence_is_death() -> None:
    known = directory()
    known.hear(presence("a.1", 1, {"x": "i1"}), 1.0)
    known.hear(presence("b.1", 1, {"y": "i2"}), 1.0)
    known.hear(presence("b.1", 2, {"y": "i2"}), 4.0)
    known.hear(presence(ME, 8), 4.0)
    known.hear(presence(ME, 9), 6.1)
    assert known.expire() == (["a.1"], [Left("x", "i1", "a.1")])
    assert known.peers == {"b.1"}
    assert known.hear(presence("a.1", 2, {"x": "i1"}), 7.0) == [Joined("x", "i1", "a.1")], "it was not dead"


def test_nobody_dies_while_the_way_is_cut() -> None:
    known = directory()
    known.hear(presence("a.1", 1, {"x": "i1"}), 1.0)
    known.hear(presence(ME, 1), 1.0)
    assert known.expire() == ([], []), "however late it is: this node hears not even itself"
    known.hear(presence(ME, 2), 100.0)
    assert known.expire() == ([], []), "the way is mended, and the others may need a moment"
    known.hear(presence(ME, 3), 104.0)
    known.hear(presence(ME, 4), 106.0)
    assert known.expire() == (["a.1"], [Left("x", "i1", "a.1")])


def test_a_process_restarted_under_its_name_takes_over_soon() -> None:
    known = directory()
    known.hear(presence("a.1", 50, {"x": "i1"}), 1.0)
    known.hear(presence("b.1", 1, {"y": "i2"}), 1.0)
    known.hear(presence("a.2", 1, {"x": "i9"}), 2.5)
    assert known.find("x") == Member("x", "i1", "a.1"), "two processes may share a name"
    known.hear(presence(ME, 1), 4.1)
    assert known.expire() == (["a.1"], [Left("x", "i1", "a.1"), Joined("x", "i9", "a.2")])
    assert known.peers == {"a.2", "b.1"}


def test_processes_that_share_a_name_are_heard_both() -> None:
    known = directory()
    for second in range(10):
        known.hear(presence("a.1", second + 1, {"x": "i1"}), second)
        known.hear(presence("a.2", second + 1, {"y": "i2"}), second)
        known.hear(presence(ME, second + 1), second)
        assert known.expire() == ([], [])
    assert known.members.keys() == {"x", "y"}


def test_a_process_that_shares_ones_own_name_is_a_peer() -> None:
    known = directory()
    known.hear(presence("me.2", 1, {"x": "i1"}), 1.0)
    assert known.peers == {"me.2"}


def test_of_two_services_of_one_name_the_older_is_the_one() -> None:
    known = directory()
    known.add_local("x", "i5")
    assert known.hear(presence("a.1", 1, {"x": "i2"}), 1.0) == [Left("x", "i5", ME), Joined("x", "i2", "a.1")]
    assert known.clashes() == ["x"]
    assert known.hear(presence("a.1", 2, {}), 1.0) == [Left("x", "i2", "a.1"), Joined("x", "i5", ME)]
    assert known.clashes() == []
