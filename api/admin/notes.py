"""Notes on contacts and logged calls."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.auth.access import Actor, needs
from api.http.errors import CHANGE, ONE
from api.http.json_body import JsonRoute
from api.http.paging import Id
from api.server import TheServer
from crm.people import contacts, notes
from engine.enrolment.routing import routed

router = APIRouter(prefix="/api/v1", tags=["contacts"], route_class=JsonRoute)


class NoteRow(BaseModel):
    """A note, or a call that was logged (`kind`). `author` is `member:<id>` or `key:<id>`; the last three are a call's."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    contact_id: str
    kind: Literal["note", "call"]
    text: str
    author: str
    at: datetime = Field(description="When it was written, or the call was made.")
    changed_at: datetime | None
    direction: Literal["", "outgoing", "incoming"]
    outcome: str
    duration_seconds: int | None


class NewNote(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"text": "Prefers to be called in the morning."}})

    text: str = Field(min_length=1, max_length=notes.MAX_TEXT)


class NewCall(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"direction": "outgoing", "outcome": "reached", "duration_seconds": 340, "text": "Wants an offer."}},
    )

    direction: Literal["outgoing", "incoming"]
    outcome: Literal["reached", "left_message", "no_answer", "busy", "wrong_number"]
    duration_seconds: int | None = Field(None, ge=0, le=86_400)
    at: AwareDatetime | None = Field(None, description="When the call was made; left out: now.")
    text: str = Field("", max_length=notes.MAX_TEXT)


class NoteText(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"text": "Prefers to be called in the afternoon."}})

    text: str = Field(max_length=notes.MAX_TEXT)


@router.get("/contacts/{contact_id}/notes", summary="Notes and calls of a contact", responses=ONE)
def list_notes(contact_id: Id, server: TheServer, actor: Annotated[Actor, needs("contact.read")]) -> list[NoteRow]:
    """The newest 200, newest first; older ones are on the timeline (`kind=note`, `kind=call`)."""
    with server.engine.db.read() as session:
        contact = contacts.get(session, contact_id)
        return [NoteRow.model_validate(note) for note in notes.newest(session, contact.id, 200)]


@router.post("/contacts/{contact_id}/notes", summary="Write a note", status_code=201, responses=CHANGE)
def add_note(contact_id: Id, new: NewNote, server: TheServer, actor: Annotated[Actor, needs("note.write")]) -> NoteRow:
    """Plain text. *Note Added* happens to the contact."""
    now = server.engine.clock.now()
    with server.engine.db.write() as session:
        note, event = notes.add_note(session, contact_id, new.text, actor.id, now)
        wakeups = routed(server.engine, session, [event], now)
        row = NoteRow.model_validate(note)
    server.wake(wakeups)
    return row


@router.post("/contacts/{contact_id}/calls", summary="Log a call", status_code=201, responses=CHANGE)
def log_call(contact_id: Id, new: NewCall, server: TheServer, actor: Annotated[Actor, needs("note.write")]) -> NoteRow:
    """*Call Logged* happens to the contact, at the time of the call."""
    now = server.engine.clock.now()
    lasted = timedelta(seconds=new.duration_seconds) if new.duration_seconds is not None else None
    with server.engine.db.write() as session:
        call = notes.Call(new.direction, new.outcome, new.text, lasted, new.at)
        note, event = notes.log_call(session, contact_id, call, actor.id, now)
        wakeups = routed(server.engine, session, [event], now)
        row = NoteRow.model_validate(note)
    server.wake(wakeups)
    return row


@router.patch("/notes/{note_id}", summary="Change the text of a note", responses=CHANGE)
def change_note(note_id: Id, new: NoteText, server: TheServer, actor: Annotated[Actor, needs("note.write")]) -> NoteRow:
    """403 `not_the_author` for everybody but who wrote it."""
    with server.engine.db.write() as session:
        return NoteRow.model_validate(notes.change(session, note_id, new.text, actor.id, server.engine.clock.now()))


@router.delete("/notes/{note_id}", summary="Delete a note", status_code=204, responses=CHANGE)
def delete_note(note_id: Id, server: TheServer, actor: Annotated[Actor, needs("note.write")]) -> None:
    """403 `not_the_author` for everybody but who wrote it. It is gone with its text; that it was written stays in the audit trail."""
    with server.engine.db.write() as session:
        notes.delete(session, note_id, actor.id)
