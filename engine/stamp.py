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
    if session.get(Stamp, 1) is None:
        session.add(Stamp(id=1, workspace=workspace, namespace=namespace, created_at=datetime.now(UTC)))
        session.flush()
    return check(session, workspace, namespace)


def check(session: Session, workspace: str, namespace: str) -> Clock:
    """The clock of the stamp, that of the wall where there is none yet; writes nothing.

    Raises: Misconfigured when the stamp says something else.
    """
    stamp = session.get(Stamp, 1)
    if stamp is None:
        return Clock()
    if (stamp.workspace, stamp.namespace) != (workspace, namespace):
        raise Misconfigured(
            "This database belongs to the workspace {stamped} in the namespace {stamped_namespace}, the settings say {workspace} in "
            "{namespace}: set PFADWERK_DATABASE_URL, PFADWERK_WORKSPACE and PFADWERK_TEMPORAL_NAMESPACE so that they agree.",
            stamped=stamp.workspace,
            stamped_namespace=stamp.namespace,
            workspace=workspace,
            namespace=namespace,
        )
    return Clock.from_stamp(stamp.clock)
