"""Whatever a tracking client sends, the door answers with a sentence and never with 500; one odd event does not cost the others."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import select

from api.http.odd_json import MAX_BYTES, read_odd_json
from engine.engine import Engine
from models import Event

if TYPE_CHECKING:
    from fastapi import FastAPI
    from fastapi.testclient import TestClient


@pytest.fixture
def post(client: TestClient, write_key: str) -> Callable[..., Any]:
    basic = base64.b64encode(f"{write_key}:".encode()).decode()

    def send(body: bytes, path: str = "batch") -> Any:
        return client.post(f"/v1/{path}", content=body, headers={"authorization": f"Basic {basic}"})

    return send


def event(value: bytes) -> bytes:
    return b'{"type":"track","userId":"u1","event":"Odd","properties":{"value":' + value + b"}}"


ODD = {
    "nested 13 deep": b"[" * 13 + b"]" * 13,
    "nested 253 deep": b"[" * 253 + b"]" * 253,
    "nested 255 deep": b'{"a":' * 255 + b"1" + b"}" * 255,
    "nested 5,000 deep": b"[" * 5_000 + b"]" * 5_000,
    "not a number": b"NaN",
    "endless": b"-Infinity",
    "beyond every float": b"1e999",
    "half a character": b'"\\ud800"',
    "half a character as a key": b'{"\\udc00":1}',
    "401 digits": b"9" * 401,
    "a long key": b'{"' + b"k" * 201 + b'":1}',
    "30,000 keys": b"{" + b",".join(b'"%d":1' % number for number in range(30_000)) + b"}",
}


@pytest.mark.parametrize("value", ODD.values(), ids=ODD.keys())
def test_one_odd_event_is_dropped_and_the_others_are_stored(post: Callable[..., Any], engine: Engine, value: bytes) -> None:
    good = b'{"type":"track","userId":"u1","event":"Good"}'
    answer = post(b'{"batch":[' + good + b"," + event(value) + b"," + good + b"]}")
    assert (answer.status_code, answer.headers.get("x-dropped-events")) == (200, "1")
    with engine.db.read() as session:
        assert session.scalars(select(Event.name)).all() == ["Good", "Good"]


@pytest.mark.parametrize("value", ODD.values(), ids=ODD.keys())
def test_one_odd_call_alone_is_dropped(post: Callable[..., Any], value: bytes) -> None:
    answer = post(event(value), "track")
    assert (answer.status_code, answer.headers.get("x-dropped-events")) == (200, "1")


@pytest.mark.parametrize("value", [b"9" * 300, b"-" + b"1" * 40, b'{"a":1,"a":2}', b"1e-999", b"0.1e1"])
def test_what_is_only_unusual_is_stored(post: Callable[..., Any], engine: Engine, value: bytes) -> None:
    answer = post(b'{"batch":[' + event(value) + b"]}")
    assert (answer.status_code, answer.headers.get("x-dropped-events")) == (200, None)
    with engine.db.read() as session:
        assert session.scalars(select(Event.name)).all() == ["Odd"]


def test_an_odd_value_in_a_field_that_nobody_reads_costs_its_event_only_if_it_cannot_be_written(post: Callable[..., Any]) -> None:
    answer = post(b'{"batch":[{"type":"track","userId":"u1","event":"E","unknown":' + b"[" * 20 + b"]" * 20 + b"}]}")
    assert answer.headers.get("x-dropped-events") is None


@pytest.mark.parametrize("body", [b"", b"{", b'{"batch":[NaN', b"\xff\xfe", b"[" * 5_000, b"nul", b'{"a":1}x', b"]" * 500])
def test_what_is_no_json_at_all_is_malformed(post: Callable[..., Any], body: bytes) -> None:
    assert post(body).status_code == 400


def test_only_short_bodies_are_read_tolerantly() -> None:
    assert read_odd_json(b"[NaN" + b" " * MAX_BYTES + b"]") is None


scalars = st.sampled_from(
    [
        b"null",
        b"true",
        b"0",
        b"-1",
        b"1e400",
        b"NaN",
        b'""',
        b'"\\ud83d"',
        b'"u1"',
        b'"2026-11-29T10:00:00Z"',
        b'"\\u0000"',
        b"1" * 25,
        b'"99999-01-01"',
        b'"\xe2\x80\x8b"',
        b'" Message Sent"',
        b"[" * 300 + b"]" * 300,
        b'{"x":' * 14 + b"1" + b"}" * 14,
    ]
)
keys = st.sampled_from(
    [
        "type",
        "event",
        "userId",
        "anonymousId",
        "messageId",
        "timestamp",
        "originalTimestamp",
        "sentAt",
        "properties",
        "traits",
        "context",
        "groupId",
        "previousId",
        "name",
        "category",
        "consents",
        "externalIds",
        "id",
        "email",
        "phone",
        "channel",
        "state",
        "purpose",
        "locale",
        "timezone",
        "batch",
        "writeKey",
        "integrations",
    ]
)


def objects(inner: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Twice the same key is allowed, as it is in JSON."""
    pairs = st.lists(st.tuples(keys, inner), max_size=6)
    return pairs.map(lambda held: b"{" + b",".join(b'"%s":%s' % (key.encode(), value) for key, value in held) + b"}")


anything = st.recursive(
    scalars, lambda inner: objects(inner) | st.lists(inner, max_size=3).map(lambda held: b"[" + b",".join(held) + b"]"), max_leaves=12
)
kinds = st.sampled_from([b"track", b"identify", b"page", b"screen", b"group", b"alias"])
calls = st.tuples(kinds, objects(anything)).map(
    lambda one: b'{"type":"%s","userId":"u1","event":"E",' % one[0] + (one[1][1:] if one[1] != b"{}" else b'"z":1}')
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    bodies=st.lists(calls | anything, max_size=4), path=st.sampled_from(["batch", "import", "identify", "track", "group", "alias", "page"])
)
def test_nothing_that_is_sent_breaks_the_door(app: FastAPI, post: Callable[..., Any], bodies: list[bytes], path: str) -> None:
    body = b'{"batch":[' + b",".join(bodies) + b"]}" if path in ("batch", "import") else (bodies or [b"{}"])[0]
    assert post(body, path).status_code in (200, 400)
    assert app.state.server.writer.counts.failed == 0, "what was taken could be stored"
