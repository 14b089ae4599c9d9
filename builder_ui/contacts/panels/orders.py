"""What the contact ordered last, and which of it came back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session
from sqlmodel import col, select

from builder_ui.contacts.panels.panel import Panel
from builder_ui.kit import components
from builder_ui.kit.context import Acts, PageContext
from builder_ui.kit.labels import short
from builder_ui.kit.reactpy_compat import Element, html
from models import Contact, Event

MOST = 5
ORDERED = "Order Completed"
BACK: Mapping[str, str] = {"Order Refunded": "refunded", "Order Cancelled": "cancelled"}
"""Event -> what it makes of an order, for people."""
LOOKED_AT = 50
"""Refunds and cancellations among which those of the orders shown are looked for, the newest."""


@dataclass(frozen=True, slots=True, repr=False)
class Data:
    orders: Sequence[Event]
    back: Mapping[str, str]
    """Id of an order -> what it has become."""


def load(context: PageContext, session: Session, contact: Contact, opened: bool) -> Data:
    orders = _newest(session, contact, ORDERED, MOST)
    gone = [event for name in BACK for event in _newest(session, contact, name, LOOKED_AT)] if orders else []
    return Data(orders, {str(one.properties.get("order_id")): BACK[one.name] for one in gone if one.properties.get("order_id")})


def _newest(session: Session, contact: Contact, name: str, limit: int) -> Sequence[Event]:
    rows = select(Event).where(Event.contact_id == contact.id, Event.name == name)
    return session.scalars(rows.order_by(col(Event.occurred_at).desc(), col(Event.id).desc()).limit(limit)).all()


def aside(context: PageContext, contact: Contact, data: Data, acts: Acts) -> Element:
    if not data.orders:
        return None
    every = html.p(html.a({"href": f"/ui/contacts/{contact.id}?kind=event&q={ORDERED.replace(' ', '+')}"}, context.t("All orders")))
    return html._(html.ul([line(context, data, one) for one in data.orders]), every)


def line(context: PageContext, data: Data, order: Event) -> Element:
    t, said = context.t, order.properties
    number = str(said.get("order_id") or "")
    back = data.back.get(number, "")
    return html.li(
        {"key": str(order.id)},
        html.b(amount(context, said)),
        html.span(" · ", short(number, 40)) if number else None,
        html._(" ", components.badge(t(back), "warn", "alert")) if back else None,
        html.span({"className": "quiet"}, " ", components.moment(t, order.occurred_at)),
    )


def amount(context: PageContext, said: Mapping[str, Any]) -> str:
    """What it came to, as the shop said it; without a number that it was an order."""
    total = next((said[name] for name in ("total", "revenue", "value") if _is_number(said.get(name))), None)
    if total is None:
        return context.t("Order without an amount")
    return " ".join(part for part in (context.t.number(total), str(said.get("currency") or "")[:3]) if part)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


PANEL = Panel("orders", "Orders", load, aside=aside)
