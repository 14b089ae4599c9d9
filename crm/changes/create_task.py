from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.orm import Session

from crm.changes.change import Cause
from crm.sales import tasks
from journeys.changes import CreateTask
from models import Event


def apply(session: Session, change: CreateTask, cause: Cause) -> Iterable[Event | None]:
    node = change.id.split(":")[1] if cause.run_id else ""
    tasks.create(session, change, contact_id=cause.contact_id, run_id=cause.run_id, node=node, now=cause.now, by=cause.by or "system")
    return ()
