"""`step`: the only way a run moves. One transaction, numbered; the first committed result wins.

Asked at the run's own number it consumes the inbox, advances, applies the changes and stores the next instruction under n+1.
Asked above or below it writes nothing: retries and doubled local activities get the stored instruction, a database older than
its workflows (restored from a backup) gets its run quarantined. It never raises for a journey's mistake: the run is stuck, with
the reason, and waits for the wake-up that follows the fix.
"""

from __future__ import annotations

import logging
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Row, bindparam, delete, false, insert, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from crm.rules.sql_facts import SqlFacts
from engine.engine import Engine
from engine.interpreter.advance import Advanced, Note, advance
from engine.interpreter.state import Effect, Instruction, State
from engine.runs.apply import apply_changes
from engine.runs.delivery import is_heard
from engine.temporal.wakeups import Wakeups
from journeys.calls import activity_of, queue_of
from journeys.errors import NotFound, PfadwerkError
from journeys.values import Do, End, Performed, Received, RunInfo
from models import Contact, Event, Inbox, Run, Subscription, Trail, lock
from storage import held_messages, tally
from storage.events import genuine, insert_events
from storage.run_rows import milestone
from storage.run_trail import note_beside
from storage.sql import on, savepoint, table

log = logging.getLogger(__name__)

runs = table(Run)
inbox = table(Inbox)
subscriptions = table(Subscription)
trail = table(Trail)
events = table(Event)
contacts = table(Contact)

_run = select(runs).where(runs.c.id == bindparam("run_id"))
_contact_of = select(runs.c.contact_id).where(runs.c.id == bindparam("run_id"))
_heard = (
    select(events.c.id, events.c.name, events.c.properties, events.c.occurred_at, inbox.c.arrived_at)
    .join(inbox, inbox.c.event_id == events.c.id)
    .where(inbox.c.run_id == bindparam("run_id"), genuine(events.c))
    .order_by(inbox.c.arrived_at, events.c.id)
)
_waiting = _heard.where(inbox.c.consumed == false())
_heard_since = _heard.where((inbox.c.consumed == false()) | (inbox.c.arrived_at >= bindparam("since")))
_traces = select(events.c.trace).where(events.c.id.in_(bindparam("ids", expanding=True)), events.c.trace.is_not(None))
_mail = select(inbox.c.event_id).where(inbox.c.run_id == bindparam("run_id"), inbox.c.consumed == false()).limit(1)
_consume = update(inbox).where(inbox.c.run_id == bindparam("of_run"), inbox.c.consumed == false()).values(consumed=True)
_update_run = update(runs).where(runs.c.id == bindparam("run_id"))
_insert_trail = insert(trail)
_insert_subscriptions = insert(subscriptions)
_unsubscribe_from = delete(subscriptions).where(subscriptions.c.run_id == bindparam("of_run"), subscriptions.c.why == bindparam("of_why"))
_keep_only_goal = delete(subscriptions).where(subscriptions.c.run_id == bindparam("of_run"), subscriptions.c.why != "goal")

STUCK = ("stuck", "quarantined")
"""Waits for a person; as `models.STUCK_RUN`."""
WAIT_FOR_SIGNAL: Instruction = {"op": "wait", "step": 0, "until": None}


@dataclass(frozen=True, slots=True)
class Moved:
    """What a step answers: the instruction for the workflow, and what else must be told to Temporal after the commit. `outcome`: how an
    effect ended with it (a message's status); "" if none did."""

    instruction: Instruction
    wakeups: Wakeups
    outcome: str = ""


def step(engine: Engine, run_id: str, number: int, as_of: datetime) -> Moved:
    """Moves the run if it is due, in one transaction of its own.

    `as_of` is the workflow's time (virtual in staging). Safe to repeat at any time, in any process. A run that is not there (the database
    was restored from a time before it) waits for its wake-up, like any that the database is behind of.

    Raises: database errors, after which nothing was written.
    """
    with engine.db.write() as session:
        try:
            row = lock_run(session, run_id)
        except NotFound:
            return Moved({**WAIT_FOR_SIGNAL, "step": number}, Wakeups())
        if row.step != number or row.ended_at is not None:
            return Moved(fenced(session, row, number, as_of), Wakeups())
        return move(engine, session, row, as_of)


def lock_run(session: Session, run_id: str) -> Row[Any]:
    """The run's row, with its contact locked first and then itself. A merge may give the run another contact meanwhile; then again.

    Raises: NotFound.
    """
    if is_sqlite(session):
        row = on(session).execute(_run, {"run_id": run_id}).first()
        if row is None:
            raise NotFound("There is no such run.", run_id=run_id)
        return row
    while True:
        contact_id = on(session).execute(_contact_of, {"run_id": run_id}).scalar()
        if contact_id is None:
            raise NotFound("There is no such run.", run_id=run_id)
        lock_contact(session, contact_id)
        row = on(session).execute(lock(session, _run), {"run_id": run_id}).one()
        if row.contact_id == contact_id:
            return row


def lock_contact(session: Session, contact_id: str) -> None:
    """Takes the contact's row, which is the lock for all that happens to that person. SQLite has locked the file already."""
    if not is_sqlite(session):
        on(session).execute(select(contacts.c.id).where(contacts.c.id == contact_id).with_for_update())


def is_sqlite(session: Session) -> bool:
    """Whether the write transaction has locked the whole database already, so that no row needs a lock of its own."""
    return session.get_bind().dialect.name == "sqlite"


def fenced(session: Session, row: Row[Any], number: int, as_of: datetime) -> Instruction:
    """The stored instruction, for somebody who asks with another number. Below it the database is older than the workflow: never guess."""
    if row.step < number and row.ended_at is None:
        halt(session, row, as_of, "quarantined", "database_behind", f"expected step {number}, the database is at {row.step}", asked=number)
        return {**WAIT_FOR_SIGNAL, "step": number}
    return cast(Instruction, row.instruction)


def move(engine: Engine, session: Session, row: Row[Any], as_of: datetime, performed: Performed | None = None) -> Moved:
    """Advances a locked, open run. The caller has checked its number.

    A paused journey holds what comes due; exits still act. An error in a node leaves the run stuck at the same place, its inbox unread.
    """
    index = engine.index(session)
    if index.state(row.journey_id) == "stopped":
        return _written(engine, session, row, _stopped(row), as_of, Wakeups())
    paused = index.state(row.journey_id) == "paused" or row.status == "quarantined"
    performed = performed or _kept(row)
    try:
        received = read_inbox(session, row.id)
        as_of = max([as_of, *(event.arrived_at for event in received)])  # a rule must see the event whose wake-up is used up here
        advanced = _advance(engine, session, row, as_of, received, performed)
        if paused and advanced.moved and not advanced.exited:
            return Moved(halt(session, row, as_of, "held", "paused", performed=performed), Wakeups())
        if paused and not advanced.moved and row.status != "active":
            return Moved({**WAIT_FOR_SIGNAL, "step": row.step}, Wakeups())  # a wake-up alone lets nobody go on
        wakeups = _consume_and_apply(engine, session, row, received, advanced, as_of)
        _link_heard(engine, session, row.id, received)
        _note_resumed(session, row, advanced, paused, as_of)
    except DBAPIError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a node or a custom kind raises must not take the run down with it
        about = {"run_id": row.id, "node": row.node, "journey": index.key(row.journey_id) or ""}
        log.warning("run %s is stuck at node %s: %s", row.id, row.node, type(error).__name__, extra=about)
        return Moved(halt(session, row, as_of, "stuck", type(error).__name__, _told(error), performed=performed), Wakeups())
    return _written(engine, session, row, advanced, as_of, wakeups)


def _written(engine: Engine, session: Session, row: Row[Any], advanced: Advanced, as_of: datetime, wakeups: Wakeups) -> Moved:
    """Stores where `advance` led. A run that ends while its message is held lets those behind it go."""
    instruction = write(engine, session, row, advanced, as_of)
    if isinstance(advanced.answer, End):
        for run_id in held_messages.close(session, row, "run_ended", as_of):
            wakeups.wake(run_id)
    return Moved(instruction, wakeups)


def _note_resumed(session: Session, row: Row[Any], advanced: Advanced, paused: bool, as_of: datetime) -> None:
    """A run that nobody let go on by name goes on: its journey was resumed, or what it stumbled over is gone."""
    if row.status != "active" and not paused and not advanced.exited:
        note_beside(session, row, "resumed", as_of, {"reason": "journey_resumed" if row.status == "held" else "tried_again"})


def _advance(
    engine: Engine, session: Session, row: Row[Any], as_of: datetime, received: Sequence[Received], performed: Performed | None
) -> Advanced:
    """Reads only."""
    run = run_info(engine, session, row)
    facts = SqlFacts(session, row.contact_id, run, as_of=as_of, calendars=engine.calendars)
    return advance(engine.program(session, row.version_id), facts, State.from_json(row.state), run, as_of, received, performed)


def _consume_and_apply(
    engine: Engine, session: Session, row: Row[Any], received: Sequence[Received], advanced: Advanced, as_of: datetime
) -> Wakeups:
    """Both or neither. What the changes put into this run's own inbox is for the next step."""
    if not received and not advanced.changes:
        return Wakeups()
    with savepoint(session):
        if received:
            on(session).execute(_consume, {"of_run": row.id})
        return apply_changes(engine, session, row, advanced.changes, as_of)


def _kept(row: Row[Any]) -> Performed | None:
    """A result that came back from outside while the run could not move on."""
    kept = row.state.get("performed")
    return Performed.model_validate(kept) if kept else None


def _stopped(row: Row[Any]) -> Advanced:
    return Advanced(State.from_json(row.state), End(reason="stopped"), trail=(Note(row.node, "ended", detail={"reason": "stopped"}),))


def read_inbox(session: Session, run_id: str, since: datetime | None = None) -> list[Received]:
    """What lies unread in the run's inbox, in order of arrival; with what arrived `since` then, read or not."""
    statement = _waiting if since is None else _heard_since
    rows = on(session).execute(statement, {"run_id": run_id} | ({} if since is None else {"since": since})).all()
    return [Received(id=r.id, name=r.name, properties=r.properties, occurred_at=r.occurred_at, arrived_at=r.arrived_at) for r in rows]


def _link_heard(engine: Engine, session: Session, run_id: str, received: Sequence[Received]) -> None:
    """Events that a run heard come from traces of their own: a span of the run's trace leads to each."""
    if not engine.tracing.on or not received:
        return
    heard = on(session).execute(_traces, {"ids": [event.id for event in received]})
    with engine.tracing.span("hear", run_id=run_id, events=len(received), links=[trace for (trace,) in heard]):
        pass


def has_mail(session: Session, run_id: str) -> bool:
    """Whether something lies unread in the run's inbox."""
    return on(session).execute(_mail, {"run_id": run_id}).first() is not None


def run_info(engine: Engine, session: Session, row: Row[Any]) -> RunInfo:
    """The run as nodes and facts see it."""
    program = engine.program(session, row.version_id)
    since = row.since or row.started_at
    return RunInfo(row.id, row.contact_id, program.journey.key, since, row.run_key, row.trigger, row.trigger_event_id)


def write(engine: Engine, session: Session, row: Row[Any], advanced: Advanced, as_of: datetime) -> Instruction:
    """Stores where `advance` led, under the next step number, and returns the instruction. A wait that goes on keeps number and row."""
    due_at = advanced.wake_at or _expected_by(engine, advanced, as_of)
    if not advanced.moved and row.status == "active" and (isinstance(advanced.answer, Do) or row.due_at == due_at):
        return cast(Instruction, row.instruction)
    number = row.step + 1
    instruction = instruct(engine, advanced, number)
    ended = isinstance(advanced.answer, End)
    values: dict[str, Any] = {
        "step": number,
        "instruction": instruction,
        "state": advanced.state.to_json(),
        "status": "ended" if ended else "active",
        "node": advanced.state.node,
        "node_entered_at": advanced.state.entered_at,
        "due_at": due_at,
        "reason": advanced.answer.reason if isinstance(advanced.answer, End) else "",
        "error": "",
        "updated_at": as_of,
    }
    if ended:
        values["ended_at"] = as_of
    on(session).execute(_update_run, {"run_id": row.id, **values})
    write_trail(session, row.id, row.version_id, number, as_of, advanced.trail)
    _count(session, row, advanced, ended, as_of)
    listen(session, row, advanced, ended)
    if isinstance(advanced.answer, End):
        _tell_end(engine, session, row, advanced.answer.reason, as_of)
    return instruction


def _tell_end(engine: Engine, session: Session, row: Row[Any], reason: str, as_of: datetime) -> None:
    heard = is_heard(engine, session, row.contact_id, "Journey Ended")
    key = engine.index(session).key(row.journey_id) or engine.program(session, row.version_id).key
    number, trace = row.version_number, engine.tracing.here()
    ended = milestone("Journey Ended", row.id, row.contact_id, key, number, as_of, reason=reason, hops=row.hops, heard=heard, trace=trace)
    insert_events(session, [ended])


def _count(session: Session, row: Row[Any], advanced: Advanced, ended: bool, as_of: datetime) -> None:
    """Tallies what the step did: nodes entered and left, and where the run stands now."""
    changes = tallied(advanced.trail, row.node, "" if ended else advanced.state.node, ended)
    tally.append(session, row.journey_id, row.version_number, changes, as_of)


def tallied(notes: Sequence[Note], before: str, after: str, ended: bool) -> Counter[tally.Key]:
    """What notes of a trail add to the tally of a run that stood `before` and stands `after` them (empty: nowhere)."""
    changes: Counter[tally.Key] = Counter()
    for note in notes:
        if note.node and note.what in ("entered", "placed", "left"):
            changes[note.node, note.what, note.outlet if note.what == "left" else ""] += 1
    changes[before, "waiting", ""] -= bool(before)
    changes[after, "waiting", ""] += bool(after)
    changes["", "ended", ""] += ended
    return changes


def _expected_by(engine: Engine, advanced: Advanced, as_of: datetime) -> datetime | None:
    """When a call should be done: past that the keeper looks whether anybody is at it."""
    if not isinstance(advanced.answer, Do):
        return None
    return as_of + timedelta(seconds=2 * engine.timeout_seconds(advanced.answer.call.channel))


def look_again(number: int, now: datetime) -> Instruction:
    """Sends the workflow straight back to the step: the row was rewritten."""
    return {"op": "wait", "step": number, "until": now.isoformat()}


def instruct(engine: Engine, advanced: Advanced, number: int) -> Instruction:
    """What the workflow is to do, in real time."""
    answer = advanced.answer
    if isinstance(answer, End):
        return {"op": "end", "step": number, "reason": answer.reason}
    if isinstance(answer, Do):
        return {"op": "do", "step": number, "then": effect(engine, answer.call.channel)}
    until = engine.clock.to_real(advanced.wake_at).isoformat() if advanced.wake_at else None
    instruction: Instruction = {"op": "wait", "step": number, "until": until}
    if advanced.foretold:
        instruction["then"] = effect(engine, advanced.foretold)
    return instruction


def effect(engine: Engine, channel: str) -> Effect:
    queue = queue_of(channel, engine.accounts.get(channel, "default"))
    return {"activity": activity_of(channel), "queue": queue, "timeout_seconds": engine.timeout_seconds(channel)}


def write_trail(session: Session, run_id: str, version_id: str, number: int, at: datetime, notes: Sequence[Note]) -> None:
    """One row a note; (run, step, seq) exists once, so a step that is written twice fails loudly."""
    if notes:
        rows = [
            {
                "run_id": run_id,
                "step": number,
                "seq": seq,
                "version_id": version_id,
                "at": at,
                "node": note.node,
                "what": note.what,
                "outlet": note.outlet,
                "detail": note.detail,
            }
            for seq, note in enumerate(notes)
        ]
        on(session).execute(_insert_trail, rows)


def listen(session: Session, row: Row[Any], advanced: Advanced, ended: bool) -> None:
    """Replaces the subscriptions of the wait; an ended run keeps only its goal's."""
    if ended:
        on(session).execute(_keep_only_goal, {"of_run": row.id})
        return
    if (row.state.get("blocked") or {}).get("answer") == "wait_for":
        on(session).execute(_unsubscribe_from, {"of_run": row.id, "of_why": "wait"})
    if advanced.listen:
        on(session).execute(
            _insert_subscriptions, [subscription(row.id, row.contact_id, topic, "wait") for topic in sorted(advanced.listen)]
        )


def subscription(run_id: str, contact_id: str, topic: str, why: str, until: datetime | None = None) -> dict[str, Any]:
    return {"run_id": run_id, "contact_id": contact_id, "topic": topic, "why": why, "until": until}


def halt(
    session: Session,
    row: Row[Any],
    as_of: datetime,
    status: str,
    reason: str,
    error: str = "",
    *,
    performed: Performed | None = None,
    asked: int | None = None,
) -> Instruction:
    """Keeps the run where it is until a wake-up: held, stuck or quarantined. The number stays, so the same step is tried again.

    A result that came back from outside is kept with the state, so that it is not asked for twice; `asked` is the number that a
    workflow ahead of the database came with.
    """
    state = dict(row.state)
    if performed is not None:
        state["performed"] = performed.model_dump(mode="json")
    if asked is not None:
        state["asked"] = asked
    values: dict[str, Any] = {"status": status, "reason": reason, "error": error, "state": state, "updated_at": as_of}
    if status in STUCK and row.status not in STUCK:
        values["notice_id"] = None  # the team is told of it anew
    on(session).execute(_update_run, {"run_id": row.id, **values})
    note_beside(session, row, status, as_of, {"reason": reason})
    return {**WAIT_FOR_SIGNAL, "step": row.step}


def _told(error: Exception) -> str:
    """The place of an error; of one of ours also its sentence, without the values, which may be personal."""
    return f"{where(error)}: {error.text}" if isinstance(error, PfadwerkError) else where(error)


def where(error: BaseException, file: str | None = None) -> str:
    """The place of an error in the code, without its text: that may hold what a contact typed. `file`: the last place in that file, if the
    error came through it."""
    frames = traceback.extract_tb(error.__traceback__)
    last = next((frame for frame in reversed(frames) if frame.filename == file), frames[-1] if frames else None)
    return f"{type(error).__name__} in {last.filename.rsplit('/', 2)[-1]}:{last.lineno} ({last.name})" if last else type(error).__name__
