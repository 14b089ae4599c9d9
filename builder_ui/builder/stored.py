"""What the database holds of a journey when a builder opens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engine.versions import listing, publish
from journeys.errors import Issue, NotFound
from models import Journey, Version
from sqlalchemy.orm import Session
from sqlmodel import col, select

from builder_ui.builder import cards, lookups
from builder_ui.builder.lookups import Lookups
from builder_ui.kit import actor_names
from builder_ui.kit.context import PageContext


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database holds of the journey when the builder opens."""

    id: str
    key: str
    name: str
    state: str
    live_version: int | None
    revision: int
    document: dict[str, Any]
    issues: list[Issue]
    lookups: Lookups
    hints: cards.Hints
    versions: tuple[int, ...] = ()
    unpublished: bool = False
    """The stored draft is not what is live."""
    live_goal: bool = True
    """What is live has a goal."""
    since: datetime | None = None
    """When the journey was first published."""
    members: Mapping[str, str] = field(default_factory=dict)
    """Member id -> name."""


def fetch(context: PageContext) -> Stored:
    """Everything the builder begins with.

    Raises: NotFound.
    """
    with context.engine.db.read() as session:
        journey: Journey = publish.get_journey(session, context.arguments["key"])
        if journey.archived_at is not None:
            raise NotFound("This journey is archived.")
        issues = publish.check_draft(context.engine, session, journey.draft)
        known = lookups.load(session, context.t)
        hints = cards.hints(context.t, context.engine.palette, journey.draft)
        parts = (
            journey.id,
            journey.key,
            journey.name,
            journey.state,
            journey.live_version,
            journey.revision,
            dict(journey.draft),
        )
        live = context.engine.index(session).by_id.get(journey.id)
        return Stored(
            *parts,
            issues,
            known,
            hints,
            versions_of(session, journey),
            bool(listing.unpublished(session, [journey])),
            live is not None and live.program.goal is not None,
            listing.published_since(session, [journey.id]).get(journey.id),
            actor_names.member_names(session),
        )


def versions_of(session: Session, journey: Journey) -> tuple[int, ...]:
    """The newest, by number."""
    numbers = (
        select(Version.number)
        .where(Version.journey_id == journey.id)
        .order_by(col(Version.number).desc())
        .limit(200)
    )
    return tuple(session.scalars(numbers))
