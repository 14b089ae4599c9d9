"""Putting contacts of an import on a list kept by hand. Nobody is told, unless the import is to start journeys."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy.orm import Session

from crm.segments import members
from journeys.errors import Conflict, NotFound
from journeys.topics import ENTERED, of_segment
from storage import segment_marks
from storage.events import append_event
from storage.segment_marks import KnownSegment


def refuse_other(session: Session, key: str) -> None:
    """Raises:
    NotFound: there is no such segment. Conflict: its rule decides who is in it."""
    segment = segment_marks.known(session).by_key.get(key)
    if segment is None:
        raise NotFound("There is no segment “{key}”.", key=key[:64])
    if segment.kind != "static":
        raise Conflict("The rule of this segment decides who is in it.")


def put_on(session: Session, key: str, contact_ids: Collection[str], now: datetime, *, wake: bool) -> tuple[KnownSegment, list[str]]:
    """Returns the list and those who were not on it before. The caller holds their locks. Raises: as `refuse_other`."""
    refuse_other(session, key)
    segment = segment_marks.known(session).by_key[key]
    new = members.add(session, segment.id, contact_ids, now)
    if not wake:
        segment_marks.mark(session, new, (of_segment(key),), now, silent=True)
        return segment, new
    for id in sorted(new):
        append_event(session, id, "system", ENTERED, {"segment": key, "name": segment.name}, now)
    return segment, new
