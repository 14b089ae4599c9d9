"""One company from all sides: what it adds up to, its contacts, what they did, its fields, and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.orm import Session

from builder_ui.companies import amounts, fields, history, people
from builder_ui.kit import components, forms, labels
from builder_ui.kit.context import Acts, Do, Page, PageContext
from builder_ui.kit.labels import short
from builder_ui.kit.reactpy_compat import Element, html
from crm.companies import companies
from journeys.errors import Invalid, NotFound
from models import Company
from workspace.members import list_members

MOST_FIELDS = 60
MOST_OTHERS = 10


@dataclass(frozen=True, slots=True)
class Data:
    """`known`: what it is known by; `members`: id -> name of the team; `inner`: what the open view has loaded."""

    company: Company
    known: dict[str, list[str]]
    members: dict[str, str]
    inner: Any


@dataclass(frozen=True, slots=True)
class Tab:
    title: str
    load: Callable[[PageContext, Session, Company], Any]
    view: Callable[[PageContext, Data, Acts], Element]
    changes: bool = False
    """For those who may change companies."""


def load(context: PageContext) -> Data | None:
    """None: there is no such company, or no longer."""
    with context.engine.db.read() as session:
        company = found(session, context.arguments["id"])
        if company is None:
            return None
        members = {one.id: one.name for one in list_members(session)}
        return Data(company, companies.names_of(session, company.id), members, tab(context).load(context, session, company))


def found(session: Session, id: str) -> Company | None:
    try:
        return companies.get(session, id)
    except NotFound:
        return None


def name(context: PageContext) -> str:
    with context.engine.db.read() as session:
        company = found(session, context.arguments["id"])
        return company.name if company else ""


def tab(context: PageContext) -> Tab:
    one = TABS.get(context.query.get("view", ""), TABS[""])
    return one if is_offered(context, one) else TABS[""]


def is_offered(context: PageContext, one: Tab) -> bool:
    return not one.changes or context.may("company.change")


def stamp(context: PageContext) -> object:
    with context.engine.db.read() as session:
        company = found(session, context.arguments["id"])
        return None if company is None else (company.id, company.version, company.told, company.revenues)


def view(context: PageContext, data: Data | None, acts: Acts) -> Element:
    t = context.t
    if data is None:
        back = html.a({"className": "button", "href": "/ui/companies"}, t("All companies"))
        return components.empty("building", t("There is no company at this address, or no longer."), back)
    tabs = [(key, t(one.title), None) for key, one in TABS.items() if is_offered(context, one)]
    return html._(
        components.head(data.company.name, data.company.domain, back=("/ui/companies", t("Companies"))),
        html.div({"className": "bar"}, components.tabs(only_view(context), "view", tabs, t("Views"))),
        html.div(
            {"className": "columns"},
            html.section({"className": "panel"}, tab(context).view(context, data, acts)),
            html.div(
                {"className": "stack"}, html.section({"className": "panel side-panel"}, summary(context, data)), known_fields(context, data)
            ),
        ),
    )


def only_view(context: PageContext) -> PageContext:
    """Another view begins anew: what was searched for in this one is not carried along."""
    return replace(context, query={key: value for key, value in context.query.items() if key == "view"})


def summary(context: PageContext, data: Data) -> Element:
    """What it adds up to, who owns it and what it is known by."""
    t, one = context.t, data.company
    pairs: list[tuple[str, Element]] = [
        (t("Contacts"), t.number(one.members)),
        (t("Revenue"), amounts.revenue(t, one)),
        (t("Revenue in other currencies"), amounts.others(t, one.revenues, one.currency)),
        (t("Score"), amounts.score(t, one)),
        (t("Last activity"), components.relative(context, one.last_activity_at) if one.last_activity_at else "–"),
        (t("Owner"), data.members.get(one.owner or "", one.owner or "–")),
        (t("Domains"), ", ".join(data.known["domain"])),
        (t("Id in another system"), ", ".join(data.known["id"])),
        (t("Created"), components.moment(t, one.created_at)),
    ]
    return html._(html.h2(t("At a glance")), components.facts((title, value) for title, value in pairs if value != ""))


def known_fields(context: PageContext, data: Data) -> Element:
    t, known = context.t, sorted(data.company.attributes.items())[:MOST_FIELDS]
    if not known:
        return None
    pairs = [(title, short(labels.attribute(t, value))) for title, value in known]
    return html.section({"className": "panel side-panel"}, html.h2(t("Fields")), components.facts(pairs))


# Changing


def load_edit(context: PageContext, session: Session, company: Company) -> list[Company]:
    """Companies that may be merged into this one, by what is searched for."""
    text = context.query.get("find", "").strip()[:100]
    if not text or not context.may("company.remove"):
        return []
    page = companies.search(session, text=text, limit=MOST_OTHERS + 1)
    return [one for one in page.companies if one.id != company.id][:MOST_OTHERS]


def edit_view(context: PageContext, data: Data, acts: Acts) -> Element:
    t, one = context.t, data.company
    # the version that was looked at first: what somebody else stores meanwhile is not overwritten unseen
    version = acts.drafts.setdefault("version", str(one.version))
    save = acts.act("company.change", saving(one, acts), "Company saved.")
    newer = version != str(one.version)
    return html.div(
        {"className": "stack"},
        changed_meanwhile(context, acts) if newer else None,
        fields.form(context, one, data.known, data.members, acts),
        html.div({"className": "actions"}, components.button(t("Save"), save, "check", "main")),
        merging(context, data, acts) if context.may("company.remove") else None,
        deleting(context, one, acts) if context.may("company.remove") else None,
    )


def changed_meanwhile(context: PageContext, acts: Acts) -> Element:
    t = context.t

    def begin_again(_context: PageContext) -> None:
        acts.drafts.clear()

    return html.div(
        {"className": "notice warn"},
        components.icon("alert"),
        html.div(
            html.p(t("Somebody else has changed this company since you began. What you typed is not saved.")),
            components.button(t("Begin again with what is stored"), acts.act("company.change", begin_again, "Loaded anew."), "history"),
        ),
    )


def saving(company: Company, acts: Acts) -> Do:
    def do(context: PageContext) -> None:
        typed, version = fields.read(acts, company), int(acts.drafts.get("version", "0"))
        with context.engine.db.write() as session, forms.plainly():
            try:
                companies.change(session, company.id, context.by, context.app.now(), version=version, **typed)
            except Invalid as error:
                raise fields.in_words(context, error) from None
        acts.drafts.clear()

    return do


def merging(context: PageContext, data: Data, acts: Acts) -> Element:
    """Search for the other one, look at it, and make it part of this."""
    t, label = context.t, context.t("Name or domain of the other company")
    field = {"type": "search", "name": "find", "defaultValue": context.query.get("find", ""), "placeholder": label, "aria-label": label}
    return html._(
        html.h2({"className": "apart"}, t("Merge")),
        html.form(
            {"className": "filters", "method": "get", "action": context.path, "role": "search"},
            html.span({"className": "search"}, components.icon("search"), html.input({**field, "maxLength": 100})),
            html.input({"type": "hidden", "name": "view", "value": "edit"}),
            html.button({"className": "button"}, t("Find")),
        ),
        html.ul({"className": "lines"}, [other(context, data.company, one, acts) for one in data.inner]) if data.inner else None,
        html.p({"className": "quiet"}, t("No matching companies.")) if context.query.get("find") and not data.inner else None,
    )


def other(context: PageContext, company: Company, one: Company, acts: Acts) -> Element:
    t = context.t
    question = t(
        "“{other}” becomes part of “{name}”: its domains and ids lead here, its fields fill what is empty here, and its {count} contacts come along in the background. This cannot be undone.",
        other=one.name,
        name=company.name,
        count=t.number(one.members),
    )
    do = acts.act("company.remove", joining(company.id, one.id), "The companies were merged. Their contacts follow in the background.")
    return html.li(
        {"key": one.id},
        html.a({"href": f"/ui/companies/{one.id}"}, one.name),
        html.small(f" {one.domain}") if one.domain else None,
        " ",
        components.ask(t("Merge into this company"), question, t("Merge permanently"), do, "people", "danger"),
    )


def joining(winner: str, loser: str) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session, forms.plainly():
            companies.merge(session, winner, loser, context.by, context.app.now())

    return do


def deleting(context: PageContext, company: Company, acts: Acts) -> Element:
    t = context.t
    question = t(
        "“{name}” is deleted with its fields. Its {count} contacts stay and belong to no company; conditions that ask for the company no longer find them. This cannot be undone.",
        name=company.name,
        count=t.number(company.members),
    )
    do = acts.act("company.remove", removing(company.id), "Company deleted.")
    return html._(
        html.h2({"className": "apart"}, t("Delete company")),
        components.ask(t("Delete"), question, t("Delete permanently"), do, "ban", "danger"),
    )


def removing(company_id: str) -> Do:
    def do(context: PageContext) -> None:
        with context.engine.db.write() as session, forms.plainly():
            companies.remove(session, company_id, context.by, context.app.now())

    return do


TABS = {
    "": Tab("Contacts", people.load, people.view),
    "timeline": Tab("Timeline", history.load, history.view),
    "edit": Tab("Change", load_edit, edit_view, changes=True),
}
PAGE = Page("/ui/companies/{id}", "Company", "companies", "company.read", load, view, stamp, name=name)
