"""Words for the parts of the journey's own form, and what a new entry of a list begins as."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from builder_ui.builder.protocol import ENTRY

Path = tuple[str | int, ...]

_TITLES = {
    "triggers": "Triggers",
    "filter": "Only if",
    "reentry": "Re-entry",
    "policy": "How often a contact may enter",
    "key": "Unique key",
    "holdout_percent": "Control group in percent",
    "cap": "Limit of entries",
    "count": "At most",
    "per": "Any journey",
    "event": "Event",
    "where": "Only if",
    "rule": "Rule",
    "match_key": "Same value of",
    "field": "Field",
    "to": "Go to value",
    "any_value": "Any value",
    "offset_days": "Days after (negative: before)",
    "at": "Time of day",
    "yearly": "Every year",
    "cron": "At these times",
    "group": "Score",
    "at_least": "At least",
    "window": "Within",
    "value": "Property that holds the value",
    "ends_run": "Reaching the goal ends the journey",
    "timezone": "Time zone",
    "quiet_hours": "Quiet hours",
    "start": "From",
    "end": "Until",
    "message_class": "Class",
    "purpose": "Consent purpose",
    "cap_class": "Frequency cap",
    "priority": "Priority",
    "hold_at_most": "Hold messages for at most",
    "spread": "Spread wake-ups over",
    "name": "Name",
    "description": "Description",
    "exit_when": "Ends at once when",
}
_DESCRIPTIONS = {
    "triggers": "One is enough: the first to happen lets the contact in.",
    "filter": "Checked when a contact enters.",
    "key": "A property of the event, such as `cart_id`: one run for each of its values. You can list several, separated by commas; the first one the event has is used.",
    "holdout_percent": "This share is held out at random and counted, so that reports show the effect of the journey.",
    "match_key": "Only if this property of the event equals the key of the run. You can list several, separated by commas; the first one that both events have decides. If they share none, the run ends.",
    "value": "A property of the event, such as `total`: the value of the conversion.",
    "timezone": "For contacts whose own time zone is unknown.",
    "priority": "1 goes first where a frequency cap lets only one through.",
    "spread": "So that not all contacts get it in the same second.",
    "any_value": "Any new value.",
}
_WIDGETS = {
    "event": "event",
    "field": "field",
    "where": "rule",
    "filter": "rule",
    "rule": "rule",
    "description": "text",
    "key": "paths",
    "match_key": "paths",
    "value": "property",
    "cron": "cron",
}
_CHOICES = {
    "event": "Event happens",
    "attribute": "Field changes",
    "date": "Date in a field",
    "schedule": "On a schedule",
    "manual": "Manually or via API",
    "score": "Score rises",
    "journey": "Sent by another journey",
    "clock": "Time of day",
    "window": "Weekday window",
    "never": "Each contact only once",
    "after_exit": "Again after exiting",
    "after_window": "Again after some time",
    "per_key": "Once for each value of a property",
    "marketing": "Marketing",
    "transactional": "Transactional",
    "low": "low",
    "normal": "normal",
    "high": "high",
}
_FRESH_TYPES: Mapping[str, dict[str, Any]] = {
    "event": {"event": ""},
    "attribute": {"field": ""},
    "date": {"field": ""},
    "schedule": {"cron": ""},
    "score": {"group": ""},
}
"""What a new entry begins as: nothing is filled in, and what is missing is told as a problem."""


def title(target: str, path: Path, schema: Mapping[str, Any]) -> str:
    """A message id. Steps bring their own titles; a clock of the journey's entry is named like any."""
    last = next((str(one) for one in reversed(path) if isinstance(one, str)), "")
    if target == ENTRY:
        return _TITLES.get(last, str(schema.get("title", last)))
    return str(schema.get("title") or _TITLES.get(last) or last)


def description(target: str, path: Path, schema: Mapping[str, Any]) -> str:
    last = str(path[-1]) if path else ""
    if target == ENTRY:
        return _DESCRIPTIONS.get(last, "")
    text = schema.get("description", "") if "properties" not in schema else ""
    return " ".join(str(text).split())


def widget(target: str, path: Path) -> str:
    last = str(path[-1]) if path else ""
    return _WIDGETS.get(last, "") if target == ENTRY else ""


_MATTERS: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "window": lambda around: around.get("policy") in (None, "after_window") and ("policy" in around or "event" in around),
    "key": lambda around: around.get("policy") == "per_key",
    "to": lambda around: around.get("any_value") is False,
}


def matters(target: str, name: str, around: Any) -> bool:
    """Whether a field has a say beside what else is set: the length of a window only where the policy has one."""
    return target != ENTRY or not isinstance(around, Mapping) or name not in _MATTERS or name in around or bool(_MATTERS[name](around))


def choice(value: Any) -> str:
    """A message id for one of a few stored values; the value itself where nobody has words for it."""
    return _CHOICES.get(str(value), str(value))


def is_clock(schema: Mapping[str, Any]) -> bool:
    return str(schema.get("pattern", "")).startswith("^([01]")


def fresh_of_type(name: str) -> dict[str, Any]:
    return {"type": name, **_FRESH_TYPES.get(name, {})}


def fresh(path: Path, item: Mapping[str, Any], present: list[Any]) -> dict[str, Any]:
    """A new entry that differs from those that are there."""
    properties = item.get("properties", {})
    made: dict[str, Any] = {}
    if "name" in properties:
        taken = {one.get("name") for one in present if isinstance(one, dict)}
        made["name"] = next(name for n in range(len(present), 1_000) if (name := chr(97 + n) if n < 26 else f"way_{n}") not in taken)
    if "percent" in properties:
        made["percent"] = 0
    return made
