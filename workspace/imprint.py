"""What a workspace says of itself in every marketing mail: who writes, where they are, and where their imprint stands."""

from __future__ import annotations

from sqlalchemy.orm import Session

from workspace import sending_domains, settings

POSTAL_ADDRESS, IMPRINT = "postal_address", "imprint"


def sender_values(session: Session) -> dict[str, str]:
    """What templates read as `sender`: name, email, address, imprint; texts, empty where nothing is set."""
    sender, appearance = settings.load(session, settings.Sender), settings.load(session, settings.Appearance)
    return {"name": sender.name, "email": sender.email, "address": sender.postal_address.strip(), "imprint": appearance.imprint}


def lacking(session: Session) -> frozenset[str]:
    """Which of postal address and imprint no mail could show; nothing where no account carries e-mail, since nobody is reached.

    Source: 15 USC 7704(a)(5)(A)(iii), § 5 DDG.
    """
    if not sending_domains.carrier(session):
        return frozenset()
    said = sender_values(session)
    return frozenset(name for name, text in ((POSTAL_ADDRESS, said["address"]), (IMPRINT, said["imprint"])) if not text)
