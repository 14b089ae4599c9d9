"""`step`: the only way a run moves. One transaction, numbered; the first committed result wins.

Asked at the run's own number it consumes the inbox, advances, applies the changes and stores the next instruction under n+1; then
what that sets off in other journeys is done (`engine.enrolment.routing`), and a failure there leaves the run where it came to.
Asked above or below it writes nothing: retries and doubled local activities get the stored instruction, a database older than
its workflows (restored from a backup) gets its run quarantined. It never raises for a journey's mistake: the run is stuck, with
the reason, and waits for the wake-up that follows the fix.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row
from sqlalchemy.orm import Session

from engine.engine import Engine
from engine.enrolment.routing import settle
from engine.interpreter.state import Instruction
from engine.runs.rows import WAIT_FOR_SIGNAL, fenced, lock_run
from engine.runs.walk import walk
from engine.temporal.wakeups import Wakeups
from journeys.errors import NotFound
from journeys.values import Performed


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


def move(engine: Engine, session: Session, row: Row[Any], as_of: datetime, performed: Performed | None = None) -> Moved:
    """Advances a locked, open run, and then does what that set off. The caller has checked its number."""
    walked = walk(engine, session, row, as_of, performed)
    return Moved(walked.instruction, settle(engine, session, walked.caused, as_of))
