"""Tells colleagues something by e-mail, one each.

No tracking, no gate and no consent: these are people of the team. The text comes filled in.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session
from sqlmodel import select

from activities.providers.provider import Answer, Outgoing, Provider
from activities.rendering.render import one_line
from models import Contact, Member
from workspace.members import stand_in

MAX_TEXT = 4_000


def addresses(session: Session, to: Sequence[str], contact_id: str) -> list[str]:
    """The e-mail addresses behind `to`: addresses as they are, `owner` as the contact's owner, member ids as their addresses. Each once.

    Where `to` names people and none of them is in the team any more, an admin is told: a notice never reaches nobody.
    """
    found = _reached(session, to, contact_id)
    if to and not found and (admin := stand_in(session)):
        return [address for address in [_address(session, admin, contact_id)] if address]
    return found


def meant_for(session: Session, to: Sequence[str], contact_id: str) -> str | None:
    """The id of the first member in `to` (`owner`: the contact's), where none of them is in the team any more; None also where there is none."""
    if _reached(session, to, contact_id):
        return None
    return next((id for entry in to if (id := _member(session, entry, contact_id))), None)


def _reached(session: Session, to: Sequence[str], contact_id: str) -> list[str]:
    return list(dict.fromkeys(address for entry in to if (address := _address(session, entry, contact_id))))


def _address(session: Session, entry: str, contact_id: str) -> str | None:
    if "@" in entry:
        return entry
    member_id = _member(session, entry, contact_id)
    if not member_id:
        return None
    return session.scalar(select(Member.email).where(Member.id == member_id, Member.active == True))  # noqa: E712 - a column


def _member(session: Session, entry: str, contact_id: str) -> str | None:
    return session.scalar(select(Contact.owner).where(Contact.id == contact_id)) if entry == "owner" else entry


def by_email(provider: Provider, once_key: str, message_id: str, sender: str, to: str, subject: str, text: str) -> Answer:
    """Sends the notice to one colleague. `once_key` must differ per recipient.

    Raises:
        ProviderFailure: as the provider's `send`.
    """
    line = one_line(subject) or one_line(text)[:80] or "Pfadwerk"
    message = Outgoing(
        once_key, message_id, "team", to, sender, subject=line, text=text[:MAX_TEXT] + "\n", headers={"Auto-Submitted": "auto-generated"}
    )
    return provider.send(message)
