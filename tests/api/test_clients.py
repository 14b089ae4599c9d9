"""Client libraries of Segment and RudderStack, unchanged, against the real server; and the requests others are known to send."""

from __future__ import annotations

import base64
import warnings
from typing import Any

import httpx
import orjson
import pytest
from sqlmodel import col, select

from engine.live import Engine
from models import Contact, Event

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # their own deprecations
    import rudderstack.analytics as rudder
    from rudderstack.analytics.client import Client as RudderClient
    from segment.analytics.client import Client as SegmentClient


def stored(engine: Engine) -> list[Event]:
    with engine.db.read() as session:
        return list(session.scalars(select(Event).where(Event.type != "system").order_by(col(Event.id))))


@pytest.mark.parametrize("gzip", [False, True])
def test_segment_analytics_python(live_url: str, write_key: str, engine: Engine, gzip: bool) -> None:
    failures: list[Exception] = []
    client = SegmentClient(write_key, host=live_url, gzip=gzip, on_error=lambda error, _batch: failures.append(error), max_retries=0)
    client.identify("u1", {"email": "ada@example.org", "plan": "pro"})
    client.track("u1", "Order Completed", {"total": 59.9})
    client.page("u1", "Docs", "Python", {"url": "https://shop.example/docs"})
    client.group("u1", "acme", {"name": "Acme AG"})
    client.alias("anon-1", "u1")
    client.flush()
    client.shutdown()
    assert failures == []
    assert [event.type for event in stored(engine)] == ["identify", "track", "page", "group", "alias"]
    with engine.db.read() as session:
        contact = session.scalars(select(Contact).where(Contact.email == "ada@example.org")).one()
    assert contact.attributes["plan"] == "pro"


def test_rudder_sdk_python_with_its_gzip_body(live_url: str, write_key: str, engine: Engine) -> None:
    failures: list[Exception] = []
    client = RudderClient(
        write_key, host=live_url, gzip=True, on_error=lambda error, _batch: failures.append(error), max_retries=0, send=True
    )
    client.identify("u1", {"email": "ada@example.org"})
    client.track("u1", "Product Added", {"sku": "p-1"})
    client.screen("u1", "Cart", {})
    client.flush()
    client.join()
    assert failures == []
    assert [event.name for event in stored(engine)] == ["Identified", "Product Added", "Screen Viewed"]
    assert rudder is not None


def post(live_url: str, path: str, body: dict[str, Any], **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(f"{live_url}{path}", content=orjson.dumps(body), headers=named)


def test_what_analytics_node_sends(live_url: str, write_key: str, engine: Engine) -> None:
    """@segment/analytics-node 3.1: write key and sentAt in the body too."""
    message = {
        "type": "track",
        "event": "Order Completed",
        "userId": "u1",
        "properties": {"total": 1},
        "timestamp": "2026-11-22T10:00:00.000Z",
        "messageId": "node-next-1700000000000-5a2c",
        "context": {"library": {"name": "@segment/analytics-node", "version": "3.1.0"}},
        "_metadata": {"nodeVersion": "22.0.0", "jsRuntime": "node"},
        "integrations": {},
    }
    body = {"batch": [message], "writeKey": write_key, "sentAt": "2026-11-22T10:00:01.000Z"}
    assert post(live_url, "/v1/batch", body, content_type="application/json").json() == {"success": True}
    assert stored(engine)[0].message_id == "node-next-1700000000000-5a2c"


def test_what_rudder_sdk_node_sends(live_url: str, write_key: str, engine: Engine) -> None:
    """@rudderstack/rudder-sdk-node 3.0: originalTimestamp, channel, Basic authentication."""
    message = {
        "type": "identify",
        "userId": "u1",
        "traits": {"email": "ada@example.org"},
        "channel": "server",
        "originalTimestamp": "2026-11-22T10:00:00.000Z",
        "sentAt": "2026-11-22T10:00:01.000Z",
        "messageId": "m-1",
        "context": {},
        "integrations": {"All": True},
    }
    basic = base64.b64encode(f"{write_key}:".encode()).decode()
    body = {"batch": [message], "sentAt": "2026-11-22T10:00:01.000Z"}
    assert post(live_url, "/v1/batch", body, content_type="application/json", authorization=f"Basic {basic}").status_code == 200
    assert stored(engine)[0].type == "identify"


@pytest.mark.parametrize(
    ("path", "kind"), [("/v1/t", "track"), ("/v1/i", "identify"), ("/v1/p", "page"), ("/v1/g", "group"), ("/v1/a", "alias")]
)
def test_what_analytics_next_sends_from_a_browser(live_url: str, write_key: str, engine: Engine, path: str, kind: str) -> None:
    """@segment/analytics-next 1.84: text/plain, so that the browser asks no preflight; write key in the body and as Basic user."""
    basic = base64.b64encode(f"{write_key}:".encode()).decode()
    body = {
        "timestamp": "2026-11-22T10:00:00.000Z",
        "integrations": {},
        "type": kind,
        "userId": "u1",
        "anonymousId": "5a2c",
        "event": "Clicked",
        "name": None,
        "category": None,
        "properties": {"path": "/", "title": "Shop"},
        "traits": {},
        "groupId": "acme",
        "previousId": "old-anon",
        "messageId": "ajs-next-1700000000000-77",
        "writeKey": write_key,
        "sentAt": "2026-11-22T10:00:00.100Z",
        "_metadata": {"bundled": ["Segment.io"], "unbundled": [], "bundledIds": []},
        "context": {
            "page": {"path": "/"},
            "userAgent": "Mozilla/5.0",
            "locale": "de-CH",
            "timezone": "Europe/Zurich",
            "library": {"name": "analytics.js"},
        },
    }
    answer = post(live_url, path, body, content_type="text/plain", authorization=f"Basic {basic}", origin="https://shop.example")
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")
    assert stored(engine)[0].type == kind
