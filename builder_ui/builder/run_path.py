"""One contact's way through a journey, on the drawing of the version they are on: where they were and in which order, what was decided,
what became of messages, and where they wait.

The story itself is that of the run's page; here it is laid onto the canvas.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from crm.people import contacts
from engine.runs.operations import RunFilter, list_runs
from engine.versions.publish import get_version
from journeys.errors import NotFound, PfadwerkError
from sqlalchemy.orm import Session

from builder_ui.builder import cards
from builder_ui.builder.draft import Draft
from builder_ui.builder.protocol import ENTRY, chosen
from builder_ui.builder.viewer import Marks
from builder_ui.kit import run_timeline
from builder_ui.kit.actor_names import contact_names
from builder_ui.kit.context import PageContext
from builder_ui.kit.labels import MESSAGE_STATES, OUTLETS, REASONS, coded

LOOK_EVERY_SECONDS = 3.0
MOST_RUNS = 20


class RunPath:
    """What the page shows in place of the editor. `story` is the data of the run's page, None until a run is chosen; `runs` are those to choose from."""

    def __init__(
        self,
        context: PageContext,
        journey_id: str,
        tell: Callable[[], None],
        spawn: Callable[..., None],
    ) -> None:
        self.context, self.journey_id = context, journey_id
        self.tell, self.spawn = tell, spawn
        self.text = ""
        self.runs: list[dict[str, Any]] | None = None
        self.names: dict[str, str] = {}
        self.story: Any = None
        self.graph: dict[str, Any] = {}
        self.marks: Marks = {}
        self.wrong = ""
        self.focus = (0, "")
        self._turn = 0
        self.spawn(self.search, "")

    def leave(self) -> None:
        self._turn += 1

    @property
    def run_id(self) -> str:
        return str(self.story.story["run"]["id"]) if self.story else ""

    async def search(self, text: str) -> None:
        """Runs of people whose name or address fits; without a text the newest."""
        self.text = text.strip()[:200]
        self.runs, self.names = await asyncio.to_thread(self._found, self.text)
        self.tell()

    def _found(self, text: str) -> tuple[list[dict[str, Any]], dict[str, str]]:
        with self.context.engine.db.read() as session:
            runs = list(self._runs(session, text))[:MOST_RUNS]
            return runs, contact_names(session, [run["contact_id"] for run in runs])

    def _runs(self, session: Session, text: str) -> Iterable[dict[str, Any]]:
        if not text:
            return list_runs(session, RunFilter(self.journey_id, limit=MOST_RUNS))
        people = contacts.search(
            session, contacts.ContactFilter(text=text), limit=MOST_RUNS
        ).contacts
        return [
            run
            for one in people
            for run in list_runs(
                session, RunFilter(self.journey_id, contact_id=one.id, limit=MOST_RUNS)
            )
        ]

    async def choose(self, run_id: str) -> None:
        """Draws the way of a run, and again whenever it moves."""

        self._turn += 1
        turn, mark = self._turn, None
        context = replace(self.context, arguments={**self.context.arguments, "id": run_id})
        while turn == self._turn:
            try:
                now = await asyncio.to_thread(run_timeline.stamp, context)
                if now != mark and not await self._draw(context, turn):
                    return
                mark = now
            except PfadwerkError:
                self.story, self.wrong = (
                    None,
                    self.context.t("There is no such run in this journey."),
                )
                self.tell()
                return
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def _draw(self, context: PageContext, turn: int) -> bool:
        story, graph = await asyncio.to_thread(self._load, context)
        if turn != self._turn:
            return False
        self.story, self.graph, self.wrong = story, graph, ""
        self.marks = marks(
            context, story, {(source, outlet) for source, outlet, _ in graph["edges"]}
        )
        self.tell()
        return True

    def _load(self, context: PageContext) -> tuple[Any, dict[str, Any]]:

        story = run_timeline.load(context)
        if story.story["journey"]["id"] != self.journey_id:
            raise NotFound("This run belongs to another journey.")
        with context.engine.db.read() as session:
            document = get_version(
                session, self.journey_id, story.story["run"]["version_number"]
            ).document
        return story, cards.drawing(context.t, context.engine.palette, Draft(document))

    def show(self, node: str) -> None:
        """Brings a step into view."""
        self.focus = (self.focus[0] + 1, node)
        self.tell()

    def hear(self, text: object) -> None:
        """A card was chosen on the drawing: its chapter stands out."""
        node = chosen(text)
        if node is not None and node != self.focus[1]:
            self.focus = (self.focus[0], node)
            self.tell()


def marks(context: PageContext, data: Any, drawn: set[tuple[str, str]]) -> Marks:
    """The visits by number on steps and on the ways between, from the trail."""

    t, run = context.t, data.story["run"]
    told = run_timeline.chapters(data.story) if data.story["trail"] else []
    found: Marks = {ENTRY: _mark("visited", "→", t("Entered"), [t.moment(run["started_at"])])}
    found[f"{ENTRY}:next"] = _mark("visited", "1", "", [])
    for number, chapter in enumerate(told, 1):
        mark = found.setdefault(chapter.node, _mark("visited", "", "", []))
        mark["sign"] = f"{mark['sign']} · {number}".removeprefix(" · ")
        mark["lines"].append(_visit_line(context, chapter))
        for outlet in _ways(data, chapter, drawn):
            way = found.setdefault(f"{chapter.node}:{outlet}", _mark("visited", "", "", []))
            way["sign"] = f"{way['sign']} · {number + 1}".removeprefix(" · ")
    for mark in found.values():
        mark["said"] = mark["said"] or t("Visited: {numbers}", numbers=mark["sign"])
    here = found.get(run["node"]) if run["ended_at"] is None else None
    if here:
        here["tone"], here["said"] = "waiting", f"{here['said']}. {t('Here now')}"
        here["lines"].append(_next(context, data))
    return found


def _mark(tone: str, sign: str, said: str, lines: list[str]) -> dict[str, Any]:
    return {"tone": tone, "sign": sign, "said": said, "lines": lines}


def _visit_line(context: PageContext, chapter: Any) -> str:
    """`24 Nov 2026, 09:12: yes`, and of a message its fate: `24 Nov 2026, 09:12: Sent, Opened`."""
    at, t = context.t.moment(chapter.at), context.t
    left = next((line["outlet"] for line in chapter.lines if line["what"] == "left"), "")
    said = [word for message in chapter.messages for word in _fate(context, message)]
    if not said and left and left != "next":
        said = [coded(t, OUTLETS, left)]
    return f"{at}: {', '.join(said)}" if said else at


def _fate(context: PageContext, message: dict[str, Any]) -> list[str]:
    t, reason = context.t, message["reason"]
    said = [t(MESSAGE_STATES[message["status"]][0])]
    said += [coded(t, REASONS, reason)] if reason else []
    said += [t("Opened")] if message["opened_at"] else []
    return said + ([t("Clicked")] if message["clicked_at"] else [])


def _ways(data: Any, chapter: Any, drawn: set[tuple[str, str]]) -> list[str]:
    """The outlets through which the visit ended, or those whose edge served instead."""
    found = []
    for line in chapter.lines:
        outlet, node = line["outlet"], data.nodes.get(chapter.node)
        if line["what"] != "left":
            continue
        if (chapter.node, outlet) not in drawn and node is not None:
            outlet = node.fallback(outlet) or outlet
        found.append(outlet)
    return found


def _next(context: PageContext, data: Any) -> str:
    coming = data.story["next"] or {}
    if coming.get("due_at"):
        return context.t("Continues {when}", when=context.t.moment(coming["due_at"]))
    return context.t("Continues when something happens")
