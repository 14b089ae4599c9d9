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
}
_WIDGETS = {
    "event": "event",
    "where": "rule",
    "filter": "rule",
    "rule": "rule",
    "description": "text",
    "key": "paths",
    "match_key": "paths",
    "value": "property",
}
_CHOICES = {
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


def _has_own(target: str, path: Path) -> bool:
    """Steps and triggers bring words and hints with their fields; the other parts of the journey's own form have them here."""
    return target != ENTRY or (path[:2] == ("entry", "triggers") and len(path) > 2)


def title(target: str, path: Path, schema: Mapping[str, Any]) -> str:
    """A message id. A clock of the journey's entry is named like any."""
    last = next((str(one) for one in reversed(path) if isinstance(one, str)), "")
    if _has_own(target, path):
        return str(schema.get("title") or _TITLES.get(last) or last)
    return _TITLES.get(last, str(schema.get("title", last)))


def description(target: str, path: Path, schema: Mapping[str, Any]) -> str:
    last = str(path[-1]) if path else ""
    if not _has_own(target, path):
        return _DESCRIPTIONS.get(last, "")
    text = schema.get("description", "") if "properties" not in schema else ""
    return " ".join(str(text).split())


def widget(target: str, path: Path) -> str:
    last = str(path[-1]) if path else ""
    return "" if _has_own(target, path) else _WIDGETS.get(last, "")


_MATTERS: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "window": lambda around: around.get("policy") in (None, "after_window") and ("policy" in around or "event" in around),
    "key": lambda around: around.get("policy") == "per_key",
}


def matters(target: str, path: Path, schema: Mapping[str, Any], around: Any) -> bool:
    """Whether a field has a say beside what else is set: the length of a window only where the policy has one. A field says so itself
    with `only_if`, the values that others must have."""
    name = str(path[-1])
    if not isinstance(around, Mapping) or name in around:
        return True
    if any(around.get(other) != value for other, value in schema.get("only_if", {}).items()):
        return False
    return _has_own(target, path) or name not in _MATTERS or _MATTERS[name](around)


def choice(value: Any) -> str:
    """A message id for one of a few stored values; the value itself where nobody has words for it."""
    return _CHOICES.get(str(value), str(value))


def is_clock(schema: Mapping[str, Any]) -> bool:
    return str(schema.get("pattern", "")).startswith("^([01]")


def fresh_of_type(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """What a new entry of a type begins as: nothing is filled in, and what is missing is told as a problem."""
    texts = [one for one in schema.get("required", ()) if schema["properties"][one].get("type") == "string"]
    return {"type": name, **dict.fromkeys(texts, "")}


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
