"""The scripts that stand in a website, in a real Chromium: what the one of the site keeps and sends, and when the pop-up of a form opens."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from sqlmodel import select

from builder_ui.app.host import STATICS
from engine.engine import Engine
from models import Event
from settings import Settings
from tests.builder_ui.browsing import complaints, eventually
from tests.made_forms import EMAIL, put_form
from workspace.api_keys import add_key

TALL = "\n" * 300
"""More than fits on a screen."""


class Shop:
    """A site of the customer's, at another host than the server."""

    def __init__(self, script: str) -> None:
        """`script`: the tag that stands in each of its pages."""
        body = f"<!doctype html><title>Shop</title><pre>{TALL}</pre>{script}"

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("content-type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, format: str, *args: Any) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://localhost:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def shop(served: None, engine: Engine, settings: Settings) -> Iterator[Shop]:
    with engine.db.write() as session:
        key = add_key(session, "browser", "Shop page", engine.clock.now())[1]
    with closing(Shop(f'<script type="module" src="{settings.public_url}/v1/embed/site.js" data-key="{key}"></script>')) as shop:
        yield shop


@pytest.fixture
def shop_with_form(served: None, settings: Settings) -> Iterator[Shop]:
    with closing(Shop(f'<script type="module" src="{settings.public_url}/v1/embed/form.js" data-form="footer"></script>')) as shop:
        yield shop


def opened(context: BrowserContext, shop: Shop) -> tuple[Page, list[str]]:
    page = context.new_page()
    heard = complaints(page)
    page.goto(f"{shop.url}/a?utm_source=ads&pfw=token#c")
    page.wait_for_function("globalThis.pfadwerk !== undefined", timeout=10_000)
    return page, heard


def cookies(context: BrowserContext, shop: Shop) -> list[str]:
    return [str(one["name"]) for one in context.cookies(shop.url)]


def pages(engine: Engine) -> list[Event]:
    with engine.db.read() as session:
        return list(session.scalars(select(Event).where(Event.name.in_(["Page Viewed", "Seen"])).order_by(Event.id)))  # type: ignore[attr-defined, arg-type]


def test_nothing_is_kept_or_sent_before_somebody_agrees(shop: Shop, chrome: Browser, engine: Engine) -> None:
    with closing(chrome.new_context()) as context:
        sent: list[dict[str, Any]] = []
        context.on("request", lambda one: sent.append(json.loads(one.post_data or "{}")) if one.url.endswith("/v1/site") else None)
        page, heard = opened(context, shop)
        assert page.url == f"{shop.url}/a?utm_source=ads#c", "the token is out of the address at once"
        page.evaluate("pfadwerk.page(), pfadwerk.track('Seen')")
        assert (cookies(context, shop), page.evaluate("Object.keys(localStorage)"), sent) == ([], [], [])
        assert page.evaluate("pfadwerk.consent(true)") is True
        eventually(page, lambda: len(pages(engine)) == 1)
        page.evaluate("pfadwerk.track('Seen', { size: 'M' })")
        eventually(page, lambda: len(pages(engine)) == 2)
        assert cookies(context, shop) == ["pfadwerk_id"]
        first, second = pages(engine)
        assert (first.context["campaign"], second.properties, first.contact_id) == ({"source": "ads"}, {"size": "M"}, second.contact_id)
        assert [one.get("token") for one in sent] == ["token", None]
        assert page.evaluate("pfadwerk.consent(false)") is False
        page.evaluate("pfadwerk.track('Seen')")
        assert (cookies(context, shop), page.evaluate("pfadwerk.visitor()"), len(sent)) == ([], {}, 2)
        assert heard == []


@pytest.mark.parametrize("wish", ["globalPrivacyControl", "doNotTrack"])
def test_a_wish_of_the_browser_weighs_more_than_a_click(shop: Shop, chrome: Browser, engine: Engine, wish: str) -> None:
    value = {"globalPrivacyControl": "true", "doNotTrack": "'1'"}[wish]
    with closing(chrome.new_context()) as context:
        context.add_init_script(f"Object.defineProperty(Navigator.prototype, '{wish}', {{ get: () => {value} }})")
        context.add_cookies([{"name": "pfadwerk_id", "value": "before", "url": shop.url}])
        page, _ = opened(context, shop)
        assert page.evaluate("pfadwerk.consent(true)") is False
        assert (cookies(context, shop), pages(engine)) == ([], [])


def test_a_pop_up_opens_where_and_when_its_form_says(shop_with_form: Shop, chrome: Browser, engine: Engine) -> None:
    popup = {"after_seconds": 3_600, "after_scroll_percent": 80, "on_exit": True, "paths": ["/sale"], "days_between": 7}
    put_form(engine, fields=[EMAIL], hosts=[urlsplit(shop_with_form.url).netloc], min_seconds=0, language="en", popup=popup)
    with closing(chrome.new_context()) as context:
        page = context.new_page()
        page.clock.install()
        dialog = page.locator("dialog")

        def visit(path: str) -> None:
            page.goto(f"{shop_with_form.url}{path}")
            page.wait_for_selector("[data-pfadwerk-form][lang=en]", state="attached")

        def forward(by: timedelta) -> None:
            page.clock.fast_forward(by // timedelta(milliseconds=1))

        def leave(y: int) -> None:
            page.locator("html").dispatch_event("mouseleave", {"clientY": y})

        def scroll(percent: int) -> None:
            page.evaluate("(part) => scrollTo(0, part * document.documentElement.scrollHeight - innerHeight)", percent / 100)
            page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")

        def close() -> None:
            dialog.get_by_role("button", name="Close").click()
            expect(dialog).to_have_count(0)

        visit("/other/sale")
        leave(0)
        expect(dialog).to_have_count(0)

        visit("/sale/shoes")
        leave(100)  # by the side
        scroll(70)
        expect(dialog).to_have_count(0)
        scroll(90)
        expect(dialog).to_be_visible()
        close()

        forward(timedelta(days=6))
        visit("/sale")
        leave(0)
        expect(dialog).to_have_count(0)
        forward(timedelta(days=2))
        visit("/sale")
        leave(0)
        expect(dialog).to_be_visible()
        close()

        forward(timedelta(days=8))
        visit("/sale")
        expect(dialog).to_have_count(0)
        forward(timedelta(hours=1))
        expect(dialog).to_be_visible()
        dialog.get_by_label("E-mail address").fill("anna@example.org")
        dialog.get_by_role("button", name="Send").click()
        expect(dialog.get_by_role("status")).to_be_visible()
        close()
        forward(timedelta(days=400))
        visit("/sale")
        leave(0)
        expect(dialog).to_have_count(0)


@pytest.mark.parametrize(("name", "most"), [("embed-site.js", 2_500), ("embed-form.js", 9_000)])
def test_the_scripts_are_small_and_stand_alone(name: str, most: int) -> None:
    content = STATICS[name].content
    assert len(content) < most
    assert b"import" not in content.replace(b"import.meta", b"")
