"""The journeys of the demo and their mails, in the language of the workspace: four of the gallery, one of which a marketer has changed since,
and a small one of its own.

What people read is translated (names, titles, texts); keys, ids, outlets and mails stay, which have both languages in themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from journeys.templates import Mail, TemplateEntry, gallery

Translate = Callable[[str], str]
SHOWN = ("welcome", "cart_abandonment", "mql_to_sql", "re_engagement")
"""The journeys of the gallery that are live in the demo."""
HOLDING = ("quiet_hours",)
"""Settings of a journey that would hold mails back in the demo."""
READ = frozenset(("name", "description", "title", "subject", "text"))
"""Fields of a document that hold what people read."""
TAGS = frozenset(("add_tags", "remove_tags", "tag"))
QUESTION = "cart-1-question"
SPLIT = "subjects"
"""The step of the test."""
THANKS = "personal_thanks"
CONTROL_PERCENT = 20
"""Of those whom *Re-engagement* would ask, so many are only counted."""


def shown() -> list[TemplateEntry]:
    """What of the gallery is live in the demo, in the order of `SHOWN`."""
    return sorted((entry for entry in gallery() if entry.key in SHOWN), key=lambda entry: SHOWN.index(entry.key))


def mails(translate: Translate) -> list[Mail]:
    """Every template that the demo's journeys send, under the name that the team reads."""
    found = [mail for entry in shown() for mail in entry.mails]
    reminder = next(mail for mail in found if mail.key == "cart-1-reminder")
    return [replace(mail, name=translate(mail.name)) for mail in (*found, _question(reminder))]


def first_versions(translate: Translate) -> list[dict[str, Any]]:
    """As they are first published."""
    taken = [_with_control_group(without_holds(entry.document)) for entry in shown()]
    return [in_words(document, translate) for document in (*taken, _THANKS)]


def without_holds(document: Any) -> dict[str, Any]:
    """The document without what would hold its mails back."""
    kept = {name: value for name, value in document.get("settings", {}).items() if name not in HOLDING}
    return {**document, "settings": kept}


def _with_control_group(document: dict[str, Any]) -> dict[str, Any]:
    if document["key"] != "re_engagement":
        return document
    return {**document, "entry": {**document["entry"], "holdout_percent": CONTROL_PERCENT}}


def in_words(document: Mapping[str, Any], translate: Translate) -> dict[str, Any]:
    """The same document, with what people read translated; a tag is the same word wherever it stands."""
    nodes = {id: _read(node, translate) for id, node in document["nodes"].items()}
    return dict(_tagged({**_read(document, translate), "nodes": nodes}, translate))


def _read(part: Mapping[str, Any], translate: Translate) -> dict[str, Any]:
    return {name: translate(value) if name in READ else value for name, value in part.items()}


def _tagged(value: Any, translate: Translate, place: str = "") -> Any:
    if isinstance(value, Mapping):
        return {name: _tagged(one, translate, name) for name, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_tagged(one, translate, place) for one in value]
    return translate(value) if isinstance(value, str) and place in TAGS else value


def with_two_subjects(document: Mapping[str, Any], translate: Translate) -> dict[str, Any]:
    """*Cart abandonment* with an A/B test: half of the carts get the reminder under the subject that it had, half under a question."""
    split = {"kind": "split", "name": translate("Which subject?"), "arms": [{"name": "a", "percent": 50}, {"name": "b", "percent": 50}]}
    question = {"kind": "send_email", "name": translate("Reminder with a question"), "template": QUESTION}
    edges = [edge for edge in document["edges"] if edge["from"] != "an_hour"]
    edges += [{"from": "an_hour", "to": SPLIT}, {"from": SPLIT, "outlet": "a", "to": "reminder"}]
    edges += [{"from": SPLIT, "outlet": "b", "to": "question"}]
    edges += [{**edge, "from": "question"} for edge in document["edges"] if edge["from"] == "reminder"]
    places = {id: {"x": at["x"], "y": at["y"] + (240 if id != "an_hour" else 0)} for id, at in document["ui"]["positions"].items()}
    places |= {SPLIT: {"x": 0, "y": 120}, "reminder": {"x": -180, "y": 240}, "question": {"x": 180, "y": 240}}
    return {
        **document,
        "nodes": {**document["nodes"], SPLIT: split, "question": question},
        "edges": edges,
        "ui": {**document["ui"], "positions": places},
    }


def _question(reminder: Mail) -> Mail:
    """The reminder under another subject."""
    subjects = {"de": "Haben Sie etwas vergessen?", "en": "Did you forget something?"}
    variants = {language: {**variant, "subject": subjects[language]} for language, variant in reminder.variants.items()}
    return replace(reminder, key=QUESTION, name="Cart 1: reminder with a question", variants=variants)


_THANKS: dict[str, Any] = {
    "spec": 1,
    "key": THANKS,
    "name": "Personal thanks",
    "description": "After a large order, someone from sales calls to say thank you, within a working day.",
    "entry": {
        "triggers": [
            {
                "type": "event",
                "event": "Order Completed",
                "where": {"combinator": "and", "rules": [{"field": "total", "operator": ">=", "value": 250}]},
            }
        ],
        "reentry": {"policy": "after_window", "window": "P30D"},
    },
    "start": "an_hour",
    "nodes": {
        "an_hour": {"kind": "wait", "name": "An hour", "duration": "PT1H"},
        "owner": {"kind": "assign_owner", "name": "Owner by rotation", "pool": "sales"},
        "call": {
            "kind": "create_task",
            "name": "Say thank you",
            "title": "{{ contact.company }}",
            "description": "Ordered for EUR {{ trigger.total }}. Say thank you, and ask whether everything arrived.",
            "sla": "PT9H",
            "outcomes": ["thanked", "not_reached"],
        },
        "called": {"kind": "wait_for_task", "name": "Called?", "task": "call", "outcomes": ["thanked", "not_reached"]},
        "happy": {"kind": "update_contact", "name": "Thanked", "add_tags": ["thanked"]},
        "end": {"kind": "exit", "name": "End"},
    },
    "edges": [
        {"from": "an_hour", "to": "owner"},
        {"from": "owner", "to": "call"},
        {"from": "call", "to": "called"},
        {"from": "called", "outlet": "thanked", "to": "happy"},
        {"from": "called", "outlet": "not_reached", "to": "end"},
        {"from": "called", "outlet": "overdue", "to": "end"},
        {"from": "happy", "to": "end"},
    ],
    "ui": {
        "positions": {
            "an_hour": {"x": 0, "y": 0},
            "owner": {"x": 0, "y": 120},
            "call": {"x": 0, "y": 240},
            "called": {"x": 0, "y": 360},
            "happy": {"x": -180, "y": 480},
            "end": {"x": 0, "y": 600},
        }
    },
}
"""The title of its task holds nothing but a company: for somebody without one it is empty, and the run gets stuck. A mistake as people make it."""
