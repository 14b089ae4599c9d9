"""The company that the contact belongs to, since when and by whose word; chosen and left by hand."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from builder_ui.companies import amounts
from builder_ui.companies.people import SOURCES, moving
from builder_ui.contacts.panels.panel import Panel
from builder_ui.kit import components
from builder_ui.kit.context import Acts, PageContext
from builder_ui.kit.labels import coded
from builder_ui.kit.reactpy_compat import Element, html
from crm.companies import companies, members
from crm.companies.members import Membership
from models import Company, Contact

MOST_FOUND = 10


@dataclass(frozen=True, slots=True)
class Data:
    """`found`: companies to choose from, None where none was searched for."""

    company: Company | None
    membership: Membership | None
    found: list[Company] | None


def load(context: PageContext, session: Session, contact: Contact, opened: bool) -> Data:
    membership = members.of_contact(session, contact.id)
    known = companies.named(session, [membership.company_id] if membership else [])
    text = context.query.get("company", "").strip()[:100] if opened else ""
    found = companies.search(session, text=text, limit=MOST_FOUND).companies if text else None
    return Data(known.get(membership.company_id) if membership else None, membership, found)


def aside(context: PageContext, contact: Contact, data: Data, acts: Acts) -> Element:
    t = context.t
    if data.company is None:
        return None
    return html._(
        html.p(html.a({"href": f"/ui/companies/{data.company.id}"}, data.company.name)),
        components.facts([(t("Contacts"), t.number(data.company.members)), (t("Revenue"), amounts.revenue(t, data.company))]),
    )


def may_open(context: PageContext, contact: Contact) -> bool:
    return context.may("company.change") and contact.erased_at is None


def view(context: PageContext, contact: Contact, data: Data, acts: Acts) -> Element:
    t = context.t
    label = t("Search by name or domain")
    field = {
        "type": "search",
        "name": "company",
        "defaultValue": context.query.get("company", ""),
        "placeholder": label,
        "aria-label": label,
    }
    return html.div(
        {"className": "stack"},
        present(context, contact, data, acts),
        html.form(
            {"className": "filters", "method": "get", "action": context.path, "role": "search"},
            html.span({"className": "search"}, components.icon("search"), html.input({**field, "maxLength": 100})),
            html.input({"type": "hidden", "name": "view", "value": "company"}),
            html.button({"className": "button"}, t("Find")),
        ),
        html.ul({"className": "lines"}, [candidate(context, contact, data, one, acts) for one in data.found]) if data.found else None,
        html.p({"className": "quiet"}, t("No matching companies.")) if data.found == [] else None,
        html.p(html.a({"className": "button", "href": "/ui/new-company"}, components.icon("building"), t("New company"))),
    )


def present(context: PageContext, contact: Contact, data: Data, acts: Acts) -> Element:
    t = context.t
    if data.company is None or data.membership is None:
        return html.p({"className": "quiet"}, t("This contact belongs to no company."))
    out = acts.act("company.change", moving(contact.id, None), "Removed from the company.", moving(contact.id, data.company.id))
    return html.div(
        {"className": "actions"},
        html.a({"href": f"/ui/companies/{data.company.id}"}, data.company.name),
        html.span(
            {"className": "quiet"},
            coded(t, SOURCES, data.membership.source),
            ", ",
            t("since"),
            " ",
            components.moment(t, data.membership.since),
        ),
        components.button(t("Remove from the company"), out, "ban"),
    )


def candidate(context: PageContext, contact: Contact, data: Data, one: Company, acts: Acts) -> Element:
    t = context.t
    here = data.company is not None and data.company.id == one.id
    handler = acts.act(
        "company.change", moving(contact.id, one.id), "Company chosen.", moving(contact.id, data.company.id if data.company else None)
    )
    choose = html.button(
        {"type": "button", "className": "button", "onClick": handler, "aria-label": t("Choose {name}", name=one.name)}, t("Choose")
    )
    return html.li(
        {"key": one.id},
        html.a({"href": f"/ui/companies/{one.id}"}, one.name),
        html.small(f" {one.domain}") if one.domain and one.domain != one.name else None,
        " ",
        html.span({"className": "quiet"}, t("chosen already")) if here else choose,
    )


def stamp(session: Session, contact: Contact) -> object:
    return members.of_contact(session, contact.id)


PANEL = Panel("company", "Company", load, aside=aside, view=view, may_open=may_open, stamp=stamp)
