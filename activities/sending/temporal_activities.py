"""The activities as Temporal calls them: thin, synchronous, with the clock of the server. Everything else is in `step` and `effect`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial

from sqlalchemy.exc import DBAPIError
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.measures import Measures, NoMeasures
from activities.sending.effect import Effects, NotServed, give_up, perform
from activities.sending.failures import BUSY, HELD, RETRY_LATER, unforeseen
from engine.engine import Engine
from engine.interpreter.state import Instruction
from engine.log_fields import log_fields
from engine.runs.step import Moved, step
from engine.temporal.client import Temporal
from engine.tracing import of_run
from journeys.calls import STEP, activity_of

Activity = Callable[..., Instruction]
UNMEASURED = NoMeasures()
COME_BACK = frozenset({HELD, BUSY, RETRY_LATER})
TRIES = 10
"""From this attempt on (after about nine minutes; attempts that were put off count, too) an error that nobody foresaw is taken for a mistake,
which a person must know of."""


def step_activity(engine: Engine, temporal: Temporal, measures: Measures = UNMEASURED) -> Activity:
    """The local activity that moves a run."""

    @activity.defn(name=STEP, no_thread_cancel_exception=True)
    def step_once(run_id: str, number: int, real: str) -> Instruction:
        with _watched(engine, "step", run_id, measures.stepped, step=number) as ended, _without_text():
            moved = step(engine, run_id, number, engine.clock.to_virtual(datetime.fromisoformat(real)))
            ended(moved.instruction["op"])
        temporal.wake_soon(moved.wakeups)
        return moved.instruction

    return step_once


def effect_activity(effects: Effects, temporal: Temporal, channel: str, measures: Measures = UNMEASURED) -> Activity:
    """The activity that performs calls of `channel`. A thread in the middle of a send is never interrupted."""
    name, measure = activity_of(channel), partial(measures.performed, channel)

    @activity.defn(name=name, no_thread_cancel_exception=True)
    def effect(run_id: str, number: int) -> Instruction:
        info = activity.info()
        about: dict[str, str | int] = {"step": number, "channel": channel, "attempt": info.attempt}
        with _watched(effects.engine, "effect", run_id, measure, **about) as ended, _without_text():
            moved = _performed(effects, name, run_id, number, info)
            ended(moved.outcome or "moved")
        temporal.wake_soon(moved.wakeups)
        return moved.instruction

    return effect


def _performed(effects: Effects, name: str, run_id: str, number: int, info: activity.Info) -> Moved:
    as_of = effects.engine.clock.to_virtual(info.started_time)
    try:
        return perform(effects, name, run_id, number, as_of)
    except (ApplicationError, DBAPIError, NotServed):
        raise
    except Exception as error:
        if info.attempt < TRIES:
            raise
        return give_up(effects.engine, run_id, number, as_of, error)


@contextmanager
def _watched(
    engine: Engine, name: str, run_id: str, measure: Callable[[str, float], None], **about: str | int
) -> Iterator[Callable[[str], None]]:
    """Log lines, the trace and the numbers of one attempt. What it yields takes how the attempt ended."""
    began, outcome = time.monotonic(), "error"

    def ended(so: str) -> None:
        nonlocal outcome
        outcome = so

    try:
        with log_fields(run_id=run_id), engine.tracing.span(name, parent=_trace(engine, run_id), run_id=run_id) as span:
            span.note(**about)
            try:
                yield ended
            except ApplicationError as back:
                outcome = back.type if back.type in COME_BACK else "error"
                raise
            finally:
                span.note(outcome=outcome)
    finally:
        measure(outcome, time.monotonic() - began)


def _trace(engine: Engine, run_id: str) -> str | None:
    """Where the run's trace goes on; a database that is away is told by the step itself."""
    try:
        return of_run(engine.tracing, engine.db, run_id)
    except DBAPIError:
        return None


@contextmanager
def _without_text() -> Iterator[None]:
    """What an error says may hold what a contact typed (a database quotes the row), and Temporal would store and log it."""
    try:
        yield
    except ApplicationError:
        raise
    except Exception as error:  # noqa: BLE001 - of any error only its kind and place leave this process
        raise unforeseen(error) from None
