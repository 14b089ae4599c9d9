"""`AutosavingEditor`: what the editors of journeys and of templates have in common: every change is stored by itself a moment later.

What is stored, and what becomes of a refusal, is each editor's own; here are the counts by which both know whether everything is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from builder_ui.kit.context import PageContext
from builder_ui.kit.observable import Publisher
from journeys.errors import Unauthorized
from models import new_id
from workspace.roles import NotAllowed


def status_of(refusal: NotAllowed | Unauthorized) -> str:
    """What it is called if a role was taken away, or a login has ended."""
    return "denied" if isinstance(refusal, NotAllowed) else "out"


class AutosavingEditor(Publisher):
    """`status`: saved, unsaved, failed, or why nothing is stored any more (`stuck_in`, and out: nobody is logged in)."""

    stuck_in: frozenset[str] = frozenset({"conflict", "denied"})

    def __init__(self, context: PageContext) -> None:
        super().__init__()
        self.context = context
        self.id = new_id()
        self.status = "saved"
        self.notice: tuple[str, bool] | None = None
        """(what is said, whether all went well)"""
        self._op = self._saved_op = 0
        """The last change of the page that was heard, and that is stored."""
        self._pong = 0
        """The last question of the page that was heard."""
        self._changed = self._stored_change = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def t(self) -> Any:
        return self.context.t

    @property
    def is_stored(self) -> bool:
        """Whether nothing waits to be stored."""
        return self._changed == self._stored_change

    def answer(self, question: int) -> None:
        """Says to the page that everything up to here was heard."""
        self._pong = question
        self.tell("feed")

    def change(self) -> None:
        """Something is others than what is stored."""
        self._changed += 1
        self.notice = None
        if self.status in ("saved", "failed"):
            self.status = "unsaved"

    def later(self, after: float, work: Callable[[], Any]) -> None:
        """Does a coroutine function's work once, so many seconds after the last time that this was asked for."""
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(after, self.spawn, work)

    def stored_up_to(self, change: int, op: int) -> None:
        """What stood there at `change` and `op` is stored."""
        self._saved_op, self._stored_change = op, change
        self.status = "saved" if self._changed == change else "unsaved"

    def close(self) -> None:
        """The page is gone; what it had not stored yet is stored now."""
        if self._timer:
            self._timer.cancel()
        if not self.is_stored and self.status not in self.stuck_in:
            asyncio.get_running_loop().run_in_executor(None, self.last_words())

    def last_words(self) -> Callable[[], None]:
        """What stores the present state, in a thread."""
        raise NotImplementedError
