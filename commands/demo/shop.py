"""What the demo's shop sells, and when people are up: the constants of its eight weeks."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from commands.demo.documents import Translate
from journeys.clock import instant_of

SOURCE = "demo"
"""Where the events of the demo come from."""
HOME = ZoneInfo("Europe/Zurich")
"""Where the shop is."""
PRODUCTS = (
    ("Backpack", 129.0),
    ("Tent", 249.0),
    ("Sleeping bag", 179.0),
    ("Camping stove", 59.9),
    ("Headlamp", 39.0),
    ("Hiking boots", 189.0),
    ("Drinking bottle", 24.5),
    ("Trekking poles", 79.0),
)
"""English names for translation, and prices."""
FORMS = ("Newsletter", "Catalogue", "Contact form")
"""English names for translation."""
_DAYS = (1.0, 1.15, 1.2, 1.1, 0.9, 0.7, 0.85)
"""How lively the shop is from Monday to Sunday."""
_HOURS = (7, 8, 9, 10, 12, 12, 13, 15, 17, 18, 19, 20, 20, 21, 21, 22)
"""When people have time, as often as they have it."""
_AWAKE = time(6, 30)


def moments(rng: random.Random, begin: datetime, end: datetime, a_week: float) -> Iterator[datetime]:
    """Instants between `begin` and `end` at which somebody comes by who does so `a_week` times, in order."""
    day = begin.astimezone(HOME).date()
    while (midnight := instant_of(day, time(0), HOME)) < end:
        if rng.random() < a_week / 7 * _DAYS[day.weekday()]:
            at = instant_of(day, time(rng.choice(_HOURS), rng.randrange(60), rng.randrange(60)), HOME)
            if begin <= at < end:
                yield at
        day = midnight.astimezone(HOME).date() + timedelta(days=1)


def some_day(rng: random.Random, begin: datetime, end: datetime) -> datetime:
    """One such instant, on livelier days likelier."""
    found = list(moments(rng, begin, end, 7.0))
    return rng.choice(found) if found else begin + (end - begin) / 2


def awake(at: datetime) -> datetime:
    """The same instant, or the next morning where it falls into the night."""
    local = at.astimezone(HOME)
    return at if local.time() >= _AWAKE else instant_of(local.date(), _AWAKE, HOME) + timedelta(minutes=at.minute)


def afternoon(now: datetime, days: int) -> datetime:
    """Some time past three, so many days ago."""
    return instant_of(now.astimezone(HOME).date() - timedelta(days=days), time(15, 10, 42), HOME)


def product(translate: Translate, rng: random.Random, most: float = 1e9) -> dict[str, Any]:
    """One thing of the shop, as its events name it; it costs `most` at most."""
    name, price = rng.choice([one for one in PRODUCTS if one[1] <= most])
    return {"product_id": name.lower().replace(" ", "-"), "name": translate(name), "price": price, "currency": "EUR"}


def cart(translate: Translate, rng: random.Random, cart_id: str, most: float) -> dict[str, Any]:
    """A cart with one to three things in it, worth `most` at most."""
    first = product(translate, rng, most)
    things, left = [first], most - first["price"]
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        if left >= 24.5:
            things.append(product(translate, rng, left))
            left -= things[-1]["price"]
    value = round(sum(one["price"] for one in things), 2)
    products = [{**one, "quantity": 1} for one in things]
    return {"cart_id": cart_id, "value": value, "currency": "EUR", "products": products}
