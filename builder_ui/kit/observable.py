"""What an open editor tells the parts of its page: topics that changed. Each part listens for its own and is drawn alone.

Topics are plain names; who tells decides which there are. Nothing here stores anything.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from builder_ui.kit.reactpy_compat import use_effect, use_ref, use_state
from journeys.errors import where

log = logging.getLogger("pfadwerk.pages")


Value = TypeVar("Value")


class Publisher:
    """Tells listeners of topics, and runs work beside the page. In one event loop. `called` names it in the log."""

    called = "an editor"

    def __init__(self) -> None:
        self._told: Counter[str] = Counter()
        self._listeners: list[tuple[frozenset[str], Callable[[], None]]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def listen(self, topics: Sequence[str], heard: Callable[[], None]) -> Callable[[], None]:
        """Calls `heard` when one of the topics changes; answers how to stop that."""
        entry = (frozenset(topics), heard)
        self._listeners.append(entry)
        return lambda: self._listeners.remove(entry)

    def told(self, topics: Sequence[str]) -> int:
        """How often one of the topics has changed."""
        return sum(self._told[topic] for topic in topics)

    def tell(self, *topics: str) -> None:
        self._told.update(topics)
        for wanted, heard in list(self._listeners):
            if wanted & set(topics):
                heard()

    def spawn(self, work: Callable[..., Any], *arguments: Any) -> None:
        """Runs a coroutine function beside the page; what it raises is logged."""
        task = asyncio.ensure_future(work(*arguments))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("%s failed: %s", self.called, where(error))  # the text of an error may hold what people typed


def use_topics(teller: Publisher, *topics: str) -> None:
    """Draws the component again when one of the topics changes, be it between its drawing and its listening."""
    _, count = use_state(0)
    drawn = teller.told(topics)

    def begin() -> Callable[[], None]:
        if teller.told(topics) != drawn:
            count(lambda n: n + 1)
        return teller.listen(topics, lambda: count(lambda n: n + 1))

    use_effect(begin, [])


def use_reading(teller: Publisher, read: Callable[[], Value], *topics: str) -> Value:
    """What `read` answers now. Draws the component again when one of the topics changes and the answer with it: a large part that seldom
    changes is not sent anew with every change around it."""
    answer = read()
    drawn = use_ref(answer)
    drawn.current = answer
    _, count = use_state(0)

    def look() -> None:
        if read() != drawn.current:
            count(lambda n: n + 1)

    def begin() -> Callable[[], None]:
        look()
        return teller.listen(topics, look)

    use_effect(begin, [])
    return answer
