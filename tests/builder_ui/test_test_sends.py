"""A test of a message carries its mark wherever the message shows, and counts nowhere."""

from __future__ import annotations

import csv
import io
from datetime import date
from typing import Any

import pytest
from sqlmodel import select

from activities.providers import Outbox
from activities.sending.messages import MessageSettings as Sender
from activities.templates import library
from activities.templates.seeds import SENDS_PER_HOUR, send_to_seeds
from activities.tracking import Tracking
from journeys.errors import Conflict
from models import Audit, Body, Event, Message, OutboxItem
from storage import sending_counts
from workspace import settings

NOTE = "A test for the team, filled in with this contact's values. The contact did not get it."


@pytest.fixture
def sent(town: Any) -> Message:
    """A test that a marketer sent to herself, with Anna's values."""
    sender = Sender(Tracking({"k1": b"1" * 32}, "https://m.example"), [b"a" * 32], "Shop <shop@example.com>")
    outbox = Outbox(town.db, lambda: town.now)
    member, contact = town.members["marketer"], town.people["Anna"]
    return library.send_test(town.db, sender, outbox, "welcome-1-hello", member_id=member, now=town.now, contact_id=contact)


def test_its_mark_is_on_every_page_that_shows_it(log_in: Any, opened: Any, town: Any, sent: Message) -> None:
    client = log_in("marketer")
    with town.db.read() as session:
        item = session.scalars(select(OutboxItem.id).where(OutboxItem.message_id == sent.id)).one()
    for path in ("/ui/messages", "/ui/outbox", f"/ui/outbox/{item}"):
        with opened(client, path) as page:
            assert "Test" in page.text.split(), path
    for path in (f"/ui/messages/{sent.id}", f"/ui/contacts/{sent.contact_id}"):
        with opened(client, path) as page:
            assert NOTE in page.text, path


def test_its_mark_is_in_files_and_answers(log_in: Any, town: Any, sent: Message) -> None:
    client = log_in("marketer")
    rows = list(csv.DictReader(io.StringIO(client.get("/ui/export/outbox.csv").text.removeprefix("\ufeff"))))
    assert [row["Test"] for row in rows] == ["yes"] + [""] * (len(rows) - 1), "the newest is the test"
    answered = client.get("/api/v1/messages").json()["items"]
    assert [one["id"] for one in answered if one["test"]] == [sent.id]
    assert client.get(f"/api/v1/messages/{sent.id}").json()["test"] is True
    [kept] = [one for one in log_in("admin").get(f"/ui/contacts/{sent.contact_id}/data.json").json()["messages"] if one["test"]]
    assert kept["id"] == sent.id


SEEDS = {"seeds": [{"email": "seed@gmail.example", "note": "Gmail"}, {"email": "seed@gmx.example"}]}


def lists_seeds(town: Any) -> None:
    with town.db.write() as session:
        settings.put(session, "seed_list", SEEDS, "test", town.now)
        settings.put(session, "sender", {"name": "Shop", "email": "news@shop.example"}, "test", town.now)


def test_the_seed_list_gets_one_copy_each_that_counts_nowhere(log_in: Any, town: Any) -> None:
    client, anna = log_in("marketer"), town.people["Anna"]
    client.headers["origin"] = str(client.base_url).rstrip("/")
    address, body = "/api/v1/templates/welcome-1-hello/seed-send", {"contact_id": anna}
    refused = client.post(address, json=body)
    assert (refused.status_code, "The seed list is empty" in refused.text) == (422, True)
    lists_seeds(town)
    with town.db.read() as session:
        before = sending_counts.read(session, date(2000, 1, 1)), session.scalars(select(Event.id)).all()
    items = client.post(address, json=body).json()["items"]
    assert [(one["status"], one["test"], one["contact_id"]) for one in items] == [("sent", True, anna)] * 2
    with town.db.read() as session:
        copies = [session.get_one(Body, one["id"]) for one in items]
        assert {item.message_id for item in session.scalars(select(OutboxItem))} >= {one["id"] for one in items}
        assert (sending_counts.read(session, date(2000, 1, 1)), session.scalars(select(Event.id)).all()) == before
        assert session.scalars(select(Audit.action).order_by(Audit.id.desc())).first() == "template.seed"  # type: ignore[union-attr]
    assert [one.recipient for one in copies] == ["seed@gmail.example", "seed@gmx.example"]
    assert {one.sender for one in copies} == {"Shop <news@shop.example>"}
    assert not any("Test" in one.subject for one in copies), "where it lands depends on the subject, too"
    assert len({one.headers["X-Seed-List"] for one in copies}) == 1
    assert "List-Unsubscribe" in copies[0].headers
    assert client.post("/api/v1/templates/nothing/seed-send", json=body).status_code == 404
    assert client.post(address, json={**body, "sender": "nobody"}).status_code == 409


def test_only_so_many_go_there_in_an_hour_and_e_mails_alone(town: Any) -> None:
    lists_seeds(town)
    sender = Sender(Tracking({"k1": b"1" * 32}, "https://m.example"), [b"a" * 32], "Shop <shop@example.com>")
    outbox = Outbox(town.db, lambda: town.now)

    def send(key: str = "welcome-1-hello") -> int:
        sent = send_to_seeds(town.db, sender, outbox, key, by="member:ada", now=town.now, contact_id=town.people["Anna"])
        return len(sent)

    library.save(
        town.db, "code", {"default": {"text": "Hi"}}, name="Code", kind="sms", message_class="transactional", actor="test", now=town.now
    )
    with pytest.raises(Conflict, match="Only e-mails"):
        send("code")
    assert [send() for _ in range(SENDS_PER_HOUR)] == [2] * SENDS_PER_HOUR
    with pytest.raises(Conflict, match="maximum number"):
        send()


def test_a_press_beside_the_template_sends_it_there(log_in: Any, opened: Any, town: Any) -> None:
    client = log_in("marketer")
    with opened(client, "/ui/templates/welcome-1-hello") as page:
        assert "Send to seed list" not in page.text
    lists_seeds(town)
    with opened(client, "/ui/templates/welcome-1-hello") as page:
        assert "Send one copy to each of the 2 addresses" in page.text
