"""What senders were refused, by key: gathered in memory while events come in, written every few seconds, at most `MOST` kinds a key.

Rows survive a restart; what a killed process had gathered since its last writing is lost. Holds names of events and fields, never values.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session
from sqlmodel import col

from journeys.spelling import one_line
from models import Database, IntakeProblem
from storage.sql import table, upsert

MOST = 100
"""Of one key; the oldest are forgotten."""
MAX_GATHERED = 1_000
"""Kinds of problem between two writings; what is more only counts in the metrics."""

REASONS: Mapping[str, str] = {
    "not_an_object": "An object was expected.",
    "unknown_type": "The type of call is missing or unknown.",
    "no_ids": "An alias needs `previousId` and `userId`.",
    "nobody": "It identifies no one: `userId` or `anonymousId` is missing or a placeholder.",
    "unreadable": "It contains something that cannot be stored: nesting too deep, half a character, or a number too large.",
    "too_large": "It is longer or larger than allowed.",
    "no_time": "An ISO 8601 instant after 1970 was expected.",
    "no_event_name": "The name of the event is missing.",
    "reserved_name": "This name is reserved for events written by the server.",
    "not_a_text": "A text was expected.",
    "not_a_list": "A short list was expected.",
    "unknown_word": "One of the known values was expected.",
    "unstorable": "The database cannot store its content.",
    "invalid_email": "This is not an e-mail address.",
    "invalid_phone": "This is not a phone number.",
    "invalid_postal_address": "This is not a postal address, or there is no country of that name.",
    "invalid_timezone": "This is not a known time zone.",
    "invalid_locale": "This is not a language code.",
    "wrong_type": "The value has the wrong type.",
    "too_long": "The value is too long.",
    "too_deep": "The value is nested too deeply.",
    "no_name": "The field has no usable name.",
    "read_only": "This field is maintained by the server.",
    "too_much": "The contact has too many fields.",
    "needs_server_key": "A browser key may not set this.",
    "filled": "A browser key cannot overwrite values.",
    "number": "A number was expected; the value is kept unchanged.",
    "boolean": "Yes or no was expected; the value is kept unchanged.",
    "string": "A text was expected; the value is kept unchanged.",
    "date": "A date was expected; the value is kept unchanged.",
    "datetime": "A date with time was expected; the value is kept unchanged.",
    "other": "It does not follow the specification.",
}
"""Code -> the sentence for people (a message id of the catalogues)."""

_BEGINNINGS: Sequence[tuple[str, str]] = (
    ("expected an object", "not_an_object"),
    ("expected one of track", "unknown_type"),
    ("expected one of", "unknown_word"),
    ("expected previousId", "no_ids"),
    ("expected userId", "nobody"),
    ("expected JSON", "unreadable"),
    ("expected an ISO", "no_time"),
    ("expected an instant", "no_time"),
    ("expected the name", "no_event_name"),
    ("this name is kept", "reserved_name"),
    ("expected at most", "too_large"),
    ("expected a text", "not_a_text"),
    ("expected a list", "not_a_list"),
    ("expected {", "not_an_object"),
    ("A value is nested", "too_deep"),
    ("A key is longer", "too_large"),
    ("An object is larger", "too_large"),
    ("the database", "unstorable"),
)


def code_of(sentence: str) -> str:
    """The code of what the tracking door said about an event."""
    return next((code for beginning, code in _BEGINNINGS if sentence.startswith(beginning)), "other")


def shortened(name: object, most: int) -> str:
    """A name of an event or a field for people to recognise: one line, without what looks like an address or a number of a person."""
    if not isinstance(name, str):
        return ""
    plain = _PERSONAL.sub("…", one_line(name[:400]))
    return plain if len(plain) <= most else plain[: most - 1] + "…"


_PERSONAL = re.compile(r"\S*@\S*|\+?[0-9][0-9 ()/.-]{5,}[0-9]")


@dataclass(frozen=True, slots=True)
class Note:
    """One problem: see `models.IntakeProblem`."""

    what: str
    event: str
    field: str
    reason: str


class Intake:
    """Gathers notes from any thread; `flush` writes them."""

    def __init__(self, db: Database, now: Callable[[], datetime]) -> None:
        self._db = db
        self._now = now
        self._lock = threading.Lock()
        self._gathered: dict[tuple[str, Note], tuple[int, datetime, datetime]] = {}

    def note(self, key_id: str, what: str, event: object, field: str, reason: str) -> None:
        """Counts a problem of a key's event."""
        known = reason if reason in REASONS else "other"
        place = (key_id, Note(what, shortened(event, 60), shortened(field, 80), known))
        now = self._now()
        with self._lock:
            count, first, _ = self._gathered.get(place, (0, now, now))
            if count or len(self._gathered) < MAX_GATHERED:
                self._gathered[place] = (count + 1, first, now)

    def flush(self) -> None:
        """Writes what was gathered, in one transaction, and forgets the oldest of each key it touched."""
        with self._lock:
            gathered, self._gathered = self._gathered, {}
        if not gathered:
            return
        with self._db.write() as session:
            for (key_id, note), (count, first, last) in sorted(gathered.items(), key=lambda one: (one[0][0], str(one[0][1]))):
                _add(session, key_id, note, count, first, last)
            for key_id in sorted({key_id for key_id, _ in gathered}):
                _forget_oldest(session, key_id)


def problems_of(session: Session, key_id: str) -> Sequence[IntakeProblem]:
    """What a key's events were refused for, newest first."""
    of_key = select(IntakeProblem).where(col(IntakeProblem.key_id) == key_id)
    return session.scalars(of_key.order_by(col(IntakeProblem.last_at).desc(), col(IntakeProblem.id).desc()).limit(MOST)).all()


def _add(session: Session, key_id: str, note: Note, count: int, first: datetime, last: datetime) -> None:
    rows = table(IntakeProblem)
    values = {"what": note.what, "event": note.event, "field": note.field, "reason": note.reason}
    statement = upsert(session, IntakeProblem).values(key_id=key_id, count=count, first_at=first, last_at=last, **values)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["key_id", "what", "event", "field", "reason"],
            set_={"count": rows.c.count + count, "last_at": last},
        )
    )


def _forget_oldest(session: Session, key_id: str) -> None:
    rows = table(IntakeProblem)
    newest = select(rows.c.id).where(rows.c.key_id == key_id).order_by(rows.c.last_at.desc(), rows.c.id.desc()).limit(MOST)
    session.execute(delete(rows).where(rows.c.key_id == key_id, rows.c.id.not_in(newest.scalar_subquery())))
