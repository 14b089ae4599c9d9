"""How journeys stand in lists: filters, order, pages, folders, tags, and the numbers on their cards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import Session, defer
from sqlmodel import col

from engine.versions.publish import differs, get_journey
from journeys.errors import Invalid, Issue
from models import Journey, Run, Version
from storage import tally
from storage.json_sql import has_text
from storage.json_values import clean_text
from storage.sql import table
from workspace.audit import record

runs = table(Run)
MOST_TAGS = 20
TAG_CHARACTERS = 40
FOLDER_CHARACTERS = 120
HALTED = ("held", "stuck", "quarantined")

ORDERS: dict[str, tuple[Any, bool]] = {
    "name": (func.lower(col(Journey.name)), False),
    "key": (col(Journey.key), False),
    "changed": (col(Journey.updated_at), True),
    "created": (col(Journey.created_at), True),
}
"""Order -> what is compared, and whether the greatest comes first."""


@dataclass(frozen=True, slots=True)
class JourneyFilter:
    """Which journeys to list; every filter that is given must fit. `text`: part of the name or the key; `folder` None: any, "": none."""

    text: str = ""
    state: str | None = None
    folder: str | None = None
    tag: str | None = None
    archived: bool = False
    order: str = "name"


@dataclass(frozen=True, slots=True)
class ShelfPage:
    """Journeys without their drafts. `next_after` is the id to go on after, None on the last page."""

    journeys: list[Journey]
    next_after: str | None


@dataclass(frozen=True, slots=True)
class Numbers:
    """A journey in numbers; `halted`: held, stuck and quarantined runs by status, those that are there."""

    whole: tally.Counts = field(default_factory=tally.Counts)
    halted: dict[str, int] = field(default_factory=dict)

    @property
    def stuck(self) -> int:
        return self.halted.get("stuck", 0) + self.halted.get("quarantined", 0)

    @property
    def held(self) -> int:
        return self.halted.get("held", 0)

    @property
    def active(self) -> int:
        return self.whole.inside - self.stuck - self.held

    def by_status(self) -> dict[str, int]:
        """Runs by status, and `goals`; whatever is zero is left out, but for `goals`."""
        found = {"active": self.active, **self.halted, "ended": self.whole.ended}
        return {**{status: count for status, count in found.items() if count}, "goals": self.whole.goal}


def page(session: Session, filter: JourneyFilter, *, after: str | None = None, limit: int = 60) -> ShelfPage:
    """The next journeys after the one with the id `after`."""
    compared, falling = ORDERS.get(filter.order, ORDERS["name"])
    statement: Select[Any] = select(Journey).where(*_fits(filter)).options(defer(Journey.draft))  # type: ignore[arg-type]
    if after:
        statement = statement.where(_behind(session, compared, falling, after))
    order = (compared.desc(), col(Journey.id).desc()) if falling else (compared, col(Journey.id))
    found = list(session.scalars(statement.order_by(*order).limit(limit + 1)))
    return ShelfPage(found[:limit], found[limit - 1].id if len(found) > limit else None)


def _behind(session: Session, compared: ColumnElement[Any], falling: bool, after: str) -> ColumnElement[bool]:
    """What comes behind a journey; behind one that is gone comes everything."""
    value = session.execute(select(compared).where(col(Journey.id) == after)).scalar()
    if value is None:
        return col(Journey.id).is_not(None)
    if falling:
        return or_(compared < value, and_(compared == value, col(Journey.id) < after))
    return or_(compared > value, and_(compared == value, col(Journey.id) > after))


def by_state(session: Session, filter: JourneyFilter) -> dict[str, int]:
    """How many journeys fit, by state, whatever state is wanted."""
    fits = _fits(filter, any_state=True)
    counted = select(col(Journey.state), func.count()).where(*fits).group_by(col(Journey.state))
    return {str(state): int(count) for state, count in session.execute(counted)}


def _fits(filter: JourneyFilter, *, any_state: bool = False) -> list[Any]:
    archived = col(Journey.archived_at)
    fits: list[Any] = [archived.is_not(None) if filter.archived else archived.is_(None)]
    if filter.text:
        fits.append(
            or_(col(Journey.name).icontains(filter.text, autoescape=True), col(Journey.key).icontains(filter.text, autoescape=True))
        )
    if filter.state and not any_state:
        fits.append(col(Journey.state) == filter.state)
    if filter.folder is not None:
        fits.append(col(Journey.folder) == filter.folder)
    if filter.tag:
        fits.append(has_text(table(Journey).c.tags, filter.tag))
    return fits


def labels(session: Session) -> tuple[list[str], list[str]]:
    """The folders and the tags in use, sorted."""
    rows = session.execute(select(col(Journey.folder), col(Journey.tags)).where(col(Journey.archived_at).is_(None))).all()
    folders = {folder for folder, _ in rows if folder}
    return sorted(folders, key=str.lower), sorted({tag for _, tags in rows for tag in tags}, key=str.lower)


def numbers(session: Session, journey_ids: Sequence[str]) -> dict[str, Numbers]:
    """Journey id -> its numbers: two statements for a whole page, whatever went through the journeys."""
    if not journey_ids:
        return {}
    halted: dict[str, Counter[str]] = {id: Counter() for id in journey_ids}
    statement = (
        select(runs.c.journey_id, runs.c.status, func.count())
        .where(runs.c.journey_id.in_(journey_ids), runs.c.status.in_(HALTED))
        .group_by(runs.c.journey_id, runs.c.status)
    )
    for id, status, count in session.execute(statement):
        halted[id][status] = count
    return {id: Numbers(whole, dict(halted[id])) for id, whole in tally.read_all(session, journey_ids).items()}


_differing: dict[tuple[str, int, int], bool] = {}
"""(journey, revision of its draft, live version) -> whether they differ, as far as this process has compared them."""
MOST_COMPARED = 5_000


def unpublished(session: Session, journeys: Sequence[Journey]) -> set[str]:
    """The ids of those whose draft behaves otherwise than what is live; none of them was asked for its draft before."""
    keys = {(one.id, one.revision, one.live_version) for one in journeys if one.live_version is not None}
    fresh = [key for key in keys if key not in _differing]
    if fresh:
        if len(_differing) > MOST_COMPARED:
            _differing.clear()
        statement = (
            select(col(Journey.id), col(Journey.revision), col(Journey.live_version), col(Journey.draft), col(Version.digest))
            .join(Version, and_(col(Version.journey_id) == Journey.id, col(Version.number) == Journey.live_version))
            .where(col(Journey.id).in_([id for id, *_ in fresh]))
        )
        for id, revision, number, draft, live in session.execute(statement):
            _differing[id, revision, number] = differs(draft, live)
    return {key[0] for key in keys if _differing.get(key)}


def published_since(session: Session, journey_ids: Sequence[str]) -> dict[str, datetime]:
    """Journey id -> when its first version was published, which is when its numbers begin."""
    of = col(Version.journey_id)
    firsts = select(of, func.min(col(Version.published_at))).where(of.in_(journey_ids)).group_by(of)
    return {str(id): first for id, first in session.execute(firsts)}


def put_away(session: Session, journey_id: str, folder: str, tags: Sequence[str], by: str) -> Journey:
    """Says in which folder a journey lies, and its tags; doubled and empty ones are left out. Neither draft nor versions are touched.

    Raises: NotFound; Invalid if something is too long, or there are too many tags.
    """
    folder, kept = clean_text(folder).strip(), list(dict.fromkeys(filter(None, (clean_text(tag).strip() for tag in tags))))
    _check(folder, kept)
    journey = get_journey(session, journey_id, locked=True)
    journey.folder, journey.tags = folder, kept
    session.add(journey)
    session.flush()
    record(session, by, "journey.put_away", f"journey:{journey.id}", {"folder": folder, "tags": kept})
    return journey


def _check(folder: str, tags: Sequence[str]) -> None:
    issues = []
    if len(folder) > FOLDER_CHARACTERS:
        issues.append(Issue(code="too_long", text="A folder has at most 120 characters.", field="folder"))
    if len(tags) > MOST_TAGS:
        issues.append(Issue(code="too_many", text="A journey has at most 20 tags.", field="tags"))
    if any(len(tag) > TAG_CHARACTERS or "," in tag for tag in tags):
        issues.append(Issue(code="too_long", text="A tag has at most 40 characters and no comma.", field="tags"))
    if issues:
        raise Invalid("{problem}", issues, problem=issues[0])
