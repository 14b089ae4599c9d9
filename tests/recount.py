"""The numbers of a journey counted anew from its rows: what the tally must say, as a whole and by day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from activities.sending.ledger import FATES, messages
from engine.runs.rows import runs
from journeys.channels import SENDABLE
from models import Refusal, Trail
from storage import tally

UNDATED = ("waiting", "placed", "failed", "skipped")
"""What no row has the time of."""


class One(NamedTuple):
    """Something that happened once. `at` None: no row says when."""

    node: str
    what: str
    outlet: str = ""
    at: datetime | None = None
    channel: str = ""
    template_version: int = 0


def recounted(session: Session, journey_id: str) -> tally.Counts:
    """A journey's numbers from its runs, their trails, its refusals and its messages."""
    found = tally.Counts()
    for one in _all(session, journey_id):
        found.add(one.node, one.what, one.outlet, 1)
    return found


Day = tuple[date, str, str, str, str, int]


def recounted_days(session: Session, journey_id: str) -> Counter[Day]:
    """(day, node, what, outlet, channel, version of the template) -> how often."""
    dated = (one for one in _all(session, journey_id) if one.what not in UNDATED and one.at is not None)
    return Counter((one.at.date(), one.node, one.what, one.outlet, one.channel, one.template_version) for one in dated)  # type: ignore[union-attr]


def read_days(session: Session, journey_id: str) -> Counter[Day]:
    """The same of the tally."""
    found: Counter[Day] = Counter()
    for one in tally.read_days(session, journey_id, date.min, date.max):
        if one.what not in UNDATED:
            found[one.day, one.node, one.what, one.outlet, one.channel, one.template_version] += one.count
    return Counter({key: count for key, count in found.items() if count})


def undated(session: Session, journey_id: str) -> dict[str, str]:
    """What the tally counted as a whole and on no day; nothing, but for what is no flow and what is from before."""
    whole, dated = tally.read(session, journey_id), tally.Counts()
    for one in tally.read_days(session, journey_id, date.min, date.max):
        dated.add(one.node, one.what, one.outlet, one.count)
    for place in whole.nodes.values():
        place.waiting = 0
    dated.nodes = {node: place for node, place in dated.nodes.items() if place != tally.AtNode()}
    whole.nodes = {node: place for node, place in whole.nodes.items() if place != tally.AtNode()}
    return {} if whole == dated else {"whole": repr(whole), "dated": repr(dated)}


def _all(session: Session, journey_id: str) -> Iterator[One]:
    for run in session.execute(select(runs).where(runs.c.journey_id == journey_id)):
        is_held_out = run.status == "held_out"
        yield One("", "held_out" if is_held_out else "runs", at=run.started_at)
        if run.goal_at is not None:
            yield One("", "held_out_goal" if is_held_out else "goal", at=run.goal_at.astimezone(UTC))
        if is_held_out:
            continue
        if run.ended_at is not None:
            yield One("", "ended", at=run.ended_at)
        elif run.node:
            yield One(run.node, "waiting")
        for note in session.scalars(select(Trail).where(Trail.run_id == run.id, Trail.what.in_(("entered", "placed", "left")))):
            yield One(note.node, note.what, note.outlet if note.what == "left" else "", note.at)
    for refusal in session.scalars(select(Refusal).where(Refusal.journey_id == journey_id)):
        yield One("", "refused", refusal.reason, refusal.refused_at)
    for message in session.execute(select(messages).where(messages.c.journey_id == journey_id, messages.c.channel.in_(SENDABLE))):
        about = (message.channel, message.template_version or 0)
        if what := FATES.get(message.status):
            at = message.bounced_at if what == "bounced" else message.sent_at
            yield One(message.node, what, message.reason if what == "skipped" else "", at, *about)
        for what, at in (("opened", message.opened_at), ("clicked", message.clicked_at)):
            if at is not None:
                yield One(message.node, what, "", at, *about)
