"""A town to look at: the gallery's journeys published, people led through them by the real engine into the real outbox, and the real app.

Only Temporal is absent: `Town.walk` plays the workflow of a run and jumps from wait to wait.
"""

from __future__ import annotations

import json
import shutil
import socket
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, Page, expect
from sqlalchemy import select

from activities.look_ahead import KIND, LookAhead
from activities.providers.outbox import Outbox
from activities.sending.breakers import Breakers
from activities.sending.effect import Effects, perform
from activities.sending.messages import MessageHandler
from activities.sending.messages import MessageSettings as Sender
from activities.team.handler import TeamHandler
from activities.templates import library
from activities.tracking import Fetch, Tracking, record_open
from activities.webhooks.address_guard import Guard
from api.app import create_app
from api.auth.login import mint_link
from commands.demo.documents import shown
from crm.consent.consent import Evidence, record_consent
from crm.people.identity import resolve
from crm.people.profile import add_tag, update_fields
from crm.people.scores import change_score
from engine.clock import Clock
from engine.engine import Engine
from engine.enrolment.routing import route
from engine.interpreter.state import Instruction
from engine.jobs.kinds import KINDS
from engine.jobs.worker import JobWorker
from engine.restored import mark
from engine.runs.step import step
from engine.temporal.wakeups import Wakeups
from engine.versions import publish
from journeys.nodes import Palette
from models import Contact, Database, Journey, Message, Restore, Run
from settings import Settings
from storage.events import append_event
from tests.builder_ui.browsing import Enter, Serve
from tests.chromium import chromium
from tests.compiled import share_compiled
from tests.plans import no_table_is_read_whole
from tests.toy_provider import accounts_of
from workspace import settings as workspace
from workspace.members import add_member, put_rotation

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="Using `httpx` with")  # starlette would like a client that is not released for httpx
    from fastapi.testclient import TestClient

TEAM = (("Alex Admin", "admin"), ("Mara Marti", "marketer"), ("Sven Sutter", "sales"), ("Vito Viewer", "viewer"))
READER = Fetch(user_agent="Thunderbird")


@dataclass
class Woken:
    """Stands where Temporal stands."""

    wakeups: Wakeups = field(default_factory=Wakeups)

    async def wake(self, wakeups: Wakeups) -> None:
        self.wakeups.add(wakeups)


class Forgetful(Outbox):
    """A provider such as a mail server: it cannot be asked, and knows no key."""

    delivery_check = "blind"
    remembers = timedelta(0)


@dataclass
class Town:
    """`now` is the time of the story; it begins some days before the real one."""

    engine: Engine
    effects: Effects
    now: datetime
    people: dict[str, str] = field(default_factory=dict)
    """First name -> contact id."""
    members: dict[str, str] = field(default_factory=dict)
    """Role -> member id."""

    @property
    def db(self) -> Database:
        return self.engine.db

    def person(self, first: str, last: str, **fields: Any) -> str:
        """Somebody who allowed marketing by e-mail."""
        with self.db.write() as session:
            id = resolve(session, [("user_id", first.lower()), ("email", f"{first.lower()}@mail.example.org")], self.now).contact_id
            update_fields(session, id, {"first_name": first, "last_name": last, "locale": "de-CH", **fields}, self.now, "test")
            record_consent(
                session, id, "email", "marketing", "granted", self.now, evidence=Evidence.DATED, source="test", wording="Ja, gern."
            )
            session.get_one(Contact, id).last_seen_at = self.now
            self.people[first] = id
            return id

    def happens(self, first: str, name: str, properties: Mapping[str, Any] | None = None) -> list[str]:
        """An event arrives; returns the runs it started."""
        with self.db.write() as session:
            event = append_event(session, self.people[first], "track", name, properties or {}, self.now, source="test", routed=True)
            return list(route(self.engine, session, [event], self.now).starts)

    def walk(self, run_id: str, until: datetime) -> Instruction:
        """Plays the run's workflow up to `until`, or to its end."""
        with self.db.read() as session:
            instruction: Instruction = session.get_one(Run, run_id).instruction
        for _ in range(1_000):
            if instruction["op"] == "end":
                return instruction
            if instruction["op"] == "wait":
                wakes = datetime.fromisoformat(instruction["until"]) if instruction["until"] else None
                if wakes is None or wakes > until:
                    self.now = max(self.now, until)
                    return instruction
                self.now = max(self.now, wakes)
            call = instruction.get("then")
            if call is not None:
                instruction = perform(self.effects, call["activity"], run_id, instruction["step"], self.now).instruction
            else:
                instruction = step(self.engine, run_id, instruction["step"], self.now).instruction
        raise AssertionError("the run does not end")

    def wake(self, run_id: str) -> None:
        """The wake-up of a run, after an event it listens for."""
        with self.db.read() as session:
            number = session.get_one(Run, run_id).step
        step(self.engine, run_id, number, self.now)

    def reads(self, run_id: str, node: str, after: timedelta = timedelta(hours=3)) -> None:
        """The recipient opens the message of a step."""
        with self.db.write() as session:
            message = session.scalars(select(Message).where(Message.run_id == run_id, Message.node == node)).one()
            assert message.sent_at is not None
            event = record_open(session, message.id, READER, message.sent_at + after)
            assert event is not None
            route(self.engine, session, [event], message.sent_at + after)

    def journey(self, key: str) -> Journey:
        with self.db.read() as session:
            return publish.get_journey(session, key)

    def republish(self, **changes: Any) -> None:
        """Another version of the welcome journey, by the marketer."""
        by = f"member:{self.members['marketer']}"
        with self.db.write() as session:
            journey = publish.get_journey(session, "welcome")
            publish.save_draft(session, journey.id, {**journey.draft, **changes}, journey.revision, by, self.now)
            publish.publish(self.engine, session, journey.id, by, "A little more patience", self.now)

    def without_two_days(self) -> str:
        """A version of the welcome journey in which the step `two_days` is called `pause`; returns the address that moves there."""
        document = self.journey("welcome").draft
        nodes = {id: raw for id, raw in document["nodes"].items() if id != "two_days"} | {"pause": {"kind": "wait", "duration": "P1D"}}
        renamed = {"two_days": "pause"}
        edges = [
            {**edge, "from": renamed.get(edge["from"], edge["from"]), "to": renamed.get(edge["to"], edge["to"])}
            for edge in document["edges"]
        ]
        self.republish(nodes=nodes, edges=edges)
        return "/ui/journeys/welcome/migrate?from=1&to=2"

    def restored(self, *names: str) -> Restore:
        """A backup of two days ago is restored. The second mail of those who signed up just before may have left; the provider cannot be asked."""
        present = self.engine.clock.now()
        self.now = present - timedelta(days=2)
        carrier = self.effects.performers["email"]
        assert isinstance(carrier, MessageHandler)
        blind = MessageHandler(carrier.messaging, Forgetful(self.db, lambda: self.now), "email")
        self.effects = replace(self.effects, engine=self.engine, performers={**self.effects.performers, "email": blind})
        for first in names:
            self.person(first, "Keller", timezone="Europe/Zurich")
            [run] = self.happens(first, "Signed Up", {"plan": "trial", "product": "Zelt"})
            self.walk(run, self.now)
        with self.db.write() as session:
            id = mark(session, backup_at=self.now, until=present - timedelta(hours=1), assume="ask")
        self.engine._restored = None  # a process that lives now was started after the restore
        for first in names:
            self.walk(self.run_of(first), present)
        with self.db.read() as session:
            return session.get_one(Restore, id)

    def message(self) -> str:
        """The id of the first e-mail."""
        with self.db.read() as session:
            found = select(Message.id).where(Message.channel == "email").order_by(Message.planned_at, Message.id)
            return str(session.scalars(found).first())

    def run_of(self, first: str) -> str:
        with self.db.read() as session:
            return session.scalars(select(Run.id).where(Run.contact_id == self.people[first]).order_by(Run.id)).all()[-1]


BROKEN: dict[str, Any] = {
    "spec": 1,
    "key": "birthday",
    "name": "Birthday greeting",
    "description": "A voucher on the day, and a reminder when it was not used.",
    "entry": {"triggers": [{"type": "date", "field": "created_at", "at": "09:00", "yearly": True}, {"type": "manual"}]},
    "start": "voucher",
    "nodes": {
        "voucher": {"kind": "call_webhook", "name": "Make a voucher", "url": "https://vouchers.example.org/new"},
        "end": {"kind": "exit"},
    },
    "edges": [{"from": "voucher", "outlet": "ok", "to": "end"}, {"from": "voucher", "outlet": "failed", "to": "end"}],
}


def build_town(engine: Engine, settings: Settings) -> Town:
    """The people and what happened to them until now."""
    # Not six days to the minute: in the morning of a working day the waits of Welcome are six days long, and over just now.
    start = engine.clock.now() - timedelta(days=5, hours=22)
    town = Town(engine, None, start)  # type: ignore[arg-type]
    keys = settings.signing_keys()
    sender = Sender(Tracking(keys, settings.public_url), tuple(keys.values()), "Pfadwerk <hello@example.org>")
    outbox = Outbox(engine.db, lambda: town.now)
    performers = {
        "email": MessageHandler(sender, outbox, "email"),
        "team": TeamHandler(sender, outbox, Guard.allowing(()), lambda: ("", outbox)),
    }
    town.effects = Effects(engine, performers, Breakers(engine.db))
    for entry in shown():
        for mail in entry.mails:
            library.save(
                engine.db,
                mail.key,
                mail.variants,
                name=mail.name,
                kind=mail.kind,
                message_class=mail.message_class,
                actor="test",
                now=start,  # type: ignore[arg-type]
            )
    with engine.db.write() as session:
        for name, role in TEAM:
            email = f"{name.split()[0].lower()}@example.com"
            member = add_member(session, name, email, role, start, locale="de" if role == "sales" else "en")
            member.preferences = {"tour": "done"}  # whoever tests it begins it anew
            town.members[role] = member.id
        put_rotation(session, "sales", [town.members["sales"]], "Sales")
        workspace.put(
            session,
            "sender",
            {"name": "Pfadwerk Demo", "email": "hello@example.org", "postal_address": "Musterweg 1, Zürich"},
            "test",
            start,
        )
        workspace.put(session, "quiet_hours", {"enabled": False}, "test", start)
        workspace.put(session, "frequency_caps", {"caps": []}, "test", start)
        for document in [*(with_lead(entry.document, town.members["admin"]) for entry in shown()), BROKEN]:
            settings_of = {name: value for name, value in document.get("settings", {}).items() if name != "quiet_hours"}
            journey = publish.create_journey(session, {**document, "settings": settings_of}, "test", start)
            if document is not BROKEN:
                publish.publish(engine, session, journey.id, "test", "", start)
        publish.publish(engine, session, "birthday", "test", "", start)
        publish.create_journey(session, {**BROKEN, "key": "survey", "name": "Survey after a purchase"}, "test", start)
    return town


def with_lead(document: Mapping[str, Any], member_id: str) -> dict[str, Any]:
    """A journey of the gallery for which somebody chose who leads sales."""
    chosen: dict[str, Any] = json.loads(json.dumps(document).replace('"sales-lead"', json.dumps(member_id)))
    return chosen


def tell(town: Town) -> None:
    """Six days in the life of the town."""
    start, present = town.now, town.engine.clock.now()
    for hours, (first, last, product) in enumerate(
        (
            ("Anna", "Meier", "Rucksack"),
            ("Ben", "Huber", "Zelt"),
            ("Carla", "Rossi", "Kocher"),
            ("Emma", "Wright", "Boots"),
            ("Ivan", "Novak", "Karte"),
        )
    ):
        town.now = start + timedelta(hours=hours)
        town.person(first, last, timezone="Europe/Zurich", lifecycle_stage="lead")
        [run] = town.happens(first, "Signed Up", {"plan": "trial", "product": product})
        town.walk(run, town.now)
    for first in ("Anna", "Ben"):
        town.reads(town.run_of(first), "hello")
    for first in ("Anna", "Ben", "Carla", "Emma", "Ivan"):
        town.walk(town.run_of(first), present)
    town.now = present - timedelta(hours=5)
    town.happens("Anna", "Signed Up")
    _carts(town, present)
    _sales(town, present)
    _stuck(town, present)


def _carts(town: Town, present: datetime) -> None:
    for first, value, hours in (("Felix", 89.0, 30), ("Grace", 24.5, 30), ("Hannah", 240.0, 1)):
        town.now = present - timedelta(hours=hours, minutes=20)
        town.person(first, "Baumann" if first == "Felix" else "Hill", timezone="Europe/Zurich")
        [run] = town.happens(first, "Checkout Started", {"cart_id": f"c-{first.lower()}", "value": value, "currency": "CHF"})
        town.walk(run, present)
    town.now = present - timedelta(minutes=10)
    town.happens("Felix", "Order Completed", {"order_id": "o-1", "cart_id": "c-felix", "total": 89.0})
    town.wake(town.run_of("Felix"))
    with town.db.write() as session:
        add_tag(session, town.people["Felix"], "vip", town.now, "test")


def _sales(town: Town, present: datetime) -> None:
    for first, last, days in (("Julia", "Frei", 2), ("Karim", "Aziz", 0)):
        town.now = present - timedelta(days=days, minutes=5)
        id = town.person(first, last, lifecycle_stage="lead")
        with town.db.write() as session:
            event = change_score(session, id, "engagement", 85, True, "test", town.now, source="test")
            assert event is not None
            [run] = route(town.engine, session, [event], town.now).starts
        town.walk(run, town.now)


def _stuck(town: Town, present: datetime) -> None:
    """Two runs of a step that nobody serves, as after a mistake in a custom step."""
    from engine.enrolment.routing import Entered, enter
    from engine.runs.rows import halt, lock_run

    for first in ("Nina", "Oliver"):
        town.now = present - timedelta(hours=4)
        id = town.person(first, "Weber" if first == "Nina" else "Stone")
        with town.db.write() as session:
            entered = enter(town.engine, session, town.engine.index(session).by_key["birthday"], id, town.now, data={})
            assert isinstance(entered, Entered)
            halt(session, lock_run(session, entered.run_id), town.now, "stuck", "KeyError", "KeyError in loyalty.py:41 (points)")


@pytest.fixture(scope="session")
def listening() -> Iterator[socket.socket]:
    """A free port of this machine; pixels and links in the town's mails lead there."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory, listening: socket.socket) -> Settings:
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    return Settings(home=tmp_path_factory.mktemp("home"), database_url="sqlite:///unused.db", public_url=url)


@pytest.fixture(scope="session")
def build(settings: Settings) -> Callable[[Database], Town]:
    """Builds a town in an empty database."""

    def build(db: Database) -> Town:
        town = build_town(make_engine(db, settings), settings)
        tell(town)
        return town

    return build


@pytest.fixture(scope="session")
def town_base(sqlite_base: Path, tmp_path_factory: pytest.TempPathFactory, build: Callable[[Database], Town]) -> tuple[Path, Town]:
    """The town's database, to copy: building it takes seconds."""
    path = tmp_path_factory.mktemp("town") / "town.db"
    shutil.copyfile(sqlite_base, path)
    town = build(share_compiled(Database(f"sqlite:///{path}")))
    with town.db.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    town.db.close()
    return path, town


def living(built: Town, engine: Engine) -> Town:
    """The town over a copy of its database."""
    return replace(built, engine=engine, effects=Effects(engine, built.effects.performers, Breakers(engine.db)))


def make_engine(db: Database, settings: Settings) -> Engine:
    return Engine(db, Clock(), Palette.built_in(), tuple(settings.signing_keys().values()))


@pytest.fixture
def engine(town_base: tuple[Path, Town], settings: Settings, tmp_path: Path) -> Iterator[Engine]:
    """The engine of a town of one's own."""
    shutil.copyfile(town_base[0], tmp_path / "town.db")
    db = share_compiled(Database(f"sqlite:///{tmp_path / 'town.db'}"))
    with no_table_is_read_whole(db):
        yield make_engine(db, settings)
    db.close()


@pytest.fixture
def town(town_base: tuple[Path, Town], engine: Engine) -> Town:
    _, built = town_base
    return living(built, engine)


@pytest.fixture
def woken() -> Woken:
    return Woken()


@pytest.fixture
def app(settings: Settings, engine: Engine, woken: Woken) -> FastAPI:
    return create_app(settings, engine, waker=woken, accounts=accounts_of(engine))


@pytest.fixture
def client(app: FastAPI, settings: Settings) -> Iterator[TestClient]:
    with TestClient(app, settings.public_url, raise_server_exceptions=False, follow_redirects=False) as client:
        yield client


LogIn = Callable[[str], TestClient]


@pytest.fixture
def log_in(client: TestClient, town: Town, settings: Settings) -> LogIn:
    """Logs the client in as the member of a role, the way a person does: by a link."""

    def log_in(role: str) -> TestClient:
        link = mint_link(town.db, town.engine.clock.now(), settings.public_url, town.members[role])
        assert client.post(link, headers={"origin": settings.public_url}).status_code == 303
        return client

    return log_in


@dataclass
class Open:
    """A page as a browser has it: what was drawn last, and a way to press what is on it."""

    socket: Any
    model: Any
    update: Any = None
    """The part that was drawn last."""

    @property
    def text(self) -> str:
        return " ".join(_texts(self.model))

    def nodes(self) -> list[dict[str, Any]]:
        return list(_nodes(self.model))

    def button(self, text: str) -> str:
        """The target of the first button with these words alone, else of the first that has them among others."""
        said = [(" ".join(_texts(node)), node) for node in self.nodes() if "onClick" in node.get("eventHandlers", ())]
        found = [node for words, node in said if words.strip() == text] or [node for words, node in said if text in words]
        assert found, f"no button {text!r} on: {self.text[:500]}"
        return str(found[0]["eventHandlers"]["onClick"]["target"])

    def press(self, text: str) -> None:
        """Presses a button and waits for the next drawing; that may still be one of the page itself, so what came of it is waited for by its words."""
        self.send({"type": "layout-event", "target": self.button(text), "data": [{}]})
        self.see()

    def send(self, message: Any) -> None:
        self.socket.send_json(message)

    def see(self) -> None:
        """Waits for the next drawing; a page that says nothing any more fails the test instead of holding it up."""
        update = _within(120, self.socket.receive_json)
        self.update = update["model"]
        self.model = _put(self.model, [part for part in update["path"].split("/") if part], update["model"])

    def see_until(self, text: str) -> None:
        while text not in self.text:
            self.see()


def _put(drawn: Any, path: list[str], model: Any) -> Any:
    """What was drawn, with a part of it drawn anew (a JSON pointer)."""
    if not path or drawn is None:
        return model
    first, rest = path[0], path[1:]
    if isinstance(drawn, list):
        return [_put(one, rest, model) if place == int(first) else one for place, one in enumerate(drawn)]
    return {**drawn, first: _put(drawn[first], rest, model)}


def _within(seconds: float, wait: Callable[[], Any]) -> Any:
    """What `wait` returns or raises, in a thread that may be left behind."""
    answer: Future[Any] = Future()

    def run() -> None:
        try:
            answer.set_result(wait())
        except Exception as error:  # noqa: BLE001 - handed to whoever waits
            answer.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return answer.result(seconds)


def _nodes(model: Any) -> Iterator[dict[str, Any]]:
    if isinstance(model, dict):
        yield model
        for child in model.get("children", ()):
            yield from _nodes(child)


def _texts(model: Any) -> Iterator[str]:
    if isinstance(model, str):
        yield model
    elif isinstance(model, dict):
        for child in model.get("children", ()):
            yield from _texts(child)


Opener = Callable[[TestClient, str], AbstractContextManager[Open]]


@pytest.fixture
def opened(settings: Settings) -> Opener:
    """Opens a page the way ReactPy's client does."""

    host = settings.public_url.removeprefix("http://")

    @contextmanager
    def opened(client: TestClient, path: str) -> Iterator[Open]:
        with client.websocket_connect(f"ws://{host}/_reactpy/stream{path}", headers={"origin": settings.public_url}) as socket:
            page = Open(socket, None)
            page.see()
            yield page

    return opened


# --- real browsers ------------------------------------------------------------------------------------------------------------

expect.set_options(timeout=60_000)  # how long a page is given to show something: machines that test are busy
PERSON = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"
"""Headless Chromium says that it is a machine, and opens by machines do not count."""


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    """Chromium for a whole file."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def serve(app: FastAPI, listening: socket.socket, engine: Engine, woken: Woken) -> Serve:
    @contextmanager
    def serve() -> Iterator[None]:
        with running(app, listening, engine, woken):
            yield

    return serve


@contextmanager
def running(app: FastAPI, listening: socket.socket, engine: Engine, woken: Woken) -> Iterator[None]:
    """A real web server on a socket that outlives it, and a worker's threads for background jobs."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=5))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening.dup()]}, daemon=True)
    thread.start()
    try:
        with working(engine, woken):
            yield
    finally:
        server.should_exit = True
        thread.join()


LOOKING = Sender(Tracking({"k1": b"1" * 32}, "https://m.example"), [b"a" * 32], "Shop <shop@example.com>")


@contextmanager
def working(engine: Engine, woken: Woken) -> Iterator[None]:
    """A worker's threads for background jobs."""
    jobs = JobWorker(engine, woken.wakeups.add, {**KINDS, KIND: LookAhead(LOOKING).kind})
    jobs.start()
    try:
        yield
    finally:
        jobs.stop()


@pytest.fixture
def job_worker(engine: Engine, woken: Woken) -> Iterator[None]:
    with working(engine, woken):
        yield


@pytest.fixture
def served(serve: Serve) -> Iterator[None]:
    with serve():
        yield


@pytest.fixture
def context(chrome: Browser, settings: Settings) -> Iterator[BrowserContext]:
    """A browser of its own, of somebody who reads English at a desk."""
    context = chrome.new_context(base_url=settings.public_url, user_agent=PERSON, locale="en-GB", viewport={"width": 1400, "height": 860})
    context.set_default_timeout(60_000)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield context
    context.close()


@pytest.fixture
def enter(context: BrowserContext, town: Town, settings: Settings) -> Enter:
    def enter(role: str) -> Page:
        page = context.new_page()
        page.goto(mint_link(town.db, town.engine.clock.now(), settings.public_url, town.members[role]))
        page.get_by_role("button").click()
        expect(page.get_by_role("heading", name="Journeys", level=1)).to_be_visible()
        return page

    return enter


@dataclass
class Site:
    """A town behind a real web server for a whole file; stopped and started again it has the same address."""

    town: Town
    settings: Settings
    listening: socket.socket
    woken: Woken = field(default_factory=Woken)

    @contextmanager
    def served(self) -> Iterator[None]:
        """The web server as long as the block lasts."""
        app = create_app(self.settings, self.town.engine, waker=self.woken, accounts=accounts_of(self.town.engine))
        with running(app, self.listening, self.town.engine, self.woken):
            yield

    def link(self, role: str) -> str:
        """The path of a one-time link."""
        url = mint_link(self.town.db, self.town.engine.clock.now(), self.settings.public_url, self.town.members[role])
        return urlsplit(url).path

    def log_in(self, context: BrowserContext, role: str) -> Page:
        """The way a person does: by a link."""
        page = context.new_page()
        page.goto(self.link(role))
        page.get_by_role("button").click()
        expect(page.get_by_role("heading", name="Journeys", level=1)).to_be_visible()
        return page

    def context(self, browser: Browser, base_url: str = "", **options: Any) -> BrowserContext:
        chosen = {"locale": "en-GB", "viewport": {"width": 1400, "height": 860}, **options}
        context = browser.new_context(base_url=base_url or self.settings.public_url, **chosen)
        context.set_default_timeout(60_000)
        return context


@pytest.fixture(scope="module")
def site(
    town_base: tuple[Path, Town], settings: Settings, listening: socket.socket, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """A town of the file's own."""
    base, built = town_base
    path = tmp_path_factory.mktemp("site") / "town.db"
    shutil.copyfile(base, path)
    engine = make_engine(share_compiled(Database(f"sqlite:///{path}")), settings)
    with no_table_is_read_whole(engine.db):
        yield Site(living(built, engine), settings, listening)
    engine.db.close()
