"""Differences between versions, as a marketer reads them."""

from __future__ import annotations

from typing import Any

from builder_ui.kit.differences import changes
from builder_ui.kit.i18n import translator_for
from journeys.nodes import Palette

OLD: dict[str, Any] = {
    "spec": 1,
    "key": "j",
    "name": "J",
    "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]},
    "start": "pause",
    "nodes": {
        "pause": {"kind": "wait", "name": "A day", "duration": "P1D"},
        "mail": {"kind": "send_email", "name": "Hello", "template": "a"},
        "end": {"kind": "exit"},
    },
    "edges": [{"from": "pause", "to": "mail"}, {"from": "mail", "outlet": "sent", "to": "end"}],
}
NEW: dict[str, Any] = {
    **OLD,
    "entry": {"triggers": [{"type": "event", "event": "Order Completed"}]},
    "nodes": {**OLD["nodes"], "pause": {"kind": "wait", "name": "Half a day", "duration": "PT12H"}},
    "edges": [{"from": "pause", "to": "mail"}, {"from": "mail", "outlet": "skipped", "to": "end"}],
}


def told(language: str) -> list[str]:
    return [one.text for one in changes(translator_for(language), Palette.built_in(), OLD, NEW)]


def test_fields_have_titles_and_values_are_words() -> None:
    assert told("en") == [
        "Who enters changes from When a contact does Signed Up · Each contact only once to When a contact does Order Completed · Each contact only once.",
        "In the step Half a day, “How long” changes from 1 day to 12 hours.",
        "In the step Half a day, “Name” changes from A day to Half a day.",
        "The connection Hello → Exit (sent) was removed.",
        "The connection Hello → Exit (not sent) was added.",
    ]


def test_in_german_too() -> None:
    german = told("de")
    assert "1 Tag" in german[1]
    assert "12 Stunden" in german[1]
    assert "(nicht gesendet)" in german[-1] or "(nicht verschickt)" in german[-1]


def test_nothing_differs() -> None:
    assert changes(translator_for("en"), Palette.built_in(), OLD, {**OLD, "ui": {"notes": []}}) == []
