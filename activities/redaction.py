"""The values of secrets in what another system answers: found, and taken out before it is stored. Finds a value as it is, not in another encoding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

REDACTED = "[secret]"


def tells(text: str, values: Sequence[str]) -> bool:
    """Whether a text holds one of `values`."""
    return any(value in text for value in _telling(values))


def texts_in(data: Any) -> Iterator[str]:
    """Every text in a JSON value, the keys of objects too."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, Mapping):
        for key, value in data.items():
            yield key
            yield from texts_in(value)
    elif isinstance(data, list):
        for value in data:
            yield from texts_in(value)


def redacted(data: Any, values: Sequence[str]) -> Any:
    """A JSON value as it is, with `[secret]` in place of each of `values`."""
    if isinstance(data, str):
        for value in sorted(_telling(values), key=len, reverse=True):
            data = data.replace(value, REDACTED)
        return data
    if isinstance(data, Mapping):
        return {redacted(key, values): redacted(value, values) for key, value in data.items()}
    return [redacted(value, values) for value in data] if isinstance(data, list) else data


def _telling(values: Sequence[str]) -> list[str]:
    """Values of three characters stand in too many words to tell anything."""
    return [value for value in values if len(value) > 3]
