"""The inbox on a customer's site, in a real Chromium: a page of another origin with a strict policy, the script, and what reading does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Response, expect
from sqlmodel import select

from activities.contact_tokens import ContactTokens
from activities.providers.provider import Outgoing
from activities.providers.site_inbox import SiteInbox
from builder_ui.app.host import STATICS
from engine.engine import Engine
from models import Contact, InAppMessage, new_id
from settings import Settings
from tests.builder_ui.browsing import complaints, eventually
from workspace.api_keys import add_key

PAGE = '<!doctype html><html lang="de"><title>Shop</title><div id="inbox"></div><output id="count"></output><script type="module" src="/start.js"></script>'
START = """
import {{ openInbox }} from "{url}/v1/embed/inbox.js";
openInbox({{
  key: "{key}",
  token: async () => (await fetch("/token")).text(),
  place: document.querySelector("#inbox"),
  onChange: ({{ unread }}) => {{ document.querySelector("#count").textContent = String(unread); }},
}});
"""
HOSTILE = '<img src=x onerror="document.title=1">'


class Shop:
    """A site of the customer's: a page, its script, and the token that its server asked for."""

    def __init__(self, url: str, key: str, token: str) -> None:
        bodies = {"/": PAGE, "/start.js": START.format(url=url, key=key), "/token": token}
        policy = f"default-src 'none'; script-src 'self' {url}; connect-src 'self' {url}"

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
        return f"http://127.0.0.1:{self.server.server_port}/"


@pytest.fixture
def anna(town: Any, engine: Engine) -> str:
    contact, now = "a" * 32, engine.clock.now()
    with engine.db.write() as session:
        session.add(Contact(id=contact, created_at=now, updated_at=now))
    return contact


@pytest.fixture
def shop(served: None, engine: Engine, settings: Settings, anna: str) -> Iterator[Shop]:
    with engine.db.write() as session:
        key = add_key(session, "browser", "Shop page", engine.clock.now())[1]
    token = ContactTokens(settings.signing_keys()).make(anna, engine.clock.real_now() + timedelta(hours=1))
    shop = Shop(settings.public_url, key, token)
    yield shop
    shop.server.shutdown()
    shop.server.server_close()


def put(engine: Engine, contact: str, title: str, text: str = "Text", **parts: str) -> None:
    key = new_id()
    SiteInbox(engine.db, engine.clock.now).send(Outgoing(key, key, "in_app", contact, subject=title, text=text, parts=parts))


def row(engine: Engine, title: str) -> tuple[datetime | None, datetime | None]:
    with engine.db.read() as session:
        rows = session.scalars(select(InAppMessage)).all()
    return next((one.read_at, one.dismissed_at) for one in rows if one.parts["title"] == title)


def test_a_person_sees_a_message_and_a_new_one_reads_and_dismisses(shop: Shop, context: BrowserContext, engine: Engine, anna: str) -> None:
    put(engine, anna, HOSTILE, url="javascript:alert(1)")
    page = context.new_page()
    heard = complaints(page)
    page.goto(shop.url)
    items = page.get_by_role("listitem")
    expect(items).to_have_count(1)
    expect(items.first).to_contain_text(HOSTILE)
    expect(page.get_by_role("link")).to_have_count(0)
    put(engine, anna, "Neu", url="https://shop.example/neu", button="Ansehen")
    expect(items).to_have_count(2)
    expect(page.get_by_role("link", name="Ansehen")).to_have_attribute("href", "https://shop.example/neu")
    expect(page.locator("#count")).to_have_text("0")
    items.first.get_by_role("button", name="Ausblenden").click()
    expect(items).to_have_count(1)
    page.reload()
    expect(items).to_have_count(1)
    expect(items.first).to_contain_text(HOSTILE)
    expect(page).to_have_title("Shop")
    assert row(engine, "Neu")[1] is not None
    assert row(engine, HOSTILE)[0] is not None
    assert heard == []


TALL = "Zeile\n" * 200
DRAWN = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))"
WATCHED = """
const watched = new Set(), { observe, unobserve } = IntersectionObserver.prototype;
IntersectionObserver.prototype.observe = function (item) { watched.add(item); observe.call(this, item); };
IntersectionObserver.prototype.unobserve = function (item) { watched.delete(item); unobserve.call(this, item); };
window.watched = () => [...watched].map((item) => item.querySelector("h3").textContent);
"""


def is_told(response: Response) -> bool:
    return response.request.method == "POST" and response.url.endswith("/read") and response.ok


def test_a_message_taller_than_twice_the_view_is_read_once_enough_of_it_is_seen(
    shop: Shop, context: BrowserContext, engine: Engine, anna: str
) -> None:
    put(engine, anna, "Unten")
    put(engine, anna, "Lang", TALL)
    page = context.new_page()
    page.set_viewport_size({"width": 800, "height": 100})
    page.goto(shop.url)
    expect(page.get_by_role("listitem")).to_have_count(2)
    page.evaluate(DRAWN)
    expect(page.locator("#count")).to_have_text("2")
    with page.expect_response(is_told):
        page.set_viewport_size({"width": 800, "height": 700})
    expect(page.locator("#count")).to_have_text("1")
    assert row(engine, "Lang")[0] is not None
    assert row(engine, "Unten")[0] is None


def test_what_could_not_be_told_as_read_is_told_after_the_next_load(shop: Shop, context: BrowserContext, engine: Engine, anna: str) -> None:
    put(engine, anna, "Neu")
    page = context.new_page()
    page.route("**/v1/in-app/stream", lambda route: route.fulfill(headers={"access-control-allow-origin": "*"}, body=":\n\n"))
    page.route("**/v1/in-app/messages/*/read", lambda route: route.abort(), times=1)
    with page.expect_event("requestfailed"):
        page.goto(shop.url)
    eventually(page, lambda: row(engine, "Neu")[0] is not None)
    expect(page.locator("#count")).to_have_text("0")


def test_what_is_read_or_dismissed_is_watched_no_more(shop: Shop, context: BrowserContext, engine: Engine, anna: str) -> None:
    put(engine, anna, "Unten")
    put(engine, anna, "Weiter unten")
    put(engine, anna, "Lang", TALL)
    page = context.new_page()
    page.add_init_script(WATCHED)
    page.goto(shop.url)
    expect(page.locator("#count")).to_have_text("2")
    assert page.evaluate("watched()") == ["Weiter unten", "Unten"]
    page.get_by_role("listitem").last.get_by_role("button", name="Ausblenden").dispatch_event("click")  # without scrolling there
    expect(page.get_by_role("listitem")).to_have_count(2)
    assert page.evaluate("watched()") == ["Weiter unten"]


def test_the_script_is_small_and_stands_alone() -> None:
    assert len(STATICS["embed-inbox.js"].content) < 8_000
    assert b"import" not in STATICS["embed-inbox.js"].content.replace(b"import.meta", b"")
