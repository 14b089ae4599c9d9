"""How many events a second the tracking door takes: batches of 100 through HTTP into SQLite, answered after the commit.

The four journeys of the gallery are live, Temporal and a worker run beside it. Of 1,000 events 20 match a trigger or a subscription and
2 of these start a run. Afterwards the server is killed (SIGKILL) in the middle of the load, and every event that was acknowledged must
be in the database. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from statistics import median
from typing import Any

import orjson
from sqlalchemy import func, select

from bench.measure import cpu_seconds, machine, say
from bench.reference import WRITE_KEY
from bench.scene import Scene, Workspace, open_scene
from commands.demo import QUIET, prepare_demo
from commands.process import Process
from commands.servers import LOOPBACK
from models import ApiKey, Event, Run
from storage.sql import table
from workspace.api_keys import hashed

BATCH = 100
CONNECTIONS = 8
FASTEST = 15_000
"""Events a second that are prepared for."""
CONTACTS = 5_000
CARTS = 2
"""Of 1,000 events: a new cart, which starts a run."""
ADDITIONS = 15
"""The same cart again: the trigger fires, and the run is refused."""
ORDERS = 3
"""An order of somebody who is in the journey: wakes the run."""


QUICK: Mapping[str, Any] = {"rounds": 1, "seconds": 4.0, "warm_up_seconds": 1.0, "kill_after": 20}
"""Arguments of `run` for a figure in under a minute: the same pairs, fewer rounds."""


def run(rounds: int = 5, seconds: float = 10.0, warm_up_seconds: float = 3.0, kill_after: int = 200) -> dict[str, Any]:
    """The median of `rounds`, each of about `seconds`; the crash comes after `kill_after` batches."""
    with open_scene() as scene, scene.workspace() as workspace:
        prepare_demo(workspace.settings, scale=QUIET)
        traffic = Traffic(workspace.ids(CONTACTS))
        with scene.child("worker", workspace.settings) as worker, scene.child("api", workspace.settings) as api:
            load(workspace, traffic.batches(warm_up_seconds), warm_up_seconds)
            loads = [_measured(workspace, traffic, seconds, api, worker, scene) for _ in range(rounds)]
        return {
            "machine": machine(),
            "events_per_s": round(median(each["events_per_s"] for each in loads)),
            "rounds": [each["events_per_s"] for each in loads],
            "cpu_us_per_event": {name: median(each[name] for each in loads) for name in ("api", "worker", "temporal")},
            "batch_ms": loads[-1]["batch_ms"],
            "runs_started": _count_runs(workspace),
            **_killed(scene, workspace, traffic, kill_after),
        }


# --- the traffic -----------------------------------------------------------------------------------------------------------


Batches = deque[tuple[list[str], bytes]]
"""Requests to come: the message ids of each, and its body."""


@dataclass
class Traffic:
    """Endless events of a shop's visitors; the kinds come in a fixed order, so every batch costs about the same."""

    contacts: Sequence[str]
    _numbers: Iterator[int] = field(default_factory=count)
    _carts: list[tuple[str, str]] = field(default_factory=list)

    def batch(self) -> tuple[list[str], bytes]:
        events = [self._event(next(self._numbers)) for _ in range(BATCH)]
        return [event["messageId"] for event in events], orjson.dumps({"batch": events, "sentAt": _now()})

    def batches(self, seconds: float) -> Batches:
        """More than any machine of today takes in that time."""
        return deque(self.batch() for _ in range(int(FASTEST * seconds / BATCH) + CONNECTIONS))

    def _event(self, number: int) -> dict[str, Any]:
        place = number * 7 % 1_000  # spreads the rare ones over the batches
        contact = self.contacts[(number * 31 + number // 1_000) % len(self.contacts)]  # the rare ones too come from everybody
        if place < CARTS:
            self._carts.append((contact, f"cart-{number}"))
            return _track(number, contact, "Product Added", {"cart_id": f"cart-{number}", "price": 19.9, "quantity": 1})
        if self._carts and place < CARTS + ADDITIONS:
            contact, cart = self._carts[-1]
            return _track(number, contact, "Product Added", {"cart_id": cart, "price": 9.9, "quantity": 2})
        if self._carts and place < CARTS + ADDITIONS + ORDERS:
            contact, cart = self._carts.pop(0) if len(self._carts) > 20 else self._carts[0]
            return _track(number, contact, "Order Completed", {"cart_id": cart, "order_id": f"order-{number}", "total": 29.8})
        if place < 40:
            return {**_common(number, contact), "type": "identify", "traits": {"plan": "basic", "language": "de"}}
        if place < 400:
            page = {"url": f"https://shop.example/p/{number % 97}", "title": "Rucksack", "path": f"/p/{number % 97}", "referrer": ""}
            return {**_common(number, contact), "type": "page", "name": "Product", "properties": page}
        product = {"product_id": f"p{number % 97}", "name": "Rucksack", "price": 89.0, "currency": "CHF", "category": "Outdoor"}
        return _track(number, contact, "Product Viewed", product)


def _track(number: int, contact: str, name: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {**_common(number, contact), "type": "track", "event": name, "properties": properties}


def _common(number: int, contact: str) -> dict[str, Any]:
    context = {
        "ip": "203.0.113.7",
        "locale": "de-CH",
        "userAgent": "Mozilla/5.0 (X11; Linux x86_64)",
        "library": {"name": "bench", "version": "1"},
    }
    return {"messageId": f"bench-{number}", "userId": contact, "timestamp": _now(), "context": context}


def _now() -> str:
    return datetime.now(UTC).isoformat()


# --- the load ----------------------------------------------------------------------------------------------------------------


@dataclass
class Answered:
    """What the senders saw: ids that were acknowledged, seconds per batch, and seconds in all."""

    ids: list[str] = field(default_factory=list)
    batches: list[float] = field(default_factory=list)
    seconds: float = 0.0


def load(workspace: Workspace, bodies: Batches, seconds: float, after: Callable[[int], None] = lambda batches: None) -> Answered:
    """Sends prepared batches from some connections, each as soon as the last was answered, for about `seconds`.

    `after` hears the number of batches that were acknowledged so far.
    """
    answered, lock = Answered(), threading.Lock()
    begin = time.perf_counter()

    def send() -> None:
        with closing(http.client.HTTPConnection(LOOPBACK, workspace.settings.port, timeout=60)) as connection:
            while time.perf_counter() < begin + seconds and bodies:
                ids, body = bodies.popleft()
                sent = time.perf_counter()
                if not _post(connection, body):
                    return  # the server is gone
                with lock:
                    answered.ids += ids
                    answered.batches.append(time.perf_counter() - sent)
                after(len(answered.batches))

    senders = [threading.Thread(target=send) for _ in range(CONNECTIONS)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    answered.seconds = time.perf_counter() - begin
    return answered


_HEADERS = {"Authorization": "Basic " + base64.b64encode(f"{WRITE_KEY}:".encode()).decode(), "Content-Type": "application/json"}


def _post(connection: http.client.HTTPConnection, body: bytes) -> bool:
    """Whether the batch was acknowledged; False when the connection broke.

    Raises:
        RuntimeError: it was refused.
    """
    try:
        connection.request("POST", "/v1/batch", body, _HEADERS)
        answer = connection.getresponse()
        text = answer.read()
    except (OSError, http.client.HTTPException):
        return False
    if answer.status != 200:
        raise RuntimeError(f"expected 200, got {answer.status}: {text[:200]!r}")
    return True


def _measured(workspace: Workspace, traffic: Traffic, seconds: float, api: Process, worker: Process, scene: Scene) -> dict[str, Any]:
    processes = {"api": api.pid, "worker": worker.pid, "temporal": scene.temporal.pid}
    before = {name: cpu_seconds(pid) for name, pid in processes.items()}
    answered = load(workspace, traffic.batches(seconds), seconds)
    events = len(answered.ids)
    used = {name: round((cpu_seconds(pid) - before[name]) / events * 1e6, 1) for name, pid in processes.items()}
    say(f"{events / answered.seconds:.0f} events/s")
    times = sorted(answered.batches)
    batch_ms = {"p50": round(median(times) * 1_000, 1), "p99": round(times[int(len(times) * 0.99)] * 1_000, 1)}
    return {"events_per_s": round(events / answered.seconds), "batch_ms": batch_ms, **used}


# --- the crash ---------------------------------------------------------------------------------------------------------------


def _killed(scene: Scene, workspace: Workspace, traffic: Traffic, batches: int) -> dict[str, int]:
    """Kills a server under load after so many batches; how many events it acknowledged, and how many of them are not in the database."""
    with scene.child("api", workspace.settings) as api:

        def kill(acknowledged: int) -> None:
            if acknowledged >= batches:
                api.popen.kill()

        answered = load(workspace, deque(traffic.batch() for _ in range(2 * batches)), 60.0, kill)
    return {"acknowledged_events": len(answered.ids), "lost_events": len(answered.ids) - _stored(workspace, answered.ids)}


def _stored(workspace: Workspace, ids: Sequence[str]) -> int:
    events, keys = table(Event), table(ApiKey)
    with workspace.db.read() as session:
        source = session.scalars(select(keys.c.source).where(keys.c.key_hash == hashed(WRITE_KEY))).one()
        return sum(
            session.execute(
                select(func.count()).where(events.c.source == source, events.c.message_id.in_(ids[begin : begin + 500]))
            ).scalar_one()
            for begin in range(0, len(ids), 500)
        )


def _count_runs(workspace: Workspace) -> int:
    with workspace.db.read() as session:
        return session.execute(select(func.count()).select_from(table(Run))).scalar_one()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0)
    print(json.dumps(run(**vars(parser.parse_args()))))


if __name__ == "__main__":
    main()
