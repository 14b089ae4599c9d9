"""Who is in a segment, and on a list kept by hand how contacts get on it and off it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlmodel import col

from builder_ui.kit import components, forms
from builder_ui.kit.actor_names import called, contact_link
from builder_ui.kit.context import Acts, Do, PageContext
from builder_ui.kit.reactpy_compat import Element, html
from crm.people import contacts
from crm.people.contacts import ContactFilter
from crm.segments import members, segments
from engine.enrolment.routing import routed
from engine.temporal.wakeups import Wakeups
from models import Contact, Segment, SegmentMember
from storage.sql import on, table

PAGE_SIZE = 50
MOST_FOUND = 10


@dataclass(frozen=True, slots=True, repr=False)
class Members:
    """`found`: contacts to put on a list, None where nobody was searched for; `since`: contact id -> since when they are in."""

    contacts: list[Contact]
    since: Mapping[str, datetime]
    next_before: str | None
    found: list[Contact] | None


def load(context: PageContext, session: Session, segment: Segment) -> Members:
    id, text, after = segments.id_of(segment), context.query.get("q", "").strip()[:100], context.query.get("before", "")
    if text:
        page = contacts.search(session, ContactFilter(text=text, segment_id=id), before=after or None, limit=PAGE_SIZE)
        shown, following = page.contacts, page.next_before
    else:
        rows = members.page(session, id, after, PAGE_SIZE + 1)
        shown = _in_order(session, [contact_id for contact_id, _ in rows[:PAGE_SIZE]])
        following = rows[PAGE_SIZE - 1][0] if len(rows) > PAGE_SIZE else None
    found = search(session, context.query["find"]) if segment.kind == "static" and context.query.get("find") else None
    return Members(shown, since(session, id, [one.id for one in [*shown, *(found or ())]]), following, found)


def _in_order(session: Session, ids: list[str]) -> list[Contact]:
    rows = {one.id: one for one in session.scalars(select(Contact).where(col(Contact.id).in_(ids)))}
    return [rows[id] for id in ids if id in rows]


def since(session: Session, segment_id: int, ids: list[str]) -> dict[str, datetime]:
    rows = table(SegmentMember)
    wanted = select(rows.c.contact_id, rows.c.since).where(rows.c.segment_id == segment_id, rows.c.contact_id.in_(ids))
    return dict(on(session).execute(wanted).all())


def search(session: Session, text: str) -> list[Contact]:
    """The newest contacts of whom a name or the address begins with the words."""
    wanted = text.strip()[:100]
    return contacts.search(session, ContactFilter(text=wanted), limit=MOST_FOUND).contacts if wanted else []


def finder(context: PageContext, label: str, button: str) -> Element:
    """A plain form that searches for contacts."""
    view = context.query.get("view", "")
    field = {"type": "search", "name": "find", "defaultValue": context.query.get("find", ""), "placeholder": label, "aria-label": label}
    return html.form(
        {"className": "filters", "method": "get", "action": context.path, "role": "search"},
        html.span({"className": "search"}, components.icon("search"), html.input({**field, "maxLength": 100})),
        html.input({"type": "hidden", "name": "view", "value": view}) if view else None,
        html.button({"className": "button"}, button),
    )


def view(context: PageContext, data: Any, acts: Acts) -> Element:
    t, inner, segment = context.t, data.inner, data.segment
    by_hand = segment.kind == "static" and context.may("segment.change")
    return html._(
        adding(context, segment, inner, acts) if by_hand else None,
        html.div({"className": "bar"}, components.search(context, t("Search by name or e-mail"))) if data.count else None,
        rows(context, segment, inner, acts, by_hand) if inner.contacts else nothing(context, data),
        components.pager(context, inner.next_before, t("First page"), t("More")),
    )


def nothing(context: PageContext, data: Any) -> Element:
    t = context.t
    if context.query.get("q"):
        return components.empty("search", t("No matching contacts."), None)
    text = t("Contacts appear here as soon as they are found.") if data.segment.state == "filling" else t("Nobody is in this segment now.")
    return components.empty("people", text, None)


def rows(context: PageContext, segment: Segment, inner: Members, acts: Acts, by_hand: bool) -> Element:
    t = context.t
    columns = (t("Name"), t("E-mail"), t("In since"), "")
    lines = [
        [
            contact_link(t, one.id, called(one) or None),
            one.email or "–",
            components.moment(t, inner.since.get(one.id)),
            off(context, segment, one, acts) if by_hand else why_link(context, segment, one),
        ]
        for one in inner.contacts
    ]
    return components.table(t("Members"), columns, lines, "people")


def why_link(context: PageContext, segment: Segment, one: Contact) -> Element:
    """To the rule, asked of this one."""
    if segment.kind != "live":
        return None
    t, address = context.t, f"/ui/segments/{segment.key}?view=why&contact={one.id}"
    return html.a({"className": "button plain", "href": address, "aria-label": t("Why {name} is in it", name=named(one))}, t("Why?"))


def named(one: Contact) -> str:
    return called(one) or one.id[-6:]


def off(context: PageContext, segment: Segment, one: Contact, acts: Acts) -> Element:
    out, back = moving(segment.key, one.id, False), moving(segment.key, one.id, True)
    t, handler = context.t, acts.act("segment.change", out, "Removed from the segment.", back)
    return html.button(
        {"type": "button", "className": "button plain", "onClick": handler, "aria-label": t("Remove {name}", name=named(one))}, t("Remove")
    )


def adding(context: PageContext, segment: Segment, inner: Members, acts: Acts) -> Element:
    t = context.t
    return html.section(
        {"className": "panel adding"},
        html.h2(t("Add contacts")),
        finder(context, t("Name or e-mail address"), t("Find")),
        None
        if inner.found is None
        else html.ul([candidate(context, segment, one, one.id in inner.since, acts) for one in inner.found])
        if inner.found
        else html.p({"className": "quiet"}, t("No matching contacts.")),
        html.p(
            html.a(
                {"className": "button", "href": f"/ui/contacts/import?list={segment.key}"}, components.icon("folder"), t("Upload a file")
            )
        )
        if context.may("contact.import")
        else None,
    )


def candidate(context: PageContext, segment: Segment, one: Contact, is_in: bool, acts: Acts) -> Element:
    t = context.t
    handler = acts.act("segment.change", moving(segment.key, one.id, True), "Added to the segment.", moving(segment.key, one.id, False))
    button = {"type": "button", "className": "button", "onClick": handler, "aria-label": t("Add {name}", name=named(one))}
    return html.li(
        {"key": one.id},
        contact_link(t, one.id, called(one) or None),
        html.small(one.email) if one.email and called(one) != one.email else None,
        html.span({"className": "quiet"}, t("is in it already")) if is_in else html.button(button, components.icon("plus"), t("Add")),
    )


def moving(key: str, contact_id: str, is_in: bool) -> Do:
    """Puts somebody on a list kept by hand, or takes them off it; journeys hear of it in the same transaction."""

    def do(context: PageContext) -> Wakeups:
        now = context.app.now()
        with context.engine.db.write() as session, forms.plainly():
            events = (segments.put_in if is_in else segments.take_out)(session, key, [contact_id], context.by, now)
            return routed(context.engine, session, events, now)

    return do
