"""`pfadwerk restores`: what may have left before a restore, and deciding about all of it from a terminal."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlmodel import select

from commands import workspace
from engine import perhaps
from models import Job
from settings import Settings
from tests.restored import decided, dying_at_message, fates, hold

if TYPE_CHECKING:
    from conftest import Run

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MANY = perhaps.PAGE + 5


def test_all_were_sent_also_when_it_is_killed_on_the_way(demo: Path, run: Run) -> None:
    settings = Settings.load()
    with workspace.database(settings) as db:
        hold(db, MANY, NOON)
    assert f"{MANY} to decide, 0 count as sent" in run("restores").out
    with dying_at_message(perhaps.PAGE + 2):
        assert "Died" in run("restores", "--assume", "sent").err
    [restore] = json.loads(run("restores", "--json").out)
    assert (restore["assume"], restore["counts"]) == ("sent", {"sent": perhaps.PAGE, "ask": MANY - perhaps.PAGE})
    done = run("restores", "--assume", "sent")
    assert (done.code, f"0 to decide, {MANY} count as sent" in done.out) == (0, True)
    with workspace.engine(settings) as engine:
        assert fates(engine.db) == {("sent", "sent"): MANY}
        assert set(decided(engine.db).values()) == {1}
        with engine.db.read() as session:  # nothing is left for the web server
            [job] = session.scalars(select(Job).where(Job.kind == perhaps.JOB))
        assert (job.state, job.total, job.counts) == ("done", MANY, {"decided": MANY})


def test_what_is_not_understood_and_what_is_not_there_are_told(demo: Path, run: Run) -> None:
    said = run("restores", "--assume", "perhaps")
    assert (said.code, "Expected one of" in said.err) == (1, True)
    assert "No backup has been restored" in run("restores", "--assume", "sent").err
    assert "No backup has been restored" in run("restores").out
