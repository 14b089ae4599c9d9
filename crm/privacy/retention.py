"""What is kept no longer than it is needed: a job a day deletes it, in small transactions, and counts what it did.

Source: GDPR Art. 5(1)(e). Consents with their proofs, suppressed addresses and the audit trail stay: they prove what was allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session
from sqlmodel import col, select

from crm import jobs
from crm.privacy.erasure import erase
from models import Consent, Contact, Event, Identity, Job, OptIn, Run, Tag
from workspace import settings

JOB = "purge"
SUBJECT = "retention"
EVERY = timedelta(days=1)
PAGE = 25


@dataclass(frozen=True, slots=True)
class Purged:
    """What one page did: counts for the job, runs to wake, and whether there may be more."""

    counts: Mapping[str, int]
    to_wake: Sequence[str] = ()
    more: bool = False


@dataclass(frozen=True, slots=True)
class Purge:
    """One kind of data. `is_due` reads one row of an index; `page` deletes some of what is older than the workspace keeps it."""

    name: str
    is_due: Callable[[Session, datetime], bool]
    page: Callable[[Session, datetime, Sequence[bytes]], Purged]


def queue(session: Session, now: datetime) -> Job | None:
    """The day's job, if there is anything to delete and none was queued within a day."""
    newest = jobs.newest_job(session, SUBJECT, JOB)
    if newest is not None and (newest.state == "running" or newest.created_at > now - EVERY):
        return None
    return jobs.add_job(session, JOB, SUBJECT, {}, "system", now) if is_due(session, now) else None


def is_due(session: Session, now: datetime) -> bool:
    return any(one.is_due(session, now) for one in PURGES)


def page(session: Session, cursor: str, now: datetime, keys: Sequence[bytes]) -> tuple[str, Purged]:
    """The next page of the kind that `cursor` names (empty: the first), and where the one after begins; empty at the end."""
    names = [one.name for one in PURGES]
    place = names.index(cursor) if cursor in names else 0
    done = PURGES[place].page(session, now, keys)
    if done.more:
        return names[place], done
    return (names[place + 1] if place + 1 < len(names) else ""), done


# Addresses that did not confirm


def _old_opt_ins(session: Session, now: datetime, limit: int) -> Sequence[OptIn]:
    before = now - settings.load(session, settings.DoubleOptIn).purge
    statement = select(OptIn).where(col(OptIn.asked_at) < before).order_by(col(OptIn.asked_at), col(OptIn.id)).limit(limit)
    return session.scalars(statement).all()


def _purge_opt_ins(session: Session, now: datetime, keys: Sequence[bytes]) -> Purged:
    """The request goes in any case: what was confirmed is proved by the consent. The contact goes with it if there is nothing else about it."""
    rows = _old_opt_ins(session, now, PAGE)
    gone, ended = 0, list[str]()
    for row in sorted(rows, key=lambda one: one.contact_id):
        waited, contact_id = row.state == "waiting" and row.made_contact, row.contact_id
        session.delete(row)
        session.flush()
        if waited and _is_nobody(session, contact_id):
            ended += erase(session, contact_id, now, by="system", keys=keys).to_wake
            gone += 1
    counts = {"unconfirmed": gone, "opt_ins": len(rows)} if rows else {}
    return Purged(counts, ended, len(rows) == PAGE)


def _is_nobody(session: Session, contact_id: str) -> bool:
    """Whether a sign-up that was not confirmed is all there is about a contact."""
    contact = session.get(Contact, contact_id)
    if contact is None or contact.erased_at is not None or contact.merged_into is not None or contact.vouched:
        return False
    said = select(Consent.id).where(Consent.contact_id == contact_id, Consent.state != "pending")
    named = select(Identity.kind).where(Identity.contact_id == contact_id, Identity.kind != "email")
    did = select(Event.id).where(Event.contact_id == contact_id, Event.type != "system")
    tagged = select(Tag.tag).where(Tag.contact_id == contact_id)
    asks = select(OptIn.id).where(OptIn.contact_id == contact_id)
    went = select(Run.id).where(Run.contact_id == contact_id)
    own = contact.attributes or contact.owner or contact.first_name or contact.last_name or contact.phone
    return not own and not any(session.execute(one.limit(1)).first() for one in (said, named, did, tagged, asks, went))


PURGES: Sequence[Purge] = (Purge("opt_ins", lambda session, now: bool(_old_opt_ins(session, now, 1)), _purge_opt_ins),)
"""In the order in which a job goes through them."""
