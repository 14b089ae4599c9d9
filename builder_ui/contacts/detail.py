"""One contact from all sides: a page that walks `panels`. What a side shows is its own file there; this one only lays them out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from builder_ui.contacts.panels import PANELS, Panel
from builder_ui.kit import components
from builder_ui.kit.actor_names import called
from builder_ui.kit.context import Acts, Page, PageContext
from builder_ui.kit.reactpy_compat import Element, html
from crm.people.contacts import get
from models import Contact


@dataclass(frozen=True, slots=True, repr=False)
class Data:
    contact: Contact
    opened: Panel
    """Whose view is open."""
    loaded: dict[str, Any]
    """Key of a panel -> what it loaded."""


def load(context: PageContext) -> Data:
    with context.engine.db.read() as session:
        contact = get(session, context.arguments["id"])
        opened = opened_panel(context, contact)
        return Data(contact, opened, {one.key: one.load(context, session, contact, one is opened) for one in PANELS})


def opened_panel(context: PageContext, contact: Contact) -> Panel:
    """The one whose view was asked for, the first where there is none of that name."""
    open_to = [one for one in PANELS if one.view and one.may_open(context, contact)]
    return next((one for one in open_to if one.key == context.query.get("view")), open_to[0])


def stamp(context: PageContext) -> object:
    with context.engine.db.read() as session:
        contact = get(session, context.arguments["id"])
        return [one.stamp(session, contact) for one in PANELS]


def view(context: PageContext, data: Data, acts: Acts) -> Element:
    t, contact = context.t, data.contact
    assert data.opened.view is not None
    return html._(
        components.head(
            called(contact) or t("Contact {id}", id=contact.id[-6:]),
            contact.email if called(contact) != contact.email else None,
            back=("/ui/contacts", t("Contacts")),
            state=components.badge(contact.lifecycle_stage, "quiet", "user") if contact.lifecycle_stage else None,
            actions=heading_actions(context, data, acts),
        ),
        html.p({"className": "notice bad"}, components.icon("ban"), t("This contact was erased.")) if contact.erased_at else None,
        *[one.notice(context, contact, data.loaded[one.key], acts) for one in PANELS if one.notice],
        html.div({"className": "bar"}, components.tabs(context, "view", views(context, data), t("Views"))),
        html.div(
            {"className": "columns contact"},
            html.section({"className": "panel"}, data.opened.view(context, contact, data.loaded[data.opened.key], acts)),
            html.div({"className": "beside"}, list(boxes(context, data, acts))),
        ),
    )


def views(context: PageContext, data: Data) -> list[tuple[str, str, int | None]]:
    """(key, title, number) of each tab."""
    offered = [
        one
        for one in PANELS
        if one.view and one.may_open(context, data.contact) and (one is data.opened or one.offered(data.loaded[one.key]))
    ]
    return [(one.key, context.t(one.title), one.count(data.loaded[one.key])) for one in offered]


def boxes(context: PageContext, data: Data, acts: Acts) -> Iterator[Element]:
    for one in PANELS:
        content = one.aside(context, data.contact, data.loaded[one.key], acts) if one.aside else None
        if content is not None:
            title = html.h2({"id": f"side-{one.key}"}, context.t(one.title))
            yield html.section({"className": "panel", "key": one.key, "aria-labelledby": f"side-{one.key}"}, title, content)


def heading_actions(context: PageContext, data: Data, acts: Acts) -> list[Element]:
    t, id = context.t, data.contact.id
    offered = [one.action(context, data.contact, data.loaded[one.key], acts) for one in PANELS if one.action]
    if context.may("contact.export"):
        offered.append(html.a({"className": "button", "href": f"/ui/contacts/{id}/data.json"}, t("Export all data")))
    return [one for one in offered if one is not None]


def name(context: PageContext) -> str:
    with context.engine.db.read() as session:
        return called(get(session, context.arguments["id"]))


PAGE = Page("/ui/contacts/{id}", "Contact", "contacts", "contact.read", load, view, stamp, every_seconds=3.0, name=name)
