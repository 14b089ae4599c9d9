"""Campaign parameters in what a journey sends: filled in with the journey, pinned with the template's version, and under the signature of the link."""

from __future__ import annotations

import re
from typing import Any

from sqlmodel import col, select

from activities.providers import Outbox
from activities.sending.breakers import Breakers
from activities.sending.effect import Effects
from activities.sending.messages import MessageHandler, MessageSettings
from activities.templates import library
from activities.tracking import Tracking
from journeys.link_parameters import LinkParameters
from models import Link, Message, OutboxItem
from workspace import settings

MJML = '<mjml><mj-body><mj-section><mj-column><mj-button href="https://shop.example/a?x=1">Buy</mj-button></mj-column></mj-section></mj-body></mjml>'


def save(world: Any, **more: Any) -> int:
    about: dict[str, Any] = {"name": "Hello", "kind": "email", "message_class": "transactional", "actor": "test", "now": world.now}
    return library.save(world.db, "hello", {"default": {"subject": "Hi", "mjml": MJML}}, **about, **more).number


def send(world: Any) -> tuple[str, str]:
    """(where the mail's link leads, what the mail's link is)"""
    run = world.run(world.happens(world.contact(first_name="Ada"), "Signed Up"))
    world.perform(run)
    with world.db.read() as session:
        message = session.scalars(select(Message).where(Message.run_id == run)).one()
        item = session.scalars(select(OutboxItem).where(OutboxItem.message_id == message.id)).one()
        link = session.scalars(select(Link).order_by(col(Link.id).desc()).limit(1)).one()
        found = re.search(r'href="([^"]*/c/[^"]*)"', item.html)
        assert found is not None
        return link.url, found[1]


def test_what_a_journey_sends_says_where_it_came_from(world: Any) -> None:
    tracking = Tracking({"k1": b"1" * 32}, "https://m.example")
    messaging = MessageSettings(tracking, [b"a" * 32], "Shop <shop@example.com>")
    world.effects = Effects(
        world.engine, {"email": MessageHandler(messaging, Outbox(world.db, lambda: world.now), "email")}, Breakers(world.db)
    )
    with world.db.write() as session:
        put = {"source": "{journey}", "medium": "{channel}", "campaign": "{journey_name}", "content": "{template}-{step}"}
        settings.put(session, "link_parameters", put, "test", world.now)
    save(world)
    world.publish(
        {
            "spec": 1, "key": "greet", "name": "Greet & meet", "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]}, "start": "mail",
            "settings": {"message_class": "transactional"},
            "nodes": {"mail": {"kind": "send_email", "template": "hello"}, "end": {"kind": "exit"}},
            "edges": [{"from": "mail", "outlet": outlet, "to": "end"} for outlet in ("sent", "skipped", "failed")],
        }
    )  # fmt: skip
    target, address = send(world)
    expected = "utm_source=greet&utm_medium=email&utm_campaign=Greet%20%26%20meet&utm_content=hello-mail"
    assert target == f"https://shop.example/a?x=1&{expected}"
    named = tracking.read_click(address.rpartition("/")[2])
    assert named is not None
    assert save(world, link_parameters=LinkParameters(mode="own", source="other")) == 2
    assert send(world)[0] == target, "the journey's version pins the template's"
