"""What is kept no longer than it is needed: a job a day deletes it, in small transactions, and counts what it did.

Source: GDPR Art. 5(1)(e). Consents with their proofs, suppressed addresses, the ledger of messages and the audit trail stay: they prove what was
allowed and done. So does the bare row of a run: whether somebody may enter again hangs on it.

Rows that are deleted are found at the beginning of their table; of those that are emptied a mark says how far it is. Nothing reads what
was looked at before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, delete, or_, true, update
from sqlalchemy.orm import Session
from sqlmodel import SQLModel, col, select

from crm import jobs
from crm.people import devices, in_app
from crm.privacy.erasure import erase
from crm.segments import segments
from models import (
    Body,
    Consent,
    Contact,
    Event,
    FormSubmission,
    Hit,
    Identity,
    InAppMessage,
    InboundMail,
    Inbox,
    Job,
    Message,
    MigratedRun,
    OptIn,
    OutboxItem,
    PurgeMark,
    Refusal,
    Run,
    Tag,
    Trail,
    Unrouted,
)
from storage import company_marks, segment_marks
from storage.locks import lock_contact
from storage.sql import table
from workspace import settings

JOB = "purge"
SUBJECT = "retention"
EVERY = timedelta(days=1)
PAGE = 25
MANY = 200
"""Of small rows, and of those that are looked at only."""
INBOUND_KEPT = timedelta(days=30)
"""So long a mail that came in is known again. Nothing else of it is kept."""
OPEN = ("planned", "held", "claimed", "uncertain")
"""A message of these states could still be sent again, but not without its text."""


@dataclass(frozen=True, slots=True)
class Purged:
    """What one page did: counts for the job, runs to wake, and where the next page begins (None: this kind is done)."""

    counts: Mapping[str, int]
    next: str | None = None
    to_wake: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Purge:
    """One kind of data. `is_due` reads one row by an index; `page` deletes or empties what is older than the workspace keeps it, after `position`
    (empty: from the beginning)."""

    name: str
    is_due: Callable[[Session, datetime], bool]
    page: Callable[[Session, str, datetime, Sequence[bytes]], Purged]


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
    name, _, position = cursor.partition(":")
    place = names.index(name) if name in names else 0
    done = PURGES[place].page(session, position, now, keys)
    if done.next is not None:
        return f"{names[place]}:{done.next}", done
    return (names[place + 1] if place + 1 < len(names) else ""), done


def _before(session: Session, kind: str, now: datetime) -> datetime:
    kept: timedelta = getattr(settings.load(session, settings.Retention), kind)
    return now - kept


# Addresses that did not confirm


def _old_opt_ins(session: Session, now: datetime, limit: int) -> Sequence[OptIn]:
    before = now - settings.load(session, settings.DoubleOptIn).purge
    statement = select(OptIn).where(col(OptIn.asked_at) < before).order_by(col(OptIn.asked_at), col(OptIn.id)).limit(limit)
    return session.scalars(statement).all()


def _opt_ins(session: Session, _position: str, now: datetime, keys: Sequence[bytes]) -> Purged:
    """The request goes in any case: what was confirmed is proved by the consent. The contact goes with it if there is nothing else about it."""
    rows = _old_opt_ins(session, now, PAGE)
    gone, ended = 0, list[str]()
    for row in sorted(rows, key=lambda one: one.contact_id):
        contact_id = lock_contact(session, row.contact_id).id  # whoever is making somebody of it is through before we look
        waited = row.state == "waiting" and row.made_contact
        session.delete(row)
        session.flush()
        if waited and _is_nobody(session, contact_id):
            ended += erase(session, contact_id, now, by="system", keys=keys).to_wake
            gone += 1
    counts = {"unconfirmed": gone, "opt_ins": len(rows)} if rows else {}
    return Purged(counts, "" if len(rows) == PAGE else None, ended)


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
    own = contact.attributes or contact.owner or contact.first_name or contact.last_name or contact.phone or contact.postal_address
    return not own and not any(session.execute(one.limit(1)).first() for one in (said, named, did, tagged, asks, went))


# Texts of messages, and what ended runs remember: emptied, up to a mark


def _marked(session: Session, name: str) -> str:
    mark = session.get(PurgeMark, name)
    return mark.after if mark is not None else ""


def _mark(session: Session, name: str, after: str) -> None:
    session.merge(PurgeMark(name=name, after=after))


def _old_bodies(session: Session, now: datetime, limit: int) -> Sequence[Any]:
    """The next ones; ids grow with time, so the first that is younger ends them."""
    bodies, before = table(Body), _before(session, "bodies", now)
    statement = select(bodies.c.id, bodies.c.contact_id, bodies.c.created_at).where(bodies.c.id > _marked(session, "bodies"))
    return _older(session.execute(statement.order_by(bodies.c.id).limit(limit)).all(), "created_at", before)


def _bodies(session: Session, _position: str, now: datetime, _keys: Sequence[bytes]) -> Purged:
    """The text goes; to whom it went stays, because a no that comes by its link is said by that mailbox."""
    rows = _old_bodies(session, now, MANY)
    if not rows:
        return Purged({})
    ids = [row.id for row in rows]
    messages, outbox = table(Message), table(OutboxItem)
    theirs = session.execute(
        select(messages.c.id, messages.c.status).where(
            messages.c.contact_id.in_(sorted({row.contact_id for row in rows})), messages.c.body_id.in_(ids)
        )
    ).all()
    session.execute(update(messages).where(messages.c.id.in_([one.id for one in theirs if one.status in OPEN])).values(body_id=None))
    nothing = {"subject": "", "html": "", "text": "", "headers": {}, "parts": {}}
    session.execute(update(outbox).where(outbox.c.message_id.in_([one.id for one in theirs])).values(recipient="", **nothing))
    session.execute(update(table(Body)).where(table(Body).c.id.in_(ids)).values(sender="", delivery={}, **nothing))
    _mark(session, "bodies", ids[-1])
    return Purged({"bodies": len(ids)}, "" if len(ids) == MANY else None)


def _old_runs(session: Session, now: datetime, limit: int) -> Sequence[Any]:
    runs, before = table(Run), _before(session, "runs", now)
    statement = select(runs.c.id, runs.c.ended_at).where(runs.c.ended_at.is_not(None), runs.c.ended_at < before)
    ended, _, last = _marked(session, "runs").partition("|")
    if ended:
        at = datetime.fromisoformat(ended)
        statement = statement.where(or_(runs.c.ended_at > at, and_(runs.c.ended_at == at, runs.c.id > last)), runs.c.ended_at >= at)
    return session.execute(statement.order_by(runs.c.ended_at, runs.c.id).limit(limit)).all()


def _runs(session: Session, _position: str, now: datetime, _keys: Sequence[bytes]) -> Purged:
    """What a run remembered of its trigger and its decisions goes; where it was, when, and how it ended stays."""
    rows = _old_runs(session, now, PAGE)
    if not rows:
        return Purged({})
    ids = [row.id for row in rows]
    session.execute(update(Trail).where(col(Trail.run_id).in_(ids)).values(detail={}))
    session.execute(update(MigratedRun).where(col(MigratedRun.run_id).in_(ids)).values(before={}))
    session.execute(delete(Inbox).where(col(Inbox.run_id).in_(ids)))
    session.execute(update(Run).where(col(Run.id).in_(ids)).values(trigger={}, state={}, error=""))
    _mark(session, "runs", f"{rows[-1].ended_at.isoformat()}|{ids[-1]}")
    return Purged({"runs": len(ids)}, "" if len(ids) == PAGE else None)


# Events, hits and refusals: deleted


def _older(rows: Iterable[Any], column: str, before: datetime) -> list[Any]:
    found = []
    for row in rows:
        if getattr(row, column) >= before:
            break
        found.append(row)
    return found


def _old_rows(session: Session, model: type[SQLModel], column: str, after: int, before: datetime, limit: int) -> list[Any]:
    """The first rows after an id; ids grow with time, so the first that is younger ends them."""
    rows = table(model)
    wanted = [rows.c.id, rows.c[column], *([rows.c.contact_id, rows.c.name] if model is Event else [])]
    return _older(session.execute(select(*wanted).where(rows.c.id > after).order_by(rows.c.id).limit(limit)), column, before)


def _events(session: Session, position: str, now: datetime, _keys: Sequence[bytes]) -> Purged:
    """But those that an open run of the contact may still ask for, that wait in an inbox, or that are not routed yet."""
    rows = _old_rows(session, Event, "received_at", int(position or 0), _before(session, "events", now), MANY)
    gone = sorted({row.id for row in rows} - _needed(session, rows))
    events = table(Event)
    session.execute(delete(events).where(events.c.id.in_(gone), events.c.routed == true()))
    _ask_segments(session, [row for row in rows if row.id in set(gone)], now)
    paid = {row.contact_id for row in rows if row.id in set(gone) and row.name in company_marks.ORDERS}
    company_marks.mark_members(session, paid, now, silent=True)
    return Purged({"events": len(gone)} if gone else {}, str(rows[-1].id) if len(rows) == MANY else None)


def _ask_segments(session: Session, rows: Sequence[Any], now: datetime) -> None:
    """Rules that count them may answer otherwise now; nobody did anything, so nobody is told."""
    contacts: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        contacts[row.name].add(row.contact_id)
    for name, ids in contacts.items():
        segment_marks.mark(session, ids, (f"event:{name}",), now, silent=True)


def _needed(session: Session, rows: Sequence[Any]) -> set[int]:
    ids, runs = [row.id for row in rows], table(Run)
    kept = set(session.scalars(select(Inbox.event_id).where(col(Inbox.event_id).in_(ids))))
    kept |= set(session.scalars(select(Unrouted.event_id).where(col(Unrouted.event_id).in_(ids))))
    theirs = sorted({row.contact_id for row in rows})
    is_open = select(runs.c.contact_id).where(runs.c.contact_id.in_(theirs), runs.c.ended_at.is_(None)).distinct()
    busy = set(session.scalars(is_open))
    return kept | {row.id for row in rows if row.contact_id in busy}


def _old_submissions(session: Session, now: datetime, limit: int) -> Sequence[str]:
    """Of forms: those that wait for a mailbox for as long as such a request is kept, and the others for as long as the workspace keeps them."""
    waited = now - settings.load(session, settings.DoubleOptIn).purge
    rows, at = select(FormSubmission.id), col(FormSubmission.submitted_at)
    waiting = session.scalars(rows.where(FormSubmission.state == "waiting", at < waited).order_by(at).limit(limit)).all()
    old = session.scalars(rows.where(at < _before(session, "submissions", now)).order_by(at, col(FormSubmission.id)).limit(limit)).all()
    return [*dict.fromkeys([*waiting, *old])][:limit]


def _submissions(session: Session, _position: str, now: datetime, _keys: Sequence[bytes]) -> Purged:
    ids = _old_submissions(session, now, MANY)
    session.execute(delete(FormSubmission).where(col(FormSubmission.id).in_(ids)))
    return Purged({"submissions": len(ids)} if ids else {}, "" if len(ids) == MANY else None)


def _deleting(model: type[SQLModel], column: str, kind: str) -> Purge:
    """A kind whose rows nothing else needs."""

    def is_due(session: Session, now: datetime) -> bool:
        return bool(_old_rows(session, model, column, 0, _before(session, kind, now), 1))

    def page(session: Session, _position: str, now: datetime, _keys: Sequence[bytes]) -> Purged:
        ids = [row.id for row in _old_rows(session, model, column, 0, _before(session, kind, now), MANY)]
        session.execute(delete(table(model)).where(table(model).c.id.in_(ids)))
        return Purged({kind: len(ids)} if ids else {}, "" if len(ids) == MANY else None)

    return Purge(kind, is_due, page)


def _old_in_app(session: Session, now: datetime, limit: int) -> Sequence[int | None]:
    """Messages of inboxes whose time was over long ago; before that the same one could come in again."""
    statement = select(InAppMessage.id).where(col(InAppMessage.expires_at) < now - in_app.KEPT)
    return session.scalars(statement.order_by(col(InAppMessage.expires_at)).limit(limit)).all()


def _in_app(session: Session, _position: str, now: datetime, _keys: Sequence[bytes]) -> Purged:
    ids = _old_in_app(session, now, MANY)
    session.execute(delete(InAppMessage).where(col(InAppMessage.id).in_(ids)))
    return Purged({"in_app_messages": len(ids)} if ids else {}, "" if len(ids) == MANY else None)


def _devices(session: Session, _position: str, now: datetime, _keys: Sequence[bytes]) -> Purged:
    """One by one, since each changes its contact."""
    ids = devices.unseen(session, now, PAGE)
    gone = sum(devices.take(session, id, "unseen", now) for id in ids)
    return Purged({"devices": gone} if gone else {}, "" if len(ids) == PAGE else None)


def _old_inbound(session: Session, now: datetime, limit: int) -> Sequence[int | None]:
    statement = select(InboundMail.id).where(col(InboundMail.received_at) < now - INBOUND_KEPT).order_by(col(InboundMail.received_at))
    return session.scalars(statement.limit(limit)).all()


def _inbound(session: Session, _position: str, now: datetime, _keys: Sequence[bytes]) -> Purged:
    ids = _old_inbound(session, now, MANY)
    session.execute(delete(InboundMail).where(col(InboundMail.id).in_(ids)))
    return Purged({"inbound_mails": len(ids)} if ids else {}, "" if len(ids) == MANY else None)


def _segments(session: Session, _position: str, now: datetime, _keys: Sequence[bytes]) -> Purged:
    """Deleted ones that nobody has taken back. Their members go in jobs of their own."""
    rows = segments.too_old(session, now, MANY)
    for row in rows:
        segments.for_good(session, row, "system", now)
    return Purged({"segments": len(rows)} if rows else {}, "" if len(rows) == MANY else None)


def _is_event_due(session: Session, now: datetime) -> bool:
    return bool(_old_rows(session, Event, "received_at", 0, _before(session, "events", now), 1))


PURGES: Sequence[Purge] = (
    Purge("opt_ins", lambda session, now: bool(_old_opt_ins(session, now, 1)), _opt_ins),
    Purge("submissions", lambda session, now: bool(_old_submissions(session, now, 1)), _submissions),
    Purge("bodies", lambda session, now: bool(_old_bodies(session, now, 1)), _bodies),
    _deleting(Hit, "hit_at", "hits"),
    _deleting(Refusal, "refused_at", "refusals"),
    Purge("in_app_messages", lambda session, now: bool(_old_in_app(session, now, 1)), _in_app),
    Purge("devices", lambda session, now: bool(devices.unseen(session, now, 1)), _devices),
    Purge("inbound_mails", lambda session, now: bool(_old_inbound(session, now, 1)), _inbound),
    Purge("segments", lambda session, now: bool(segments.too_old(session, now, 1)), _segments),
    Purge("runs", lambda session, now: bool(_old_runs(session, now, 1)), _runs),
    Purge("events", _is_event_due, _events),
)
"""In the order in which a job goes through them: runs before events, which they may keep."""
