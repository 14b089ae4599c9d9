"""What a website's visitor may ask about their inbox: the list, marks, and a stream of what comes in.

Every door wants a write key and the token of the contact (`api.in_app.visitor`). The stream is Server-Sent Events; `Last-Event-ID` goes on where
a broken one ended. Source: WHATWG HTML, "Server-sent events".
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Header, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from activities.contact_tokens import LIFE
from activities.tracking import record_read
from api.http.errors import Forbidden, answers
from api.http.json_body import JsonRoute
from api.in_app import embed
from api.in_app.visitor import TheVisitor, Visitor, present_person, tokens_of
from api.public.doors import happened
from api.server import Server, TheServer
from api.tracking.endpoints import PER_KEY, key_given, known_key
from api.tracking.trust import is_trusted
from crm.people import identity, in_app
from journeys.errors import NotFound
from models import InAppMessage

router = APIRouter(tags=["in-app messages"], route_class=JsonRoute)
embed.add(router)

LONGEST = timedelta(minutes=30)
"""A stream ends after this, or with its token; the script opens the next one."""
MAX_ID = 2**53
DOORS = answers(400, 401, 422, 429, 503)
KEY: dict[str, Any] = {"security": [{"writeKey": []}]}
WITH_TOKEN: dict[str, Any] = {
    "security": [{"writeKey": []}],
    "parameters": [{"name": "X-Contact-Token", "in": "header", "required": True, "schema": {"type": "string"}}],
}
Id = Annotated[int, Path(ge=1, le=MAX_ID, description="Id of the message.", examples=[17])]


class TokenRequest(BaseModel):
    """Whom the token is for: the id by which your server knows the person."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"userId": "u1"}})

    userId: str = Field(min_length=1, max_length=255)


class ContactToken(BaseModel):
    """Hand it to the page of this person and to nobody else."""

    token: str
    expiresAt: datetime


class InAppMessageRow(BaseModel):
    """One message. `parts` are those of its template: title, text, url and button; they are plain text."""

    id: int
    parts: dict[str, str]
    createdAt: datetime
    expiresAt: datetime
    read: bool


class InAppMessages(BaseModel):
    """Newest first. `unread` counts to 100. `next` goes into `before` of the next call; null at the end. `newest` goes into `Last-Event-ID`."""

    messages: list[InAppMessageRow]
    unread: int
    newest: int
    next: int | None


@router.post("/v1/contact-tokens", summary="Make a contact token", responses=answers(400, 401, 403, 404, 422, 429, 503), openapi_extra=KEY)
async def make_contact_token(wanted: TokenRequest, request: Request, server: TheServer) -> ContactToken:
    """For your server, with a server key: lets the page of a person that you have logged in read that person's messages for an hour."""
    key = await known_key(server, request, key_given(request))
    if not is_trusted(key, request.headers):
        raise Forbidden("A contact token is asked for by your server, with a server key; a key in a web page proves nobody.")
    await server.limits.take(PER_KEY, key.id)
    contact_id = await run_in_threadpool(_known, server, wanted.userId)
    until = server.engine.clock.real_now() + LIFE
    return ContactToken(token=tokens_of(server).make(contact_id, until), expiresAt=until.replace(microsecond=0))


def _known(server: Server, user_id: str) -> str:
    with server.engine.db.read() as session:
        contact_id = identity.find(session, ("user_id", user_id))
    if contact_id is None:
        raise NotFound("There is no contact with this user id.")
    return contact_id


@router.get("/v1/in-app/messages", summary="List in-app messages", responses=DOORS, openapi_extra=WITH_TOKEN)
def list_in_app_messages(
    server: TheServer,
    visitor: TheVisitor,
    before: Annotated[int | None, Query(ge=1, le=MAX_ID)] = None,
    limit: Annotated[int, Query(ge=1, le=in_app.MAX_PAGE)] = 20,
) -> InAppMessages:
    """What is in the inbox of the contact: neither expired nor dismissed."""
    now = server.engine.clock.now()
    with server.engine.db.read() as session:
        rows = in_app.shown(session, visitor.contact_id, now, before=before, limit=limit + 1)
        return InAppMessages(
            messages=[_row(row) for row in rows[:limit]],
            unread=in_app.unread(session, visitor.contact_id, now),
            newest=in_app.newest(session, visitor.contact_id),
            next=rows[limit - 1].id if len(rows) > limit else None,
        )


@router.post(
    "/v1/in-app/messages/{id}/read",
    summary="Mark an in-app message as read",
    status_code=204,
    responses={**DOORS, **answers(404)},
    openapi_extra=WITH_TOKEN,
)
def read_in_app_message(id: Id, server: TheServer, visitor: TheVisitor) -> Response:
    """A second time changes nothing. It counts as opened, where opens may be measured."""
    most = server.settings.tracking

    def said(session: Any, now: datetime) -> list[Any]:
        row = in_app.mark(session, visitor.contact_id, id, "read", now)
        return [record_read(session, row.message_id, most, now)] if row is not None else []

    happened(server, said)
    return Response(status_code=204)


@router.post(
    "/v1/in-app/messages/{id}/dismiss",
    summary="Dismiss an in-app message",
    status_code=204,
    responses={**DOORS, **answers(404)},
    openapi_extra=WITH_TOKEN,
)
def dismiss_in_app_message(id: Id, server: TheServer, visitor: TheVisitor) -> Response:
    """It is shown no more. A second time changes nothing."""
    now = server.engine.clock.now()
    with server.engine.db.write() as session:
        in_app.mark(session, visitor.contact_id, id, "dismissed", now)
    return Response(status_code=204)


async def _woken(server: TheServer, visitor: TheVisitor) -> AsyncIterator[asyncio.Event]:
    """The stream's place among those of its contact. Taken before the answer begins, so that one too many is answered 429, and left with
    the request however that ends: a body of which nobody reads the first line is never begun, and could leave nothing."""
    async with server.streams.waiting(visitor.key_id, visitor.contact_id) as bell:
        yield bell


@router.get(
    "/v1/in-app/stream",
    summary="Follow in-app messages",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}, **DOORS},
    openapi_extra=WITH_TOKEN,
)
async def follow_in_app_messages(
    request: Request,
    server: TheServer,
    visitor: TheVisitor,
    bell: Annotated[asyncio.Event, Depends(_woken)],
    last_event_id: Annotated[int | None, Header(ge=0, le=MAX_ID)] = None,
) -> StreamingResponse:
    """Server-Sent Events: an event `message` for each new one, whose data is as in the list and whose id goes into `Last-Event-ID` when the stream
    breaks. Without that header it begins with what comes from now on. At most five streams a contact."""
    after = last_event_id if last_event_id is not None else await run_in_threadpool(_newest, server, visitor)
    frames = _frames(server, request, visitor, after, bell)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(frames, media_type="text/event-stream", headers=headers)


async def _frames(server: Server, request: Request, visitor: Visitor, after: int, bell: asyncio.Event) -> AsyncIterator[bytes]:
    clock, heartbeat = server.engine.clock, server.streams.heartbeat_seconds
    until = min(visitor.until, clock.real_now() + LONGEST)
    yield b"retry: 3000\n\n"
    while clock.real_now() < until and not server.streams.stopping():
        bell.clear()
        rows = await run_in_threadpool(_since, server, request, visitor, after)
        if rows is None:
            return
        for row in rows:
            yield _frame(row)
            after = row.id
        if not rows and not await _rang(bell, min(heartbeat, (until - clock.real_now()).total_seconds())):
            yield b":\n\n"


async def _rang(bell: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(bell.wait(), max(seconds, 0.0))
    except TimeoutError:
        return False
    return True


def _frame(row: InAppMessageRow) -> bytes:
    return b"id: %d\nevent: message\ndata: %s\n\n" % (row.id, orjson.dumps(row.model_dump(mode="json")))


def _since(server: Server, request: Request, visitor: Visitor, after: int) -> list[InAppMessageRow] | None:
    """What came in for the contact that the visitor is by now; None once the key is revoked or the contact erased."""
    if server.keys.find(key_given(request) or "", "write") is None:
        return None
    with server.engine.db.read() as session:
        contact_id = present_person(session, visitor.contact_id)
        if contact_id is None:
            return None
        return [_row(row) for row in in_app.since(session, contact_id, after, server.engine.clock.now())]


def _newest(server: Server, visitor: Visitor) -> int:
    with server.engine.db.read() as session:
        return in_app.newest(session, visitor.contact_id)


def _row(row: InAppMessage) -> InAppMessageRow:
    assert row.id is not None
    return InAppMessageRow(id=row.id, parts=row.parts, createdAt=row.created_at, expiresAt=row.expires_at, read=row.read_at is not None)
