"""The cart journey of the gallery with what shops send: Segment's e-commerce spec, RudderStack's, and Shopify's numbers as text."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import journeys.templates
from crm.consent.consent import Evidence, record_consent

TEXT = (Path(journeys.templates.__file__).parent / "cart_abandonment" / "journey.json").read_text()
CART = json.loads(re.sub("cart-[12]-[a-z]+", "a", TEXT))
CART["settings"]["message_class"] = "transactional"
"""With the one template of the small world."""

ADDED = {"cart_id": "cart-1", "product_id": "p-1", "sku": "T-9", "name": "Tea pot", "price": 80, "quantity": 1}
CHECKOUT = {
    "order_id": "order-5",
    "affiliation": "Web",
    "value": 80,
    "revenue": 75.0,
    "currency": "EUR",
    "products": [{"product_id": "p-1"}],
}
ORDER = {
    "checkout_id": "chk-3",
    "order_id": "order-5",
    "total": "80.00",
    "revenue": "75.00",
    "currency": "EUR",
    "products": [{"product_id": "p-1"}],
}
SHOPIFY_CHECKOUT = {"checkout_id": 450789469, "value": "80.00", "currency": "EUR"}
SHOPIFY_ORDER = {"checkout_id": 450789469, "order_id": 820982911, "total": "80.00", "currency": "EUR"}


@pytest.fixture
def shop(world):
    world.publish(CART)
    return world


@pytest.fixture
def contact(shop):
    contact = shop.contact()
    with shop.db.write() as session:
        record_consent(
            session, contact, "email", "marketing", "granted", shop.now, source="test", evidence=Evidence.DATED, said_at=shop.now
        )
    return contact


def entered(wakeups):
    return len(wakeups.starts)


def ended(world, run):
    world.step(run)
    return world.row(run).ended_at is not None


@pytest.mark.parametrize(
    ("event", "trigger", "order"),
    [
        ("Product Added", ADDED, ORDER),
        ("Product Added", ADDED, {**ORDER, "cart_id": "cart-1"}),
        ("Checkout Started", CHECKOUT, ORDER),
        ("Checkout Started", SHOPIFY_CHECKOUT, SHOPIFY_ORDER),
        ("Checkout Started", {"value": 80}, ORDER),
        ("Product Added", ADDED, {}),
    ],
)
def test_the_order_ends_the_run(shop, contact, event, trigger, order):
    run = shop.run(shop.happens(contact, event, trigger))
    shop.later(minutes=30)
    shop.happens(contact, "Order Completed", order)
    assert ended(shop, run)


@pytest.mark.parametrize(
    ("event", "trigger", "order"),
    [("Product Added", ADDED, {**ORDER, "cart_id": "cart-2"}), ("Checkout Started", CHECKOUT, {**ORDER, "order_id": "order-6"})],
)
def test_the_order_of_another_cart_does_not(shop, contact, event, trigger, order):
    run = shop.run(shop.happens(contact, event, trigger))
    shop.later(minutes=30)
    shop.happens(contact, "Order Completed", order)
    assert not ended(shop, run)


def test_one_cart_has_one_run_however_its_events_name_it(shop, contact):
    """Added with a cart's id, then checked out with an order's: nobody can tell, so nobody is reminded twice."""
    run = shop.run(shop.happens(contact, "Product Added", ADDED))
    assert not entered(shop.happens(contact, "Checkout Started", CHECKOUT))
    assert not entered(shop.happens(contact, "Product Added", ADDED))
    assert entered(shop.happens(contact, "Product Added", {**ADDED, "cart_id": "cart-2"})), "another cart is another run"
    shop.later(minutes=5)
    shop.happens(contact, "Order Completed", ORDER)
    assert ended(shop, run)


def test_a_checkout_without_any_id_enters_again_once_its_run_has_ended(shop, contact):
    run = shop.run(shop.happens(contact, "Checkout Started", {"value": 20}))
    assert not entered(shop.happens(contact, "Checkout Started", {"value": 25}))
    shop.later(minutes=5)
    shop.happens(contact, "Order Completed", {"total": 20})
    assert ended(shop, run)
    shop.later(minutes=5)
    assert entered(shop.happens(contact, "Checkout Started", {"value": 30}))


def test_a_bought_cart_does_not_come_back(shop, contact):
    run = shop.run(shop.happens(contact, "Checkout Started", CHECKOUT))
    shop.later(minutes=5)
    shop.happens(contact, "Order Completed", ORDER)
    assert ended(shop, run)
    assert not entered(shop.happens(contact, "Checkout Started", CHECKOUT))


def test_a_document_with_a_single_key_works_as_before(shop, contact):
    entry = {**CART["entry"], "reentry": {"policy": "per_key", "key": "cart_id"}}
    shop.publish({**CART, "entry": entry, "exit_when": [{"event": "Order Completed", "match_key": "cart_id"}]})
    run = shop.run(shop.happens(contact, "Product Added", ADDED))
    assert not entered(shop.happens(contact, "Checkout Started", CHECKOUT)), "it names no cart"
    shop.later(minutes=5)
    shop.happens(contact, "Order Completed", ORDER)
    assert not ended(shop, run)
    shop.happens(contact, "Order Completed", {**ORDER, "cart_id": "cart-1"})
    assert ended(shop, run)
