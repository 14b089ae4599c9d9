"""Browsers that somebody is logged in with, as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from builder_ui.kit import components
from builder_ui.kit.context import PageContext
from builder_ui.kit.reactpy_compat import Element, html
from models import LoginSession
from workspace.sessions import id_of, is_this

BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chrome"), ("Safari", "Safari"), ("curl", "curl"))
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)
"""What stands in a User-Agent header -> what people call it; the first that is found counts, because each names its forefathers, too."""


def browser(user_agent: str) -> str:
    """`Firefox, Linux`; empty where it says nothing known."""
    named = next((name for mark, name in BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in SYSTEMS if mark in user_agent), "")
    return ", ".join(part for part in (named, system) if part)


def session_table(context: PageContext, rows: Sequence[LoginSession], end: Callable[[str], Callable[..., Any]]) -> Element:
    """One line a browser; `end(id)` is the handler that logs it out. The one that looks at the page is marked and logs out by the menu."""
    t = context.t
    if not rows:
        return html.p({"className": "quiet"}, t("Nowhere."))
    columns = (t("Browser"), t("Since"), t("Last seen"), "")
    return components.table(t("Sessions"), columns, [_row(context, row, end) for row in rows])


def _row(context: PageContext, row: LoginSession, end: Callable[[str], Callable[..., Any]]) -> list[Element]:
    t = context.t
    name = html.span({"title": row.user_agent}, browser(row.user_agent) or t("unknown browser"))
    last = (
        components.badge(t("this one"), "good", "check")
        if is_this(row, context.token)
        else components.button(t("Log out"), end(id_of(row)))
    )
    return [name, components.moment(t, row.created_at), components.relative(context, row.last_seen_at, real=True), last]
