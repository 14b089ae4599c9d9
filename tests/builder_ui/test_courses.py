"""Where the canvas puts steps and how it leads lines, reckoned by its own code in Chromium: what is drawn does not say the opposite of what happens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page, Route

from bench.graphs import journey_document
from builder_ui.builder import cards
from builder_ui.builder.draft import Draft
from builder_ui.builder.protocol import ENTRY
from builder_ui.kit.i18n import translator_of
from journeys.nodes import Palette
from journeys.templates import gallery
from models import Member

SOURCES = Path(__file__).parents[2] / "builder_ui" / "frontend" / "src"
HOST = "http://canvas.test"
RECKON = """async ([nodes, edges, laid]) => {
  const [{ nodeOf, edgeOf }, { layout, traced }] = await Promise.all([import("/graph.js"), import("/courses.js")]);
  const view = (outlets) => ({ label: "Step", name: "", summary: "", outlets: outlets.map((one) => [one, one, false]) });
  const cards = nodes.map(([id, outlets, x, y]) => nodeOf(id, {}, view(outlets), { x, y }));
  const lines = edges.map(([from, outlet, to]) => edgeOf(from, outlet, to));
  const found = laid ? layout(cards, lines) : { nodes: cards, edges: traced(cards, lines) };
  return [
    found.nodes.map(({ id, position, width, height }) => [id, [position.x, position.y, width, height]]),
    found.edges.map(({ source, sourceHandle, target, data }) => [source, sourceHandle, target, data]),
  ];
}"""

Graph = tuple[list[tuple[str, list[str]]], list[tuple[str, str, str]]]
"""Steps with their outlets, the start first; ways (from, outlet, to)."""
Point = tuple[float, float]
Box = tuple[float, float, float, float]


class Line:
    """A way as it is drawn. `points` are its corners with both ends, `place` which of its step's outlets it leaves."""

    def __init__(self, source: str, outlet: str, target: str, data: dict[str, Any]) -> None:
        self.source, self.outlet, self.target, self.tone, self.name = source, outlet, target, data["tone"], data["name"]
        first, last = data["ends"]
        self.points: list[Point] = [tuple(first), *map(tuple, data["corners"] or ()), tuple(last)]
        self.reckoned = data["corners"] is not None
        self.pieces = [piece for piece in pairwise(self.points) if piece[0] != piece[1]]

    def crosses(self, other: Line) -> bool:
        return any(meet(one, two) for one in self.pieces for two in other.pieces)


def meet(one: tuple[Point, Point], two: tuple[Point, Point]) -> bool:
    """Whether two upright or level pieces cross, or lie on each other."""
    if level(one) == level(two):
        along, across = (0, 1) if level(one) else (1, 0)
        return one[0][across] == two[0][across] and overlap(span(one, along), span(two, along)) > 1
    flat, upright = (one, two) if level(one) else (two, one)
    (left, right), (top, bottom) = span(flat, 0), span(upright, 1)
    return left < upright[0][0] < right and top < flat[0][1] < bottom


def level(piece: tuple[Point, Point]) -> bool:
    return piece[0][1] == piece[1][1]


def span(piece: tuple[Point, Point], side: int) -> tuple[float, float]:
    low, high = sorted((piece[0][side], piece[1][side]))
    return low, high


def overlap(one: tuple[float, float], two: tuple[float, float]) -> float:
    return min(one[1], two[1]) - max(one[0], two[0])


class Drawing:
    def __init__(self, found: Any) -> None:
        self.boxes: dict[str, Box] = {id: tuple(box) for id, box in found[0]}
        self.lines = [Line(*line) for line in found[1]]

    def siblings(self) -> Iterator[tuple[Line, Line]]:
        """Pairs of ways out of one step that lead to two, in the order of their outlets."""
        for one, two in combinations(self.lines, 2):
            if one.source == two.source and one.target != two.target:
                yield one, two

    def enclosed(self, one: Line, two: Line) -> bool:
        """Whether a third way, beyond the one, leads where the other does: no drawing has these without a crossing."""
        ways = [line for line in self.lines if line.source == one.source]
        after, before = ways[ways.index(two) + 1 :], ways[: ways.index(one)]
        return any(line.target == one.target for line in after) or any(line.target == two.target for line in before)


@pytest.fixture(scope="module")
def canvas(chrome: Browser) -> Iterator[Page]:
    """A page that holds nothing but the sources of the canvas."""
    context = chrome.new_context()

    def answer(route: Route) -> None:
        name = route.request.url.removeprefix(HOST).strip("/")
        kind = "text/javascript" if name else "text/html"
        route.fulfill(body=(SOURCES / name).read_text() if name else "<!doctype html>", content_type=kind)

    context.route(f"{HOST}/**", answer)
    page = context.new_page()
    page.goto(HOST)
    yield page
    context.close()


def drawing(canvas: Page, graph: Graph) -> Drawing:
    nodes, edges = graph
    return Drawing(canvas.evaluate(RECKON, [[[id, outlets, 0, 0] for id, outlets in nodes], edges, True]))


def placed(canvas: Page, places: Mapping[str, Point], graph: Graph) -> Drawing:
    """As it looks where somebody moved the steps to."""
    nodes, edges = graph
    return Drawing(canvas.evaluate(RECKON, [[[id, outlets, *places[id]] for id, outlets in nodes], edges, False]))


@st.composite
def graphs(draw: st.DrawFn, most: int = 22) -> Graph:
    """Steps with up to four outlets; a way leads to any later step, a third of them to the last."""
    size = draw(st.integers(2, most))
    outlets = [1, *(draw(st.integers(1, 4)) for _ in range(size - 2)), 0]
    ids = [ENTRY, *(f"s{number}" for number in range(1, size))]
    edges = []
    for at, id in enumerate(ids[:-1]):
        for outlet in range(outlets[at]):
            to = draw(st.one_of(st.integers(at + 1, size - 1), st.integers(at + 1, size - 1), st.just(size - 1)))
            edges.append((id, f"o{outlet}", ids[to]))
    return [(id, [f"o{outlet}" for outlet in range(outlets[at])]) for at, id in enumerate(ids)], edges


@st.composite
def trees(draw: st.DrawFn) -> Graph:
    """Every step is led to by one way only."""
    size = draw(st.integers(2, 30))
    ids = [ENTRY, *(f"s{number}" for number in range(1, size))]
    open_ends, outlets, edges = [(ENTRY, 0)], {ENTRY: 1}, []
    for id in ids[1:]:
        if not open_ends:
            break
        source, outlet = open_ends.pop(draw(st.integers(0, len(open_ends) - 1)))
        edges.append((source, f"o{outlet}", id))
        outlets[id] = draw(st.integers(0, 4))
        open_ends += [(id, outlet) for outlet in range(outlets[id])]
    order = {(id, f"o{outlet}"): outlet for id, count in outlets.items() for outlet in range(count)}
    edges.sort(key=lambda edge: (edge[0], order[edge[0], edge[1]]))
    return [(id, [f"o{outlet}" for outlet in range(count)]) for id, count in outlets.items()], edges


quiet = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@quiet
@given(graph=graphs())
def test_lines_of_one_step_cross_only_where_no_drawing_has_them_otherwise(canvas: Page, graph: Graph) -> None:
    found = drawing(canvas, graph)
    crossed = [(one.points, two.points) for one, two in found.siblings() if one.crosses(two) and not found.enclosed(one, two)]
    assert crossed == []


@quiet
@given(graph=trees())
def test_targets_stand_from_left_to_right_as_their_outlets_do(canvas: Page, graph: Graph) -> None:
    found = drawing(canvas, graph)
    for one, two in found.siblings():
        assert found.boxes[one.target][0] + found.boxes[one.target][2] <= found.boxes[two.target][0]
    assert not any(one.crosses(two) for one, two in combinations(found.lines, 2))


@quiet
@given(graph=graphs())
def test_cards_cover_neither_cards_nor_lines(canvas: Page, graph: Graph) -> None:
    found = drawing(canvas, graph)
    for one, two in combinations(found.boxes.values(), 2):
        assert not covers(one, *two)
    for line in found.lines:
        for (x, y), (to_x, to_y) in line.pieces:
            piece = (min(x, to_x) + 1, min(y, to_y) + 1, max(0, abs(x - to_x) - 2), max(0, abs(y - to_y) - 2))
            assert not any(covers(box, *piece) for box in found.boxes.values()), line.points


def covers(box: Box, x: float, y: float, width: float, height: float) -> bool:
    return x < box[0] + box[2] and box[0] < x + width and y < box[1] + box[3] and box[1] < y + height


@quiet
@given(graph=graphs())
def test_lines_that_cross_differ_in_level_and_tone_and_carry_their_outlets_name(canvas: Page, graph: Graph) -> None:
    found = drawing(canvas, graph)
    names = [line.name for line in found.lines if line.name]
    for one, two in combinations(names, 2):
        assert abs(one["x"] - two["x"]) > 15 or abs(one["y"] - two["y"]) >= 17
    for name in names:
        assert not any(covers(box, name["x"], name["y"], 1, 1) for box in found.boxes.values())
    for one, two in found.siblings():
        if not one.crosses(two):
            continue
        assert {one.name and one.name["text"], two.name and two.name["text"]} & {one.outlet, two.outlet}
        levels = [{piece[0][1] for piece in line.pieces if level(piece)} for line in (one, two)]
        assert levels[0] != levels[1]


def enclosing() -> Graph:
    """The middle way out leads past the step that both others lead to."""
    nodes = [(ENTRY, ["next"]), ("ask", ["a", "b", "c"]), ("mail", ["sent"]), ("end", [])]
    edges = [(ENTRY, "next", "ask"), ("ask", "a", "mail"), ("ask", "b", "end"), ("ask", "c", "mail"), ("mail", "sent", "end")]
    return nodes, edges


def test_where_a_crossing_cannot_be_avoided_one_sees_which_line_is_which(canvas: Page) -> None:
    found = drawing(canvas, enclosing())
    lines = {line.outlet: line for line in found.lines if line.source == "ask"}
    across = next(other for name, other in lines.items() if name != "b" and other.crosses(lines["b"]))
    assert across.tone != lines["b"].tone
    assert across.name["text"] == across.outlet
    assert lines["b"].name["text"] == "b"


def test_steps_that_were_moved_by_hand_keep_their_place_and_their_lines_levels_of_their_own(canvas: Page) -> None:
    graph: Graph = (
        [(ENTRY, ["next"]), ("ask", ["yes", "no"]), ("a", []), ("b", [])],
        [(ENTRY, "next", "ask"), ("ask", "yes", "a"), ("ask", "no", "b")],
    )
    places = {ENTRY: (0, 0), "ask": (0, 150), "a": (300, 400), "b": (-300, 400)}
    found = placed(canvas, places, graph)
    assert {id: box[:2] for id, box in found.boxes.items()} == places
    yes, no = (line for line in found.lines if line.source == "ask")
    assert yes.crosses(no)
    assert {yes.points[1][1]}.isdisjoint({no.points[1][1]})
    assert yes.tone != no.tone
    assert (yes.name["text"], no.name["text"]) == ("yes", "no")


def test_what_hangs_together_with_the_start_nowhere_stays_unless_it_is_in_the_way(canvas: Page) -> None:
    nodes = [[ENTRY, ["next"], 0, 0], ["end", [], 0, 0], ["far", ["next"], 900, 40], ["next", [], 900, 300], ["near", [], 10, 10]]
    edges = [[ENTRY, "next", "end"], ["far", "next", "next"]]
    found = Drawing(canvas.evaluate(RECKON, [nodes, edges, True]))
    assert (found.boxes["far"][:2], found.boxes["next"][:2]) == ((900, 40), (900, 300))
    assert found.boxes["near"][0] > found.boxes["end"][0] + found.boxes["end"][2]
    assert not any(covers(one, *two) for one, two in combinations(found.boxes.values(), 2))


@pytest.mark.parametrize("cycles", [False, True])
@pytest.mark.parametrize("size", [60, 200])
def test_long_journeys_have_no_crossing_of_siblings_that_could_be_spared(canvas: Page, size: int, cycles: bool) -> None:
    found = drawing(canvas, graph_of({**journey_document(size, "d", cycles=cycles), "key": "grown"}))
    crossed = [(one, two) for one, two in found.siblings() if one.crosses(two) and not found.enclosed(one, two)]
    assert [(one.points, two.points) for one, two in crossed] == []


def test_few_lines_of_different_steps_cross_in_a_long_journey(canvas: Page) -> None:
    """Measured: 1,045 on average with sweeps and swaps of neighbours alone, 958 where each step looks for the best place in its row."""
    found = [drawing(canvas, graph_of({**journey_document(200, f"k{seed}"), "key": "grown"})) for seed in range(3)]
    assert sum(map(crossings, found)) < 3_000


def crossings(found: Drawing) -> int:
    """Level pieces that run across upright ones of lines to other steps."""
    pieces = [(line, piece) for line in found.lines for piece in line.pieces]
    uprights = [one for one in pieces if not level(one[1])]
    flats = [one for one in pieces if level(one[1])]
    return sum(line.target != other.target and meet(flat, upright) for line, flat in flats for other, upright in uprights)


@pytest.mark.parametrize("entry", gallery(), ids=lambda entry: str(entry.document["key"]))
def test_the_demos_are_drawn_as_they_are(canvas: Page, entry: Any) -> None:
    found = drawing(canvas, graph_of(entry.document))
    assert not any(one.crosses(two) for one, two in found.siblings())
    for one, two in found.siblings():
        boxes = [found.boxes[line.target] for line in (one, two)]
        assert boxes[0][0] < boxes[1][0], (one.source, one.outlet, two.outlet)


def graph_of(document: Any) -> Graph:
    t = translator_of(Member(name="x", email="x", locale="en", created_at=datetime(2026, 1, 1, tzinfo=UTC)), "", "en")
    drawn = cards.drawing(t, Palette.built_in(), Draft(document))
    nodes = [(id, [name for name, *_ in node["view"]["outlets"]]) for id, node in drawn["nodes"].items()]
    order = {(id, name): place for id, outlets in nodes for place, name in enumerate(outlets)}
    edges = sorted(drawn["edges"], key=lambda edge: (edge[0], order[edge[0], edge[1]]))
    return nodes, [tuple(edge) for edge in edges]
