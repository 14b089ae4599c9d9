"""What comes back from WhatsApp: STOP withdraws that consent alone, a reply opens the window, and what was read counts as opened."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlmodel import select
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from activities import happenings
from activities.account_setup import read
from activities.happenings import Streak
from activities.providers.callback import Happening
from activities.providers.twilio import Twilio
from activities.sending import gate
from crm.consent import consent
from crm.consent.mailbox import says_no
from crm.people import contacts
from models import Body, Contact, Event, Message
from tests.api.conftest import TestClient
from workspace import accounts

TOKEN, ANNA, NUMBER, MESSAGE = "t" * 32, "a" * 32, "+41791234567", "f" * 32
CONFIG = {"account_sid": "AC" + "a1" * 16, "auth_token": TOKEN, "whatsapp_number": "+41792222222"}


@pytest.fixture
def anna(engine: Any) -> str:
    """A contact who has agreed to both channels, and got a WhatsApp message."""
    now = engine.clock.now()
    with engine.db.write() as session:
        accounts.add(session, engine.address_keys, "main", read(Twilio, CONFIG)[1], "test", now)
        session.add(Contact(id=ANNA, phone=NUMBER, created_at=now, updated_at=now))
        session.flush()
        body = Body(contact_id=ANNA, recipient=NUMBER, text="Hi", created_at=now)
        session.add(body)
        session.flush()
        session.add(
            Message(
                id=MESSAGE, once_key="x:text:1", contact_id=ANNA, channel="whatsapp", status="sent", provider="twilio",
                account="twilio.main", provider_id="SM1", node="text", planned_at=now, sent_at=now, body_id=body.id,
            )
        )  # fmt: skip
        for channel in ("whatsapp", "sms"):
            consent.record_consent(session, ANNA, channel, "marketing", "granted", now, evidence=consent.Evidence.DATED, source="test")
    return ANNA


def calls(client: TestClient, settings: Any, to: str, form: dict[str, str]) -> int:
    """As Twilio, signed by its own code."""
    signature = RequestValidator(TOKEN).compute_signature(f"{settings.public_url}{to}", form)
    headers = {"x-twilio-signature": signature, "content-type": "application/x-www-form-urlencoded", "authorization": ""}
    return client.post(to, content=urlencode(form).encode(), headers=headers).status_code


def writes(client: TestClient, settings: Any, text: str, sid: str = "SM7", sender: str = NUMBER) -> None:
    form = {"MessageSid": sid, "From": f"whatsapp:{sender}", "To": "whatsapp:+41792222222", "Body": text}
    assert calls(client, settings, "/callbacks/twilio.main/inbound", form) == 200


def reports(client: TestClient, settings: Any, status: str) -> None:
    form = {"MessageSid": "SM1", "MessageStatus": status, "ChannelPrefix": "whatsapp"}
    assert calls(client, settings, f"/callbacks/twilio.main/status?message={MESSAGE}", form) == 200


def states(engine: Any) -> list[str | None]:
    with engine.db.read() as session:
        return [consent.state(session, ANNA, channel, "marketing") for channel in ("whatsapp", "sms")]


def test_stop_withdraws_the_consent_to_whatsapp_alone(client: TestClient, engine: Any, settings: Any, anna: str) -> None:
    writes(client, settings, "Stopp")
    assert states(engine) == ["withdrawn", "granted"]
    writes(client, settings, "START", "SM8")
    assert states(engine) == ["granted", "granted"]


def test_stop_from_a_further_number_finds_the_person(client: TestClient, engine: Any, settings: Any, anna: str) -> None:
    other = "+41799999999"
    with engine.db.write() as session:
        contacts.update(session, anna, {"phones": [other]}, engine.clock.now(), "test")
    writes(client, settings, "STOP", sender=other)
    assert states(engine) == ["withdrawn", "granted"]
    with engine.db.read() as session:
        assert gate.replied_at(session, ANNA, "whatsapp", NUMBER, engine.clock.now()) is None, "the window is that of the other number"
        assert all(says_no(session, engine.address_keys, "whatsapp", "marketing", number) for number in (NUMBER, other))


def test_start_from_a_further_number_brings_no_messages_to_the_main_one(client: TestClient, engine: Any, settings: Any, anna: str) -> None:
    other = "+41799999999"
    with engine.db.write() as session:
        contacts.update(session, anna, {"phones": [other]}, engine.clock.now(), "test")
    writes(client, settings, "STOP")
    writes(client, settings, "START", "SM8", sender=other)
    assert states(engine) == ["withdrawn", "granted"]
    writes(client, settings, "START", "SM9")
    assert states(engine) == ["granted", "granted"]


def test_a_reply_opens_the_window_of_its_number(client: TestClient, engine: Any, settings: Any, anna: str) -> None:
    def since(address: str) -> Any:
        with engine.db.read() as session:
            return gate.replied_at(session, ANNA, "whatsapp", address, engine.clock.now())

    assert since(NUMBER) is None
    writes(client, settings, "When does it arrive?")
    assert since(NUMBER) is not None
    assert since("+41790000000") is None
    with engine.db.read() as session:
        assert gate.replied_at(session, ANNA, "sms", NUMBER, engine.clock.now()) is None, "text messages need no window"


def test_what_was_read_counts_as_delivered_and_opened_once(client: TestClient, engine: Any, settings: Any, anna: str) -> None:
    for _ in range(2):
        reports(client, settings, "read")
    reports(client, settings, "delivered")
    with engine.db.read() as session:
        told = [(one.name, one.routed) for one in session.scalars(select(Event).where(Event.contact_id == anna).order_by(Event.id))]  # type: ignore[arg-type]
        message = session.get_one(Message, MESSAGE)
        assert (message.status, message.opened_at is not None) == ("delivered", True)
    with engine.db.write() as session:
        again = Happening("read", None, "SM1", MESSAGE, "twilio_read")
        later = engine.clock.now() + timedelta(hours=2)
        assert happenings.record(session, engine.address_keys, "twilio.main", again, Streak(5, timedelta(days=1)), later)[0] == "known"
    assert [one for one in told if one[0].startswith("Message")] == [("Message Delivered", True), ("Message Opened", True)]


def test_what_was_read_counts_only_where_that_may_be_measured(client: TestClient, engine: Any, settings: Any, anna: str) -> None:
    now = engine.clock.now()
    with engine.db.write() as session:
        consent.record_consent(session, anna, "tracking", "marketing", "withdrawn", now, evidence=consent.Evidence.DATED, source="test")
    reports(client, settings, "read")
    with engine.db.read() as session:
        message = session.get_one(Message, MESSAGE)
        assert (message.status, message.opened_at) == ("delivered", None)
        assert session.scalars(select(Event).where(Event.name == "Message Opened")).all() == []
