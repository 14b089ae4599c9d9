"""What the orders of a contact come to: net of refunds and cancellations, in whole minor units of each currency.

An order is known by its `order_id`; said twice, or updated, its newest amount counts. What a refund takes back is never more than the order came
to, and a refund of an order that is not known (yet) is nothing. Orders may come in any order: all of them are always added up anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Protocol

PLACED, UPDATED, REFUNDED, CANCELLED = "Order Completed", "Order Updated", "Order Refunded", "Order Cancelled"
ORDER_EVENTS = frozenset({PLACED, UPDATED, REFUNDED, CANCELLED})
AMOUNTS = ("revenue", "total", "value")
"""Properties that say what an order comes to, the first that is a number counts. `revenue` is without shipping and tax.
Source: Segment, spec v2 e-commerce, Order Completed."""
MOST = Decimal(10**12)
"""Of one order, in whole units: more is a mistake."""
MOST_SUM = 2**62
"""Of any sum, in minor units: a database holds no more, and one forged total must not stop the others from being worked out."""
UNSAID = ""
"""The currency of amounts that came without one; counted in hundredths."""
_EXPONENTS = {
    **dict.fromkeys(
        ["BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"], 0
    ),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
}
"""How many decimals a currency has, where it is not two. Source: ISO 4217, list one."""

Amounts = Mapping[str, int]
"""Currency -> minor units."""


class OrderEvent(Protocol):
    """An event of an order, as it is stored."""

    @property
    def id(self) -> int | None: ...
    @property
    def name(self) -> str: ...
    @property
    def properties(self) -> Mapping[str, Any]: ...
    @property
    def occurred_at(self) -> datetime: ...


@dataclass(slots=True)
class _Order:
    currency: str = UNSAID
    amount: Decimal = Decimal(0)
    back: list[Decimal | None] = field(default_factory=list)
    """Refunds; None: all of it."""

    def net(self) -> Decimal:
        if None in self.back:
            return Decimal(0)
        return max(Decimal(0), self.amount - sum((one for one in self.back if one is not None), Decimal(0)))


def net(events: Iterable[OrderEvent]) -> dict[str, int]:
    """Currency -> minor units, without zeros."""
    orders: dict[str, _Order] = defaultdict(_Order)
    for event in sorted(events, key=lambda one: (one.occurred_at, one.id or 0)):
        said = event.properties.get("order_id")
        order = orders[f"order:{said}" if isinstance(said, str | int) and said != "" else f"event:{event.id}"]
        amount = _amount(event.properties, back=event.name == REFUNDED)
        if event.name == CANCELLED:
            order.back.append(None)
        elif event.name == REFUNDED:
            order.back.append(amount)
        elif amount is not None:
            order.amount, order.currency = amount, _currency(event.properties) or order.currency
    found: dict[str, int] = defaultdict(int)
    for order in orders.values():
        found[order.currency] += minor(order.net(), order.currency)
    return {currency: held(amount) for currency, amount in found.items() if amount}


def held(amount: int) -> int:
    """As much of a sum as is kept."""
    return max(-MOST_SUM, min(MOST_SUM, amount))


def _amount(properties: Mapping[str, Any], *, back: bool) -> Decimal | None:
    """What is paid, or given `back`, which some write as a negative number; None where nothing is said that can be."""
    for name in AMOUNTS:
        value = properties.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            amount = abs(Decimal(str(value))) if back else Decimal(str(value))
            return amount if amount.is_finite() and 0 <= amount <= MOST else None
    return None


def _currency(properties: Mapping[str, Any]) -> str:
    said = properties.get("currency")
    code = said.strip().upper() if isinstance(said, str) else ""
    return code if len(code) == 3 and code.isascii() and code.isalpha() else UNSAID


def exponent(currency: str) -> int:
    """Decimals of a currency."""
    return _EXPONENTS.get(currency, 2)


def minor(amount: Decimal, currency: str) -> int:
    """Whole units as minor ones: 12.345 EUR is 1235."""
    return int(amount.scaleb(exponent(currency)).quantize(Decimal(1), ROUND_HALF_UP))


def major(amount: int, currency: str) -> float:
    """Minor units as whole ones: 1235 of EUR are 12.35."""
    return float(Decimal(amount).scaleb(-exponent(currency)))


def in_currency(amounts: Amounts, currency: str) -> int:
    """What of it is in one currency, in its minor unit; what came without a currency is counted in."""
    unsaid = minor(Decimal(amounts.get(UNSAID, 0)).scaleb(-2), currency)
    return held(amounts.get(currency, 0) + (unsaid if currency != UNSAID else 0))


def added(one: Amounts, other: Amounts, sign: int = 1) -> dict[str, int]:
    """One and (`sign` 1) or less (-1) the other, without zeros."""
    found = {currency: held(one.get(currency, 0) + sign * other.get(currency, 0)) for currency in {*one, *other}}
    return {currency: amount for currency, amount in sorted(found.items()) if amount}
