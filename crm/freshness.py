"""The numbers by which processes notice that something they keep in memory has changed."""

from __future__ import annotations

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from crm.sql import table, upsert
from models import Freshness

_number = select(table(Freshness).c.number).where(table(Freshness).c.topic == bindparam("topic"))


def bump(session: Session, topic: str) -> None:
    """Tells every process that `topic` changed, when this transaction commits."""
    numbers = table(Freshness)
    statement = upsert(session, Freshness).values(topic=topic, number=1)
    session.execute(statement.on_conflict_do_update(index_elements=["topic"], set_={"number": numbers.c.number + 1}))


def freshness(session: Session, topic: str) -> int:
    """How often the topic changed; 0 if never."""
    return int(session.execute(_number, {"topic": topic}).scalar() or 0)
