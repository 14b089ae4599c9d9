from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy.orm import Session

from crm.changes.change import Cause
from crm.people import scores
from journeys.changes import ChangeScore
from models import Event


def apply(session: Session, change: ChangeScore, cause: Cause) -> Iterator[Event | None]:
    yield scores.change_score(
        session,
        cause.contact_id,
        change.group,
        change.points,
        change.absolute,
        change.reason,
        cause.now,
        hops=cause.hops,
        source=cause.source,
    )
