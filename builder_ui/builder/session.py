"""`Editor`: one open builder. Keeps the document in memory, checks it, saves it, and tells the parts of the page what changed.

Everything in memory happens in the event loop, in order; the database is asked in threads, one save at a time. The page's own copy is
believed about nothing: shapes, limits, the role and the revision are checked here again, the role at every save anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy.orm import Session
from sqlmodel import col, select

from builder_ui.app.screen import NOTICE_SECONDS, allowed
from builder_ui.builder import before, cards, joining, lookups, metrics
from builder_ui.builder.draft import Draft, at, replaced
from builder_ui.builder.lookups import Lookups
from builder_ui.builder.others import Others, initials, tone
from builder_ui.builder.others import Seen as Look
from builder_ui.builder.protocol import (
    ENTRY,
    MAX_NOTE_CHARACTERS,
    MAX_NOTES,
    Back,
    Changes,
    MessageReader,
    Note,
    Ops,
    Ping,
    Resync,
    Save,
    Seen,
    Select,
    Writing,
)
from builder_ui.builder.run_path import RunPath
from builder_ui.builder.writing import Fields, Gone
from builder_ui.kit import actor_names, labels
from builder_ui.kit.ahead import Paragraph, looked
from builder_ui.kit.autosaving import AutosavingEditor, status_of
from builder_ui.kit.context import PageContext
from builder_ui.kit.differences import changes as told
from builder_ui.kit.i18n import Translator
from engine.open_builders import Present
from engine.versions import drafts, listing, publish
from journeys import conflicts, merge
from journeys.errors import Conflict, Issue, NotFound, PfadwerkError, TooLarge, Unauthorized, where
from journeys.reading import read
from journeys.unfinished import parts_of
from models import Journey, Version
from storage import tally
from workspace import secrets
from workspace.roles import NotAllowed

log = logging.getLogger("pfadwerk.pages")

COUNT_EVERY_SECONDS = 3.0
MOST_BADGES = 300
MOST_NAMED = 3
"""Steps in the word about what somebody else changed."""
MOST_UNSEEN = 100
"""News that wait for a canvas to say that it has seen them; after more of them it gets everything anew."""
TRIES = 5
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database holds of the journey when the builder opens."""

    id: str
    key: str
    name: str
    state: str
    live_version: int | None
    revision: int
    document: dict[str, Any]
    issues: list[Issue]
    lookups: Lookups
    hints: cards.Hints
    versions: tuple[int, ...] = ()
    unpublished: bool = False
    """The stored draft is not what is live."""
    live_goal: bool = True
    """What is live has a goal."""
    since: datetime | None = None
    """When the journey was first published."""
    members: Mapping[str, str] = field(default_factory=dict)
    """Member id -> name."""


@dataclass(frozen=True, slots=True)
class Review:
    """What publishing would do: sentences on what changes, problems by weight, and how many contacts are inside now. `ahead`: whom the clock lets
    in next and what they get; None while that is counted."""

    first: bool
    changes: list[str]
    errors: list[Issue]
    warnings: list[Issue]
    inside: int
    ahead: list[Paragraph] | None = None


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


@dataclass(frozen=True, slots=True)
class Joined:
    """News that the canvas has not said to have seen: the draft before them, what they are, and who saved them."""

    seq: int
    before: Draft
    news: joining.News
    saved: conflicts.Saved


class Editor(AutosavingEditor):
    """`topics` are names of what changed: head, feed, panel, outline, numbers, path. `status`: saved, unsaved, conflict, denied, out or failed."""

    called = "the builder"
    save_after = 0.7
    """Seconds after the last edit."""

    def __init__(self, context: PageContext, stored: Stored) -> None:
        super().__init__(context)
        self.journey = stored
        self.lookups = stored.lookups
        self.revision = stored.revision
        self.state, self.live_version = stored.state, stored.live_version
        self.draft = Draft(stored.document)
        self.issues = stored.issues
        self.views: dict[str, cards.View] = {}
        self.selection: tuple[str, ...] = ()
        self.by = ""
        self.review: Review | None = None
        self.outlined = False
        self.wishes: dict[tuple[str, str], str] = {}
        """(id, outlet) -> what was chosen to follow and not yet set."""
        self.chapter = "entry"
        """The open chapter of the journey's form."""
        self.hints = stored.hints
        self.differs = stored.unpublished
        """What is stored, and not what waits to be, behaves otherwise than what is live."""
        self.versions = stored.versions
        self.live_goal, self.since = stored.live_goal, stored.since
        self.figures: dict[str, metrics.Figures] | None = None
        """What the cards show; None: numbers are hidden."""
        self.counted_version: int | None = None
        """The version whose numbers are shown; None: all together."""
        self._counting = 0
        self.path: RunPath | None = None
        """Set while one contact's way is shown in place of the drawing."""
        self.generation = 0
        """Grows whenever values changed behind the forms, so that fields are drawn anew."""
        self._answers = 0
        """Grows whenever a field said what is known: the form is drawn again, with the value as it is kept."""
        self.fields = Fields()
        self.members = dict(stored.members)
        self._others = Others(context, self.id, stored.id)
        self.people: tuple[Present, ...] = ()
        """Who else has the journey open."""
        self._unseen: list[Joined] = []
        self._patches: list[dict[str, Any]] = []
        self._sequence = 0
        self._was = ""
        """The editor that this page had before a lost connection."""
        self._ear = MessageReader()
        self._saving = asyncio.Lock()
        self._look()

    # What the page shows

    @property
    def editable(self) -> bool:
        return self.context.may("journey.change") and self.status != "denied"

    @property
    def names(self) -> dict[str, str]:
        """Node id -> what people call the step, and `member:<id>`, `template:<key>` and so on -> what they call that."""
        offered = self.lookups.choices
        named = {f"{noun}:{key}": name for widget, noun in labels.NAMED.items() for key, name in offered.get(widget, [])}
        owner = {"member:owner": self.t("the contact's owner")}
        held = {gone.id: gone.name} if (gone := self.fields.held) else {}
        return {**held, **self.names_of(self.draft), **named, **owner}

    def names_of(self, draft: Draft) -> dict[str, str]:
        """Node id -> what people call the step."""
        return labels.names_in(self.t, self.context.engine.palette, draft.nodes)

    def raw(self, id: str) -> dict[str, Any] | None:
        """What the form of a step, or of the journey, is about; None: nothing can be shown."""
        if id == ENTRY:
            return self.draft.parts
        gone = self.fields.held
        return gone.raw if gone and gone.id == id and id not in self.draft.nodes else self.draft.nodes.get(id)

    def problems(self) -> dict[str, dict[str, Any]]:
        """Node id -> what its badge says: how many problems and how many hints, and the first of the worse ones."""
        by_place: dict[str, list[Issue]] = {}
        for issue in sorted(self.issues, key=lambda issue: issue.severity != "error"):
            place = issue.node_id or ENTRY
            if len(by_place) < MOST_BADGES or place in by_place:
                by_place.setdefault(place, []).append(issue)
        return {place: self._badge(issues) for place, issues in by_place.items()}

    def _badge(self, issues: Sequence[Issue]) -> dict[str, Any]:
        """`issues` has problems first."""
        errors = sum(issue.severity == "error" for issue in issues)
        text = issues[0].say(self.t.translate)[:200]
        return {"said": counted(self.t, errors, len(issues) - errors), "severity": "error" if errors else "warning", "text": text}

    @property
    def unpublished(self) -> bool:
        """Whether what is on this page is not what contacts go through."""
        return self.live_version is not None and (self.differs or not self.is_stored)

    def feed(self) -> dict[str, Any]:
        """The small news for the canvas; what it has carried out is left out. `all`: nothing waits to be stored, from the panel neither."""
        # Without a session nothing is stored, the panel's changes neither: the canvas holds them, and hands all over once somebody is logged in.
        saved = {"rev": self.revision, "op": -1 if self.status == "out" else self._saved_op, "all": self.is_stored}
        news = {"patches": self._patches, "problems": self.problems(), "people": self._people_by_place(), "salt": self.salt}
        return {"session": self.id, "saved": saved, "pong": self._pong, **news}

    def _people_by_place(self) -> dict[str, list[dict[str, Any]]]:
        """Step -> who is at it, for its card."""
        found: dict[str, list[dict[str, Any]]] = {}
        for one in self.people:
            if one.place in self.draft.nodes or one.place == ENTRY:
                found.setdefault(one.place, []).append(
                    {"name": self.name_of_page(one), "initials": initials(one.name), "tone": tone(one.member_id)}
                )
        return found

    @property
    def salt(self) -> str:
        """What the ids of new steps end in while others are inside, who make some, too; empty otherwise."""
        return self.id[-3:] if self.people else ""

    def name_of_page(self, one: Present) -> str:
        """A name; a tab of one's own is said as such."""
        return str(self.t("You, in another tab")) if one.member_id == self.context.member.id else one.name

    def graph(self) -> dict[str, Any]:
        """Everything, for a canvas that begins."""
        nodes = {ENTRY: {"raw": self.draft.parts, "view": self.views[ENTRY]}}
        nodes |= {id: {"raw": raw, "view": self.views[id]} for id, raw in self.draft.nodes.items()}
        return {**cards.graph_of(self.draft, nodes), "hints": self.hints}

    def _look(self, ids: Sequence[str] | None = None) -> dict[str, cards.View]:
        """Draws cards anew, all or those of `ids`; answers those that look different now."""
        palette, names = self.context.engine.palette, self.names
        before, fresh = self.views, {}
        for id in self.draft.nodes if ids is None else [id for id in ids if id in self.draft.nodes]:
            fresh[id] = cards.view_of(self.t, palette, id, self.draft.nodes[id], names, before.get(id))
        if ids is None or ENTRY in ids:
            fresh[ENTRY] = cards.entry_view(self.t, self.draft)
        changed = {id: view for id, view in fresh.items() if before.get(id) != view}
        kept = {id: view for id, view in before.items() if self.raw(id) is not None}
        self.views = {**kept, **fresh}
        return changed

    def send(self, **patch: Any) -> None:
        """News for the canvas, in order; kept until it says that it has seen them."""
        self._sequence += 1
        self._patches = [*self._patches, {"seq": self._sequence, **patch}]
        self.tell("feed")

    # What the canvas says

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
                if wanted or self.fields.held is None:  # the canvas has nothing chosen any more where a form outlasts its step
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
        if [self.raw(id) for id in chosen] != shown_before:  # news that change nothing in the form leave an edit on its way alone
            self.generation += 1
        self.selection = tuple(id for id in self.selection if self.raw(id) is not None)
        self._after_change()

    def _resync(self, message: Resync) -> None:
        """A page from before this process. Its work is taken if nobody saved since; else a person decides."""
        mine = Draft(self.draft.document())
        mine.nodes, mine.edges, mine.places, mine.notes = {}, {}, {}, {}
        mine.change(message)
        same = _alike(mine.document(), self.draft.document())
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

    def reload_canvas(self) -> None:
        self.send(graph=self.graph())

    # What panel and outline do

    def select(self, ids: Sequence[str], show: bool = False) -> None:
        """`show` brings the first of them into view on the canvas."""
        if show:
            self.send(select=list(ids))
        if tuple(ids) != self.selection:
            self.selection = tuple(ids)
            self.fields.leave()
            self.tell("panel", "outline")

    def go_to(self, issue: Issue) -> None:
        """To the step that a problem is about, and into the chapter of the journey's form in which it is mended."""
        if issue.node_id is None:
            part = (issue.field or "").partition(".")[0]
            self.chapter = "about" if part in ("name", "description") else part or self.chapter
            self.tell("panel")
        self.select([issue.node_id or ENTRY], show=True)

    def _write(self, field: str) -> None:
        """Somebody writes in a field, or has left it as it was. A form whose step went at that instant is there again."""
        held = self.fields.held
        fresh = self.fields.write(field)
        if held is None and self.fields.held is not None:
            self._hold(self.fields.held)
        elif held is not None and self.fields.held is None:
            self._let_go()
        elif fresh:
            self.tell("panel")

    def _hold(self, gone: Gone) -> None:
        """The form of a step that is gone stays, and everybody is asked whether the step comes back."""
        self.views[gone.id] = cards.view_of(self.t, self.context.engine.palette, gone.id, gone.raw, self.names)
        self.selection = (gone.id,)
        self._note([gone.with_value((), None)], gone.saved)

    def _let_go(self) -> None:
        """Nobody writes any more in the form of a step that is gone."""
        self.fields.leave()
        self.selection = tuple(id for id in self.selection if self.raw(id) is not None)
        self.views = {id: view for id, view in self.views.items() if self.raw(id) is not None}
        self.tell("panel", "outline")

    def edit(self, id: str, path: Path, value: Any, redraw: bool = False) -> None:
        """Sets one value of a step's form, or of the journey's (`$entry`). None takes it out. `redraw`: fields moved."""
        before = self.raw(id)
        if not self.editable or before is None:
            return
        gone = self.fields.held
        if gone is not None and id == gone.id and id not in self.draft.nodes:
            self._note([gone.with_value(path, value)], gone.saved)
            self._let_go()
            return
        dispute = self.fields.dispute(id, path, value, before)
        if dispute is not None:
            if dispute.conflict is not None:
                self._note([dispute.conflict], dispute.saved)
            self.tell("panel")
            return
        if at(before, path) == value:  # what was typed may still be written otherwise
            self._answers += 1
            self.tell("panel")
            return
        raw = replaced(before, path, value)
        outlets = [name for name, *_ in self.views[id]["outlets"]]
        if id == ENTRY:
            self.draft.set_parts(raw)
        else:
            self.draft.nodes[id] = raw
        looks = self._look(None if path == ("name",) else [id])
        drawn, cut = self._rename_outlets(id, outlets)
        news = {other: {"view": self.views[other]} for other in looks}
        self.send(nodes={**news, id: {"raw": raw, "view": self.views[id]}}, edges=drawn, cut=cut)
        if redraw:
            self.generation += 1
        self._after_change()

    def _rename_outlets(self, id: str, before: list[str]) -> tuple[list[list[str]], list[list[str]]]:
        """A way out with a new name keeps its edge; one that is gone loses it. Answers (edges drawn, edges cut)."""
        after = [name for name, *_ in self.views[id]["outlets"]]
        drawn: list[list[str]] = []
        cut: list[list[str]] = []
        for place, old in enumerate(before):
            if old in after or (id, old) not in self.draft.edges:
                continue
            target = self.draft.edges.pop((id, old))
            cut.append([id, old])
            if len(before) == len(after) and after[place] not in before:
                self.draft.edges[id, after[place]] = target
                drawn.append([id, after[place], target])
        return drawn, cut

    def connect(self, source: str, outlet: str, to: str) -> None:
        """Draws an edge from an outlet, or takes it out (`to` empty)."""
        if not self.editable:
            return
        if to in self.draft.nodes:
            self.draft.edges[source, outlet] = to
            self.send(edges=[[source, outlet, to]])
        elif (source, outlet) in self.draft.edges:
            del self.draft.edges[source, outlet]
            self.send(cut=[[source, outlet]])
        self._after_change()

    def add(self, offer: str, source: str, outlet: str) -> None:
        """A new step of a kind, or one of its ready steps (`kind.ready`), behind an outlet, before whatever followed."""
        palette = self.context.engine.palette
        kind, ready = (offer, "") if offer in palette else offer.rsplit(".", 1) if "." in offer else ("", "")
        if not self.editable or kind not in palette:
            return
        id = _fresh_id(kind, self.draft.nodes, self.salt)
        sender = source if before.sends(palette, self.draft.nodes.get(source, {})) else before.last_message(self.draft, palette, source)
        raw = before.asking(cards.beginning(palette[kind], ready), sender)
        self.draft.nodes[id] = raw
        looks = self._look()
        edges = [[source, outlet, id]]
        follower = self.draft.edges.get((source, outlet))
        first = next((name for name, *_ in self.views[id]["outlets"]), None)
        if follower and first:
            edges.append([id, first, follower])
        self.draft.edges |= {(one, out): to for one, out, to in edges}
        self.selection = (id,)
        news = {other: {"view": view} for other, view in looks.items()}
        self.send(nodes={**news, id: {"raw": raw, "view": self.views[id]}}, edges=edges, select=[id])
        self._after_change()

    def remove(self, id: str) -> None:
        """Takes a step out; what led to it leads to what followed its first outlet."""
        if not self.editable or id not in self.draft.nodes:
            return
        first = next((name for name, *_ in self.views[id]["outlets"]), "")
        follower = self.draft.edges.get((id, first))
        into = [(source, outlet) for (source, outlet), to in self.draft.edges.items() if to == id and source != id]
        del self.draft.nodes[id]
        self.draft.edges = {place: to for place, to in self.draft.edges.items() if place[0] != id and to != id}
        drawn = [[source, outlet, follower] for source, outlet in into if follower and follower not in (id, source)]
        self.draft.edges |= {(source, outlet): to for source, outlet, to in drawn}
        news = {other: {"view": view} for other, view in self._look().items()}
        self.selection = ()
        self.send(nodes=news, gone=[id], edges=drawn, select=[])
        self._after_change()

    # Notes

    def put_note(self, id: str, text: str) -> None:
        """Writes on a note from the outline, or sticks a new one on; the canvas takes it into its history."""
        before = self.draft.notes.get(id)
        if not self.editable or (before is None and len(self.draft.notes) >= MAX_NOTES):
            return
        place = before or Note(x=0, y=min([y for _, y in self.draft.places.values()], default=0) - 180)
        note = place.model_copy(update={"text": text[:MAX_NOTE_CHARACTERS]})
        if note == before:
            return
        self.draft.notes = {**self.draft.notes, id: note}
        self.send(notes={id: note.model_dump()})
        self._after_change()

    def add_note(self) -> None:
        self.put_note(_fresh_id("note", self.draft.notes, self.salt), "")

    def tear_note(self, id: str) -> None:
        if not self.editable or id not in self.draft.notes:
            return
        self.draft.notes = {other: note for other, note in self.draft.notes.items() if other != id}
        self.send(torn=[id])
        self._after_change()

    def open_chapter(self, name: str) -> None:
        """Opens a chapter of the journey's form, or closes it."""
        self.chapter = "" if self.chapter == name else name
        self.tell("panel")

    def form_mark(self) -> Any:
        """Whatever the form shows; while it stays equal the form need not be drawn anew."""
        target = self.selection[0] if self.selection else ENTRY
        place = None if target == ENTRY else target
        issues = [issue for issue in self.issues if issue.node_id == place]
        state = self.selection, self.generation, self._answers, self.chapter, self.editable, self.fields.fresh(target)
        return state, self.raw(target), issues, self.names, self.views.get(target)

    def ways_mark(self) -> Any:
        """The same for the lists of what follows."""
        target = self.selection[0] if self.selection else ENTRY
        ways = [(outlet, to, self.names.get(to)) for (source, outlet), to in self.draft.edges.items() if source == target]
        return self.selection, ways, self.views.get(target, {}).get("outlets"), self.editable

    def command(self, name: str) -> None:
        """Has the canvas undo, redo, tidy up, or forget whose way the address names."""
        self.send(run=name)

    def _after_change(self) -> None:
        self.change()
        self.review = None
        self.tell("head", "panel", "outline")
        self.save_soon()

    # Saving

    def save_soon(self, after: float | None = None) -> None:
        self.later(self.save_after if after is None else after, self.save)

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
            revision, issues, hints, differs = await asyncio.to_thread(self._store, self._whole(), sent)
        except Conflict:
            return not await self._catch_up()
        except (NotAllowed, Unauthorized) as error:
            self.status = status_of(error)
        except Exception as error:  # noqa: BLE001 - whatever fails is said on the page, and tried again
            log.error("a draft could not be saved: %s", where(error))
            self.status = "failed"
            self.save_soon(5.0)
        else:
            if self.revision != sent:  # a page came back meanwhile, whose draft began before this one
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

    def notify(self, notice: tuple[str, bool] | None) -> None:
        """Says something, until it is closed; that all went well goes by itself."""
        self.notice = notice
        if notice and notice[1]:
            asyncio.get_running_loop().call_later(NOTICE_SECONDS, lambda: self.notify(None) if self.notice is notice else None)
        self.tell("head")

    def _hint(self, hints: cards.Hints) -> None:
        if hints != self.hints:
            self.hints = hints
            self.send(hints=hints)

    # Who else is here, and what they save

    def begin(self) -> None:
        """The page is drawn: looks out for others from now on."""
        self.spawn(self._others.watch, self._place, self._seen)

    def _place(self) -> str:
        return self.selection[0] if len(self.selection) == 1 else ""

    def _seen(self, found: Look | None) -> None:
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
            live = journey.state, journey.live_version, _versions(session, journey)
            return News(since, issues, hints, differs, actor_names.member_names(session), journey.updated_by, *live)

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
        if _alike(draft.document(), stored.document()) and _drawn_alike(draft, stored):
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
        return since.merged(_as_stored(document), self.context.by, self.context.app.now(), own).document

    def _gone_from(self, old: Draft, saved: conflicts.Saved) -> Gone | None:
        """The step whose form is shown, if it is not there any more."""
        id = self.selection[0] if len(self.selection) == 1 else ""
        if (held := self.fields.held) and held.id not in self.draft.nodes:
            return held
        if id not in old.nodes or id in self.draft.nodes:
            return None
        edges = [[*place, to] for place, to in old.edges.items() if id in (place[0], to)]
        return Gone(id, old.nodes[id], edges, self.names_of(old)[id], saved)

    def _join(self, draft: Draft, saved: conflicts.Saved) -> None:
        """Puts another draft in place of the present one, which somebody `saved`; the canvas hears what differs, and keeps what is its own."""
        old, self.draft = self.draft, draft
        held, self.fields.gone = self.fields.held, self._gone_from(old, saved)
        news = joining.between(old, draft)
        changed = [id for id in news["nodes"] if joining.paths(news, id) or "raw" in news["nodes"][id]]
        gone = {id: self.names_of(old).get(id, id) for id in news["gone"]}
        looks = self._look()
        if joining.is_empty(news):
            return
        self.fields.change(old, news, saved)
        self.selection = tuple(id for id in self.selection if self.raw(id) is not None)
        shown = {id: {**news["nodes"].get(id, {}), "view": self.views[id]} for id in {**news["nodes"], **looks}}
        said = self._word(saved[0], [*(self.names.get(id, self.t("Journey")) for id in changed), *gone.values()])
        self.send(join={**news, "nodes": shown}, said=said)
        self._unseen.append(Joined(self._sequence, old, news, saved))
        if len(self._unseen) > MOST_UNSEEN:
            self._show_anew(saved)
        now = self.fields.held
        if now is not None and now is not held:
            self._hold(now)

    def _show_anew(self, saved: conflicts.Saved) -> None:
        """Everything, for a canvas that has long been silent: all the news that it has not seen are one."""
        before = self._unseen[0].before
        self._patches = []
        self.reload_canvas()
        self._unseen = [Joined(self._sequence, before, joining.between(before, self.draft), saved)]

    def _word(self, by: str, names: list[str]) -> str:
        """`Kim changed “Wait”, “Exit”.`"""
        if not by or not names:
            return ""
        quoted = [self.t("“{name}”", name=name) for name in names[:MOST_NAMED]]
        steps = ", ".join(quoted) + (" …" if len(names) > MOST_NAMED else "")
        if by == self.context.by:
            return str(self.t("Changed in another tab of yours: {steps}.", steps=steps))
        return str(self.t("{name} changed {steps}.", name=self.name_of(by), steps=steps))

    def name_of(self, by: str) -> str:
        """Whom an actor of the audit trail means: a name, and which of one's own tabs are meant is said as such."""
        if by == self.context.by:
            return str(self.t("You, in another tab"))
        return actor_names.actor(self.t, self.members, by)

    def _note(self, found: list[merge.Conflict], saved: conflicts.Saved) -> None:
        """Keeps what was meant here beside what somebody else made of it."""
        over = {one.path: saved for one in found}
        try:
            self.draft.ui = conflicts.noted({"ui": self.draft.ui}, found, self.context.by, self.context.app.now().isoformat(), over)["ui"]
        except TooLarge:
            self.status, self.by = "conflict", self.name_of(saved[0])
        self._after_change()

    def _put_unseen_into(self, changes: Changes) -> None:
        """The canvas said this without knowing what it is about to hear, which then counts there, too; what it wanted otherwise is asked."""
        found = [(one, clash) for one in self._unseen for clash in joining.overrun(changes, one.before, one.news)]
        unseen = tuple(self._unseen)
        for one in unseen:
            joining.put_into(self.draft, one.news)
        for one in unseen:
            kept = joining.kept(self.draft, changes, one.before, one.news)
            if kept is not None:  # the canvas does not have that, and hears it
                self._join(kept, one.saved)
        for one, clash in found:
            self._note([clash], one.saved)

    @property
    def conflicts(self) -> list[conflicts.Open]:
        """What waits for a person to choose, whoever made it."""
        return conflicts.open_in(self.draft.document()) if self.draft.ui.get(merge.PLACE) else []

    def decide(self, place: str, by: str, other: bool) -> None:
        """Keeps what the draft has at a place of conflicts, or takes in its stead what `by` had."""
        if not self.editable:
            return
        decided = (conflicts.taken if other else conflicts.settled)(self.draft.document(), place, by)
        self._join(Draft(decided), conflicts.NOBODY)
        self._after_change()

    def _store(self, document: dict[str, Any], revision: int) -> tuple[int, list[Issue], cards.Hints, bool]:
        """One transaction; the checks come after it, outside the lock."""
        context = self.context
        allowed(context, "journey.change")
        document = {**document, "ui": {**document["ui"], "saved_in": self.id}}
        with context.engine.db.write() as session:
            journey = publish.save_draft(session, self.journey.id, document, revision, context.by, context.app.now())
            saved = journey.revision
        with context.engine.db.read() as session:
            issues = publish.check_draft(context.engine, session, document)
            differs = bool(listing.unpublished(session, [publish.get_journey(session, self.journey.id)]))
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
        self.revision, self.issues, self.hints, self.differs = stored.revision, stored.issues, stored.hints, stored.unpublished
        self.draft = Draft(stored.document)
        self.selection, self.status = (), "saved"
        self.generation += 1
        self._stored_change, self._saved_op = self._changed, self._op
        self._look()
        self.reload_canvas()
        self.tell("head", "panel", "outline")

    def close(self) -> None:
        """The page is gone; what it had not stored yet is stored now."""
        self._others.close()
        self._counting += 1
        if self.path is not None:
            self.path.leave()
        super().close()

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
                        since = drafts.since(session, publish.get_journey(session, self.journey.id), revision)
                    if since is None:
                        raise
                    document, revision = self._merged(since, document), since.revision
        except PfadwerkError as error:
            log.warning("a draft was not saved when its page closed (%s)", error.code)

    # What is offered

    async def look_again(self) -> None:
        """Offers what was made elsewhere meanwhile: a template, a member, a secret, a field."""
        document = self.draft.document()
        found, issues = await asyncio.to_thread(self._known, document)
        if found == self.lookups:
            self.lookups = found
            return
        self.lookups, self.issues = found, issues
        self._answers += 1
        self.tell("feed", "panel", "outline")

    def _known(self, document: dict[str, Any]) -> tuple[Lookups, list[Issue]]:
        context = self.context
        with context.engine.db.read() as session:
            return lookups.load(session, self.t), publish.check_draft(context.engine, session, document)

    # Publishing

    async def look_over(self) -> None:
        """Saves, then says what publishing would do."""
        await self.save()
        self.tell("head")
        if self.status != "saved":
            return
        self.review = review = await asyncio.to_thread(self._review)
        self.tell("head")
        if not review.errors:
            found = await looked(self.context, self.journey.id, self.draft.document())
            if self.review is review:
                self.review = replace(review, ahead=found)
                self.tell("head")

    def _review(self) -> Review:
        context = self.context
        with context.engine.db.read() as session:
            journey = publish.get_journey(session, self.journey.id)
            issues = publish.check_draft(context.engine, session, journey.draft)
            changes = []
            if journey.live_version:
                live = publish.get_version(session, journey.id, journey.live_version)
                changes = [one.text for one in told(self.t, context.engine.palette, live.document, journey.draft)]
            inside = tally.read(session, journey.id).inside
        errors = [issue for issue in issues if issue.severity == "error"]
        return Review(journey.live_version is None, changes, errors, [one for one in issues if one.severity != "error"], inside)

    def cancel_review(self) -> None:
        self.review = None
        self.tell("head")

    async def publish(self, note: str) -> None:
        """Makes the saved draft live, if it is still what was looked over."""
        try:
            number = await asyncio.to_thread(self._publish, note[:2_000])
        except Conflict as error:
            await self.catch_up()
            self.notify(
                (self.t("Someone saved this journey in the meantime: review again what goes live."), False)
                if "by" in error.details
                else (error.say(self.t.translate), False)
            )
        except PfadwerkError as error:
            self.notify((error.say(self.t.translate), False))
        else:
            self.state, self.live_version = "paused" if self.state == "paused" else "live", number
            self.versions = (number, *(one for one in self.versions if one != number))
            self.differs, self.since = False, self.since or self.context.app.now()
            self.live_goal = bool(self.draft.parts.get("goal"))
            self.notify((self.t("Version {number} is live.", number=number), True))
        self.review = None
        self.tell("head")

    def _publish(self, note: str) -> int:
        context = self.context
        allowed(context, "journey.change")
        with context.engine.db.write() as session:
            journey = publish.get_journey(session, self.journey.id, locked=True)
            if journey.revision != self.revision:
                raise Conflict("Someone else saved this journey in the meantime.", by=journey.updated_by)
            return publish.publish(context.engine, session, journey.id, context.by, note, context.app.now()).number

    # Numbers

    def toggle_outline(self) -> None:
        self.outlined = not self.outlined
        self.tell("head", "outline")

    def toggle_counts(self) -> None:
        """Shows or hides at each step how many are there, came, left by which way, and what became of its messages."""
        self._counting += 1
        if self.figures is None:
            self.figures = {}
            self.spawn(self._count, self._counting)
        else:
            self.figures = None
            self.send(counts=None)
        self.tell("head", "numbers")

    def count_version(self, number: int | None) -> None:
        """Narrows the numbers to one version; None: all."""
        if self.figures is None or number == self.counted_version or number not in (None, *self.versions):
            return
        self.counted_version = number
        self._counting += 1
        self.figures = {}
        self.spawn(self._count, self._counting)
        self.tell("head", "numbers")

    async def _count(self, turn: int) -> None:
        """Looks again and again; the canvas hears what differs. Ends when the numbers are hidden or others are wanted."""
        fresh = True
        while turn == self._counting and self._listeners:
            found = await asyncio.to_thread(self._counted, self.counted_version)
            if turn != self._counting or self.figures is None:
                return
            news = metrics.changed(self.figures, found)
            self.figures = found
            if news or fresh:
                self.send(counts={"fresh": fresh, "version": self.counted_version, "nodes": news})
                self.tell("numbers")
            fresh = False
            await asyncio.sleep(COUNT_EVERY_SECONDS)

    def _counted(self, version: int | None) -> dict[str, metrics.Figures]:
        with self.context.engine.db.read() as session:
            return metrics.figures(self.t, tally.read(session, self.journey.id, version), self.live_goal)

    # Secrets

    def keep_secret(self, name: str, value: str) -> None:
        """Stores a secret for the forms to name; administrators only, asked anew in the database."""
        self.spawn(self._keep_secret, name, value)

    async def _keep_secret(self, name: str, value: str) -> None:
        try:
            names = await asyncio.to_thread(self._put_secret, name, value)
        except PfadwerkError as error:
            self.notify((error.say(self.t.translate), False))
        else:
            self.lookups = replace(self.lookups, choices={**self.lookups.choices, "secret": [(one, one) for one in names]})
            self.generation += 1
            self.notify((self.t("Secret saved."), True))
        self.tell("head", "panel")

    def _put_secret(self, name: str, value: str) -> list[str]:
        context = self.context
        allowed(context, "secret.change")
        with context.engine.db.write() as session:
            secrets.put(session, context.engine.address_keys, name, value, context.by, context.app.now())
            return secrets.names(session)

    # One contact's way

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


def fetch(context: PageContext) -> Stored:
    """Everything the builder begins with.

    Raises: NotFound.
    """
    with context.engine.db.read() as session:
        journey: Journey = publish.get_journey(session, context.arguments["key"])
        if journey.archived_at is not None:
            raise NotFound("This journey is archived.")
        issues = publish.check_draft(context.engine, session, journey.draft)
        known = lookups.load(session, context.t)
        hints = cards.hints(context.t, context.engine.palette, journey.draft)
        parts = (journey.id, journey.key, journey.name, journey.state, journey.live_version, journey.revision, dict(journey.draft))
        live = context.engine.index(session).by_id.get(journey.id)
        return Stored(
            *parts,
            issues,
            known,
            hints,
            _versions(session, journey),
            bool(listing.unpublished(session, [journey])),
            live is not None and live.program.goal is not None,
            listing.published_since(session, [journey.id]).get(journey.id),
            actor_names.member_names(session),
        )


def _versions(session: Session, journey: Journey) -> tuple[int, ...]:
    """The newest, by number."""
    numbers = select(Version.number).where(Version.journey_id == journey.id).order_by(col(Version.number).desc()).limit(200)
    return tuple(session.scalars(numbers))


def counted(t: Translator, errors: int, hints: int) -> str:
    """`1 problem, 2 hints`; what there is none of is not said."""
    problems = "1 problem" if errors == 1 else "{count} problems"
    more = "1 hint" if hints == 1 else "{count} hints"
    said = [t(text, count=t.number(count)) for text, count in ((problems, errors), (more, hints)) if count]
    return ", ".join(said)


def _fresh_id(kind: str, taken: Mapping[str, Any], salt: str = "") -> str:
    """`salt` tells ids apart that two people make at once."""
    base = kind.removeprefix("custom.")[:50] + (f"_{salt}" if salt else "")
    return base if base not in taken else next(name for n in range(2, 10_000) if (name := f"{base}_{n}") not in taken)


def _as_stored(document: Mapping[str, Any]) -> dict[str, Any]:
    return publish.as_json(read(document))


def _alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Equal but for positions and the order of edges."""
    return bool(_bare(one) == _bare(other))


def _drawn_alike(one: Draft, other: Draft) -> bool:
    """Whether what people did beside the content is the same: where steps stand, and what waits for a choice."""
    parts = [draft.document()["ui"] for draft in (one, other)]
    # Nothing and an empty value are one, else two pages would store the same again and again.
    return all((parts[0].get(name) or None) == (parts[1].get(name) or None) for name in ("positions", "laid_out", merge.PLACE))


def _bare(document: Mapping[str, Any]) -> Any:
    edges = sorted((edge["from"], edge["outlet"], edge["to"]) for edge in document["edges"])
    notes = sorted(document["ui"].get("notes", ()), key=lambda note: str(note["id"]))
    kept = {"edges": edges, "notes": notes, "unfinished": parts_of(document["ui"])}
    return {**{name: value for name, value in document.items() if name != "ui"}, **kept}
