"""Where a field name leads: a column of the contact, or a dotted path into JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from journeys.results import STEPS

if TYPE_CHECKING:
    from journeys.rules.facts import Telling

TRIGGER = "trigger."
"""Prefix of fields that read the properties of the event that started the run."""

COMPANY = "company."
"""Prefix of fields of the company that a contact belongs to."""

OF_RUN = (TRIGGER, STEPS)
"""Prefixes of fields that exist in a run alone."""

CONTACT_COLUMNS: Mapping[str, Literal["string", "datetime"]] = {
    "email": "string",
    "phone": "string",
    "postal_address": "string",
    "first_name": "string",
    "last_name": "string",
    "locale": "string",
    "timezone": "string",
    "lifecycle_stage": "string",
    "owner": "string",
    "push_devices": "string",
    "grade": "string",
    "created_at": "datetime",
    "last_seen_at": "datetime",
}
"""Fields with a column of their own; every other name is a path into `attributes`."""


EVENT_CONTEXT: Mapping[str, tuple[str, ...]] = {
    f"context.{name}": tuple(name.split("."))
    for name in (
        "campaign.name",
        "campaign.source",
        "campaign.medium",
        "campaign.term",
        "campaign.content",
        "page.url",
        "page.path",
        "page.referrer",
        "page.title",
        "device.type",
        "locale",
    )
}
"""What can be asked of an event's context, and where it lies there; everything else is a property of the event. What tells one person from
others (an address of the network, a device's id) is not among it. Source: Segment "Common Fields", context."""


@lru_cache(maxsize=4096)
def path_of(name: str) -> tuple[str, ...]:
    """The keys to descend through. A dot always descends, a key that holds a dot cannot be named."""
    return tuple(name.split("."))


def read(data: Any, path: tuple[str, ...]) -> Any:
    """What lies at `path`; None where a key is absent or the way leads through something that is no object (lists are not descended)."""
    for key in path:
        if not isinstance(data, Mapping):
            return None
        data = data.get(key)
    return data


def of_event(name: str) -> Callable[[Telling], Any]:
    """How a property of an event, or a part of its context, is read."""
    around = EVENT_CONTEXT.get(name)
    if around is not None:
        return lambda event: read(event.context, around)
    path = path_of(name)
    if len(path) == 1:
        key = path[0]
        return lambda event: event.properties.get(key)
    return lambda event: read(event.properties, path)


def asked_context(context: Mapping[str, Any]) -> dict[str, Any]:
    """Only what conditions can ask of an event's context."""
    kept: dict[str, Any] = {}
    for path in EVENT_CONTEXT.values():
        value = read(context, path)
        if value is not None:
            (kept.setdefault(path[0], {}) if len(path) > 1 else kept)[path[-1]] = value
    return kept


def topic_of(name: str) -> str:
    """The topic that a change of this field is announced under: its first key; of a company's field with the prefix."""
    return f"field:{'.'.join(path_of(name)[: 2 if name.startswith(COMPANY) else 1])}"
