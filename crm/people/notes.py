"""Notes on a contact and logged calls: written, changed and deleted by their author, all audited; the text stands in the row and nowhere else.

*Note Added* and *Call Logged* are events of the contact, so journeys and rules can use them. Nothing here routes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session
from sqlmodel import col, select

from journeys.errors import Conflict, Invalid, NotFound, PfadwerkError
from models import Contact, Event, Note
from storage.events import append_event
from storage.json_values import clean_text
from storage.locks import lock_contact
from workspace.audit import record

MAX_TEXT = 4_000
LONGEST_CALL = timedelta(hours=24)
DIRECTIONS = ("outgoing", "incoming")
OUTCOMES = ("reached", "left_message", "no_answer", "busy", "wrong_number")
ADDED, LOGGED = "Note Added", "Call Logged"


class NotTheAuthor(PfadwerkError):
    """Somebody else wrote it."""

    code = "not_the_author"
    status = 403


@dataclass(frozen=True, slots=True)
class Call:
    """A call as people log it. `at`: when it began, None: now; `lasted` None: nobody knows."""

    direction: str
    outcome: str
    text: str = ""
    lasted: timedelta | None = None
    at: datetime | None = None


def add_note(session: Session, contact_id: str, text: str, by: str, now: datetime) -> tuple[Note, Event]:
    """Writes a note; the event is not yet routed.

    Raises:
        NotFound: no such contact.
        Conflict: it was erased.
        Invalid: there is no text, or too much.
    """
    contact = _open(session, contact_id)
    note = Note(contact_id=contact.id, kind="note", text=_needed(text), author=by, at=now)
    return note, _written(session, note, ADDED, {}, by, now)


def log_call(session: Session, contact_id: str, call: Call, by: str, now: datetime) -> tuple[Note, Event]:
    """Logs a call; the event is not yet routed.

    Raises:
        NotFound: no such contact.
        Conflict: it was erased.
        Invalid: an unknown direction or outcome, a call of more than a day or of the future, or too much text.
    """
    contact = _open(session, contact_id)
    if call.direction not in DIRECTIONS:
        raise Invalid("Expected a direction out of {directions}.", directions=list(DIRECTIONS))
    if call.outcome not in OUTCOMES:
        raise Invalid("Expected an outcome out of {outcomes}.", outcomes=list(OUTCOMES))
    if call.lasted is not None and not timedelta(0) <= call.lasted <= LONGEST_CALL:
        raise Invalid("A call lasts from 0 seconds to 24 hours.")
    if call.at is not None and call.at > now:
        raise Invalid("A call cannot be logged before it was made.")
    seconds = int(call.lasted.total_seconds()) if call.lasted is not None else None
    note = Note(
        contact_id=contact.id,
        kind="call",
        text=_fitting(call.text),
        direction=call.direction,
        outcome=call.outcome,
        duration_seconds=seconds,
        author=by,
        at=call.at or now,
    )
    told = {"direction": call.direction, "outcome": call.outcome, "duration_seconds": seconds}
    return note, _written(session, note, LOGGED, told, by, now)


def _written(session: Session, note: Note, event: str, told: Mapping[str, object], by: str, now: datetime) -> Event:
    session.add(note)
    session.flush()
    record(session, by, f"{note.kind}.add", f"contact:{note.contact_id}", {"note": note.id})
    properties = {"note_id": note.id, "author": by.removeprefix("member:"), **told}
    mark = f"{event}:{note.id}"
    return append_event(session, note.contact_id, "system", event, properties, now, message_id=mark, occurred_at=note.at)


def change(session: Session, note_id: str, text: str, by: str, now: datetime) -> Note:
    """Writes another text; what the call was stays.

    Raises:
        NotFound: no such note.
        NotTheAuthor: somebody else wrote it.
        Invalid: there is no text, or too much.
    """
    note = _own(session, note_id, by)
    text = _needed(text) if note.kind == "note" else _fitting(text)
    if text != note.text:
        note.text, note.changed_at = text, now
        session.add(note)
        record(session, by, f"{note.kind}.change", f"contact:{note.contact_id}", {"note": note.id})
        session.flush()
    return note


def delete(session: Session, note_id: str, by: str) -> Note:
    """Deletes it with its text. The copy that is returned is all that is left of it: `restore` takes it back.

    Raises:
        NotFound: no such note.
        NotTheAuthor: somebody else wrote it.
    """
    note = _own(session, note_id, by)
    copy = Note(**note.model_dump())
    session.delete(note)
    record(session, by, f"{note.kind}.delete", f"contact:{note.contact_id}", {"note": note.id})
    session.flush()
    return copy


def restore(session: Session, deleted: Note, by: str) -> Note:
    """Puts a note back that its author deleted, as it was; with the person that the contact has become since. Twice is once.

    Raises:
        NotTheAuthor: somebody else wrote it.
        Conflict: the contact was erased.
    """
    if deleted.author != by:
        raise NotTheAuthor("Only who wrote it may change or delete it.")
    contact = _open(session, deleted.contact_id)
    known = session.get(Note, deleted.id)
    if known is not None:
        return known
    note = Note(**deleted.model_dump() | {"contact_id": contact.id})
    session.add(note)
    record(session, by, f"{note.kind}.restore", f"contact:{contact.id}", {"note": note.id})
    session.flush()
    return note


def get(session: Session, note_id: str) -> Note:
    """Raises: NotFound."""
    note = session.get(Note, note_id)
    if note is None:
        raise NotFound("There is no such note.", note_id=note_id[:64])
    return note


def newest(session: Session, contact_id: str, limit: int) -> Sequence[Note]:
    """The newest notes and calls of a contact, each kind by its index."""
    found: list[Note] = []
    for kind in ("note", "call"):
        rows = select(Note).where(Note.contact_id == contact_id, Note.kind == kind).order_by(col(Note.at).desc(), col(Note.id).desc())
        found += session.scalars(rows.limit(limit))
    return sorted(found, key=lambda one: (one.at, one.id), reverse=True)[:limit]


def _own(session: Session, note_id: str, by: str) -> Note:
    note = get(session, note_id)
    lock_contact(session, note.contact_id)
    locked: Any = session.get(Note, note_id, populate_existing=True)
    if locked is None:
        raise NotFound("There is no such note.", note_id=note_id[:64])
    if locked.author != by:
        raise NotTheAuthor("Only who wrote it may change or delete it.")
    found: Note = locked
    return found


def _open(session: Session, contact_id: str) -> Contact:
    contact = lock_contact(session, contact_id)
    if contact.erased_at is not None:
        raise Conflict("This contact was erased.")
    return contact


def _needed(text: str) -> str:
    if not (found := _fitting(text)):
        raise Invalid("A note needs a text.")
    return found


def _fitting(text: str) -> str:
    text = clean_text(text).strip()
    if len(text) > MAX_TEXT:
        raise Invalid("A text here has at most {most} characters.", most=MAX_TEXT)
    return text
