from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy.orm import Session

from crm.changes.change import Cause
from crm.people import profile
from journeys.changes import SetOwner
from models import Event
from workspace import members


def apply(session: Session, change: SetOwner, cause: Cause) -> Iterator[Event | None]:
    if change.pool:
        members.advance_rotation(session, change.pool, change.owner)
    yield profile.set_owner(session, cause.contact_id, change.owner, cause.now, cause.source, hops=cause.hops)
