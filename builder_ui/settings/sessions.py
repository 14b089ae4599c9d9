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


def session_table(visit: PageContext, rows: Sequence[LoginSession], end: Callable[[str], Callable[..., Any]]) -> Element:
    """One line a browser; `end(id)` is the handler that logs it out. The one that looks at the page is marked and logs out by the menu."""
    speech = visit.speech
    if not rows:
        return html.p({"className": "quiet"}, speech("Nowhere."))
    columns = (speech("Browser"), speech("Since"), speech("Last seen"), "")
    return components.table(speech("Sessions"), columns, [_row(visit, row, end) for row in rows])


def _row(visit: PageContext, row: LoginSession, end: Callable[[str], Callable[..., Any]]) -> list[Element]:
    speech = visit.speech
    name = html.span({"title": row.user_agent}, browser(row.user_agent) or speech("unknown browser"))
    last = (
        components.badge(speech("this one"), "good", "check")
        if is_this(row, visit.token)
        else components.button(speech("Log out"), end(id_of(row)))
    )
    return [name, components.moment(speech, row.created_at), components.relative(visit, row.last_seen_at), last]
