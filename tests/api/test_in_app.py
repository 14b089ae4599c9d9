"""The inbox on a customer's site, as its page asks for it: who may see it, what is in it, and what becomes of reading."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import httpx
import pytest
import uvicorn
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlmodel import select

from activities.contact_tokens import ContactTokens
from activities.providers.provider import Outgoing
from activities.providers.site_inbox import SiteInbox
from api.app import create_app
from api.in_app import streams
from crm.consent.consent import Evidence, record_consent
from crm.people.merge import merge
from crm.privacy.erasure import erase_person
from crm.privacy.export import export
from engine.engine import Engine
from journeys.errors import TooMany
from models import ApiKey, Contact, Event, Identity, InAppMessage, Message, new_id
from settings import Settings
from tests.api.conftest import serving

ANNA, BORIS = "a" * 32, "b" * 32


@pytest.fixture(autouse=True)
def people(engine: Engine) -> None:
    now = engine.clock.now()
    with engine.db.write() as session:
        for id, name in ((ANNA, "anna"), (BORIS, "boris")):
            session.add(Contact(id=id, created_at=now, updated_at=now))
            session.flush()
            session.add(Identity(contact_id=id, kind="user_id", value=name, created_at=now))


def basic(key: str) -> dict[str, str]:
    return {"authorization": f"Basic {base64.b64encode(f'{key}:'.encode()).decode()}"}


@pytest.fixture
def tokens(settings: Settings) -> ContactTokens:
    return ContactTokens(settings.signing_keys())


@pytest.fixture
def visit(browser_key: str, tokens: ContactTokens, engine: Engine) -> dict[str, str]:
    """The headers of Anna's page."""
    return {**basic(browser_key), "x-contact-token": tokens.make(ANNA, engine.clock.real_now() + timedelta(hours=1))}


def put(engine: Engine, key: str, contact: str = ANNA, **parts: Any) -> int:
    """A message that was sent by a journey; the number that it has in the inbox."""
    now = engine.clock.now()
    message_id = new_id()
    with engine.db.write() as session:
        session.add(Message(id=message_id, once_key=key, contact_id=contact, channel="in_app", status="sent", planned_at=now, sent_at=now))
    sent = Outgoing(key, message_id, "in_app", contact, subject=f"Title {key}", text="Text", parts=parts.pop("parts", {}), **parts)
    return int(SiteInbox(engine.db, lambda: now).send(sent).provider_id)


def listed(client: Any, headers: dict[str, str], **query: Any) -> Any:
    answer = client.get("/v1/in-app/messages", headers=headers, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def numbers(found: Any) -> list[int]:
    return [one["id"] for one in found["messages"]]


# Tokens


def test_a_server_asks_for_a_token_and_the_page_reads_with_it(client: Any, engine: Engine, write_key: str, browser_key: str) -> None:
    number = put(engine, "m1", parts={"url": "https://shop.example/"})
    put(engine, "m2", BORIS)
    made = client.post("/v1/contact-tokens", json={"userId": "anna"}, headers=basic(write_key))
    assert made.status_code == 200
    found = listed(client, {**basic(browser_key), "x-contact-token": made.json()["token"]})
    assert (numbers(found), found["unread"], found["next"]) == ([number], 1, None)
    assert found["messages"][0]["parts"] == {"title": "Title m1", "text": "Text", "url": "https://shop.example/"}


def test_a_page_cannot_make_a_token(client: Any, write_key: str, browser_key: str) -> None:
    for headers in (basic(browser_key), {**basic(write_key), "origin": "https://shop.example"}):
        assert client.post("/v1/contact-tokens", json={"userId": "anna"}, headers=headers).status_code == 403
    assert client.post("/v1/contact-tokens", json={"userId": "anna"}).status_code == 401
    assert client.post("/v1/contact-tokens", json={"userId": "nobody"}, headers=basic(write_key)).status_code == 404


@pytest.mark.parametrize("path", ["messages", "stream", "messages/1/read", "messages/1/dismiss"])
def test_a_browser_key_alone_opens_no_door(client: Any, engine: Engine, browser_key: str, tokens: ContactTokens, path: str) -> None:
    now = engine.clock.real_now()
    put(engine, "m1")
    good = tokens.make(ANNA, now + timedelta(hours=1))
    other = ContactTokens({"k": b"x" * 32}).make(ANNA, now + timedelta(hours=1))
    bad: tuple[dict[str, str], ...] = (
        basic(browser_key),
        {**basic(browser_key), "x-contact-token": tokens.make(ANNA, now)},
        {**basic(browser_key), "x-contact-token": other},
        {**basic(browser_key), "x-contact-token": good[:-1] + ("A" if good[-1] != "A" else "B")},
        {**basic(browser_key), "x-contact-token": tokens.make("c" * 32, now + timedelta(hours=1))},
        {"x-contact-token": good},
        {**basic("pfb_wrong"), "x-contact-token": good},
    )
    send = client.post if path.endswith(("read", "dismiss")) else client.get
    assert [send(f"/v1/in-app/{path}", headers=headers).status_code for headers in bad] == [401] * len(bad)
    with engine.db.read() as session:
        assert session.scalars(select(InAppMessage.read_at)).all() == [None]


def test_a_token_of_one_contact_touches_no_message_of_another(client: Any, engine: Engine, visit: dict[str, str]) -> None:
    theirs = put(engine, "m1", BORIS)
    for act in ("read", "dismiss"):
        assert client.post(f"/v1/in-app/messages/{theirs}/{act}", headers=visit).status_code == 404
    with engine.db.read() as session:
        row = session.scalars(select(InAppMessage)).one()
    assert (row.read_at, row.dismissed_at) == (None, None)


def test_a_token_follows_a_merge_and_ends_with_an_erasure(client: Any, engine: Engine, visit: dict[str, str]) -> None:
    number = put(engine, "m1")
    with engine.db.write() as session:
        merge(session, BORIS, ANNA, engine.clock.now())
    assert numbers(listed(client, visit)) == [number]
    with engine.db.read() as session:
        assert [row["id"] for row in export(session, BORIS)["in_app_messages"]] == [number]
    erase_person(engine.db, BORIS, engine.clock.now(), by="test", keys=engine.address_keys)
    assert client.get("/v1/in-app/messages", headers=visit).status_code == 401
    with engine.db.read() as session:
        assert session.scalars(select(InAppMessage)).all() == []


# The list


def test_what_is_expired_or_dismissed_is_not_shown(client: Any, engine: Engine, visit: dict[str, str]) -> None:
    kept, gone = put(engine, "kept"), put(engine, "gone")
    put(engine, "over", lifetime=timedelta(microseconds=1))
    assert client.post(f"/v1/in-app/messages/{gone}/dismiss", headers=visit).status_code == 204
    found = listed(client, visit)
    assert (numbers(found), found["unread"]) == ([kept], 1)


def test_the_list_has_pages(client: Any, engine: Engine, visit: dict[str, str]) -> None:
    all_of_them = [put(engine, f"m{n}") for n in range(5)]
    first = listed(client, visit, limit=2)
    second = listed(client, visit, limit=2, before=first["next"])
    third = listed(client, visit, limit=2, before=second["next"])
    assert [numbers(page) for page in (first, second, third)] == [all_of_them[:2:-1], all_of_them[2:0:-1], all_of_them[:1]]
    assert (third["next"], first["newest"]) == (None, all_of_them[-1])
    assert client.get("/v1/in-app/messages?limit=101", headers=visit).status_code == 422
    assert client.get("/v1/in-app/messages?contact=b", headers=visit).status_code == 422


# Reading


def opened(engine: Engine) -> list[dict[str, Any]]:
    with engine.db.read() as session:
        return list(session.scalars(select(Event.properties).where(Event.name == "Message Opened")))


def say_tracking(engine: Engine, state: Any) -> None:
    now: datetime = engine.clock.now()
    with engine.db.write() as session:
        record_consent(session, ANNA, "tracking", "marketing", state, now, evidence=Evidence.DATED, source="test")


def test_reading_counts_as_an_open_once(client: Any, engine: Engine, visit: dict[str, str]) -> None:
    say_tracking(engine, "granted")
    number = put(engine, "m1")
    for _ in range(2):
        assert client.post(f"/v1/in-app/messages/{number}/read", headers=visit).status_code == 204
    found = listed(client, visit)
    assert (found["messages"][0]["read"], found["unread"]) == (True, 0)
    [properties] = opened(engine)
    assert (properties["channel"], properties["machine"]) == ("in_app", False)
    with engine.db.read() as session:
        assert session.scalars(select(Message.opened_at)).one() is not None


def test_reading_is_no_open_where_that_is_not_measured(client: Any, engine: Engine, visit: dict[str, str]) -> None:
    say_tracking(engine, "withdrawn")
    number = put(engine, "m1")
    assert client.post(f"/v1/in-app/messages/{number}/read", headers=visit).status_code == 204
    assert listed(client, visit)["unread"] == 0
    assert opened(engine) == []
    with engine.db.read() as session:
        assert session.scalars(select(Message.opened_at)).one() is None


# The stream


def told(lines: Iterator[str], count: int) -> list[Any]:
    """The next messages of a stream."""
    found = []
    while len(found) < count:
        line = next(lines)
        if line.startswith("data: "):
            found.append(json.loads(line.removeprefix("data: ")))
    return found


def follow(url: str, headers: dict[str, str], **more: str) -> Any:
    return httpx.stream("GET", f"{url}/v1/in-app/stream", headers={**headers, **more}, timeout=120)


def test_a_stream_tells_what_comes_in_and_goes_on_where_it_broke(live_url: str, engine: Engine, visit: dict[str, str]) -> None:
    before = put(engine, "before")
    with follow(live_url, visit) as answer:
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert answer.headers["access-control-allow-origin"] == "*"
        lines = answer.iter_lines()
        assert next(lines) == "retry: 3000"
        put(engine, "theirs", BORIS)
        first = put(engine, "first")
        assert [one["id"] for one in told(lines, 1)] == [first]
    missed = [put(engine, "second"), put(engine, "third")]
    with follow(live_url, visit, **{"last-event-id": str(first)}) as answer:
        assert [one["id"] for one in told(answer.iter_lines(), 2)] == missed
    with follow(live_url, visit, **{"last-event-id": "0"}) as answer:
        assert [one["id"] for one in told(answer.iter_lines(), 4)] == [before, first, *missed]


def test_a_stream_ends_with_its_token(live_url: str, engine: Engine, visit: dict[str, str], tokens: ContactTokens) -> None:
    soon = tokens.make(ANNA, engine.clock.real_now() + timedelta(seconds=2))
    with follow(live_url, {**visit, "x-contact-token": soon}) as answer:
        if answer.status_code == 200:  # a slow machine may come too late
            assert "retry: 3000" in list(answer.iter_lines())
        else:
            assert answer.status_code == 401


def test_a_contact_has_five_streams_at_most(live_url: str, visit: dict[str, str]) -> None:
    with ExitStack() as open_ones:  # closes them also when the sixth is not refused: a server waits for its streams
        answers = [open_ones.enter_context(follow(live_url, visit)) for _ in range(streams.OF_A_CONTACT + 1)]
        assert [answer.status_code for answer in answers] == [200] * streams.OF_A_CONTACT + [429]
        assert int(answers[-1].headers["retry-after"]) > 0
        first = [next(answer.iter_lines()) for answer in answers[:-1]]
        assert first == ["retry: 3000"] * streams.OF_A_CONTACT


class SlowPages:
    """Pages that ask for the stream all at once, of which none takes the first byte before all are answered; then all are gone."""

    def __init__(self, app: Any, headers: dict[str, str]) -> None:
        self.app = app
        self.headers = [(name.encode(), value.encode()) for name, value in headers.items()]
        self.statuses: list[int] = []
        self.all_answered = asyncio.Event()

    async def come(self, count: int) -> list[int]:
        """What each was answered, in order of the number."""
        pages = [asyncio.create_task(self.ask(count)) for _ in range(count)]
        await asyncio.wait_for(asyncio.gather(*pages, return_exceptions=True), 60)
        return sorted(self.statuses)

    async def ask(self, count: int) -> None:
        async def receive() -> dict[str, Any]:
            await self.all_answered.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.statuses.append(message["status"])
                if len(self.statuses) == count:
                    self.all_answered.set()
                if message["status"] == 200:
                    await asyncio.Event().wait()

        path, scope = "/v1/in-app/stream", {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1"}
        about = {"method": "GET", "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": ""}
        await self.app({**scope, **about, "headers": self.headers, "client": ("127.0.0.1", 1), "server": ("testserver", 80)}, receive, send)


def test_of_streams_asked_for_at_once_those_beyond_five_are_refused_and_gone_pages_leave_their_places(
    client: Any, app: Any, visit: dict[str, str]
) -> None:
    for _ in range(2):
        assert client.portal.call(SlowPages(app, visit).come, 10) == [200] * 5 + [429] * 5


def test_a_key_has_so_many_streams_at_most(engine: Engine) -> None:
    async def comes() -> None:
        waiting = streams.Streams(engine.db)
        async with AsyncExitStack() as open_ones:
            for number in range(streams.OF_A_KEY):
                await open_ones.enter_async_context(waiting.waiting("key", f"{number}"))
            await open_ones.enter_async_context(waiting.waiting("other", "1"))
            with pytest.raises(TooMany):
                await open_ones.enter_async_context(waiting.waiting("key", "1"))
        await waiting.close()

    asyncio.run(comes())


@pytest.fixture
def hasty_url(app: Any) -> Iterator[str]:
    """The app with ten heartbeats a second."""
    with socket.create_server(("127.0.0.1", 0)) as listening, serving(app, listening):
        app.state.server.streams.heartbeat_seconds = 0.1
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def heartbeats(lines: Iterator[str]) -> Iterator[str]:
    """The lines of a stream for 300 heartbeats, so that a test ends that waits for what does not come."""
    return islice(lines, 600)


def test_an_open_stream_follows_a_merge(hasty_url: str, engine: Engine, visit: dict[str, str]) -> None:
    with follow(hasty_url, visit) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "retry: 3000"
        with engine.db.write() as session:
            merge(session, BORIS, ANNA, engine.clock.now())
        number = put(engine, "theirs", BORIS)
        assert [one["id"] for one in told(heartbeats(lines), 1)] == [number]


def test_an_open_stream_ends_with_an_erasure(hasty_url: str, engine: Engine, visit: dict[str, str]) -> None:
    with follow(hasty_url, visit) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "retry: 3000"
        erase_person(engine.db, ANNA, engine.clock.now(), by="test", keys=engine.address_keys)
        assert_ends(lines)


def test_an_open_stream_ends_with_its_key(hasty_url: str, engine: Engine, visit: dict[str, str], admin_key: str) -> None:
    with engine.db.read() as session:
        key_id = session.scalars(select(ApiKey.id).where(ApiKey.kind == "browser")).one()
    with follow(hasty_url, visit) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "retry: 3000"
        revoked = httpx.delete(f"{hasty_url}/api/v1/keys/{key_id}", headers={"authorization": f"Bearer {admin_key}"})
        assert revoked.status_code == 200
        assert_ends(lines)


def assert_ends(lines: Iterator[str]) -> None:
    assert len(list(heartbeats(lines))) < 600


class Busy:
    """A database whose pool has no connection left at first."""

    def __init__(self, db: Any) -> None:
        self.db = db
        self.refuses = True

    def read(self) -> Any:
        if self.refuses:
            self.refuses = False
            raise PoolTimeout("QueuePool limit of size 5 overflow 10 reached")
        return self.db.read()


def test_whoever_comes_while_the_last_one_leaves_is_looked_for(engine: Engine) -> None:
    async def comes() -> None:
        waiting = streams.Streams(engine.db)
        async with waiting.waiting("key", ANNA):
            pass
        async with waiting.waiting("key", ANNA) as bell:
            await asyncio.wait_for(bell.wait(), 30)
        await waiting.close()

    asyncio.run(comes())


def test_a_look_survives_a_pool_without_connections(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    async def comes() -> None:
        waiting = streams.Streams(Busy(engine.db))  # type: ignore[arg-type]
        async with waiting.waiting("key", ANNA) as bell:
            await asyncio.wait_for(bell.wait(), 30)
        await waiting.close()

    asyncio.run(comes())
    assert "were not looked for: TimeoutError" in caplog.text


class Flood:
    """A database that gets more than two pages of messages after its newest one was asked for."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.reads = 0

    def read(self) -> Any:
        self.reads += 1
        if self.reads == 2:
            self.pour()
        return self.engine.db.read()

    def pour(self) -> None:
        now = self.engine.clock.now()
        whose = [BORIS] * (2 * streams.PAGE) + [ANNA]
        with self.engine.db.write() as session:
            for number, contact in enumerate(whose):
                row = {"idempotency_key": f"k{number}", "message_id": f"m{number}", "contact_id": contact, "parts": {}}
                session.add(InAppMessage(**row, created_at=now, expires_at=now + timedelta(days=1)))


def test_a_look_goes_on_at_once_after_a_full_page(engine: Engine) -> None:
    async def comes() -> None:
        waiting = streams.Streams(Flood(engine))  # type: ignore[arg-type]
        waiting.look_seconds = 3_600
        async with waiting.waiting("key", ANNA) as bell:
            await bell.wait()  # at the beginning everybody looks
            bell.clear()
            await asyncio.wait_for(bell.wait(), 60)
        await waiting.close()

    asyncio.run(comes())


def test_a_server_that_ends_ends_its_streams(settings: Settings, engine: Engine, visit: dict[str, str]) -> None:
    def stopping() -> bool:
        return server.should_exit

    server = uvicorn.Server(uvicorn.Config(create_app(settings, engine, stopping=stopping), log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        with follow(f"http://127.0.0.1:{listening.getsockname()[1]}", visit) as answer:
            lines = answer.iter_lines()
            assert next(lines) == "retry: 3000"
            server.should_exit = True
            thread.join(60)
            assert not thread.is_alive()
            assert "data" not in "".join(lines)


# The script


def test_the_script_is_served_to_every_site_and_kept_until_it_changes(client: Any) -> None:
    answer = client.get("/v1/embed/inbox.js")
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert client.get("/v1/embed/inbox.js", headers={"if-none-match": answer.headers["etag"]}).status_code == 304
    for forbidden in ("innerHTML", "eval(", "new Function", "document.write", "insertAdjacentHTML", "import("):
        assert forbidden not in answer.text


def test_a_page_of_another_site_may_ask(client: Any) -> None:
    asked = {"origin": "https://shop.example", "access-control-request-method": "GET", "access-control-request-headers": "x-contact-token"}
    answer = client.options("/v1/in-app/messages", headers=asked)
    assert answer.status_code == 204
    assert {"x-contact-token", "last-event-id", "authorization"} <= set(answer.headers["access-control-allow-headers"].split(", "))
