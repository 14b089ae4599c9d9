"""What the contacts of a company did, as one timeline: of those who were active last, so that a company of ten thousand is looked at as quickly as one of ten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from builder_ui.contacts.timeline.events import tell_event
from builder_ui.contacts.timeline.lines import ICONS, is_noise
from builder_ui.contacts.timeline.told import Told, told_of
from builder_ui.kit import components
from builder_ui.kit.actor_names import contact_link, contact_names
from builder_ui.kit.context import Acts, PageContext
from builder_ui.kit.reactpy_compat import Element, html
from crm.companies import timeline
from crm.people.timeline import Item, TimelinePage
from models import Company


@dataclass(frozen=True, slots=True)
class History:
    """`names`: contact id -> what people call them."""

    told: Told
    names: dict[str, str]
    next_before: str | None


def load(context: PageContext, session: Session, company: Company) -> History:
    before = context.query.get("before", "")
    rows, following = timeline.page(session, company.id, int(before) if before.isdecimal() and len(before) < 19 else None)
    items = [Item(one.occurred_at, "event", (one.id,), one._asdict()) for one in rows]
    told = told_of(context, session, TimelinePage(items, following))
    return History(told, contact_names(session, {one.contact_id for one in rows}), following)


def view(context: PageContext, data: Any, acts: Acts) -> Element:
    t, inner = context.t, data.inner
    items = [line(context, inner, one) for one in inner.told.page.items if not is_noise(one)]
    note = t("Of the {count} contacts that were active last.", count=t.number(timeline.MOST_CONTACTS))
    return html._(
        html.p({"className": "quiet"}, note) if data.company.members > timeline.MOST_CONTACTS else None,
        html.ol({"className": "timeline"}, items) if items else components.empty("clock", t("No activity yet."), None),
        components.pager(context, inner.next_before),
    )


def line(context: PageContext, inner: History, one: Item) -> Element:
    id = one.data["contact_id"]
    return html.li(
        {"className": "event small", "key": str(one.data["id"])},
        html.span({"className": "step-icon"}, components.icon(ICONS["event"])),
        html.div(
            {"className": "event-body"},
            html.div(
                {"className": "event-head"},
                html.div(contact_link(context.t, id, inner.names.get(id)), html.br(), tell_event(context, inner.told, one.data)),
                components.moment(context.t, one.at),
            ),
        ),
    )
