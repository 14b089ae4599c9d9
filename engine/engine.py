"""What is live now: compiled programs by version, and which journeys a trigger concerns.

Every transaction that depends on it compares one number in the database (`Freshness`) and reloads if it grew, so freshness
never hangs on a message between processes.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.clock import Clock
from engine.interpreter.advance import exit_topics
from engine.tracing import NoTracing, Tracing
from journeys.compile import Program, compile_journey
from journeys.document import Entry
from journeys.document import Journey as Document
from journeys.errors import PfadwerkError
from journeys.nodes import Palette
from journeys.triggers import Trigger
from journeys.upgrade import upgrade
from models import Database, Journey, Restore, Version
from storage.freshness import freshness, is_changing
from storage.sql import table
from workspace import audit
from workspace.calendar import Calendars

log = logging.getLogger(__name__)

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


class NotLoaded(PfadwerkError):
    """This process cannot run a published version: it lacks a kind of step, or cannot read the document."""

    code = "journey_not_loaded"
    status = 503


@dataclass(frozen=True, slots=True)
class BrokenJourney:
    """A published journey that this process cannot load. `topics` are those its triggers hang on, None if not even they can be read."""

    id: str
    key: str
    state: str
    why: NotLoaded
    topics: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Hanging:
    """A trigger of a live journey; `place` orders them by the journey's key, then as the document has them."""

    place: int
    live: LiveJourney
    trigger: Trigger


@dataclass(frozen=True, slots=True)
class Index:
    """The published journeys at one freshness number, by id, by key, and by the topics their triggers hang on."""

    number: int = -1
    by_id: Mapping[str, LiveJourney] = field(default_factory=dict)
    by_key: Mapping[str, LiveJourney] = field(default_factory=dict)
    by_topic: Mapping[str, list[Hanging]] = field(default_factory=dict)
    broken: tuple[BrokenJourney, ...] = ()

    def state(self, journey_id: str) -> str:
        """live, paused or stopped."""
        live = self.by_id.get(journey_id) or self._broken(journey_id)
        return live.state if live else "live"

    def key(self, journey_id: str) -> str:
        """Of a published journey, empty for another."""
        live = self.by_id.get(journey_id) or self._broken(journey_id)
        return live.key if live else ""

    def hanging_on(self, topics: Collection[str]) -> list[Hanging]:
        """The triggers that hang on any of the topics, each once, in order."""
        found = {one.place: one for topic in topics for one in self.by_topic.get(topic, ())}
        return [found[place] for place in sorted(found)]

    def entered_by(self, topics: Collection[str]) -> list[BrokenJourney]:
        """The broken journeys that an event under these topics may start."""
        return [one for one in self.broken if one.state != "stopped" and (one.topics is None or not one.topics.isdisjoint(topics))]

    def id_of(self, key: str) -> str | None:
        """Of the published journey of this key, whether this process can load it or not."""
        live = self.by_key.get(key)
        return live.id if live else next((one.id for one in self.broken if one.key == key), None)

    def find(self, key: str) -> LiveJourney | None:
        """The published journey of this key.

        Raises: NotLoaded if this process cannot load it.
        """
        for one in self.broken:
            if one.key == key:
                raise one.why
        return self.by_key.get(key)

    def get(self, journey_id: str) -> LiveJourney | None:
        """The published journey of this id.

        Raises: NotLoaded if this process cannot load it.
        """
        broken = self._broken(journey_id)
        if broken is not None:
            raise broken.why
        return self.by_id.get(journey_id)

    def _broken(self, journey_id: str) -> BrokenJourney | None:
        return next((one for one in self.broken if one.id == journey_id), None)


@dataclass(frozen=True, slots=True)
class NewJourney:
    """What a journey begun on the pages is given where its document does not say."""

    timezone: str = "Europe/Berlin"
    hold_at_most: timedelta = timedelta(days=3)

    def fill(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The document with these settings written into it, so that it means the same wherever it is taken."""
        given = document.get("settings") or {}
        if not isinstance(given, Mapping):
            return dict(document)
        written = TypeAdapter(timedelta).dump_python(self.hold_at_most, mode="json")
        return {**document, "settings": {"timezone": self.timezone, "hold_at_most": written, **given}}


@dataclass(slots=True)
class Engine:
    """What every engine function needs: the database, the clock, the palette of node kinds, and two caches.

    `effect_timeouts` maps a channel to the seconds one attempt may take (custom activities bring their own); `accounts` maps a channel
    to the provider account whose queue takes its calls. `catch_up`: how far back schedules and dates that were missed are made up
    for. `new_journey` is filled into documents as people make them. The first of `address_keys` hashes suppressed addresses, all are read;
    the audit trail is sealed with keys that are derived from them, which every session of `db` carries from here on. `process_id` names the
    process among those that say that they are alive (`engine.presence`), empty in one that does not.
    """

    db: Database
    clock: Clock
    palette: Palette
    address_keys: tuple[bytes, ...] = field(repr=False)
    effect_timeout_seconds: float = 15.0
    effect_timeouts: Mapping[str, float] = field(default_factory=dict)
    accounts: Mapping[str, str] = field(default_factory=dict)
    catch_up: timedelta = timedelta(days=1)
    calendars: Calendars = field(default_factory=Calendars)
    new_journey: NewJourney = NewJourney()
    tracing: Tracing = field(default_factory=NoTracing)
    process_id: str = ""
    _programs: dict[str, Program] = field(default_factory=dict)
    _index: Index = field(default_factory=Index)
    _restored: bool | None = None

    def __post_init__(self) -> None:
        audit.bind(self.db, self.address_keys, lambda: self.clock.real_now())

    def program(self, session: Session, version_id: str) -> Program:
        """The compiled program of a version; compiled once per process (a version never changes).

        Raises: NotLoaded.
        """
        known = self._programs.get(version_id)
        if known is None:
            row = session.execute(select(versions.c.document, versions.c.pins).where(versions.c.id == version_id)).one()
            known = self._programs[version_id] = self._compiled(row.document, row.pins)
        return known

    def index(self, session: Session) -> Index:
        """The live journeys as this transaction sees them."""
        number = freshness(session, JOURNEYS)
        if is_changing(session, JOURNEYS):
            return self._load(session, number)
        if number != self._index.number:
            self._index = self._load(session, number)
        return self._index

    def was_restored(self, session: Session) -> bool:
        """Whether a backup was ever restored into this database. Asked once a process, since none lives through a restore."""
        if self._restored is None:
            self._restored = session.execute(select(table(Restore).c.id).limit(1)).first() is not None
        return self._restored

    def timeout_seconds(self, channel: str) -> float:
        return self.effect_timeouts.get(channel, self.effect_timeout_seconds)

    def _compiled(self, document: dict[str, Any], pins: dict[str, Any]) -> Program:
        behaviours = pins.get("behaviours", ())
        missing = sorted(set(behaviours) - self.palette.behaviours)
        if missing:
            raise NotLoaded("This process lacks the steps {steps}: install them here, too, and start it again.", steps=missing)
        try:
            return compile_journey(Document.model_validate(upgrade(document)), self.palette, behaviours)
        except Exception as error:
            raise NotLoaded("A published version cannot be read here ({error}).", error=type(error).__name__) from error

    def _load(self, session: Session, number: int) -> Index:
        rows = session.execute(
            select(journeys_table.c.id, journeys_table.c.key, journeys_table.c.state, versions.c.id.label("version_id"), versions.c.number)
            .join(versions, (versions.c.journey_id == journeys_table.c.id) & (versions.c.number == journeys_table.c.live_version))
            .order_by(journeys_table.c.key)
        ).all()
        loaded = [self._live(session, row) for row in rows]
        journeys = [one for one in loaded if isinstance(one, LiveJourney)]
        broken = tuple(one for one in loaded if isinstance(one, BrokenJourney))
        for one in broken:
            log.error("the journey %s cannot run in this process: %s", one.key, one.why)
        return Index(number, {live.id: live for live in journeys}, {live.key: live for live in journeys}, _by_topic(journeys), broken)

    def _live(self, session: Session, row: Any) -> LiveJourney | BrokenJourney:
        try:
            program = self.program(session, row.version_id)
        except NotLoaded as error:
            return BrokenJourney(row.id, row.key, row.state, error, _entry_topics(session, row.version_id))
        return LiveJourney(row.id, row.key, row.state, row.version_id, row.number, program, exit_topics(program))


def _by_topic(journeys: Iterable[LiveJourney]) -> dict[str, list[Hanging]]:
    running = [(live, trigger) for live in journeys if live.state != "stopped" for trigger in live.program.entry.triggers]
    found: dict[str, list[Hanging]] = {}
    for place, (live, trigger) in enumerate(running):
        for topic in trigger.topics():
            found.setdefault(topic, []).append(Hanging(place, live, trigger))
    return found


def _entry_topics(session: Session, version_id: str) -> frozenset[str] | None:
    """What the triggers of a journey hang on, read without its steps; None if that fails, too."""
    document = session.execute(select(versions.c.document).where(versions.c.id == version_id)).scalar_one()
    try:
        entry = Entry.model_validate(upgrade(document)["entry"])
    except (ValueError, LookupError, TypeError, PfadwerkError):
        return None
    return frozenset(topic for trigger in entry.triggers for topic in trigger.topics())
