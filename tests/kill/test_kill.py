"""A run survives the death of every process, at any instant: nothing lost, nothing twice, and what may be lost is listed.

Worker, web server, Temporal and Redis are killed with SIGKILL at random instants and started again, while contacts sign up and some of
them place an order, which ends their run. Half of the runs send mails by SMTP (`blind`), half text messages by HTTP (`lookup`);
independent receivers count. The seed is printed; PFADWERK_TEST_SEED repeats it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from activities.sending.ledger import messages
from activities.templates import library
from engine.runs.rows import runs, trail
from engine.versions import publish
from models import Event, Inbox, Journey
from storage import tally
from storage.sql import table
from tests.forkserver import ForkServer
from tests.kill.installation import Installation, Shop
from tests.recount import recounted
from worker import build_engine

events = table(Event)
inbox = table(Inbox)
LAST_SECONDS = 90.0
"""How long the runs may take after the last kill."""


@pytest.fixture
def keeper_interval() -> str:
    return "PT1S"


@pytest.fixture
def installation(forks: ForkServer, tmp_path: Path, database_url: str, seed: int, keeper_interval: str) -> Iterator[Installation]:
    installation = Installation(forks, tmp_path / "home", database_url, seed, keeper_interval)
    try:
        furnish(installation)
        installation.start()
        yield installation
    finally:
        installation.stop()


def journey(key: str, send: dict[str, Any]) -> dict[str, Any]:
    """The reference journey with waits of a person without patience."""
    return {
        "spec": 1,
        "key": key,
        "name": key,
        "entry": {"triggers": [{"type": "event", "event": f"Signed Up {key}"}], "reentry": {"policy": "after_exit"}},
        "exit_when": [{"event": "Order Completed"}],
        "settings": {"message_class": "transactional"},
        "start": "hello",
        "nodes": {
            "hello": send,
            "short": {"kind": "wait", "duration": "PT3S"},
            "opened": {"kind": "if_else", "rule": {"combinator": "and", "rules": [{"message": "opened", "node": "hello"}]}},
            "thanks": send,
            "nudge": send,
            "shorter": {"kind": "wait", "duration": "PT1S"},
            "last": send,
            "end": {"kind": "exit"},
        },
        "edges": [
            {"from": "hello", "outlet": "sent", "to": "short"},
            {"from": "short", "to": "opened"},
            {"from": "opened", "outlet": "yes", "to": "thanks"},
            {"from": "opened", "outlet": "no", "to": "nudge"},
            {"from": "thanks", "outlet": "sent", "to": "shorter"},
            {"from": "nudge", "outlet": "sent", "to": "shorter"},
            {"from": "shorter", "to": "last"},
            {"from": "last", "outlet": "sent", "to": "end"},
        ],
    }


JOURNEYS = (journey("mail", {"kind": "send_email", "template": "hello"}), journey("text", {"kind": "send_sms", "text": "Hello"}))
PATH = ["hello", "nudge", "last"]


def furnish(installation: Installation) -> None:
    """A template, two live journeys."""
    now = datetime.now(UTC)
    engine = build_engine(installation.settings, installation.db, [])
    mjml = "<mjml><mj-body><mj-section><mj-column><mj-text>Hello</mj-text></mj-column></mj-section></mj-body></mjml>"
    library.save(
        installation.db,
        "hello",
        {"default": {"subject": "Hello", "mjml": mjml}},
        name="Hello",
        kind="email",
        message_class="transactional",
        actor="test",
        now=now,
    )
    for document in JOURNEYS:
        with installation.db.write() as session:
            created = publish.create_journey(session, document, "test", now)
            publish.publish(engine, session, created.id, "test", "", now)


def customers(installation: Installation, count: int, over_seconds: float) -> Shop:
    """Plans `count` sign-ups, spread evenly; every fourth contact orders soon after."""
    shop = Shop(installation.ports["web"], installation.write_key)
    began = time.monotonic()
    for number in range(count):
        at = began + over_seconds * number / count
        user = f"u{number}"
        traits = {"email": f"{user}@example.org", "phone": f"+4179{number:07}"}
        key = JOURNEYS[number % 2]["key"]
        shop.plan(
            at,
            [
                {"type": "identify", "userId": user, "traits": traits, "messageId": f"{user}-identify"},
                {"type": "track", "userId": user, "event": f"Signed Up {key}", "messageId": f"{user}-sign-up"},
            ],
        )
        if number % 4 < 2 and number % 8 < 4:
            order = {"type": "track", "userId": user, "event": "Order Completed", "messageId": f"{user}-order"}
            shop.plan(at + installation.random.uniform(0, 7), [order])
    return shop


def live_through(installation: Installation, kills: int, mean_seconds: float) -> None:
    """So many kills at random instants; now and then everything at once."""
    order = victims(installation)
    next_kill = time.monotonic() + installation.random.expovariate(1 / mean_seconds)
    while sum(installation.kills.values()) < kills:
        installation.look_after()
        if time.monotonic() >= next_kill:
            if installation.random.random() < 0.5:
                await_send(installation)
            for name in next(order):
                if installation.is_up(name):
                    installation.kill(name, installation.random.uniform(0, 1))
            next_kill = time.monotonic() + installation.random.expovariate(1 / mean_seconds)
        time.sleep(0.02)


def await_send(installation: Installation) -> None:
    """Half of the kills are aimed: as soon as a message is on its way, but soon in any case."""
    deadline = time.monotonic() + 1
    while installation.claimed() == 0 and time.monotonic() < deadline:
        installation.look_after()
        time.sleep(0.005)


WEIGHTS = {"worker": 5, "second": 5, "web": 3, "temporal": 2, "redis": 1}


def victims(installation: Installation) -> Iterator[Sequence[str]]:
    """Each of them once, then by chance, workers most often, and now and then all at once."""
    chance, mortal = installation.random, installation.mortal
    yield from ([name] for name in chance.sample(mortal, len(mortal)))
    while True:
        yield chance.choices([*([name] for name in mortal), mortal], [*(WEIGHTS[name] for name in mortal), 1])[0]


def await_true(installation: Installation, what: str, done: Callable[[], bool], seconds: float = LAST_SECONDS) -> None:
    """Looks again and again, keeping the house alive, until it is so or the time is up."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}\n{installation.last_words()}"
        installation.look_after()
        time.sleep(0.2)


def finish(installation: Installation, shop: Shop) -> None:
    try:
        await_true(installation, "all events are acknowledged", lambda: shop.is_done)
    finally:
        shop.give_up()
    await_true(installation, "all runs have ended", lambda: installation.count_runs(only_open=True) == 0)
    await_true(installation, "no send is in doubt", lambda: installation.claimed() == 0)
    await_true(
        installation, "Temporal has nothing left to do", lambda: installation.is_up("temporal") and installation.open_workflows() == 0
    )


def rows(installation: Installation, statement: Any) -> list[Any]:
    with installation.db.read() as session:
        return list(session.execute(statement))


def verify(installation: Installation, shop: Shop, count: int) -> dict[str, int]:
    """Every promise, one by one; returns what was counted."""
    found = {run.id: run for run in rows(installation, select(runs))}
    assert len(found) == count, "every sign-up started one run"
    assert len({run.trigger_event_id for run in found.values()}) == count, "and none two"
    assert len({run.contact_id for run in found.values()}) == count

    stored = [row.message_id for row in rows(installation, select(events.c.message_id).where(events.c.type != "system"))]
    assert len(stored) == len(set(stored))
    assert set(stored) == shop.acknowledged, "no acknowledged event is lost, none is there twice"

    received, ledger = installation.received(), {row.once_key: row for row in rows(installation, select(messages))}
    assert {key: times for key, times in received.items() if times > 1} == {}, "nothing is received twice"
    assert set(received) <= set(ledger), "nothing is received that the ledger does not know"
    assert {row.status for row in ledger.values()} <= {"sent", "uncertain", "planned", "skipped"}
    for key, row in ledger.items():
        if row.status == "sent":
            assert received[key] == 1, f"{key} is called sent and was not received"
        elif row.status == "uncertain":
            assert row.reason, "with the reason"
        else:
            assert found[row.run_id].reason == "exit", f"{key} was not sent although its run did not exit"
            assert received[key] == 0, f"{key} is called {row.status} and was received"

    calls = rows(installation, select(trail.c.run_id, trail.c.node).where(trail.c.what == "calling").order_by(trail.c.run_id, trail.c.step))
    for id, run in found.items():
        path = [node for run_id, node in calls if run_id == id]
        assert path == PATH[: len(path)], "each node is called once, in order"
        if run.reason == "completed":
            assert path == PATH
            assert all(ledger[f"{id}:{node}:1"].status in ("sent", "uncertain") for node in PATH)
        else:
            assert run.reason == "exit"
            assert all(f"{id}:{node}:1" in ledger for node in path[:-1])
    assert {run.status for run in found.values()} == {"ended"}
    heard = rows(installation, select(inbox.c.run_id, inbox.c.consumed))
    assert all(row.consumed for row in heard)
    assert {row.run_id for row in heard} == {id for id, run in found.items() if run.reason == "exit"}, "who hears an order exits"

    with installation.db.read() as session:
        for id in session.scalars(select(table(Journey).c.id)):
            assert tally.read(session, id) == recounted(session, id), "the numbers on the canvas are those of the rows"

    uncertain = [row for row in ledger.values() if row.status == "uncertain"]
    silent = installation.received("silent").total()
    assert [row.once_key for row in uncertain if row.provider == "http_fake"] == [], "who can be asked leaves no doubt"
    assert len(uncertain) <= installation.in_flight + silent, "doubt comes from kills and hang-ups only"
    return {
        "runs": count,
        "exited": sum(run.reason == "exit" for run in found.values()),
        "received": received.total(),
        "uncertain": len(uncertain),
        "in_flight_at_kills": installation.in_flight,
        "not_answered": silent,
        "stuck": sum(run.status == "stuck" for run in found.values()),
        "quarantined": sum(run.status == "quarantined" for run in found.values()),
        "kills": installation.kills.total(),
        **{f"kills_{name}": installation.kills[name] for name in installation.mortal},
    }


def survive(installation: Installation, count: int, over_seconds: float, kills: int, mean_seconds: float) -> dict[str, object]:
    began = time.monotonic()
    shop = customers(installation, count, over_seconds)
    live_through(installation, kills, mean_seconds)
    finish(installation, shop)
    seconds = round(time.monotonic() - began)
    return {"database": installation.db.engine.dialect.name, **verify(installation, shop, count), "seconds": seconds}


def test_sixty_runs_survive(installation: Installation, seed: int, say: Callable[[Mapping[str, object]], None]) -> None:
    say({"seed": seed, **survive(installation, 60, over_seconds=12, kills=9, mean_seconds=1.8)})


@pytest.mark.soak
def test_five_hundred_runs_survive(installation: Installation, seed: int, say: Callable[[Mapping[str, object]], None]) -> None:
    say({"seed": seed, **survive(installation, 500, over_seconds=120, kills=40, mean_seconds=3.5)})


@pytest.mark.parametrize("keeper_interval", ["PT20S"])
def test_all_runs_come_back_when_temporal_has_lost_everything(installation: Installation) -> None:
    """The keeper would heal the runs as they come due; here its patience is so long that `recover` comes first and brings all of them back."""
    shop = customers(installation, 20, over_seconds=2)
    await_true(installation, "all have entered", lambda: installation.count_runs() == 20)
    installation.lose_temporal()
    left = installation.count_runs(only_open=True)
    environment = {**os.environ, **installation.settings.environment()}
    done = installation.forks.run("cli", "recover", "--json", environment=environment)
    assert done.returncode == 0, done.stderr
    assert 0 < json.loads(done.stdout)["started"] <= left, "in mid-flight"
    finish(installation, shop)
    verify(installation, shop, 20)
