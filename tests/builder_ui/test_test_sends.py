"""A test of a message carries its mark wherever the message shows, and counts nowhere."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from sqlmodel import select

from activities.providers import Outbox
from activities.sending.messages import MessageSettings as Sender
from activities.templates import library
from activities.tracking import Tracking
from models import Message, OutboxItem

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
