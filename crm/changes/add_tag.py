from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy.orm import Session

from crm.changes.change import Cause
from crm.people import profile
from journeys.changes import AddTag
from models import Event


def apply(session: Session, change: AddTag, cause: Cause) -> Iterator[Event | None]:
    yield profile.add_tag(session, cause.contact_id, change.tag, cause.now, cause.source, hops=cause.hops)
