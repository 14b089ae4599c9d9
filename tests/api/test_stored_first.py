"""Acknowledged is stored, whatever goes wrong behind the door; and what a stored event should have set off is made up for."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from pydantic import BaseModel
from sqlalchemy import event as hooks
from sqlalchemy import select, text

from api.app import create_app
from api.http.errors import Unavailable
from api.tracking.calls import Envelope, read_event
from api.tracking.writer import Writer
from engine.clock import Clock
from engine.engine import Engine
from engine.enrolment import unrouted
from engine.keeper import Keeper
from engine.presence import Presence
from engine.temporal.wakeups import Wakeups
from engine.versions import publish
from journeys.custom import activity
from journeys.errors import Conflict
from journeys.nodes import Palette
from models import Contact, Database, Event, Inbox, Refusal, Run, Unrouted
from settings import Settings
from tests.api.conftest import TestClient

NOW = datetime(2026, 11, 22, tzinfo=UTC)
KEY = (b"k" * 32,)


@pytest.fixture(params=["sqlite", "postgres"])
def db(request: pytest.FixtureRequest) -> Database:
    """What is stored hangs on the kind of database."""
    return cast(Database, request.getfixturevalue(f"{request.param}_db"))


class Nothing(BaseModel):
    pass


@activity(name="stamp", title="Stamp a card")
def stamp(ctx: Any, input: Nothing) -> None:
    """Stamps."""


WELCOME = {
    "spec": 1,
    "key": "welcome",
    "name": "Welcome",
    "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]},
    "goal": {"event": "Order Completed", "window": "P30D"},
    "start": "hear",
    "nodes": {
        "hear": {"kind": "wait_for", "branches": [{"name": "asked", "event": "Question Asked"}], "timeout": "P9D"},
        "end": {"kind": "exit"},
    },
    "edges": [{"from": "hear", "outlet": "asked", "to": "end"}, {"from": "hear", "outlet": "timed_out", "to": "end"}],
}
CARD = {
    "spec": 1,
    "key": "card",
    "name": "Card",
    "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]},
    "start": "stamp",
    "nodes": {"stamp": {"kind": "custom.stamp"}, "end": {"kind": "exit"}},
    "edges": [{"from": "stamp", "to": "end"}],
}


def knowing(db: Database) -> Engine:
    """The engine of a process that has the custom step."""
    return Engine(db, Clock(), Palette.built_in().with_kinds(stamp.node), KEY)


def lacking(db: Database) -> Engine:
    """The engine of one that has not."""
    return Engine(db, Clock(), Palette.built_in(), KEY)


def put_live(engine: Engine, *documents: dict[str, Any]) -> None:
    with engine.db.write() as session:
        for document in documents:
            journey = publish.create_journey(session, document, "test", NOW)
            publish.publish(engine, session, journey.id, "test", "", NOW)


@dataclass(frozen=True)
class Sent:
    """`acknowledged`: the sender was told that everything is stored."""

    message_id: str
    acknowledged: bool
    why: str = ""


def send(engine: Engine, *raws: tuple[str, dict[str, Any]]) -> list[Sent]:
    """Each call as a request of its own."""
    calls = [read_event(raw, kind, Envelope(datetime.now(UTC), "Shop")) for kind, raw in raws]

    async def scenario() -> list[Any]:
        writer = Writer(engine, None, asyncio.get_running_loop())
        writer.start()
        try:
            return [await asyncio.gather(writer.submit([call]), return_exceptions=True) for call in calls]
        finally:
            await asyncio.to_thread(writer.stop)

    found = []
    for call, (answer,) in zip(calls, asyncio.run(scenario()), strict=True):
        assert isinstance(answer, Unavailable) or not isinstance(answer, BaseException), answer
        told = not isinstance(answer, Unavailable)
        found.append(Sent(call.row["message_id"], told and answer.refused == 0, str(answer)))
    return found


def is_stored(engine: Engine, message_id: str) -> bool:
    with engine.db.read() as session:
        return session.scalar(select(Event.id).where(Event.source == "Shop", Event.message_id == message_id)) is not None


class NoTemporal:
    async def wake(self, wakeups: Wakeups) -> None:
        """Nobody listens."""


def settle(engine: Engine) -> None:
    """What the keeper does at its next rounds, with all pauses over."""
    keeper = Keeper(engine, cast(Any, NoTemporal()))
    for _ in range(3):
        with engine.db.write() as session:
            unrouted.try_now(session, engine.clock.now())
        keeper.settle_unrouted()


def runs_of(engine: Engine) -> list[tuple[str, str]]:
    """(journey, contact) of every run."""
    with engine.db.read() as session:
        return sorted((row.journey_id, row.contact_id) for row in session.execute(select(Run.journey_id, Run.contact_id)))


@contextmanager
def failing(db: Database, fails: Callable[[str], bool]) -> Iterator[list[str]]:
    """Statements for which `fails` says so raise what nobody foresaw; answers with those that were sent."""
    sent: list[str] = []

    def look(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)
        if fails(statement):
            raise RuntimeError("planted")

    hooks.listen(db.engine, "before_cursor_execute", look)
    try:
        yield sent
    finally:
        hooks.remove(db.engine, "before_cursor_execute", look)


def story(n: str) -> list[tuple[str, dict[str, Any]]]:
    """A person signs up, asks and orders: entry, inbox and goal."""
    who = {"userId": f"u{n}"}
    return [
        ("identify", {**who, "messageId": f"i{n}", "traits": {"email": f"u{n}@example.org", "consents": {"email": "granted"}}}),
        ("track", {**who, "messageId": f"s{n}", "event": "Signed Up"}),
        ("track", {**who, "messageId": f"a{n}", "event": "Question Asked"}),
        ("track", {**who, "messageId": f"o{n}", "event": "Order Completed", "properties": {"total": 5, f"new{n}": 1}}),
    ]


def made_up_for(engine: Engine, sent: list[Sent]) -> None:
    """Every acknowledged event is there and did what it should; nothing is there twice, nothing is owed."""
    settle(engine)
    with engine.db.read() as session:
        assert session.scalars(select(Unrouted)).all() == []
        runs = session.scalars(select(Run)).all()
        assert len({run.contact_id for run in runs}) == len(runs)
        for one in sent:
            assert is_stored(engine, one.message_id) >= one.acknowledged, one
            entered = session.execute(
                select(Run.id).join(Event, Event.id == Run.trigger_event_id).where(Event.message_id == one.message_id)
            ).all()
            if one.message_id.startswith("s") and one.acknowledged:
                assert len(entered) == 1, one
        assert session.scalars(select(Refusal)).all() == []


def test_an_error_at_any_statement_costs_no_acknowledged_event(db: Database) -> None:
    engine = lacking(db)
    put_live(engine, WELCOME)
    with failing(db, lambda _: False) as statements:
        send(engine, *story("0"))
    sent: list[Sent] = []
    for n in range(1, len(statements) + 2):
        count = itertools.count(1)
        with failing(db, lambda _, n=n, count=count: next(count) == n):  # type: ignore[misc]
            sent += send(engine, *story(str(n)))
    assert sum(one.acknowledged for one in sent) > 0.9 * len(sent)
    made_up_for(engine, sent)


def test_a_statement_that_always_fails_costs_no_acknowledged_event(db: Database) -> None:
    engine = lacking(db)
    put_live(engine, WELCOME)
    with failing(db, lambda _: False) as statements:
        send(engine, *story("0"))
    sent: list[Sent] = []
    for n, broken in enumerate(dict.fromkeys(statements), start=1):
        with failing(db, lambda statement, broken=broken: statement == broken):  # type: ignore[misc]
            sent += send(engine, *story(str(n)))
    assert 0 < sum(one.acknowledged for one in sent) < len(sent)
    made_up_for(engine, sent)


def test_a_journey_that_one_server_cannot_load_takes_nothing_with_it(db: Database) -> None:
    able, unable = knowing(db), lacking(db)
    put_live(able, WELCOME, CARD)
    assert all(one.acknowledged for one in send(unable, *story("1")))
    with db.read() as session:
        owed = session.scalars(select(Unrouted)).all()
        assert [(one.part.partition(":")[0], one.reason) for one in owed] == [("entry", "journey_not_loaded")]
        assert session.scalar(select(Inbox.run_id)) is not None
    assert len(runs_of(unable)) == 1
    settle(unable)
    with db.read() as session:
        (waiting,) = session.scalars(select(Unrouted)).all()
        assert waiting.attempts > 1
    settle(able)
    settle(able)
    assert len(runs_of(able)) == 2
    with db.read() as session:
        assert session.scalars(select(Unrouted)).all() == []


def test_the_goal_of_a_version_that_cannot_be_loaded_is_counted_later(db: Database) -> None:
    able, unable = knowing(db), lacking(db)
    put_live(able, {**CARD, "goal": {"event": "Order Completed", "window": "P30D"}})
    send(able, *story("1")[:2])
    assert all(one.acknowledged for one in send(unable, story("1")[3]))
    with db.read() as session:
        assert session.scalar(select(Run.goal_at)) is None
    settle(able)
    with db.read() as session:
        assert session.scalar(select(Run.goal_at)) is not None


def test_readiness_names_the_journeys_that_this_server_cannot_run(db: Database, settings: Settings) -> None:
    put_live(knowing(db), WELCOME, CARD)
    unable = lacking(db)
    send(unable, *story("1"))
    with TestClient(create_app(settings, unable)) as client:
        ready = client.get("/ready")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        assert (ready.json()["journeys_not_loaded"], ready.json()["unrouted"]) == (["card"], 1)
        assert "pfadwerk_unrouted_parts 1.0" in client.get("/metrics", headers={"authorization": "Bearer read-my-numbers"}).text
    with TestClient(create_app(settings, knowing(db))) as client:
        assert client.get("/ready").json()["journeys_not_loaded"] == []


def test_a_version_is_not_published_while_a_live_process_lacks_a_step(db: Database) -> None:
    able, other = knowing(db), Presence(lacking(db), "worker")
    other.beat()
    with pytest.raises(Conflict, match=r"worker lacks the steps custom\.stamp@1"):
        put_live(able, CARD)
    other.leave()
    put_live(able, CARD)


def test_a_process_that_died_holds_nobody_up(db: Database) -> None:
    other = Presence(lacking(db), "web")
    other.beat()
    with db.write() as session:
        session.execute(text("UPDATE process SET seen_at = :then"), {"then": "2026-01-01 00:00:00+00"})
    Presence(knowing(db), "web").beat()
    put_live(knowing(db), CARD)
    with db.read() as session:
        assert session.scalar(text("SELECT count(*) FROM process")) == 1


def read_only(db: Database) -> None:
    """As after `ALTER DATABASE … SET default_transaction_read_only`, or on a file that may not be written."""
    statement = "PRAGMA query_only = ON" if db.is_sqlite else "SET default_transaction_read_only = on"
    _on_connect(db, statement)


def insert_revoked(db: Database) -> None:
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("DROP ROLE IF EXISTS reader")
        connection.exec_driver_sql("CREATE ROLE reader")
        connection.exec_driver_sql("GRANT USAGE ON SCHEMA public TO reader")
        connection.exec_driver_sql("GRANT ALL ON ALL TABLES IN SCHEMA public TO reader")
        connection.exec_driver_sql("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO reader")
        connection.exec_driver_sql("REVOKE INSERT ON event FROM reader")
    _on_connect(db, "SET ROLE reader")


def _on_connect(db: Database, statement: str) -> None:
    db.engine.dispose()

    def prepare(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute(statement)
        cursor.close()
        if not db.is_sqlite:
            connection.commit()

    hooks.listen(db.engine, "connect", prepare)


def refuses(engine: Engine, settings: Settings, key: str) -> None:
    with TestClient(create_app(settings, engine)) as client:
        body = {"userId": "u1", "event": "Signed Up", "messageId": "m1"}
        answer = client.post("/v1/track", json={**body, "writeKey": key})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
        batch = client.post("/v1/batch", json={"writeKey": key, "batch": [{**body, "type": "track"}] * 3})
        assert batch.status_code == 503
        ready = client.get("/ready")
        assert (ready.status_code, ready.json()["status"], ready.json()["database"]) == (503, "not ready", "read only")
    assert not is_stored(engine, "m1")


def test_a_read_only_database_acknowledges_nothing(db: Database, settings: Settings, write_key: str) -> None:
    read_only(db)
    refuses(lacking(db), settings, write_key)


def test_a_role_that_may_not_insert_acknowledges_nothing(postgres_db: Database, settings: Settings) -> None:
    from workspace.api_keys import add_key

    with postgres_db.write() as session:
        key = add_key(session, "server", "Shop", NOW)[1]
    insert_revoked(postgres_db)
    refuses(lacking(postgres_db), settings, key)


def test_a_probe_for_readiness_leaves_nothing(db: Database, settings: Settings) -> None:
    with TestClient(create_app(settings, lacking(db))) as client:
        assert client.get("/ready").json()["status"] == "ready"
    with db.read() as session:
        assert session.scalars(select(Event)).all() == []
        assert session.scalars(select(Contact)).all() == []


def test_what_the_keeper_cannot_route_does_not_come_before_everything_else(db: Database) -> None:
    engine = lacking(db)
    put_live(knowing(db), CARD)
    put_live(engine, WELCOME)
    send(engine, story("1")[0])
    with db.write() as session:
        contact_id = session.scalar(select(Contact.id))
        for n in range(2):
            session.add(
                Event(
                    contact_id=contact_id, name="Signed Up", source="x", message_id=f"x{n}", occurred_at=NOW, received_at=NOW, routed=False
                )
            )
    Keeper(engine, cast(Any, NoTemporal())).route_unrouted()
    with db.read() as session:
        assert session.scalars(select(Event.id).where(Event.routed.is_(False))).all() == []
        assert len(session.scalars(select(Unrouted)).all()) == 2
        assert len(session.scalars(select(Run)).all()) == 1


def test_the_api_shows_what_waits_and_tries_it_again(db: Database, settings: Settings) -> None:
    from workspace.api_keys import add_key

    put_live(knowing(db), WELCOME, CARD)
    unable = lacking(db)
    send(unable, *story("1"))
    with db.write() as session:
        key = add_key(session, "admin", "Tests", NOW)[1]
    with TestClient(create_app(settings, unable), headers={"authorization": f"Bearer {key}"}) as client:
        page = client.get("/api/v1/events/unrouted").json()
        assert (page["count"], page["items"][0]["name"], page["items"][0]["reason"]) == (1, "Signed Up", "journey_not_loaded")
        assert client.post("/api/v1/events/unrouted/retry", json={}).json() == {"count": 1}
