"""One walk of a run: what came in, where the program leads with it, what that changes, and the next instruction, under the next number.

In the caller's transaction, for a run that is locked. What the walk sets off in other journeys is an answer, not done here
(`engine.runs.caused`): the caller has it done when the run's own rows are written.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, false, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from crm.rules.sql_facts import SqlFacts
from engine.engine import Engine
from engine.interpreter.advance import Advanced, Note, advance
from engine.interpreter.state import Instruction, State
from engine.runs.apply import apply_changes
from engine.runs.caused import Caused
from engine.runs.rows import WAIT_FOR_SIGNAL, events, halt, inbox, read_inbox, run_info, write
from journeys.errors import PfadwerkError, where
from journeys.values import End, Performed, Received
from storage import held_messages
from storage.run_trail import note_beside
from storage.sql import on, savepoint

log = logging.getLogger(__name__)

_traces = select(events.c.trace).where(events.c.id.in_(bindparam("ids", expanding=True)), events.c.trace.is_not(None))
_consume = update(inbox).where(inbox.c.run_id == bindparam("of_run"), inbox.c.consumed == false()).values(consumed=True)


@dataclass(frozen=True, slots=True)
class Walked:
    """The instruction for the run's workflow, and what else comes of the walk."""

    instruction: Instruction
    caused: Caused


def walk(
    engine: Engine, session: Session, row: Row[Any], as_of: datetime, performed: Performed | None = None, by: tuple[str, ...] = ()
) -> Walked:
    """Advances a locked, open run. The caller has checked its number, and does what the walk sets off. `by`: the runs whose walks led to this
    one in the same transaction.


    A paused journey holds what comes due; exits still act. An error in a node leaves the run stuck at the same place, its inbox unread.
    """
    index = engine.index(session)
    if index.state(row.journey_id) == "stopped":
        return _written(engine, session, row, _stopped(row), as_of, Caused())
    paused = index.state(row.journey_id) == "paused" or row.status == "quarantined"
    performed = performed or _kept(row)
    try:
        received = read_inbox(session, row.id)
        as_of = max([as_of, *(event.arrived_at for event in received)])  # a rule must see the event whose wake-up is used up here
        advanced = _advance(engine, session, row, as_of, received, performed)
        if paused and advanced.moved and not advanced.exited:
            return Walked(halt(session, row, as_of, "held", "paused", performed=performed), Caused())
        if paused and not advanced.moved and row.status != "active":
            return Walked({**WAIT_FOR_SIGNAL, "step": row.step}, Caused())  # a wake-up alone lets nobody go on
        caused = _consume_and_apply(engine, session, row, received, advanced, as_of, by)
        _link_heard(engine, session, row.id, received)
        _note_resumed(session, row, advanced, paused, as_of)
    except DBAPIError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a node or a custom kind raises must not take the run down with it
        about = {"run_id": row.id, "node": row.node, "journey": index.key(row.journey_id) or ""}
        log.warning("run %s is stuck at node %s: %s", row.id, row.node, type(error).__name__, extra=about)
        return Walked(halt(session, row, as_of, "stuck", type(error).__name__, _told(error), performed=performed), Caused())
    return _written(engine, session, row, advanced, as_of, caused)


def _written(engine: Engine, session: Session, row: Row[Any], advanced: Advanced, as_of: datetime, caused: Caused) -> Walked:
    """Stores where `advance` led. A run that ends while its message is held lets those behind it go."""
    instruction = write(engine, session, row, advanced, as_of)
    if isinstance(advanced.answer, End):
        for run_id in held_messages.close(session, row, "run_ended", as_of):
            caused.wakeups.wake(run_id)
    return Walked(instruction, caused)


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
    engine: Engine,
    session: Session,
    row: Row[Any],
    received: Sequence[Received],
    advanced: Advanced,
    as_of: datetime,
    by: tuple[str, ...],
) -> Caused:
    """Both or neither. What the changes put into this run's own inbox is for the next step."""
    if not received and not advanced.changes:
        return Caused()
    with savepoint(session):
        if received:
            on(session).execute(_consume, {"of_run": row.id})
        return apply_changes(engine, session, row, advanced.changes, as_of, by)


def _kept(row: Row[Any]) -> Performed | None:
    """A result that came back from outside while the run could not move on."""
    kept = row.state.get("performed")
    return Performed.model_validate(kept) if kept else None


def _stopped(row: Row[Any]) -> Advanced:
    return Advanced(State.from_json(row.state), End(reason="stopped"), trail=(Note(row.node, "ended", detail={"reason": "stopped"}),))


def _link_heard(engine: Engine, session: Session, run_id: str, received: Sequence[Received]) -> None:
    """Events that a run heard come from traces of their own: a span of the run's trace leads to each."""
    if not engine.tracing.on or not received:
        return
    heard = on(session).execute(_traces, {"ids": [event.id for event in received]})
    with engine.tracing.span("hear", run_id=run_id, events=len(received), links=[trace for (trace,) in heard]):
        pass


def _told(error: Exception) -> str:
    """The place of an error; of one of ours also its sentence, without the values, which may be personal."""
    return f"{where(error)}: {error.text}" if isinstance(error, PfadwerkError) else where(error)
