"""`Board`: the document of an open builder in memory, what the page shows of it, and the news that its canvas has not seen yet."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.open_builders import Present
from engine.versions import publish
from journeys import conflicts
from journeys.errors import Issue

from builder_ui.app.screen import NOTICE_SECONDS
from builder_ui.builder import cards, joining, lookups, metrics
from builder_ui.builder.draft import Draft
from builder_ui.builder.lookups import Lookups
from builder_ui.builder.others import Others, initials, tone
from builder_ui.builder.protocol import ENTRY, MessageReader
from builder_ui.builder.run_path import RunPath
from builder_ui.builder.stored import Stored
from builder_ui.builder.writing import Fields
from builder_ui.kit import labels
from builder_ui.kit.ahead import Paragraph
from builder_ui.kit.autosaving import AutosavingEditor
from builder_ui.kit.context import PageContext
from builder_ui.kit.i18n import Translator

MOST_BADGES = 300


Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Joined:
    """News that the canvas has not said to have seen: the draft before them, what they are, and who saved them."""

    seq: int
    before: Draft
    news: joining.News
    saved: conflicts.Saved


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


class Board(AutosavingEditor):
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

    @property
    def editable(self) -> bool:
        return self.context.may("journey.change") and self.status != "denied"

    @property
    def names(self) -> dict[str, str]:
        """Node id -> what people call the step, and `member:<id>`, `template:<key>` and so on -> what they call that."""
        offered = self.lookups.choices
        named = {
            f"{noun}:{key}": name
            for widget, noun in labels.NAMED.items()
            for key, name in offered.get(widget, [])
        }
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
        return (
            gone.raw
            if gone and gone.id == id and id not in self.draft.nodes
            else self.draft.nodes.get(id)
        )

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
        return {
            "said": counted(self.t, errors, len(issues) - errors),
            "severity": "error" if errors else "warning",
            "text": text,
        }

    @property
    def unpublished(self) -> bool:
        """Whether what is on this page is not what contacts go through."""
        return self.live_version is not None and (self.differs or not self.is_stored)

    def feed(self) -> dict[str, Any]:
        """The small news for the canvas; what it has carried out is left out. `all`: nothing waits to be stored, from the panel neither."""
        # Without a session nothing is stored, the panel's changes neither: the canvas holds them, and hands all over once somebody is logged in.
        saved = {
            "rev": self.revision,
            "op": -1 if self.status == "out" else self._saved_op,
            "all": self.is_stored,
        }
        news = {
            "patches": self._patches,
            "problems": self.problems(),
            "people": self._people_by_place(),
            "salt": self.salt,
        }
        return {"session": self.id, "saved": saved, "pong": self._pong, **news}

    def _people_by_place(self) -> dict[str, list[dict[str, Any]]]:
        """Step -> who is at it, for its card."""
        found: dict[str, list[dict[str, Any]]] = {}
        for one in self.people:
            if one.place in self.draft.nodes or one.place == ENTRY:
                found.setdefault(one.place, []).append(
                    {
                        "name": self.name_of_page(one),
                        "initials": initials(one.name),
                        "tone": tone(one.member_id),
                    }
                )
        return found

    @property
    def salt(self) -> str:
        """What the ids of new steps end in while others are inside, who make some, too; empty otherwise."""
        return self.id[-3:] if self.people else ""

    def name_of_page(self, one: Present) -> str:
        """A name; a tab of one's own is said as such."""
        return (
            str(self.t("You, in another tab"))
            if one.member_id == self.context.member.id
            else one.name
        )

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
            fresh[id] = cards.view_of(
                self.t, palette, id, self.draft.nodes[id], names, before.get(id)
            )
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

    def reload_canvas(self) -> None:
        self.send(graph=self.graph())

    def command(self, name: str) -> None:
        """Has the canvas undo, redo, tidy up, or forget whose way the address names."""
        self.send(run=name)

    def notify(self, notice: tuple[str, bool] | None) -> None:
        """Says something, until it is closed; that all went well goes by itself."""
        self.notice = notice
        if notice and notice[1]:
            asyncio.get_running_loop().call_later(
                NOTICE_SECONDS, lambda: self.notify(None) if self.notice is notice else None
            )
        self.tell("head")

    def save_soon(self, after: float | None = None) -> None:
        self.later(self.save_after if after is None else after, self.save)

    async def save(self) -> None:
        """Stores the draft if it changed."""
        raise NotImplementedError

    def _after_change(self) -> None:
        self.change()
        self.review = None
        self.tell("head", "panel", "outline")
        self.save_soon()

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
            return lookups.load(session, self.t), publish.check_draft(
                context.engine, session, document
            )


def counted(t: Translator, errors: int, hints: int) -> str:
    """`1 problem, 2 hints`; what there is none of is not said."""
    problems = "1 problem" if errors == 1 else "{count} problems"
    more = "1 hint" if hints == 1 else "{count} hints"
    said = [
        t(text, count=t.number(count))
        for text, count in ((problems, errors), (more, hints))
        if count
    ]
    return ", ".join(said)
