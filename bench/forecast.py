"""What a look ahead costs: enrolling people into the newsletter's journey, judged one by one as before "Enrol now". Prints one JSON object.

Each contact is asked for by the entry rules, walked to its first wait, its mail written in the pool of render processes and judged by the gate;
a fifth agreed to nothing, and quiet hours hold the mails of a fifth. The same over twenty times as many people shows that the cost
is that of the sample and not of the people.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

from sqlalchemy import insert

from activities import forecasts
from activities.forecasts import Forecaster
from activities.rendering import RenderLimits, RenderPool
from activities.sending.messages import MessageSettings
from activities.templates import library
from activities.tracking import Tracking
from bench import reference
from bench.measure import machine
from engine.clock import Clock
from engine.engine import Engine
from engine.versions import publish
from journeys.nodes import Palette
from models import ConsentState, Contact, Database, new_id
from storage.sql import table

JOURNEY: dict[str, Any] = {
    "spec": 1,
    "key": "news",
    "name": "News",
    "entry": {"triggers": [{"type": "manual"}], "filter": {"field": "lifecycle_stage", "operator": "!=", "value": "customer"}},
    "settings": {"timezone": "UTC", "quiet_hours": {"start": "21:00", "end": "08:00"}},
    "start": "hello",
    "nodes": {
        "vip": {"kind": "if_else", "rule": {"combinator": "and", "rules": [{"tag": "vip"}]}},
        "hello": {"kind": "send_email", "template": "hello"},
        "pause": {"kind": "wait", "duration": "P1D"},
        "end": {"kind": "exit"},
    },
    "edges": [
        *({"from": "hello", "outlet": outlet, "to": "vip"} for outlet in ("sent", "skipped", "failed")),
        *({"from": "vip", "outlet": outlet, "to": "pause"} for outlet in ("yes", "no")),
        {"from": "pause", "to": "end"},
    ],
}
TEXT = "Hello {{ contact.first_name }}. {{ unsubscribe_url }}"
MJML = f"<mjml><mj-body><mj-section><mj-column><mj-text>{TEXT}</mj-text></mj-column></mj-section></mj-body></mjml>"
NOW = datetime(2026, 3, 2, 23, tzinfo=UTC)

QUICK: Mapping[str, Any] = {"rounds": 2, "people": 300}
"""Arguments of `run` for a figure in under a minute."""


def run(rounds: int = 3, people: int = 1_000) -> dict[str, Any]:
    """The median of `rounds` over so many people (at most as many as are judged one by one), and over twenty times as many."""
    pool = RenderPool(RenderLimits(processes=1))
    try:
        with TemporaryDirectory() as folder:
            few, many = (_measured(Path(folder) / f"{count}.db", count, rounds, pool) for count in (people, 20 * people))
    finally:
        pool.close()
    return {"machine": machine(), "few": few, "many": many}


def _measured(file: Path, people: int, rounds: int, pool: RenderPool) -> dict[str, Any]:
    db = reference.fresh_database(file)
    try:
        forecaster, journey = _prepared(db, people, pool)
        seconds, cpu = [], []
        for _ in range(rounds):
            begin, spent = perf_counter(), process_time()
            with db.read() as session:
                found = forecaster.enrolment(session, journey, None, NOW)
            seconds.append(perf_counter() - begin)
            cpu.append(process_time() - spent)
        return {
            "people": found.population,
            "judged": found.judged,
            "exact": found.is_exact,
            "ms_per_contact": round(1_000 * median(seconds) / found.judged, 2),
            "cpu_ms_per_contact": round(1_000 * median(cpu) / found.judged, 2),
            "seconds": round(median(seconds), 2),
        }
    finally:
        db.close()


def _prepared(db: Database, people: int, pool: RenderPool) -> tuple[Forecaster, str]:
    keys = (b"bench" * 8,)
    engine = Engine(db, Clock(), Palette.built_in(), keys)
    messaging = MessageSettings(Tracking({"k1": b"1" * 32}, "https://m.example"), keys, "Shop <shop@example.com>", renderer=pool)
    variants = {"default": {"subject": "Hi {{ contact.first_name }}", "mjml": MJML, "text": TEXT}}
    library.save(db, "hello", variants, name="Hello", kind="email", message_class="marketing", actor="bench", now=NOW)
    with db.write() as session:
        journey = publish.create_journey(session, JOURNEY, "bench", NOW)
        publish.publish(engine, session, journey.id, "bench", "", NOW)
        ids = [new_id() for _ in range(people)]
        zones = ("Europe/Zurich", "America/New_York", "UTC", None, "Asia/Tokyo")
        session.execute(
            insert(table(Contact)),
            [
                {
                    "id": id, "email": f"{id}@example.org", "first_name": "Ada", "timezone": zones[n % 5], "attributes": {},
                    "lifecycle_stage": "customer" if n % 10 == 0 else "lead", "created_at": NOW, "updated_at": NOW,
                }
                for n, id in enumerate(ids)
            ],
        )  # fmt: skip
        consent = {"channel": "email", "purpose": "marketing", "state": "granted", "said_at": NOW - timedelta(days=1), "dated": True}
        session.execute(insert(table(ConsentState)), [{**consent, "contact_id": id} for n, id in enumerate(ids) if n % 5])
        return Forecaster(engine, messaging), journey.id


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--people", type=int, default=forecasts.LIMITS.everybody)
    print(json.dumps(run(**vars(parser.parse_args()))))


if __name__ == "__main__":
    main()
