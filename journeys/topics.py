"""The topics of an event: the words under which runs, triggers and segments ask to hear of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

ENTERED, LEFT = "Segment Entered", "Segment Left"
"""Somebody has come into a segment, or is out of it."""
LEAD_SOURCE_CHANGED = "Lead Source Changed"
"""The first or the last touch of somebody is another."""
LEAD_SOURCE = "lead_source"
"""The topic of it."""
COMPANY_JOINED, COMPANY_LEFT, COMPANY_CHANGED = "Company Joined", "Company Left", "Company Changed"
"""A contact belongs to a company, no longer does, or the company it belongs to has changed; `fields` name what of it, as in rules (`company.name`)."""
OF_COMPANY = frozenset({COMPANY_JOINED, COMPANY_LEFT, COMPANY_CHANGED})
MOST_FIELDS = 200
"""*Contact Changed* names at most so many; of so many, not all are known."""


def topics_of(type: str, name: str, properties: Mapping[str, Any]) -> frozenset[str]:
    """`event:Order Completed`; of our own events also what they tell of: `field:plan`, `tag:vip`, `score:fit`, `consent`, `lead_source`, `segment:vip`."""
    topics = {f"event:{name}"}
    if type == "system":
        topics.update(_derived(name, properties))
    return frozenset(topics)


def is_whole(type: str, name: str, properties: Mapping[str, Any]) -> bool:
    """Whether the topics of an event are all that it concerns; false where so much changed that the event does not name it all."""
    return type != "system" or name != "Contact Changed" or len(properties.get("fields", ())) < MOST_FIELDS


def of_segment(key: str) -> str:
    """Under which it is told that somebody has entered or left a segment."""
    return f"segment:{key}"


def _derived(name: str, properties: Mapping[str, Any]) -> Iterable[str]:
    if name == "Contact Changed":
        yield from (f"field:{field}" for field in properties.get("fields", ()))
        yield from (f"tag:{tag}" for tag in (*properties.get("tags_added", ()), *properties.get("tags_removed", ())))
    elif name == "Score Changed":
        yield f"score:{properties.get('group')}"
    elif name == "Consent Changed":
        yield "consent"
    elif name == LEAD_SOURCE_CHANGED:
        yield LEAD_SOURCE
    elif name in OF_COMPANY:
        yield from (f"field:{field}" for field in properties.get("fields", ()))
    elif name in (ENTERED, LEFT):
        yield of_segment(str(properties.get("segment")))
