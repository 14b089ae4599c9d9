"""The pages' own questions on the other database: every page, every filter and a search."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from builder_ui import routes as all_pages
from crm.imports import uploads
from engine.engine import Engine
from models import Database
from tests.builder_ui.test_accessibility import company, form, scoring, segment
from tests.toy_provider import a_pigeon
from workspace.api_keys import add_key


@pytest.fixture
def town(postgres_db: Database, build: Callable[[Database], Any]) -> Any:
    return build(postgres_db)


@pytest.fixture
def engine(town: Any) -> Engine:
    engine: Engine = town.engine
    return engine


def test_every_page_draws_on_postgresql(log_in: Any, opened: Any, town: Any, caplog: pytest.LogCaptureFixture) -> None:
    client = log_in("admin")
    with town.db.write() as session:
        key = add_key(session, "server", "Shop", town.now)[0].id
        upload = uploads.take(session, uploads.read_sent("people.csv", b"email\na@example.org\n"), "test", town.now, town.now).id
    ids = {
        "/ui/contacts/import/{id}": upload,
        "/ui/runs/{id}": town.run_of("Anna"),
        "/ui/outbox/{id}": "1",
        "/ui/messages/{id}": town.message(),
        "/ui/contacts/{id}": town.people["Anna"],
        "/ui/companies/{id}": company(town).rpartition("/")[2],
        "/ui/settings/users/{id}": town.members["sales"],
        "/ui/settings/keys/{id}": key,
    }
    keys = {
        "/ui/templates/{key}": "welcome-1-hello",
        "/ui/segments/{key}": segment(town).rpartition("/")[2],
        "/ui/scoring/{key}": scoring(town).rpartition("/")[2],
        "/ui/forms/{key}": form(town).rpartition("/")[2],
    }
    account = a_pigeon(town).rpartition("/")[2]
    paths = [
        page.path.format(key=keys.get(page.path, "welcome"), id=ids.get(page.path, ""), name="calendar", account=account)
        for page in all_pages.PAGES
    ]
    paths += [
        "/ui/journeys?q=CART&state=live",
        "/ui/outbox?q=ANNA&before=999",
        "/ui/contacts?q=an&tag=vip",
        "/ui/contacts?sort=name&channel=email&consent=unknown&group=engagement&score=1&seen=-30&since=2026-01-01&journey=welcome",
        "/ui/contacts?sort=seen&field=plan&value=3",
        f"/ui/contacts/{town.people['Anna']}?q=sign",
        f"/ui/contacts/{town.people['Anna']}?view=consents",
        f"/ui/contacts/{town.people['Anna']}?view=edit",
        "/ui/tasks?owner=all&only=overdue",
    ]
    paths += [f"/ui/journeys/welcome?tab={tab}&q=anna" for tab in ("runs", "stuck", "refused")]
    paths += ["/ui/runs/%00", "/ui/outbox?q=%00", "/ui/journeys?q=%00", "/ui/journeys/welcome?tab=refused&before=999999999999999999"]
    after = {"waiting": "a", "entered": "2099-01-01T00:00:00%2B00:00~a~1~1", "sent": "2099-01-01T00:00:00%2B00:00~a", "skipped": ""}
    paths += [f"/ui/journeys/welcome/people?node=hello&what={what}&before={key}&outlet=" for what, key in after.items()]
    after = {"goal": "2099-01-01T00:00:00%2B00:00~a", "ended": "", "refused": "99"}
    paths += [f"/ui/journeys/welcome/people?what={what}&before={key}" for what, key in after.items()]
    for path in paths:
        with opened(client, path) as page:
            assert page.text
            page.socket.send_text("{}")
    for name in ("contacts.csv?sort=name", "contacts.csv?sort=seen", "runs.csv?journey=welcome", "tasks.csv?owner=all", "outbox.csv?q=a"):
        assert client.get(f"/ui/export/{name}").text.count("\r\n") > 1
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
