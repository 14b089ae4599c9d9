"""What is live now: compiled programs by version, and which journeys a trigger concerns.

Every transaction that depends on it compares one number in the database (`Freshness`) and reloads if it grew, so freshness
never hangs on a message between processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.calendar import Calendars
from crm.freshness import freshness, is_changing
from crm.sql import table
from engine.advance import exit_topics
from engine.clock import Clock
from journeys.compile import Program, compile_journey
from journeys.document import AttributeTrigger, EventTrigger, ScoreTrigger, Trigger
from journeys.document import Journey as Document
from journeys.nodes import Palette
from journeys.upgrade import upgrade
from models import Database, Journey, Version

JOURNEYS = "journeys"

journeys_table = table(Journey)
versions = table(Version)


@dataclass(frozen=True, slots=True)
class LiveJourney:
    """A journey with its published version. `state` is live, paused or stopped."""

    id: str
    key: str
    state: str
    version_id: str
    version_number: int
    program: Program
    exit_topics: frozenset[str]


@dataclass(frozen=True, slots=True)
class Index:
    """The live journeys at one freshness number, by id, by key, and by the event name their triggers hang on."""

    number: int = -1
    by_id: Mapping[str, LiveJourney] = field(default_factory=dict)
    by_key: Mapping[str, LiveJourney] = field(default_factory=dict)
    by_event: Mapping[str, list[tuple[LiveJourney, Trigger]]] = field(default_factory=dict)

    def state(self, journey_id: str) -> str:
        """live, paused or stopped."""
        live = self.by_id.get(journey_id)
        return live.state if live else "live"


@dataclass(slots=True)
class Engine:
    """What every engine function needs: the database, the clock, the palette of node kinds, and two caches.

    `effect_timeouts` maps a channel to the seconds one attempt may take (custom activities bring their own); `accounts` maps a channel
    to the provider account whose queue takes its calls. The first of `address_keys` hashes suppressed addresses, all are read.
    """

    db: Database
    clock: Clock
    palette: Palette
    address_keys: tuple[bytes, ...] = field(repr=False)
    effect_timeout_seconds: float = 15.0
    effect_timeouts: Mapping[str, float] = field(default_factory=dict)
    accounts: Mapping[str, str] = field(default_factory=dict)
    calendars: Calendars = field(default_factory=Calendars)
    _programs: dict[str, Program] = field(default_factory=dict)
    _index: Index = field(default_factory=Index)

    def program(self, session: Session, version_id: str) -> Program:
        """The compiled program of a version; compiled once per process (a version never changes)."""
        known = self._programs.get(version_id)
        if known is None:
            row = session.execute(select(versions.c.document, versions.c.pins).where(versions.c.id == version_id)).one()
            known = self._programs[version_id] = self._compile(row.document, row.pins)
        return known

    def index(self, session: Session) -> Index:
        """The live journeys as this transaction sees them."""
        number = freshness(session, JOURNEYS)
        if is_changing(session, JOURNEYS):
            return self._load(session, number)
        if number != self._index.number:
            self._index = self._load(session, number)
        return self._index

    def timeout_seconds(self, channel: str) -> float:
        return self.effect_timeouts.get(channel, self.effect_timeout_seconds)

    def _compile(self, document: dict[str, Any], pins: dict[str, Any]) -> Program:
        return compile_journey(Document.model_validate(upgrade(document)), self.palette, pins.get("behaviours", ()))

    def _load(self, session: Session, number: int) -> Index:
        rows = session.execute(
            select(journeys_table.c.id, journeys_table.c.key, journeys_table.c.state, versions.c.id.label("version_id"), versions.c.number)
            .join(versions, (versions.c.journey_id == journeys_table.c.id) & (versions.c.number == journeys_table.c.live_version))
            .order_by(journeys_table.c.key)
        ).all()
        journeys = [self._live(session, row) for row in rows]
        by_event: dict[str, list[tuple[LiveJourney, Trigger]]] = {}
        for live in journeys:
            for trigger in live.program.entry.triggers:
                if live.state != "stopped" and (name := trigger_event(trigger)):
                    by_event.setdefault(name, []).append((live, trigger))
        return Index(number, {live.id: live for live in journeys}, {live.key: live for live in journeys}, by_event)

    def _live(self, session: Session, row: Any) -> LiveJourney:
        program = self.program(session, row.version_id)
        return LiveJourney(row.id, row.key, row.state, row.version_id, row.number, program, exit_topics(program))


def trigger_event(trigger: Trigger) -> str | None:
    """The name of the event a trigger hangs on; None for those that the keeper or a person pulls."""
    match trigger:
        case EventTrigger(event=name):
            return name
        case AttributeTrigger():
            return "Contact Changed"
        case ScoreTrigger():
            return "Score Changed"
        case _:
            return None
