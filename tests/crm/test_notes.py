"""Notes on contacts and logged calls: who may change them, what they tell, and that they go where the person goes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import select

from crm.people import notes
from crm.people.identity import resolve
from crm.people.merge import merge
from crm.people.unmerge import newest, unmerge
from crm.privacy.erasure import erase
from crm.privacy.export import export
from journeys.errors import Conflict, Invalid, NotFound
from models import Audit, Database, Event, Note

ADA, BEN = "member:ada", "member:ben"
CALL = notes.Call("outgoing", "reached", "Wants an offer.", timedelta(minutes=5))


@pytest.fixture
def person(db: Database, now: datetime) -> str:
    with db.write() as session:
        return resolve(session, [("email", "carla@example.org")], now).contact_id


def told(session: Any, person: str) -> dict[str, dict[str, Any]]:
    rows = session.execute(select(Event.name, Event.properties).where(Event.contact_id == person, Event.type == "system"))
    return {name: dict(properties) for name, properties in rows}


def test_a_note_and_a_call_tell_what_they_are_but_not_what_they_say(db: Database, now: datetime, person: str) -> None:
    with db.write() as session:
        note, _ = notes.add_note(session, person, " Likes\x00 tea.\n", ADA, now)
        call, event = notes.log_call(session, person, notes.Call("incoming", "no_answer", at=now - timedelta(days=1)), ADA, now)
        assert (note.text, call.duration_seconds, event.occurred_at) == ("Likes tea.", None, now - timedelta(days=1))
        happened = told(session, person)
        assert happened["Note Added"] == {"note_id": note.id, "author": "ada"}
        expected = {"note_id": call.id, "author": "ada", "direction": "incoming", "outcome": "no_answer", "duration_seconds": None}
        assert happened["Call Logged"] == expected
        lines = session.scalars(select(Audit.action).where(Audit.subject == f"contact:{person}")).all()
        assert {"note.add", "call.add"} <= set(lines)
        assert "tea" not in str(session.scalars(select(Audit)).all())


@pytest.mark.parametrize(
    "call",
    [
        notes.Call("sideways", "reached"),
        notes.Call("outgoing", "charmed"),
        notes.Call("outgoing", "reached", lasted=timedelta(hours=25)),
        notes.Call("outgoing", "reached", lasted=timedelta(seconds=-1)),
        notes.Call("outgoing", "reached", "x" * (notes.MAX_TEXT + 1)),
        notes.Call("outgoing", "reached", at=datetime(9000, 1, 1, tzinfo=UTC)),
    ],
)
def test_what_was_no_call_is_refused(db: Database, now: datetime, person: str, call: notes.Call) -> None:
    with db.write() as session, pytest.raises(Invalid):
        notes.log_call(session, person, call, ADA, now)


def test_only_the_author_changes_and_deletes_and_may_take_it_back(db: Database, now: datetime, person: str) -> None:
    later = now + timedelta(hours=1)
    with db.write() as session:
        note, _ = notes.add_note(session, person, "Tea", ADA, now)
        for forbidden in (lambda: notes.change(session, note.id, "Coffee", BEN, later), lambda: notes.delete(session, note.id, BEN)):
            with pytest.raises(notes.NotTheAuthor):
                forbidden()
        with pytest.raises(Invalid):
            notes.change(session, note.id, "  ", ADA, later)
        assert notes.change(session, note.id, "Tea", ADA, later).changed_at is None, "nothing was changed"
        assert notes.change(session, note.id, "Green tea", ADA, later).changed_at == later
    with db.write() as session:
        deleted = notes.delete(session, note.id, ADA)
        assert session.get(Note, note.id) is None
        with pytest.raises(NotFound):
            notes.delete(session, note.id, ADA)
        with pytest.raises(notes.NotTheAuthor):
            notes.restore(session, deleted, BEN)
        assert notes.restore(session, deleted, ADA).text == "Green tea"
        assert notes.restore(session, deleted, ADA).id == note.id, "twice is once"
        assert len(session.scalars(select(Note)).all()) == 1


def test_notes_go_with_the_person(db: Database, now: datetime, person: str) -> None:
    with db.write() as session:
        other = resolve(session, [("user_id", "carla-2")], now).contact_id
        mine, _ = notes.add_note(session, person, "Tea", ADA, now)
        theirs, _ = notes.log_call(session, other, CALL, ADA, now)
        deleted = notes.delete(session, notes.add_note(session, other, "Milk", ADA, now)[0].id, ADA)
        merge(session, person, other, now)
        assert notes.restore(session, deleted, ADA).contact_id == person, "it was restored after the merge"
        assert {one.id for one in notes.newest(session, person, 9)} == {mine.id, theirs.id, deleted.id}
    with db.write() as session:
        done = newest(session, person)
        assert done is not None
        unmerge(session, done.id or 0, "test", now)
        assert {one.id for one in notes.newest(session, other, 9)} == {theirs.id}
        assert [row["text"] for row in export(session, other)["notes"]] == ["Wants an offer."]
        erase(session, other, now, by="test")
        assert {one.id for one in session.scalars(select(Note))} == {mine.id, deleted.id}
        for write in (lambda: notes.add_note(session, other, "Tea", ADA, now), lambda: notes.log_call(session, other, CALL, ADA, now)):
            with pytest.raises(Conflict):
                write()
