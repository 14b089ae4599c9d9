"""How many contacts are, were and left where: the numbers on the canvas, from runs and their trails, all versions together."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func
from sqlalchemy.orm import Session
from sqlmodel import col, select

from models import Run, Trail, Version


def by_node(session: Session, journey_id: str) -> dict[str, Any]:
    """Node id -> {"waiting": now, "entered": so far, "left": {outlet: so far}}."""
    found: dict[str, Any] = {}
    waiting = select(Run.node, func.count()).where(Run.journey_id == journey_id, col(Run.ended_at).is_(None)).group_by(col(Run.node))
    for node, count in session.execute(waiting):
        _of(found, node)["waiting"] = count
    versions = select(Version.id).where(Version.journey_id == journey_id)
    trail = (
        select(Trail.node, Trail.what, Trail.outlet, func.count())
        .where(col(Trail.version_id).in_(versions), col(Trail.what).in_(("entered", "left")))
        .group_by(col(Trail.node), col(Trail.what), col(Trail.outlet))
    )
    for node, what, outlet, count in session.execute(trail):
        if what == "entered":
            _of(found, node)["entered"] += count
        else:
            _of(found, node)["left"][outlet] = count
    found.pop("", None)
    return found


def _of(found: dict[str, Any], node: str) -> dict[str, Any]:
    one: dict[str, Any] = found.setdefault(node, {"waiting": 0, "entered": 0, "left": {}})
    return one
