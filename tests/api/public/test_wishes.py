"""What contacts ask for on the preference page beside yes and no: fewer messages, a pause, another language; and that the gate keeps to it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlmodel import select

from activities.sending import gate
from activities.sending.gate import Hold, Pass, SendRequest
from activities.tracking import Tracking
from api.public.preferences import wishes_of
from crm.consent.consent import Evidence, record_consent
from crm.people import profile
from engine.engine import Engine
from journeys import wishes
from models import Contact, Event, Message
from workspace import settings

KEYS = (b"k" * 32,)
SAVED = {"save": "yes", "c.email.marketing": "on"}


def contact_of(engine: Engine, message: Message) -> Contact:
    with engine.db.read() as session:
        return session.get_one(Contact, message.contact_id)


def save(client: TestClient, tracking: Tracking, message: Message, **said: str) -> Any:
    return client.post(tracking.preferences_url(message.id), data={**SAVED, **said})


def asked(engine: Engine, message: Message, message_class: str = "marketing") -> gate.Verdict:
    """The gate, about another mail of today; the one of the fixture left an hour ago."""
    wanted = SendRequest("m" * 32, "email", "marketing", message_class, "news", 3, None, "UTC")
    with engine.db.write() as session:
        settings.put(session, "quiet_hours", {"enabled": False}, "test", engine.clock.now())
        settings.put(session, "frequency_caps", {"caps": []}, "test", engine.clock.now())
        return gate.ask(session, session.get_one(Contact, message.contact_id), wanted, KEYS, engine.clock.now())


def test_a_pause_and_a_rhythm_are_kept_by_the_gate(client: TestClient, engine: Engine, tracking: Tracking, message: Message) -> None:
    assert isinstance(asked(engine, message), Pass)
    assert "Gespeichert." in save(client, tracking, message, at_most="week").text
    verdict = asked(engine, message)
    assert isinstance(verdict, Hold)
    assert (verdict.reason, verdict.until) == ("frequency_cap", message.sent_at + timedelta(days=7) if message.sent_at else None)
    save(client, tracking, message, at_most="", pause="30")
    verdict = asked(engine, message)
    assert isinstance(verdict, Hold)
    assert verdict.reason == "pause_requested"
    assert timedelta(days=29) < verdict.until - engine.clock.now() < timedelta(days=31)
    assert isinstance(asked(engine, message, "transactional"), Pass)
    page = client.get(tracking.preferences_url(message.id)).text
    assert "Pause beenden" in page
    save(client, tracking, message, at_most="", pause="none")
    assert isinstance(asked(engine, message), Pass)


def test_what_is_asked_for_is_an_event_from_what_to_what(client: TestClient, engine: Engine, tracking: Tracking, message: Message) -> None:
    save(client, tracking, message, at_most="month", language="en")
    with engine.db.read() as session:
        [event] = session.scalars(select(Event).where(Event.name == "Contact Changed"))
    assert (event.source, event.routed, sorted(event.properties["fields"])) == ("preferences", True, ["locale", wishes.AT_MOST])
    assert event.properties["changes"][wishes.AT_MOST] == [None, "month"]
    assert contact_of(engine, message).locale == "en"


@pytest.mark.parametrize(
    "said", [{"at_most": ""}, {"at_most": "hour"}, {"pause": "9999"}, {"pause": "-1"}, {"language": "xx"}, {"language": "de"}, {}]
)
def test_what_the_page_does_not_offer_and_what_is_unchanged_says_nothing(
    client: TestClient, engine: Engine, tracking: Tracking, message: Message, said: dict[str, str]
) -> None:
    before = contact_of(engine, message)
    assert save(client, tracking, message, **said).status_code == 200
    after = contact_of(engine, message)
    assert (after.attributes, after.locale) == (before.attributes, before.locale) == ({}, "de-CH")


@pytest.mark.parametrize("said", ["soon", "", 5, None, ["2030-01-01"], "2030-13-01"])
def test_what_cannot_be_read_asks_for_nothing(said: object) -> None:
    assert wishes.paused_until(said) is None
    assert wishes.at_most_every(said) is None


def test_a_pause_without_an_offset_is_utc_and_one_that_is_over_is_none(engine: Engine, message: Message) -> None:
    assert str(wishes.paused_until("2030-01-01")) == "2030-01-01 00:00:00+00:00"
    now = engine.clock.now()
    with engine.db.write() as session:
        profile.update_fields(session, message.contact_id, {wishes.PAUSED_UNTIL: (now - timedelta(days=1)).isoformat()}, now, "test")
        contact = session.get_one(Contact, message.contact_id)
        assert wishes_of(contact, "de", now).paused_until is None


def test_only_channels_that_can_be_sent_on_are_offered(client: TestClient, engine: Engine, tracking: Tracking, message: Message) -> None:
    with engine.db.write() as session:
        for channel in ("sms", "fax"):
            now = engine.clock.now()
            record_consent(session, message.contact_id, channel, "marketing", "granted", now, evidence=Evidence.DATED, source="test")
    page = client.get(tracking.preferences_url(message.id)).text
    assert ("c.sms.marketing" in page, "c.fax.marketing" in page) == (True, False)


def test_every_field_of_the_page_has_a_label_and_the_preview_shows_them(client: TestClient) -> None:
    page = client.get("/p/preview", headers={"accept-language": "en"}).text
    for name in ("at_most", "pause", "language"):
        assert f'<label for="{name}">' in page
        assert f'<select id="{name}" name="{name}">' in page
    assert '<option value="en" lang="en" selected>' in page
