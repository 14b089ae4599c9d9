"""Push messages on a customer's site, in a real Chromium: the button, the real service worker, and a message as the provider really sent it.

Chromium cannot reach Google here, so the page is given a subscription; everything after it is real. What the provider sent is decrypted with that
subscription's keys and handed to the worker as the browser's push client would (`ServiceWorker.deliverPushMessage`).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser as Chrome
from playwright.sync_api import BrowserContext, expect
from sqlmodel import select

from activities.account_setup import set_up_of
from activities.contact_tokens import ContactTokens
from activities.providers.provider import Outgoing, Surroundings
from activities.providers.webpush import WebPush, WebPushConfig, new_key
from activities.rendering.links import link_digest
from activities.tracking import Tracking, store_links
from activities.webhooks.address_guard import Guard
from engine.engine import Engine
from models import ConsentState, Contact, Device, Message, new_id
from settings import Settings
from tests.activities.providers.push_service import Browser, PushService
from tests.builder_ui.browsing import complaints, eventually
from tests.chromium import WHOLE, chromium
from workspace import accounts as rows
from workspace.api_keys import add_key

PAGE = '<!doctype html><html lang="de"><title>Shop</title><button id="push" type="button" hidden>Angebote</button><script type="module" src="/push.js"></script>'
START = """
import {{ pushButton }} from "{url}/v1/embed/push.js";
pushButton(document.querySelector("#push"), {{
  key: "{key}",
  token: async () => (await fetch("/token")).text(),
  consent: {{ purpose: "marketing", wording: "Ja, Angebote auf dieses Gerät." }},
}});
"""
WORKER = 'importScripts("{url}/v1/embed/push-worker.js");'
SUBSCRIBED = """
const given = %s;
let key = null;
const subscription = {
  endpoint: given.endpoint, toJSON: () => ({ ...given, expirationTime: null }),
  get options() { return { applicationServerKey: key }; }, unsubscribe: async () => { key = null; return true; },
};
PushManager.prototype.getSubscription = async () => (key ? subscription : null);
PushManager.prototype.subscribe = async (options) => { window.asked = options.userVisibleOnly; key = options.applicationServerKey.buffer; return subscription; };
"""
SHOWN = """async () => (await (await navigator.serviceWorker.ready).getNotifications())
  .map((one) => ({ title: one.title, body: one.body, tag: one.tag, icon: one.icon, actions: one.actions.map((act) => act.title) }))"""
CLICK = """async () => {
  const opened = [];
  Clients.prototype.openWindow = async (address) => { opened.push(address); };
  const [notification] = await self.registration.getNotifications();
  const event = new NotificationEvent("notificationclick", { notification });
  const waited = [];
  event.waitUntil = (promise) => waited.push(promise);
  self.dispatchEvent(event);
  await Promise.all(waited);
  return { opened, left: (await self.registration.getNotifications()).length };
}"""
ENDPOINT = "https://push.example/anna"
HOSTILE = '<img src=x onerror="document.title=1">'


class Shop:
    """A site of the customer's: a page, its scripts, and the token that its server asked for."""

    def __init__(self, url: str, key: str, token: str) -> None:
        bodies = {
            "/": PAGE,
            "/push.js": START.format(url=url, key=key),
            "/token": token,
            "/pfadwerk-push-worker.js": WORKER.format(url=url),
            "/new": PAGE,
        }
        policy = f"default-src 'none'; script-src 'self' {url}; connect-src 'self' {url}; worker-src 'self'"

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = bodies.get(self.path)
                self.send_response(200 if body is not None else 404)
                self.send_header("content-type", "text/javascript" if self.path.endswith(".js") else "text/html; charset=utf-8")
                self.send_header("content-security-policy", policy)
                self.end_headers()
                self.wfile.write((body or "").encode())

            def log_message(self, format: str, *args: Any) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture(scope="module")
def chrome() -> Iterator[Chrome]:
    """The whole browser: its headless shell allows no notifications."""
    with chromium(WHOLE) as browser:
        yield browser


@pytest.fixture
def account(engine: Engine) -> WebPushConfig:
    config, now = WebPushConfig(contact="mailto:web@example.org", vapid_key=new_key()), engine.clock.real_now()
    with engine.db.write() as session:
        row = rows.add(session, engine.address_keys, "main", set_up_of(WebPush, config), "test", now)
        rows.carry(session, {"push": row.account}, "test", now)
    return config


@pytest.fixture
def anna(town: Any, engine: Engine) -> str:
    contact, now = "a" * 32, engine.clock.now()
    with engine.db.write() as session:
        session.add(Contact(id=contact, created_at=now, updated_at=now))
    return contact


@pytest.fixture
def shop(account: WebPushConfig, served: None, engine: Engine, settings: Settings, anna: str) -> Iterator[Shop]:
    with engine.db.write() as session:
        key = add_key(session, "browser", "Shop page", engine.clock.now())[1]
    token = ContactTokens(settings.signing_keys()).make(anna, engine.clock.real_now() + timedelta(hours=1))
    shop = Shop(settings.public_url, key, token)
    yield shop
    shop.server.shutdown()
    shop.server.server_close()


def sent(engine: Engine, settings: Settings, account: WebPushConfig, browser: Browser, contact: str, shop: Shop) -> tuple[str, str]:
    """(message id, what the browser's push client would hand to the worker), with a tracked address."""
    service, id, now = PushService(), new_id(), engine.clock.now() - timedelta(minutes=5)  # who clicks in the first seconds is a machine
    tracking, target = Tracking(settings.signing_keys(), settings.public_url), f"{shop.url}/new"
    with engine.db.write() as session:
        session.add(Message(id=id, once_key=id, contact_id=contact, channel="push", status="sent", planned_at=now, sent_at=now))
        store_links(session, {link_digest(target): target}, now, contact)
    parts = {"title": "Neu da", "url": tracking.click_url(id, link_digest(target)), "button": "Ansehen", "icon": "javascript:alert(1)"}
    provider = WebPush(
        account, Surroundings(engine.db, engine.clock.now), Guard.allowing(["127.0.0.1"]), lambda _url: f"http://127.0.0.1:{service.port}/"
    )
    try:
        provider.send(Outgoing(id, id, "push", contact, text=HOSTILE, parts=parts))
    finally:
        provider.close()
        service.close()
    [taken] = service.taken
    return id, json.dumps(browser.read(taken.body))


def devices_of(engine: Engine) -> list[tuple[str, str, str, str]]:
    with engine.db.read() as session:
        return [(one.contact_id, one.kind, one.address, one.language) for one in session.scalars(select(Device))]


def test_a_person_switches_push_on_sees_a_message_opens_it_and_switches_it_off(
    shop: Shop, context: BrowserContext, engine: Engine, settings: Settings, account: WebPushConfig, anna: str
) -> None:
    browser = Browser()
    context.grant_permissions(["notifications"], origin=shop.url)
    context.add_init_script(SUBSCRIBED % json.dumps(browser.subscription(ENDPOINT)))
    page = context.new_page()
    heard = complaints(page)
    devtools = context.new_cdp_session(page)
    registrations: list[str] = []
    devtools.on(
        "ServiceWorker.workerRegistrationUpdated", lambda said: registrations.extend(one["registrationId"] for one in said["registrations"])
    )
    devtools.send("ServiceWorker.enable")
    page.goto(shop.url)

    button = page.get_by_role("button", name="Angebote")
    expect(button).to_have_attribute("data-push", "off")
    assert (page.evaluate("window.asked"), devices_of(engine)) == (None, []), "nothing is asked at the loading of a page"
    button.click()
    expect(button).to_have_attribute("data-push", "on")
    assert page.evaluate("window.asked") is True
    assert devices_of(engine) == [(anna, "web", ENDPOINT, "de")]
    with engine.db.read() as session:
        assert [(one.channel, one.state) for one in session.scalars(select(ConsentState).where(ConsentState.contact_id == anna))] == [
            ("push", "granted")
        ]

    message, payload = sent(engine, settings, account, browser, anna, shop)
    eventually(page, lambda: bool(registrations))
    for _ in range(2):
        devtools.send("ServiceWorker.deliverPushMessage", {"origin": shop.url, "registrationId": registrations[-1], "data": payload})
        eventually(page, lambda: len(page.evaluate(SHOWN)) == 1)
    assert page.evaluate(SHOWN) == [{"title": "Neu da", "body": HOSTILE, "tag": message, "icon": "", "actions": ["Ansehen"]}]

    [worker] = context.service_workers
    clicked = worker.evaluate(CLICK)
    assert (len(clicked["opened"]), clicked["left"]) == (1, 0)
    page.goto(clicked["opened"][0])
    expect(page).to_have_url(f"{shop.url}/new")
    eventually(page, lambda: _clicked(engine, message))

    expect(button).to_have_attribute("data-push", "off")  # the given subscription lives as long as its page
    button.click()
    expect(button).to_have_attribute("data-push", "on")
    button.click()
    expect(button).to_have_attribute("data-push", "off")
    assert devices_of(engine) == []
    assert heard == []


def _clicked(engine: Engine, message: str) -> bool:
    with engine.db.read() as session:
        return session.get_one(Message, message).clicked_at is not None
