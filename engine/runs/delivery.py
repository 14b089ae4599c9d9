"""Who hears of an event: runs that listen, and journeys that it may start. Needs no enrolment, so that runs themselves may ask."""

from __future__ import annotations

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from engine.engine import Engine
from models import Subscription
from storage.sql import on, table

subscriptions = table(Subscription)

_hears = (
    select(subscriptions.c.run_id)
    .where(subscriptions.c.contact_id == bindparam("contact"), subscriptions.c.topic == bindparam("of_topic"))
    .limit(1)
)


def is_heard(engine: Engine, session: Session, contact_id: str, name: str) -> bool:
    """Whether an event of that name would wake or start anything for the contact; if not, it need not be routed."""
    index, topic = engine.index(session), f"event:{name}"
    if topic in index.by_topic or index.entered_by([topic]):
        return True
    return on(session).execute(_hears, {"contact": contact_id, "of_topic": topic}).first() is not None
