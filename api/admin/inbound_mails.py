"""Mails that came in, handed over as they are by a mail server or a program beside it."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from activities.happenings import Streak
from activities.inbound.take import Inbound
from api.auth.access import Actor, needs
from api.http.errors import CHANGE
from api.http.json_body import JsonRoute
from api.server import Server, TheServer
from engine.enrolment.routing import routed

router = APIRouter(prefix="/api/v1/inbound-mails", tags=["messages"], route_class=JsonRoute)
BODY = {
    "schema": {"type": "string"},
    "example": "From: anna@example.com\r\nTo: hello@example.org\r\nSubject: Re: Your order\r\n\r\nYes, please!\r\n",
}


class TakenMail(BaseModel):
    """What the mail was, and what came of it."""

    kind: str = Field(description="bounce, delayed, complaint, automatic, unsubscribe, reply, other.", examples=["bounce"])
    outcome: str = Field(
        description="taken; kept (its message is not known yet); known (it changes nothing any more); unknown (no message or person of ours); ignored; failed.",
        examples=["taken"],
    )


async def _raw(request: Request) -> bytes:
    return await request.body()


@router.post(
    "",
    summary="Hand over a mail that came in",
    responses=CHANGE,
    openapi_extra={"requestBody": {"required": True, "content": {"message/rfc822": BODY}}},
)
def bring_inbound_mail(
    server: TheServer,
    actor: Annotated[Actor, needs("mail.bring")],
    raw: Annotated[bytes, Depends(_raw)],
    to: Annotated[str, Query(max_length=320, description="Whom the mail server took it for.", examples=["bounces@example.org"])] = "",
) -> TakenMail:
    """The body is the whole mail as it came; only its first 512 kB are read, and it is not kept. The same mail changes nothing again."""
    taken, wakeups = inbound_of(server).take(raw, "api", to)
    server.wake(wakeups)
    return TakenMail(kind=taken.kind, outcome=taken.outcome)


def inbound_of(server: Server) -> Inbound:
    settings = server.settings
    return Inbound(
        server.engine,
        partial(routed, server.engine),
        server.messaging.tracking,
        Streak(settings.soft_bounces, timedelta(days=settings.soft_bounce_days)),
        settings.mail_from,
        {kind.name: kind.mail_domain for kind in server.accounts.providers if kind.mail_domain},
    )
