"""Whether this installation has every behaviour that open runs were published with."""

from __future__ import annotations

from sqlmodel import col, exists, select

from engine.engine import Engine
from engine.runs.operations import OPEN
from journeys.errors import Misconfigured
from models import Run, Version


def refuse_unknown_behaviours(engine: Engine) -> None:
    """A worker that lacks a behaviour which open runs were published with must not touch them.

    Raises: Misconfigured, naming what is missing.
    """
    with engine.db.read() as session:
        of_it = (col(Run.journey_id) == col(Version.journey_id), col(Run.version_number) == col(Version.number))
        is_open = exists().where(*of_it, col(Run.status).in_(OPEN))
        pins = session.scalars(select(col(Version.pins)).where(is_open)).all()
    missing = sorted({name for pin in pins for name in pin.get("behaviours", ())} - engine.palette.behaviours)
    if missing:
        raise Misconfigured(
            "Open runs need {behaviours}, which this installation does not have: install the package or set PFADWERK_ACTIVITY_FOLDERS.",
            behaviours=missing,
        )
