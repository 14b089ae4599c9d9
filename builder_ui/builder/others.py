"""Who else has this journey open, whether somebody saved it or made something to choose from: one look every other second, for as long as the page is open."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from engine import open_builders
from engine.open_builders import Present
from journeys.errors import PfadwerkError, where
from models import Journey, OpenBuilder
from sqlmodel import select

from builder_ui.app.screen import allowed
from builder_ui.builder import lookups
from builder_ui.kit.context import PageContext

log = logging.getLogger("pfadwerk.pages")

LOOK_EVERY_SECONDS = 2.0
TONES = 6
"""Colours of people."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one look found. `live`: the journey's state and the version that is live."""

    people: tuple[Present, ...]
    revision: int
    live: tuple[str, int | None]
    offered: lookups.Stamp = ()
    """Of what forms offer to choose from."""


class Others:
    """One open page among the others. Who may not look at journeys any more sees nobody, and is seen by nobody."""

    def __init__(self, context: PageContext, id: str, journey_id: str) -> None:
        self._context = context
        self._page = OpenBuilder(
            id=id,
            journey_id=journey_id,
            member_id=context.member.id,
            process_id=context.engine.process_id,
        )
        self._entered = self._closed = False
        self._writing = threading.Lock()
        self.former = ""
        """The page that this one goes on from, after a lost connection."""

    async def watch(
        self, place: Callable[[], str], seen: Callable[[Sighting | None], None]
    ) -> None:
        """Tells again and again what there is, None where nothing can be found out now; says where this page is whenever that is another place."""
        while not self._closed:
            try:
                found: Sighting | None = await asyncio.to_thread(self.look, place())
            except PfadwerkError:
                found = None
            except Exception as error:  # noqa: BLE001 - a database that is away for a moment: nobody is seen until it is back
                log.warning("who else is in a journey could not be read: %s", where(error))
                found = None
            if not self._closed:
                seen(found)
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    def look(self, place: str) -> Sighting:
        """One look; the database is written to only when something of this page changed.

        Raises: NotAllowed; Unauthorized.
        """
        context, page = self._context, self._page
        try:
            allowed(context, "journey.read", reading=True)
        except PfadwerkError:
            self._leave()
            raise
        self._say(place)
        with context.engine.db.read() as session:
            people, self._entered = open_builders.others(session, page, context.app.real_now())
            wanted = select(Journey.revision, Journey.state, Journey.live_version).where(
                Journey.id == page.journey_id
            )
            revision, *live = session.execute(wanted).one()
            offered = lookups.stamp(session)
        return Sighting(tuple(people), revision, (live[0], live[1]), offered)

    def _say(self, place: str) -> None:
        with self._writing:  # a page that closes meanwhile leaves after this, and one that is closed says nothing more
            if self._closed or (self._entered and place == self._page.place and not self.former):
                return
            former, self.former = self.former, ""
            self._page.place = place
            with self._context.engine.db.write() as session:
                if former:
                    open_builders.leave(session, self._page, former)
                open_builders.move(session, self._page, self._context.app.real_now())
            self._entered = True

    def close(self) -> None:
        """The page is gone."""
        self._closed = True
        asyncio.get_running_loop().run_in_executor(None, partial(self._attempt, self._leave))

    def _leave(self) -> None:
        with self._writing:
            if not self._entered:
                return
            with self._context.engine.db.write() as session:
                open_builders.leave(session, self._page)
            self._entered = False

    @staticmethod
    def _attempt(work: Callable[[], None]) -> None:
        """A page that cannot say that it is gone is forgotten once its server is."""
        try:
            work()
        except Exception as error:  # noqa: BLE001 - see above
            log.warning("a builder could not say that it is gone: %s", where(error))


def initials(name: str) -> str:
    """`Mara Marti`: MM; of one word its first two letters."""
    first, *more = name.split() or ["?"]
    return (first[0] + more[-1][0] if more else first[:2]).upper()


def tone(member_id: str) -> int:
    """A colour, the same on every page."""
    return sum(member_id.encode()) % TONES
