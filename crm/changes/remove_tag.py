from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy.orm import Session

from crm.changes.change import Cause
from crm.people import profile
from journeys.changes import RemoveTag
from models import Event


def apply(session: Session, change: RemoveTag, cause: Cause) -> Iterator[Event | None]:
    yield profile.remove_tag(session, cause.contact_id, change.tag, cause.now, cause.source, hops=cause.hops)
