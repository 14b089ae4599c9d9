"""One open editor of a scoring model: what was written so far, and what a dry run of it has found.

Nothing is stored before somebody says so. A dry run goes on in stretches of a second, one at a time for each member, and tells how far it is; what
it found of a model that has changed meanwhile is thrown away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from builder_ui.app.screen import allowed
from builder_ui.builder.draft import replaced
from builder_ui.builder.lookups import Lookups
from builder_ui.builder.widgets import Path
from builder_ui.kit import forms
from builder_ui.kit.actor_names import contact_names
from builder_ui.kit.context import PageContext
from builder_ui.kit.observable import Publisher
from crm.scoring import models, questions
from crm.scoring.questions import Tried
from journeys.errors import Invalid, Issue, PfadwerkError
from journeys.keys import free

STRETCH_SECONDS = 1.0
MOST_SECONDS = 30
"""A dry run ends after so many stretches."""
PARTS = ("rules", "thresholds", "grading")


class Writing(Publisher):
    """`key` is empty for a new one. Topics: `form`, `tried`."""

    called = "a scoring model's editor"

    def __init__(self, context: PageContext, lookups: Lookups, draft: Mapping[str, Any], key: str = "", version: int | None = None) -> None:
        super().__init__()
        self.context, self.lookups, self.key, self.version = context, lookups, key, version
        self.draft: dict[str, Any] = dict(draft)
        self.generation = 0
        self.issues: Sequence[Issue] = ()
        self.found: Tried | None = None
        self.names: dict[str, str] = {}
        self.refused = ""
        self.trying = False
        self._turn = 0

    @property
    def definition(self) -> dict[str, Any]:
        """What the model says, as it is written so far."""
        return {name: self.draft[name] for name in PARTS if self.draft.get(name) is not None}

    def edit(self, path: Path, value: Any, redraw: bool) -> None:
        """`redraw`: fields moved."""
        self.draft = replaced(self.draft, path, value)
        self.generation += redraw
        self.tell("form")

    def add(self, name: str, item: Mapping[str, Any], wish: str) -> None:
        """One more rule or threshold, with an id of its own."""
        present = list(self.draft.get(name) or ())
        id = free(wish, {str(one.get("id")) for one in present}, "-")
        self.edit((name,), [*present, {"id": id, **item}], True)

    def take(self, path: Path, number: int) -> None:
        """Takes one out of a list."""
        items = [*_at(self.draft, path)]
        del items[number]
        self.edit(path, items, True)

    def close(self) -> None:
        """The page is gone; a dry run ends."""
        self._turn += 1

    def attempt(self) -> None:
        """Begins a dry run of what is written."""
        self._turn += 1
        self.found, self.refused, self.names, self.trying, self.issues = None, "", {}, True, ()
        self.tell("tried")
        self.spawn(self._try, self._turn)

    async def _try(self, turn: int) -> None:
        found = Tried()
        try:
            for _ in range(MOST_SECONDS):
                async with self.context.app.turns.of(self.context.by):
                    if turn != self._turn:
                        return
                    more, names = await asyncio.to_thread(attempt, self.context, self.definition, self.key, found.next)
                found.add(more)
                if turn != self._turn:
                    return
                self.found, self.names = found, self.names | names
                self.tell("tried")
                if found.next is None:
                    break
        except Invalid as error:
            self.issues, self.refused = error.issues, error.say(self.context.t.translate)
            self.tell("form")
        except PfadwerkError as error:
            self.refused = error.say(self.context.t.translate)
        if turn == self._turn:
            self.trying = False
            self.tell("tried")

    def store(self, visitor: PageContext, made: dict[str, str]) -> None:
        """Stores what was written, as whoever was asked just now; `made` learns the key of a new one.

        Raises: Invalid, also for what only a Conflict says elsewhere.
        """
        self.issues = ()
        how: dict[str, Any] = {"description": str(self.draft.get("description") or ""), "announce": bool(self.draft.get("announce"))}
        try:
            with visitor.engine.db.write() as session, forms.plainly():
                name, now = str(self.draft.get("name") or ""), visitor.app.now()
                if self.key:
                    row = models.change(
                        session, self.key, visitor.by, now, name=name, definition=self.definition, version=self.version, **how
                    )
                else:
                    row = models.create(session, name, self.definition, visitor.by, now, **how)
                self.version, made["key"] = row.version, row.key
        except Invalid as error:
            self.issues = error.issues
            raise


def _at(data: Any, path: Path) -> Iterable[Any]:
    for place in path:
        data = data[place]
    return list(data or ())


def attempt(context: PageContext, raw: Mapping[str, Any], key: str, cursor: str | None) -> tuple[Tried, dict[str, str]]:
    """A stretch of a dry run, and the names of its examples. Writes nothing.

    Raises: Invalid: lists what is wrong. NotAllowed, Unauthorized: the role or the session has gone since the page was opened.
    """
    allowed(context, "scoring.read", reading=True)
    with context.engine.db.read() as session:
        definition = models.read_definition(session, raw, key)
        model_id = models.id_of(models.get(session, key)) if key else None
        now = context.app.now()
        found = questions.attempt(session, definition, now, STRETCH_SECONDS, model_id=model_id, cursor=cursor or "")
        names = contact_names(session, {id for ids in found.examples.values() for id in ids})
    return found, names
