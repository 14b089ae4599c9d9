"""What people do in the panel and in the outline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from journeys.errors import Issue

from builder_ui.builder import before, cards
from builder_ui.builder.board import Path
from builder_ui.builder.draft import at, replaced
from builder_ui.builder.merging import Merging
from builder_ui.builder.protocol import ENTRY, MAX_NOTE_CHARACTERS, MAX_NOTES, Note


class Editing(Merging):
    """An open builder whose steps, edges and notes are edited beside the canvas."""

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

    def _rename_outlets(
        self, id: str, before: list[str]
    ) -> tuple[list[list[str]], list[list[str]]]:
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
        kind, ready = (
            (offer, "") if offer in palette else offer.rsplit(".", 1) if "." in offer else ("", "")
        )
        if not self.editable or kind not in palette:
            return
        id = _fresh_id(kind, self.draft.nodes, self.salt)
        sender = (
            source
            if before.sends(palette, self.draft.nodes.get(source, {}))
            else before.last_message(self.draft, palette, source)
        )
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
        self.send(
            nodes={**news, id: {"raw": raw, "view": self.views[id]}}, edges=edges, select=[id]
        )
        self._after_change()

    def remove(self, id: str) -> None:
        """Takes a step out; what led to it leads to what followed its first outlet."""
        if not self.editable or id not in self.draft.nodes:
            return
        first = next((name for name, *_ in self.views[id]["outlets"]), "")
        follower = self.draft.edges.get((id, first))
        into = [
            (source, outlet)
            for (source, outlet), to in self.draft.edges.items()
            if to == id and source != id
        ]
        del self.draft.nodes[id]
        self.draft.edges = {
            place: to for place, to in self.draft.edges.items() if place[0] != id and to != id
        }
        drawn = [
            [source, outlet, follower]
            for source, outlet in into
            if follower and follower not in (id, source)
        ]
        self.draft.edges |= {(source, outlet): to for source, outlet, to in drawn}
        news = {other: {"view": view} for other, view in self._look().items()}
        self.selection = ()
        self.send(nodes=news, gone=[id], edges=drawn, select=[])
        self._after_change()

    def put_note(self, id: str, text: str) -> None:
        """Writes on a note from the outline, or sticks a new one on; the canvas takes it into its history."""
        before = self.draft.notes.get(id)
        if not self.editable or (before is None and len(self.draft.notes) >= MAX_NOTES):
            return
        place = before or Note(
            x=0, y=min([y for _, y in self.draft.places.values()], default=0) - 180
        )
        note = place.model_copy(update={"text": text[:MAX_NOTE_CHARACTERS]})
        if note == before:
            return
        self.draft.notes = {**self.draft.notes, id: note}
        self.send(notes={id: note.model_dump()})
        self._after_change()

    def add_note(self) -> None:
        self.put_note(_fresh_id("note", self.draft.notes, self.salt), "")

    def remove_note(self, id: str) -> None:
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
        state = (
            self.selection,
            self.generation,
            self._answers,
            self.chapter,
            self.editable,
            self.fields.fresh(target),
        )
        return state, self.raw(target), issues, self.names, self.views.get(target)

    def ways_mark(self) -> Any:
        """The same for the lists of what follows."""
        target = self.selection[0] if self.selection else ENTRY
        ways = [
            (outlet, to, self.names.get(to))
            for (source, outlet), to in self.draft.edges.items()
            if source == target
        ]
        return self.selection, ways, self.views.get(target, {}).get("outlets"), self.editable


def _fresh_id(kind: str, taken: Mapping[str, Any], salt: str = "") -> str:
    """`salt` tells ids apart that two people make at once."""
    base = kind.removeprefix("custom.")[:50] + (f"_{salt}" if salt else "")
    return (
        base
        if base not in taken
        else next(name for n in range(2, 10_000) if (name := f"{base}_{n}") not in taken)
    )
