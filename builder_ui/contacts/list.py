"""The list of contacts: filters whose state is the address, an order, and who is chosen of it (what can be done with them: `chosen`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from sqlmodel import col, select

from builder_ui.contacts.bulk_actions import Chosen, Everyone, all_of
from builder_ui.contacts.filters import SEEN, Filters, read_filters
from builder_ui.kit import components
from builder_ui.kit.actor_names import called, contact_link
from builder_ui.kit.context import Acts, Page, PageContext
from builder_ui.kit.labels import CHANNELS, CONSENT_STATES, coded
from builder_ui.kit.reactpy_compat import Element, component, html, use_state
from crm.people import contacts
from crm.people.contacts import MAX_COUNTED, ContactPage, search
from crm.segments import segments
from journeys.channels import ASKED
from journeys.rules.terms.lead_source import KINDS
from models import Contact, Journey, Member
from workspace.members import list_members

SORTS = {"created": "Newest first", "seen": "Last seen first", "name": "Name"}
JOURNEYS = ("live", "paused")


@dataclass(frozen=True, slots=True, repr=False)
class Data:
    page: ContactPage
    filters: Filters
    count: int
    members: list[Member]
    journeys: list[tuple[str, str, str]]
    """(key, name, state) of journeys that can have people in them."""
    segments: dict[str, str]
    """Key -> name."""


def load(context: PageContext) -> Data:
    query = context.query
    with context.engine.db.read() as session:
        filters = read_filters(session, query, context.app.now(), context.t)
        page = search(session, filters.filter, before=query.get("before"), sort=query.get("sort", "created"))
        journeys = (
            select(Journey.key, Journey.name, Journey.state).where(col(Journey.state).in_(JOURNEYS)).order_by(Journey.name).limit(200)
        )
        return Data(
            page,
            filters,
            contacts.count(session, filters.filter),
            list_members(session, only_active=True),
            [(key, name, state) for key, name, state in session.execute(journeys)],
            dict(segments.offered(session)),
        )


def view(context: PageContext, data: Data, acts: Acts) -> Element:
    t = context.t
    return html._(
        components.head(t("Contacts"), actions=actions(context)),
        filter_form(context, data),
        chips(context, data),
        People(context, data, acts) if data.page.contacts else nothing(context),
        components.pager(context, data.page.next_before),
    )


def actions(context: PageContext) -> list[Element]:
    t = context.t
    offered: list[Element] = []
    offered.append(components.export(context, "contacts"))
    offered.append(html.a({"className": "button", "href": "/ui/contacts/duplicates"}, components.icon("people"), t("Possible duplicates")))
    if context.may("contact.import"):
        offered.append(html.a({"className": "button", "href": "/ui/contacts/import"}, components.icon("people"), t("Import")))
    if context.may("contact.change"):
        offered.append(html.a({"className": "button main", "href": "/ui/contacts/new"}, components.icon("user-plus"), t("New contact")))
    return offered


# The filters


def filter_form(context: PageContext, data: Data) -> Element:
    """A plain form: its state is the address, which can be kept and sent on."""
    t, query = context.t, context.query
    states = {code: t(text) for code, text in CONSENT_STATES.items()}
    channels = {code: coded(t, CHANNELS, code) for code in ASKED}
    return html.form(
        {"method": "get", "action": context.path, "role": "search", "key": urlencode(dict(query))},
        html.div(
            {"className": "bar"},
            html.div(
                {"className": "search"},
                components.icon("search"),
                html.input(
                    {
                        "type": "search",
                        "name": "q",
                        "defaultValue": query.get("q", ""),
                        "placeholder": t("Search by name or e-mail"),
                        "aria-label": t("Search by name or e-mail"),
                        "maxLength": 200,
                    }
                ),
            ),
            pick(context, "sort", t("Sort by"), {code: t(text) for code, text in SORTS.items()}, none=False),
            html.button({"className": "button"}, t("Show")),
        ),
        html.details(
            {"className": "sieve", "open": any(name in query for _, names in data.filters.chips for name in names if name != "q")},
            html.summary(t("Filters")),
            html.div(
                {"className": "fields"},
                typed(context, "tag", t("With the tag")),
                typed(context, "stage", t("Stage")),
                pick(context, "owner", t("Owner"), {member.id: member.name for member in data.members}),
                pick(context, "journey", t("In the journey"), {key: name for key, name, _ in data.journeys}),
                pick(context, "segment", t("In the segment"), data.segments),
                pick(context, "channel", t("Channel"), channels),
                pick(context, "consent", t("Consent"), states),
                typed(context, "group", t("Score")),
                typed(context, "score", t("Score at least"), inputMode="decimal"),
                typed(context, "source", t("Source or campaign"), placeholder="newsletter"),
                pick(context, "came", t("First touch"), {code: t(text) for code, text in KINDS.items()}),
                pick(context, "seen", t("Last seen"), {code: t(text) for code, text in SEEN.items()}),
                typed(context, "since", t("Created"), type="date"),
                typed(context, "field", t("Field"), placeholder="plan"),
                typed(context, "value", t("has the value"), placeholder="pro"),
            ),
            html.button({"className": "button main"}, t("Apply filters")),
        ),
    )


def typed(context: PageContext, name: str, label: str, **more: str) -> Element:
    field = {"name": name, "defaultValue": context.query.get(name, ""), "maxLength": 200, **more}
    return html.label(label, html.input(field))


def pick(context: PageContext, name: str, label: str, options: dict[str, str], none: bool = True) -> Element:
    present = context.query.get(name, "")
    choices = {"": "–", **options} if none else options
    return html.label(
        {"className": "pick"},
        label,
        html.select(
            {"name": name},
            [html.option({"value": value, "key": value, "selected": value == present}, text) for value, text in choices.items()],
        ),
    )


def chips(context: PageContext, data: Data) -> Element:
    """What is asked for in words, each with a way to take it back, and how many fit."""
    t = context.t
    more = data.count > MAX_COUNTED
    said = t("more than {count} contacts", count=t.number(MAX_COUNTED)) if more else t("{count} contacts", count=t.number(data.count))
    unsorted = data.page.sort != context.query.get("sort", "created") and context.query.get("sort") in SORTS
    return html._(
        html.div(
            {"className": "chips", "role": "status"},
            html.b(said),
            [
                html.span(
                    {"className": "chip", "key": text},
                    text,
                    html.a(
                        {
                            "href": context.link(**dict.fromkeys(names)),
                            "aria-label": t("Remove filter: {filter}", filter=text),
                        },
                        "×",
                    ),
                )
                for text, names in data.filters.chips
            ],
            html.a({"className": "button plain", "href": context.path}, t("Show all")) if data.filters.chips else None,
        ),
        html.p({"className": "quiet"}, t("This many contacts are only shown newest first; filter the list to sort it."))
        if unsorted
        else None,
    )


def nothing(context: PageContext) -> Element:
    t = context.t
    text = t("No matching contacts.") if context.query else t("No contacts yet. They arrive with events, imports and the API.")
    return components.empty("people", text, None)


# The list and what can be done with those chosen


@component
def People(context: PageContext, data: Data, acts: Acts) -> Element:
    """Remembers who is chosen; everything else it draws is given.

    The boxes belong to the browser: one that waited for the server would lose a quick second click. Where the server changes them all it
    draws new ones, under another key.
    """
    picked, set_picked = use_state(Picked())
    shown = [contact.id for contact in data.page.contacts]
    here = tuple(id for id in shown if id in picked.ids)
    t = context.t
    marks = context.may("contact.change") or context.may("run.start_many") or context.may("list.export")

    def pick_one(id: str) -> Callable[[Any], None]:
        return lambda event: set_picked(lambda now: now.one(id, bool(event["target"].get("checked"))))

    def box(id: str, label: str, change: Callable[[Any], None], checked: bool) -> Element:
        key = f"{id}.{picked.round}"
        return html.input({"type": "checkbox", "key": key, "defaultChecked": checked, "aria-label": label, "onChange": change})

    columns: list[Any] = [t("Name"), t("E-mail"), t("Phone"), t("Stage"), t("Last seen")]
    rows = [row(context, contact) for contact in data.page.contacts]
    if marks:
        columns = [t("Choose"), *columns]
        named = [(contact.id, t("Choose {name}", name=called(contact) or contact.id[-6:])) for contact in data.page.contacts]
        boxes = [box(id, label, pick_one(id), id in picked.ids) for id, label in named]
        rows = [[one, *cells] for one, cells in zip(boxes, rows, strict=True)]
    live = {key: name for key, name, state in data.journeys if state == "live"}
    bar = None
    if picked.everyone:
        bar = Everyone(context, live, acts, data.filters.filter, data.count)
    elif here:
        bar = Chosen(context, live, acts, here)
    return html._(
        html.div(
            {"className": "actions"},
            components.button(t("Choose all on this page"), lambda _event: set_picked(lambda now: now.all(shown)), "check-square"),
            components.button(all_of(t, data.count), lambda _event: set_picked(lambda now: now.all(shown, True)), "people")
            if (context.may("contact.tag_many") or context.may("run.start_many")) and data.count > len(shown)
            else None,
            components.button(t("Clear selection"), lambda _event: set_picked(lambda now: now.all(())), "square") if here else None,
        )
        if marks
        else None,
        components.table(t("Contacts"), columns, rows, "people"),
        bar,
    )


@dataclass(frozen=True, slots=True)
class Picked:
    """Who is chosen; `round` counts how often all boxes changed at once. `everyone`: all whom the filters find, on this page and others."""

    ids: frozenset[str] = frozenset()
    round: int = 0
    everyone: bool = False

    def one(self, id: str, chosen: bool) -> Picked:
        return Picked(self.ids | {id} if chosen else self.ids - {id}, self.round)

    def all(self, ids: Sequence[str], everyone: bool = False) -> Picked:
        return Picked(frozenset(ids), self.round + 1, everyone)


def row(context: PageContext, contact: Contact) -> list[Element]:
    t = context.t
    stage = contact.lifecycle_stage
    return [
        contact_link(t, contact.id, called(contact)),
        contact.email or "–",
        contact.phone or "–",
        html.a({"href": context.link(stage=stage)}, stage) if stage else "–",
        components.relative(context, contact.last_seen_at) if contact.last_seen_at else "–",
    ]


PAGE = Page("/ui/contacts", "Contacts", "contacts", "contact.read", load, view)
