"""The list of contacts, with a search by name and address."""

from __future__ import annotations

from builder_ui import parts
from builder_ui.compat import Element, html
from builder_ui.people import called, contact_link
from builder_ui.visit import Acts, Page, Visit
from crm.contacts import ContactPage, Wanted, search
from models import Contact


def load(visit: Visit) -> ContactPage:
    query = visit.query
    wanted = Wanted(text=query.get("q", ""), tag=query.get("tag") or None, lifecycle_stage=query.get("stage") or None)
    with visit.engine.db.read() as session:
        return search(session, wanted, before=query.get("before"))


def view(visit: Visit, data: ContactPage, acts: Acts) -> Element:
    speech = visit.speech
    columns = (speech("Name"), speech("E-mail"), speech("Phone"), speech("Stage"), speech("Last seen"))
    rows = [row(visit, contact) for contact in data.contacts]
    chosen = [value for value in (visit.query.get("tag"), visit.query.get("stage")) if value]
    return html._(
        parts.head(speech("Contacts")),
        html.div({"className": "bar"}, parts.search(visit, speech("Search by name or e-mail")), narrowed(visit, chosen)),
        parts.table(speech("Contacts"), columns, rows, "people") if rows else nothing(visit),
        parts.pager(visit, data.next_before),
    )


def narrowed(visit: Visit, chosen: list[str]) -> Element:
    if not chosen:
        return None
    return html.span(
        {"className": "filter"},
        ", ".join(chosen),
        html.a({"className": "button plain", "href": visit.link(tag=None, stage=None)}, visit.speech("Show all")),
    )


def nothing(visit: Visit) -> Element:
    speech = visit.speech
    text = speech("No contact fits.") if visit.query else speech("There is no contact yet. They come with events, imports and the API.")
    return parts.empty("people", text, None)


def row(visit: Visit, contact: Contact) -> list[Element]:
    speech = visit.speech
    stage = contact.lifecycle_stage
    return [
        contact_link(speech, contact.id, called(contact)),
        contact.email or "–",
        contact.phone or "–",
        html.a({"href": visit.link(stage=stage)}, stage) if stage else "–",
        parts.relative(visit, contact.last_seen_at) if contact.last_seen_at else "–",
    ]


PAGE = Page("/ui/contacts", "Contacts", "contacts", load, view)
