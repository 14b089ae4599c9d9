"""All companies: search by name and domain, an order, an owner, and what each adds up to."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from builder_ui.companies import amounts
from builder_ui.kit import components
from builder_ui.kit.context import Acts, Page, PageContext
from builder_ui.kit.reactpy_compat import Element, html
from crm.companies import companies
from crm.companies.companies import CompanyPage
from models import Company
from workspace.members import list_members

SORTS = {
    "name": "Name",
    "active": "Last activity",
    "revenue": "Revenue",
    "members": "Number of contacts",
    "created": "Newest first",
}
PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class Data:
    """`members`: id -> name of the team."""

    page: CompanyPage
    members: dict[str, str]


def load(context: PageContext) -> Data:
    query = context.query
    with context.engine.db.read() as session:
        page = companies.search(
            session,
            text=query.get("q", "")[:200],
            owner=query.get("owner") or None,
            after=query.get("before"),
            limit=PAGE_SIZE,
            sort=query.get("sort", "name"),
        )
        return Data(page, {one.id: one.name for one in list_members(session)})


def stamp(context: PageContext) -> object:
    return [(one.id, one.version, one.told) for one in load(context).page.companies]


def view(context: PageContext, data: Data, acts: Acts) -> Element:
    t = context.t
    return html._(
        components.head(t("Companies"), actions=actions(context)),
        filters(context, data),
        table(context, data) if data.page.companies else nothing(context),
        components.pager(context, data.page.next, t("First page"), t("More")),
    )


def actions(context: PageContext) -> list[Element]:
    t = context.t
    offered = [components.export(context, "companies")]
    if context.may("company.change"):
        offered.append(html.a({"className": "button main", "href": "/ui/new-company"}, components.icon("building"), t("New company")))
    return offered


def filters(context: PageContext, data: Data) -> Element:
    """A plain form: its state is the address."""
    t, query = context.t, context.query
    label = t("Search by name or domain")
    field = {"type": "search", "name": "q", "defaultValue": query.get("q", ""), "placeholder": label, "aria-label": label, "maxLength": 200}
    return html.form(
        {"method": "get", "action": context.path, "role": "search", "key": urlencode(dict(query))},
        html.div(
            {"className": "bar"},
            html.div({"className": "search"}, components.icon("search"), html.input(field)),
            pick(context, "owner", t("Owner"), {"": t("All"), **data.members}),
            pick(context, "sort", t("Sort by"), {code: t(text) for code, text in SORTS.items()}),
            html.button({"className": "button"}, t("Show")),
        ),
    )


def pick(context: PageContext, name: str, label: str, options: dict[str, str]) -> Element:
    present = context.query.get(name, "")
    return html.label(
        {"className": "pick"},
        label,
        html.select(
            {"name": name},
            [html.option({"value": value, "key": value, "selected": value == present}, text) for value, text in options.items()],
        ),
    )


def table(context: PageContext, data: Data) -> Element:
    t = context.t
    columns = (t("Name"), t("Contacts"), t("Revenue"), t("Score"), t("Last activity"), t("Owner"))
    return components.table(t("Companies"), columns, [line(context, one, data.members) for one in data.page.companies], "companies")


def line(context: PageContext, one: Company, members: dict[str, str]) -> list[Element]:
    t = context.t
    return [
        html.div(
            html.a({"href": f"/ui/companies/{one.id}"}, one.name), html.small(one.domain) if one.domain and one.domain != one.name else None
        ),
        t.number(one.members),
        amounts.revenue(t, one),
        amounts.score(t, one),
        components.relative(context, one.last_activity_at) if one.last_activity_at else "–",
        members.get(one.owner or "", "–"),
    ]


def nothing(context: PageContext) -> Element:
    t = context.t
    if context.query.get("q") or context.query.get("owner"):
        return components.empty("search", t("No matching companies."), html.a({"className": "button", "href": context.path}, t("Show all")))
    text = t(
        "No companies yet. They are created here, through the API, by group calls of your site, or from e-mail domains once that is switched on."
    )
    return components.empty("building", text, html.a({"className": "button", "href": "/ui/settings/workspace/companies"}, t("Settings")))


PAGE = Page("/ui/companies", "Companies", "companies", "company.read", load, view, stamp)
