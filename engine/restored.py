"""After a backup was restored: which calls may have left between the backup and the restore, though the database knows nothing of them.

A restored run stands where it stood when the backup was made; in the time that is lost it may have gone on, by its timers or by events that
are lost, too. A call may have left if the run can have come to it by then along any edges, waiting nowhere longer than it must. The same
holds for runs that begin after the restore, and may have begun before: of an event that is told once more, of an occurrence that is made up for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast, get_args

from sqlalchemy import Row, bindparam, case, func, insert, literal, select, text, update
from sqlalchemy.orm import Session

from engine.clock import Clock
from engine.engine import Engine
from engine.interpreter.state import State
from journeys.compile import Program
from journeys.reach import soonest_visit
from models import (
    DUE_PERSONAL_MAIL,
    ONCE_PERSONAL,
    OPEN_MESSAGE,
    Event,
    Message,
    MigratedRun,
    PersonalMail,
    Restore,
    RestoredMessage,
    RestoredRun,
    Run,
    Stamp,
    new_id,
)
from storage import held_messages, tally
from storage.held_messages import AGAIN
from storage.sql import on, table, upsert
from workspace.audit import record

runs = table(Run)
messages = table(Message)
letters = table(PersonalMail)
restores = table(Restore)
restored_runs = table(RestoredRun)
restored_messages = table(RestoredMessage)
migrated_runs = table(MigratedRun)

Assume = Literal["sent", "unsent", "ask"]
ASSUMPTIONS: tuple[Assume, ...] = get_args(Assume)
PERHAPS_SENT = held_messages.PERHAPS_SENT
"""Reason of a message that nobody knows the end of, and of a run that is stuck, because a call may have left in the lost time."""
ASSUMED_SENT = "assumed_sent"
"""Reason of a message that counts as sent because whoever restored the backup said so of all of them."""
STEPS_AHEAD = 1_000_000
"""What a restore adds to the number of every open run: a workflow that lived through the disaster asks with a smaller one, and is given the
restored instruction. Without it the database would be behind it, and the run quarantined."""
ENDS = ("Message Sent", "Message Bounced", "Message Skipped")

_marks = (
    select(
        restored_runs.c.version_id,
        restored_runs.c.node,
        restored_runs.c.visits,
        restored_runs.c.leaves_at,
        restores.c.id,
        restores.c.since,
        restores.c.until,
        restores.c.assume,
    )
    .join(restores, restores.c.id == restored_runs.c.restore_id)
    .where(restored_runs.c.run_id == bindparam("of_run"))
    .order_by(restores.c.restored_at.desc())
)
_run = select(runs).where(runs.c.id == bindparam("of_run"))
_once_key = select(messages.c.once_key).where(messages.c.id == bindparam("of_message"))


@dataclass(frozen=True, slots=True)
class LostTime:
    """The time of a restore that a call may have left in. `assume` is what is to be made of it; `same_key`: if it has left, then under the
    same key, because its run was there before. Instants by the workspace's clock."""

    restore_id: str
    since: datetime
    until: datetime
    assume: Assume
    same_key: bool


def mark(session: Session, *, backup_at: datetime, until: datetime, assume: Assume) -> str:
    """Writes into a restored database what may have happened since the backup; returns the restore's id. Instants are real ones.

    `backup_at` must not be later than what the backup holds, `until` not earlier than the last call.
    """
    stamp = session.get(Stamp, 1)
    clock = Clock.from_stamp(stamp.clock) if stamp is not None else Clock()
    restore_id, since, now = new_id(), clock.to_virtual(backup_at), clock.now()
    values = {"id": restore_id, "since": since, "until": clock.to_virtual(until), "assume": assume, "restored_at": now}
    on(session).execute(insert(restores).values(values))
    _mark_runs(session, restore_id, since)
    _step_ahead(session)
    _resends(session, restore_id, assume, now)
    _letters(session, restore_id, assume, now)
    said = {"backup_at": backup_at.isoformat(), "until": until.isoformat(), "assume": assume}
    record(session, "restore", "workspace.restore", f"restore:{restore_id}", said)
    return restore_id


def _mark_runs(session: Session, restore_id: str, since: datetime) -> None:
    state = runs.c.state
    certain = state["go_to"].as_string().is_(None) & (state["blocked"]["answer"].as_string().is_not(None))
    sleeps = (state["blocked"]["answer"].as_string() == "wait_until") & (runs.c.due_at > since)
    stood = select(
        literal(restore_id),
        runs.c.id,
        case((certain, runs.c.version_id), else_=""),
        runs.c.node,
        func.coalesce(state["visits"], literal({}, runs.c.state.type)),
        case((certain & sleeps, runs.c.due_at), else_=since),
    ).where(*_OPEN)
    names = ("restore_id", "run_id", "version_id", "node", "visits", "leaves_at")
    on(session).execute(insert(restored_runs).from_select(names, stood))


def _resends(session: Session, restore_id: str, assume: Assume, now: datetime) -> None:
    """Messages that a person had asked for again just before the backup: they may have left once more."""
    if assume == "unsent":
        return
    due = select(messages).where(OPEN_MESSAGE, messages.c.status == "held", messages.c.reason == AGAIN)
    for row in on(session).execute(due).all():
        counted: dict[tally.Key, int] = {(row.node, "sent", "", row.channel, row.template_version or 0): 1}
        tally.append(session, row.journey_id, row.version_number, counted, row.sent_at or now)
        _assume(session, row, restore_id, assume, now)


def _letters(session: Session, restore_id: str, assume: Assume, now: datetime) -> None:
    """E-mails of members that were about to leave at the backup: they may have left since. Of a call that had begun the provider is asked as ever."""
    if assume == "unsent":
        return
    due = select(messages, letters.c.id.label("letter")).join(letters, messages.c.once_key == literal(ONCE_PERSONAL).concat(letters.c.id))
    for row in on(session).execute(due.where(DUE_PERSONAL_MAIL, messages.c.status.in_(("planned", "held")))).all():
        _assume(session, row, restore_id, assume, now)
        on(session).execute(update(letters).where(letters.c.id == row.letter).values(next_at=None))


def _assume(session: Session, row: Row[Any], restore_id: str, assume: Assume, now: datetime) -> None:
    status, reason = {"sent": ("sent", ASSUMED_SENT), "ask": ("uncertain", PERHAPS_SENT)}[assume]
    changes = {"status": status, "reason": reason, "held_until": None, "lease_until": None, "sent_at": row.sent_at or now}
    on(session).execute(update(messages).where(messages.c.id == row.id).values(**changes))
    noted = {"message_id": row.id, "restore_id": restore_id, "assumed": assume, "decided_at": now}
    statement = upsert(session, RestoredMessage).values(noted)
    on(session).execute(statement.on_conflict_do_update(index_elements=["message_id"], set_=noted))


_OPEN_STATUSES = ("active", "held", "stuck", "quarantined")
_OPEN = (runs.c.status.in_(_OPEN_STATUSES), runs.c.ended_at.is_(None))
_OPEN_BY_NAME = f"status IN {_OPEN_STATUSES}"
_AHEAD = {
    "sqlite": "json_set(instruction, '$.step', step + :ahead)",
    "postgresql": "jsonb_set(instruction, '{step}', to_jsonb(step + :ahead))",
}


def _step_ahead(session: Session) -> None:
    instruction = _AHEAD[session.get_bind().dialect.name]
    statement = text(f"UPDATE run SET instruction = {instruction}, step = step + :ahead WHERE ended_at IS NULL AND {_OPEN_BY_NAME}")
    on(session).execute(statement, {"ahead": STEPS_AHEAD})
    moved = update(migrated_runs).where(migrated_runs.c.run_id.in_(select(runs.c.id).where(*_OPEN)))
    on(session).execute(moved.values(step_after=migrated_runs.c.step_after + STEPS_AHEAD))


def may_have_left(engine: Engine, session: Session, run: Row[Any], node: str, visit: int) -> LostTime | None:
    """The lost time in which the run can have come to `node` for the `visit`-th time; None if there is none."""
    if not engine.was_restored(session):
        return None
    for lost in on(session).execute(_marks, {"of_run": run.id}):
        at = _earliest(engine.program(session, run.version_id), run.version_id, lost, node, visit)
        if at is not None and at <= lost.until:
            return LostTime(lost.id, lost.since, lost.until, lost.assume, same_key=bool(lost.node))
    return None


def _earliest(program: Program, version_id: str, lost: Any, node: str, visit: int) -> datetime | None:
    """When the run can have come there at the earliest; None if it cannot have come at all."""
    began: datetime = lost.leaves_at
    visits: Mapping[str, int] = lost.visits
    more = visit - visits.get(node, 0)
    if more <= 0 or not node:
        return began
    if lost.version_id == version_id:
        took = soonest_visit(program, lost.node, node, more)
        return None if took is None else began + took
    # moved to another version since, or put somewhere by hand: it may have come to this step first at once
    again = soonest_visit(program, node, node, more - 1) if more > 1 else None
    return began + again if again is not None else began


def mark_start(engine: Engine, session: Session, run_id: str, version_id: str, caused_at: datetime) -> None:
    """Of a run that begins now: what caused it may have begun another one, in the time that is lost, whose messages have other keys."""
    if not engine.was_restored(session):
        return
    within = select(restores.c.id, restores.c.since).where(restores.c.until >= caused_at)
    for restore in on(session).execute(within).all():
        began = max(restore.since, caused_at)
        row = {"restore_id": restore.id, "run_id": run_id, "version_id": version_id, "node": "", "visits": {}, "leaves_at": began}
        on(session).execute(insert(restored_runs), row)


def cause_of(engine: Engine, session: Session, event: Event) -> datetime:
    """When the event may have happened first. What runs did themselves happens again after a restore, with the time of now."""
    if not engine.was_restored(session):
        return event.occurred_at
    run_id, node, visit = _doer(session, event)
    run = on(session).execute(_run, {"of_run": run_id}).first() if run_id else None
    if run is None:
        return event.occurred_at
    lost = may_have_left(engine, session, run, node, visit)
    return min(event.occurred_at, lost.since) if lost is not None else event.occurred_at


def cause_by_run(engine: Engine, session: Session, run: Row[Any], now: datetime) -> datetime:
    """When the run may first have done what it does now, on its way from where its row says it stands."""
    state = State.from_json(run.state)
    lost = may_have_left(engine, session, run, state.node, state.visit)
    return lost.since if lost is not None else now


def _doer(session: Session, event: Event) -> tuple[str, str, int]:
    """The run whose doing the event is, and how far it had to come for it; empty for what others did."""
    if event.source.startswith("journey:"):
        run_id = event.source.removeprefix("journey:")
        run = on(session).execute(_run, {"of_run": run_id}).first()
        state = State.from_json(run.state) if run is not None else State()
        return run_id, state.node, state.visit
    said = event.properties
    if event.type != "system" or "run_id" not in said:
        return "", "", 0
    if event.name in ENDS:
        key = on(session).execute(_once_key, {"of_message": said.get("message_id", "")}).scalar()
        _, node, visit = cast(str, key).rsplit(":", 2) if key else ("", "", "0")
        return str(said["run_id"]), node, int(visit)
    return (str(said["run_id"]), "", 0) if event.name in ("Journey Entered", "Journey Ended") else ("", "", 0)


def may_go_again(session: Session, run_id: str) -> None:
    """The call that the run is stuck at is made, whether it has left or not: somebody said so."""
    waiting = select(messages.c.id).where(messages.c.run_id == run_id, messages.c.status == "planned", messages.c.reason == PERHAPS_SENT)
    asked = update(restored_messages).where(restored_messages.c.message_id.in_(waiting), restored_messages.c.assumed != "absent")
    on(session).execute(asked.values(assumed="unsent"))


def assume_from_now_on(session: Session, restore_id: str, assume: Assume) -> None:
    """What is made of calls that come up later."""
    on(session).execute(update(restores).where(restores.c.id == restore_id).values(assume=assume))
