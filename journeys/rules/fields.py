"""Where a field name leads: a column of the contact, or a dotted path into JSON."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

from journeys.results import STEPS

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


def topic_of(name: str) -> str:
    """The topic that a change of this field is announced under: its first key; of a company's field with the prefix."""
    return f"field:{'.'.join(path_of(name)[: 2 if name.startswith(COMPANY) else 1])}"
