"""What an act would bring about at once, before it is done: enrolling people, moving runs to another version, publishing a draft.

Whether somebody enters is asked of `engine.enrolment.entry`, where they get to of `engine.interpreter.forecast` (which is `advance`), whether a message may leave of
`activities.sending.gate`, and whether it can be written of the performer that sends it: what the engine asks, in the same order. Nothing is locked and
nothing is written, so what changes between the look and the act changes the outcome. Of many people a sample is judged (`Limits`), drawn by
lot, and the answer says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from activities.providers.provider import Answer, DeliveryCheck, Outgoing
from activities.sending import gate, merged, twins
from activities.sending.handler import CannotPrepare, Draft, Job, Person
from activities.sending.messages import MessageHandler, MessageSettings
from crm.people.contacts import MAX_COUNTED, ContactFilter
from crm.rules.sql_facts import SqlFacts
from engine.clock import Clock
from engine.engine import Engine, LiveJourney
from engine.enrolment import manual, schedules
from engine.enrolment.entry import is_held_out, refusal
from engine.interpreter.advance import exit_topics
from engine.interpreter.forecast import RUN_ID, Course, Forecast, Foreseen, Made, course, made_by_nobody
from engine.interpreter.gate import Former, Hold, Pass, Refuse, Twin, Verdict
from engine.interpreter.overlay import Overlay
from engine.interpreter.state import State
from engine.runs.rows import read_inbox
from engine.versions import migrate, publish
from journeys.channels import ADDRESSED, SENDABLE, address_of
from journeys.compile import Program, compile_journey
from journeys.errors import Invalid
from journeys.reading import read
from journeys.runkeys import run_key
from journeys.values import Call, Performed, Received, RunInfo
from models import Contact, Migration, Run, Version
from storage import tally
from storage.locks import person_of
from storage.sql import table
from workspace import stopped_accounts

AHEAD = timedelta(hours=24)
"""How far a publication looks ahead for what the clock sets off."""
LOOKS = 20
"""Stretches of contacts that a clock trigger is looked through for."""
TOO_DEAR = frozenset({"render_too_long", "render_too_large"})
OFTEN = 2
"""A template that took too much so often is not filled in again."""

contacts = table(Contact)
runs = table(Run)


@dataclass(frozen=True, slots=True)
class Limits:
    """How many are judged while somebody waits: of up to `everybody` each, some milliseconds apiece, of more people `sample`. What filters
    find is counted up to `counted`."""

    everybody: int = 1_000
    sample: int = 500
    counted: int = MAX_COUNTED


LIMITS = Limits()
PAGE = 50
"""Of everybody so many are judged at a time, where nobody waits for it."""


@dataclass(slots=True)
class SoFar:
    """What was found of those who were judged already, and which `mailboxes` that several contacts share got something."""

    found: Forecast = field(default_factory=Forecast)
    mailboxes: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Forecaster:
    """Asks on behalf of one reader; serves one act and then goes."""

    engine: Engine
    messaging: MessageSettings
    limits: Limits = LIMITS

    # Enrolling

    def enrolment(self, session: Session, journey_id: str, whom: manual.Whom, now: datetime) -> Forecast:
        """What `by_hand.enrol_page` would come to for everybody who is meant.

        Raises: Conflict if the journey was never published; RenderBusy.
        """
        live = manual.published(self.engine, session, journey_id)
        ids, count = draw_people(
            self.limits,
            manual.fitting(session, whom, now, "", self.limits.everybody + 1),
            lambda: manual.count_of(session, whom, now, self.limits.counted),
            lambda size, of: manual.some_of(session, whom, now, size, of),
        )
        found = self._entering(session, live, _pinned(session, live), [(id, now, {}) for id in ids], count)
        found.at_least = isinstance(whom, ContactFilter) and count > self.limits.counted
        return found

    def enrolment_of(self, session: Session, journey_id: str, contact_ids: Sequence[str], now: datetime) -> Forecast:
        """The same for these contacts, the first of them if there are more than `limits.everybody`.

        Raises: as `enrolment`.
        """
        live = manual.published(self.engine, session, journey_id)
        people = dict.fromkeys(person_of(session, id) for id in contact_ids)
        return self._entering(
            session, live, _pinned(session, live), [(id, now, {}) for id in list(people)[: self.limits.everybody]], len(people)
        )

    def _entering(
        self, session: Session, live: LiveJourney, pins: Mapping[str, int], whom: Sequence[tuple[str, datetime, dict[str, Any]]], count: int
    ) -> Forecast:
        """`whom`: contact, when, and what stands for the properties of an event."""
        found, mail = Forecast(population=count, stopped=_stopped(session)), _Mail(self, session, live.program, pins)
        self._judge_entries(session, live, mail, whom, found, count / len(whom) if whom else 1.0)
        return found

    def _judge_entries(
        self,
        session: Session,
        live: LiveJourney,
        mail: _Mail,
        whom: Sequence[tuple[str, datetime, dict[str, Any]]],
        found: Forecast,
        share: float,
    ) -> None:
        """`share`: for how many each of them stands."""
        for contact_id, at, data in whom:
            key = run_key(live.program.entry.reentry.key, data)
            refused = refusal(self.engine, session, live, contact_id, at, data, key, besides=round(found.begins * share))
            if refused is not None:
                found.refuse(contact_id, refused.reason)
            elif is_held_out(live, contact_id):
                found.hold_out(contact_id)
            else:
                found.begin(contact_id, self._entered(session, live, contact_id, at, data, key, mail))

    def enrolment_page(
        self, session: Session, journey_id: str, version: int, whom: manual.Whom, now: datetime, after_id: str, so_far: SoFar
    ) -> str | None:
        """Judges the next contacts after `after_id`, each of them, on top of what was found so far; answers where to go on (None: that was all).

        Raises: Conflict if another version is live than the one that was looked at; RenderBusy.
        """
        live = manual.published(self.engine, session, journey_id, version)
        ids = manual.fitting(session, whom, now, after_id, PAGE)
        so_far.found.stopped = _stopped(session)
        mail = _Mail(self, session, live.program, _pinned(session, live), so_far.mailboxes)
        self._judge_entries(session, live, mail, [(id, now, {}) for id in ids], so_far.found, 1.0)
        return ids[-1] if len(ids) == PAGE else None

    def _entered(
        self, session: Session, live: LiveJourney, contact_id: str, at: datetime, data: dict[str, Any], key: str, mail: _Mail
    ) -> Course:
        run = RunInfo(RUN_ID, contact_id, live.key, at, key, data)
        facts = Foreseen(SqlFacts(session, contact_id, run, as_of=at, calendars=self.engine.calendars), run)
        facts.happens("Journey Entered", {"version": live.version_number}, at)
        row = _Planned(f"{RUN_ID}:{contact_id}", contact_id, live.id, live.version_id, live.version_number, RUN_ID, data, at)
        return course(live.program, facts, State(), run, at, mail.gate_of(row, at), paused=live.state == "paused")

    # Moving

    def move(
        self, session: Session, journey_id: str, from_version: int, to_version: int, node_map: Mapping[str, str], now: datetime
    ) -> Forecast:
        """What a migration would bring about: those who stay are `refused` (`no_target`, `in_flight`).

        Raises: as `migrate.preview`; RenderBusy.
        """
        targets = migrate.targets_of(self.engine, session, journey_id, from_version, to_version, node_map)
        journey = publish.get_journey(session, journey_id)
        version = publish.get_version(session, journey.id, to_version)
        ids, count = draw_people(
            self.limits,
            migrate.open_page(session, journey.id, from_version, "", self.limits.everybody + 1),
            lambda: migrate.preview(self.engine, session, journey_id, from_version, to_version, node_map).open_runs,
            lambda size, of: migrate.some_open(session, journey.id, from_version, size, of),
        )
        found = Forecast(population=count, stopped=_stopped(session))
        mail = _Mail(self, session, self.engine.program(session, version.id), version.pins.get("templates", {}))
        for few in (ids[start : start + 100] for start in range(0, len(ids), 100)):
            self._judge_moves(session, few, targets, version, mail, now, found)
        return found

    def _judge_moves(
        self,
        session: Session,
        ids: Sequence[str],
        targets: Mapping[str, str],
        version: Version,
        mail: _Mail,
        now: datetime,
        found: Forecast,
    ) -> None:
        for row in session.execute(select(runs).where(runs.c.id.in_(ids)).order_by(runs.c.id)):
            stays = migrate.why_it_stays(row, targets)
            if stays is not None:
                found.refuse(row.contact_id, stays)
            else:
                found.begin(row.contact_id, self._moved(session, row, targets[row.node], version, mail, now))

    def move_page(
        self,
        session: Session,
        journey_id: str,
        from_version: int,
        to_version: int,
        node_map: Mapping[str, str],
        now: datetime,
        after_id: str,
        so_far: SoFar,
    ) -> str | None:
        """As `enrolment_page`, of the runs that a migration would come to.

        Raises: as `migrate.preview`; RenderBusy.
        """
        targets = migrate.targets_of(self.engine, session, journey_id, from_version, to_version, node_map)
        version = publish.get_version(session, journey_id, to_version)
        ids = migrate.open_page(session, journey_id, from_version, after_id, PAGE)
        so_far.found.stopped = _stopped(session)
        mail = _Mail(self, session, self.engine.program(session, version.id), version.pins.get("templates", {}), so_far.mailboxes)
        self._judge_moves(session, ids, targets, version, mail, now, so_far.found)
        return ids[-1] if len(ids) == PAGE else None

    def back(self, session: Session, migration: Migration, now: datetime) -> Forecast:
        """What taking a migration back would bring about: those who have moved on since are `refused` (`moved_on`).

        Raises: RenderBusy.
        """
        version = publish.get_version(session, migration.journey_id, migration.from_version)
        ids, count = draw_people(
            self.limits,
            migrate.moved_page(session, migration.id, "", self.limits.everybody + 1),
            lambda: migration.moved,
            lambda size, of: migrate.some_moved(session, migration.id, size, of),
        )
        found = Forecast(population=count, stopped=_stopped(session))
        mail = _Mail(self, session, self.engine.program(session, version.id), version.pins.get("templates", {}))
        for few in (ids[start : start + 100] for start in range(0, len(ids), 100)):
            for one in migrate.as_before(session, migration, few):
                if one.still_there:
                    heard = read_inbox(session, one.run.id, migration.created_at)  # in the other place, and so read once more
                    found.begin(one.run.contact_id, self._standing(session, one.run, one.state, heard, version, mail, now))
                else:
                    found.refuse(one.run.contact_id, "moved_on")
        return found

    def _moved(self, session: Session, row: Row[Any], target: str, version: Version, mail: _Mail, now: datetime) -> Course:
        state = State.from_json(migrate.moved_state(row.state, target))
        return self._standing(session, row, state, read_inbox(session, row.id), version, mail, now)

    def _standing(
        self, session: Session, row: Row[Any], there: State, received: Sequence[Received], version: Version, mail: _Mail, now: datetime
    ) -> Course:
        """Where a run goes on from a state in a version."""
        state = self.engine.index(session).state(row.journey_id)
        if state == "stopped":
            return Course(node=there.node, ended="stopped")
        run = RunInfo(row.id, row.contact_id, mail.program.key, row.since or row.started_at, row.run_key, row.trigger, row.trigger_event_id)
        facts = Foreseen(SqlFacts(session, row.contact_id, run, as_of=now, calendars=self.engine.calendars), run)
        planned = _Planned(row.id, row.contact_id, row.journey_id, version.id, version.number, row.occasion, row.trigger, row.started_at)
        return course(
            mail.program,
            facts,
            there,
            run,
            now,
            mail.gate_of(planned, now),
            received,
            made=_made_of(session, row, mail.program, now, self.engine.clock),
            paused=state == "paused" or row.status == "quarantined",
        )

    # Publishing

    def publication(
        self,
        session: Session,
        journey_id: str,
        now: datetime,
        document: Mapping[str, Any] | None = None,
        passed: frozenset[str] | None = None,
    ) -> Publication:
        """What publishing the draft, or another document as its next version, would bring about in the next `AHEAD`. `passed`: problems that do not
        keep it from being published (None: those that it shares with the newest version).

        Raises: NotFound; Invalid with the problems that keep it from being published; RenderBusy.
        """
        journey = publish.get_journey(session, journey_id)
        document = journey.draft if document is None else document
        newest = publish.newest_version(session, journey.id)
        passed = publish.passed_over(document, newest) if passed is None else passed
        found = publish.check_draft(self.engine, session, document, passed)
        errors = [issue for issue in found if issue.severity == "error"]
        if errors:
            raise Invalid("{problem}", errors, problem=errors[0])
        program = compile_journey(read(document), self.engine.palette)
        pins = publish.pins_of(session, program)
        same = newest is not None and not publish.differs(document, newest.digest) and newest.pins == pins
        number = (newest.number if newest else 0) + (not same)
        state = "paused" if journey.state == "paused" else "live"
        live = LiveJourney(journey.id, journey.key, state, "", number, program, exit_topics(program))
        inside = {version: one.inside for version, one in tally.by_version(session, journey.id).items() if one.inside}
        ahead = schedules.coming(session, live, now, now + AHEAD)
        return Publication(number, state, inside, self._coming(session, live, pins["templates"], ahead))

    def _coming(self, session: Session, live: LiveJourney, pins: Mapping[str, int], ahead: Sequence[schedules.Coming]) -> list[Occurrence]:
        """One for each trigger: of a date, all zones together."""
        by_trigger: dict[str, list[schedules.Coming]] = {}
        for one in ahead:
            by_trigger.setdefault(one.trigger.model_dump_json(), []).append(one)
        return [self._occurrence(session, live, pins, those) for those in by_trigger.values()]

    def _occurrence(self, session: Session, live: LiveJourney, pins: Mapping[str, int], those: Sequence[schedules.Coming]) -> Occurrence:
        whom, looks, most = list[tuple[str, datetime, dict[str, Any]]](), LOOKS, self.limits.everybody
        ends = True
        for one in those:
            after: str | None = ""
            while after is not None and looks and len(whom) <= most:
                found, after = one.look(session, after, most + 1 - len(whom))
                whom += [(id, one.at, data) for id, data in found]
                looks -= 1
            ends = ends and after is None and len(whom) <= most
        judged = whom[:most]
        forecast = self._entering(session, live, pins, judged, len(judged))
        trigger = those[0].trigger
        return Occurrence(trigger.type, trigger.coming, those[0].at, those[-1].at, at_least=not ends, forecast=forecast)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """What a clock trigger (`trigger`: its kind) sets off next, from `at` (in the first zone) to `last_at`. `heading`: a message id that
    says so. `at_least`: there are more people than were looked at."""

    trigger: str
    heading: str
    at: datetime
    last_at: datetime
    at_least: bool
    forecast: Forecast


@dataclass(frozen=True, slots=True)
class Publication:
    """What a publication brings: the version's number, the `state` of the journey after it, version -> contacts who stay on it, and what the
    clock sets off next. Publishing itself enrols no one and sends nothing."""

    version: int
    state: str
    inside: dict[int, int]
    coming: list[Occurrence]


# Who is judged


def draw_people(
    limits: Limits, first: Sequence[str], count: Callable[[], int], some: Callable[[int, int], Sequence[str]]
) -> tuple[Sequence[str], int]:
    """Whom to judge, in the order of ids, and of how many: `first` if those are all, else a sample of them from `some(size, of)`."""
    if len(first) <= limits.everybody:
        return first, len(first)
    of = count()
    return sorted(some(limits.sample, of)), of


def _stopped(session: Session) -> list[str]:
    return [row.account for row in stopped_accounts.listed(session)]


def _pinned(session: Session, live: LiveJourney) -> Mapping[str, int]:
    pins: Mapping[str, int] = publish.get_version(session, live.id, live.version_number).pins.get("templates", {})
    return pins


# What another run has made already


def _made_of(session: Session, row: Row[Any], program: Program, now: datetime, clock: Clock) -> Made:
    """As a claim asks it: what runs that this one excludes have made of the same call."""
    contact = session.execute(merged.contact_of, merged.asking_for(row)).first()
    if contact is None or not contact.has_others:
        return made_by_nobody

    def made(state: State) -> Performed | Hold | None:
        match merged.made_by_others(session, row, state.node, state.visit, merged.window_of(program)):
            case merged.Made(outlet=outlet, data=data):
                return Performed(outlet=outlet, data=data)
            case merged.Underway(lease_until=until):
                return Hold(max(clock.to_virtual(until), now + merged.AGAIN), merged.UNDERWAY)
        return None

    return made


# Their messages


@dataclass(frozen=True, slots=True)
class _Planned:
    """Stands for the row of a run that is not there yet, or not yet like this."""

    id: str
    contact_id: str
    journey_id: str
    version_id: str
    version_number: int
    occasion: str
    trigger: Mapping[str, Any]
    started_at: datetime


class _Nobody:
    """A provider for messages that are written and judged, and go nowhere."""

    name = "nobody"
    channels = frozenset(SENDABLE)
    delivery_check: DeliveryCheck = "blind"
    remembers = timedelta(0)
    reaches_people = False
    reaches: frozenset[str] = frozenset()
    timeout_seconds = 0.0

    def send(self, message: Outgoing) -> Answer:
        raise AssertionError("a forecast sends nothing")

    def lookup(self, once_key: str) -> Answer | None:
        return None

    def verify(self) -> None:
        """Nothing to check."""

    def close(self) -> None:
        """Nothing to give up."""


@dataclass(slots=True)
class _Writer(MessageHandler):
    """Writes a message with the changes of the walk that nobody has stored, and in a version that may not be published."""

    pinned: Mapping[str, int] = field(default_factory=dict)
    changed: Mapping[str, Any] = field(default_factory=dict)

    def pins(self, session: Session, version_id: str) -> dict[str, Any]:
        return {"templates": self.pinned}

    def contact(self, session: Session, job: Job) -> Person | None:
        found = MessageHandler.contact(self, session, job)
        if found is None or not self.changed:
            return found
        columns = {name: value for name, value in self.changed.items() if name in contacts.c}
        others = {name: value for name, value in self.changed.items() if name not in contacts.c}
        values = dict(cast("Row[Any]", found)._mapping)
        return Contact(**{**values, **columns, "attributes": {**values["attributes"], **others}})


class _Mail:
    """The messages of one act: what one of them takes, another has not."""

    def __init__(
        self, forecaster: Forecaster, session: Session, program: Program, pins: Mapping[str, int], shared: set[str] | None = None
    ) -> None:
        """`shared`: mailboxes of several contacts that got something; grows."""
        self.session = session
        self.program = program
        self._messaging = forecaster.messaging
        self._clock = forecaster.engine.clock
        self._writers = {channel: _Writer(self._messaging, _Nobody(), channel, pinned=pins) for channel in SENDABLE}
        self._shared = set() if shared is None else shared
        self._mailboxes = set(self._shared)
        self._too_dear: Counter[tuple[str, str]] = Counter()

    def gate_of(self, row: _Planned, now: datetime) -> Callable[[Call, State, Overlay], Verdict]:
        """The gate for one walk, which remembers what has left in it."""
        left: list[Former] = []
        return lambda call, state, overlay: self._ask(row, call, state, overlay, now, left)

    def _ask(self, row: _Planned, call: Call, state: State, overlay: Overlay, now: datetime, left: list[Former]) -> Verdict:
        """As a claim: what cannot be written is skipped, then the gate is asked."""
        writer = self._writers[call.channel]
        writer.changed = overlay.changed
        job = Job(cast("Row[Any]", row), self.program, state, call, 0, now, self._clock)
        draft = self._written(writer, job)
        if isinstance(draft, str):
            return Refuse(draft)
        contact = writer.contact(self.session, job)
        wanted = writer.wanted(self.session, job, draft)
        address = address_of(contact, call.channel) if contact is not None else None
        mailbox = writer.mailbox_key(job, address)
        twin = (
            Twin()
            if mailbox in self._mailboxes
            else twins.holder_of(self.session, mailbox, wanted.message_id, self._clock)
            if mailbox
            else None
        )
        verdict = gate.ask(self.session, contact, wanted, self._messaging.address_keys, now, twin, left)
        if isinstance(verdict, Pass):
            left.append(Former(wanted.cap_class, now, wanted.channel, wanted.purpose))
            self._note(mailbox, call.channel, address)
        hold_at_most = self.program.settings.hold_at_most
        if isinstance(verdict, gate.Hold) and (verdict.alone or verdict.until) > now + hold_at_most:
            return Refuse(f"held_too_long_{verdict.reason}")
        return verdict

    def _note(self, mailbox: str | None, channel: str, address: str | None) -> None:
        """A mailbox gets something. Those of one contact alone nobody asks for again."""
        if mailbox is None:
            return
        self._mailboxes.add(mailbox)
        column = contacts.c[ADDRESSED[channel]]
        several = self.session.execute(select(contacts.c.id).where(column == address, contacts.c.merged_into.is_(None)).limit(2)).all()
        self._shared.update([mailbox] if len(several) > 1 else [])

    def _written(self, writer: _Writer, job: Job) -> Draft | str:
        """The message, or why it cannot be written. What took too much for some is not tried for everybody."""
        for code in TOO_DEAR:
            if self._too_dear[job.state.node, code] >= OFTEN:
                return code
        try:
            return writer.prepare(self.session, job)
        except CannotPrepare as error:
            self._too_dear[job.state.node, error.code] += error.code in TOO_DEAR
            return error.code
