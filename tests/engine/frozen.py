"""A process that is stopped in the middle of its claim: `python frozen.py URL RUN`. It stops itself, and says how it went after SIGCONT."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from activities.sending.breakers import Breakers
from activities.sending.effect import Effects, perform
from activities.sending.handler import Draft, Job
from engine.clock import Clock
from engine.engine import Engine
from journeys.calls import activity_of
from journeys.nodes import Palette
from models import Database, Limits
from tests.engine.conftest import START, Counting


class Freezing(Counting):
    """Stops its process once it has locked contact and run."""

    def record(self, session: Session, job: Job, draft: Draft, address: str) -> Mapping[str, Any]:
        os.kill(os.getpid(), signal.SIGSTOP)
        return {}


def main(url: str, run_id: str) -> str:
    db = Database(url, pool_size=2, limits=Limits(idle_in_transaction=timedelta(seconds=1)))
    performer = Freezing()
    engine = Engine(db, Clock(), Palette.built_in(), (b"k" * 32,))
    try:
        perform(Effects(engine, {"email": performer}, Breakers(db)), activity_of("email"), run_id, 1, START)
    except DBAPIError as error:
        return f"lost {getattr(error.orig, 'sqlstate', '')} {len(performer.received)}"
    return f"went on {len(performer.received)}"


if __name__ == "__main__":
    print(main(sys.argv[1], sys.argv[2]), flush=True)
