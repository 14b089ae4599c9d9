from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy.orm import Session

from crm.changes.change import Cause
from crm.people import profile
from journeys.changes import SetFields
from models import Event


def apply(session: Session, change: SetFields, cause: Cause) -> Iterator[Event | None]:
    yield profile.update_fields(session, cause.contact_id, change.fields, cause.now, cause.source, hops=cause.hops)
