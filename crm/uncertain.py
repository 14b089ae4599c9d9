"""A person decides what became of a message when nobody knows: it was sent, it shall be sent again, or it is left as it is.

Facts in the database only, under the contact's lock. Who sends again is `activities.sending.resend`, through the gate; nothing leaves here.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Row, select, update
from sqlalchemy.orm import Session

from journeys.channels import SENDABLE
from journeys.errors import Conflict, NotFound
from models import LEFT, Message, RestoredMessage
from storage import tally
from storage.held_messages import AGAIN
from storage.locks import lock_contact
from storage.sql import on, table
from workspace.audit import record

messages = table(Message)
restored = table(RestoredMessage)

Decision = Literal["sent", "again", "leave"]
BY_HAND = "confirmed"
"""Reason of a message that is sent because somebody said so."""


def decide(session: Session, message_id: str, decision: Decision, attempts: int, by: str, now: datetime) -> None:
    """Writes the decision. `attempts` is what whoever decides has seen: a newer attempt, or somebody else's decision, wants another look.

    Raises: NotFound; Conflict if the message is not uncertain (any more), was tried again meanwhile, or cannot be sent again.
    """
    row = lock_message(session, message_id)
    if row.status != "uncertain" or row.attempts != attempts or row.reason == LEFT:
        raise Conflict("This has already been decided: the message is now “{status}”.", status=row.status)
    changes = _again(session, row, now) if decision == "again" else _SAID[decision]
    on(session).execute(update(messages).where(messages.c.id == message_id).values(**changes))
    on(session).execute(update(restored).where(restored.c.message_id == message_id).values(assumed=_ASSUMED[decision]))
    record(session, by, "message.decide", f"message:{message_id}", {"decision": decision, "was": row.reason, "attempts": attempts})


_ASSUMED: dict[Decision, str] = {"sent": "sent", "again": "unsent", "leave": "left"}
"""Decision -> what was made of a message that may have left before a backup was restored."""
_SAID: dict[str, dict[str, Any]] = {"sent": {"status": "sent", "reason": BY_HAND}, "leave": {"reason": LEFT}}


def was_sent(session: Session, message_id: str) -> None:
    """Its provider knows that it has left: what was assumed of it counts no more."""
    on(session).execute(update(restored).where(restored.c.message_id == message_id).values(assumed="sent"))


def can_go_again(channel: str, body_id: str | None, run_id: str | None) -> bool:
    """Whether such a message can be sent again: one of a journey, whose text is kept."""
    return channel in SENDABLE and body_id is not None and run_id is not None


def _again(session: Session, row: Row[Any], now: datetime) -> dict[str, Any]:
    """It is on its way once more, so it does not count as sent until it has met its end."""
    if row.run_id is None:
        raise Conflict("Only messages of journeys can be sent again. Say whether it was sent, or leave it.")
    if not can_go_again(row.channel, row.body_id, row.run_id):
        raise Conflict("This cannot be sent again: its text is not kept. Say whether it was sent, or leave it.")
    counted: dict[tally.Key, int] = {(row.node, "sent", "", row.channel, row.template_version or 0): -1}
    tally.append(session, row.journey_id, row.version_number, counted, row.sent_at or now)
    answer = {**row.answer, "again_at": now.isoformat()}
    return {"status": "held", "reason": AGAIN, "held_until": now, "claimed_at": None, "lease_until": None, "answer": answer}


def lock_message(session: Session, message_id: str) -> Row[Any]:
    """The message's row, with its contact locked first. A merge may give it another contact meanwhile; then again.

    Raises: NotFound.
    """
    statement = select(messages).where(messages.c.id == message_id)
    while True:
        row = on(session).execute(statement).first()
        if row is None:
            raise NotFound("There is no message with this id.")
        lock_contact(session, row.contact_id)
        locked = on(session).execute(statement).one()
        if locked.contact_id == row.contact_id:
            return locked
