"""All forms: their state, how much came in, and when."""

from __future__ import annotations

from dataclasses import dataclass

from builder_ui.forms import states
from builder_ui.kit import components
from builder_ui.kit.context import Acts, Page, PageContext
from builder_ui.kit.reactpy_compat import Element, html
from crm.forms import forms, submissions
from models import Form


@dataclass(frozen=True, slots=True)
class Data:
    """`totals`: form -> (submitted, spam)."""

    forms: list[Form]
    by_state: dict[str, int]
    total: int
    totals: dict[int, tuple[int, int]]


def load(context: PageContext) -> Data:
    query = context.query
    with context.engine.db.read() as session:
        everything = forms.listed(session)
        words = query.get("q", "").casefold().split()
        found = [one for one in everything if all(word in f"{one.name} {one.key}".casefold() for word in words)]
        by_state = {state: sum(one.state == state for one in found) for state in states.STATES}
        chosen = query.get("state", "")
        found = [one for one in found if (one.state == chosen if chosen in states.STATES else one.state != "archived")]
        return Data(found, by_state, len(everything), submissions.totals(session))


def stamp(context: PageContext) -> object:
    data = load(context)
    return [(one.key, one.name, one.state, one.version) for one in data.forms], data.totals, data.total


def view(context: PageContext, data: Data, acts: Acts) -> Element:
    t = context.t
    kept = data.by_state["live"] + data.by_state["draft"]
    tabs = [("", t("All"), kept), *((state, t(words[0]), data.by_state[state]) for state, words in states.STATES.items())]
    return html._(
        components.head(t("Forms"), actions=begin(context) if data.total else []),
        html.div({"className": "bar"}, components.tabs(context, "state", tabs, t("State")), components.search(context, t("Search forms")))
        if data.total
        else None,
        table(context, data) if data.forms else nothing(context, data),
    )


def begin(context: PageContext) -> list[Element]:
    """Where forms begin, for those who may make one."""
    if not context.may("form.change"):
        return []
    return [html.a({"className": "button main", "href": "/ui/new-form"}, components.icon("plus"), context.t("New form"))]


def table(context: PageContext, data: Data) -> Element:
    t = context.t
    columns = (t("Name"), t("State"), t("Filled in"), t("By bots"), t("Changed"))
    rows: list[list[Element]] = []
    for one in data.forms:
        submitted, spam = data.totals.get(forms.id_of(one), (0, 0))
        name = html.div(html.a({"href": f"/ui/forms/{one.key}"}, one.name), html.small(f"/f/{one.key}"))
        rows.append([name, states.state(t, one), html.b(t.number(submitted)), t.number(spam), components.relative(context, one.updated_at)])
    return components.table(t("Forms"), columns, rows, "forms")


def nothing(context: PageContext, data: Data) -> Element:
    t = context.t
    if data.total:
        return components.empty("search", t("No matching forms."), html.a({"className": "button", "href": context.path}, t("Show all")))
    text = t(
        "No forms yet. A form asks people for their address, their wishes and their consent. It is a page of its own, and can stand in your "
        "website; journeys can start with it."
    )
    return components.empty("clipboard-check", text, html.div({"className": "actions"}, *begin(context)))


PAGE = Page("/ui/forms", "Forms", "forms", "form.read", load, view, stamp)
