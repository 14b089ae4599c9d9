"""Drafts as they were before they were replaced, so that somebody who began with one of them can be told what others changed since.

The present draft is in the journey's own row. Of the ones before it the newest are kept; who comes with an older one is asked as a whole.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import delete
from sqlalchemy.orm import Session
from sqlmodel import col, select

from crm.sql import table
from journeys import conflicts
from journeys.merge import Conflict, Merged, Path, merge
from models import DraftRevision, Journey

KEPT = 200
"""Drafts of a journey. At a save a second, that is how long somebody may be without a connection while another works."""

replaced = table(DraftRevision)


def keep(session: Session, journey: Journey, by: str, now: datetime) -> None:
    """Puts the present draft away, since `by` is about to replace it."""
    row = {"journey_id": journey.id, "revision": journey.revision, "document": packed(journey.draft), "replaced_at": now, "replaced_by": by}
    session.execute(replaced.insert().values(row))
    old = (replaced.c.journey_id == journey.id) & (replaced.c.revision <= journey.revision - KEPT)
    session.execute(delete(replaced).where(old))


def packed(document: Mapping[str, Any]) -> bytes:
    return zlib.compress(orjson.dumps(document), 1)


def unpacked(document: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(zlib.decompress(document))
    return found


@dataclass(frozen=True, slots=True)
class Since:
    """What a draft has become since. `steps`: (who replaced a draft, that draft), oldest first; none where nobody saved."""

    revision: int
    document: dict[str, Any]
    steps: tuple[tuple[str, bytes], ...]

    @property
    def base(self) -> dict[str, Any]:
        """The draft that somebody began with."""
        return unpacked(self.steps[0][1]) if self.steps else self.document

    @property
    def people(self) -> list[str]:
        """Who saved since, each once, the last one first."""
        return list(dict.fromkeys(by for by, _ in reversed(self.steps)))

    def merged(self, mine: Mapping[str, Any], by: str, now: datetime) -> Merged:
        """The present draft with what `mine` made of `base`; what only a person can decide is noted in it."""
        found = merge(self.base, mine, self.document)
        over = {one.path: self.author(one) for one in found.conflicts}
        return Merged(conflicts.noted(found.document, found.conflicts, by, now.isoformat(), over), found.conflicts)

    def author(self, conflict: Conflict) -> str:
        """Who changed that last."""
        if len(self.people) < 2:
            return next(iter(self.people), "")
        after = self.document
        for by, document in reversed(self.steps):
            before = unpacked(document)
            if _differ(before, after, conflict.path):
                return by
            after = before
        return self.people[0]


def _differ(before: Mapping[str, Any], after: Mapping[str, Any], path: Path) -> bool:
    return bool(conflicts.current(before, path) != conflicts.current(after, path))


def since(session: Session, journey: Journey, revision: int) -> Since | None:
    """None: that draft is not kept any more."""
    wanted = select(DraftRevision.revision, DraftRevision.replaced_by, DraftRevision.document)
    wanted = wanted.where(DraftRevision.journey_id == journey.id, col(DraftRevision.revision) >= revision)
    rows = session.execute(wanted.order_by(col(DraftRevision.revision))).all()
    whole = [number for number, *_ in rows] == list(range(revision, journey.revision))
    return Since(journey.revision, dict(journey.draft), _steps(rows)) if whole else None


def _steps(rows: Iterable[Any]) -> tuple[tuple[str, bytes], ...]:
    return tuple((by, document) for _, by, document in rows)
