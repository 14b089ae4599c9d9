"""From a form on a foreign page to a message of a journey: a real browser, the real web server, worker and Temporal.

The page stands at another port than the server, under a policy that allows nothing but the script. What the mails say is read in the outbox.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from sqlmodel import select

from activities.templates import library
from crm.consent import consent
from crm.forms import forms
from crm.people import identity
from crm.segments import segments
from engine.versions import publish
from models import Consent, Event, FormSubmission, OutboxItem
from models.migrate import upgrade
from tests.builder_ui.browsing import complaints
from tests.forkserver import ForkServer
from tests.kill.installation import Installation
from worker import build_engine

ANNA = "anna@example.org"
MJML = (
    "<mjml><mj-body><mj-section><mj-column><mj-text>Welcome, {{ contact.first_name }}</mj-text></mj-column></mj-section></mj-body></mjml>"
)
RULE = {"combinator": "and", "rules": [{"consent": "email", "purpose": "marketing"}, {"event": "Form Submitted"}]}
JOURNEY = {
    "spec": 1,
    "key": "hello",
    "name": "Hello",
    "entry": {"triggers": [{"type": "segment_entered", "segment": "asked"}]},
    "settings": {"message_class": "transactional"},
    "start": "mail",
    "nodes": {"mail": {"kind": "send_email", "template": "hello"}, "end": {"kind": "exit"}},
    "edges": [{"from": "mail", "outlet": "sent", "to": "end"}],
}


class WithOutbox(Installation):
    def sending(self) -> dict[str, Any]:
        return {"channels": {"email": {"provider": "outbox"}}}


@pytest.fixture
def installation(forks: ForkServer, tmp_path: Path, sqlite_url: str) -> Iterator[Installation]:
    installation = WithOutbox(forks, tmp_path / "home", sqlite_url, 1)
    try:
        installation.start()
        yield installation
    finally:
        installation.stop()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'pfadwerk.db'}"
    upgrade(url)
    return url


@pytest.fixture
def shop(installation: Installation) -> Iterator[str]:
    """A site of the customer's."""
    ours = installation.settings.public_url
    body = f'<!doctype html><html lang="en"><title>Shop</title><h1>Shop</h1><script type="module" src="{ours}/v1/embed/form.js" data-form="news"></script>'

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.send_header("content-security-policy", f"default-src 'none'; script-src {ours}; connect-src {ours}")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def set_up(installation: Installation, host: str) -> None:
    now = datetime.now(UTC)
    engine = build_engine(installation.settings, installation.db, [])
    library.save(
        engine.db,
        "hello",
        {"default": {"subject": "Hello", "mjml": MJML}},
        name="Hello",
        kind="email",
        message_class="transactional",
        actor="test",
        now=now,
    )
    definition = {
        "title": {"en": "News"},
        "fields": [
            {"name": "email", "input": "email", "required": True},
            {"name": "first_name"},
            {"kind": "question", "name": "size", "label": {"en": "Size"}, "input": "choice", "choices": [{"value": "S"}, {"value": "M"}]},
        ],
        "boxes": [{"key": "agree", "wording": {"en": "Yes, write to me."}, "required": True}],
        "hosts": [host],
    }
    with engine.db.write() as session:
        forms.create(session, "News", definition, "test", now, key="news")
        forms.move(session, "news", "live", "test", now)
        segments.create(session, "Asked", RULE, "test", now, key="asked")
        publish.create_journey(session, JOURNEY, "test", now)
        publish.publish(engine, session, "hello", "test", "", now)


def mails(installation: Installation) -> list[OutboxItem]:
    with installation.db.read() as session:
        return list(session.scalars(select(OutboxItem)))


def await_true(installation: Installation, what: str, holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 90
    while not holds():
        assert time.monotonic() < end, f"waited in vain until {what}\n{installation.last_words()}"
        time.sleep(0.2)


def test_a_form_on_a_foreign_page_leads_to_a_message_of_a_journey(installation: Installation, shop: str, chrome: Browser) -> None:
    set_up(installation, shop.removeprefix("http://"))
    with closing(chrome.new_context()) as context:
        page = context.new_page()
        heard = complaints(page)
        page.goto(f"{shop}/spring?utm_source=ads&utm_campaign=spring")
        expect(page.get_by_role("heading", name="News")).to_be_visible()
        expect(page.get_by_role("checkbox")).not_to_be_checked()
        page.get_by_label("E-mail address").fill(ANNA)
        page.get_by_label("First name").fill("Anna")
        page.get_by_label("Size").select_option("M")
        page.get_by_role("button", name="Send").click()
        expect(page.get_by_text("Please tick the box if you agree.").first).to_be_visible()
        page.get_by_role("checkbox").check()
        page.get_by_role("button", name="Send").dblclick()
        expect(page.get_by_role("status")).to_contain_text("Please check your inbox")
        assert [one for one in heard if "400" not in one] == []
        await_true(installation, "the mailbox is asked", lambda: len(mails(installation)) == 1)
        assert state(installation) == "pending"
        [asked] = mails(installation)
        found = re.search(r'href="([^"]*/confirm/[^"]+)"', asked.html)
        assert found
        page.goto(found[1])
        page.get_by_role("button", name="Yes, confirm").click()
        expect(page.get_by_text("You are signed up")).to_be_visible()
    await_true(installation, "the journey writes", lambda: len(mails(installation)) == 2)
    assert "Welcome, Anna" in mails(installation)[1].html
    assert state(installation) == "granted"
    with installation.db.read() as session:
        [row] = session.scalars(select(FormSubmission))
        granted = session.scalars(select(Consent).where(Consent.state == "granted")).one()
        event = session.scalars(select(Event).where(Event.name == "Form Submitted")).one()
    assert (granted.wording, granted.proof["submission"]) == ("Yes, write to me.", row.id)
    assert str(granted.proof["page"]).startswith(f"{shop}/spring")
    assert (event.properties["answers"], event.context["campaign"]) == ({"size": "M"}, {"source": "ads", "name": "spring"})


def state(installation: Installation) -> str | None:
    with installation.db.read() as session:
        contact = identity.find(session, ("email", ANNA))
        return consent.state(session, contact, "email", "marketing") if contact else None
