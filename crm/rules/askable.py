"""What rules outside journeys may ask for in this workspace."""

from __future__ import annotations

from sqlalchemy.orm import Session

from crm.catalogue import load_catalogue
from journeys.contact_rules import Askable
from storage import segment_marks
from workspace import settings


def askable(session: Session) -> Askable:
    """Its fields, events, purposes, scores, topics and segments."""
    offered = (("purpose", settings.Purposes), ("score", settings.ScoreGroups), ("topic", settings.Topics))
    names = ((noun, frozenset(settings.load(session, kind).offers())) for noun, kind in offered)
    return Askable(load_catalogue(session), (*names, ("segment", frozenset(segment_marks.known(session).by_key))))
