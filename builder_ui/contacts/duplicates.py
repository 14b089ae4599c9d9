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


def load(context: PageContext) -> PairPage:
    before = context.query.get("before", "")
    with context.engine.db.read() as session:
        return duplicates.page(
            session, before=int(before) if before.isascii() and before.isdigit() and len(before) < 16 else None, limit=SHOWN
        )


def view(context: PageContext, data: PairPage, acts: Acts) -> Element:
    t = context.t
    lead = t("They share an address or number. That alone does not make them the same person: review and decide.")
    return html._(
        components.head(t("Possible duplicates"), lead, back=("/ui/contacts", t("Contacts"))),
        [pair_panel(context, pair, acts) for pair in data.pairs]
        if data.pairs
        else components.empty("people", t("No possible duplicates."), None),
        components.pager(context, str(data.next_before) if data.next_before else None),
    )


def pair_panel(context: PageContext, pair: Pair, acts: Acts) -> Element:
    t = context.t
    people = (pair.one, pair.other)
    columns = (t("Field"), *(t("Contact {id}", id=one.id[-6:]) for one in people))
    return html.section(
        {"className": "panel stack", "key": str(pair.id)},
        html.h2(f"{called(pair.one) or pair.one.id[-6:]} · {called(pair.other) or pair.other.id[-6:]}"),
        html.p({"className": "quiet"}, t(REASONS.get(pair.reason, REASONS["phone"]))),
        components.table(t("Side by side"), columns, rows(context, people), "pair"),
        html.div({"className": "actions"}, *offered(context, pair, acts)) if context.may("contact.change") else None,
    )


def rows(context: PageContext, people: tuple[Contact, Contact]) -> list[list[Element]]:
    """Every field that one of the two has; where they differ it stands out."""
    t = context.t
    found: list[list[Element]] = [[t("Name"), *(contact_link(t, one.id, called(one)) for one in people)]]
    for name, title in FIELDS.items():
        found += line(t(title), [getattr(one, name) for one in people])
    for name in sorted({*people[0].attributes, *people[1].attributes})[:40]:
        found += line(field_name(t, name), [one.attributes.get(name) for one in people])
    found.append([t("Created"), *(components.moment(t, one.created_at) for one in people)])
    return found


def line(title: str, values: list[object]) -> list[list[Element]]:
    if all(value in (None, "") for value in values):
        return []
    said = ["–" if value in (None, "") else str(value)[:120] for value in values]
    return [[title, *(html.b(text) if said[0] != said[1] else text for text in said)]]


def offered(context: PageContext, pair: Pair, acts: Acts) -> list[Element]:
    t = context.t
    merges = [
        components.ask(
            t("Merge into {name}", name=f"{called(one) or ''} {one.id[-6:]}".strip()),
            t("The two become one contact with the fields of this one, completed from the other. This can be undone."),
            t("Merge"),
            acts.act("contact.change", merging_into(pair.id, one.id), "The contacts were merged."),
            "people",
        )
        for one in (pair.one, pair.other)
    ]
    apart = acts.act("contact.change", keeping_apart(pair), "Saved as two different people.")
    return [*merges, components.button(t("Not the same person"), apart, "ban")]


def merging_into(pair_id: int, winner_id: str) -> Do:
    def do(context: PageContext) -> Wakeups:
        with context.engine.db.write() as session:
            return merging.merge_pair(context.engine, session, pair_id, winner_id, context.by, context.app.now())

    return do


def keeping_apart(pair: Pair) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session:
            duplicates.keep_apart(session, pair.one.id, pair.other.id, context.by, context.app.now())

    return do


PAGE = Page("/ui/contacts/duplicates", "Possible duplicates", "contacts", "contact.read", load, view)
