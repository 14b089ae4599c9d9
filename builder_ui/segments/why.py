"""Why somebody is in a segment or not: its rule, asked of one contact, term by term."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from builder_ui.kit import components, labels
from builder_ui.kit.actor_names import called, contact_link
from builder_ui.kit.context import Acts, PageContext
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.segments import membership
from crm.people import contacts
from crm.segments import questions
from journeys.errors import NotFound
from models import Contact, Segment


@dataclass(frozen=True, slots=True, repr=False)
class Asked:
    """`found`: whom a search found, None where nobody was searched for. `missing`: the address names somebody whom there is not."""

    found: list[Contact] | None = None
    contact: Contact | None = None
    why: questions.Why | None = None
    missing: bool = False


def load(context: PageContext, session: Session, segment: Segment) -> Asked:
    text, wanted = context.query.get("find", ""), context.query.get("contact", "")
    found = membership.search(session, text) if text else None
    if not wanted:
        return Asked(found)
    try:
        contact = contacts.get(session, wanted)
        return Asked(found, contact, questions.why(session, segment.key, contact.id, context.app.now()))
    except NotFound:
        return Asked(found, missing=True)


def view(context: PageContext, data: Any, acts: Acts) -> Element:
    t, inner = context.t, data.inner
    return html._(
        membership.finder(context, t("Name or e-mail address"), t("Find")),
        None if inner.found is None else choices(context, inner.found),
        html.p({"className": "notice bad"}, components.icon("alert"), t("There is no such contact.")) if inner.missing else None,
        answer(context, data) if inner.why is not None else None,
        components.empty("search", t("Search for a contact to see which conditions hold for them."), None)
        if inner.found is None and inner.why is None and not inner.missing
        else None,
    )


def choices(context: PageContext, found: list[Contact]) -> Element:
    t = context.t
    if not found:
        return html.p({"className": "quiet"}, t("No matching contacts."))
    links = [
        html.li(
            {"key": one.id},
            html.a({"href": context.link(contact=one.id, find=None)}, called(one) or t("Contact {id}", id=one.id[-6:])),
            html.small(one.email) if one.email and called(one) != one.email else None,
        )
        for one in found
    ]
    return html.ul({"className": "used"}, links)


def answer(context: PageContext, data: Any) -> Element:
    """In or out, since when, and every term with what was found."""
    t, contact, why = context.t, data.inner.contact, data.inner.why
    state = components.badge(t("In the segment"), "good", "check") if why.member else components.badge(t("Not in it"), "quiet", "ban")
    since = html._(" ", t("since"), " ", components.moment(t, why.since)) if why.since is not None else None
    return html.section(
        {"className": "panel why"},
        html.h2(contact_link(t, contact.id, called(contact) or None), " ", state, since),
        html.ul({"className": "terms"}, [term(context, n, row) for n, row in enumerate(why.terms)]),
        html.p({"className": "quiet"}, t("Time alone can change this, at the earliest on {at}.", at=t.moment(why.flips_at)))
        if why.flips_at
        else None,
        html.p({"className": "quiet"}, t("The segment is still being filled: not everybody has been checked yet."))
        if data.segment.state == "filling"
        else None,
    )


def term(context: PageContext, number: int, row: Mapping[str, Any]) -> Element:
    """One condition: whether it holds, as a symbol and a word, the question, and what was found."""
    t, holds = context.t, bool(row["result"])
    asked, found = labels.term(t, row, {})
    return html.li(
        {"key": str(number), "className": "" if holds else "bad"},
        html.span({"className": "truth"}, components.icon("check" if holds else "ban")),
        html.span(html.span({"className": "hidden"}, t("holds:") if holds else t("does not hold:"), " "), *components.marked(asked)),
        html.span({"className": "found"}, found),
    )
