"""What was sent, to whom, and what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlmodel import col, select

from api.auth.access import Actor, needs
from api.http.errors import CHANGE, ONE
from api.http.json_body import JsonRoute
from api.http.paging import Cursor, Id, Limit, Page
from api.server import TheServer
from crm.uncertain import Decision, decide
from engine.versions.publish import get_journey
from journeys.errors import NotFound
from models import Body, Hit, Message
from reports import messages
from storage.locks import person_of

Status = Literal["planned", "held", "claimed", "sent", "bounced", "failed", "skipped", "uncertain"]

router = APIRouter(prefix="/api/v1", tags=["messages"], route_class=JsonRoute)


class MessageRow(BaseModel):
    """One communication with its life. `reason` says why it is held, was skipped, failed or is uncertain."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    run_id: str | None
    journey_id: str | None
    version_number: int | None
    node: str
    contact_id: str
    channel: str
    purpose: str
    message_class: str
    template: str
    template_version: int | None
    locale: str
    subject: str
    status: str
    reason: str
    attempts: int
    provider: str
    provider_id: str
    planned_at: datetime
    held_until: datetime | None
    sent_at: datetime | None
    opened_at: datetime | None
    clicked_at: datetime | None
    bounced_at: datetime | None
    test: bool


class Fetched(BaseModel):
    """An open or click as it arrived; machines are told apart."""

    model_config = ConfigDict(from_attributes=True)

    kind: str
    agent_class: str
    hit_at: datetime


class Rendered(BaseModel):
    """The message as it was sent; kept for 90 days."""

    model_config = ConfigDict(from_attributes=True)

    recipient: str
    sender: str
    subject: str
    headers: dict[str, Any]
    html: str
    text: str
    parts: dict[str, str] = {}
    """Further parts of its template, by their names."""


class MessageDetail(MessageRow):
    """`body` null: not rendered, not yet sent, or no longer kept."""

    body: Rendered | None
    hits: list[Fetched]


class MessageDecision(BaseModel):
    """What a person says became of an uncertain message. `sent`: it arrived. `again`: send it once more, through the gate and under the same
    key. `leave`: nobody will find out. `attempts` is what the message showed: a newer attempt wants another look."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"decision": "again", "attempts": 1}})

    decision: Decision
    attempts: int = Field(ge=0, le=2**31 - 1)


@router.get("/messages", summary="List messages", responses=ONE)
def list_messages(
    server: TheServer,
    actor: Annotated[Actor, needs("message.list")],
    contact_id: Annotated[str | None, Query(max_length=32)] = None,
    journey: Annotated[str | None, Query(max_length=64, description="Key or id.")] = None,
    run_id: Annotated[str | None, Query(max_length=32)] = None,
    node: Annotated[str | None, Query(max_length=64)] = None,
    status: Status | None = None,
    since: Annotated[AwareDatetime | None, Query(description="Planned then or later; with a time zone.")] = None,
    undecided: Annotated[bool, Query(description="Of the uncertain ones, those that nobody has decided yet.")] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[MessageRow]:
    """Newest first by `planned_at`, whatever the provider; every filter that is given must fit. `uncertain`: possibly lost, a person decides."""
    with server.engine.db.read() as session:
        filter = messages.MessageFilter(
            since=since,
            run_id=run_id,
            status="uncertain" if undecided else status,
            contact_id=person_of(session, contact_id) if contact_id else None,
            journey_id=get_journey(session, journey).id if journey else None,
            node=node,
            channels=None,
            open_only=undecided,
            before=cursor,
            limit=limit,
        )
        rows, following = messages.page(session, filter)
        return Page(items=[MessageRow.model_validate(row) for row in rows], next=following)


@router.get("/messages/{message_id}", summary="One message, as sent", responses=ONE)
def one_message(message_id: Id, server: TheServer, actor: Annotated[Actor, needs("message.read_body")]) -> MessageDetail:
    """With its text and the fetches of its pixel and links."""
    with server.engine.db.read() as session:
        message = session.get(Message, message_id)
        if message is None:
            raise NotFound("There is no message with this id.")
        body = session.get(Body, message.body_id) if message.body_id else None
        hits = session.scalars(select(Hit).where(Hit.message_id == message_id).order_by(col(Hit.id)).limit(200)).all()
        return MessageDetail(
            **MessageRow.model_validate(message).model_dump(),
            body=Rendered.model_validate(body) if body else None,
            hits=[Fetched.model_validate(hit) for hit in hits],
        )


@router.post("/messages/{message_id}/decision", summary="Decide what became of an uncertain message", responses=CHANGE)
def decide_message(
    message_id: Id, said: MessageDecision, server: TheServer, actor: Annotated[Actor, needs("message.decide")]
) -> MessageRow:
    """Under the contact's lock, written into the audit trail. What is to be sent again leaves within seconds, if the gate lets it."""
    engine = server.engine
    with engine.db.write() as session:
        decide(session, message_id, said.decision, said.attempts, actor.id, engine.clock.now())
        return MessageRow.model_validate(session.get_one(Message, message_id, populate_existing=True))
