"""Everything that fits a text, by kind."""

from __future__ import annotations

from builder_ui.kit import components
from builder_ui.kit.context import Acts, Page, PageContext
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.search.suggest import KINDS, address, look
from reports.search import LEAST_CHARACTERS, Group, Hit

MOST = 20


def load(context: PageContext) -> list[Group]:
    with context.engine.db.read() as session:
        return look(session, context.query.get("q", ""), MOST)


def view(context: PageContext, groups: list[Group], acts: Acts) -> Element:
    t, text = context.t, context.query.get("q", "").strip()
    total = sum(len(group.hits) for group in groups)
    said = t("“{wanted}”: {count} found", wanted=text, count=t.number(total)) if text else ""
    return html._(
        components.head(t("Search"), said),
        html.div({"className": "bar"}, components.search(context, t("Search everything"))),
        html.div({"className": "found"}, [section(context, group) for group in groups]) if groups else nothing(context, text),
    )


def section(context: PageContext, group: Group) -> Element:
    title, _, symbol = KINDS[group.kind]
    count = f"{context.t.number(len(group.hits))}{'+' if group.more else ''}"
    return html.section(
        {"key": group.kind, "className": "panel"},
        html.h2(components.icon(symbol), " ", context.t(title), " ", html.span({"className": "count"}, count)),
        html.ul([line(hit, n) for n, hit in enumerate(group.hits)]),
    )


def line(hit: Hit, number: int) -> Element:
    return html.li({"key": str(number)}, html.a({"href": address(hit)}, hit.title), " ", html.small(hit.detail))


def nothing(context: PageContext, text: str) -> Element:
    t = context.t
    if len(text) < LEAST_CHARACTERS:
        return components.empty("search", t("Enter at least two characters of a name, a key, an address or an id."), None)
    hint = t(
        "No results. Contacts are found by the beginning of a name, an e-mail address, a phone number with "
        "its country code or an id; runs and messages by the beginning of their id."
    )
    return components.empty("search", hint, None)


PAGE = Page("/ui/search", "Search", "", "contact.read", load, view, name=lambda context: context.query.get("q", ""))
