"""Free text leaves as an answer only; at any other time it is what was approved, or nothing: asked of the engine as it sends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from activities.providers import Outbox
from activities.sending.breakers import Breakers
from activities.sending.effect import Effects
from activities.sending.messages import MessageHandler, MessageSettings
from activities.templates import library
from activities.tracking import Tracking
from crm.consent import consent
from engine.versions import publish
from journeys.calls import activity_of
from journeys.channels import CHANNELS
from models import Body, OutboxItem
from storage.events import append_event

[CHANNEL] = [channel.name for channel in CHANNELS.values() if channel.reply_window]
NUMBER, HX = "+41791234567", "HX" + "0a" * 16
TEXT = {"text": "Hi {{ contact.first_name }}, how can we help?"}
APPROVED = {"content_sid": HX, "approved_text": "Your order, {{1}}.", "content_variables": "{{ contact.first_name }}"}


def document(**changes: Any) -> dict[str, Any]:
    return {
        "spec": 1, "key": "chat", "name": "Chat", "entry": {"triggers": [{"type": "event", "event": "Asked"}]}, "start": "say",
        "nodes": {"say": {"kind": f"send_{CHANNEL}", "template": "chat"}, "end": {"kind": "exit"}},
        "edges": [{"from": "say", "outlet": outlet, "to": "end"} for outlet in ("sent", "skipped", "failed")],
        **changes,
    }  # fmt: skip


def sent(world: Any, parts: dict[str, str], hours_ago: float | None, sender: str = NUMBER, channel: str = CHANNEL) -> tuple[str, str, str]:
    """Status and reason of a message to somebody who wrote so long ago, and what was kept of it."""
    messaging = MessageSettings(Tracking({"k1": b"1" * 32}, "https://m.example"), [b"a" * 32], "Shop <shop@example.com>")
    performer = MessageHandler(messaging, Outbox(world.db, lambda: world.now), CHANNEL)
    world.effects = Effects(world.engine, {CHANNEL: performer}, Breakers(world.db))
    about: dict[str, Any] = {"name": "chat", "kind": CHANNEL, "message_class": "marketing", "actor": "test", "now": world.now}
    library.save(world.db, "chat", {"default": parts}, **about)
    world.publish(document())
    ada = world.contact(first_name="Ada", phone=NUMBER)
    with world.db.write() as session:
        consent.record_consent(session, ada, CHANNEL, "marketing", "granted", world.now, evidence=consent.Evidence.DATED, source="test")
        if hours_ago is not None:
            at = world.now - timedelta(hours=hours_ago)
            append_event(session, ada, "system", "Message Replied", {"channel": channel, "from": sender, "text": "Hi"}, at, message_id="r1")
    run = world.run(world.happens(ada, "Asked"))
    world.perform(run, activity=activity_of(CHANNEL))
    [message] = world.messages(run)
    with world.db.read() as session:
        texts = list(session.scalars(select(Body.text)))
        assert texts == list(session.scalars(select(OutboxItem.text)))
    return message.status, message.reason, "".join(texts)


@pytest.mark.parametrize(
    ("parts", "hours_ago", "outcome"),
    [
        (TEXT, 23, ("sent", "", "Hi Ada, how can we help?")),
        (TEXT, 24, ("skipped", "outside_reply_window", "")),
        (TEXT, None, ("skipped", "outside_reply_window", "")),
        (TEXT | APPROVED, 23, ("sent", "", "Hi Ada, how can we help?")),
        (TEXT | APPROVED, 24, ("sent", "", "Your order, Ada.")),
        (TEXT | APPROVED, 23.99, ("sent", "", "Your order, Ada.")),
        (APPROVED, None, ("sent", "", "Your order, Ada.")),
        (TEXT | APPROVED | {"content_variables": "{{ contact.last_name|default('') }}"}, 24, ("skipped", "render_empty_value", "")),
    ],
)
def test_what_leaves_depends_on_when_the_contact_wrote(
    sqlite_world: Any, parts: dict[str, str], hours_ago: float | None, outcome: tuple[str, str, str]
) -> None:
    assert sent(sqlite_world, parts, hours_ago) == outcome


@pytest.mark.parametrize("other", [{"sender": "+41790000000"}, {"channel": "sms"}])
def test_only_the_number_that_wrote_and_its_channel_count(sqlite_world: Any, other: dict[str, str]) -> None:
    assert sent(sqlite_world, TEXT, 1, **other)[:2] == ("skipped", "outside_reply_window")


def test_an_approved_template_reaches_the_provider_as_such(sqlite_world: Any) -> None:
    sent(sqlite_world, TEXT | APPROVED, None)
    with sqlite_world.db.read() as session:
        [item] = session.scalars(select(OutboxItem))
    assert item.parts == {"content_sid": HX, "content_variables": "Ada"}


def test_the_builder_hints_at_free_text_that_nobody_asked_for(sqlite_world: Any) -> None:
    world = sqlite_world
    sent(world, TEXT, None)

    def codes(**changes: Any) -> list[str]:
        with world.db.read() as session:
            return [issue.code for issue in publish.check_draft(world.engine, session, document(**changes))]

    waiting = {
        "start": "wait",
        "nodes": {
            **document()["nodes"],
            "wait": {"kind": "wait_for", "branches": [{"name": "wrote", "event": "Message Replied"}], "timeout": "P1D"},
        },
    }
    wrote = {"from": "wait", "outlet": "wrote", "to": "say"}
    assert "only_answers" in codes()
    assert "only_answers" not in codes(entry={"triggers": [{"type": "event", "event": "Message Replied"}]})
    both = [{"type": "event", "event": "Message Replied"}, {"type": "manual"}]
    assert "only_answers" in codes(entry={"triggers": both})
    ends = {"from": "wait", "outlet": "timed_out", "to": "end"}
    assert "only_answers" not in codes(**waiting, edges=[*document()["edges"], wrote, ends])
    assert "only_answers" in codes(**waiting, edges=[*document()["edges"], wrote, {**ends, "to": "say"}])
    library.save(
        world.db, "chat", {"default": TEXT | APPROVED}, name="chat", kind=CHANNEL, message_class="marketing", actor="test", now=world.now
    )
    assert "only_answers" not in codes()
    library.save(
        world.db,
        "chat",
        {"default": TEXT | APPROVED, "de": TEXT},
        name="chat",
        kind=CHANNEL,
        message_class="marketing",
        actor="test",
        now=world.now,
    )
    assert "only_answers" in codes(), "one language has none"
