"""`pfadwerk restores`: what may have left before a backup was restored, and deciding about all of it at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TextIO

from commands.workspace import ACTOR, engine
from engine import perhaps
from engine.jobs.worker import work_through
from engine.restored import ASSUMPTIONS, Assume
from journeys.errors import Invalid, NotFound
from settings import Settings


def assumption(text: str) -> Assume:
    """Raises: Invalid."""
    for known in ASSUMPTIONS:
        if text == known:
            return known
    raise Invalid("Expected one of {known}, got: {given}.", known=list(ASSUMPTIONS), given=text[:32])


def decide(settings: Settings, assume: Assume) -> None:
    """About the newest restore: of all that is listed, and of what comes up later. It works through the job itself, and goes on with one that was
    broken off; where a worker has it already, it waits until the worker is done.

    Raises: NotFound, if no backup was restored.
    """
    with engine(settings) as live:
        with live.db.read() as session:
            newest = perhaps.listed(session, 1)
            if not newest:
                raise NotFound("No backup has been restored into this database.")
            restore_id = newest[0].restore.id
            broken_off = perhaps.under_way(session, restore_id, assume)
        if broken_off is not None:
            work_through(live, broken_off)
        with live.db.write() as session:
            job = perhaps.decide_all(session, restore_id, assume, ACTOR, live.clock.now())
        if job is not None:
            work_through(live, job.id)


def tell(settings: Settings, *, out: TextIO, translate: Callable[[str], str], as_json: bool) -> int:
    with engine(settings) as live, live.db.read() as session:
        found = perhaps.listed(session)
    if as_json:
        items = [{**one.restore.model_dump(mode="json"), "counts": one.counts} for one in found]
        out.write(json.dumps(items, indent=2) + "\n")
        return 0
    if not found:
        out.write(translate("No backup has been restored into this database.") + "\n")
    line = translate(
        "Between {since} and {until} ({assume}): {ask} to decide, {sent} count as sent, {unsent} sent (perhaps again), {absent} never delivered."
    )
    for one in found:
        counts = {name: one.counts.get(name, 0) for name in ("ask", "sent", "unsent", "absent")}
        since, until = (f"{at:%Y-%m-%d %H:%M} UTC" for at in (one.restore.since, one.restore.until))
        out.write(line.format(since=since, until=until, assume=one.restore.assume, **counts) + "\n")
    return 0
