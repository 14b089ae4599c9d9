"""What tells runs of one journey apart: a value of the trigger, such as the id of a cart.

A key is one dotted path into an event's properties, or a list of paths tried in order, because not every event of one cart names it the same
way: Segment's *Product Added* has `cart_id`, *Checkout Started* `order_id`, *Order Completed* `order_id` and `checkout_id`. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Key = str | Sequence[str] | None
MAX_CHARACTERS = 200


def paths_of(key: Key) -> tuple[str, ...]:
    """The paths of a key in their order; none without a key."""
    return () if not key else (key,) if isinstance(key, str) else tuple(key)


def run_key(key: Key, properties: Mapping[str, Any]) -> str:
    """The key of a run that an event with these properties starts; "" if it holds none of the paths.

    A value of the first path stands for itself; of a later one its path stands before it (`order_id:17`), so that cart 17 is not order 17.
    """
    for place, path in enumerate(paths_of(key)):
        if value := value_at(properties, path):
            return (value if place == 0 else f"{path}:{value}")[:MAX_CHARACTERS]
    return ""


def is_same(key: Key, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool | None:
    """Whether two events are about the same thing: the first path that both hold decides. None if they share none, so nobody can tell."""
    for path in paths_of(key):
        mine, theirs = value_at(one, path), value_at(other, path)
        if mine and theirs:
            return mine == theirs
    return None


def is_of_run(key: Key, run: str, trigger: Mapping[str, Any], properties: Mapping[str, Any]) -> bool:
    """Whether an event is about the run of this key and trigger.

    A single path is compared with the run's key. With a list, an event that shares no path with the trigger is taken to be about it: a
    purchase that does not say of which cart ends the reminder of every cart.
    """
    if isinstance(key, str):
        return run != "" and value_at(properties, key)[:MAX_CHARACTERS] == run
    return is_same(key, trigger, properties) is not False


def value_at(properties: Any, path: str) -> str:
    """The value at a dotted path as text; "" where there is none that can be a key (an object, true, nothing)."""
    for part in path.split("."):
        properties = properties.get(part) if isinstance(properties, Mapping) else None
    if isinstance(properties, bool) or not isinstance(properties, str | int):
        return ""
    text = str(properties)
    return text if text.strip() else ""
