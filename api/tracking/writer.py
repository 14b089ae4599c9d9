"""The batching writer: one thread that turns accepted calls into rows, many requests to a transaction.

A request hands in its calls and is answered after they are committed: acknowledged is stored. Where something that nobody foresaw
goes wrong, calls are written one by one, the event first: what it should have set off is then owed (`engine.enrolment.unrouted`) and done by
the keeper. What cannot be stored is not acknowledged. While one transaction runs the next batch piles up, so
batches grow with the load and an idle server answers at once. One transaction takes at most `MAX_ROWS` calls and keeps their
order: identity, profile, events, then routing. What a crash leaves out after the commit (wake-ups, starts) the keeper repeats.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol, TypeVar, cast

from sqlalchemy import and_, bindparam, or_, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from api.http.errors import BUSY, FULL, READ_ONLY, UNFORESEEN, Unavailable, is_busy, is_out_of_space, is_unstorable, takes_nothing
from api.tracking.calls import TrackingCall
from api.tracking.trust import MAX_LISTED, left_out, write_fields
from crm.catalogue import Learner
from crm.companies import group
from crm.consent.consent import Evidence, record_consent
from crm.people import devices, touches
from crm.people.coercion import COERCED, Types, fit_event, types_of
from crm.people.identity import ResolvedContact, alias, find, resolve_batch
from crm.people.visitors import NEEDS_SERVER
from engine.engine import Engine
from engine.enrolment.routing import route
from engine.enrolment.unrouted import ALL, owe
from engine.temporal.wakeups import Wakeups
from journeys.errors import Invalid, where
from journeys.topics import LEAD_SOURCE_CHANGED
from models import Contact, Event, new_id
from storage import company_marks, segment_marks
from storage.events import Row, event_row, insert_events
from storage.identifiers import Name
from storage.sql import savepoint, table
from workspace.intake import Intake
from workspace.time_zones import is_zone

log = logging.getLogger("pfadwerk.ingest")

PROFILE_CALLS = frozenset({"identify", "group", "alias"})
MAX_ROWS = 500
"""Rows of one transaction, so that it stays near 20 ms and steps of runs are not kept waiting."""
PROFILE_ROWS = 10
"""What a call that writes a profile counts for: it costs about ten plain events."""
ATTEMPTS = 5
SEEN_EVERY = timedelta(minutes=1)
"""`last_seen_at` is written this often at most per contact."""


Told = tuple[str, str, str, str, str]
Rest = TypeVar("Rest")


class Waker(Protocol):
    """Tells Temporal what a transaction decided; never raises."""

    async def wake(self, wakeups: Wakeups) -> None: ...


@dataclass(slots=True)
class WriteResult:
    """What became of a request's calls: `stored` new events, `repeated` ones known before, `refused` the database did not take for what they
    hold."""

    stored: int = 0
    repeated: int = 0
    refused: int = 0


@dataclass(slots=True)
class _Request:
    """Calls of one request on their way through the queue; `left` counts those that no transaction has finished."""

    left: int
    future: asyncio.Future[WriteResult]
    written: WriteResult = field(default_factory=WriteResult)
    error: Exception | None = None


@dataclass(slots=True)
class Counts:
    """What the writer did since it started, for the metrics page."""

    stored: int = 0
    repeated: int = 0
    refused: int = 0
    failed: int = 0
    careful: int = 0
    transactions: int = 0
    busy_seconds: float = 0.0


class Writer:
    """One thread, one database connection. `submit` from the event loop; `stop` writes what is left."""

    def __init__(self, engine: Engine, waker: Waker | None, loop: asyncio.AbstractEventLoop, max_backlog: int = 20_000) -> None:
        self.engine = engine
        self.counts = Counts()
        self.max_backlog = max_backlog
        self._waker = waker
        self._loop = loop
        self._queue: deque[tuple[TrackingCall, _Request]] = deque()
        self._arrived = threading.Condition()
        self._stopping = False
        self._wakes: set[asyncio.Task[None]] = set()
        self._learner = Learner()
        self.intake = Intake(engine.db, engine.clock.now)
        self._thread = threading.Thread(target=self._work, name="ingest-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Writes everything that was handed in, then ends the thread; blocks meanwhile."""
        with self._arrived:
            self._stopping = True
            self._arrived.notify()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def backlog(self) -> int:
        """Calls that wait."""
        return len(self._queue)

    def has_room(self, calls: int) -> bool:
        """Whether so many more calls may wait; an empty queue takes any request."""
        waiting = len(self._queue)
        return waiting == 0 or waiting + calls <= self.max_backlog

    async def submit(self, calls: Sequence[TrackingCall]) -> WriteResult:
        """Returns after all calls are committed.

        Raises:
            Unavailable: the database could not take (some of) them; sending all again is safe, because events are known by message id.
        """
        if not calls:
            return WriteResult()
        request = _Request(len(calls), self._loop.create_future())
        with self._arrived:
            if self._stopping:
                raise Unavailable("The server is stopping; send this again.")
            self._queue.extend((call, request) for call in calls)
            self._arrived.notify()
        return await request.future

    def _work(self) -> None:
        while chunk := self._take():
            started = time.perf_counter()
            wakeups = self._write(chunk)
            self.counts.busy_seconds += time.perf_counter() - started
            self._answer(chunk, wakeups)

    def _take(self) -> list[tuple[TrackingCall, _Request]]:
        """The next calls for one transaction; waits for some, empty when stopping."""
        with self._arrived:
            while not self._queue and not self._stopping:
                self._arrived.wait()
            return next_chunk(self._queue)

    def _write(self, chunk: list[tuple[TrackingCall, _Request]]) -> Wakeups:
        """Writes a chunk, call by call if it cannot be written as a whole."""
        try:
            written, wakeups = self._transaction([call for call, _ in chunk])
        except Unavailable as error:
            return self._failed(chunk, error)
        except Exception as error:  # noqa: BLE001 - whatever one event sets off, the thread lives on for the others
            log.warning("%d events failed (%s); writing them one by one", len(chunk), type(error).__name__)
            wakeups = Wakeups()
            for call, request in chunk:
                wakeups.add(self._write_careful(call, request))
            return wakeups
        for (_, request), new in zip(chunk, written, strict=True):
            self._stored(request, new)
        return wakeups

    def _write_careful(self, call: TrackingCall, request: _Request) -> Wakeups:
        """One event, which is stored whatever it sets off; refused if the database cannot hold it, else the sender keeps it."""
        try:
            (new,), wakeups = self._transaction([call], careful=True)
        except Unavailable as error:
            return self._failed([(call, request)], error)
        except Exception as error:  # noqa: BLE001 - the thread lives on for the others
            # frames only: the text of an error may hold what people are called
            log.error("an event cannot be stored: %s\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
            if not is_unstorable(error):
                return self._failed([(call, request)], Unavailable(UNFORESEEN))
            self.intake.note(call.key_id, "refused", call.row["name"], "", "unstorable")
            request.written.refused += 1
            self.counts.refused += 1
            return Wakeups()
        self.counts.careful += 1
        self._stored(request, new)
        return wakeups

    def _stored(self, request: _Request, new: bool) -> None:
        request.written.stored += new
        request.written.repeated += not new
        self.counts.stored += new
        self.counts.repeated += not new

    def _failed(self, chunk: Sequence[tuple[TrackingCall, _Request]], error: Unavailable) -> Wakeups:
        for _, request in chunk:
            request.error = error
        self.counts.failed += len(chunk)
        return Wakeups()

    def _transaction(self, calls: Sequence[TrackingCall], *, careful: bool = False) -> tuple[list[bool], Wakeups]:
        """One transaction, repeated while the database is only busy.

        Raises:
            Unavailable: it is full, away or busy for long, or takes nothing from us.
        """
        for attempt in range(ATTEMPTS):
            try:
                told: list[Told] = []
                with self.engine.db.write() as session:
                    done = store(self.engine, session, calls, self.engine.clock.now(), self._learner, careful=careful, told=told)
                for one in told:
                    self.intake.note(*one)
                self.counts.transactions += 1
                return done
            except DBAPIError as error:
                if is_out_of_space(error):
                    raise Unavailable(FULL) from error
                if takes_nothing(error):
                    log.error("the database takes nothing from this server: %s", type(error.orig).__name__)
                    raise Unavailable(READ_ONLY) from error
                if not is_busy(error):
                    raise
                time.sleep(0.05 * 2**attempt)
        raise Unavailable(BUSY)

    def _answer(self, chunk: Sequence[tuple[TrackingCall, _Request]], wakeups: Wakeups) -> None:
        finished: list[_Request] = []
        for _, request in chunk:
            request.left -= 1
            if request.left == 0:
                finished.append(request)
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._finish, finished, wakeups)

    def _finish(self, finished: Sequence[_Request], wakeups: Wakeups) -> None:
        """On the event loop: answers, then wakes the runs."""
        for request in finished:
            if request.future.done():
                continue  # the sender went away; its events are stored all the same
            if request.error is not None:
                request.future.set_exception(request.error)
            else:
                request.future.set_result(request.written)
        if wakeups and self._waker is not None:
            task = self._loop.create_task(self._waker.wake(wakeups))
            self._wakes.add(task)
            task.add_done_callback(self._wakes.discard)


def next_chunk(queue: deque[tuple[TrackingCall, Rest]]) -> list[tuple[TrackingCall, Rest]]:
    """Takes the calls of the next transaction from the left of `queue`.

    A person's profile may not change after one of that person's events in the same transaction, because routing sees the profile as it is
    at the end: such a call waits for the next one, so every event meets the profile that its sender meant. An alias goes alone.
    """
    chunk: list[tuple[TrackingCall, Rest]] = []
    acted: set[tuple[str, str]] = set()
    weight = 0
    while queue and weight < MAX_ROWS:
        call = queue[0][0]
        writes_profile = call.type in PROFILE_CALLS
        if writes_profile and chunk and (call.type == "alias" or not acted.isdisjoint(call.names)):
            break
        chunk.append(queue.popleft())
        if call.type == "alias":
            break
        if not writes_profile:
            acted.update(call.names)
        weight += PROFILE_ROWS if writes_profile else 1
    return chunk


def store(
    engine: Engine,
    session: Session,
    calls: Sequence[TrackingCall],
    now: datetime,
    learner: Learner,
    *,
    careful: bool = False,
    told: list[Told] | None = None,
) -> tuple[list[bool], Wakeups]:
    """Writes calls in the caller's transaction. Returns for each whether its event is new, and what to wake after the commit.

    The number of statements does not grow with the number of plain events. `careful`: the events and what they say about people are
    stored even if everything after that fails; what they should have set off is then owed. Into `told` goes what was left out or kept as it
    came, for `workspace.intake`.
    """
    repeated = _repeated(session, calls)
    taken = [_ResolvedCall(call, contact) for call, contact in _resolved(session, calls, repeated, now) if contact is not None]
    types = types_of(session)
    for entry in taken:
        entry.fit(types)
        entry.derived = [*entry.contact.events, *_write_profile(session, entry, now)]
    _join_companies(session, taken, now)
    came = _note_touches(session, taken, now)
    ids = insert_events(session, [*(entry.row() for entry in taken), *(row for _, row in came)])
    for entry, event_id in zip(taken, ids, strict=False):
        entry.event_id = event_id
    for (entry, row), event_id in zip(came, ids[len(taken) :], strict=True):
        entry.came = None if event_id is None else _stored(event_id, row)
    routing = _to_route(session, taken)
    wakeups = Wakeups(runs={run_id for entry in taken for run_id in entry.contact.to_wake})
    if careful:
        for extra in (partial(_note_seen, session, taken, now), partial(_learn, session, learner, taken, now)):
            _if_possible(session, extra)
        wakeups.add(_route_or_owe(engine, session, routing, now))
    else:
        _note_seen(session, taken, now)
        _learn(session, learner, taken, now)
        wakeups.add(route(engine, session, routing, now))
    if told is not None:
        told += [one for entry in taken if entry.call.key_id for one in entry.told()]
    new = {id(entry.call) for entry in taken if entry.event_id is not None}
    return [id(call) in new for call in calls], wakeups


@dataclass(slots=True)
class StoredEvent:
    """What routing reads of an `Event` that was inserted as a plain row: building the model object took longer than inserting it."""

    id: int
    contact_id: str
    type: str
    name: str
    properties: dict[str, Any]
    occurred_at: datetime
    received_at: datetime
    hops: int = 0
    backfill: bool = False
    source: str = ""
    """Empty: it came from outside."""
    trace: str | None = None


@dataclass(slots=True)
class _ResolvedCall:
    """A call with its contact, the events that its profile part set off, and the id of its own event (None: known before)."""

    call: TrackingCall
    contact: ResolvedContact
    derived: list[Event] = field(default_factory=list)
    event_id: int | None = None
    came: StoredEvent | None = None
    """That it changed how its contact came."""
    refused: dict[str, str] = field(default_factory=dict)
    """What the sender may not say, and why; kept with the event."""
    unfit: Mapping[str, str] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)
    """Contact fields that were left out or stay as they came: field -> reason."""

    def fit(self, types: Types) -> None:
        """Properties in the types of the catalogue; a repeated transaction finds them fitted already."""
        row = self.call.row
        fitted = fit_event(types, row["name"], row["properties"])
        row["properties"], self.unfit = fitted.values, fitted.unfit

    def told(self) -> list[Told]:
        """Key, what became of it, event, field and reason of everything that is not stored as it came, or not in its type."""
        key_id, name = self.call.key_id, self.call.row["name"]
        kept = [(key_id, "kept", name, path, type) for path, type in self.unfit.items()]
        return kept + [(key_id, "kept" if why in COERCED else "left_out", name, path, why) for path, why in self.fields.items()]

    def row(self) -> Row:
        row = {**self.call.row, "contact_id": self.contact.contact_id}
        if self.refused:
            row["properties"] = {**row["properties"], "refused": dict(list(self.refused.items())[:MAX_LISTED])}
        return row


def _repeated(session: Session, calls: Sequence[TrackingCall]) -> set[tuple[str, str]]:
    """Which of the calls that write profiles were stored before: an old profile must not come back with a repeated request.
    Plain events need no question, the unique key answers it."""
    ids: dict[str, list[str]] = {}
    for call in calls:
        if call.type in PROFILE_CALLS:
            ids.setdefault(call.row["source"], []).append(call.row["message_id"])
    if not ids:
        return set()
    events = table(Event)
    # the unique key leads with the source: asked for the message alone, the database would read every event
    terms = [and_(events.c.source == source, events.c.message_id.in_(of_source)) for source, of_source in sorted(ids.items())]
    known = session.execute(select(events.c.source, events.c.message_id).where(or_(*terms)))
    return {(source, message_id) for source, message_id in known}


def _resolved(
    session: Session, calls: Sequence[TrackingCall], repeated: set[tuple[str, str]], now: datetime
) -> list[tuple[TrackingCall, ResolvedContact | None]]:
    fresh: list[TrackingCall] = []
    for call in calls:
        key = (call.row["source"], call.row["message_id"])
        if key not in repeated:
            fresh.append(call)
        if call.type in PROFILE_CALLS:
            repeated.add(key)  # the same call twice in one batch
    if len(fresh) == 1 and fresh[0].previous_id is not None and fresh[0].trusted:
        return [(fresh[0], alias(session, _previous(session, fresh[0].previous_id), fresh[0].names[0], now))]
    visitors = {number for number, call in enumerate(fresh) if not call.trusted}
    history = {number for number, call in enumerate(fresh) if call.row["backfill"]}
    found = resolve_batch(session, [call.names for call in fresh], now, visitors=visitors, history=history)
    return list(zip(fresh, found, strict=True))


def _previous(session: Session, previous_id: str) -> Name:
    """An alias does not say what kind of id the former one is: a known user id, else an anonymous id."""
    known = find(session, ("user_id", previous_id))
    return ("user_id" if known else "anonymous_id", previous_id)


def _write_profile(session: Session, entry: _ResolvedCall, now: datetime) -> list[Event]:
    call, contact_id = entry.call, entry.contact.contact_id
    changes: list[Event | None] = []
    if call.type in PROFILE_CALLS:
        entry.refused |= left_out(session, call, entry.contact)
    if fields := _fields(call):
        changed = write_fields(session, call, entry.contact, fields, now)
        entry.refused |= changed.refused
        entry.fields |= changed.told
        changes.append(changed.event)
    for said in call.consents:
        changes.append(
            record_consent(
                session,
                contact_id,
                said["channel"],
                said["purpose"],
                said["state"],
                now,
                evidence=_evidence(call, said),
                source=said["source"],
                said_at=said["said_at"] or call.row["occurred_at"],
                wording=said["wording"],
                proof={"message_id": call.row["message_id"], "key": call.row["source"]},
            )
        )
    if call.device is not None:
        entry.refused |= _note_device(session, call, contact_id, now)
    return [event for event in changes if event is not None]


def _join_companies(session: Session, taken: Sequence[_ResolvedCall], now: datetime) -> None:
    """What group calls say of companies, after all contacts: they are locked first."""
    calls = [entry for entry in taken if entry.call.type == "group"]
    for source in sorted({entry.call.row["source"] for entry in calls}):
        theirs = [entry for entry in calls if entry.call.row["source"] == source]
        for entry, joined in zip(theirs, group.join(session, [_group_call(one) for one in theirs], now, source), strict=True):
            entry.derived += joined.events
            entry.refused |= joined.refused


def _group_call(entry: _ResolvedCall) -> group.Call:
    call, row = entry.call, entry.call.row
    group_id = row["properties"]["group_id"]
    return group.Call(entry.contact.contact_id, str(group_id), call.traits, trusted=call.trusted, silent=row["backfill"], hops=row["hops"])


def _note_device(session: Session, call: TrackingCall, contact_id: str, now: datetime) -> dict[str, str]:
    """An app's token goes to the contact; why it does not. A key in an app can be read by anybody, who would then get that contact's messages:
    with one an app registers by itself, and with a contact token. Apps send their token with every call, so a known one costs one look."""
    if not call.trusted:
        return {"device": NEEDS_SERVER}
    assert call.device is not None
    kind, token = call.device
    if devices.is_known(session, contact_id, token, now):
        return {}
    try:
        devices.register(session, contact_id, devices.Registration(cast(devices.Kind, kind), token), now, source=call.row["source"])
    except Invalid:
        return {"device": "wrong_type"}
    return {}


def _note_touches(session: Session, taken: Sequence[_ResolvedCall], now: datetime) -> list[tuple[_ResolvedCall, Row]]:
    """How the contacts came, in two statements; none where no call says so and nobody is new. Returns the events that are to be stored, each with
    the last call of its contact."""
    said = [(entry, touch) for entry in taken if (touch := entry.call.touch or _made(entry)) is not None]
    if not said:
        return []
    joined = {entry.contact.contact_id for entry in taken if entry.contact.merged}
    new = {entry.contact.contact_id for entry in taken if entry.contact.created} - joined
    changes = touches.record_all(session, [(entry.contact.contact_id, touch) for entry, touch in said], new)
    for silent in (False, True):
        told = [entry.contact.contact_id for entry, _ in said if entry.contact.created and entry.call.row["backfill"] is silent]
        touches.mark_new(session, told, now, silent=silent)
    last = {entry.contact.contact_id: entry for entry, _ in said}
    return [(last[contact_id], _told_touch(last[contact_id], change, now)) for contact_id, change in changes.items()]


def _made(entry: _ResolvedCall) -> touches.Touch | None:
    """The touch of a contact that a call made without telling how somebody came: a server brought it, or a browser of which nothing is known."""
    if not entry.contact.created:
        return None
    row = entry.call.row
    return touches.made_by(row["source"], row["occurred_at"]) if entry.call.trusted else touches.Touch("direct", row["occurred_at"])


def _told_touch(entry: _ResolvedCall, change: touches.Change, now: datetime) -> Row:
    call = entry.call.row
    row = event_row(
        "system",
        LEAD_SOURCE_CHANGED,
        touches.told(change),
        received_at=now,
        source="system",
        message_id=new_id(),
        hops=call["hops"],
        backfill=call["backfill"],
    )
    return {**row, "contact_id": entry.contact.contact_id}


def _fields(call: TrackingCall) -> dict[str, Any]:
    """What a call says about the profile of its contact."""
    if call.type == "identify":
        return call.traits
    if call.type == "group":
        return {f"group.{name}": value for name, value in {**call.traits, "id": call.row["properties"]["group_id"]}.items()}
    return {}


def _evidence(call: TrackingCall, said: dict[str, Any]) -> Evidence:
    if not call.trusted:
        return Evidence.UNAUTHENTICATED
    return Evidence.DATED if said["said_at"] else Evidence.UNDATED


def _to_route(session: Session, taken: Sequence[_ResolvedCall]) -> list[Event]:
    """What is new, in the order of the calls: first what a call changed, then its own event."""
    events: list[Event] = []
    for entry in taken:
        call = entry.call.row
        for event in entry.derived:
            event.routed, event.backfill, event.hops = True, call["backfill"], max(event.hops, call["hops"])
        events += entry.derived
        if entry.came is not None and not call["backfill"]:
            events.append(cast(Event, entry.came))
        if entry.event_id is not None and not call["backfill"]:
            events.append(cast(Event, _stored(entry.event_id, {**call, "contact_id": entry.contact.contact_id})))
    session.flush()
    return events


def _stored(event_id: int, row: Row) -> StoredEvent:
    named = ("contact_id", "type", "name", "properties", "occurred_at", "received_at", "hops", "backfill")
    return StoredEvent(event_id, **{name: row[name] for name in named}, trace=row["trace"])


def _route_or_owe(engine: Engine, session: Session, events: Sequence[Event], now: datetime) -> Wakeups:
    """Routes with care; if not even that begins, all of it is owed."""
    try:
        with savepoint(session):
            return route(engine, session, events, now, careful=True)
    except Exception as error:  # noqa: BLE001 - the events stand, whatever keeps them from being routed
        refuse_if_away(error)
        for event in events:
            assert event.id is not None
            if not event.backfill:
                owe(session, event.id, ALL, where(error), now)
        return Wakeups()


def _if_possible(session: Session, work: Callable[[], None]) -> None:
    """Does what may be left out: the next call makes up for it."""
    try:
        with savepoint(session):
            work()
    except Exception as error:  # noqa: BLE001 - see above
        refuse_if_away(error)
        log.error("left out: %s", where(error))


def refuse_if_away(error: Exception) -> None:
    """Raises the error again if it means that the transaction is lost, savepoint or not."""
    if isinstance(error, DBAPIError) and (error.connection_invalidated or is_busy(error) or is_out_of_space(error) or takes_nothing(error)):
        raise error


def _learn(session: Session, learner: Learner, taken: Sequence[_ResolvedCall], now: datetime) -> None:
    """Names and types that the catalogue does not know yet; for traffic that is known this is a look into a set."""
    for entry in taken:
        learner.see_event(entry.call.row["name"], entry.call.row["properties"])
        if entry.call.type == "identify":
            learner.see_fields(entry.call.traits)
    learner.learn(session, now)


def _note_seen(session: Session, taken: Sequence[_ResolvedCall], now: datetime) -> None:
    """Remembers that the contacts were here, once a minute at most; zone and locale of the sender's machine count while no better is known."""
    seen = sorted({entry.contact.contact_id for entry in taken if not entry.call.row["backfill"]})
    if seen:
        session.execute(_SEEN, {"ids": seen, "now": now, "stale": now - SEEN_EVERY})
    hints = {entry.contact.contact_id: entry.call for entry in taken if entry.contact.created or entry.call.type == "identify"}
    zones = [{"of": contact, "zone": call.zone} for contact, call in hints.items() if call.zone and is_zone(call.zone)]
    locales = [{"of": contact, "locale": call.locale} for contact, call in hints.items() if call.locale]
    if zones:
        session.execute(_FIRST_ZONE, zones)
    if locales:
        session.execute(_FIRST_LOCALE, locales)
    company_marks.mark_seen(session, seen, now)
    for ids, name in ((seen, "last_seen_at"), ([one["of"] for one in zones], "timezone"), ([one["of"] for one in locales], "locale")):
        segment_marks.mark(session, ids, (f"field:{name}",), now)


_contacts = table(Contact)
_SEEN = (
    update(_contacts)
    .where(
        _contacts.c.id.in_(bindparam("ids", expanding=True)),
        or_(_contacts.c.last_seen_at.is_(None), _contacts.c.last_seen_at < bindparam("stale", type_=_contacts.c.last_seen_at.type)),
    )
    .values(last_seen_at=bindparam("now"))
)
_FIRST_ZONE = update(_contacts).where(_contacts.c.id == bindparam("of"), _contacts.c.timezone.is_(None)).values(timezone=bindparam("zone"))
_FIRST_LOCALE = update(_contacts).where(_contacts.c.id == bindparam("of"), _contacts.c.locale.is_(None)).values(locale=bindparam("locale"))
