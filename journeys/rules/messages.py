"""What people do with messages is stored as events; a message term is short for an event term on them."""

from __future__ import annotations

from collections.abc import Mapping

from journeys.rules.memo import Memo
from journeys.rules.model import EventTerm, FieldTerm, Group, MessageTerm

MESSAGE_EVENTS: Mapping[str, str] = {
    "sent": "Message Sent",
    "delivered": "Message Delivered",
    "opened": "Message Opened",
    "clicked": "Message Clicked",
    "bounced": "Message Bounced",
}

BY_MACHINE = FieldTerm(field="machine", operator="!=", value=True)
"""Mail programs and security gateways fetch pixels and links by themselves; such opens and clicks are stored, and not counted."""


def _desugar(term: MessageTerm) -> EventTerm:
    named = [("journey", term.journey), ("template", term.template), ("node", term.node)]
    terms = [FieldTerm(field=name, operator="=", value=value) for name, value in named if value is not None]
    if term.message in ("opened", "clicked"):
        terms.append(BY_MACHINE)
    return EventTerm(
        event=MESSAGE_EVENTS[term.message],
        did=term.did,
        within=term.within,
        own_run=term.node is not None and term.journey is None,
        where=Group(rules=tuple(terms)) if terms else None,
    )


desugar: Memo[MessageTerm, EventTerm] = Memo(_desugar)
"""The event term that a message term is short for."""
