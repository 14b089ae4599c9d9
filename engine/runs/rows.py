"""The rows of a run: taking them under their contact's lock, reading its inbox, and storing where it goes, stands or halts.

The ground of everything that moves runs. What moves them is decided above: `engine.runs.walk` by the program, `engine.runs.operations` by
people. Nothing here decides, routes or enrols.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Row, bindparam, delete, false, insert, select, update
from sqlalchemy.orm import Session

from engine.engine import Engine
from engine.interpreter.advance import Advanced, Note
from engine.interpreter.state import Effect, Instruction
from engine.runs.delivery import is_heard
from journeys.calls import activity_of, queue_of
from journeys.errors import NotFound
from journeys.rules.fields import asked_context
from journeys.values import Do, End, Performed, Received, RunInfo
from models import Contact, Event, Inbox, Run, Subscription, Trail, lock
from storage import tally
from storage.events import genuine, insert_events
from storage.run_rows import milestone
from storage.run_trail import note_beside
from storage.sql import on, table

runs = table(Run)
inbox = table(Inbox)
subscriptions = table(Subscription)
trail = table(Trail)
events = table(Event)
contacts = table(Contact)

_run = select(runs).where(runs.c.id == bindparam("run_id"))
_contact_of = select(runs.c.contact_id).where(runs.c.id == bindparam("run_id"))
_heard = (
    select(events.c.id, events.c.name, events.c.properties, events.c.context, events.c.occurred_at, inbox.c.arrived_at)
    .join(inbox, inbox.c.event_id == events.c.id)
    .where(inbox.c.run_id == bindparam("run_id"), genuine(events.c))
    .order_by(inbox.c.arrived_at, events.c.id)
)
_waiting = _heard.where(inbox.c.consumed == false())
_heard_since = _heard.where((inbox.c.consumed == false()) | (inbox.c.arrived_at >= bindparam("since")))
_mail = select(inbox.c.event_id).where(inbox.c.run_id == bindparam("run_id"), inbox.c.consumed == false()).limit(1)
_update_run = update(runs).where(runs.c.id == bindparam("run_id"))
_insert_trail = insert(trail)
_insert_subscriptions = insert(subscriptions)
_unsubscribe_from = delete(subscriptions).where(subscriptions.c.run_id == bindparam("of_run"), subscriptions.c.why == bindparam("of_why"))
_keep_only_goal = delete(subscriptions).where(subscriptions.c.run_id == bindparam("of_run"), subscriptions.c.why != "goal")

STUCK = ("stuck", "quarantined")
"""Waits for a person; as `models.STUCK_RUN`."""
WAIT_FOR_SIGNAL: Instruction = {"op": "wait", "step": 0, "until": None}


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


def read_inbox(session: Session, run_id: str, since: datetime | None = None) -> list[Received]:
    """What lies unread in the run's inbox, in order of arrival; with what arrived `since` then, read or not."""
    statement = _waiting if since is None else _heard_since
    rows = on(session).execute(statement, {"run_id": run_id} | ({} if since is None else {"since": since})).all()
    return [_received(row) for row in rows]


def _received(row: Any) -> Received:
    context = asked_context(row.context)
    return Received(
        id=row.id, name=row.name, properties=row.properties, context=context, occurred_at=row.occurred_at, arrived_at=row.arrived_at
    )


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
    return engine.clock.later(as_of, timedelta(seconds=2 * engine.timeout_seconds(advanced.answer.call.channel)))


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
