"""The numbers by which processes notice that something they keep in memory has changed."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from models import Freshness, lock
from storage.sql import on, table, upsert

_all = select(table(Freshness).c.topic, table(Freshness).c.number)
_SEEN, _BUMPED = "freshness seen", "freshness bumped"


def bump(session: Session, topic: str) -> None:
    """Tells every process that `topic` changed, when this transaction commits."""
    numbers = table(Freshness)
    statement = upsert(session, Freshness).values(topic=topic, number=1)
    session.execute(statement.on_conflict_do_update(index_elements=["topic"], set_={"number": numbers.c.number + 1}))
    session.info.pop(_SEEN, None)
    session.info.setdefault(_BUMPED, set()).add(topic)


def hold(session: Session, topic: str) -> None:
    """Whoever else wants to change `topic` waits until this transaction ends, and what it has changed before is seen from here on."""
    numbers = table(Freshness)
    on(session).execute(lock(session, select(numbers.c.number).where(numbers.c.topic == topic)))
    session.info.pop(_SEEN, None)


def freshness(session: Session, topic: str) -> int:
    """How often the topic changed; 0 if never. A transaction asks the database once, for all topics."""
    numbers: dict[str, int] | None = session.info.get(_SEEN)
    if numbers is None:
        numbers = session.info[_SEEN] = dict(on(session).execute(_all).all())
    return numbers.get(topic, 0)


def is_changing(session: Session, topic: str) -> bool:
    """Whether this transaction itself changes the topic: what it sees may never be committed, so nobody else may keep it."""
    return topic in session.info.get(_BUMPED, ())
