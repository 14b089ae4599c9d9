"""`Editor`: one open builder. Keeps the document in memory, checks it, saves it, and tells the parts of the page what changed.

Everything in memory happens in the event loop, in order; the database is asked in threads, one save at a time. The page's own copy is
believed about nothing: shapes, limits, the role and the revision are checked here again, the role at every save anew.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Any

from journeys.errors import PfadwerkError
from workspace import secrets

from builder_ui.app.screen import allowed
from builder_ui.builder.counting import Counting
from builder_ui.builder.draft import Draft
from builder_ui.builder.editing import Editing
from builder_ui.builder.protocol import (
    ENTRY,
    Back,
    Changes,
    Ops,
    Ping,
    Resync,
    Save,
    Seen,
    Select,
    Writing,
)
from builder_ui.builder.publishing import Publishing
from builder_ui.builder.run_path import RunPath
from builder_ui.builder.saving import alike

log = logging.getLogger("pfadwerk.pages")


class Editor(Editing, Publishing, Counting):
    """One open builder: what the canvas says, and what belongs to no part alone."""

    def hear(self, text: object) -> None:
        """One message of the canvas. What cannot be taken brings the canvas back to what the server holds."""
        try:
            message = self._ear.hear(text)
            if isinstance(message, Ops | Resync) and not self.editable:
                raise ValueError("not allowed")
            if message is not None:
                self._act(message)
        except (ValueError, PfadwerkError) as error:
            log.warning("a message of the canvas was refused (%s)", type(error).__name__)
            self.reload_canvas()

    def _act(self, message: Any) -> None:
        match message:
            case Seen(seq=seq):
                self._patches = [patch for patch in self._patches if patch["seq"] > seq]
                self._unseen = [one for one in self._unseen if one.seq > seq]
            case Select(ids=ids, chapter=chapter):
                wanted = [id for id in ids if id == ENTRY or id in self.draft.nodes]
                if (
                    wanted or self.fields.held is None
                ):  # the canvas has nothing chosen any more where a form outlasts its step
                    self.select(wanted)
                if chapter and chapter != self.chapter:
                    self.open_chapter(chapter)
            case Save():
                self.save_soon(0)
            case Ping(n=n):
                self.answer(n)
            case Back():
                self.spawn(self.look_again)
            case Writing(field=written):
                self._write(written)
            case Resync():
                self._resync(message)
            case Ops():
                self._apply(message)

    def _apply(self, changes: Changes) -> None:
        chosen = self.selection or (ENTRY,)
        shown_before = [self.raw(id) for id in chosen]
        touched = self.draft.change(changes)
        self._put_unseen_into(changes)
        self._op = changes.n
        looks = self._look(None if touched or changes.gone else [])
        # The canvas drew new and restored steps from what it had; it hears how they really look.
        shown = {id: {"view": self.views[id]} for id in {*looks, *touched} if id in self.views}
        if shown:
            self.send(nodes=shown)
        if [
            self.raw(id) for id in chosen
        ] != shown_before:  # news that change nothing in the form leave an edit on its way alone
            self.generation += 1
        self.selection = tuple(id for id in self.selection if self.raw(id) is not None)
        self._after_change()

    def _resync(self, message: Resync) -> None:
        """A page from before this process. Its work is taken if nobody saved since; else a person decides."""
        mine = Draft(self.draft.document())
        mine.nodes, mine.edges, mine.places, mine.notes = {}, {}, {}, {}
        mine.change(message)
        same = alike(mine.document(), self.draft.document())
        self._op = message.n
        self._others.former = message.was
        if same or not message.dirty:
            self._saved_op = message.n
            if not same:
                self.reload_canvas()
            return self.tell("feed", "head")
        self._was = message.was
        self.draft = mine
        self._look()
        self.generation += 1
        self.revision = message.rev  # what was saved since is found out when this is
        self._after_change()
        return None

    def toggle_outline(self) -> None:
        self.outlined = not self.outlined
        self.tell("head", "outline")

    def keep_secret(self, name: str, value: str) -> None:
        """Stores a secret for the forms to name; administrators only, asked anew in the database."""
        self.spawn(self._keep_secret, name, value)

    async def _keep_secret(self, name: str, value: str) -> None:
        try:
            names = await asyncio.to_thread(self._put_secret, name, value)
        except PfadwerkError as error:
            self.notify((error.say(self.t.translate), False))
        else:
            self.lookups = replace(
                self.lookups,
                choices={**self.lookups.choices, "secret": [(one, one) for one in names]},
            )
            self.generation += 1
            self.notify((self.t("Secret saved."), True))
        self.tell("head", "panel")

    def _put_secret(self, name: str, value: str) -> list[str]:
        context = self.context
        allowed(context, "secret.change")
        with context.engine.db.write() as session:
            secrets.put(
                session, context.engine.address_keys, name, value, context.by, context.app.now()
            )
            return secrets.names(session)

    def follow_somebody(self, run_id: str = "") -> None:
        """Shows the way of a run in place of the drawing, or first asks for whom."""
        self.path = RunPath(self.context, self.journey.id, lambda: self.tell("path"), self.spawn)
        if run_id:
            self.spawn(self.path.choose, run_id)
        self.tell("head", "path")

    def back_to_drawing(self) -> None:
        if self.path is not None:
            self.path.leave()
        self.path = None
        self.command("forget")
        self.tell("head", "path")

    def close(self) -> None:
        """The page is gone; what it had not stored yet is stored now."""
        self._others.close()
        self._counting += 1
        if self.path is not None:
            self.path.leave()
        super().close()
