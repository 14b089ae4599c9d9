"""One open editor of a segment: what was written so far, and the count that follows it.

Nothing is stored before somebody says so. The count waits until nobody has changed the rule for an instant, asks the database for a limited time,
and one at a time for each member; an answer to a rule that has changed meanwhile is thrown away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import col, select

from builder_ui.app.screen import allowed
from builder_ui.builder.draft import replaced
from builder_ui.builder.lookups import Lookups
from builder_ui.builder.widgets import Path
from builder_ui.kit import forms
from builder_ui.kit.actor_names import contact_names
from builder_ui.kit.context import PageContext
from builder_ui.kit.observable import Publisher
from crm.segments import questions, segments
from journeys.errors import Invalid, Issue, PfadwerkError
from journeys.rules import Rule, parse_rule
from models import Segment, lock

PAUSE_SECONDS = 0.4
"""So long nobody may have changed the rule before it is counted."""
MOST_SECONDS = 3.0
"""So long a count may take."""


@dataclass(frozen=True, slots=True, repr=False)
class Found:
    """What a rule comes to. `count` None: it took longer than a count may; `sample`: (contact id, what people call them).
    `issues`: why nothing was counted. `refused`: the same in a sentence."""

    count: int | None = None
    sample: Sequence[tuple[str, str]] = ()
    issues: Sequence[Issue] = ()
    refused: str = ""


class Writing(Publisher):
    """`key` is empty for a new one. Topics: `form`, `count`."""

    called = "a segment's editor"

    def __init__(
        self, context: PageContext, lookups: Lookups, draft: Mapping[str, Any], key: str = "", changed_at: datetime | None = None
    ) -> None:
        super().__init__()
        self.context, self.lookups, self.key = context, lookups, key
        self.draft: dict[str, Any] = dict(draft)
        self.changed_at = changed_at
        self.generation = 0
        self.issues: Sequence[Issue] = ()
        self.found: Found | None = None
        self.counting = False
        self._turn = 0

    @property
    def live(self) -> bool:
        """Whether a rule decides; otherwise people do."""
        return "rule" in self.draft

    def edit(self, path: Path, value: Any, redraw: bool) -> None:
        """`redraw`: fields moved."""
        before = self.draft.get("rule")
        self.draft = {"rule": None, **replaced(self.draft, path, value)} if self.live else replaced(self.draft, path, value)
        self.generation += redraw
        self.tell("form")
        if self.draft.get("rule") != before:
            self.issues = ()
            self.count_soon()

    def count_soon(self, pause: float = PAUSE_SECONDS) -> None:
        self._turn += 1
        if self.draft.get("rule") is not None:
            self.spawn(self._count, self._turn, pause)
        else:
            self.found, self.counting = None, False
            self.tell("count")

    def close(self) -> None:
        """The page is gone; a count that waits is not begun."""
        self._turn += 1

    async def _count(self, turn: int, pause: float) -> None:
        await asyncio.sleep(pause)
        if turn != self._turn:
            return
        self.counting = True
        self.tell("count")
        found = await self._counted(turn)
        if turn == self._turn:
            self.found, self.counting = found, False
            self.tell("count")

    async def _counted(self, turn: int) -> Found:
        try:
            async with self.context.app.turns.of(self.context.by):
                if turn != self._turn:
                    return Found()
                return await asyncio.to_thread(count, self.context, self.draft["rule"], self.key)
        except PfadwerkError as error:
            return Found(refused=error.say(self.context.t.translate))

    def store(self, visitor: PageContext, made: dict[str, str]) -> None:
        """Stores what was written, as whoever was asked just now; `made` learns the key of a new one.

        Raises: Invalid, also for what only a Conflict says elsewhere.
        """
        self.issues = ()
        try:
            with visitor.engine.db.write() as session, forms.plainly():
                if self.key:
                    self._change(visitor, session)
                else:
                    made["key"] = self._create(visitor, session).key
        except Invalid as error:
            self.issues = error.issues
            raise

    def _create(self, visitor: PageContext, session: Any) -> Segment:
        if self.live and self.draft["rule"] is None:
            raise Invalid("A segment needs a rule: add a condition.")
        return segments.create(
            session,
            str(self.draft.get("name") or ""),
            self.draft["rule"] if self.live else None,
            visitor.by,
            visitor.app.now(),
            key=str(self.draft.get("key") or ""),
            description=str(self.draft.get("description") or ""),
            announce=bool(self.draft.get("announce")),
        )

    def _change(self, visitor: PageContext, session: Any) -> None:
        row = session.scalar(lock(session, select(Segment).where(col(Segment.key) == self.key)))
        if row is not None and row.updated_at != self.changed_at:
            raise Invalid("Someone else has changed this segment in the meantime. Reload the page to see what it is now.")
        if self.live and self.draft["rule"] is None:
            raise Invalid("A segment needs a rule: add a condition.")
        after = segments.change(
            session,
            self.key,
            visitor.by,
            visitor.app.now(),
            name=str(self.draft.get("name") or ""),
            description=str(self.draft.get("description") or ""),
            rule=self.draft["rule"] if self.live else None,
            announce=bool(self.draft.get("announce")),
        )
        self.changed_at = after.updated_at


def count(context: PageContext, raw: Mapping[str, Any], key: str) -> Found:
    """Whom a rule would find now, asked as long as it may take. Writes nothing.

    Raises: NotAllowed, Unauthorized: the role or the session has gone since the page was opened.
    """
    try:
        allowed(context, "segment.change", reading=True)
        with context.engine.db.read() as session:
            rule = segments.read_rule(session, raw, key)
            counted = questions.count(session, rule, context.app.now(), MOST_SECONDS)
        with context.engine.db.read() as session:
            names = contact_names(session, counted.sample)
    except Invalid as error:
        return Found(issues=error.issues, refused="" if error.issues else error.say(context.t.translate))
    return Found(counted.count, [(id, names.get(id, "")) for id in counted.sample])


def readable(raw: Mapping[str, Any] | None) -> Rule | None:
    """The rule that is written so far, None while it is none."""
    try:
        return None if raw is None else parse_rule(raw)
    except (ValueError, TypeError, KeyError):
        return None
