"""Any version as a drawing, and two of them in one: what is new, what is gone, what changed and how. Where a step stands does not count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session
from sqlmodel import col, select

from builder_ui.builder import bundle, cards, viewer
from builder_ui.builder.draft import Draft
from builder_ui.builder.protocol import ENTRY, chosen
from builder_ui.builder.viewer import Marks
from builder_ui.kit.context import Acts, Page, PageContext
from builder_ui.kit.differences import Change, changes
from builder_ui.kit.reactpy_compat import Element, component, html, use_state
from engine.versions import publish
from journeys.diff import Difference
from journeys.errors import NotFound
from models import Journey, Version

DRAFT = "draft"
SIGNS = {"added": "+", "removed": "−", "changed": "~"}
WORDS = {"added": "new", "removed": "gone", "changed": "changed"}
_TONES = {"node_added": "added", "node_removed": "removed", "edge_added": "added", "edge_removed": "removed"}
MOST_VERSIONS = 200


@dataclass(frozen=True, slots=True)
class Line:
    """One difference in words, and the card it belongs to."""

    tone: str
    node: str
    text: str


@dataclass(frozen=True, slots=True, repr=False)
class Drawn:
    """What the page shows. `before` and `after` are version numbers as text, or `draft`; without `before` nothing is compared."""

    context: PageContext
    key: str
    name: str
    live: int | None
    numbers: list[int]
    before: str
    after: str
    graph: dict[str, Any]
    marks: Marks
    lines: list[Line]


def fetch_diff(context: PageContext) -> Drawn:
    """Raises: NotFound."""
    with context.engine.db.read() as session:
        journey, numbers = _journey(session, context)
        live = str(journey.live_version or DRAFT)
        before, after = context.query.get("from") or live, context.query.get("to") or DRAFT
        old, new = _document(session, journey, before), _document(session, journey, after)
    graph, marks, lines = compared(context, old, new)
    return Drawn(context, journey.key, journey.name, journey.live_version, numbers, before, after, graph, marks, lines)


def fetch_drawing(context: PageContext) -> Drawn:
    """Raises: NotFound."""
    with context.engine.db.read() as session:
        journey, numbers = _journey(session, context)
        after = context.query.get("version") or str(journey.live_version or DRAFT)
        document = _document(session, journey, after)
    graph = cards.drawing(context.t, context.engine.palette, Draft(document))
    return Drawn(context, journey.key, journey.name, journey.live_version, numbers, "", after, graph, {}, [])


def _journey(session: Session, context: PageContext) -> tuple[Journey, list[int]]:
    journey = publish.get_journey(session, context.arguments["key"])
    numbers = select(Version.number).where(Version.journey_id == journey.id).order_by(col(Version.number).desc()).limit(MOST_VERSIONS)
    return journey, list(session.scalars(numbers))


def _document(session: Session, journey: Journey, which: str) -> dict[str, Any]:
    if which == DRAFT:
        return dict(journey.draft)
    if not which.isdecimal() or len(which) > 9:
        raise NotFound("There is no such version.")
    return dict(publish.get_version(session, journey.id, int(which)).document)


def compared(context: PageContext, before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, Any], Marks, list[Line]]:
    """Both documents in one graph, what is gone included, with a mark on whatever differs, and every difference in words."""
    t, palette = context.t, context.engine.palette
    old, new = Draft(before), Draft(after)
    found = changes(t, palette, before, after)
    graph = _merged(cards.drawing(t, palette, old), cards.drawing(t, palette, new))
    lines = [_line(one) for one in found]
    marks = _node_marks(context, [one.difference for one in found], lines) | _edge_marks(context, old, new)
    return graph, marks, lines


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The new drawing with the old one's steps and edges that are gone; the latter say so in a fourth place."""
    nodes = {**{id: node for id, node in old["nodes"].items() if id not in new["nodes"]}, **new["nodes"]}
    present = {tuple(edge) for edge in new["edges"]}
    gone = [[*edge, "gone"] for edge in old["edges"] if tuple(edge) not in present]
    for source, outlet, *_ in gone:
        view = nodes[source]["view"]
        if outlet not in [name for name, *_ in view["outlets"]]:
            nodes[source] = {**nodes[source], "view": {**view, "outlets": [*view["outlets"], [outlet, outlet.replace("_", " "), True]]}}
    return {**new, "nodes": nodes, "edges": [*new["edges"], *gone]}


def _line(one: Change) -> Line:
    tone = "changed" if _is_start(one.difference) else _TONES.get(one.difference.what, "changed")
    return Line(tone, one.difference.node_id or ENTRY, one.text)


def _is_start(one: Difference) -> bool:
    return one.what == "setting_changed" and one.place == "start"


def _node_marks(context: PageContext, differences: list[Difference], lines: list[Line]) -> Marks:
    """A step that is new or gone says so; one that stays lists what changed in it. A changed edge is no change of a step."""
    found: Marks = {}
    for one, line in zip(differences, lines, strict=True):
        if not one.what.startswith("edge_") and not _is_start(one):
            mark = found.setdefault(line.node, _sign(context, line.tone))
            mark["lines"] += [line.text] if line.tone == "changed" else []
    return found


def _edge_marks(context: PageContext, old: Draft, new: Draft) -> Marks:
    before, after = set(old.edges.items()), set(new.edges.items())
    added = {f"{source}:{outlet}": _sign(context, "added") for (source, outlet), _ in after - before}
    removed = {f"{source}:{outlet}:gone": _sign(context, "removed") for (source, outlet), _ in before - after}
    return added | removed


def _sign(context: PageContext, tone: str) -> dict[str, Any]:
    return {"tone": tone, "sign": SIGNS[tone], "said": context.t(WORDS[tone]), "lines": []}


# The pages


def view(context: PageContext, drawn: Drawn, _acts: Acts) -> Element:
    return sheet(drawn)


@component
def sheet(drawn: Drawn) -> Element:
    """The drawing, and beside it what differs; an entry of the list leads to its card, a card to its entries."""
    focus, set_focus = use_state((0, ""))
    context, t = drawn.context, drawn.context.t

    def show(node: str) -> None:
        set_focus(lambda before: (before[0] + 1, node))

    def heard(text: object) -> None:
        node = chosen(text)
        if node is not None:
            set_focus(lambda before: (before[0], node))

    name = f"{drawn.key}-{drawn.before}-{drawn.after}"
    side = _differences(drawn, focus[1], show) if drawn.before else None
    return html.div(
        {"className": "pfb"},
        html.header(
            {"className": "pfb-head"},
            html.a({"className": "back", "href": f"/ui/journeys/{drawn.key}"}, "← ", t("Journey")),
            html.h1(drawn.name),
            _choice(drawn),
        ),
        html.div(
            {"className": "pfb-body" if side else "pfb-body alone"},
            html.div({"className": "pfb-work"}, viewer.viewer(context, name, drawn.graph, drawn.marks, focus, heard)),
            html.aside({"className": "pfb-side", "aria-label": t("Differences")}, html.div({"className": "pfb-panel"}, side))
            if side
            else None,
        ),
    )


def _choice(drawn: Drawn) -> Element:
    """Which version, or which two. A plain form: it works while the connection is away."""
    t = drawn.context.t
    if not drawn.before:
        compare = f"/ui/journeys/{drawn.key}/diff?from={drawn.after}&to={DRAFT}"
        return html.form(
            {"className": "pfb-choice", "method": "get", "action": f"/ui/journeys/{drawn.key}/drawing"},
            _versions(drawn, "version", t("Version"), drawn.after),
            html.button({"className": "button"}, t("Show")),
            html.a({"className": "button", "href": compare}, t("Compare with the draft")) if drawn.after != DRAFT else None,
        )
    return html.form(
        {"className": "pfb-choice", "method": "get", "action": f"/ui/journeys/{drawn.key}/diff"},
        _versions(drawn, "from", t("From version"), drawn.before),
        _versions(drawn, "to", t("To version"), drawn.after),
        html.button({"className": "button"}, t("Compare")),
    )


def _versions(drawn: Drawn, name: str, label: str, present: str) -> Element:
    t = drawn.context.t
    offered = [(DRAFT, t("Draft")), *((str(number), _version(drawn, number)) for number in drawn.numbers)]
    options = [html.option({"key": value, "value": value}, text) for value, text in offered]
    return html.label(label, " ", html.select({"name": name, "defaultValue": present}, options))


def _version(drawn: Drawn, number: int) -> str:
    t = drawn.context.t
    said = t("Version {number}", number=number)
    return f"{said} ({t('live')})" if number == drawn.live else said


def _differences(drawn: Drawn, here: str, show: Any) -> list[Element]:
    t = drawn.context.t
    legend = [
        html.li({"key": tone, "className": f"pfb-t-{tone}"}, html.b({"aria-hidden": "true"}, sign), " ", t(WORDS[tone]))
        for tone, sign in SIGNS.items()
    ]
    if not drawn.lines:
        return [html.h2(t("Differences")), html.p(t("None: both do the same. The position of steps does not matter."))]
    return [
        html.h2(t("Differences")),
        html.ul({"className": "pfb-legend", "aria-label": t("Legend")}, legend),
        html.ul({"className": "pfb-differences"}, [_entry(drawn, line, n, here, show) for n, line in enumerate(drawn.lines)]),
    ]


def _entry(drawn: Drawn, line: Line, number: int, here: str, show: Any) -> Element:
    attributes = {
        "type": "button",
        "className": f"pfb-problem pfb-t-{line.tone}",
        "aria-pressed": str(line.node == here).lower(),
        "onClick": lambda _event: show(line.node),
    }
    word = html.span({"className": "hidden"}, drawn.context.t(WORDS[line.tone]), ": ")
    return html.li(
        {"key": str(number)}, html.button(attributes, html.b({"aria-hidden": "true"}, SIGNS[line.tone]), word, html.span(line.text))
    )


DIFF = Page("/ui/journeys/{key}/diff", "Compare versions", "journeys", "journey.read", fetch_diff, view, assets=bundle.assets())
DRAWING = Page("/ui/journeys/{key}/drawing", "Canvas", "journeys", "journey.read", fetch_drawing, view, assets=bundle.assets())
