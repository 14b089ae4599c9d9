"""Erasing a person (GDPR Art. 17): what named the person goes, what was counted stays.

The row stays as an empty shell so that events, runs and messages keep their place in reports. Suppressions are keyed hashes and
stay, and what was said of the person's addresses becomes one (`crm.mailbox`), so that a later import cannot bring them back into marketing. The consent log stays
without its proofs (Art. 17(3)(e)). Workflow histories hold ids only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, or_, update
from sqlalchemy.orm import Session
from sqlmodel import SQLModel, col, select

from crm import duplicates, mailbox
from crm.audit import record
from crm.locks import lock_contact
from crm.merge import FIELDS
from crm.runs import end_runs, open_runs
from crm.sql import table
from models import (
    Body,
    Consent,
    ConsentState,
    Contact,
    Event,
    Hit,
    Identity,
    Merge,
    MergeMoved,
    Message,
    MigratedRun,
    OutboxItem,
    Refusal,
    Run,
    Score,
    ScoreChange,
    Subscription,
    Tag,
    Task,
    TaskChange,
    Trail,
)

COUNTED = ("total", "revenue", "value", "price", "quantity", "currency")
"""Properties of events that reports add up; numbers and currency codes, they name nobody."""
SYSTEM_KEPT = (
    "after", "before", "channel", "fields", "group", "journey", "machine", "message_id", "node", "outcome", "purpose", "run_id", "state",
    "task_id", "template",
)  # fmt: skip
"""Properties of our own events that hold ids and names of settings."""
_PAGE = 500
DELETED: tuple[type[SQLModel], ...] = (Identity, Tag, Score, ScoreChange, ConsentState, Subscription)


@dataclass(slots=True)
class Erased:
    """`rung`: runs that ended; ring their bells."""

    contact_id: str
    rung: list[str] = field(default_factory=list)


def erase(session: Session, contact_id: str, now: datetime, *, by: str, keys: Sequence[bytes] = ()) -> Erased:
    """Erases the person: the contact, the one it was merged into, and everything that was. A second call changes nothing.

    `keys` are those of `crm.suppression`; without them a withdrawn consent leaves no trace. Open runs end with the reason `erased`.

    Raises:
        NotFound: no such contact.
    """
    contact = lock_contact(session, contact_id)
    contact_id = contact.id
    done = Erased(contact_id)
    if contact.erased_at is not None:
        return done
    session.flush()
    mailbox.hide(session, keys, contact_id)
    duplicates.forget(session, contact_id)
    done.rung = end_runs(session, open_runs(session, [contact_id]), "erased", now)
    for model in DELETED:
        session.execute(delete(model).where(_of(model) == contact_id))
    _blank_events(session, contact_id)
    _blank_messages(session, contact_id)
    _blank_runs(session, contact_id)
    _blank_tasks(session, contact_id, now)
    session.execute(update(Consent).where(col(Consent.contact_id) == contact_id).values(proof={"erased": True}))
    session.execute(update(Refusal).where(col(Refusal.contact_id) == contact_id).values(detail={}))
    merges = or_(col(Merge.winner_id) == contact_id, col(Merge.loser_id) == contact_id)
    session.execute(delete(MergeMoved).where(col(MergeMoved.merge_id).in_(select(Merge.id).where(merges))))
    session.execute(update(Merge).where(merges).values(kept={}))
    nothing: dict[str, Any] = dict.fromkeys(FIELDS) | {"attributes": {}, "erased_at": now, "updated_at": now, "last_seen_at": None}
    session.execute(update(Contact).where(or_(col(Contact.id) == contact_id, col(Contact.merged_into) == contact_id)).values(**nothing))
    record(session, by, "contact.erase", f"contact:{contact_id}", {}, now)
    session.expire(contact)
    return done


def _of(model: type[SQLModel]) -> Any:
    return table(model).c.contact_id


def _blank_events(session: Session, contact_id: str) -> None:
    events = table(Event)
    blank = update(events).where(events.c.id == bindparam("of")).values(properties=bindparam("kept"), context={})
    last = 0
    while rows := session.execute(
        select(events.c.id, events.c.type, events.c.properties)
        .where(events.c.contact_id == contact_id, events.c.id > last)
        .order_by(events.c.id)
        .limit(_PAGE)
    ).all():
        session.execute(blank, [{"of": id, "kept": _counted(type, properties)} for id, type, properties in rows])
        last = rows[-1][0]


def _counted(type: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    if type == "system":
        return {name: properties[name] for name in SYSTEM_KEPT if name in properties}
    kept = {name: properties[name] for name in COUNTED if name in properties}
    return {name: value for name, value in kept.items() if _is_count(value) or (name == "currency" and len(str(value)) == 3)}


def _is_count(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _blank_messages(session: Session, contact_id: str) -> None:
    ours = select(Message.id).where(Message.contact_id == contact_id)
    session.execute(
        update(OutboxItem).where(col(OutboxItem.message_id).in_(ours)).values(recipient="", subject="", html="", text="", headers={})
    )
    session.execute(update(Hit).where(col(Hit.message_id).in_(ours)).values(user_agent=""))
    session.execute(
        update(Body).where(col(Body.contact_id) == contact_id).values(recipient="", sender="", subject="", html="", text="", headers={})
    )
    session.execute(update(Message).where(col(Message.contact_id) == contact_id).values(subject="", answer={}))


def _blank_runs(session: Session, contact_id: str) -> None:
    """What a run remembered of its trigger and its decisions goes; where it was and when stays."""
    ours = select(Run.id).where(Run.contact_id == contact_id)
    session.execute(update(Trail).where(col(Trail.run_id).in_(ours)).values(detail={}))
    session.execute(update(MigratedRun).where(col(MigratedRun.run_id).in_(ours)).values(before={}))
    session.execute(update(Run).where(col(Run.contact_id) == contact_id).values(trigger={}, state={}, run_key=""))


def _blank_tasks(session: Session, contact_id: str, now: datetime) -> None:
    ours = select(Task.id).where(Task.contact_id == contact_id)
    session.execute(update(TaskChange).where(col(TaskChange.task_id).in_(ours), col(TaskChange.what) == "cancelled").values(detail={}))
    session.execute(
        update(Task)
        .where(col(Task.contact_id) == contact_id, col(Task.state).in_(("open", "taken")))
        .values(state="cancelled", finished_at=now)
    )
    session.execute(update(Task).where(col(Task.contact_id) == contact_id).values(title="–", description="", note=""))
