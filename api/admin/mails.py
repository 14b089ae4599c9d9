"""E-mails to one contact, written by a member."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from activities.sending import personal
from api.auth.access import Actor, needs
from api.http.errors import CHANGE
from api.http.json_body import JsonRoute
from api.http.paging import Id
from api.server import TheServer
from journeys.errors import Invalid

router = APIRouter(prefix="/api/v1", tags=["contacts"], route_class=JsonRoute)


class NewMail(BaseModel):
    """A template in its newest version, or a subject and plain text. `sender`: empty for the workspace's usual one, the key of another, or
    `member` for the member's own address. `id`: yours, so that the same call again sends nothing more."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"subject": "Your question", "text": "Good morning,\n\nyes, it is in stock.", "sender": ""}},
    )

    subject: str = Field("", max_length=personal.MAX_SUBJECT)
    text: str = Field("", max_length=personal.MAX_TEXT)
    template: str = Field("", max_length=64)
    sender: str = Field("", max_length=64)
    signature: str = Field("", max_length=personal.MAX_SIGNATURE)
    member_id: str | None = Field(
        None, max_length=32, description="Who writes; left out: whoever is logged in. An admin key has to name a member."
    )
    id: str = Field("", pattern="^([0-9a-f]{32})?$")


class PostedMail(BaseModel):
    """What becomes of it is at `/api/v1/messages/{message_id}` and on the timeline."""

    message_id: str
    status: str


@router.post("/contacts/{contact_id}/mails", summary="Write an e-mail", status_code=202, responses=CHANGE)
def write_mail(contact_id: Id, new: NewMail, server: TheServer, actor: Annotated[Actor, needs("mail.write")]) -> PostedMail:
    """To this contact alone, once, through the gate: 409 if the address is suppressed, or a marketing template lacks consent. It is not tracked."""
    member_id = new.member_id or (actor.member.id if actor.member else None)
    if member_id is None:
        raise Invalid("Expected member_id: an admin key does not belong to a member.")
    if actor.member is not None and member_id != actor.member.id:
        raise Invalid("A member writes in their own name only.")
    letter = personal.Letter(new.subject, new.text, new.template, new.sender, new.signature)
    message = personal.post(server.engine.db, server.messaging, contact_id, letter, member_id, server.engine.clock.now(), new.id)
    return PostedMail(message_id=message.id, status=message.status)
