"""A worker's threads for background jobs, which say when they have come to a place and stand still there: `python doomed.py DATABASE_URL PLACE`.

`prepare`: before the transaction of the second page; `page`: inside it, with everything written; `wake`: after the first was committed.
"""

from __future__ import annotations

import sys
import threading
from datetime import datetime

from sqlalchemy.orm import Session

from engine.clock import Clock
from engine.engine import Engine
from engine.jobs.kinds import KINDS, Kind, Page
from engine.jobs.worker import JobWorker
from journeys.nodes import Palette
from models import Database, Job


def stand_still() -> None:
    print("here", flush=True)
    threading.Event().wait()


def main(database_url: str, place: str) -> None:
    def prepare(_engine: Engine, job: Job, _now: datetime) -> None:
        if place == "prepare" and job.cursor:
            stand_still()

    def page(engine: Engine, session: Session, job: Job, now: datetime) -> Page:
        done = KINDS[job.kind].page(engine, session, job, now)
        if place == "page" and job.cursor:
            session.flush()
            stand_still()
        return done

    engine = Engine(Database(database_url), Clock(), Palette.built_in(), (b"k" * 32,))
    wake = stand_still if place == "wake" else lambda: None
    JobWorker(engine, lambda _wakeups: wake(), {"bulk_tag": Kind(page, prepare)}, threads=1).start()
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
