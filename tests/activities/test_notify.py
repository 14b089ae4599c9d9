"""Notices to the team."""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from sqlmodel import select

from activities.mrkdwn import escaped
from activities.providers import MessageDead, Outbox
from activities.team.email import addresses, by_email
from activities.team.handler import TeamHandler
from activities.team.slack import by_slack
from activities.webhooks.address_guard import Guard
from activities.webhooks.fake import pretend_slack
from models import Contact, Database, Member, OutboxItem


def test_recipients_are_people(db: Database, contact: Contact, now: datetime) -> None:
    with db.write() as session:
        owner = Member(name="Max", email="max@example.com", created_at=now)
        gone = Member(name="Eva", email="eva@example.com", active=False, created_at=now)
        session.add_all([owner, gone])
        session.flush()
        session.get_one(Contact, contact.id).owner = owner.id
    with db.read() as session:
        assert addresses(session, ["owner", "x@example.com", owner.id, gone.id, "nobody"], contact.id) == [
            "max@example.com",
            "x@example.com",
        ]
        assert addresses(session, ["owner"], "0" * 32) == []


def test_a_notice_to_nobody_who_is_there_reaches_an_admin(db: Database, contact: Contact, now: datetime) -> None:
    with db.write() as session:
        gone = Member(name="Eva", email="eva@example.com", active=False, created_at=now)
        session.add_all([gone, Member(name="Ada", email="ada@example.com", role="admin", created_at=now)])
        session.flush()
    with db.read() as session:
        assert addresses(session, [gone.id, "owner"], contact.id) == ["ada@example.com"]
        assert addresses(session, [gone.id, "x@example.com"], contact.id) == ["x@example.com"]
        assert addresses(session, [], contact.id) == []


def test_a_notice_is_a_plain_mail(db: Database, now: datetime) -> None:
    by_email(Outbox(db, lambda: now), "r:n:1:0", "0" * 32, "shop@example.com", "max@example.com", "", "Ruf <Anna> an!\nBald.")
    with db.read() as session:
        item = session.scalars(select(OutboxItem)).one()
    assert (item.channel, item.recipient, item.subject, item.text, item.html) == (
        "team",
        "max@example.com",
        "Ruf <Anna> an! Bald.",
        "Ruf <Anna> an!\nBald.\n",
        "",
    )
    assert item.headers["Auto-Submitted"] == "auto-generated"


def test_values_cannot_call_the_whole_channel() -> None:
    assert escaped("<!channel> & <https://evil.example|here>") == "&lt;!channel&gt; &amp; &lt;https://evil.example|here&gt;"


def test_slack_addresses_pass_the_same_guard(now: datetime) -> None:
    with pytest.raises(MessageDead) as caught:
        by_slack(Guard(resolve=lambda host, port: ["10.0.0.1"]), "https://hooks.slack.example/x", "r:n:1", "Hi", now)
    assert caught.value.code == "address_refused"


@pytest.mark.parametrize(
    ("by", "mails", "chat"),
    [
        ("email", ["max@example.com", "x@example.com"], ["C024BE91L"]),
        ("chat", ["x@example.com"], ["C024BE91L", "max@example.com"]),
        ("both", ["max@example.com", "x@example.com"], ["C024BE91L", "max@example.com"]),
    ],
)
def test_members_are_told_as_the_step_says_and_other_addresses_by_mail(
    db: Database, contact: Contact, now: datetime, by: str, mails: list[str], chat: list[str]
) -> None:
    with db.write() as session:
        session.add(Member(id="m" * 32, name="Max", email="max@example.com", created_at=now))
    said = {"text": "Look", "to": ["m" * 32, "x@example.com"], "by": by, "chat_channel": "C024BE91L"}
    job: Any = SimpleNamespace(call=SimpleNamespace(input=said), row=SimpleNamespace(contact_id=contact.id))
    messaging: Any = SimpleNamespace(mail_from="shop@example.com")
    with db.read() as session:
        draft = TeamHandler(messaging, Outbox(db, lambda: now), pretend_slack, lambda: ("", Outbox(db, lambda: now))).prepare(session, job)
    assert (draft.payload["to"], draft.payload["chat"]) == (mails, chat)
