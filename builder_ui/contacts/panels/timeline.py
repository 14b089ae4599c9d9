"""Everything that happened, newest first."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import func
from sqlalchemy.orm import Session
from sqlmodel import select

from builder_ui.contacts.panels.panel import Panel
from builder_ui.contacts.timeline.lines import KIND_NAMES, is_noise, is_unmet, item
from builder_ui.contacts.timeline.told import Told, told_of
from builder_ui.kit import components
from builder_ui.kit.context import Acts, PageContext
from builder_ui.kit.reactpy_compat import Element, html
from crm.people.timeline import KINDS, Wanted, mark_of, timeline
from journeys.errors import Invalid
from models import Contact, Event

FROM_HERE = "@"
"""Before a mark in the address: the page begins with what it names, not after it."""


def load(context: PageContext, session: Session, contact: Contact, opened: bool) -> Told | None:
    if not opened:
        return None
    kind, place = context.query.get("kind", ""), context.query.get("before", "")
    since, until = (_day(context, context.query.get(name, "")) for name in ("since", "until"))
    wanted = Wanted((kind,) if kind else KINDS, context.query.get("q", "")[:100], since, until + timedelta(days=1) if until else None)
    at = place.removeprefix(FROM_HERE) if place.startswith(FROM_HERE) else None
    return told_of(context, session, timeline(session, contact.id, before=None if at else place, at=at, wanted=wanted))


def _day(context: PageContext, text: str) -> datetime | None:
    """The beginning of a day, in the zone of whoever asks."""
    try:
        return datetime.combine(date.fromisoformat(text), time(), context.t.zone).astimezone(UTC) if text else None
    except (ValueError, OverflowError):
        raise Invalid("Enter a date.") from None


def view(context: PageContext, contact: Contact, told: Told, acts: Acts) -> Element:
    t = context.t
    kinds = [("", t("Everything"), None), *[(kind, t(name), None) for kind, name in KIND_NAMES.items()]]
    everything = not context.query.get("kind")
    shown = [one for one in told.page.items if not (everything and (is_noise(one) or is_unmet(one)))]
    found = context.query.get("before", "").removeprefix(FROM_HERE)
    items = [item(context, told, one, acts, here=mark_of(one) == found) for one in shown]
    return html._(
        components.tabs(context, "kind", kinds, t("Kind")),
        searching(context),
        html.ol({"className": "timeline"}, items) if items else components.empty("clock", nothing(context), None),
        components.pager(context, told.page.next_before),
    )


ASKED = ("q", "since", "until")
"""What the form above the timeline asks for."""


def searching(context: PageContext) -> Element:
    """Words and days, beside the kind that was chosen. A plain form: it works while the connection is away."""
    t, query = context.t, context.query
    kept = {name: value for name, value in query.items() if name not in (*ASKED, "before") and value}
    words = {"type": "search", "name": "q", "defaultValue": query.get("q", ""), "placeholder": t("Search timeline"), "maxLength": 100}
    days = [
        html.label({"key": name}, t(text), html.input({"type": "date", "name": name, "defaultValue": query.get(name, "")}))
        for name, text in (("since", "Since"), ("until", "Until"))
    ]
    return html.form(
        {"className": "filters", "method": "get", "action": context.path, "role": "search"},
        html.div({"className": "search"}, components.icon("search"), html.input({**words, "aria-label": t("Search timeline")})),
        *days,
        *[html.input({"type": "hidden", "name": name, "value": value}) for name, value in kept.items()],
        html.button({"type": "submit", "className": "button"}, t("Filter")),
        html.a({"className": "button plain", "href": context.link(q=None, since=None, until=None)}, t("Clear filters"))
        if any(query.get(name) for name in ASKED)
        else None,
    )


def nothing(context: PageContext) -> str:
    return context.t("No results.") if any(context.query.get(name) for name in (*ASKED, "kind")) else context.t("No activity yet.")


def stamp(session: Session, contact: Contact) -> object:
    """Whatever happens to a contact is an event or a step of a run, and messages and notes have stamps of their own."""
    return session.scalar(select(func.max(Event.id)).where(Event.contact_id == contact.id))


PANEL = Panel("timeline", "Timeline", load, view=view, stamp=stamp)
