"""What a message costs before a provider sees it: filling its template in, the gate's decision, and the gate with its database. Prints one JSON object.

Rates are per second of CPU of this process, that is, per core.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, time, timedelta
from itertools import cycle
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

from sqlalchemy import insert, select

from activities.rendering import INLINE
from activities.sending import gate
from bench.measure import machine
from bench.reference import add_contacts, fresh_database
from bench.rendering import render_job
from engine.interpreter.gate import Cap, Former, Hold, Limits, Pass, Person, QuietTime, SendRequest, Spacing, decide
from models import Contact, Database, Message, new_id
from storage.sql import table
from workspace import settings

NOON = datetime(2026, 3, 2, 11, 0, tzinfo=UTC)
KEYS = (b"k" * 32,)
QUICK: Mapping[str, Any] = {"rounds": 3, "messages": 1_000}
"""Arguments of `run` for a figure in under a minute."""


def run(rounds: int = 9, messages: int = 5_000, contacts: int = 500) -> dict[str, Any]:
    """Each rate is the median of its rounds; a round has `messages` of them, about `contacts` people in turn."""
    load = machine()
    render, size = render_job(INLINE)
    decided = _rates(_decisions(), rounds, messages)
    rendered = _rates(render, rounds, messages // 5)
    with TemporaryDirectory() as folder:
        db = fresh_database(Path(folder) / "bench.db")
        try:
            asked = _gate_rates(db, add_contacts(db, contacts), rounds, messages)
        finally:
            db.close()
    return {
        "machine": load,
        "decides_per_s": round(median(decided)),
        "gate_per_s": round(median(asked)),
        "renders_per_s": round(median(rendered)),
        "mail_bytes": size,
        "rounds": {"decide": list(map(round, decided)), "gate": list(map(round, asked)), "render": list(map(round, rendered))},
    }


def _rates(job: Callable[[], object], rounds: int, times: int) -> list[float]:
    job()
    return [_rate(job, times) for _ in range(rounds)]


def _rate(job: Callable[[], object], times: int) -> float:
    begin = process_time()
    for _ in range(times):
        job()
    return times / (process_time() - begin)


def _decisions() -> Callable[[], object]:
    """By turns: nothing has left, three have, and a fourth waits for a cap; with quiet hours, three caps and a rule between channels."""
    caps = (Cap("default", 1, timedelta(hours=20)), Cap("default", 4, timedelta(days=7)), Cap("", 20, timedelta(days=30)))
    night = QuietTime(time(21), time(8), (6,), "Europe/Zurich")
    limits = Limits(night, caps, (), (Spacing("email", "Message Opened", "sms", timedelta(hours=4)),))
    wanted = SendRequest("m", "email", "marketing", "marketing", "default", 3, None, "Europe/Zurich")
    left = [Former("default", NOON - timedelta(days=days), "email", "marketing") for days in (2, 4, 6)]
    waits = [*left, Former("default", NOON - timedelta(hours=2), "email", "marketing")]
    person, consents = Person("anna@example.org", "Europe/Zurich"), {"email": {"marketing": "granted"}}
    turns = cycle(([], left, waits))

    def one() -> object:
        return decide(wanted, person, consents, {}, limits, next(turns), (), NOON)

    assert [type(one()) for _ in range(3)] == [Pass, Pass, Hold]
    return one


def _gate_rates(db: Database, ids: list[str], rounds: int, times: int) -> list[float]:
    """As a claim asks, a transaction of 50 messages at a time; each person has got three mails."""
    people = table(Contact)
    with db.write() as session:
        settings.put(session, "quiet_hours", {}, "bench", NOON)
        settings.put(session, "frequency_caps", {"caps": [{"count": 1, "per": "PT20H"}, {"count": 4, "per": "P7D"}]}, "bench", NOON)
        session.execute(insert(table(Message)), list(_left(ids)))
        rows = session.execute(select(people)).all()
    turns = cycle(rows)

    def page() -> None:
        with db.write() as session:
            for row in (next(turns) for _ in range(50)):
                wanted = SendRequest(new_id(), "email", "marketing", "marketing", "default", 3, None, "Europe/Zurich")
                assert isinstance(gate.ask(session, row, wanted, KEYS, NOON), Pass)

    return [50 * rate for rate in _rates(page, rounds, max(1, times // 50))]


def _left(ids: list[str]) -> Iterator[dict[str, Any]]:
    for contact_id in ids:
        for days in (2, 4, 6):
            at, id = NOON - timedelta(days=days), new_id()
            yield {
                "id": id, "once_key": id, "contact_id": contact_id, "channel": "email", "purpose": "marketing", "message_class": "marketing",
                "cap_class": "default", "priority": 3, "node": "", "template": "", "locale": "", "subject": "", "status": "sent", "reason": "",
                "attempts": 1, "provider": "outbox", "account": "", "provider_id": "", "answer": {}, "test": False, "planned_at": at,
                "sent_at": at,
            }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(run()))
