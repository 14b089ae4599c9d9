"""One message for one mailbox and send: two contacts with one address that one send reaches get it once (decision 014).

The message that is on its way or has gone there holds a unique key of send and mailbox. Taking the key is part of the claim, under a lock
on the key, so that of two workers one sees what the other has done. A message that certainly did not arrive lets go of the key.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from activities.sending.handler import Job
from crm.consent import mailbox
from engine.clock import Clock
from engine.interpreter.gate import Twin
from journeys.channels import ADDRESSED
from models import Message
from storage.sql import on, table

messages = table(Message)
_holder = select(messages.c.status, messages.c.lease_until).where(
    messages.c.mailbox_key == bindparam("key"), messages.c.id != bindparam("me")
)
_lock = select(func.pg_advisory_xact_lock(bindparam("number")))


def key_of(job: Job, address: str | None, message_class: str, keys: Sequence[bytes]) -> str | None:
    """Names the send and the mailbox; None for what is no send to several: a transactional message, a run that nobody shares the occasion of.

    The send is the step of a journey, at the same visit, of runs with one occasion. The key is hashed with the last of `keys`, which stays when
    the signing key is changed.
    """
    channel, occasion = job.call.channel, job.row.occasion
    if not address or not occasion or channel not in ADDRESSED or message_class == "transactional":
        return None
    said = "\n".join((job.row.journey_id, job.state.node, str(job.state.visit), occasion, channel, mailbox.spelling(channel, address)))
    return hmac.new(keys[-1], said.encode(), hashlib.sha256).hexdigest()


def twin_of(session: Session, key: str | None, message_id: str, clock: Clock) -> Twin | None:
    """Who holds the key already. From here to the end of the transaction nobody else takes it."""
    if key is None:
        return None
    if session.get_bind().dialect.name == "postgresql":
        on(session).execute(_lock, {"number": int(key[:15], 16)})
    return holder_of(session, key, message_id, clock)


def holder_of(session: Session, key: str, message_id: str, clock: Clock) -> Twin | None:
    """The same for who only wants to know: the key stays free for anybody."""
    row = on(session).execute(_holder, {"key": key, "me": message_id}).first()
    if row is None:
        return None
    return Twin(clock.to_virtual(row.lease_until) if row.status == "claimed" else None)
