"""Calls that may have left before a backup was restored (`engine.restored`): what is made of each, decided where it would be claimed.

A provider that can be asked is asked, one that knows the key for long enough is called again, and for the others the restore says what is
assumed. Every call that is not certain stands in `restored_message`, so that people can see which, and decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Row, bindparam, select
from sqlalchemy.orm import Session

from activities.sending.handler import ChannelHandler, Job
from activities.sending.ledger import message_id_of
from engine.engine import Engine
from engine.restored import LostTime, may_have_left
from models import RestoredMessage
from storage.sql import on, table, upsert

FOREVER = timedelta.max
"""How long a provider knows a key that keeps everything in the restored database itself: there, nothing has left."""

restored_messages = table(RestoredMessage)
_said = select(restored_messages.c.assumed).where(restored_messages.c.message_id == bindparam("of_message"))


@dataclass(frozen=True, slots=True)
class Perhaps:
    """The call may have left. `ask`: a person says; `sent`: it counts as made; `look_up`: the provider knows."""

    what: Literal["ask", "sent", "look_up"]
    lost: LostTime


def look(engine: Engine, session: Session, row: Row[Any], performer: ChannelHandler, job: Job, *, is_shared: bool) -> Perhaps | None:
    """Whether the call may have left already; None: it has not, or it is to be made whether it has or not. Notes what is decided. `is_shared`: several
    accounts carry the channel, and nobody knows through which of them it may have left."""
    if not engine.was_restored(session):
        return None
    lost = may_have_left(engine, session, row, job.state.node, job.state.visit)
    if lost is None or (not is_shared and _is_known(performer, lost, job.as_of)):
        return None
    said = on(session).execute(_said, {"of_message": message_id_of(job.once_key)}).scalar()
    if said in ("unsent", "absent"):
        return None
    if said is None and not is_shared and lost.same_key and performer.delivery_check == "lookup":
        return Perhaps("look_up", lost)
    assumed = said or lost.assume
    note(session, job, lost, assumed)
    return None if assumed == "unsent" else Perhaps("ask" if assumed == "ask" else "sent", lost)


def _is_known(performer: ChannelHandler, lost: LostTime, now: datetime) -> bool:
    """Whether the provider still knows every key that it was told in the lost time: then the same one leads to no second message."""
    if performer.remembers == FOREVER:
        return True
    return performer.delivery_check == "idempotent" and lost.same_key and now - lost.since <= performer.remembers


def note(session: Session, job: Job, lost: LostTime, assumed: str) -> None:
    row = {"message_id": message_id_of(job.once_key), "restore_id": lost.restore_id, "assumed": assumed, "decided_at": job.as_of}
    on(session).execute(upsert(session, RestoredMessage).on_conflict_do_nothing(index_elements=["message_id"]), row)
