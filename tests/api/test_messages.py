"""The list of messages and the decision on an uncertain one, as a program asks for them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.engine import Engine
from models import Contact, Database, Message, new_id
from reports.messages import MessageFilter, page

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def engine(db: Database, engine: Engine) -> Engine:
    """Five messages, an hour apart, of three runs; ids are hashes and say nothing of time."""
    with db.write() as session:
        contact = Contact(id=new_id(), created_at=NOON, updated_at=NOON)
        session.add(contact)
        session.flush()
        for number, (status, provider) in enumerate(
            [("sent", "smtp"), ("bounced", "smtp"), ("uncertain", "smtp"), ("failed", "other"), ("sent", "outbox")]
        ):
            session.add(
                Message(
                    id=f"{9 - number}" * 32, once_key=f"run{number // 2}:hello:{number}", run_id=f"run{number // 2}", contact_id=contact.id,
                    channel="email", status=status, provider=provider, attempts=1, planned_at=NOON + timedelta(hours=number),
                )
            )  # fmt: skip
    return engine


def states(admin: Any, **params: Any) -> list[str]:
    answer = admin.get("/api/v1/messages", params=params)
    assert answer.status_code == 200, answer.text
    return [item["status"] for item in answer.json()["items"]]


def test_newest_first_by_time_whatever_the_provider(admin: Any) -> None:
    assert states(admin) == ["sent", "failed", "uncertain", "bounced", "sent"]


def test_every_filter_narrows(admin: Any) -> None:
    assert states(admin, since="2026-03-02T15:30:00+01:00") == ["sent", "failed"]
    assert states(admin, run_id="run0") == ["bounced", "sent"]
    assert states(admin, run_id="run0", status="bounced") == ["bounced"]
    assert states(admin, status="bounced") == ["bounced"]
    assert states(admin, undecided=True) == ["uncertain"]
    assert states(admin, contact_id="nobody") == []


def test_a_moment_without_a_zone_is_refused(admin: Any) -> None:
    assert admin.get("/api/v1/messages", params={"since": "2026-03-02T15:30:00"}).status_code == 422


@pytest.mark.parametrize("status", [None, "sent"])
def test_pages_meet_each_message_once(admin: Any, status: str | None) -> None:
    seen, cursor = [], None
    for _ in range(9):
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {}) | ({"status": status} if status else {})
        answer = admin.get("/api/v1/messages", params=params).json()
        seen += [item["id"] for item in answer["items"]]
        if (cursor := answer["next"]) is None:
            break
    assert seen == ([f"{n}" * 32 for n in (5, 9)] if status else [f"{n}" * 32 for n in (5, 6, 7, 8, 9)])


@pytest.mark.parametrize("cursor", ["x", "2026-03-02T12:00:00~1", "~1", "2026-03-02T12:00:00+00:00~"])
def test_a_strange_cursor_is_a_sentence(admin: Any, cursor: str) -> None:
    answer = admin.get("/api/v1/messages", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid")


def test_messages_of_one_instant_have_an_order(db: Database, engine: Engine) -> None:
    with db.write() as session:
        session.query(Message).update({"planned_at": NOON})
    seen, before = [], None
    with db.read() as session:
        for _ in range(5):
            rows, before = page(session, MessageFilter(limit=1, before=before))
            seen += [row.id[0] for row in rows]
    assert (seen, before) == (list("98765"), None)


def test_a_decision_is_made_once(admin: Any) -> None:
    path = f"/api/v1/messages/{'7' * 32}/decision"
    assert admin.post(path, json={"decision": "sent", "attempts": 2}).status_code == 409
    answer = admin.post(path, json={"decision": "sent", "attempts": 1})
    assert (answer.status_code, answer.json()["status"], answer.json()["reason"]) == (200, "sent", "confirmed")
    assert admin.post(path, json={"decision": "leave", "attempts": 1}).status_code == 409
    assert admin.post("/api/v1/messages/nothing/decision", json={"decision": "leave", "attempts": 1}).status_code == 404
    assert states(admin, undecided=True) == []
