from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy.orm import Session

from crm.changes.change import Cause
from crm.people import profile
from models import Event


def apply(session: Session, change: Any, cause: Cause) -> Iterator[Event | None]:
    yield profile.update_fields(session, cause.contact_id, {"locale": change.language}, cause.now, cause.source, hops=cause.hops)
