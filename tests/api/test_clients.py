"""Client libraries of Segment and RudderStack, unchanged, against the real server; and the requests others are known to send."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import warnings
from pathlib import Path

import httpx
import orjson
import pytest
from sqlmodel import col, select

from builder_ui.frontend.bundle import node_folder
from engine.engine import Engine
from models import Contact, Event

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # their own deprecations
    import rudderstack.analytics as rudder
    from rudderstack.analytics.client import Client as RudderClient
    from segment.analytics.client import Client as SegmentClient


CLIENTS = Path(__file__).with_name("clients")


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
    client.identify("u1", {"email": "ada@example.org", "firstName": "Ada", "plan": "pro", "address": {"city": "Bern"}})
    client.track("u1", "Product Added", {"sku": "p-1"})
    client.screen("u1", "App", "Cart", {})
    client.flush()
    client.join()
    assert failures == []
    assert [event.name for event in stored(engine)] == ["Identified", "Product Added", "Screen Viewed"]
    assert rudder is not None
    with engine.db.read() as session:
        [contact] = session.scalars(select(Contact)).all()
    assert (contact.email, contact.first_name) == ("ada@example.org", "Ada")
    assert contact.attributes == {"plan": "pro", "address": {"city": "Bern"}}


@pytest.fixture(scope="session")
def node() -> str:
    """The program `node`, with the clients of the lock file installed beside their scripts."""
    folder = node_folder()
    environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    wanted = hashlib.sha256((CLIENTS / "package-lock.json").read_bytes()).hexdigest()
    stamp = CLIENTS / "node_modules" / ".installed"
    if not stamp.exists() or stamp.read_text() != wanted:
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        installed = subprocess.run(command, cwd=CLIENTS, env=environment, capture_output=True, text=True, check=False)
        if installed.returncode and os.environ.get("CI") != "true":
            pytest.skip("the Node clients cannot be installed here")
        assert installed.returncode == 0, installed.stderr
        stamp.write_text(wanted)
    return str(folder / "node")


@pytest.mark.parametrize("client", ["segment", "segment_old", "rudder", "browser"])
def test_node_and_browser_clients(node: str, live_url: str, write_key: str, browser_key: str, engine: Engine, client: str) -> None:
    """Each calls identify, track, page, group and alias, sends, and ends without an error."""
    key = browser_key if client == "browser" else write_key
    environment = {"PATH": os.environ["PATH"], "SERVER": live_url, "WRITE_KEY": key}
    told = subprocess.run([node, f"{client}.mjs"], cwd=CLIENTS, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (told.returncode, told.stderr) == (0, "")
    assert {event.type for event in stored(engine)} == {"identify", "track", "page", "group", "alias"}
    with engine.db.read() as session:
        contact = session.scalars(select(Contact).where(Contact.email == "ada@example.org")).one()
        order = session.scalars(select(Event).where(Event.name == "Order Completed")).one()
    assert (contact.attributes["plan"], order.contact_id, order.properties["total"]) == ("pro", contact.id, 59.9)


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
    headers = {"content-type": "text/plain", "authorization": f"Basic {basic}", "origin": "https://shop.example"}
    answer = httpx.post(f"{live_url}{path}", content=orjson.dumps(body), headers=headers)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")
    assert stored(engine)[0].type == kind
