"""Segments, lists and files with a million people: how far memberships lag, what they cost, how long counts, fills and pages take.

The people are those of `bench.shop`, made once and kept. 50 live segments stand over them, and a journey that begins where one of them is
entered. Web server, worker and Temporal are processes of their own; rounds with and without segments take turns. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import subprocess
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import orjson
from sqlalchemy import func, insert, literal, select, update
from sqlalchemy.orm import Session

from api.app import create_app
from api.auth.login import mint_link
from api.tracking.write_keys import add_key
from bench import ingest, shop
from bench.measure import machine, memory_bytes, say, spread_ms
from bench.reference import WRITE_KEY
from bench.scene import ROOT, Scene, Workspace, open_scene
from commands.servers import LOOPBACK, free_port
from crm.catalogue import declare_missing
from crm.jobs import end
from crm.rules.expression import expression, living
from crm.segments import members, questions, segments
from engine.enrolment.routing import route
from engine.segments.evaluator import settle
from engine.versions import publish
from journeys.catalogue import FieldSpec
from journeys.rules import parse_rule
from models import ApiKey, Contact, Database, Job, Journey, Member, Run, Segment, SegmentDay, SegmentMark, SegmentMember, lock
from models.migrate import upgrade
from settings import Settings
from storage import segment_marks
from storage.events import append_event
from storage.sql import on, table
from storage.tally import day_of
from worker import build_engine
from workspace.members import add_member

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="Using `httpx` with")  # as in the tests
    from fastapi.testclient import TestClient

PARTS = ("count", "fill", "lag", "cpu", "ingest", "pages", "csv")
QUICK: Mapping[str, Any] = {"contacts": 20_000, "events": 200_000, "seconds": 3.0, "rounds": 1, "rows": 20_000}
"""Arguments of `run` for figures in about a minute."""
SEGMENTS = 50
FIELDS: Mapping[str, Any] = {"plan": "string", "country": "string", "age": "number"}
ASKED = "Trial Asked"
"""The event that leads into the segment with the journey."""
JOURNEY: Mapping[str, Any] = {
    "spec": 1,
    "key": "trial",
    "name": "Trial",
    "entry": {"triggers": [{"type": "segment_entered", "segment": "s49"}], "reentry": {"policy": "after_exit"}},
    "start": "day",
    "nodes": {"day": {"kind": "wait", "duration": "P1D"}, "end": {"kind": "exit"}},
    "edges": [{"from": "day", "to": "end"}],
}
ONLY_ORDERS: Mapping[str, Any] = {"event": "Order Completed", "within": "P90D"}
EVERYBODY: Mapping[str, Any] = {"field": "created_at", "operator": "notNull"}
NEW: Mapping[str, list[Mapping[str, Any]]] = {
    "and": [
        {"field": "plan", "operator": "=", "value": "pro"},
        ONLY_ORDERS,
        {"consent": "email", "purpose": "marketing", "value": "granted"},
        {"event": "Article Read", "did": False, "within": "P30D"},
        {"field": "last_seen_at", "operator": "after", "value": "-P180D"},
    ],
    "or": [
        {"field": "plan", "operator": "=", "value": "pro"},
        ONLY_ORDERS,
        {"tag": "tag3"},
        {"event": "Checkout Started", "count": {"operator": ">=", "value": 2}, "within": "P365D"},
        {"field": "country", "operator": "=", "value": "CH"},
    ],
}
"""New segments of five terms: few are in the first, a third of all in the second."""


def run(
    contacts: int = 1_000_000,
    events: int = 10_000_000,
    seconds: float = 15.0,
    rounds: int = 3,
    rows: int = 1_000_000,
    parts: Sequence[str] = PARTS,
    postgres: str = "",
) -> dict[str, Any]:
    """`postgres`: URL of a server, without a database, that is measured instead of SQLite. `seconds`: of each load; `rows`: of the CSV."""
    load = machine()
    made = shop.on_postgresql(postgres, contacts, events) if postgres else shop.on_sqlite(contacts, events)
    found: dict[str, Any] = {"machine": load, "database": "postgresql" if postgres else "sqlite", "contacts": contacts, "events": events}
    found["made_seconds"] = made.made_seconds
    with open_scene() as scene, _workspace(scene, made.url) as workspace:
        _furnish(workspace)
        bench = Bench(scene, workspace, seconds, rounds, rows)
        for part in parts:
            began = os.getloadavg()[0]
            found |= getattr(bench, part)() | {f"{part}_load": round(began, 2)}
            say(f"{part} is measured")
    return found


@contextmanager
def _workspace(scene: Scene, url: str) -> Iterator[Workspace]:
    home = scene.folder / "people"
    home.mkdir()
    chosen = Settings.load(
        home=home,
        database_url=url,
        temporal_address=scene.temporal.address,
        channels={"email": {"provider": "http_fake"}},
        secret_key="k1:" + "bench" * 10,
        log_level="error",
        port=free_port(),
    )
    upgrade(url)
    db = Database(url)
    try:
        yield Workspace(chosen, db, build_engine(chosen, db, []))
    finally:
        db.close()


# --- what stands over the people -----------------------------------------------------------------------------------------


def _rules() -> Iterator[Mapping[str, Any]]:
    """Of 50 segments; about twenty of them hang on an event of the load, three ask for others."""
    names = ("Order Completed", "Product Viewed", "Product Added", "Checkout Started", "Article Read")
    for number, days in enumerate((7, 30, 60, 90, 180)):
        for name in names:
            yield {"event": name, "count": {"operator": ">=", "value": number + 1}, "within": f"P{days}D"}
    for name in names:
        yield {"combinator": "and", "rules": [ONLY_ORDERS, {"event": name, "did": False, "within": "P30D"}]}
    for number in range(5):
        yield {"tag": f"tag{number}"}
    for plan in ("basic", "team", "pro"):
        for country in ("CH", "DE"):
            yield _all([{"field": "plan", "operator": "=", "value": plan}, {"field": "country", "operator": "=", "value": country}])
    for age in (20, 30, 40, 50, 60):
        yield _all([{"field": "age", "operator": ">=", "value": age}, {"consent": "email", "purpose": "marketing", "value": "granted"}])
    yield _all([{"segment": "s0"}, {"segment": "s30", "member": False}])
    yield _all([{"segment": "s5"}, {"tag": "tag9", "has": False}])
    yield _all([{"segment": "s46"}, {"field": "locale", "operator": "beginsWith", "value": "de"}])
    yield _all([{"event": ASKED, "within": "P30D"}, {"field": "email", "operator": "notNull"}, {"tag": "barred", "has": False}])


def _all(rules: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"combinator": "and", "rules": list(rules)}


def _furnish(workspace: Workspace) -> None:
    """Key, member, segments with their members, and a live journey; once for all."""
    now, db = datetime.now(UTC), workspace.db
    with db.write() as session:
        if session.scalar(select(table(ApiKey).c.id).limit(1)) is None:
            add_key(session, "server", "bench", now, WRITE_KEY)
            add_member(session, "Mara", "mara@example.org", "admin", now)
        declare_missing(session, [FieldSpec(name=name, type=kind) for name, kind in FIELDS.items()], [], now)
    rules = list(_rules())
    assert len(rules) == SEGMENTS, len(rules)
    for number, rule in enumerate(rules):
        with db.write() as session:
            if f"s{number}" not in segments.keys(session):
                segment = segments.create(session, f"S{number}", rule, "bench", now, key=f"s{number}")
                _put_members(session, segments.id_of(segment), rule, now)
                end(session.get_one(Job, segment.fill_job), "done", now)
                segment.state = "live"
                say(f"segment {number + 1} of {SEGMENTS}")
    with db.write() as session:
        if session.scalar(select(table(Journey).c.id).limit(1)) is None:
            journey = publish.create_journey(session, JOURNEY, "bench", now)
            publish.publish(workspace.engine, session, journey.id, "bench", "", now)


def _put_members(session: Session, segment_id: int, rule: Mapping[str, Any], now: datetime) -> None:
    """In one statement, and without instants: a fill is measured apart."""
    people, rows, days = table(Contact), table(SegmentMember), table(SegmentDay)
    session.flush()
    found = select(literal(segment_id), people.c.id, literal(now, rows.c.since.type)).where(living(), expression(parse_rule(rule), now))
    number = on(session).execute(insert(rows).from_select(["segment_id", "contact_id", "since"], found)).rowcount
    on(session).execute(insert(days), [{"segment_id": segment_id, "day": day_of(now), "entered": number, "left": 0}])


@dataclass(frozen=True, slots=True)
class Bench:
    """One method a part; each returns what it found."""

    scene: Scene
    workspace: Workspace
    seconds: float
    rounds: int
    rows: int

    @property
    def db(self) -> Database:
        return self.workspace.db

    # --- count and fill ---

    def count(self) -> dict[str, Any]:
        """A rule that nobody has saved, counted with its sample of ten."""
        return {"count_ms": {name: self._counted(_grouped(name, rules)) for name, rules in NEW.items()}}

    def _counted(self, rule: Mapping[str, Any]) -> dict[str, Any]:
        taken = list[float]()
        for _ in range(max(2, self.rounds)):
            with self.db.read() as session:
                begin = time.perf_counter()
                found = questions.count(session, parse_rule(rule), datetime.now(UTC), 120.0)
                taken.append((time.perf_counter() - begin) * 1_000)
        return {"first": round(taken[0]), "then": round(median(taken[1:])), "found": found.count}

    def fill(self) -> dict[str, Any]:
        """New segments filled by a worker, and what short writes of another process wait meanwhile: this one's, as a step makes them."""
        wanted = {name: _grouped(name, rules) for name, rules in NEW.items()} | {"everybody": EVERYBODY}
        with self.scene.child("worker", self.workspace.settings):
            quiet = self._writes(lambda: True, until=time.monotonic() + self.seconds)
            filled = {name: self._filled(f"new_{name}", rule) for name, rule in wanted.items()}
        return {"fill": filled, "write_ms_without_fill": quiet}

    def _filled(self, key: str, rule: Mapping[str, Any]) -> dict[str, Any]:
        now = datetime.now(UTC)
        with self.db.write() as session:
            segments.create(session, key, rule, "bench", now, key=key)
        begin = time.monotonic()
        writes = self._writes(lambda: self._state(key) == "filling", until=begin + 900)
        taken = time.monotonic() - begin
        with self.db.write() as session:
            number = members.count(session, segments.id_of(segments.get(session, key)))
            segments.remove(session, key, "bench", now)
        say(f"{key}: {number} members in {taken:.1f} s, writes {writes}")
        self._until(lambda: self._emptied(key))
        return {"seconds": round(taken, 1), "members": number, "write_ms": writes}

    def _state(self, key: str) -> str:
        with self.db.read() as session:
            return segments.get(session, key).state

    def _emptied(self, key: str) -> bool:
        with self.db.read() as session:
            return not session.scalar(select(func.count()).select_from(table(Job)).where(table(Job).c.state == "running"))

    def _writes(self, go_on: Callable[[], bool], until: float) -> dict[str, float]:
        """A contact locked and an event stored and routed, every 50 ms."""
        taken, ids = list[float](), self._people(2_000)
        for number in count():
            begin = time.perf_counter()
            _store(self.workspace, ids[number % len(ids)], "Quietly Noted", {})
            taken.append(time.perf_counter() - begin)
            time.sleep(0.05)
            if time.monotonic() > until or (number % 5 == 0 and not go_on()):
                return spread_ms(taken)
        raise AssertionError

    # --- lag and cost ---

    def lag(self) -> dict[str, Any]:
        """From a tracking call through the web server to the run of the journey that its segment starts, beside 90 other events a second."""
        wanted = int(self.seconds * 10)
        with self.scene.child("worker", self.workspace.settings), self.scene.child("api", self.workspace.settings):
            runs = self._runs()
            sent, stop = dict[str, float](), threading.Event()
            others = threading.Thread(target=self._background, args=(stop,))
            others.start()
            ids = self._outside(wanted)
            sender = threading.Thread(target=self._send, args=(ids, sent))
            sender.start()
            seen = self._watch(runs, set(ids), time.monotonic() + self.seconds + 30)
            sender.join()
            stop.set()
            others.join()
        return {
            "segment_lag_ms": spread_ms(seen[id] - sent[id] for id in seen),
            "segment_lag_missing": wanted - len(seen),
        }

    def _runs(self) -> str:
        with self.db.read() as session:
            return session.scalar(select(func.max(table(Run).c.id))) or ""

    def _outside(self, wanted: int) -> list[str]:
        """The newest who are not in the segment yet."""
        people, rows = table(Contact), table(SegmentMember)
        with self.db.read() as session:
            id = segments.id_of(segments.get(session, f"s{SEGMENTS - 1}"))
            inside = select(rows.c.contact_id).where(rows.c.segment_id == id, rows.c.contact_id == people.c.id).exists()
            return list(session.scalars(select(people.c.id).where(~inside).order_by(people.c.id.desc()).limit(wanted)))

    def _send(self, ids: Sequence[str], sent: dict[str, float]) -> None:
        begin = time.monotonic()
        with closing(http.client.HTTPConnection(LOOPBACK, self.workspace.settings.port, timeout=60)) as connection:
            for number, id in enumerate(ids):
                time.sleep(max(0.0, begin + number / 10 - time.monotonic()))
                sent[id] = time.monotonic()
                _post(connection, [{"type": "track", "userId": _user(id), "event": ASKED, "messageId": f"asked-{id}"}])

    def _background(self, stop: threading.Event) -> None:
        traffic = ingest.Traffic([_user(id) for id in self._people(5_000)])
        with closing(http.client.HTTPConnection(LOOPBACK, self.workspace.settings.port, timeout=60)) as connection:
            while not stop.wait(0.1):
                stamp = time.time_ns()
                _post(connection, [{**traffic._event(number), "messageId": f"b{stamp}-{number}"} for number in range(9)])

    def _watch(self, after: str, ids: set[str], until: float) -> dict[str, float]:
        runs, seen = table(Run), dict[str, float]()
        while len(seen) < len(ids) and time.monotonic() < until:
            with self.db.read() as session:
                rows = session.execute(select(runs.c.id, runs.c.contact_id).where(runs.c.id > after).order_by(runs.c.id)).all()
            now = time.monotonic()
            seen.update((row.contact_id, now) for row in rows if row.contact_id in ids)
            after = rows[-1].id if rows else after
            time.sleep(0.01)
        return seen

    def cpu(self) -> dict[str, Any]:
        """What 100 events cost on top of being stored: of 100 contacts, and of ten."""
        names = ("Product Viewed", "Order Completed", "Product Added", "Article Read", "Checkout Started")
        self._settle()
        taken: dict[int, list[float]] = {100: [], 10: []}
        people = self._people(4_000)
        for number in range(10 * self.rounds):
            for contacts, costs in taken.items():
                some = people[number * 100 % 3_900 :][:contacts]
                for event in range(100):
                    _store(self.workspace, some[event % contacts], names[event % 5], {"total": 20, "product_id": "p1"})
                begin = time.process_time()
                self._settle()
                costs.append((time.process_time() - begin) * 1_000)
        return {"cpu_ms_per_100_events": {f"of_{contacts}": round(median(costs), 1) for contacts, costs in taken.items()}}

    def _settle(self) -> None:
        settle(self.workspace.engine)

    def ingest(self) -> dict[str, Any]:
        """Batches of 100 from 8 connections, with the 50 segments and without, by turns; the worker evaluates beside it."""
        traffic = ingest.Traffic([_user(id) for id in self._people(5_000)])
        rates: dict[bool, list[float]] = {True: [], False: []}
        settings = self.workspace.settings
        with self.scene.child("worker", settings), self.scene.child("api", settings):
            for number in range(2 * self.rounds):
                on_now = number % 2 == 0
                self._switch(on_now)
                bodies = traffic.batches(self.seconds)
                ingest.load(self.workspace, _renamed(bodies), 1.0)
                answered = ingest.load(self.workspace, _renamed(bodies), self.seconds)
                rates[on_now].append(len(answered.ids) / answered.seconds)
                say(f"{'with' if on_now else 'without'} segments: {rates[on_now][-1]:.0f} events/s")
                begin = time.monotonic()
                self._until(lambda: not self._marks())
                if on_now:
                    say(f"caught up after {time.monotonic() - begin:.1f} s")
            self._switch(True)
        pairs = [one / other for one, other in zip(rates[True], rates[False], strict=True)]
        return {
            "ingest_ratio": round(median(pairs), 2),
            "ingest_events_per_s": {"with": [round(one) for one in rates[True]], "without": [round(one) for one in rates[False]]},
        }

    def _switch(self, is_on: bool) -> None:
        rows = table(Segment)
        with self.db.write() as session:
            session.execute(update(rows).where(rows.c.key.like("s%")).values(state="live" if is_on else segment_marks.EMPTYING))
            segment_marks.changed(session)

    def _marks(self) -> bool:
        with self.db.read() as session:
            return session.scalar(select(table(SegmentMark).c.contact_id).limit(1)) is not None

    def _until(self, done: Callable[[], bool], seconds: float = 600.0) -> None:
        until = time.monotonic() + seconds
        while not done():
            if time.monotonic() > until:
                raise TimeoutError("it is still at it")
            time.sleep(0.1)

    # --- pages and files ---

    def pages(self) -> dict[str, Any]:
        """From asking for a page to what it draws first, in the web server's process: the shell over HTTP and the page over its socket."""
        settings, engine, now = self.workspace.settings, self.workspace.engine, datetime.now(UTC)
        with self.db.read() as session:
            member = session.scalars(select(table(Member).c.id)).first()
            busy = session.scalars(select(table(Contact).c.id).order_by(table(Contact).c.id).limit(1)).one()
        host = {"origin": settings.public_url}
        addresses = {
            "contacts": "/ui/contacts", "contacts_by_name": "/ui/contacts?sort=name", "contacts_found": "/ui/contacts?q=person777",
            "contacts_not_found": "/ui/contacts?q=nobody", "contacts_in_segment": "/ui/contacts?segment=s35", "contact": f"/ui/contacts/{busy}",
            "segments": "/ui/segments", "segment": "/ui/segments/s0", "segment_members": "/ui/segments/s0?view=members",
            "segment_overlap": "/ui/segments/s0?view=overlap&other=s35",
        }  # fmt: skip
        with TestClient(create_app(settings, engine), base_url=settings.public_url) as client:
            client.post(mint_link(self.db, now, settings.public_url, member or ""), headers=host)
            return {"open_ms": {name: self._opened(client, path, host) for name, path in addresses.items()}}

    def _opened(self, client: TestClient, path: str, host: Mapping[str, str]) -> dict[str, float]:
        taken = list[float]()
        address = self.workspace.settings.public_url.replace("http://", "ws://")
        for _ in range(2 + 3 * self.rounds):
            begin = time.perf_counter()
            assert client.get(path).status_code == 200
            with client.websocket_connect(f"{address}/_reactpy/stream{path}", headers=dict(host)) as socket:
                socket.receive_text()
                taken.append((time.perf_counter() - begin) * 1_000)
        return {"first": round(taken[0]), "then": round(median(taken[1:])), "most": round(max(taken[1:]))}

    def csv(self) -> dict[str, Any]:
        """A file of new people, imported by the command into an empty database; `peak_mb` is the most memory its process ever had."""
        with TemporaryDirectory(prefix="pfadwerk-bench-csv-") as name:
            home, file = Path(name), Path(name) / "people.csv"
            _write_csv(file, self.rows)
            upgrade(f"sqlite:///{home / 'pfadwerk.db'}")
            begin, most = time.monotonic(), dict[int, float]()
            environment = {**os.environ, "PFADWERK_HOME": str(home), "PFADWERK_SECRET_KEY": "k1:" + "bench" * 10}
            environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), environment.get("PYTHONPATH", "")])
            command = [sys.executable, "-m", "cli", "import", "contacts", str(file), "--json"]
            with (home / "log").open("wb") as log:
                child = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=log)
                while child.poll() is None:
                    time.sleep(0.5)
                    most[int(time.monotonic() - begin)] = memory_bytes(child.pid) / 2**20
            taken = time.monotonic() - begin
            assert child.returncode == 0, (home / "log").read_text()[-500:]
            middle = list(most.values())[: -1 or None]
        return {
            "csv": {
                "rows": self.rows,
                "seconds": round(taken, 1),
                "rows_per_s": round(self.rows / taken),
                "mb_after_a_quarter": round(middle[len(middle) // 4]) if middle else 0,
                "peak_mb": round(max(middle, default=0)),
            }
        }

    def _people(self, wanted: int) -> list[str]:
        """The oldest: among them are those who come often."""
        people = table(Contact)
        with self.db.read() as session:
            return list(session.scalars(select(people.c.id).order_by(people.c.id).limit(wanted)))


def _grouped(combinator: str, rules: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"combinator": combinator, "rules": list(rules)}


def _store(workspace: Workspace, contact_id: str, name: str, properties: Mapping[str, Any]) -> None:
    """As the door stores an event."""
    now, people = datetime.now(UTC), table(Contact)
    with workspace.db.write() as session:
        on(session).execute(lock(session, select(people.c.id).where(people.c.id == contact_id)))
        event = append_event(session, contact_id, "track", name, properties, now, source="bench", routed=True)
        route(workspace.engine, session, [event], now)


def _user(contact_id: str) -> str:
    """The `user_id` of a contact, as `bench.shop` gave it."""
    return f"u{int(contact_id[12:], 16)}"


def _post(connection: http.client.HTTPConnection, events: Sequence[Mapping[str, Any]]) -> None:
    if not ingest._post(connection, orjson.dumps({"batch": events, "sentAt": ingest._now()})):
        raise RuntimeError("the web server is gone")


def _renamed(bodies: ingest.Batches) -> ingest.Batches:
    """The data is kept between runs, so the ids of messages have to be new."""
    stamp = f"run-{time.time_ns()}-".encode()
    return deque((ids, body.replace(b"bench-", stamp)) for ids, body in bodies)


def _write_csv(file: Path, rows: int) -> None:
    with file.open("w", encoding="utf-8") as out:
        out.write("email,first_name,last_name,phone,locale,timezone,plan,country,age,city\n")
        for number in range(rows):
            out.write(
                f"row{number}@example.com,Anna{number % 500},Muster{number % 5000},+4179{number % 10_000_000:07},de-CH,Europe/Zurich,"
                f"{('basic', 'pro', 'team')[number % 3]},{('CH', 'DE', 'AT')[number % 3]},{18 + number % 60},Bern\n"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("contacts", 1_000_000), ("events", 10_000_000), ("rounds", 3), ("rows", 1_000_000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--part", dest="parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--postgres", default="", help="URL of a PostgreSQL server, without a database; SQLite if empty")
    print(json.dumps(run(**vars(parser.parse_args()))))


if __name__ == "__main__":
    main()
