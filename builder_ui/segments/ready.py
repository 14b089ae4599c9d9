"""Ready-made segments to begin with. Each is a rule like any other: whoever takes one may change it before it is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Rule = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ready:
    """`name` and `description` are message ids."""

    name: str
    description: str
    rule: Rule


def _interest(within: str) -> list[Rule]:
    """What somebody does who is interested."""
    return [
        {"field": "last_seen_at", "operator": "withinLast", "value": within},
        {"message": "clicked", "within": within},
        {"event": "Order Completed", "within": within},
    ]


def _any(*rules: Rule) -> Rule:
    return {"combinator": "or", "rules": [*rules]}


def _none(*rules: Rule) -> Rule:
    return {"combinator": "or", "not": True, "rules": [*rules]}


def _all(*rules: Rule) -> Rule:
    return {"combinator": "and", "rules": [*rules]}


_YES_TO_MAIL: Rule = {
    "event": "Consent Changed",
    "within": "P30D",
    "where": _all(
        {"field": "channel", "operator": "=", "value": "email"},
        {"field": "purpose", "operator": "=", "value": "marketing"},
        {"field": "state", "operator": "=", "value": "granted"},
    ),
}

READY: Mapping[str, Ready] = {
    "new_subscribers": Ready(
        "New subscribers",
        "Allowed marketing by e-mail within the last 30 days, and still does.",
        _all({"consent": "email", "purpose": "marketing", "value": "granted"}, _YES_TO_MAIL),
    ),
    "active": Ready("Active", "Seen, clicked a message or bought something within the last 30 days.", _any(*_interest("P30D"))),
    "at_risk": Ready(
        "At risk",
        "Showed interest within the last 90 days, but not within the last 30.",
        _all(_any(*_interest("P90D")), _none(*_interest("P30D"))),
    ),
    "inactive": Ready(
        "Inactive for 90 days",
        "Known for longer than 90 days, and neither seen nor clicked nor bought anything since.",
        _none({"field": "created_at", "operator": "withinLast", "value": "P90D"}, *_interest("P90D")),
    ),
    "vip": Ready(
        "VIP",
        "Spent 500 or more within a year.",
        _all(
            {
                "event": "Order Completed",
                "aggregate": {"of": "sum", "field": "total", "operator": ">=", "value": 500},
                "within": "P365D",
            }
        ),
    ),
    "never_bought": Ready("Never bought", "No order so far.", _all({"event": "Order Completed", "did": False})),
}
"""Name in an address -> the segment."""
