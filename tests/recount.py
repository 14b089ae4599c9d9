"""The numbers of a journey counted anew from its rows: what the tally must say."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from activities.sending.ledger import FATES, messages
from engine.runs.step import runs
from journeys.channels import SENDABLE
from models import Refusal, Trail
from storage import tally


def recounted(session: Session, journey_id: str) -> tally.Counts:
    """A journey's numbers from its runs, their trails, its refusals and its messages."""
    found = tally.Counts()
    for run in session.execute(select(runs).where(runs.c.journey_id == journey_id, runs.c.status != "held_out")):
        found.add("", "runs", "", 1)
        found.add("", "goal", "", int(run.goal_at is not None))
        if run.ended_at is not None:
            found.add("", "ended", "", 1)
        elif run.node:
            found.add(run.node, "waiting", "", 1)
        for note in session.scalars(select(Trail).where(Trail.run_id == run.id, Trail.what.in_(("entered", "placed", "left")))):
            found.add(note.node, note.what, note.outlet if note.what == "left" else "", 1)
    for reason in session.scalars(select(Refusal.reason).where(Refusal.journey_id == journey_id)):
        found.add("", "refused", reason, 1)
    for message in session.execute(select(messages).where(messages.c.journey_id == journey_id, messages.c.channel.in_(SENDABLE))):
        if what := FATES.get(message.status):
            found.add(message.node, what, message.reason if what == "skipped" else "", 1)
        for what, at in (("opened", message.opened_at), ("clicked", message.clicked_at)):
            if at is not None:
                found.add(message.node, what, "", 1)
    return found
