"""Everything that happened, newest first."""

from __future__ import annotations

from sqlalchemy import func
from sqlalchemy.orm import Session
from sqlmodel import col, select

from builder_ui.contacts.panels.panel import Panel
from builder_ui.contacts.timeline.lines import KIND_NAMES, is_noise, is_unmet, item
from builder_ui.contacts.timeline.told import Told, told_of
from builder_ui.kit import components
from builder_ui.kit.context import Acts, PageContext
from builder_ui.kit.reactpy_compat import Element, html
from crm.people.timeline import KINDS, timeline
from models import Contact, Event, Message


def load(context: PageContext, session: Session, contact: Contact, opened: bool) -> Told | None:
    if not opened:
        return None
    kind, text = context.query.get("kind", ""), context.query.get("q", "")[:100]
    page = timeline(session, contact.id, before=context.query.get("before"), text=text, kinds=(kind,) if kind else KINDS)
    return told_of(context, session, page)


def view(context: PageContext, contact: Contact, told: Told, acts: Acts) -> Element:
    t = context.t
    kinds = [("", t("Everything"), None), *[(kind, t(name), None) for kind, name in KIND_NAMES.items()]]
    everything = not context.query.get("kind")
    items = [item(context, told, one) for one in told.page.items if not (everything and (is_noise(one) or is_unmet(one)))]
    return html._(
        html.div(
            {"className": "bar"}, components.tabs(context, "kind", kinds, t("Kind")), components.search(context, t("Search timeline"))
        ),
        html.ol({"className": "timeline"}, items) if items else components.empty("clock", nothing(context), None),
        components.pager(context, told.page.next_before),
    )


def nothing(context: PageContext) -> str:
    return context.t("No results.") if context.query.get("q") or context.query.get("kind") else context.t("No activity yet.")


def stamp(session: Session, contact: Contact) -> object:
    """Whatever happens to a contact is an event or a step of a run; messages change by themselves."""
    newest = session.scalar(select(func.max(Event.id)).where(Event.contact_id == contact.id))
    lives = select(Message.status, Message.opened_at, Message.clicked_at).where(Message.contact_id == contact.id)
    return newest, [tuple(life) for life in session.execute(lives.order_by(col(Message.id).desc()).limit(20))]


PANEL = Panel("timeline", "Timeline", load, view=view, stamp=stamp)
