"""Saving, one at a time, and catching up with what others saved meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from engine.versions import drafts, listing, publish
from journeys import conflicts, merge
from journeys.errors import Conflict, Issue, PfadwerkError, TooLarge, Unauthorized, where
from journeys.reading import read
from journeys.unfinished import parts_of
from workspace.roles import NotAllowed

from builder_ui.app.screen import allowed
from builder_ui.builder import cards
from builder_ui.builder.draft import Draft
from builder_ui.builder.merging import Merging
from builder_ui.builder.others import Sighting
from builder_ui.builder.stored import fetch, versions_of
from builder_ui.kit import actor_names
from builder_ui.kit.autosaving import status_of

log = logging.getLogger("pfadwerk.pages")

TRIES = 5


@dataclass(frozen=True, slots=True)
class News:
    """What others saved since a revision, None where that is not known any more; and what is to be said of what is stored now."""

    since: drafts.Since | None
    issues: list[Issue]
    hints: cards.Hints
    differs: bool
    members: Mapping[str, str]
    by: str
    """Who saved last."""
    state: str
    live_version: int | None
    versions: tuple[int, ...]


class Saving(Merging):
    """An open builder that stores its draft, and notices others."""

    def begin(self) -> None:
        """The page is drawn: looks out for others from now on."""
        self.spawn(self._others.watch, self._place, self._seen)

    def _place(self) -> str:
        return self.selection[0] if len(self.selection) == 1 else ""

    def _seen(self, found: Sighting | None) -> None:
        people = found.people if found else ()
        if people != self.people:
            known = {one.member_id for one in self.people} | {self.context.member.id}
            come = next((one.name for one in people if one.member_id not in known), "")
            self.people = people
            self.send(said=self.t("{name} is here too.", name=come) if come else "")
            self.tell("head")
        if found is None:
            return
        if found.live != (self.state, self.live_version) or found.revision > self.revision:
            self.spawn(self.catch_up)
        if found.offered != self.lookups.stamp:
            self.spawn(self.look_again)

    async def save(self) -> None:
        """Stores the draft if it changed, with what others saved meanwhile, and checks it."""
        async with self._saving:
            for _ in range(TRIES):
                if self.is_stored or self.status in self.stuck_in or await self._save():
                    break
            else:
                self.save_soon()
        self.tell("head", "feed", "panel", "outline")

    async def _save(self) -> bool:
        """Whether that is all for now; False: somebody was faster, and what they made is in the draft."""
        change, op, sent = self._changed, self._op, self.revision
        try:
            revision, issues, hints, differs = await asyncio.to_thread(
                self._store, self._whole(), sent
            )
        except Conflict:
            return not await self._catch_up()
        except (NotAllowed, Unauthorized) as error:
            self.status = status_of(error)
        except Exception as error:  # noqa: BLE001 - whatever fails is said on the page, and tried again
            log.error("a draft could not be saved: %s", where(error))
            self.status = "failed"
            self.save_soon(5.0)
        else:
            if (
                self.revision != sent
            ):  # a page came back meanwhile, whose draft began before this one
                return False
            self.revision = revision
            self.issues, self.differs = issues, differs
            self.stored_up_to(change, op)
            self._hint(hints)
        return True

    def _whole(self) -> dict[str, Any]:
        """What is to be stored: what was answered by hand asks no more, here neither."""
        document = conflicts.pruned(self.draft.document())
        self.draft.ui = {**self.draft.ui, merge.PLACE: document["ui"].get(merge.PLACE, [])}
        return document

    def _hint(self, hints: cards.Hints) -> None:
        if hints != self.hints:
            self.hints = hints
            self.send(hints=hints)

    async def catch_up(self) -> None:
        """Takes in what others saved, if they did."""
        async with self._saving:
            if self.status not in ("conflict", "denied", "out"):
                await self._catch_up()
        self.tell("head", "feed", "panel", "outline")

    async def _catch_up(self) -> bool:
        """Puts what others saved into the draft. False: nobody knows any more what this page began with, and a person decides on the whole."""
        try:
            began = self.revision
            news = await asyncio.to_thread(self._news, began)
            # A page that came back meanwhile began with another draft: what leads there from its own is asked for anew.
            return self.revision != began or await self._hear_news(news)
        except Exception as error:  # noqa: BLE001 - as with saving
            log.error("what others saved could not be taken in: %s", where(error))
            self.status = self.status if self.is_stored else "failed"
            self.save_soon(5.0)
            return False

    async def _hear_news(self, news: News) -> bool:
        self.members = {**self.members, **news.members}
        self.state, self.live_version, self.versions = news.state, news.live_version, news.versions
        self.differs = news.differs
        try:
            if news.since is not None:
                await self._take_in(news, news.since)
                return True
        except TooLarge:  # more than a person can look through
            pass
        self.status, self.by = "conflict", self.name_of(news.by)
        return False

    def _news(self, revision: int) -> News:
        with self.context.engine.db.read() as session:
            journey = publish.get_journey(session, self.journey.id)
            issues = publish.check_draft(self.context.engine, session, journey.draft)
            hints = cards.hints(self.t, self.context.engine.palette, journey.draft)
            differs = bool(listing.unpublished(session, [journey]))
            since = drafts.since(session, journey, revision)
            live = journey.state, journey.live_version, versions_of(session, journey)
            return News(
                since,
                issues,
                hints,
                differs,
                actor_names.member_names(session),
                journey.updated_by,
                *live,
            )

    async def _take_in(self, news: News, since: drafts.Since) -> None:
        """What is unsaved here is merged with it, and saved next. What is changed while the merge is made comes on top of it."""
        if not since.is_news:
            return
        began, mine = self.revision, self.draft.document()
        document = await asyncio.to_thread(self._merged, since, mine)
        if self.revision != began:
            return
        now = self.draft.document()
        if now != mine:
            document = self._merged(since.followed_by(_as_stored(mine), document), now)
        draft, stored = Draft(document), Draft(since.document)
        self._join(draft, since.last)
        self.revision = since.revision
        if alike(draft.document(), stored.document()) and _drawn_alike(draft, stored):
            self._stored_change, self._saved_op = self._changed, self._op
            self.status = "saved"
            self.issues, self.differs = news.issues, news.differs
            self._hint(news.hints)
        else:
            self._changed += 1
            self.status = "unsaved"
            self.save_soon()  # what is noted of a merge, or was moved here, is nowhere else

    def _merged(self, since: drafts.Since, document: dict[str, Any]) -> dict[str, Any]:
        own = {self.id, self._was} - {""}
        return since.merged(
            _as_stored(document), self.context.by, self.context.app.now(), own
        ).document

    def _store(
        self, document: dict[str, Any], revision: int
    ) -> tuple[int, list[Issue], cards.Hints, bool]:
        """One transaction; the checks come after it, outside the lock."""
        context = self.context
        allowed(context, "journey.change")
        document = {**document, "ui": {**document["ui"], "saved_in": self.id}}
        with context.engine.db.write() as session:
            journey = publish.save_draft(
                session, self.journey.id, document, revision, context.by, context.app.now()
            )
            saved = journey.revision
        with context.engine.db.read() as session:
            issues = publish.check_draft(context.engine, session, document)
            differs = bool(
                listing.unpublished(session, [publish.get_journey(session, self.journey.id)])
            )
        return saved, issues, cards.hints(self.t, context.engine.palette, document), differs

    async def keep_mine(self) -> None:
        """After a conflict: what is on this page replaces what somebody else saved."""
        stored = await asyncio.to_thread(fetch, self.context)
        self.revision, self.status = stored.revision, "unsaved"
        self._changed += 1
        await self.save()

    async def take_theirs(self) -> None:
        """After a conflict: what somebody else saved replaces what is on this page."""
        stored = await asyncio.to_thread(fetch, self.context)
        self.revision, self.issues, self.hints, self.differs = (
            stored.revision,
            stored.issues,
            stored.hints,
            stored.unpublished,
        )
        self.draft = Draft(stored.document)
        self.selection, self.status = (), "saved"
        self.generation += 1
        self._stored_change, self._saved_op = self._changed, self._op
        self._look()
        self.reload_canvas()
        self.tell("head", "panel", "outline")

    def last_words(self) -> Callable[[], None]:
        return partial(self._last_words, self._whole(), self.revision)

    def _last_words(self, document: dict[str, Any], revision: int) -> None:
        try:
            for _ in range(TRIES):
                try:
                    self._store(document, revision)
                    return
                except Conflict:
                    with self.context.engine.db.read() as session:
                        since = drafts.since(
                            session, publish.get_journey(session, self.journey.id), revision
                        )
                    if since is None:
                        raise
                    document, revision = self._merged(since, document), since.revision
        except PfadwerkError as error:
            log.warning("a draft was not saved when its page closed (%s)", error.code)


def _as_stored(document: Mapping[str, Any]) -> dict[str, Any]:
    return publish.as_json(read(document))


def alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Equal but for positions and the order of edges."""
    return bool(_bare(one) == _bare(other))


def _drawn_alike(one: Draft, other: Draft) -> bool:
    """Whether what people did beside the content is the same: where steps stand, and what waits for a choice."""
    parts = [draft.document()["ui"] for draft in (one, other)]
    # Nothing and an empty value are one, else two pages would store the same again and again.
    return all(
        (parts[0].get(name) or None) == (parts[1].get(name) or None)
        for name in ("positions", "laid_out", merge.PLACE)
    )


def _bare(document: Mapping[str, Any]) -> Any:
    edges = sorted((edge["from"], edge["outlet"], edge["to"]) for edge in document["edges"])
    notes = sorted(document["ui"].get("notes", ()), key=lambda note: str(note["id"]))
    kept = {"edges": edges, "notes": notes, "unfinished": parts_of(document["ui"])}
    return {**{name: value for name, value in document.items() if name != "ui"}, **kept}
