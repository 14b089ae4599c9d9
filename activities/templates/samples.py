"""Made-up values for previews: a contact and an event nobody is, so that a template can be looked at before anything happened."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from activities.rendering import jinja

CONTACT = {"first_name": "Anna", "last_name": "Muster", "email": "anna@example.org", "locale": "de", "lifecycle_stage": "lead"}
"""The contact of a preview that names none."""
PRODUCTS = [
    {"name": "Rucksack Alpin 30", "price": 129.0, "quantity": 1, "sku": "R-30", "url": "https://www.example.com/r-30", "image_url": ""},
    {"name": "Trinkflasche 1 l", "price": 24.5, "quantity": 2, "sku": "T-1", "url": "https://www.example.com/t-1", "image_url": ""},
]
EVENT: Mapping[str, Any] = {
    "products": PRODUCTS, "total": 178.0, "value": 178.0, "revenue": 178.0, "currency": "EUR", "order_id": "A-1001", "cart_id": "C-1001",
    "checkout_id": "K-1001", "name": "Rucksack Alpin 30", "product": "Rucksack Alpin 30", "price": 129.0, "plan": "trial", "coupon": "HALLO10",
}  # fmt: skip

_LISTS = re.compile(r"(^|_)(items|products|lines|articles|orders|entries)$")
_NUMBERS = re.compile(r"price|total|amount|value|sum|count|quantity|number|points|score|percent|days", re.IGNORECASE)
_MOMENTS = re.compile(r"(_at|_on|date|birthday)$")
_ADDRESSES = re.compile(r"(url|link|href|image)$")


def made_up(root: str, fields: Iterable[str], known: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Values for everything under `root` (`contact`, `trigger`, `steps`) that a template reads: known ones, else guessed by name.

    `{"trigger.order.total"}` -> {"order": {"total": 42}}
    """
    values: dict[str, Any] = dict(known)
    for name in sorted(fields):
        first, *path = name.split(".")
        if first == root and path and path[0] not in known:
            _put(values, path, now)
    return values


def lent(sources: Iterable[str], now: datetime) -> dict[str, Any]:
    """Values for what a partial reads of the place where it is included: `{{ product.price }}` -> {"product": {"price": 129.0, …}}."""
    names = {name for source in sources for name in jinja.lent(source)}
    roots = {name.partition(".")[0] for name in names}
    inner = {name.partition(".")[0] for name in names if "." in name}
    return {root: made_up(root, names, PRODUCTS[0], now) if root in inner else _guess(root, now) for root in sorted(roots)}


def _put(values: dict[str, Any], path: list[str], now: datetime) -> None:
    for name in path[:-1]:
        inner = values.get(name)
        if not isinstance(inner, dict):
            inner = values[name] = {}
        values = inner
    if not isinstance(values.get(path[-1]), dict):
        values[path[-1]] = _guess(path[-1], now)


def _guess(name: str, now: datetime) -> Any:
    if _LISTS.search(name):
        return PRODUCTS
    if _MOMENTS.search(name):
        return now
    if _ADDRESSES.search(name):
        return "https://www.example.com/"
    return 42 if _NUMBERS.search(name) else f"[{name}]"
