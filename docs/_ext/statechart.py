# SPDX-License-Identifier: Apache-2.0
"""``.. state-machine::``: the states of an execution as a picture, and every way between them as a table.

Where the states stand is told here; the arrows are those of the code.  Several arrows are drawn as one from, or to, a
frame around the states that have them in common.
"""

from collections.abc import Iterable, Iterator
from textwrap import indent
from typing import Final

from declared import Declared
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from congress.executions.states import TRANSITIONS, State

Point = tuple[float, float]
Place = State | str | None
"""A state, a frame by its name, or None: where everything begins."""

LEFT, TOP, WIDTH, HEIGHT = 24, 24, 936, 444
BOX: Final[Point] = (116, 40)
BEGIN: Final[Point] = (44, 190)

POSITIONS: Final[dict[State, Point]] = {
    State.PROPOSED: (234, 135),
    State.HELD: (424, 135),
    State.APPROVED: (234, 250),
    State.QUEUED: (572, 250),
    State.RUNNING: (742, 250),
    State.SUCCEEDED: (890, 250),
    State.CANCELLED: (234, 430),
    State.OBSOLETE: (404, 430),
    State.FAILED: (742, 430),
}

FRAMES: Final[dict[str, tuple[frozenset[State], str, tuple[float, float, float, float]]]] = {
    # Name: the states in it, its title, and left, top, right, bottom.
    "inner": (
        frozenset({State.PROPOSED, State.HELD, State.APPROVED}),
        "as the guard decides",
        (150, 80, 500, 296),
    ),
    "outer": (
        frozenset({State.PROPOSED, State.HELD, State.APPROVED, State.QUEUED}),
        "waiting",
        (126, 40, 650, 332),
    ),
}

ROUTES: Final[dict[tuple[Place, Place], tuple[Point, ...]]] = {
    # The points of a line or a cubic curve, ends included; others are straight from box to box.
    (None, "inner"): ((52, 190), (148, 190)),
    (None, State.CANCELLED): ((44, 198), (44, 380), (80, 430), (174, 430)),
    (State.PROPOSED, State.HELD): ((292, 128), (364, 128)),
    (State.HELD, State.PROPOSED): ((366, 142), (294, 142)),
    (State.HELD, State.APPROVED): ((392, 155), (340, 225), (320, 240), (294, 245)),
    (State.HELD, State.HELD): ((400, 115), (396, 90), (440, 90), (436, 113)),
    (State.HELD, State.SUCCEEDED): ((460, 115), (540, 22), (888, 22), (892, 228)),
    (State.HELD, State.FAILED): ((470, 155), (500, 300), (570, 424), (682, 426)),
    (State.QUEUED, State.HELD): ((560, 230), (545, 185), (525, 155), (484, 148)),
    (State.RUNNING, State.HELD): ((730, 230), (700, 150), (580, 128), (484, 130)),
    (State.QUEUED, State.RUNNING): ((630, 243), (682, 243)),
    (State.RUNNING, State.QUEUED): ((684, 257), (632, 257)),
    (State.QUEUED, State.FAILED): ((600, 270), (620, 350), (660, 395), (704, 408)),
    ("outer", State.CANCELLED): ((216, 332), (216, 408)),
    ("outer", State.OBSOLETE): ((404, 332), (404, 408)),
    (State.CANCELLED, "inner"): ((252, 410), (252, 298)),
    (State.FAILED, "inner"): ((684, 440), (540, 440), (480, 400), (480, 298)),
}

LABELS: Final[dict[tuple[Place, Place], tuple[float, float, str, str]]] = {
    # Where, what, and how it is aligned.
    (None, "inner"): (96, 182, "asked for", "middle"),
    (None, State.CANCELLED): (56, 318, "a duplicate", "start"),
    ("outer", State.CANCELLED): (208, 368, "a person says no", "end"),
    ("outer", State.OBSOLETE): (396, 368, "its row went", "end"),
    (State.CANCELLED, "inner"): (260, 390, "tried again", "start"),
    (State.FAILED, "inner"): (560, 458, "tried again", "middle"),
    (State.RUNNING, State.QUEUED): (658, 274, "later", "middle"),
    (State.RUNNING, State.HELD): (660, 142, "nobody can tell", "start"),
    (State.HELD, State.SUCCEEDED): (660, 97, "a person found it done", "start"),
    (State.QUEUED, State.HELD): (556, 196, "a guard", "start"),
}

FILLS: Final = {
    State.SUCCEEDED: "#dff2e1",
    State.FAILED: "#f9dedc",
    State.CANCELLED: "#e9e9ec",
    State.OBSOLETE: "#e9e9ec",
    State.HELD: "#fdeecb",
    State.PROPOSED: "#fdeecb",
}
OTHERS: Final = "#dde9f7"
MAIN: Final = {
    (None, "inner"),
    (State.APPROVED, State.QUEUED),
    (State.QUEUED, State.RUNNING),
    (State.RUNNING, State.SUCCEEDED),
}

STYLE: Final = """\
.sm text { font: 13px sans-serif; fill: #24303c; }
.sm .state { font-weight: 600; text-anchor: middle; }
.sm .note { font-size: 11.5px; fill: #4d5864; }
.sm .halo { stroke: #fff; stroke-width: 4px; stroke-linejoin: round; }
.sm .box { stroke: #56616c; stroke-width: 1.2; }
.sm .frame { fill: none; stroke: #a3adb8; stroke-width: 1.2; stroke-dasharray: 5 4; }
.sm .way { fill: none; stroke: #56616c; stroke-width: 1.3; marker-end: url(#sm-tip); }
.sm .main { stroke: #1f5fa8; stroke-width: 2.4; marker-end: url(#sm-main-tip); }"""


def arrows() -> Iterator[tuple[Place, Place]]:
    """What is drawn: single ways, and from or to a frame those that all of its states have."""
    left = {(before, after) for before, found in TRANSITIONS.items() for after in found}
    # The largest frames first: what they take, no smaller one needs.
    for name, (members, _, _) in sorted(FRAMES.items(), key=lambda item: -len(item[1][0])):
        for other in (None, *State):
            for arrow, ways in (
                ((name, other), {(member, other) for member in members}),
                ((other, name), {(other, member) for member in members}),
            ):
                if other not in members and ways <= left:
                    left -= ways
                    yield arrow
    yield from sorted(left, key=str)


def ways(arrow: tuple[Place, Place]) -> set[tuple[Place, Place]]:
    """The single ways that an arrow stands for."""
    ends = [FRAMES[end][0] if isinstance(end, str) and end in FRAMES else {end} for end in arrow]
    return {(before, after) for before in ends[0] for after in ends[1]}


def picture() -> str:
    """The states and their arrows as an SVG document that stands in a page by itself."""
    drawn = list(arrows())
    told = "; ".join(
        f"{before or 'begin'} to {', '.join(sorted(found))}" for before, found in TRANSITIONS.items() if found
    )
    parts = [
        f'<svg class="sm" xmlns="http://www.w3.org/2000/svg" viewBox="{LEFT} {TOP} {WIDTH} {HEIGHT}" '
        'width="100%" role="img" aria-labelledby="sm-title sm-text">',
        '<title id="sm-title">The states of an execution</title>',
        f'<desc id="sm-text">{told}</desc>',
        f"<style>{STYLE}</style>",
        "<defs>",
        *_tip("sm-tip", "#56616c", 7),
        *_tip("sm-main-tip", "#1f5fa8", 5.5),
        "</defs>",
        f'<rect x="{LEFT}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
    ]
    for _, title, (x0, y0, x1, y1) in FRAMES.values():
        parts.append(f'<rect class="frame" x="{x0}" y="{y0}" width="{x1 - x0}" height="{y1 - y0}" rx="10"/>')
        parts += _note(x0 + 10, y0 + 18, title, "start")
    parts += [f'<path class="way{" main" * (arrow in MAIN)}" d="{_path(arrow)}"/>' for arrow in drawn]
    parts.append(f'<circle cx="{BEGIN[0]}" cy="{BEGIN[1]}" r="8" fill="#24303c"/>')
    for arrow in drawn:
        if arrow in LABELS:
            parts += _note(*LABELS[arrow])
    for state in State:
        parts += _box(state)
    return "\n".join([*parts, "</svg>"])


def _tip(name: str, colour: str, size: float) -> Iterator[str]:
    yield (
        f'<marker id="{name}" viewBox="0 0 10 10" refX="8.5" refY="5" markerWidth="{size}" markerHeight="{size}" '
        'orient="auto-start-reverse">'
    )
    yield f'<path d="M0,0.8 L10,5 L0,9.2 z" fill="{colour}"/></marker>'


def _note(x: float, y: float, text: str, anchor: str) -> Iterator[str]:
    """A small text that lines may run under."""
    for kind in ("note halo", "note"):
        yield f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{text}</text>'


def _box(state: State) -> Iterator[str]:
    (x, y), (width, height) = POSITIONS[state], BOX
    yield (
        f'<rect class="box" x="{x - width / 2:g}" y="{y - height / 2:g}" width="{width}" height="{height}" rx="8" '
        f'fill="{FILLS.get(state, OTHERS)}"/>'
    )
    yield f'<text class="state" x="{x:g}" y="{y + 4.5:g}">{state.value}</text>'


def _path(arrow: tuple[Place, Place]) -> str:
    points = ROUTES.get(arrow) or _straight(*arrow)
    begin, *rest = (f"{x:g},{y:g}" for x, y in points)
    return f"M{begin} {'C' if len(rest) == 3 else 'L'}{' '.join(rest)}"


def _straight(before: Place, after: Place) -> tuple[Point, Point]:
    """From the edge of one box to that of the other."""
    one, other = _centre(before), _centre(after)
    return _edge(one, other, 0), _edge(other, one, 2)


def _centre(place: Place) -> Point:
    if place is None:
        return BEGIN
    if isinstance(place, State):
        return POSITIONS[place]
    x0, y0, x1, y1 = FRAMES[place][2]
    return (x0 + x1) / 2, (y0 + y1) / 2


def _edge(inside: Point, towards: Point, gap: float) -> Point:
    dx, dy = towards[0] - inside[0], towards[1] - inside[1]
    part = min(
        (BOX[0] / 2 + gap) / abs(dx) if dx else float("inf"), (BOX[1] / 2 + gap) / abs(dy) if dy else float("inf")
    )
    return inside[0] + dx * part, inside[1] + dy * part


def table() -> Iterator[str]:
    """Every way, for those who cannot see the picture, in reStructuredText."""
    yield from (".. list-table::", "   :header-rows: 1", "   :widths: 20 80", "", "   * - from", "     - to")
    for before, found in TRANSITIONS.items():
        yield f"   * - {f'``{before}``' if before else '(new)'}"
        yield f"     - {', '.join(f'``{after}``' for after in State if after in found) or 'nothing: it is over'}"
    yield ""


class StateMachine(Declared):
    source = "state-machine"

    def lines(self) -> Iterable[str]:
        yield from (".. raw:: html", "", indent(picture(), "   "), "")
        yield from table()


def setup(app: Sphinx) -> ExtensionMetadata:
    """Called by Sphinx."""
    app.add_directive(StateMachine.source, StateMachine)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
