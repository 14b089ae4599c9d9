"""Reading a dotted path out of JSON."""

from __future__ import annotations

from typing import Any


def dig(data: Any, path: str) -> Any:
    """The value at `path` ("cart.id"), None where something is missing on the way."""
    for part in path.split("."):
        data = data.get(part) if isinstance(data, dict) else None
    return data
