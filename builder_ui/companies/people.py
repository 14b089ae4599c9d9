"""The contacts of a company: who they are, since when and by whose word, and how people bring them there and take them away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlmodel import col

from builder_ui.kit import components, forms
from builder_ui.kit.actor_names import called, contact_link
from builder_ui.kit.context import Acts, Do, PageContext
from builder_ui.kit.labels import coded
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.segments.membership import finder, search
from crm.companies import companies, members
from crm.companies.members import Membership
from engine.enrolment.routing import routed
from engine.temporal.wakeups import Wakeups
from models import Company, Contact
from storage.locks import lock_contact

PAGE_SIZE = 50
SOURCES = {
    "domain": "by e-mail domain",
    "group": "by a group call",
    "api": "through the API",
    "hand": "by hand",
}
"""Who said that a contact belongs to a company."""


@dataclass(frozen=True, slots=True, repr=False)
class People:
    """`found`: contacts to bring here, None where nobody was searched for; `contacts`: id -> contact."""

    page: list[Membership]
    contacts: Mapping[str, Contact]
    next_before: str | None
    found: list[Contact] | None


def load(context: PageContext, session: Session, company: Company) -> People:
    rows = members.page(session, company.id, context.query.get("before", ""), PAGE_SIZE + 1)
    page = rows[:PAGE_SIZE]
    found = search(session, context.query["find"]) if context.query.get("find") and context.may("company.change") else None
    known = session.scalars(select(Contact).where(col(Contact.id).in_([one.contact_id for one in page])))
    following = page[-1].contact_id if len(rows) > PAGE_SIZE else None
    return People(page, {one.id: one for one in known}, following, found)


def view(context: PageContext, data: Any, acts: Acts) -> Element:
    t, inner = context.t, data.inner
    return html._(
        adding(context, data.company, inner, acts) if context.may("company.change") else None,
        table(context, data.company, inner, acts) if inner.page else components.empty("people", t("This company has no contacts."), None),
        components.pager(context, inner.next_before, t("First page"), t("More")),
    )


def table(context: PageContext, company: Company, inner: People, acts: Acts) -> Element:
    t = context.t
    columns = (t("Name"), t("E-mail"), t("Since"), t("Added"), "")
    return components.table(
        t("Contacts"), columns, [line(context, company, one, inner.contacts.get(one.contact_id), acts) for one in inner.page], "people"
    )


def line(context: PageContext, company: Company, one: Membership, contact: Contact | None, acts: Acts) -> list[Element]:
    t = context.t
    title = called(contact) if contact else ""
    return [
        contact_link(t, one.contact_id, title or None),
        (contact.email if contact else None) or "–",
        components.moment(t, one.since),
        coded(t, SOURCES, one.source),
        off(context, company, one, title, acts) if context.may("company.change") else None,
    ]


def off(context: PageContext, company: Company, one: Membership, title: str, acts: Acts) -> Element:
    t = context.t
    handler = acts.act("company.change", moving(one.contact_id, None), "Removed from the company.", moving(one.contact_id, company.id))
    label = t("Remove {name}", name=title or one.contact_id[-6:])
    return html.button({"type": "button", "className": "button plain", "onClick": handler, "aria-label": label}, t("Remove"))


def adding(context: PageContext, company: Company, inner: People, acts: Acts) -> Element:
    t = context.t
    return html.section(
        {"className": "adding"},
        html.h2(t("Add contacts")),
        finder(context, t("Name or e-mail address"), t("Find")),
        None
        if inner.found is None
        else html.ul([candidate(context, company, one, acts) for one in inner.found])
        if inner.found
        else html.p({"className": "quiet"}, t("No matching contacts.")),
    )


def candidate(context: PageContext, company: Company, one: Contact, acts: Acts) -> Element:
    t = context.t
    handler = acts.act("company.change", moving(one.id, company.id), "Added to the company.")
    label = t("Add {name}", name=called(one) or one.id[-6:])
    return html.li(
        {"key": one.id},
        contact_link(t, one.id, called(one) or None),
        html.small(one.email) if one.email and called(one) != one.email else None,
        html.button({"type": "button", "className": "button", "onClick": handler, "aria-label": label}, components.icon("plus"), t("Add")),
    )


def moving(contact_id: str, company_id: str | None) -> Do:
    """Brings somebody to a company, or takes them out of theirs; journeys hear of it in the same transaction."""

    def do(context: PageContext) -> Wakeups:
        now = context.app.now()
        with context.engine.db.write() as session, forms.plainly():
            contact = lock_contact(session, contact_id)
            events = companies.assign(session, contact.id, company_id, context.by, now)
            return routed(context.engine, session, events, now)

    return do
