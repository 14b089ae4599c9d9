"""What a workspace says of itself in every marketing mail and on every marketing card: who writes, where they are, and where their imprint stands."""

from __future__ import annotations

from sqlalchemy.orm import Session

from journeys.channels import CHANNELS
from workspace import accounts, settings

POSTAL_ADDRESS, IMPRINT = "postal_address", "imprint"


def sender_values(session: Session) -> dict[str, str]:
    """What templates read as `sender`: name, email, address, imprint; texts, empty where nothing is set."""
    sender, appearance = settings.load(session, settings.Sender), settings.load(session, settings.Appearance)
    return {"name": sender.name, "email": sender.email, "address": sender.postal_address.strip(), "imprint": appearance.imprint}


def lacking(session: Session) -> dict[str, frozenset[str]]:
    """Channel -> which of postal address and imprint its marketing messages must show and could not; no channel that no account carries, since nobody
    is reached there.

    Source: 15 USC 7704(a)(5)(A)(iii), § 5 DDG; GDPR Art. 13(1)(a).
    """
    said, carried = sender_values(session), accounts.carried(session)
    empty = frozenset(name for name, text in ((POSTAL_ADDRESS, said["address"]), (IMPRINT, said["imprint"])) if not text)
    return {name: missing for name in CHANNELS if carried.get(name) and (missing := empty & _shown_on(name))}


def _shown_on(channel: str) -> frozenset[str]:
    kind = CHANNELS[channel]
    if kind.needs_unsubscribe:
        return frozenset((POSTAL_ADDRESS, IMPRINT))
    return frozenset((POSTAL_ADDRESS,)) if kind.names_sender else frozenset()
