"""What comes before a step on the ways that lead to it. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from journeys.nodes import Palette
from journeys.nodes.node import LAST_MESSAGE
from journeys.nodes.send import Send

from builder_ui.builder.draft import Draft


def last_message(draft: Draft, palette: Palette, id: str) -> str | None:
    """The nearest step before `id` that sends the contact a message; None where none does."""
    before: dict[str, list[str]] = {}
    for (source, _), to in draft.edges.items():
        before.setdefault(to, []).append(source)
    seen, waiting = {id}, deque([id])
    while waiting:
        for source in before.get(waiting.popleft(), ()):
            if sends(palette, draft.nodes.get(source, {})):
                return source
            if source not in seen:
                seen.add(source)
                waiting.append(source)
    return None


def sends(palette: Palette, raw: Mapping[str, Any]) -> bool:
    kind = raw.get("kind")
    return isinstance(kind, str) and kind in palette and issubclass(palette[kind], Send)


def asking(raw: Any, message: str | None) -> Any:
    """A step in which the last message before it stands for itself, asking about `message`; where there is none, that is still to be chosen."""
    if isinstance(raw, Mapping):
        return {key: asking(value, message) for key, value in raw.items()}
    if isinstance(raw, list | tuple):
        return [asking(value, message) for value in raw]
    return (message or "") if raw == LAST_MESSAGE else raw
