"""What a form says of a field, out of its schema: title, description, the words of its choices; and what a new entry of a list begins as."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Path = tuple[str | int, ...]

CHOICES = {
    "never": "Each contact only once",
    "after_exit": "Again after exiting",
    "after_window": "Again after some time",
    "per_key": "Once for each value of a property",
    "marketing": "Marketing",
    "transactional": "Transactional",
    "low": "low",
    "normal": "normal",
    "high": "high",
    "email": "by e-mail",
    "chat": "in the team chat",
    "both": "both ways",
}
"""Values of a `Literal` -> message ids."""
AS_THEY_ARE = frozenset({"POST", "PUT", "PATCH", "GET", "DELETE"})
"""Values of a `Literal` that are called the same in every language."""


def title(path: Path, schema: Mapping[str, Any]) -> str:
    """A message id; the name of the field where its schema has none."""
    return str(
        schema.get("title") or next((one for one in reversed(path) if isinstance(one, str)), "")
    )


def description(schema: Mapping[str, Any]) -> str:
    """A message id. That of an object is for engineers, and not shown."""
    return "" if "properties" in schema else " ".join(str(schema.get("description", "")).split())


def matters(path: Path, schema: Mapping[str, Any], around: Any) -> bool:
    """Whether a field has a say beside what else is set: `only_if` has the values that others must have, such as the policy for the
    length of its window."""
    if not isinstance(around, Mapping) or path[-1] in around:
        return True
    return all(around.get(other) == value for other, value in schema.get("only_if", {}).items())


def choice(value: Any) -> str:
    """A message id for one of a few stored values; the value itself where people chose it (a custom activity's)."""
    return CHOICES.get(str(value), str(value))


def is_clock(schema: Mapping[str, Any]) -> bool:
    return str(schema.get("pattern", "")).startswith("^([01]")


def fresh_of_type(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """What a new entry of a type begins as: nothing is filled in, and what is missing is told as a problem."""
    texts = [
        one
        for one in schema.get("required", ())
        if schema["properties"][one].get("type") == "string"
    ]
    return {"type": name, **dict.fromkeys(texts, "")}


def fresh(path: Path, item: Mapping[str, Any], present: list[Any]) -> dict[str, Any]:
    """A new entry that differs from those that are there."""
    properties = item.get("properties", {})
    made: dict[str, Any] = {}
    if "name" in properties:
        taken = {one.get("name") for one in present if isinstance(one, dict)}
        made["name"] = next(
            name
            for n in range(len(present), 1_000)
            if (name := chr(97 + n) if n < 26 else f"way_{n}") not in taken
        )
    if "percent" in properties:
        made["percent"] = 0
    return made
