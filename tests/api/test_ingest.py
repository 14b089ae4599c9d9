"""The tracking door over a real database: what is answered is stored, whatever the client, and bad input harms nobody else."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from sqlalchemy import text
from sqlmodel import col, select

from engine.engine import Engine
from models import ApiKey, ConsentState, Contact, Database, Event, Identity, Merge

if TYPE_CHECKING:
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

Send = Callable[..., Any]


@pytest.fixture(params=["sqlite", "postgres"])
def db(request: pytest.FixtureRequest) -> Database:
    return request.getfixturevalue(f"{request.param}_db")


def events(engine: Engine, *, system: bool = False) -> list[Event]:
    with engine.db.read() as session:
        wanted = select(Event).order_by(col(Event.id))
        return list(session.scalars(wanted if system else wanted.where(Event.type != "system")))


def contacts(engine: Engine) -> list[Contact]:
    with engine.db.read() as session:
        return list(session.scalars(select(Contact).where(col(Contact.merged_into).is_(None))))


@pytest.mark.parametrize(
    ("path", "body", "name"),
    [
        ("track", {"event": "Signed Up"}, "Signed Up"),
        ("t", {"event": "Signed Up"}, "Signed Up"),
        ("identify", {"traits": {"plan": "pro"}}, "Identified"),
        ("i", {"traits": {"plan": "pro"}}, "Identified"),
        ("page", {"name": "Pricing"}, "Page Viewed"),
        ("p", {"name": "Pricing"}, "Page Viewed"),
        ("screen", {"name": "Cart"}, "Screen Viewed"),
        ("s", {"name": "Cart"}, "Screen Viewed"),
        ("group", {"groupId": "acme", "traits": {"industry": "tools"}}, "Group Joined"),
        ("g", {"groupId": "acme"}, "Group Joined"),
        ("alias", {"previousId": "anon-1"}, "Aliased"),
        ("a", {"previousId": "anon-1"}, "Aliased"),
    ],
)
def test_every_call_is_stored_before_it_is_answered(track: Send, engine: Engine, path: str, body: dict[str, Any], name: str) -> None:
    answer = track(path, {"userId": "u1", "messageId": "m1", **body})
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    (event,) = events(engine)
    with engine.db.read() as session:
        [key] = session.scalars(select(ApiKey).where(ApiKey.kind == "server"))
    assert (event.name, event.message_id, event.source) == (name, "m1", key.source)


@pytest.mark.parametrize("path", ["batch", "b", "import"])
def test_a_batch_is_stored_in_its_order(track: Send, engine: Engine, path: str) -> None:
    batch = [{"type": "track", "userId": f"u{n % 7}", "event": f"E{n}"} for n in range(120)]
    assert track(path, {"batch": batch}).status_code == 200
    assert [event.name for event in events(engine)] == [f"E{n}" for n in range(120)]
    assert len(contacts(engine)) == 7
    assert all(event.backfill == (path == "import") for event in events(engine))


def test_the_same_message_is_stored_once(track: Send, engine: Engine) -> None:
    call = {"userId": "u1", "event": "E", "messageId": "m1"}
    track("track", call)
    track("batch", {"batch": [{"type": "track", **call}, {"type": "track", **call}, {"type": "track", **call, "messageId": "m2"}]})
    assert [event.message_id for event in events(engine)] == ["m1", "m2"]


def test_a_repeated_identify_does_not_bring_old_values_back(track: Send, engine: Engine) -> None:
    old = {"userId": "u1", "traits": {"plan": "free"}, "messageId": "m1"}
    track("identify", old)
    track("identify", {"userId": "u1", "traits": {"plan": "pro"}, "messageId": "m2"})
    track("identify", old)
    assert contacts(engine)[0].attributes["plan"] == "pro"


def test_identify_writes_the_profile_and_the_consents(track: Send, engine: Engine) -> None:
    traits = {"email": "ada@example.org", "firstName": "Ada", "plan": "pro", "consents": {"email": {"marketing": "granted"}}}
    track("identify", {"userId": "u1", "traits": traits, "context": {"timezone": "Europe/Zurich", "locale": "de-CH"}})
    (contact,) = contacts(engine)
    assert (contact.email, contact.first_name, contact.attributes) == ("ada@example.org", "Ada", {"plan": "pro"})
    assert (contact.timezone, contact.locale) == ("Europe/Zurich", "de-CH")
    with engine.db.read() as session:
        (consent,) = session.scalars(select(ConsentState)).all()
    assert (consent.channel, consent.purpose, consent.state) == ("email", "marketing", "granted")


def consent_states(engine: Engine) -> list[str]:
    with engine.db.read() as session:
        return [row.state for row in session.scalars(select(ConsentState))]


def test_granted_at_every_login_takes_back_no_unsubscribe(track: Send, engine: Engine) -> None:
    login = {"userId": "u1", "traits": {"consents": {"email": {"marketing": "granted"}}}}
    track("identify", login)
    track("identify", {"userId": "u1", "traits": {"consents": {"email": {"marketing": "withdrawn"}}}})
    track("batch", {"batch": [{"type": "identify", **login}, {"type": "identify", **login, "timestamp": "2099-01-01T00:00:00Z"}]})
    assert consent_states(engine) == ["withdrawn"]


@pytest.mark.parametrize(("said_at", "state"), [("2020-01-01T00:00:00Z", "withdrawn"), ("2099-01-01T00:00:00Z", "granted")])
def test_a_new_yes_says_when_it_was_said(track: Send, engine: Engine, said_at: str, state: str) -> None:
    track("identify", {"userId": "u1", "traits": {"consents": {"email": {"marketing": "withdrawn"}}}})
    again = {"channel": "email", "state": "granted", "said_at": said_at}
    track("identify", {"userId": "u1", "traits": {"consents": [again]}})
    assert consent_states(engine) == [state]


def test_what_a_call_changed_is_routed_and_not_left_to_the_keeper(track: Send, engine: Engine) -> None:
    track("identify", {"userId": "u1", "traits": {"plan": "pro"}})
    assert [(event.name, event.routed) for event in events(engine, system=True)] == [("Contact Changed", True), ("Identified", True)]


def test_imported_history_changes_the_profile_and_wakes_nobody(track: Send, engine: Engine) -> None:
    track("import", {"batch": [{"type": "identify", "userId": "u1", "traits": {"plan": "pro"}, "timestamp": "2024-01-01T00:00:00Z"}]})
    assert all(event.backfill and event.routed for event in events(engine, system=True))
    [contact] = contacts(engine)
    assert (contact.attributes, contact.last_seen_at) == ({"plan": "pro"}, None), "what is imported was not seen just now"


def test_a_group_stands_in_fields_of_its_own(track: Send, engine: Engine) -> None:
    track("group", {"userId": "u1", "groupId": "acme", "traits": {"industry": "tools"}})
    assert contacts(engine)[0].attributes == {"group": {"id": "acme", "industry": "tools"}}


def test_an_alias_joins_what_somebody_did_before_logging_in(track: Send, engine: Engine) -> None:
    track("track", {"anonymousId": "anon-1", "event": "Product Viewed"})
    track("alias", {"previousId": "anon-1", "userId": "u1"})
    track("track", {"userId": "u1", "event": "Order Completed"})
    (contact,) = contacts(engine)
    assert {event.contact_id for event in events(engine)} == {contact.id}


def test_an_alias_merges_two_known_people(track: Send, engine: Engine) -> None:
    track("batch", {"batch": [{"type": "track", "userId": name, "event": "E"} for name in ("old", "new")]})
    track("batch", {"batch": [{"type": "alias", "previousId": "old", "userId": "new"}, {"type": "track", "userId": "old", "event": "F"}]})
    with engine.db.read() as session:
        assert len(session.scalars(select(Merge)).all()) == 1
        assert len({row.contact_id for row in session.scalars(select(Identity))}) == 1


def test_an_event_meets_the_profile_its_sender_meant(track: Send, engine: Engine) -> None:
    """identify, track, identify of one person in one batch: two transactions, so that routing never sees the later profile."""
    batch = [
        {"type": "identify", "userId": "u1", "traits": {"plan": "free"}},
        {"type": "track", "userId": "u1", "event": "E"},
        {"type": "identify", "userId": "u1", "traits": {"plan": "pro"}},
    ]
    track("batch", {"batch": batch})
    assert [event.name for event in events(engine, system=True)] == ["Contact Changed", "Identified", "E", "Contact Changed", "Identified"]


def test_one_bad_event_never_spoils_the_others(track: Send, engine: Engine) -> None:
    batch = [
        {"type": "track", "userId": "u1", "event": "Good"},
        {"type": "track", "event": "Nobody"},
        7,
        {"type": "identify", "userId": "u1", "traits": 1},
    ]
    answer = track("batch", {"batch": batch})
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert answer.headers["x-dropped-events"] == "3"
    assert [event.name for event in events(engine)] == ["Good"]


def test_strict_mode_names_what_is_wrong_and_stores_the_rest(track: Send, engine: Engine) -> None:
    answer = track(
        "batch", {"batch": [{"type": "track", "userId": "u1", "event": "Good"}, {"type": "track", "event": "Nobody"}]}, x_strict_mode="1"
    )
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "invalid_event"
    assert error["details"]["accepted"] == 1
    assert (error["details"]["errors"][0]["index"], error["details"]["errors"][0]["field"]) == (1, "userId")
    assert [event.name for event in events(engine)] == ["Good"]


def test_an_event_that_the_database_refuses_costs_only_itself(track: Send, engine: Engine) -> None:
    with engine.db.write() as session:
        session.execute(text("CREATE UNIQUE INDEX one_of_a_kind ON event (name)"))
    track("track", {"userId": "u1", "event": "Taken"})
    track("batch", {"batch": [{"type": "track", "userId": "u1", "event": name} for name in ("Before", "Taken", "After")]})
    assert sorted(event.name for event in events(engine)) == ["After", "Before", "Taken"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "malformed"),
        (b"", 400, "malformed"),
        (b"[]", 400, "malformed"),
        (b'{"batch": 3}', 400, "malformed"),
        (b'{"batch": NaN}', 400, "malformed"),
        (b"[" * 5000, 400, "malformed"),
        (b"\xff\xfe", 400, "malformed"),
        (orjson.dumps({"batch": [{}] * 1001}), 413, "too_large"),
        (b" " * 4_194_305, 413, "too_large"),
    ],
)
def test_unreadable_bodies(client: TestClient, write_key: str, body: bytes, status: int, code: str) -> None:
    answer = client.post("/v1/batch", content=body, headers={"authorization": f"Bearer {write_key}"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_gzip_is_understood(client: TestClient, write_key: str, engine: Engine) -> None:
    body = gzip.compress(orjson.dumps({"batch": [{"type": "track", "userId": "u1", "event": "E"}], "writeKey": write_key}))
    assert client.post("/v1/batch", content=body, headers={"content-encoding": "gzip"}).status_code == 200
    assert len(events(engine)) == 1


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        (gzip.compress(b" " * 20_000_000, mtime=0), "gzip", 413),
        (b"not gzip", "gzip", 400),
        (gzip.compress(b"{}", mtime=0)[:-4], "gzip", 400),
        (gzip.compress(b"{}", mtime=0) + b"more", "gzip", 400),
        (b"{}", "br", 415),
    ],
)
def test_compressed_bodies_are_bounded_inflated(client: TestClient, body: bytes, encoding: str, status: int) -> None:
    assert client.post("/v1/batch", content=body, headers={"content-encoding": encoding}).status_code == status


@pytest.mark.parametrize("key", ["wrong", "", "pfw_" + "x" * 500])
def test_without_a_valid_key_nothing_is_stored(client: TestClient, engine: Engine, key: str) -> None:
    basic = base64.b64encode(f"{key}:".encode()).decode()
    answer = client.post("/v1/track", json={"userId": "u1", "event": "E"}, headers={"authorization": f"Basic {basic}"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")
    assert client.post("/v1/track", json={"userId": "u1", "event": "E", "writeKey": key}).status_code == 401
    assert events(engine) == []


def test_nobody_can_try_keys_for_long(client: TestClient) -> None:
    statuses = {client.post("/v1/track", json={"writeKey": f"guess-{n}"}).status_code for n in range(70)}
    assert statuses == {401, 429}
    answer = client.post("/v1/track", json={"writeKey": "guess"})
    assert int(answer.headers["retry-after"]) >= 1


def test_an_admin_key_is_no_write_key(admin: TestClient) -> None:
    assert admin.post("/v1/track", json={"userId": "u1", "event": "E"}).status_code == 401


def test_when_too_much_is_waiting_the_door_asks_to_come_back(client: TestClient, app: FastAPI, track: Send, engine: Engine) -> None:
    writer = app.state.server.writer
    writer.max_backlog = 100
    with engine.db.write():  # the writer cannot commit meanwhile on SQLite; on PostgreSQL it drains, and the second request is taken
        first = writer.has_room(5_000)
    assert first, "an empty queue takes any request"
    assert not _full(writer).has_room(1)


def _full(writer: Any) -> Any:
    """The same check with a queue of a hundred calls that nobody works on."""
    from api.tracking.writer import Writer

    waiting = Writer(writer.engine, None, writer._loop, max_backlog=100)
    waiting._queue.extend([None] * 100)
    return waiting


def test_browsers_may_send_from_anywhere(client: TestClient, track: Send) -> None:
    asked = client.options(
        "/v1/t", headers={"origin": "https://shop.example", "access-control-request-headers": "authorization,x-retry-count"}
    )
    assert asked.status_code == 204
    assert asked.headers["access-control-allow-origin"] == "*"
    assert {"authorization", "x-retry-count"} <= set(asked.headers["access-control-allow-headers"].split(", "))
    assert track("track", {"userId": "u1", "event": "E"}).headers["access-control-allow-origin"] == "*"
    assert client.post("/v1/track", json={}).headers["access-control-allow-origin"] == "*"


def test_the_browser_library_is_told_to_send_here(client: TestClient, write_key: str) -> None:
    segment = client.get(f"/v1/projects/{write_key}/settings").json()["integrations"]["Segment.io"]
    assert (segment["apiKey"], segment["apiHost"], segment["protocol"]) == (write_key, "testserver/v1", "http")
    assert client.get("/v1/projects/unknown/settings").status_code == 404


def test_stored_times_are_when_it_happened(track: Send, engine: Engine) -> None:
    track("track", {"userId": "u1", "event": "E", "timestamp": "2025-03-01T12:00:00Z"})
    assert events(engine)[0].occurred_at == datetime(2025, 3, 1, 12, tzinfo=UTC)
