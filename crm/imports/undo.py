"""Undoing a whole import, contact by contact, as a job that can be tried first.

What it made is removed, and what it changed is set back, unless somebody or something has changed it since: that stays as it is and is listed.
Three things stay in any case, and are told before: withdrawals and suppressed addresses (nobody may get mail because a file was taken back),
merges (they are undone one by one, on the contact), and what was sent meanwhile.

Consents that the file granted stop to apply: their lines of the log stay, marked, and what stood before them stands again where it allows no more.
Nobody is told of any of this, and no journey starts by it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Table, delete, func, or_, select, update
from sqlalchemy.orm import Session
from sqlmodel import SQLModel, col

from crm.companies import members as company_members
from crm.consent import mailbox
from crm.consent.consent import STRICTNESS
from crm.imports import event_rows, uploads
from crm.imports.changes import ATTRIBUTE, What, changes, look
from crm.jobs import add_job, newest_job
from crm.people import duplicates, phones
from crm.scoring import grades
from crm.segments import members
from journeys.errors import Conflict, NotFound
from models import (
    Consent,
    ConsentState,
    Contact,
    ContactPhone,
    Event,
    Identity,
    Import,
    ImportChange,
    Job,
    LeadSource,
    MailboxConsent,
    Score,
    ScoreBooked,
    ScoreChange,
    ScoreFlip,
    ScoreReached,
    Segment,
    SegmentMember,
    Tag,
    Unrouted,
    lock,
)
from storage import company_marks, segment_marks
from storage.events import append_event
from storage.locks import lock_contacts
from storage.sql import on, table, undone
from workspace.audit import record
from workspace.roles import NotAllowed, may

UNDO_FOR = timedelta(days=30)
"""How long an import can be undone, by the product's clock."""
JOB = "import_undo"
PAGE = 25
KEPT: Mapping[str, str] = {
    "erased": "The contact was erased since.",
    "merged": "The contact was merged with another since.",
    "used": "The import made the contact, and something has happened to it since.",
    "changed_since": "Fields or consents were changed again since; those stay.",
    "no": "A withdrawal or a suppressed address stays.",
    "joined": "The import merged contacts; that can be undone on the contact.",
}
"""Why something of a contact stays: code -> sentence (message id of the catalogues), the weightiest first."""
contacts, events, consents, states = table(Contact), table(Event), table(Consent), table(ConsentState)
listed, lists, points = table(SegmentMember), table(Segment), table(ScoreChange)
OWN: Mapping[str, Any] = {
    model.__tablename__: table(model)
    for model in (
        Consent, ConsentState, ContactPhone, Event, Identity, ImportChange, LeadSource, Score, ScoreBooked, ScoreChange, ScoreFlip, ScoreReached, Tag,
    )
}  # fmt: skip
"""Tables whose rows about a contact go with it; consents and events only if they are the import's, scores only if rules gave them."""
_DERIVED = frozenset({"company_mark", "company_member", "duplicate", "segment_flip", "segment_mark", "segment_member"})
_MANY = 500
_TELLING = ("Company Joined", "Company Left", "Consent Changed", "Lead Source Changed", "Score Changed", "Segment Entered", "Segment Left")
"""Our own events that tell of what an import did, beside those whose source it is."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a page did. `cursor` is where the next begins."""

    cursor: str
    counts: Mapping[str, int]
    finished: bool


def can_undo(session: Session, row: Import, now: datetime) -> bool:
    """Whether it is over, not long ago, and anything is known of what it did."""
    if row.state not in ("done", "cancelled", "failed") or row.finished_at is None or row.finished_at < now - UNDO_FOR:
        return False
    return session.scalar(select(changes.c.contact_id).where(changes.c.import_id == row.id).limit(1)) is not None


def begin(session: Session, import_id: str, by: str, role: str, now: datetime, *, dry: bool) -> Job:
    """Queues the job that undoes an import, or tries it.

    Raises:
        NotFound: there is no such import.
        Conflict: it is under way, too old, was undone, or is being undone.
        NotAllowed: the file did something that the role may not do.
    """
    row: Import | None = session.scalar(lock(session, select(Import).where(col(Import.id) == import_id)))
    if row is None:
        raise NotFound("There is no such import.", import_id=import_id)
    if not can_undo(session, row, now):
        raise Conflict("This import cannot be undone: it is in progress, older than 30 days, or already undone.")
    if not all(may(role, act) for act in _acts(row)):
        raise NotAllowed("Your role does not allow this.")
    last = newest(session, import_id)
    if last is not None and last.state == "running":
        raise Conflict("This import is being undone already.")
    return add_job(session, JOB, f"import:{import_id}", {"import_id": import_id, "dry": dry}, by, now, count(session, import_id))


def _acts(row: Import) -> list[str]:
    return uploads.acts_of(row) if "upload" in row.mapping else ["contact.import", "consent.record"]


def newest(session: Session, import_id: str) -> Job | None:
    """The latest undo of an import, or try of one."""
    return newest_job(session, f"import:{import_id}", JOB)


def count(session: Session, import_id: str) -> int:
    """How many contacts it changed, as far as is known."""
    return session.scalar(select(func.count()).select_from(changes).where(changes.c.import_id == import_id)) or 0


def page(session: Session, import_id: str, cursor: str, by: str, now: datetime, keys: Sequence[bytes] = (), *, dry: bool) -> Done:
    """Undoes the next contacts; of a dry run only the counts and the reasons for what would stay remain. `keys`: of `crm.consent.suppression`.

    Counts: removed, set_back, unchanged, and the codes of `KEPT`.
    """
    rows = (
        on(session)
        .execute(
            select(changes)
            .where(changes.c.import_id == import_id, changes.c.contact_id > cursor)
            .order_by(changes.c.contact_id)
            .limit(PAGE)
        )
        .all()
    )
    if dry:
        with undone(session):
            verdicts = _Undoing(session, import_id, rows, now, keys).verdicts()
        session.expire_all()
    else:
        verdicts = _Undoing(session, import_id, rows, now, keys).verdicts()
    counts: dict[str, int] = {}
    for verdict in verdicts.values():
        counts[verdict.did] = counts.get(verdict.did, 0) + 1
        if verdict.kept:
            counts[verdict.kept] = counts.get(verdict.kept, 0) + 1
    _note(session, import_id, verdicts, dry=dry)
    finished = len(rows) < PAGE
    if finished and not dry:
        row = session.get_one(Import, import_id)
        row.state = "undone"
        session.add(row)
        record(session, by, "import.undo", f"import:{import_id}", {})
    return Done(rows[-1].contact_id if rows else cursor, counts, finished)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`did`: removed, set_back or unchanged; `kept`: why something stays, a code of `KEPT`, "" if nothing does."""

    did: str
    kept: str = ""


def _note(session: Session, import_id: str, verdicts: Mapping[str, Verdict], *, dry: bool) -> None:
    """Forgets what is undone; keeps, with the reason, what is not."""
    for id, verdict in verdicts.items():
        if verdict.did == "removed":
            continue  # gone with the contact, or (dry) yet to go
        mine = (changes.c.import_id == import_id, changes.c.contact_id == id)
        if verdict.kept or dry:
            on(session).execute(update(changes).where(*mine).values(kept=verdict.kept))
        else:
            on(session).execute(delete(changes).where(*mine))


class _Undoing:
    """One page of contacts: those that were made and are untouched go together, the others are set back one by one."""

    def __init__(self, session: Session, import_id: str, rows: Sequence[Any], now: datetime, keys: Sequence[bytes]) -> None:
        self.session, self.import_id, self.rows, self.now, self.keys = session, import_id, rows, now, keys
        self.source = f"import:{import_id}"[:64]
        self.contacts = lock_contacts(session, [row.contact_id for row in rows])

    def verdicts(self) -> dict[str, Verdict]:
        made = {row.contact_id: row for row in self.rows if row.made and self._is_somebody(row.contact_id)}
        used = self._used(made)
        gone = [id for id in made if id not in used]
        self._remove(gone)
        found = dict.fromkeys(gone, Verdict("removed"))
        for row in self.rows:
            if row.contact_id not in found:
                found[row.contact_id] = self._one(row, is_used=row.contact_id in used)
        return found

    def _is_somebody(self, id: str) -> bool:
        contact = self.contacts[id]
        return contact.merged_into is None and contact.erased_at is None

    def _one(self, row: Any, *, is_used: bool) -> Verdict:
        contact = self.contacts[row.contact_id]
        if contact.erased_at is not None:
            return Verdict("unchanged", "erased")
        if contact.merged_into is not None:
            return Verdict("unchanged", "merged")
        if is_used:  # it stays as it is, but for what the file said that it agreed to
            return Verdict(self._set_back(contact, What(consents=What.read(row.what).consents), row.at).did, "used")
        return self._set_back(contact, What.read(row.what), row.at)

    # Contacts that it made

    def _used(self, rows: Mapping[str, Any]) -> set[str]:
        """Those of whom anything is known that the import did not bring. `rows`: contact id -> its row of changes."""
        ids = list(rows)
        if not ids:
            return set()
        ours = or_(events.c.source == self.source, (events.c.type == "system") & events.c.name.in_(_TELLING))
        others = select(changes.c.contact_id).where(changes.c.contact_id.in_(ids), changes.c.import_id != self.import_id)
        imported = events.c.source == event_rows.SOURCE
        happened = select(events.c.contact_id).where(events.c.contact_id.in_(ids), ~ours, ~imported).distinct()
        found = set(on(self.session).execute(happened).scalars())
        theirs = on(self.session).execute(select(events.c.contact_id, events.c.context).where(events.c.contact_id.in_(ids), imported))
        found |= {id for id, context in theirs if context.get("import") != self.import_id}
        found |= set(on(self.session).execute(others).scalars())
        said = on(self.session).execute(select(consents.c.contact_id, consents.c.proof).where(consents.c.contact_id.in_(ids)))
        found |= {id for id, proof in said if (proof or {}).get("import") != self.import_id}
        found |= {id for id, row in company_members.of(self.session, ids).items() if row.source != "domain"}
        scored = select(points.c.contact_id).where(points.c.contact_id.in_(ids), points.c.model_id.is_(None)).distinct()
        found |= set(on(self.session).execute(scored).scalars())
        found |= {row.contact_id for row in self._on_lists(ids) if not _put_there(rows[row.contact_id], row)}
        for column in _columns_of_others():
            found |= set(on(self.session).execute(select(column).where(column.in_(ids)).distinct()).scalars())
        return found

    def _on_lists(self, ids: Collection[str]) -> Sequence[Any]:
        """Their places on lists kept by hand."""
        wanted = select(listed).join(lists, lists.c.id == listed.c.segment_id).where(listed.c.contact_id.in_(ids))
        return on(self.session).execute(wanted.where(lists.c.kind == "static", lists.c.state != segment_marks.EMPTYING)).all()

    def _remove(self, ids: Sequence[str]) -> None:
        if not ids:
            return
        session = self.session
        for id in ids:
            mailbox.hide(session, self.keys, id)
            duplicates.forget(session, id)
        for grade in sorted(grade for id in ids if (grade := self.contacts[id].grade) is not None):
            grades.count(session, grade, None, self.now)
        members.forget(session, ids, self.now)
        company_members.forget(session, ids)
        session.flush()
        theirs = select(events.c.id).where(events.c.contact_id.in_(ids))
        on(session).execute(delete(table(Unrouted)).where(table(Unrouted).c.event_id.in_(theirs)))
        for one in OWN.values():
            on(session).execute(delete(one).where(one.c.contact_id.in_(ids)))
        on(session).execute(delete(contacts).where(contacts.c.id.in_(ids)))
        for id in ids:
            session.expunge(self.contacts[id])

    # Contacts that it changed

    def _set_back(self, contact: Contact, what: What, at: datetime) -> Verdict:
        """`at`: when the import wrote last; what was put there later is somebody else's."""
        with segment_marks.silently(self.session):
            fields, lost = self._fields(contact, what)
            tags = self._tags(contact, what.tags, at)
            self._names(contact, what.names)
            consented, changed, no = self._consents(contact, what)
            taken_off = self._lists(contact, what.lists, at)
            gone = self._events(contact) if what.events else 0
            if fields or tags:
                told = {"fields": sorted(name.removeprefix(ATTRIBUTE) for name in fields), **({"tags_removed": tags} if tags else {})}
                append_event(
                    self.session, contact.id, "system", "Contact Changed", told, self.now, source=self.source, routed=True, backfill=True
                )
            segment_marks.mark_for_all(self.session, [contact.id], self.now, silent=True)
        kept = "changed_since" if lost or changed else "no" if no or what.suppressed else "joined" if what.merged else ""
        return Verdict("set_back" if fields or tags or consented or taken_off or gone or what.names else "unchanged", kept)

    def _fields(self, contact: Contact, what: What) -> tuple[list[str], list[str]]:
        """The fields that were set back, and those that say something else by now."""
        further = phones.further(self.session, contact) if phones.FIELD in what.fields else ()
        present, attributes = look(contact, further), dict(contact.attributes)
        back = [name for name, (_, after) in what.fields.items() if present.get(name) == after]
        for name in back:
            before = what.fields[name][0]
            if name == phones.FIELD:
                continue
            if not name.startswith(ATTRIBUTE):
                setattr(contact, name, before)
            elif before is None:
                attributes.pop(name.removeprefix(ATTRIBUTE), None)
            else:
                attributes[name.removeprefix(ATTRIBUTE)] = before
        if back:
            contact.attributes, contact.updated_at = attributes, self.now
            self.session.add(contact)
            self.session.flush()
        if "phone" in back:
            phones.swap(self.session, contact, None, self.now)
        if phones.FIELD in back:
            phones.put(self.session, contact, what.fields[phones.FIELD][0] or (), self.now)
        if "email" in back or "phone" in back:
            mailbox.carry(self.session, contact)
        return back, [name for name in what.fields if name not in back]

    def _tags(self, contact: Contact, added: Collection[str], at: datetime) -> list[str]:
        tags = table(Tag)
        theirs = delete(tags).where(tags.c.contact_id == contact.id, tags.c.tag.in_(list(added)), tags.c.added_at <= at)
        return sorted(on(self.session).execute(theirs.returning(tags.c.tag)).scalars()) if added else []

    def _names(self, contact: Contact, names: Iterable[Sequence[str]]) -> None:
        """What it became known by goes, but for the address that it has now."""
        known = table(Identity)
        for kind, value in names:
            if not (kind == "email" and contact.email == value):
                mine = (known.c.kind == kind, known.c.value == value, known.c.contact_id == contact.id)
                on(self.session).execute(delete(known).where(*mine))

    def _consents(self, contact: Contact, what: What) -> tuple[int, int, int]:
        """How many were set back, were changed since, and stay because they are a no."""
        back = changed = no = 0
        for key, (before, after) in what.consents.items():
            channel, _, purpose = key.partition(" ")
            state = self.session.get(ConsentState, (contact.id, channel, purpose))
            if after[0] == "withdrawn":
                no += 1
            elif state is None or (state.state, state.said_at) != (after[0], datetime.fromisoformat(after[1])):
                changed += 1
            elif before is not None and STRICTNESS[before[0]] < STRICTNESS[after[0]]:
                no += 1
            else:
                self._consent_back(contact, channel, purpose, state, before)
                back += 1
        return back, changed, no

    def _consent_back(self, contact: Contact, channel: str, purpose: str, state: ConsentState, before: Sequence[Any] | None) -> None:
        granted_at = state.said_at
        if before is None:
            self.session.delete(state)
        else:
            state.state, state.said_at, state.dated = before[0], datetime.fromisoformat(before[1]), before[2]
            self.session.add(state)
        self.session.flush()
        log = (col(Consent.contact_id) == contact.id, col(Consent.channel) == channel, col(Consent.purpose) == purpose)
        for line in self.session.scalars(select(Consent).where(*log)):
            if line.proof.get("import") == self.import_id and line.state != "withdrawn":
                line.proof = {**line.proof, "applied": False, "undone": self.now.isoformat()}
                self.session.add(line)
        if before is not None and before[0] == "withdrawn":
            words = table(MailboxConsent)
            theirs = (words.c.contact_id == contact.id, words.c.channel == channel, words.c.purpose == purpose)
            taken_back = (words.c.state == "granted", words.c.proven.is_(False), words.c.said_at == granted_at)
            again = {"state": "withdrawn", "said_at": datetime.fromisoformat(before[1])}
            on(self.session).execute(update(words).where(*theirs, *taken_back).values(**again))
            mailbox.carry(self.session, contact)

    def _lists(self, contact: Contact, ids: Collection[int], at: datetime) -> int:
        found = [row.segment_id for row in self._on_lists([contact.id]) if row.segment_id in ids and row.since <= at] if ids else []
        return sum(len(members.remove(self.session, id, [contact.id], self.now)) for id in found)

    def _events(self, contact: Contact) -> int:
        """Those of the file go; what tells of changes stays."""
        theirs = select(events.c.id, events.c.context).where(events.c.contact_id == contact.id, events.c.source == event_rows.SOURCE)
        ids = [id for id, context in on(self.session).execute(theirs) if context.get("import") == self.import_id]
        for at in range(0, len(ids), _MANY):
            some = ids[at : at + _MANY]
            on(self.session).execute(delete(table(Unrouted)).where(table(Unrouted).c.event_id.in_(some)))
            on(self.session).execute(delete(events).where(events.c.id.in_(some)))
        company_marks.mark_members(self.session, [contact.id] if ids else [], self.now, silent=True)  # orders were counted there
        return len(ids)


def _put_there(row: Any, place: Any) -> bool:
    """Whether the import has put the contact on this list, and nobody has since. `row`: of its changes; `place`: of the list."""
    return place.segment_id in What.read(row.what).lists and bool(place.since <= row.at)


def _columns_of_others() -> list[Any]:
    """Columns by which rows of other tables are about a contact: one row there, and a contact is in use."""
    found = []
    for one in SQLModel.metadata.sorted_tables:
        if one.name not in OWN and one.name not in _DERIVED and one.name != contacts.name:
            found += [column for column in one.columns if _is_of_contact(column, contacts)]
    return found


def _is_of_contact(column: Any, whom: Table) -> bool:
    return any(key.column.table is whom for key in column.foreign_keys)


def kept_of(session: Session, import_id: str, limit: int = 100) -> list[tuple[str, str]]:
    """(contact id, code of `KEPT`) of contacts of which something stays, after an undo or its dry run."""
    wanted = select(changes.c.contact_id, changes.c.kept).where(changes.c.import_id == import_id, changes.c.kept != "")
    return [(id, code) for id, code in on(session).execute(wanted.order_by(changes.c.contact_id).limit(limit))]


def are_old(session: Session, now: datetime) -> bool:
    """Whether `forget_old` would find anything."""
    return session.scalar(select(changes.c.contact_id).where(changes.c.at < now - UNDO_FOR).limit(1)) is not None


def forget_old(session: Session, now: datetime, limit: int = 500) -> int:
    """Deletes what can no longer be undone; how much it was. What tells why something stayed goes with it."""
    old = select(changes.c.import_id, changes.c.contact_id).where(changes.c.at < now - UNDO_FOR).order_by(changes.c.at).limit(limit)
    rows = on(session).execute(old).all()
    for row in rows:
        mine = (changes.c.import_id == row.import_id, changes.c.contact_id == row.contact_id)
        on(session).execute(delete(changes).where(*mine))
    return len(rows)
