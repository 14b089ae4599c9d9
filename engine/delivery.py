"""Who hears of an event: runs that listen, and journeys that it may start. Needs no enrolment, so that runs themselves may ask."""

from __future__ import annotations

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from engine.live import Engine
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
    index = engine.index(session)
    if name in index.by_event or index.entered_by(name):
        return True
    return on(session).execute(_hears, {"contact": contact_id, "of_topic": f"event:{name}"}).first() is not None
