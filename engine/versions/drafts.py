"""Drafts as they were before they were replaced, so that somebody who began with one of them can be told what others changed since.

The present draft is in the journey's own row. Of the ones before it the newest are kept; who began before all of them is compared with the oldest,
and asked about everything that may be theirs or somebody else's.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import delete
from sqlalchemy.orm import Session
from sqlmodel import col, select

from journeys import conflicts
from journeys.merge import Merged, Path, merge
from models import DraftRevision, Journey
from storage.sql import table

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
class Replaced:
    """A draft as it was, and who replaced it when."""

    by: str
    at: str
    packed: bytes


@dataclass(frozen=True, slots=True)
class Since:
    """What a draft has become since; no steps where nobody saved."""

    revision: int
    document: dict[str, Any]
    steps: tuple[Replaced, ...]
    """The oldest first."""
    older: bool = False
    """Somebody began with a draft before all these, which nobody has any more."""

    @property
    def is_news(self) -> bool:
        """Whether it has become something else at all."""
        return bool(self.steps) or self.older

    @property
    def base(self) -> dict[str, Any]:
        """The draft that somebody began with, or the oldest after it that is kept."""
        return unpacked(self.steps[0].packed) if self.steps else self.document

    @property
    def last(self) -> conflicts.Saved:
        """Who saved last."""
        return (self.steps[-1].by, self.steps[-1].at) if self.steps else conflicts.NOBODY

    def followed_by(self, draft: Mapping[str, Any], document: dict[str, Any]) -> Since:
        """What `draft` has become by the last of these, as `document`: for who worked on meanwhile."""
        by, at = self.last
        return Since(self.revision, document, (Replaced(by, at, packed(draft)),))

    def merged(self, mine: Mapping[str, Any], by: str, now: datetime, own: Collection[str] = ()) -> Merged:
        """The present draft with what `mine` made of `base`; what only a person can decide is noted in it. What was saved by the builders
        `own` (`ui.saved_in`) is an earlier state of `mine`, and no question."""
        found = merge(self.base, mine, self.document, older=self.older)
        changes = self._last_changes({one.path for one in found.conflicts})
        # A page is told by its saver, too: documents go from house to house with `saved_in` in them.
        asked = tuple(one for one in found.conflicts if changes[one.path][1] not in own or changes[one.path][0][0] != by)
        by_nobody = all(changes[one.path][0] == conflicts.NOBODY for one in asked)
        if by_nobody and not self.older:  # steps that nobody changed, behind one of one's own
            asked = ()
        earlier = [one for one in found.conflicts if one not in asked]
        document = conflicts.with_mine(found.document, earlier)
        over = {path: saved for path, (saved, _) in changes.items()}
        return Merged(conflicts.noted(document, asked, by, now.isoformat(), over), asked)

    def _last_changes(self, paths: Collection[Path]) -> dict[Path, tuple[conflicts.Saved, str]]:
        """(who changed that last and when, in which builder), by path. Each draft is unpacked once, and none before the last that is asked for."""
        found: dict[Path, tuple[conflicts.Saved, str]] = {}
        after = self.document
        for one in reversed(self.steps):
            open = [path for path in paths if path not in found]
            if not open:
                break
            before = unpacked(one.packed)
            saved_in = str((after.get("ui") or {}).get("saved_in") or "")
            found |= {path: ((one.by, one.at), saved_in) for path in open if _differ(before, after, path)}
            after = before
        return {path: found.get(path, (conflicts.NOBODY, "")) for path in paths}


def _differ(before: Mapping[str, Any], after: Mapping[str, Any], path: Path) -> bool:
    return bool(_state(before, path) != _state(after, path))


def _state(document: Mapping[str, Any], path: Path) -> Any:
    """What is at a path; of a whole step its edges, too."""
    value = conflicts.current(document, path)
    if path[0] != "nodes" or len(path) > 2:
        return value
    edges = [(edge["from"], edge.get("outlet", "next"), edge["to"]) for edge in document.get("edges") or ()]
    return value, {edge for edge in edges if path[1] in (edge[0], edge[2])}


def since(session: Session, journey: Journey, revision: int) -> Since | None:
    """None: that draft is of a database that was put back to an earlier state."""
    if revision > journey.revision:
        return None
    of = col(DraftRevision.revision)
    # On PostgreSQL somebody may have saved since `journey` was read: what they replaced is no part of how it came to be.
    wanted = select(DraftRevision).where(DraftRevision.journey_id == journey.id, of >= revision, of < journey.revision)
    rows = list(session.scalars(wanted.order_by(of)))
    older = [row.revision for row in rows] != list(range(revision, journey.revision))
    steps = tuple(Replaced(row.replaced_by, row.replaced_at.isoformat(), row.document) for row in rows)
    return Since(journey.revision, dict(journey.draft), steps, older)
