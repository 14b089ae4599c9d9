"""Contacts that may be one person: look through the suggestions, merge, say that they are two; and take a merge back."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import col, select

from api.admin.contacts import ContactRow
from api.auth.access import Actor, needs
from api.http.errors import ADMIN, CHANGE, ONE
from api.http.json_body import JsonRoute
from api.http.paging import Id, Limit, Page
from api.server import TheServer
from crm.people import contacts, duplicates
from engine import merging
from models import Merge

router = APIRouter(prefix="/api/v1", tags=["contacts"], route_class=JsonRoute)

Whole = Annotated[int, Path(ge=1, le=2**53, description="Number.", examples=[7])]

Before = Annotated[int | None, Query(ge=1, le=2**53, description="`next` of the page before.", examples=[7])]


class PairRow(BaseModel):
    """Two contacts with the same e-mail address or phone number (`reason`), the elder first."""

    id: int
    reason: str
    found_at: datetime
    contacts: list[ContactRow]


class Stays(BaseModel):
    """Which of the two stays; the other becomes part of it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"winner": "019aa1b2c3d4e5f60718293a4b5c6d7e"}})

    winner: str = Field(min_length=1, max_length=32)


class Decided(BaseModel):
    """What was decided: merged or different; `contact_id` is the one that stays (null: both)."""

    decided: str
    contact_id: str | None = None


class MergeRow(BaseModel):
    """A contact that became part of this one. `can_be_undone`: the newest; those before it once it is undone."""

    id: int
    contact_id: str
    reason: str
    merged_at: datetime
    undone_at: datetime | None
    undone_by: str = Field(description="`member:<id>` or `key:<id>`; empty unless it was undone.")
    can_be_undone: bool


class Undone(BaseModel):
    """Two contacts again. `left` says what could not be split: runs_ended, names, fields, scores or later (what happened since)."""

    contact_id: str
    other_id: str
    left: list[str]


@router.get("/duplicates", summary="List possible duplicates", responses=ADMIN)
def list_duplicates(
    server: TheServer, actor: Annotated[Actor, needs("contact.read")], limit: Limit = 50, cursor: Before = None
) -> Page[PairRow]:
    """Pairs that nobody has decided about, newest first. A pair that has nothing in common any more is left out, so a page may be short."""
    with server.engine.db.read() as session:
        page = duplicates.page(session, before=cursor, limit=limit)
        rows = [
            PairRow(
                id=pair.id,
                reason=pair.reason,
                found_at=pair.found_at,
                contacts=[ContactRow.model_validate(one) for one in (pair.one, pair.other)],
            )
            for pair in page.pairs
        ]
    return Page(items=rows, next=str(page.next_before) if page.next_before else None)


@router.post("/duplicates/{pair_id}/merge", summary="Merge a pair", responses=CHANGE)
def merge_pair(pair_id: Whole, stays: Stays, server: TheServer, actor: Annotated[Actor, needs("contact.change")]) -> Decided:
    """The two become one contact; it can be undone. Their consents: the stricter of two statements stays."""
    engine = server.engine
    with engine.db.write() as session:
        wakeups = merging.merge_pair(engine, session, pair_id, stays.winner, actor.id, engine.clock.now())
    server.wake(wakeups)
    return Decided(decided="merged", contact_id=stays.winner)


@router.post("/duplicates/{pair_id}/different", summary="Say that a pair is not the same person", responses=CHANGE)
def keep_apart(pair_id: Whole, server: TheServer, actor: Annotated[Actor, needs("contact.change")]) -> Decided:
    """Remembered: the pair is suggested no more, and no call merges the two (an alias does, it says so on purpose)."""
    with server.engine.db.write() as session:
        pair = duplicates.get(session, pair_id)
        duplicates.keep_apart(session, pair.one_id, pair.other_id, actor.id, server.engine.clock.now())
    return Decided(decided="different")


@router.get("/contacts/{contact_id}/merges", summary="What became part of a contact", responses=ONE)
def list_merges(contact_id: Id, server: TheServer, actor: Annotated[Actor, needs("contact.read")]) -> list[MergeRow]:
    """Newest first, at most 200."""
    with server.engine.db.read() as session:
        contact = contacts.get(session, contact_id)
        newest = merging.newest(session, contact.id)
        rows = session.scalars(select(Merge).where(Merge.winner_id == contact.id).order_by(col(Merge.id).desc()).limit(200))
        return [
            MergeRow(
                id=row.id or 0,
                contact_id=row.loser_id,
                reason=row.reason,
                merged_at=row.merged_at,
                undone_at=row.undone_at,
                undone_by=row.undone_by,
                can_be_undone=newest is not None and row.id == newest.id,
            )
            for row in rows
        ]


@router.post("/merges/{merge_id}/undo", summary="Undo a merge", responses=CHANGE)
def undo_merge(merge_id: Whole, server: TheServer, actor: Annotated[Actor, needs("contact.change")]) -> Undone:
    """Names, fields, tags, scores, consents, runs, messages and events go back. Where somebody spoke about consent since, the stricter stays;
    what happened since stays with the contact that stayed. The two are remembered as different."""
    engine = server.engine
    with engine.db.write() as session:
        done, wakeups = merging.part(engine, session, merge_id, actor.id, engine.clock.now())
    server.wake(wakeups)
    return Undone(contact_id=done.winner_id, other_id=done.loser_id, left=done.left)
