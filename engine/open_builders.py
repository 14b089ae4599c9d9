"""Who else has a journey open in the builder, and at which step: across web servers, for as long as their server is alive.

An open page writes when it opens, when its member goes to another step and when it closes, and nothing in between: whether it is still there is what
its web server says with its own beat (`engine.presence`). Who was taken out of the team, or may not look at journeys any more, is not told of.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from engine.presence import GONE_AFTER, SILENT_AFTER
from models import Member, OpenBuilder, Process
from storage.sql import table
from workspace.roles import may

MOST = 50
"""Pages that are told of."""

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


def move(session: Session, id: str, place: str) -> None:
    session.execute(update(pages).where(pages.c.id == id).values(place=place))


def leave(session: Session, *ids: str) -> None:
    session.execute(delete(pages).where(pages.c.id.in_(ids)))


def others(session: Session, journey_id: str, id: str, now: datetime) -> list[Present]:
    """The other pages of a journey, in the order in which they were opened."""
    found = (
        select(pages.c.id, pages.c.member_id, members.c.name, pages.c.place, members.c.role)
        .join(processes, processes.c.id == pages.c.process_id)
        .join(members, members.c.id == pages.c.member_id)
        .where(pages.c.journey_id == journey_id, pages.c.id != id, processes.c.seen_at >= now - SILENT_AFTER, members.c.active)
        .order_by(pages.c.id)
        .limit(MOST)
    )
    return [Present(*row[:4]) for row in session.execute(found) if may(row[4], "journey.read")]
