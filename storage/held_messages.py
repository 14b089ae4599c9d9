"""Messages that wait when their run goes away, and those that let them go first.

Facts in the database only, under the contact's lock: the caller wakes the runs that come back, and the keeper does if that is lost.
Whether a message is held, and until when, is the gate's to say.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, select, text, update
from sqlalchemy.orm import Session

from journeys.channels import SENDABLE
from models import Message, Run
from storage import tally
from storage.sql import on, table

messages = table(Message)
runs = table(Run)

IN_LINE = "in_line"
"""Why a message is held that could leave sooner but for others that go first."""

AGAIN = "send_again"
"""Why a message is held whose run has gone on without it: a person wants it sent again (`crm.uncertain`)."""

PERHAPS_SENT = "perhaps_sent"
"""Why a call waits that may have left before a backup was restored (`engine.restored`): nobody says of it that it has not."""

_of_run = (
    messages.c.run_id == bindparam("of_run"),
    text("message.status IN ('planned','held')"),
    messages.c.reason.not_in((AGAIN, PERHAPS_SENT)),
)
_waiting_of_run = select(messages.c.id, messages.c.node, messages.c.channel, messages.c.template_version).where(*_of_run)
_close = update(messages).where(*_of_run).values(status="skipped", reason=bindparam("why"), held_until=None)
_in_line = select(messages.c.run_id).where(
    messages.c.contact_id == bindparam("of_contact"), messages.c.status == "held", messages.c.reason == IN_LINE
)
_due_now = update(runs).where(
    runs.c.id.in_(bindparam("of_runs", expanding=True)), runs.c.status == "active", runs.c.due_at > bindparam("now")
)


def close(session: Session, run: Run | Row[Any], why: str, now: datetime) -> list[str]:
    """A message that waits, held or put off, while its run has ended or moved on is skipped; returns the runs of those that waited for it.

    Only a run that stands at a call can have one: others cost no statement.
    """
    if (run.state.get("blocked") or {}).get("answer") != "do":
        return []
    waiting = on(session).execute(_waiting_of_run, {"of_run": run.id}).all()
    if not waiting:
        return []
    on(session).execute(_close, {"of_run": run.id, "why": why})
    counted = [one for one in waiting if one.channel in SENDABLE]
    skipped: Counter[tally.Key] = Counter((one.node, "skipped", why, one.channel, one.template_version or 0) for one in counted)
    tally.append(session, run.journey_id, run.version_number, skipped, now)
    return call_up(session, run.contact_id, now)


def call_up(session: Session, contact_id: str, now: datetime) -> list[str]:
    """The messages that stand in line for the contact are due to be asked for again; returns their runs."""
    waiting = sorted({run_id for run_id in on(session).execute(_in_line, {"of_contact": contact_id}).scalars() if run_id})
    if waiting:
        on(session).execute(_due_now.values(due_at=now), {"of_runs": waiting, "now": now})
    return waiting
