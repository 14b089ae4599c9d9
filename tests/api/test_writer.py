"""The batching writer: what is acknowledged is stored, and what cannot be stored is said."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func
from sqlmodel import select

from api.http.errors import Unavailable
from api.tracking.calls import Envelope, TrackingCall, read_event
from api.tracking.writer import MAX_ROWS, Writer, next_chunk
from engine.engine import Engine
from models import Database, Event

if TYPE_CHECKING:
    from conftest import Woken

NOW = datetime(2026, 11, 22, tzinfo=UTC)
Send = Callable[..., Any]


def call(kind: str = "track", user: str = "u1", source: str = "Shop", **more: Any) -> TrackingCall:
    raw = {"userId": user, "event": "E", "groupId": "g", "previousId": "p", "traits": {"n": 1}, **more}
    return read_event(raw, kind, Envelope(NOW, source))


def chunks(*calls: TrackingCall) -> list[list[TrackingCall]]:
    queue = deque((call, None) for call in calls)
    found = []
    while queue:
        found.append([call for call, _ in next_chunk(queue)])
    return found


def stored(engine: Engine) -> int:
    with engine.db.read() as session:
        return session.scalar(select(func.count()).select_from(Event).where(Event.type != "system")) or 0


def test_a_transaction_takes_so_many_rows_and_keeps_the_order() -> None:
    calls = [call(user=f"u{n}") for n in range(MAX_ROWS + 3)]
    first, second = chunks(*calls)
    assert (len(first), len(second)) == (MAX_ROWS, 3)
    assert [*first, *second] == calls


def test_a_profile_never_changes_under_an_event_of_the_same_transaction() -> None:
    one, two, three, other = call("identify"), call("track"), call("identify"), call("identify", "u2")
    assert chunks(one, two, other, three) == [[one, two, other], [three]]


def test_an_alias_goes_alone() -> None:
    one, two, three = call("track", "u5"), call("alias", "u6"), call("track", "u7")
    assert chunks(one, two, three) == [[one], [two], [three]]


def test_profile_calls_weigh_more() -> None:
    calls = [call("identify", f"u{n}") for n in range(120)]
    assert len(chunks(*calls)[0]) < 60


async def through_a_writer(engine: Engine, batches: list[list[TrackingCall]]) -> list[Any]:
    writer = Writer(engine, None, asyncio.get_running_loop())
    writer.start()
    try:
        return await asyncio.gather(*(writer.submit(batch) for batch in batches), return_exceptions=True)
    finally:
        await asyncio.to_thread(writer.stop)


def test_many_requests_share_transactions_and_each_is_told_its_own(engine: Engine) -> None:
    batches = [[call(user=f"u{n}", messageId=f"m{n}-{i}") for i in range(20)] for n in range(30)]
    batches.append(batches[0])
    answers = asyncio.run(through_a_writer(engine, batches))
    assert sum(answer.stored for answer in answers) == stored(engine) == 600
    assert sum(answer.repeated for answer in answers) == 20


def test_a_profile_call_is_known_by_its_sender_and_its_id(engine: Engine) -> None:
    first = [call("identify", messageId="m1"), call("identify", source="App", messageId="m2")]
    again = [call("identify", source="App", messageId="m1"), call("identify", messageId="m2"), call("identify", messageId="m1")]
    asyncio.run(through_a_writer(engine, [first]))
    (answer,) = asyncio.run(through_a_writer(engine, [again]))
    assert (answer.stored, answer.repeated, stored(engine)) == (2, 1, 4)


def test_stopping_writes_what_was_handed_in(engine: Engine) -> None:
    async def scenario() -> Any:
        writer = Writer(engine, None, asyncio.get_running_loop())
        handed_in = asyncio.ensure_future(writer.submit([call()]))
        await asyncio.sleep(0)
        writer.start()
        await asyncio.to_thread(writer.stop)
        with pytest.raises(Unavailable):
            await writer.submit([call()])
        return await handed_in

    assert asyncio.run(scenario()).stored == 1


def full_database(db: Database) -> None:
    """Leaves room for a few pages more on every connection that will be made."""
    with db.engine.connect() as connection:
        used = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    db.engine.dispose()
    from sqlalchemy import event

    event.listen(db.engine, "connect", lambda connection, _: connection.execute(f"PRAGMA max_page_count={used + 8}"))


def test_a_full_database_is_said_and_loses_nothing_acknowledged(engine: Engine, track: Send, admin_key: str) -> None:
    full_database(engine.db)
    acknowledged = 0
    for n in range(60):
        answer = track("track", {"userId": f"u{n}", "event": "E", "messageId": f"m{n}", "properties": {"text": "x" * 2_000}})
        acknowledged += answer.status_code == 200
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "unavailable"
    assert "full" in answer.json()["error"]["message"]
    assert stored(engine) == acknowledged > 0


def test_a_run_that_a_trigger_starts_is_woken_after_the_commit(engine: Engine, track: Send, admin: Any, woken: Woken) -> None:
    document = {
        "spec": 1,
        "key": "welcome",
        "name": "Welcome",
        "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]},
        "start": "pause",
        "nodes": {"pause": {"kind": "wait", "duration": "P1D"}, "done": {"kind": "exit"}},
        "edges": [{"from": "pause", "outlet": "next", "to": "done"}],
    }
    assert admin.post("/api/v1/journeys", json={"document": document}).status_code == 201
    published = admin.post("/api/v1/journeys/welcome/publish", json={})
    assert published.status_code == 200, published.text
    track("track", {"userId": "u1", "event": "Signed Up"})
    track("import", {"batch": [{"type": "track", "userId": "u2", "event": "Signed Up"}]})
    assert len(woken.wakeups.starts) == 1
    (run,) = admin.get("/api/v1/runs?journey=welcome").json()["items"]
    assert (run["id"], run["node"], run["status"]) == (*woken.wakeups.starts, "pause", "active")
