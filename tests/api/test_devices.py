"""Devices register themselves: over `/v1/devices` with a contact token, and in the context of a server's tracking calls."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from sqlmodel import select

from activities.account_setup import set_up_of
from activities.accounts import Accounts
from activities.contact_tokens import ContactTokens
from activities.providers.provider import Surroundings
from activities.providers.registry import Providers
from activities.providers.webpush import WebPush, WebPushConfig, new_key, public_key
from api.app import create_app
from engine.engine import Engine
from models import ConsentState, Contact, Device, Event, Identity
from settings import Settings
from tests.activities.providers.push_service import Browser
from tests.api.conftest import Woken
from workspace import accounts as rows

ANNA, BORIS = "a" * 32, "b" * 32
BROWSER = Browser()
CONFIG = WebPushConfig(contact="mailto:web@example.org", vapid_key=new_key())
KEY = public_key(CONFIG)
ENDPOINT = "https://push.example/anna"


@pytest.fixture(autouse=True)
def people(engine: Engine) -> None:
    now = engine.clock.now()
    with engine.db.write() as session:
        for id, name in ((ANNA, "anna"), (BORIS, "boris")):
            session.add(Contact(id=id, created_at=now, updated_at=now))
            session.flush()
            session.add(Identity(contact_id=id, kind="user_id", value=name, created_at=now))


@pytest.fixture
def app(settings: Settings, engine: Engine, woken: Woken) -> FastAPI:
    """With an account for browsers, whose test would ask nobody anyway."""
    accounts = Accounts(engine.db, Providers.of_none().with_kinds(WebPush), engine.address_keys, Surroundings(engine.db, engine.clock.now))
    with engine.db.write() as session:
        row = rows.add(session, accounts.keys, "main", set_up_of(WebPush, CONFIG), "m1", engine.clock.real_now())
        rows.carry(session, {"push": row.account}, "m1", engine.clock.real_now())
    return create_app(settings, engine, waker=woken, accounts=accounts)


def basic(key: str) -> dict[str, str]:
    return {"authorization": f"Basic {base64.b64encode(f'{key}:'.encode()).decode()}"}


@pytest.fixture
def visit(browser_key: str, settings: Settings, engine: Engine) -> dict[str, str]:
    """The headers of Anna's page."""
    token = ContactTokens(settings.signing_keys()).make(ANNA, engine.clock.real_now() + timedelta(hours=1))
    return {**basic(browser_key), "x-contact-token": token}


def browser(endpoint: str = ENDPOINT, **changes: Any) -> dict[str, Any]:
    return {"type": "web", "subscription": BROWSER.subscription(endpoint) | {"expirationTime": None}, "key": KEY, **changes}


def owners(engine: Engine) -> list[tuple[str, str, str]]:
    with engine.db.read() as session:
        found = session.scalars(select(Device).order_by(Device.address))
        return [(one.contact_id[0], one.kind, one.address) for one in found]


def test_a_page_subscribes_with_the_key_and_registers_for_its_person(
    client: Any, engine: Engine, visit: dict[str, str], browser_key: str
) -> None:
    assert client.get("/v1/devices/key", headers=basic(browser_key)).json() == {"key": KEY}
    wording = "Yes, tell me about offers on this device."
    answer = client.post(
        "/v1/devices", json=browser(consent={"wording": wording}, app="https://shop.example", language="de"), headers=visit
    )
    assert answer.status_code == 204, answer.text
    assert owners(engine) == [("a", "web", ENDPOINT)]
    with engine.db.read() as session:
        [state] = session.scalars(select(ConsentState).where(ConsentState.contact_id == ANNA))
        assert (state.channel, state.purpose, state.state) == ("push", "marketing", "granted")
        assert session.get_one(Contact, ANNA).push_devices == "web"
    assert client.post("/v1/devices/remove", json={"address": ENDPOINT}, headers=visit).status_code == 204
    assert owners(engine) == []


@pytest.mark.parametrize("path", ["devices", "devices/remove"])
def test_a_browser_key_alone_registers_and_removes_nothing(
    client: Any, engine: Engine, visit: dict[str, str], browser_key: str, path: str
) -> None:
    body = browser() if path == "devices" else {"address": ENDPOINT}
    assert client.post("/v1/devices", json=browser(), headers=visit).status_code == 204
    for headers in (basic(browser_key), {**basic(browser_key), "x-contact-token": "x"}, {"x-contact-token": visit["x-contact-token"]}):
        assert client.post(f"/v1/{path}", json=body, headers=headers).status_code == 401
    assert owners(engine) == [("a", "web", ENDPOINT)]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (browser("http://push.example/x"), 422),
        (browser("https://127.0.0.1:8443/x"), 422),
        (browser(key="another"), 409),
        (browser(key=""), 409),
        (browser(token="t"), 422),
        ({"type": "web", "token": "t"}, 422),
        ({"type": "android", "token": ""}, 422),
        ({"type": "android", "subscription": BROWSER.subscription(ENDPOINT)}, 422),
        ({"type": "fridge", "token": "t"}, 422),
        ({**browser(), "contact": BORIS}, 422),
        (browser(subscription={"endpoint": ENDPOINT, "keys": {"p256dh": "x", "auth": "y"}}), 422),
        (browser(consent={"wording": ""}), 422),
    ],
)
def test_what_is_no_device_is_refused_without_repeating_it(
    client: Any, engine: Engine, visit: dict[str, str], body: Any, status: int
) -> None:
    answer = client.post("/v1/devices", json=body, headers=visit)
    assert answer.status_code == status, answer.text
    assert "push.example" not in answer.text
    assert owners(engine) == []


def test_who_knows_the_former_endpoint_may_replace_it_and_nobody_else(
    client: Any, engine: Engine, visit: dict[str, str], browser_key: str
) -> None:
    client.post("/v1/devices", json=browser(), headers=visit)
    new = {"subscription": BROWSER.subscription("https://push.example/new"), "key": KEY}
    assert (
        client.post("/v1/devices/renew", json={"before": "https://push.example/guess", **new}, headers=basic(browser_key)).status_code
        == 404
    )
    assert client.post("/v1/devices/renew", json={"before": ENDPOINT, **new}).status_code == 401
    assert client.post("/v1/devices/renew", json={"before": ENDPOINT, **new, "key": "x"}, headers=basic(browser_key)).status_code == 409
    assert client.post("/v1/devices/renew", json={"before": ENDPOINT, **new}, headers=basic(browser_key)).status_code == 204
    assert owners(engine) == [("a", "web", "https://push.example/new")]


def call(kind: str, token: Any = "t1", type: Any = "Android", **more: Any) -> tuple[str, dict[str, Any]]:
    said = {"event": "App Opened"} if kind == "track" else {}
    return kind, {"userId": "anna", "context": {"device": {"id": "d", "type": type, "token": token}}, **said, **more}


@pytest.mark.parametrize("kind", ["identify", "track", "screen"])
def test_an_app_s_token_comes_with_its_server_s_calls(client: Any, engine: Engine, track: Any, kind: str) -> None:
    assert track(*call(kind)).status_code == 200
    assert track(*call(kind)).status_code == 200
    assert track(*call(kind, "t2", "ios")).status_code == 200
    assert owners(engine) == [("a", "android", "t1"), ("a", "ios", "t2")]
    with engine.db.read() as session:
        contexts = [one.context for one in session.scalars(select(Event).where(Event.type != "system"))]
    assert "t1" not in str(contexts), "the token is kept in one place"
    assert contexts[0]["device"] == {"id": "d", "type": "Android"}
    assert track(*call(kind, "t1", userId="boris")).status_code == 200
    assert owners(engine)[0] == ("b", "android", "t1"), "another person at the same phone"


def test_a_key_that_anybody_can_read_out_of_an_app_registers_nothing(client: Any, engine: Engine, browser_key: str) -> None:
    kind, body = call("track")
    assert client.post(f"/v1/{kind}", json=body, headers=basic(browser_key)).status_code == 200
    assert owners(engine) == []
    with engine.db.read() as session:
        [event] = session.scalars(select(Event).where(Event.type == "track"))
    assert event.properties["refused"] == {"device": "needs_server_key"}


@pytest.mark.parametrize(
    ("token", "type"), [("", "ios"), (7, "ios"), ("t", "web"), ("t", None), ("x" * 3_000, "ios"), ("a b", "ios"), (["t"], "ios")]
)
def test_what_is_no_token_costs_no_event(client: Any, engine: Engine, track: Any, token: Any, type: Any) -> None:
    answer = track(*call("track", token, type))
    assert (answer.status_code, answer.headers.get("x-dropped-events")) == (200, None)
    assert owners(engine) == []


def test_history_registers_no_device(client: Any, engine: Engine, track: Any) -> None:
    kind, body = call("track")
    assert track("import", {"batch": [{"type": kind, **body, "timestamp": "2020-01-01T00:00:00Z"}]}).status_code == 200
    assert owners(engine) == []
