"""Events that are stored and still owe something: what waits, since when, why, and trying it at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from builder_ui.kit import components
from builder_ui.kit.context import Acts, Page, PageContext
from builder_ui.kit.i18n import Translator
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.settings.sections import framed
from engine.engine import NotLoaded
from engine.enrolment import unrouted
from engine.temporal.wakeups import Wakeups
from models import Journey

MOST = 100
LEAD = (
    "These events are stored. What they should have triggered failed and is tried again automatically, at"
    " least every ten minutes. Nothing is lost in the meantime."
)


@dataclass(frozen=True, slots=True)
class Data:
    """`journeys`: id -> (key, name) of those that events may start."""

    rows: Sequence[Row[Any]]
    count: int
    journeys: Mapping[str, tuple[str, str]]


def load(context: PageContext) -> Data:
    with context.engine.db.read() as session:
        rows = unrouted.page(session, MOST)
        ids = {row.part.partition(":")[2] for row in rows if row.part.startswith("entry:")}
        journeys = {one.id: (one.key, one.name) for id in sorted(ids) if (one := session.get(Journey, id)) is not None}
        return Data(rows, unrouted.count(session), journeys)


def stamp(context: PageContext) -> object:
    with context.engine.db.read() as session:
        return [(row.event_id, row.part, row.attempts) for row in unrouted.page(session, MOST)]


def view(context: PageContext, data: Data, acts: Acts) -> Element:
    t = context.t
    if not data.rows:
        return framed(context, "Waiting events", LEAD, components.empty("check", t("All stored events have been processed."), None))
    columns = [t(text) for text in ("Event", "Received", "Waiting for", "Why", "Attempts", "Next attempt")]
    shown = t("The newest {shown} of {all}.", shown=t.number(len(data.rows)), all=t.number(data.count))
    return framed(
        context,
        "Waiting events",
        LEAD,
        html.div({"className": "bar"}, html.p(shown), again(context, acts)),
        components.table(t("Waiting events"), columns, [cells(context, data, row) for row in data.rows]),
        wide=True,
    )


def again(context: PageContext, acts: Acts) -> Element:
    if not context.may("event.retry"):
        return None
    return components.button(context.t("Try all now"), acts.act("event.retry", try_now, "They will be tried within seconds."), "history")


def try_now(context: PageContext) -> Wakeups | None:
    with context.engine.db.write() as session:
        unrouted.try_now(session, context.app.now())
    return None


def cells(context: PageContext, data: Data, row: Row[Any]) -> list[Element]:
    t = context.t
    return [
        html.a({"href": f"/ui/contacts/{row.contact_id}"}, row.name),
        components.relative(context, row.received_at),
        waits(t, data, row.part),
        why(t, row.reason),
        t.number(row.attempts),
        components.moment(t, row.next_at),
    ]


def waits(t: Translator, data: Data, part: str) -> Element:
    """What is still to be done for the event."""
    name, _, of = part.partition(":")
    if name == "entry" and of in data.journeys:
        key, title = data.journeys[of]
        return html.a({"href": f"/ui/journeys/{key}"}, t("Entering “{journey}”", journey=title))
    if name == "goal":
        return html.a({"href": f"/ui/runs/{of}"}, t("Counting a goal"))
    return t(PARTS.get(name, name))


PARTS = {
    "all": "Everything",
    "inbox": "Notifying runs that wait for it",
    "entry": "Entering a deleted journey",
    "start": "Starting another journey",
}


def why(t: Translator, reason: str) -> Element:
    if reason == NotLoaded.code:
        return t("A server does not have a step of this journey, or cannot read it.")
    return html.code(reason)


PAGE = Page("/ui/settings/events", "Waiting events", "settings", "event.read_unrouted", load, view, stamp)
