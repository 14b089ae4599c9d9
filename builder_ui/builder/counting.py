"""The metrics on the canvas, counted again and again while they are shown."""

from __future__ import annotations

import asyncio

from storage import tally

from builder_ui.builder import metrics
from builder_ui.builder.board import Board

COUNT_EVERY_SECONDS = 3.0


class Counting(Board):
    """An open builder that shows how many contacts are where."""

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
        if (
            self.figures is None
            or number == self.counted_version
            or number not in (None, *self.versions)
        ):
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
            return metrics.figures(
                self.t, tally.read(session, self.journey.id, version), self.live_goal
            )
