"""What others saved, in the draft of an open builder: the canvas hears what differs, and people are asked where both meant something."""

from __future__ import annotations

from journeys import conflicts, merge
from journeys.errors import TooLarge

from builder_ui.builder import cards, joining
from builder_ui.builder.board import Board, Joined
from builder_ui.builder.draft import Draft
from builder_ui.builder.protocol import Changes
from builder_ui.builder.writing import Gone
from builder_ui.kit import actor_names

MOST_NAMED = 3
"""Steps in the word about what somebody else changed."""


MOST_UNSEEN = 100
"""News that wait for a canvas to say that it has seen them; after more of them it gets everything anew."""


class Merging(Board):
    """An open builder that takes in another draft in place of its own."""

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
        changed = [
            id for id in news["nodes"] if joining.paths(news, id) or "raw" in news["nodes"][id]
        ]
        gone = {id: self.names_of(old).get(id, id) for id in news["gone"]}
        looks = self._look()
        if joining.is_empty(news):
            return
        self.fields.change(old, news, saved)
        self.selection = tuple(id for id in self.selection if self.raw(id) is not None)
        shown = {
            id: {**news["nodes"].get(id, {}), "view": self.views[id]}
            for id in {**news["nodes"], **looks}
        }
        said = self._word(
            saved[0], [*(self.names.get(id, self.t("Journey")) for id in changed), *gone.values()]
        )
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
            self.draft.ui = conflicts.noted(
                {"ui": self.draft.ui},
                found,
                self.context.by,
                self.context.app.now().isoformat(),
                over,
            )["ui"]
        except TooLarge:
            self.status, self.by = "conflict", self.name_of(saved[0])
        self._after_change()

    def _put_unseen_into(self, changes: Changes) -> None:
        """The canvas said this without knowing what it is about to hear, which then counts there, too; what it wanted otherwise is asked."""
        found = [
            (one, clash)
            for one in self._unseen
            for clash in joining.overrun(changes, one.before, one.news)
        ]
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
        decided = (conflicts.taken if other else conflicts.settled)(
            self.draft.document(), place, by
        )
        self._join(Draft(decided), conflicts.NOBODY)
        self._after_change()

    def _hold(self, gone: Gone) -> None:
        """The form of a step that is gone stays, and everybody is asked whether the step comes back."""
        self.views[gone.id] = cards.view_of(
            self.t, self.context.engine.palette, gone.id, gone.raw, self.names
        )
        self.selection = (gone.id,)
        self._note([gone.with_value((), None)], gone.saved)

    def _let_go(self) -> None:
        """Nobody writes any more in the form of a step that is gone."""
        self.fields.leave()
        self.selection = tuple(id for id in self.selection if self.raw(id) is not None)
        self.views = {id: view for id, view in self.views.items() if self.raw(id) is not None}
        self.tell("panel", "outline")
