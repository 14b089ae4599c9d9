"""The contacts behind a number of the canvas: who waits there, came through, got a message or did not, or was not let in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from builder_ui.kit import components, labels
from builder_ui.kit.actor_names import contact_link, contact_names
from builder_ui.kit.context import Acts, Page, PageContext
from builder_ui.kit.labels import MESSAGE_STATES, OUTLETS, REASONS, REFUSALS, RUN_STATES, coded
from builder_ui.kit.reactpy_compat import Element, html
from engine.versions.publish import get_journey, get_version
from journeys.errors import NotFound
from reports.behind import Asked, One, people

TITLES = {
    "waiting": "Waiting at {place}",
    "entered": "Entered {place}",
    "placed": "Moved to this version at {place}",
    "left": "Left {place}",
    "sent": "Got the message of {place}",
    "opened": "Opened the message of {place}",
    "clicked": "Clicked in the message of {place}",
    "bounced": "The message of {place} bounced",
    "failed": "The message of {place} failed",
    "skipped": "Did not get the message of {place}",
}
WHOLE = {
    "entered": "Entered the journey",
    "waiting": "In the journey now",
    "ended": "Finished the journey",
    "goal": "Reached the goal",
    "refused": "Not enrolled",
}
NONE = "–"
STATES = {**RUN_STATES, **MESSAGE_STATES}


@dataclass(frozen=True, slots=True)
class Data:
    key: str
    name: str
    title: str
    asked: Asked
    found: list[One]
    names: dict[str, str]
    next_before: str | None


def load(context: PageContext) -> Data:
    with context.engine.db.read() as session:
        journey = get_journey(session, context.arguments["key"])
        asked = ask(context, journey.id)
        found, after = people(session, asked)
        document = journey.draft
        if number := asked.version or journey.live_version:
            document = get_version(session, journey.id, number).document
        title = titled(context, asked, document.get("nodes", {}))
        return Data(journey.key, journey.name, title, asked, found, contact_names(session, [one.contact_id for one in found]), after)


def ask(context: PageContext, journey_id: str) -> Asked:
    """The question in the address.

    Raises: NotFound for one that nobody asks.
    """
    query = context.query
    what, node, version = query.get("what", "entered"), query.get("node", "")[:64], query.get("version", "")
    if what not in (TITLES if node else WHOLE) or (version and not (version.isdecimal() and len(version) <= 9)):
        raise NotFound("There is no such list.")
    return Asked(journey_id, what, node, query.get("outlet", "")[:64], int(version) if version else None, query.get("before", ""))


def titled(context: PageContext, asked: Asked, nodes: dict[str, dict[str, str]]) -> str:
    t = context.t
    if not asked.node:
        return t(WHOLE[asked.what])
    place = labels.names_in(t, context.engine.palette, nodes).get(asked.node, asked.node)
    return t(TITLES[asked.what], place=t("“{value}”", value=place))


def view(context: PageContext, data: Data, _acts: Acts) -> Element:
    t, asked = context.t, data.asked
    table = OUTLETS if asked.what == "left" else {**REASONS, **REFUSALS}
    narrowed = [coded(t, table, asked.outlet)] if asked.outlet else []
    narrowed += [t("Version {number}", number=asked.version)] if asked.version else [t("All versions")]
    columns = (t("Contact"), t("When"), t("State"), t("Why"), t("Run"))
    rows = [row(context, data, one) for one in data.found]
    shown, cells = filled(columns, rows)
    return html._(
        components.head(
            data.title,
            html.span({"className": "quiet"}, " · ".join([data.name, *narrowed])),
            back=(f"/ui/journeys/{data.key}/edit", t("Builder")),
        ),
        components.table(data.title, shown, cells, "people") if rows else components.empty("people", t("No one."), None),
        components.pager(context, data.next_before),
    )


def filled(columns: Sequence[str], rows: list[list[Element]]) -> tuple[Sequence[str], list[list[Element]]]:
    """The columns in which anybody has anything."""
    kept = [n for n in range(len(columns)) if any(cells[n] != NONE for cells in rows)]
    return [columns[n] for n in kept], [[cells[n] for n in kept] for cells in rows]


def row(context: PageContext, data: Data, one: One) -> list[Element]:
    t = context.t
    state = STATES.get(one.status)
    way = html.a({"href": f"/ui/journeys/{data.key}/edit?run={one.run_id}"}, t("Show on the canvas")) if one.run_id else None
    return [
        contact_link(t, one.contact_id, data.names.get(one.contact_id)),
        components.moment(t, one.at),
        components.badge(t(state[0]), *state[1:]) if state else coded(t, OUTLETS, one.outlet) or NONE,
        why(context, one),
        html.span(html.a({"href": f"/ui/runs/{one.run_id}"}, t("Run")), " · ", way) if one.run_id else NONE,
    ]


def why(context: PageContext, one: One) -> Element:
    """The reason that was written down; for whoever waits, until when."""
    if one.reason:
        return coded(context.t, {**REASONS, **REFUSALS}, one.reason)
    if one.due_at is not None:
        return html.span(context.t("Next:"), " ", components.relative(context, one.due_at))
    return NONE


PAGE = Page("/ui/journeys/{key}/people", "Contacts behind a metric", "journeys", "contact.read", load, view)
