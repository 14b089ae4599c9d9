"""Parts of a draft that are not right yet, kept as they were typed: a trigger without its event, a purpose that nobody chose.

A document holds only what is right; what is not stands beside it in `ui["unfinished"]`, by the part of the document that it is meant to
replace. So a draft may be left at any moment and goes on where it was, every stored document stays valid, and nothing unfinished can be
published: `check` reports it as errors. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from journeys.document import Journey
from journeys.errors import Invalid, Issue, TooLarge
from journeys.reading import read
from journeys.rules.unfilled import unfilled

PARTS = ("name", "description", "entry", "exit_when", "goal", "settings")
PLACE = "unfinished"


def parts_of(ui: Mapping[str, Any]) -> dict[str, Any]:
    """Part of the document -> what was typed for it, of a document's `ui`."""
    kept = ui.get(PLACE)
    return {name: kept[name] for name in PARTS if name in kept} if isinstance(kept, Mapping) else {}


def wrong(name: str, typed: Any) -> list[Issue]:
    """What is wrong with `typed` as the part `name` of a document; an empty list: it can be stored as that."""
    try:
        read({"spec": 1, "key": "x", "name": "x", name: typed})
    except Invalid as error:
        issues = error.issues or [Issue(code="unreadable", text=error.text, values=error.values, field=name)]
        return [*issues, *unfilled(typed, None, name)]
    except TooLarge as error:
        return [Issue(code="too_large", text=error.text, values=error.values, field=name)]
    return []


def issues(journey: Journey) -> list[Issue]:
    """What is wrong with the parts that are kept beside the document."""
    found = []
    for name, typed in parts_of(journey.ui).items():
        found += wrong(name, typed) or [_not_taken(name)]
    return found


def _not_taken(name: str) -> Issue:
    """It has become right by itself, as after a field was added: only a person can say that it is meant."""
    return Issue(code="unfinished", text="A change here was not finished: open it in the builder and save.", field=name)


def replaced(issue: Issue, held: Iterable[str]) -> bool:
    """Whether an issue of the document is about a part that something unfinished stands in for."""
    return issue.node_id is None and (issue.field or "").partition(".")[0] in held
