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


def load(visit: PageContext) -> Data:
    with visit.engine.db.read() as session:
        rows = unrouted.page(session, MOST)
        ids = {row.part.partition(":")[2] for row in rows if row.part.startswith("entry:")}
        journeys = {one.id: (one.key, one.name) for id in sorted(ids) if (one := session.get(Journey, id)) is not None}
        return Data(rows, unrouted.count(session), journeys)


def stamp(visit: PageContext) -> object:
    with visit.engine.db.read() as session:
        return [(row.event_id, row.part, row.attempts) for row in unrouted.page(session, MOST)]


def view(visit: PageContext, data: Data, acts: Acts) -> Element:
    speech = visit.speech
    if not data.rows:
        return framed(visit, "Waiting events", LEAD, components.empty("check", speech("All stored events have been processed."), None))
    columns = [speech(text) for text in ("Event", "Received", "Waiting for", "Why", "Attempts", "Next attempt")]
    shown = speech("The newest {shown} of {all}.", shown=speech.number(len(data.rows)), all=speech.number(data.count))
    return framed(
        visit,
        "Waiting events",
        LEAD,
        html.div({"className": "bar"}, html.p(shown), again(visit, acts)),
        components.table(speech("Waiting events"), columns, [cells(visit, data, row) for row in data.rows]),
        wide=True,
    )


def again(visit: PageContext, acts: Acts) -> Element:
    if not visit.may("event.retry"):
        return None
    return components.button(
        visit.speech("Try all now"), acts.act("event.retry", try_now, "They are being tried within seconds."), "history"
    )


def try_now(visit: PageContext) -> Wakeups | None:
    with visit.engine.db.write() as session:
        unrouted.try_now(session, visit.house.now())
    return None


def cells(visit: PageContext, data: Data, row: Row[Any]) -> list[Element]:
    speech = visit.speech
    return [
        html.a({"href": f"/ui/contacts/{row.contact_id}"}, row.name),
        components.relative(visit, row.received_at),
        waits(speech, data, row.part),
        why(speech, row.reason),
        speech.number(row.attempts),
        components.moment(speech, row.next_at),
    ]


def waits(speech: Translator, data: Data, part: str) -> Element:
    """What is still to be done for the event."""
    name, _, of = part.partition(":")
    if name == "entry" and of in data.journeys:
        key, title = data.journeys[of]
        return html.a({"href": f"/ui/journeys/{key}"}, speech("Entering “{journey}”", journey=title))
    if name == "goal":
        return html.a({"href": f"/ui/runs/{of}"}, speech("Counting a goal"))
    return speech(PARTS.get(name, name))


PARTS = {"all": "Everything", "inbox": "Notifying runs that wait for it", "entry": "Entering a deleted journey"}


def why(speech: Translator, reason: str) -> Element:
    if reason == NotLoaded.code:
        return speech("A server lacks a step of this journey, or cannot read it.")
    return html.code(reason)


PAGE = Page("/ui/settings/events", "Waiting events", "settings", "event.read_unrouted", load, view, stamp)
