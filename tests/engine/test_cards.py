"""A run has a marketing card printed: through the gate, the renderer and a printer on this machine, whatever dies on the way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from activities.providers import Answer, Outgoing
from activities.sending.breakers import Breakers
from activities.sending.effect import Effects
from activities.sending.messages import MessageHandler, MessageSettings
from activities.templates import library
from activities.tracking import Tracking
from crm.consent.consent import Evidence, record_consent
from journeys.calls import activity_of
from tests.activities.providers.test_postal_http import PostalWire, Printing, printing
from workspace import settings

ADDRESS = "Ada Lovelace | 1 Way | | 89501 | Reno | NV | US"
JOURNEY = {
    "spec": 1, "key": "card", "name": "Card", "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]}, "start": "card",
    "settings": {"message_class": "marketing"},
    "nodes": {"card": {"kind": "send_postcard", "template": "card"}, "end": {"kind": "exit"}},
    "edges": [{"from": "card", "outlet": outlet, "to": "end"} for outlet in ("sent", "skipped", "failed")],
}  # fmt: skip


class Death(BaseException):
    """SIGKILL, as near as a test gets."""


@pytest.fixture
def printer() -> Iterator[Printing]:
    with printing() as server:
        yield server


@pytest.fixture
def shop(world: Any, printer: Printing) -> Iterator[Any]:
    """A workspace that has cards printed; `new_process` is a worker that knows nothing of the former one."""
    sides = {"default": {"front": "<h1>Hello {{ contact.first_name }}</h1>", "text": "Dear {{ contact.first_name }}"}}
    library.save(world.db, "card", sides, name="Card", kind="postcard", message_class="marketing", actor="test", now=world.now)
    with world.db.write() as session:
        settings.put(session, "sender", {"name": "Shop", "email": "shop@shop.example", "postal_address": "Weg 1"}, "test", world.now)
    providers = []

    def new_process() -> Any:
        provider = PostalWire(printer, "lob").provider
        messaging = MessageSettings(Tracking({"k1": b"1" * 32}, "https://m.example"), [b"a" * 32], "Operator <op@example.com>")
        world.effects = Effects(world.engine, {"postcard": MessageHandler(messaging, provider, "postcard")}, Breakers(world.db))
        providers.append(provider)
        return provider

    world.new_process = new_process
    world.publish(JOURNEY)
    yield world
    for provider in providers:
        provider.close()


def begun(shop: Any, address: str = ADDRESS) -> str:
    """The run of somebody who allowed cards."""
    contact = shop.contact(first_name="Ada", postal_address=address)
    with shop.db.write() as session:
        proof = {"evidence": Evidence.DATED, "source": "test", "wording": "Yes"}
        record_consent(session, contact, "postcard", "marketing", "granted", shop.now, **proof)
    run: str = shop.run(shop.happens(contact, "Signed Up"))
    return run


def print_card(shop: Any, run: str) -> None:
    shop.perform(run, activity=activity_of("postcard"))


def test_a_death_between_the_order_and_its_answer_orders_one_card(shop: Any, printer: Printing) -> None:
    dying = shop.new_process()
    send = dying.send

    def die_after(message: Outgoing) -> Answer:
        send(message)
        raise Death

    dying.send = die_after
    run = begun(shop)
    with pytest.raises(Death):
        print_card(shop, run)
    [first] = printer.orders
    shop.later(minutes=2)
    shop.new_process()
    print_card(shop, run)
    assert (list(printer.orders), printer.posted) == ([first], 2), "the same key both times"
    [message] = shop.messages(run)
    assert (message.status, message.provider_id) == ("sent", "psc_0")
    [(_, order)] = printer.orders.values()
    assert (order["use_type"], order["to[name]"]) == (b"marketing", b"Ada Lovelace")
    assert order["back"].startswith(b"%PDF-")


def test_an_address_without_its_place_costs_no_card(shop: Any, printer: Printing) -> None:
    shop.new_process()
    run = begun(shop, "Ada Lovelace | 1 Way | | 89501 | | NV | US")
    print_card(shop, run)
    assert [(one.status, one.reason) for one in shop.messages(run)] == [("skipped", "address_incomplete_city")]
    assert printer.posted == 0
