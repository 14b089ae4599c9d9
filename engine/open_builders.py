"""Who else has a journey open in the builder, and at which step: across web servers, for as long as their server is alive.

An open page writes when it opens, when its member goes to another step and when it closes, and nothing in between: whether it is still there is what
its web server says with its own beat (`engine.presence`). Who was taken out of the team, or may not look at journeys any more, is not told of.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, or_, select, update
from sqlalchemy.orm import Session

from engine.presence import GONE_AFTER, SILENT_AFTER
from models import Member, OpenBuilder, Process
from storage.sql import table
from workspace.roles import may

MOST = 50
"""Pages that are looked at."""

pages = table(OpenBuilder)
processes = table(Process)
members = table(Member)


@dataclass(frozen=True, slots=True)
class Present:
    """One open page: `place` is a step, `$entry`, or empty."""

    id: str
    member_id: str
    name: str
    place: str


def enter(session: Session, page: OpenBuilder, now: datetime) -> None:
    """A page opens. Forgets those whose server is gone. `now` is real time."""
    alive = select(processes.c.id).where(processes.c.seen_at >= now - GONE_AFTER)
    session.execute(delete(pages).where(pages.c.process_id.not_in(alive)))
    session.execute(pages.insert().values(page.model_dump()))


def move(session: Session, page: OpenBuilder, now: datetime) -> None:
    """A page is at another place. One that was forgotten, since its server was silent for long, is there again."""
    moved = session.execute(update(pages).where(_is(page, page.id)).values(place=page.place).returning(pages.c.id))
    if moved.first() is None:
        enter(session, page, now)


def leave(session: Session, page: OpenBuilder, id: str = "") -> None:
    """A page closes, or another of its member's in the same journey, of which only the `id` is known."""
    session.execute(delete(pages).where(_is(page, id or page.id)))


def _is(page: OpenBuilder, id: str) -> Any:
    """Ids come from browsers, too: none names somebody else's page."""
    return and_(pages.c.id == id, pages.c.journey_id == page.journey_id, pages.c.member_id == page.member_id)


def others(session: Session, page: OpenBuilder, now: datetime) -> tuple[list[Present], bool]:
    """(the other pages of the journey, in the order in which they were opened; whether this page is still known)."""
    alive = and_(processes.c.seen_at >= now - SILENT_AFTER, members.c.active)
    found = (
        select(pages.c.id, pages.c.member_id, members.c.name, pages.c.place, members.c.role)
        .join(processes, processes.c.id == pages.c.process_id, isouter=True)
        .join(members, members.c.id == pages.c.member_id)
        .where(pages.c.journey_id == page.journey_id, or_(pages.c.id == page.id, alive))
        .order_by(pages.c.id)
        .limit(MOST)
    )
    rows = session.execute(found).all()
    there = [Present(*row[:4]) for row in rows if row[0] != page.id and may(row[4], "journey.read")]
    return there, any(row[0] == page.id for row in rows) or len(rows) == MOST
