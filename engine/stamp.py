"""What a database is: live or staging, and which Temporal namespace belongs to it. A process whose settings differ does not start."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.orm import Session

from engine.clock import Clock
from journeys.errors import Misconfigured
from models import Stamp


def claim(session: Session, workspace: str, namespace: str) -> Clock:
    """Stamps a fresh database, or checks the stamp of a used one; returns the clock it runs by.

    Raises: Misconfigured when the stamp says something else.
    """
    stamp = session.get(Stamp, 1)
    if stamp is None:
        stamp = Stamp(id=1, workspace=workspace, namespace=namespace, created_at=datetime.now(UTC))
        session.add(stamp)
        session.flush()
    if (stamp.workspace, stamp.namespace) != (workspace, namespace):
        raise Misconfigured(
            f"this database belongs to the {stamp.workspace} workspace in the namespace {stamp.namespace}, the settings say {workspace} in "
            f"{namespace}: set PFADWERK_DATABASE_URL, PFADWERK_WORKSPACE and PFADWERK_TEMPORAL_NAMESPACE so that they agree"
        )
    return Clock.from_stamp(stamp.clock)
