"""Topics on the preference page: what is ticked comes, and what is declined does not."""

from __future__ import annotations

import html

import pytest
from fastapi.testclient import TestClient
from sqlmodel import col, select

from activities.sending import gate
from activities.sending.gate import Pass, Refuse, SendRequest
from activities.tracking import Tracking
from crm.consent.consent import Evidence, object_all, record_consent
from engine.engine import Engine
from journeys.channels import TOPIC
from journeys.errors import Invalid
from models import Consent, ConsentState, Contact, Message
from workspace import settings

KEYS = (b"k" * 32,)
TOPICS = [
    {"key": "news", "english": "Product news", "german": "Neuheiten", "order": 2},
    {"key": "events", "english": "Events", "german": "Anlässe & Messen", "german_description": "Zwei im Jahr", "order": 1},
    {"key": "old", "english": "Old", "archived": True},
]
EMAIL = {"c.email.marketing": "on"}


@pytest.fixture(autouse=True)
def _topics(engine: Engine) -> None:
    with engine.db.write() as session:
        settings.put(session, "topics", {"topics": TOPICS}, "test", engine.clock.now())


def said(engine: Engine) -> dict[str, str]:
    with engine.db.read() as session:
        rows = session.scalars(select(ConsentState).where(ConsentState.channel == TOPIC)).all()
    return {row.purpose: row.state for row in rows}


def say(engine: Engine, message: Message, channel: str, purpose: str, state: str) -> None:
    with engine.db.write() as session:
        now = engine.clock.now()
        record_consent(session, message.contact_id, channel, purpose, state, now, evidence=Evidence.DATED, source="test")


def verdict(engine: Engine, message: Message, topic: str) -> gate.Verdict:
    wanted = SendRequest("m" * 32, "email", "marketing", "marketing", "news", 3, None, "UTC", topic=topic)
    with engine.db.write() as session:
        settings.put(session, "quiet_hours", {"enabled": False}, "test", engine.clock.now())
        settings.put(session, "frequency_caps", {"caps": []}, "test", engine.clock.now())
        return gate.ask(session, session.get_one(Contact, message.contact_id), wanted, KEYS, engine.clock.now())


def boxes(page: str) -> dict[str, bool]:
    """Topic -> whether its box is ticked, in the order of the page."""
    return {part.split('"')[0]: part.partition(">")[0].endswith(" checked") for part in page.split('name="c.topic.')[1:]}


def test_a_topic_that_is_unticked_is_declined_and_the_gate_says_so(
    client: TestClient, engine: Engine, tracking: Tracking, message: Message
) -> None:
    address = tracking.preferences_url(message.id)
    page = client.get(address).text
    assert boxes(page) == {"events": True, "news": True}, "who agreed hears about everything; archived topics are not asked about"
    assert "Anlässe &amp; Messen<br><small>Zwei im Jahr</small>" in page
    assert verdict(engine, message, "events") == Pass("anna@example.org")
    after = client.post(address, data={"save": "yes", **EMAIL, "c.topic.news": "on"}).text
    assert boxes(after) == {"events": False, "news": True}
    assert said(engine) == {"events": "withdrawn"}, "what was not changed says nothing"
    assert verdict(engine, message, "events") == Refuse("topic_declined")
    assert verdict(engine, message, "news") == Pass("anna@example.org")
    assert verdict(engine, message, "") == Pass("anna@example.org")
    with engine.db.read() as session:
        proof = session.scalars(select(Consent).where(Consent.channel == TOPIC).order_by(col(Consent.id))).one()
    assert (proof.source, proof.wording, bool(proof.proof)) == ("preferences", "Anlässe & Messen", True)
    client.post(address, data={"save": "yes", **EMAIL, "c.topic.news": "on", "c.topic.events": "on"})
    assert verdict(engine, message, "events") == Pass("anna@example.org")


def test_who_declines_every_topic_is_offered_to_unsubscribe_and_not_forced(
    client: TestClient, engine: Engine, tracking: Tracking, message: Message
) -> None:
    address = tracking.preferences_url(message.id)
    assert 'form="choices"' not in client.get(address).text
    page = client.post(address, data={"save": "yes", **EMAIL}).text
    assert 'form="choices" name="nothing"' in page
    assert "Nachrichten ohne Thema kommen weiterhin" in page, "a topic narrows the consent, and no more"
    assert said(engine) == {"events": "withdrawn", "news": "withdrawn"}
    assert verdict(engine, message, "") == Pass("anna@example.org"), "the consent itself stands"
    client.post(address, data={"nothing": "yes"})
    assert verdict(engine, message, "") == Refuse("no_consent")
    assert 'form="choices"' not in client.get(address).text


def test_nothing_is_ticked_for_who_did_not_agree_and_who_agrees_to_some_declines_the_others(
    client: TestClient, engine: Engine, tracking: Tracking, message: Message
) -> None:
    say(engine, message, "email", "marketing", "withdrawn")
    address = tracking.preferences_url(message.id)
    assert boxes(client.get(address).text) == {"events": False, "news": False}
    client.post(address, data={"save": "yes", **EMAIL, "c.topic.news": "on"})
    assert said(engine) == {"events": "withdrawn", "news": "granted"}


def test_who_agrees_and_ticks_no_topic_hears_about_everything(
    client: TestClient, engine: Engine, tracking: Tracking, message: Message
) -> None:
    say(engine, message, "email", "marketing", "withdrawn")
    page = client.post(tracking.preferences_url(message.id), data={"save": "yes", **EMAIL}).text
    assert (said(engine), boxes(page)) == ({}, {"events": True, "news": True})


def test_a_box_that_was_not_shown_cannot_be_ticked(client: TestClient, engine: Engine, tracking: Tracking, message: Message) -> None:
    client.post(tracking.preferences_url(message.id), data={"save": "yes", **EMAIL, "c.topic.old": "on", "c.topic.evil": "on"})
    assert set(said(engine)) == {"events", "news"}


def test_one_click_withdraws_the_consent_and_an_objection_leaves_what_is_liked(
    client: TestClient, engine: Engine, tracking: Tracking, message: Message
) -> None:
    say(engine, message, TOPIC, "news", "granted")
    client.post(tracking.unsubscribe_url(message.id), data={"List-Unsubscribe": "One-Click"})
    assert (verdict(engine, message, "news"), said(engine)) == (Refuse("no_consent"), {"news": "granted"})
    with engine.db.write() as session:
        object_all(session, message.contact_id, engine.clock.now(), source="letter")
    assert said(engine) == {"news": "granted"}


def hidden(page: str) -> dict[str, list[str]]:
    return {"shown": [html.unescape(part.partition('"')[0]) for part in page.split('name="shown" value="')[1:]]}


def test_what_was_said_since_the_page_was_opened_is_not_said_again(
    client: TestClient, engine: Engine, tracking: Tracking, message: Message
) -> None:
    def statements() -> int:
        with engine.db.read() as session:
            return len(session.scalars(select(Consent).where(col(Consent.channel) == "email")).all())

    address = tracking.preferences_url(message.id)
    page = client.get(address).text
    say(engine, message, "email", "marketing", "withdrawn")
    before = statements()
    client.post(address, data={"save": "yes", **hidden(page)})
    assert statements() == before > 0


def test_what_happened_since_the_page_was_opened_is_not_answered(
    client: TestClient, engine: Engine, tracking: Tracking, message: Message
) -> None:
    """Another topic is offered, and a STOP came in by mail."""
    address = tracking.preferences_url(message.id)
    page = client.get(address).text
    with engine.db.write() as session:
        settings.put(session, "topics", {"topics": [*TOPICS, {"key": "tips", "english": "Tips"}]}, "test", engine.clock.now())
    client.post(address, data={"save": "yes", **EMAIL, "c.topic.news": "on", "c.topic.events": "on", **hidden(page)})
    assert said(engine) == {}, "who is subscribed gets what is new, and has not declined it"
    say(engine, message, "email", "marketing", "withdrawn")
    client.post(address, data={"save": "yes", **EMAIL, "c.topic.news": "on", **hidden(page)})
    assert said(engine) == {"events": "withdrawn"}
    assert verdict(engine, message, "") == Refuse("no_consent"), "the box was left as it was"
    page = client.get(address).text
    client.post(address, data={"save": "yes", **EMAIL, "c.topic.tips": "on", **hidden(page)})
    assert said(engine) == {"events": "withdrawn", "news": "withdrawn", "tips": "granted"}


def test_a_topic_that_somebody_answered_for_is_archived_and_not_removed(engine: Engine, message: Message) -> None:
    say(engine, message, TOPIC, "events", "withdrawn")
    with engine.db.write() as session:
        settings.put(session, "topics", {"topics": [one for one in TOPICS if one["key"] != "news"]}, "test", engine.clock.now())
        with pytest.raises(Invalid) as refused:
            settings.put(session, "topics", {"topics": []}, "test", engine.clock.now())
    assert [issue.values["key"] for issue in refused.value.issues] == ["events"]


@pytest.mark.parametrize(
    "topics",
    [
        [{"key": "a"}, {"key": "a"}],
        [{"key": "A"}],
        [{"key": "a b"}],
        [{"key": "x" * 65}],
        [{"key": "a", "english": "x\ny"}],
        [{"key": f"t{number}"} for number in range(51)],
    ],
)
def test_what_is_no_list_of_topics_is_refused(engine: Engine, topics: list[dict[str, str]]) -> None:
    with engine.db.write() as session, pytest.raises(Invalid):
        settings.put(session, "topics", {"topics": topics}, "test", engine.clock.now())
