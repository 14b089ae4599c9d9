"""Whom a message is from and who gets answers: as its step says, else as its template does, else as the workspace, else as the operator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from activities.sending.handler import CannotPrepare
from activities.sending.template_labels import Label
from journeys.channels import DEFAULT
from models import Body
from storage.sql import on, table
from workspace import sending_domains, settings
from workspace.imprint import sender_values

_sender = select(table(Body).c.sender).where(table(Body).c.id == bindparam("of_body"))
GONE = "no_sender"
"""Why a message cannot be written: its step names a sender that there is not any more."""

UNVERIFIED = "unverified_sender"
"""Likewise: the last check did not find the account's key in the sender's domain."""


@dataclass(frozen=True, slots=True)
class Identity:
    """`mailbox` is an address or `Name <address>`; `shown` is what templates read as `sender`."""

    mailbox: str
    reply_to: str
    shown: Mapping[str, str]


def identity(session: Session, said: Mapping[str, Any], label: Label, fallback: str) -> Identity:
    """`said` is the input of the step's call, `label` the template's, `fallback` the operator's own address.

    Raises: CannotPrepare: whoever was chosen is gone, or is not proven to be the account's any more.
    """
    usual = settings.load(session, settings.Sender)
    chosen = _find(session, said.get("sender") or label.sender)
    name, email, reply_to = (chosen.name, chosen.email, chosen.reply_to) if chosen else (usual.name, usual.email, usual.reply_to)
    answers = _find(session, said.get("reply_to") or label.reply_to)
    shown = {**sender_values(session), **({"name": name, "email": email} if chosen else {})}
    return Identity(mailbox(name, email, fallback), answers.email if answers else reply_to, shown)


def mailbox(name: str, email: str, fallback: str) -> str:
    """As a From header has it; `fallback` where there is no address."""
    return f"{name} <{email}>" if name and email else email or fallback


def sender_of(channel: str, mailbox: str) -> str:
    """By what the domain of an e-mail's From is counted and limited; empty on channels where messages are from no domain."""
    return sending_domains.sender_name(mailbox) if channel == DEFAULT else ""


def sender_of_body(session: Session, channel: str, body_id: str | None) -> str:
    """The same of a message whose text is kept."""
    if channel != DEFAULT or body_id is None:
        return ""
    return sender_of(channel, on(session).execute(_sender, {"of_body": body_id}).scalar() or "")


def _find(session: Session, key: object) -> settings.SenderAddress | None:
    if not key:
        return None
    found = settings.load(session, settings.Senders).find(str(key))
    if found is None:
        raise CannotPrepare(GONE)
    if sending_domains.standings(session).get(found.key) == "unverified":
        raise CannotPrepare(UNVERIFIED)
    return found
