"""A message's topic: its step's, else its template's as it is now; and who has declined it does not get it."""

from __future__ import annotations

from typing import Any

import pytest

from activities.providers import Outbox
from activities.sending.breakers import Breakers
from activities.sending.effect import Effects
from activities.sending.messages import MessageHandler, MessageSettings
from activities.templates import library
from activities.tracking import Tracking
from crm.consent.consent import Evidence, record_consent
from engine.versions import publish as publishing
from engine.versions.uses import uses_of
from journeys.channels import TOPIC
from journeys.errors import Invalid
from workspace import settings

MJML = (
    "<mjml><mj-body><mj-section><mj-column><mj-text>Hello <a href='{{ unsubscribe_url }}'>stop</a></mj-text></mj-column></mj-section>"
    "</mj-body></mjml>"
)
LABEL: dict[str, Any] = {"name": "Hello", "message_class": "marketing"}


def journey(**mail: Any) -> dict[str, Any]:
    return {
        "spec": 1, "key": "hello", "name": "Hello", "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]}, "start": "mail",
        "nodes": {"mail": {"kind": "send_email", "template": "hello", **mail}, "end": {"kind": "exit"}},
        "edges": [{"from": "mail", "outlet": outlet, "to": "end"} for outlet in ("sent", "skipped", "failed")],
    }  # fmt: skip


@pytest.fixture(name="shop")
def fixture_shop(world: Any) -> Any:
    with world.db.write() as session:
        settings.put(session, "topics", {"topics": [{"key": "news"}, {"key": "events"}]}, "test", world.now)
        settings.put(session, "quiet_hours", {"enabled": False}, "test", world.now)
        settings.put(session, "frequency_caps", {"caps": []}, "test", world.now)
    texts = {"default": {"subject": "Hi", "mjml": MJML}}
    library.save(world.db, "hello", texts, kind="email", actor="test", now=world.now, topic="events", **LABEL)
    messaging = MessageSettings(Tracking({"k1": b"1" * 32}, "https://m.example"), [b"a" * 32], "Operator <op@example.com>")
    performer = MessageHandler(messaging, Outbox(world.db, lambda: world.now), "email")
    world.effects = Effects(world.engine, {"email": performer}, Breakers(world.db))
    return world


def reader(shop: Any, **topics: str) -> str:
    contact = str(shop.contact())
    with shop.db.write() as session:
        for channel, purpose, state in [("email", "marketing", "granted"), *((TOPIC, key, said) for key, said in topics.items())]:
            record_consent(session, contact, channel, purpose, state, shop.now, evidence=Evidence.DATED, source="test")
    return contact


def outcome(shop: Any, contact: str) -> tuple[str, str, str]:
    run = shop.run(shop.happens(contact, "Signed Up"))
    shop.perform(run)
    [message] = shop.messages(run)
    return message.status, message.reason, message.topic


def test_the_templates_topic_counts_as_it_is_now_and_the_steps_before_it(shop: Any) -> None:
    shop.publish(journey())
    assert outcome(shop, reader(shop)) == ("sent", "", "events")
    assert outcome(shop, reader(shop, events="withdrawn")) == ("skipped", "topic_declined", "")
    with shop.db.write() as session:
        library.describe(session, "hello", 1, folder="", tags=[], actor="test", now=shop.now, topic="news", **LABEL)
    assert outcome(shop, reader(shop, events="withdrawn")) == ("sent", "", "news")
    shop.publish(journey(topic="events"))
    assert outcome(shop, reader(shop, events="withdrawn")) == ("skipped", "topic_declined", "")
    assert outcome(shop, reader(shop, news="withdrawn")) == ("sent", "", "events")


def test_a_topic_that_is_none_is_neither_published_nor_put_on_a_template(shop: Any) -> None:
    with shop.db.read() as session:
        found = publishing.check_draft(shop.engine, session, journey(topic="evnts"))
    assert [(issue.code, issue.field, issue.values["near"]) for issue in found if issue.severity == "error"] == [
        ("unknown_topic", "topic", "events")
    ]
    with shop.db.write() as session, pytest.raises(Invalid, match="evnts"):
        library.describe(session, "hello", 1, folder="", tags=[], actor="test", now=shop.now, topic="evnts", **LABEL)


def test_a_step_that_names_a_topic_is_found_and_a_template_keeps_its_topic(shop: Any) -> None:
    shop.publish(journey(topic="news"))
    with shop.db.write() as session:
        assert [(use.node, use.field) for use in uses_of(shop.engine, session, [("topic", "news")])] == [("mail", "topic")]
        with pytest.raises(Invalid) as refused:
            settings.put(session, "topics", {"topics": [{"key": "news"}]}, "test", shop.now)
    assert [issue.values["key"] for issue in refused.value.issues] == ["events"]
