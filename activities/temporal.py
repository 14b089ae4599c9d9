"""The activities as Temporal calls them: thin, synchronous, with the clock of the server. Everything else is in `step` and `effect`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy.exc import DBAPIError
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.effect import Effects, NotServed, give_up, perform
from activities.failures import unforeseen
from engine.client import Temporal
from engine.live import Engine
from engine.log_fields import log_fields
from engine.state import Instruction
from engine.step import step
from journeys.calls import STEP, activity_of

Activity = Callable[..., Instruction]
TRIES = 10
"""From this attempt on (after about nine minutes; attempts that were put off count, too) an error that nobody foresaw is taken for a mistake,
which a person must know of."""


def step_activity(engine: Engine, temporal: Temporal) -> Activity:
    """The local activity that moves a run."""

    @activity.defn(name=STEP, no_thread_cancel_exception=True)
    def step_once(run_id: str, number: int, real: str) -> Instruction:
        with _without_text(), log_fields(run_id=run_id):
            moved = step(engine, run_id, number, engine.clock.to_virtual(datetime.fromisoformat(real)))
        temporal.wake_soon(moved.wakeups)
        return moved.instruction

    return step_once


def effect_activity(effects: Effects, temporal: Temporal, channel: str) -> Activity:
    """The activity that performs calls of `channel`. A thread in the middle of a send is never interrupted."""
    name = activity_of(channel)

    @activity.defn(name=name, no_thread_cancel_exception=True)
    def effect(run_id: str, number: int) -> Instruction:
        info = activity.info()
        as_of = effects.engine.clock.to_virtual(info.started_time)
        with _without_text(), log_fields(run_id=run_id):
            try:
                moved = perform(effects, name, run_id, number, as_of)
            except (ApplicationError, DBAPIError, NotServed):
                raise
            except Exception as error:
                if info.attempt < TRIES:
                    raise
                moved = give_up(effects.engine, run_id, number, as_of, error)
        temporal.wake_soon(moved.wakeups)
        return moved.instruction

    return effect


@contextmanager
def _without_text() -> Iterator[None]:
    """What an error says may hold what a contact typed (a database quotes the row), and Temporal would store and log it."""
    try:
        yield
    except ApplicationError:
        raise
    except Exception as error:  # noqa: BLE001 - of any error only its kind and place leave this process
        raise unforeseen(error) from None
