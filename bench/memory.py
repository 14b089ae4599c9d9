"""Whether a process that sends stays as large as it is: messages through enrolment, gate, template and ledger, and its resident memory meanwhile. Prints one JSON object.

The clock is virtual: 50 messages a second, each to the next of some people, from the event that starts its run to the end of the run, by the functions that the
worker calls (`route`, `perform`); Temporal, which only carries instructions, is left out, and the provider takes everything. Memory is read every
so many messages, and the growth is the slope of a straight line through what was read after the warm-up.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import linear_regression
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, ClassVar, Self

from activities.providers.provider import Answer, ConfiguredProvider, DeliveryCheck, Outgoing, ProviderConfig, Surroundings
from activities.rendering import INLINE
from activities.sending.breakers import Breakers
from activities.sending.effect import Effects, perform
from activities.sending.messages import MessageHandler
from bench.measure import machine, memory_bytes, say
from bench.reference import EVENT, MAIL, add_contacts, fresh_database, publish
from engine.engine import Engine
from engine.enrolment.routing import route
from journeys.calls import activity_of
from models import Database
from settings import Settings
from storage.events import append_event
from worker import build_engine, build_messaging

QUICK: Mapping[str, Any] = {"messages": 3_000, "warm_up": 1_000, "every": 100}
"""Arguments of `run` for a figure in under a minute."""
BEGIN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
APART = timedelta(milliseconds=20)
CONTACTS = 1_000
JOURNEY: Mapping[str, Any] = {
    "spec": 1,
    "key": "one",
    "name": "One",
    "entry": {"triggers": [{"type": "event", "event": EVENT}], "reentry": {"policy": "after_exit"}},
    "start": "hello",
    "nodes": {"hello": {"kind": "send_email", "template": MAIL}, "end": {"kind": "exit"}},
    "edges": [{"from": "hello", "outlet": "sent", "to": "end"}],
}


def run(messages: int = 180_000, warm_up: int = 10_000, every: int = 1_000) -> dict[str, Any]:
    """`rss_growth_mb`: megabytes for 10,000 messages, of those after the warm-up."""
    load, read = machine(), []
    with _sending() as (engine, effects, contacts):
        began = perf_counter()
        for number in range(messages):
            _send(engine, effects, contacts[number % len(contacts)], BEGIN + number * APART)
            if number % every == every - 1:
                read.append((number + 1, memory_bytes(os.getpid()) / 2**20))
                if number % (10 * every) == 10 * every - 1:
                    say(f"{number + 1} messages, {read[-1][1]:.0f} MB")
        seconds = perf_counter() - began
    after = [(count, size) for count, size in read if count > warm_up]
    slope = linear_regression(*zip(*after, strict=True)).slope
    return {
        "machine": load,
        "rss_growth_mb": round(slope * 10_000, 2),
        "rss_mb": {"begin": round(after[0][1], 1), "end": round(after[-1][1], 1), "most": round(max(size for _, size in after), 1)},
        "messages": messages,
        "virtual_minutes": round(messages * APART / timedelta(minutes=1), 1),
        "messages_per_s": round(messages / seconds),
    }


class Takes(ConfiguredProvider):
    """Whatever it gets it has taken."""

    name = "takes"
    label = "Takes everything"
    channels = frozenset({"email"})
    delivery_check: DeliveryCheck = "blind"
    timeout_seconds = 5.0
    answer: ClassVar[Answer] = Answer(provider_id="taken")

    @classmethod
    def open(cls, config: ProviderConfig, around: Surroundings) -> Self:
        return cls()

    def send(self, message: Outgoing) -> Answer:
        return self.answer

    def verify(self) -> None:
        """It is there."""

    def close(self) -> None:
        """There is nothing."""


@contextmanager
def _sending() -> Iterator[tuple[Engine, Effects, Sequence[str]]]:
    """What a worker sends with, and to whom."""
    with TemporaryDirectory(prefix="pfadwerk-bench-") as folder:
        db = fresh_database(Path(folder) / "bench.db")
        try:
            engine, settings = _engine(db, Path(folder))
            publish(engine, dict(JOURNEY))
            handler = MessageHandler(build_messaging(settings, INLINE), Takes(), "email")
            yield engine, Effects(engine, {"email": handler}, Breakers(db)), add_contacts(db, CONTACTS)
        finally:
            db.close()


def _engine(db: Database, folder: Path) -> tuple[Engine, Settings]:
    settings = Settings.load(home=folder, database_url=db.url, secret_key="k1:" + "bench" * 10, log_level="warning")
    return build_engine(settings, db, []), settings


def _send(engine: Engine, effects: Effects, contact_id: str, now: datetime) -> None:
    """One message, from its event to the end of its run."""
    with engine.db.write() as session:
        event = append_event(session, contact_id, "track", EVENT, {}, now, source="bench", routed=True)
        wakeups = route(engine, session, [event], now)
    [(run_id, start)] = wakeups.starts.items()
    moved = perform(effects, activity_of("email"), run_id, start.instruction["step"], now)
    assert moved.instruction["op"] == "end", moved.instruction


if __name__ == "__main__":
    print(json.dumps(run()))
