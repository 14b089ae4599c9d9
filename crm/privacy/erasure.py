"""Erasing a person (GDPR Art. 17): what named the person goes, what was counted stays.

The row stays as an empty shell so that events, runs and messages keep their place in reports. Suppressions are keyed hashes and
stay, and what was said of the person's addresses becomes one (`crm.consent.mailbox`), so that a later import cannot bring them back into marketing. The consent log stays
without its proofs (Art. 17(3)(e)). Workflow histories hold ids only. Links that only this person got go as a whole
(`crm.privacy.traces`), and so do files that name the person and still wait to be imported (`crm.privacy.erasure_rest`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, or_, update
from sqlalchemy.orm import Session
from sqlmodel import SQLModel, col, select

from crm.companies import members as company_members
from crm.consent import mailbox
from crm.coupons import reservations
from crm.people import duplicates
from crm.people.merge import FIELDS
from crm.privacy import erasure_rest, traces
from crm.scoring import booked, grades
from crm.segments import members
from models import (
    Body,
    Consent,
    ConsentState,
    Contact,
    ContactPhone,
    Database,
    Device,
    Event,
    FormSubmission,
    Hit,
    Identity,
    ImportChange,
    InAppMessage,
    LeadSource,
    Merge,
    MergeMoved,
    Message,
    MigratedRun,
    Note,
    OptIn,
    OutboxItem,
    Refusal,
    Run,
    Score,
    ScoreBooked,
    ScoreChange,
    Subscription,
    Tag,
    Task,
    TaskChange,
    Trail,
)
from storage.erasure_fence import ERASED, keep_imports_out
from storage.locks import lock_contact
from storage.run_rows import end_runs, open_runs
from storage.sql import table
from workspace import task_notices
from workspace.audit import record

log = logging.getLogger("pfadwerk.crm")

COUNTED = ("total", "revenue", "value", "price", "quantity", "currency")
"""Properties of events that reports add up; numbers and currency codes, they name nobody."""
SYSTEM_KEPT = (
    "after", "before", "channel", "fields", "group", "journey", "machine", "message_class", "message_id", "model", "node", "outcome", "purpose", "run_id",
    "segment", "state", "task_id", "template", "threshold",
)  # fmt: skip
"""Properties of our own events that hold ids and names of settings."""
_PAGE = 500
DELETED: tuple[type[SQLModel], ...] = (
    Identity,
    Tag,
    Score,
    ScoreBooked,
    ScoreChange,
    ConsentState,
    Subscription,
    OptIn,
    FormSubmission,
    InAppMessage,
    Device,
    ContactPhone,
    LeadSource,
    ImportChange,
    Note,
)


@dataclass(slots=True)
class Erased:
    """`to_wake`: runs that ended. `changed`: false if it was erased before. `job_id`: what looks through the rest."""

    contact_id: str
    to_wake: list[str] = field(default_factory=list)
    changed: bool = False
    job_id: str | None = None


def erase_person(db: Database, contact_id: str, now: datetime, *, by: str, keys: Sequence[bytes] = ()) -> Erased:
    """Erases a person from the whole database, its free pages and SQLite's log included. See `erase`.

    The contact's rows are emptied at once. Files that wait, and what others typed elsewhere, are looked through by a job (`crm.privacy.erasure_rest`) that
    the same transaction queues.

    Raises:
        NotFound: no such contact.
    """
    with db.write() as session:
        keep_imports_out(session)
        ids = traces.ids_of(session, contact_id)
        values = traces.values_of(session, ids)
        done = erase(session, contact_id, now, by=by, keys=keys)
        if done.changed:
            done.job_id = erasure_rest.queue(session, done.contact_id, values, by, now, keys).id
    if not db.scrub():
        log.warning("an erased person may stand in the database's log for a while: readers kept it open")
    return done


def erase(session: Session, contact_id: str, now: datetime, *, by: str, keys: Sequence[bytes] = ()) -> Erased:
    """Erases the person: the contact, the one it was merged into, and everything that was. A second call changes nothing.

    `keys` are those of `crm.consent.suppression`; without them a withdrawn consent leaves no trace. Open runs end with the reason `erased`.

    Raises:
        NotFound: no such contact.
    """
    keep_imports_out(session)
    contact = lock_contact(session, contact_id)
    done = Erased(contact.id)
    if contact.erased_at is not None:
        return done
    done.changed = True
    session.flush()
    ids = traces.ids_of(session, contact.id)
    values = traces.values_of(session, ids)
    traces.forget_links(session, ids, values)
    traces.forget_words(session, ids, values)
    for id in ids:
        mailbox.hide(session, keys, id)
        duplicates.forget(session, id)
    done.to_wake = end_runs(session, open_runs(session, ids), "erased", now)
    for model in DELETED:
        session.execute(delete(model).where(_of(model).in_(ids)))
    members.forget(session, ids, now)
    company_members.forget(session, ids)
    booked.forget(session, ids)
    grades.count(session, contact.grade, None, now)
    for id in ids:
        _blank_events(session, id)
    _blank_messages(session, ids)
    _blank_runs(session, ids)
    _blank_tasks(session, ids, now)
    session.execute(update(Consent).where(col(Consent.contact_id).in_(ids)).values(proof={"erased": True}))
    reservations.forget(session, ids)
    session.execute(update(Refusal).where(col(Refusal.contact_id).in_(ids)).values(detail={}))
    merges = or_(col(Merge.winner_id).in_(ids), col(Merge.loser_id).in_(ids))
    session.execute(delete(MergeMoved).where(col(MergeMoved.merge_id).in_(select(Merge.id).where(merges))))
    session.execute(update(Merge).where(merges).values(kept={}))
    nothing: dict[str, Any] = dict.fromkeys(FIELDS) | {
        "attributes": {},
        "erased_at": now,
        "updated_at": now,
        "last_seen_at": None,
        "push_devices": None,
        "grade": None,
    }
    session.execute(update(Contact).where(col(Contact.id).in_(ids)).values(**nothing))
    record(session, by, ERASED, f"contact:{contact.id}", {})
    session.expire(contact)
    return done


def _of(model: type[SQLModel]) -> Any:
    return table(model).c.contact_id


def _blank_events(session: Session, contact_id: str) -> None:
    events = table(Event)
    blank = (
        update(events).where(events.c.id == bindparam("of")).values(properties=bindparam("kept"), context={}, message_id=bindparam("mark"))
    )
    last = 0
    while rows := session.execute(
        select(events.c.id, events.c.type, events.c.properties, events.c.message_id)
        .where(events.c.contact_id == contact_id, events.c.id > last)
        .order_by(events.c.id)
        .limit(_PAGE)
    ).all():
        # A sender chose the mark of its event, and may have put anything into it; ours are made of ids.
        session.execute(
            blank,
            [
                {"of": id, "kept": _counted(type, properties), "mark": mark if type == "system" else f"erased:{id}"}
                for id, type, properties, mark in rows
            ],
        )
        last = rows[-1][0]


def _counted(type: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    if type == "system":
        return {name: properties[name] for name in SYSTEM_KEPT if name in properties}
    kept = {name: properties[name] for name in COUNTED if name in properties}
    return {name: value for name, value in kept.items() if _is_count(value) or (name == "currency" and len(str(value)) == 3)}


def _is_count(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _blank_messages(session: Session, ids: Sequence[str]) -> None:
    ours = select(Message.id).where(col(Message.contact_id).in_(ids))
    session.execute(
        update(OutboxItem)
        .where(col(OutboxItem.message_id).in_(ours))
        .values(recipient="", subject="", html="", text="", headers={}, parts={})
    )
    session.execute(update(Hit).where(col(Hit.message_id).in_(ours)).values(user_agent=""))
    session.execute(
        update(Body)
        .where(col(Body.contact_id).in_(ids))
        .values(recipient="", sender="", subject="", html="", text="", headers={}, parts={}, delivery={})
    )
    session.execute(update(Message).where(col(Message.contact_id).in_(ids)).values(subject="", answer={}))


def _blank_runs(session: Session, ids: Sequence[str]) -> None:
    """What a run remembered of its trigger and its decisions goes; where it was and when stays."""
    ours = select(Run.id).where(col(Run.contact_id).in_(ids))
    session.execute(update(Trail).where(col(Trail.run_id).in_(ours)).values(detail={}))
    session.execute(update(MigratedRun).where(col(MigratedRun.run_id).in_(ours)).values(before={}))
    session.execute(update(Run).where(col(Run.contact_id).in_(ids)).values(trigger={}, state={}, run_key="", error=""))


def _blank_tasks(session: Session, ids: Sequence[str], now: datetime) -> None:
    ours = select(Task.id).where(col(Task.contact_id).in_(ids))
    session.execute(update(TaskChange).where(col(TaskChange.task_id).in_(ours)).values(detail={}))
    session.execute(
        update(Task).where(col(Task.contact_id).in_(ids), col(Task.state).in_(("open", "taken"))).values(state="cancelled", finished_at=now)
    )
    session.execute(update(Task).where(col(Task.contact_id).in_(ids)).values(title="–", description="", note=""))
    task_notices.note_change(session, ours)
