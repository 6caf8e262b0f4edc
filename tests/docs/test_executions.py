# SPDX-License-Identifier: Apache-2.0
"""The page on executions has every state, reason, trigger and field; the picture has every way, and no other."""

import re
import sys
from itertools import combinations
from xml.etree import ElementTree

import pytest

from congress.executions.model import Event, event_shown, shown
from congress.executions.states import TRANSITIONS, Reason, State, Trigger
from tests.docs.pages import DOCS
from tests.executions.some import NOW, wanted

pytest.importorskip("sphinx")
sys.path.append(str(DOCS / "_ext"))

import statechart

SVG = "{http://www.w3.org/2000/svg}"


def section(title: str) -> str:
    """The text below a heading of the page."""
    text = (DOCS / "reference" / "executions.rst").read_text(encoding="utf-8")
    parts = re.split(r"^(\S.*)\n-{3,}\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))[title]


@pytest.mark.parametrize(("title", "codes"), [("States", State), ("Reasons", Reason), ("Triggers", Trigger)])
def test_every_code_is_described(title: str, codes: type[State | Reason | Trigger]) -> None:
    described = re.findall(r"^``(\w+)``\n    \S", section(title), re.MULTILINE)
    assert sorted(described) == sorted(code.value for code in codes)


def fields(title: str) -> list[str]:
    rows = re.findall(r"^   \* - (``.*)$", section(title), re.MULTILINE)
    return [name for row in rows for name in re.findall(r"``(\w+)``", row)]


def test_every_field_is_described() -> None:
    assert sorted(fields("Fields")) == sorted(shown(wanted()))
    assert sorted(fields("The trail")) == sorted(event_shown(Event("id", 1, NOW, None, State.HELD, "ledger")))


def test_every_state_has_a_place() -> None:
    assert set(statechart.POSITIONS) == set(State)


def test_the_arrows_are_the_ways_there_are() -> None:
    arrows = list(statechart.arrows())
    assert len(arrows) == len(set(arrows))
    drawn = [way for arrow in arrows for way in statechart.ways(arrow)]
    assert sorted(drawn, key=str) == sorted(
        ((before, after) for before, found in TRANSITIONS.items() for after in found), key=str
    )
    # What was laid out by hand is there to be drawn.
    assert set(statechart.ROUTES) <= set(arrows)
    assert set(statechart.LABELS) <= set(arrows)
    assert set(arrows) >= statechart.MAIN


def test_a_way_less_is_an_arrow_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame stands for its states only as long as all of them have the way; the others are drawn singly then."""
    fewer = {**TRANSITIONS, State.QUEUED: TRANSITIONS[State.QUEUED] - {State.OBSOLETE}}
    monkeypatch.setattr(statechart, "TRANSITIONS", fewer)
    arrows = set(statechart.arrows())
    assert ("outer", State.OBSOLETE) not in arrows
    assert ("inner", State.OBSOLETE) in arrows
    assert (State.QUEUED, State.OBSOLETE) not in arrows
    assert statechart.picture()


def test_frames_are_around_their_states_and_no_others() -> None:
    for members, _, (x0, y0, x1, y1) in statechart.FRAMES.values():
        inside = {state for state, (x, y) in statechart.POSITIONS.items() if x0 < x < x1 and y0 < y < y1}
        assert inside == members


def test_boxes_do_not_overlap_and_are_in_the_picture() -> None:
    width, height = statechart.BOX
    for (_, one), (_, other) in combinations(statechart.POSITIONS.items(), 2):
        assert abs(one[0] - other[0]) > width or abs(one[1] - other[1]) > height
    for x, y in statechart.POSITIONS.values():
        assert statechart.LEFT < x - width / 2 < x + width / 2 < statechart.LEFT + statechart.WIDTH
        assert statechart.TOP < y - height / 2 < y + height / 2 < statechart.TOP + statechart.HEIGHT


def test_the_picture_is_svg_with_a_text_for_those_who_do_not_see_it() -> None:
    root = ElementTree.fromstring(statechart.picture())
    assert root.tag == f"{SVG}svg"
    assert {text.text for text in root.iter(f"{SVG}text") if text.get("class") == "state"} == {s.value for s in State}
    ways = [path for path in root.iter(f"{SVG}path") if "way" in path.get("class", "")]
    assert len(ways) == len(list(statechart.arrows()))
    told = root.findtext(f"{SVG}desc") or ""
    assert "running to failed, held, queued, succeeded" in told
    table = "\n".join(statechart.table())
    assert table.count("* - ") == len(TRANSITIONS) + 1
