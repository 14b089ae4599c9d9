"""Contacts that may be one person, side by side: merge them, or remember that they are two."""

from __future__ import annotations

from builder_ui.kit import components
from builder_ui.kit.actor_names import called, contact_link
from builder_ui.kit.context import Acts, Do, Page, PageContext
from builder_ui.kit.labels import field_name
from builder_ui.kit.reactpy_compat import Element, html
from crm.people import duplicates
from crm.people.duplicates import Pair, PairPage
from engine import merging
from engine.temporal.wakeups import Wakeups
from models import Contact

REASONS = {"email": "the same e-mail address", "phone": "the same phone number"}
FIELDS = {
    "email": "E-mail",
    "phone": "Phone",
    "first_name": "First name",
    "last_name": "Last name",
    "lifecycle_stage": "Stage",
    "locale": "Language",
    "timezone": "Time zone",
}
SHOWN = 25


def load(visit: PageContext) -> PairPage:
    before = visit.query.get("before", "")
    with visit.engine.db.read() as session:
        return duplicates.page(
            session, before=int(before) if before.isascii() and before.isdigit() and len(before) < 16 else None, limit=SHOWN
        )


def view(visit: PageContext, data: PairPage, acts: Acts) -> Element:
    speech = visit.speech
    lead = speech("They share an address or number. That alone does not make them the same person: review and decide.")
    return html._(
        components.head(speech("Possible duplicates"), lead, back=("/ui/contacts", speech("Contacts"))),
        [pair_panel(visit, pair, acts) for pair in data.pairs]
        if data.pairs
        else components.empty("people", speech("No possible duplicates."), None),
        components.pager(visit, str(data.next_before) if data.next_before else None),
    )


def pair_panel(visit: PageContext, pair: Pair, acts: Acts) -> Element:
    speech = visit.speech
    people = (pair.one, pair.other)
    columns = (speech("Field"), *(speech("Contact {id}", id=one.id[-6:]) for one in people))
    return html.section(
        {"className": "panel stack", "key": str(pair.id)},
        html.h2(f"{called(pair.one) or pair.one.id[-6:]} · {called(pair.other) or pair.other.id[-6:]}"),
        html.p({"className": "quiet"}, speech(REASONS.get(pair.reason, REASONS["phone"]))),
        components.table(speech("Side by side"), columns, rows(visit, people), "pair"),
        html.div({"className": "actions"}, *offered(visit, pair, acts)) if visit.may("contact.change") else None,
    )


def rows(visit: PageContext, people: tuple[Contact, Contact]) -> list[list[Element]]:
    """Every field that one of the two has; where they differ it stands out."""
    speech = visit.speech
    found: list[list[Element]] = [[speech("Name"), *(contact_link(speech, one.id, called(one)) for one in people)]]
    for name, title in FIELDS.items():
        found += line(speech(title), [getattr(one, name) for one in people])
    for name in sorted({*people[0].attributes, *people[1].attributes})[:40]:
        found += line(field_name(speech, name), [one.attributes.get(name) for one in people])
    found.append([speech("Created"), *(components.moment(speech, one.created_at) for one in people)])
    return found


def line(title: str, values: list[object]) -> list[list[Element]]:
    if all(value in (None, "") for value in values):
        return []
    said = ["–" if value in (None, "") else str(value)[:120] for value in values]
    return [[title, *(html.b(text) if said[0] != said[1] else text for text in said)]]


def offered(visit: PageContext, pair: Pair, acts: Acts) -> list[Element]:
    speech = visit.speech
    merges = [
        components.ask(
            speech("Merge into {name}", name=f"{called(one) or ''} {one.id[-6:]}".strip()),
            speech("The two become one contact with the fields of this one, completed from the other. This can be undone."),
            speech("Merge"),
            acts.act("contact.change", merging_into(pair.id, one.id), "The contacts were merged."),
            "people",
        )
        for one in (pair.one, pair.other)
    ]
    apart = acts.act("contact.change", keeping_apart(pair), "Saved: these are two people.")
    return [*merges, components.button(speech("Not the same person"), apart, "ban")]


def merging_into(pair_id: int, winner_id: str) -> Do:
    def do(visit: PageContext) -> Wakeups:
        with visit.engine.db.write() as session:
            return merging.merge_pair(visit.engine, session, pair_id, winner_id, visit.by, visit.house.now())

    return do


def keeping_apart(pair: Pair) -> Do:
    def do(visit: PageContext) -> None:
        with visit.engine.db.write() as session:
            duplicates.keep_apart(session, pair.one.id, pair.other.id, visit.by, visit.house.now())

    return do


PAGE = Page("/ui/contacts/duplicates", "Possible duplicates", "contacts", "contact.read", load, view)
