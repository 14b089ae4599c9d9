"""Who asks at the doors of a visitor: a write key, which may be a browser's, and the token of one contact."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.orm import Session

from activities.contact_tokens import ContactTokens
from api.http.errors import Unauthorized
from api.http.rate_limits import Rate
from api.server import Server, TheServer
from api.tracking.endpoints import key_given, known_key
from models import Contact
from storage.locks import person_of

PER_CONTACT = Rate("visitor", per_second=2, burst=60)
"""Requests of one contact."""
BAD_TOKENS = Rate("bad-contact-token", per_second=1, burst=60)
"""Requests with a token that is none of ours, from one address. An honest page asks for a new token first."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """`until`: when the token ends."""

    key_id: str
    contact_id: str
    until: datetime


def tokens_of(server: Server) -> ContactTokens:
    """The tokens of this installation."""
    return ContactTokens(server.settings.signing_keys())


async def current_visitor(request: Request, server: TheServer) -> Visitor:
    """The dependency of every door of a visitor.

    Raises:
        Unauthorized: no write key or no token, or one that is not valid (any more); TooMany.
    """
    key = await known_key(server, request, key_given(request))
    found = tokens_of(server).read(request.headers.get("x-contact-token", ""), server.engine.clock.real_now())
    contact_id = await run_in_threadpool(_whose, server, found[0]) if found else None
    if found is None or contact_id is None:
        await server.limits.take(BAD_TOKENS, request.client.host if request.client else "")
        raise Unauthorized("Expected a valid contact token in the header X-Contact-Token: your server asks for one at /v1/contact-tokens.")
    await server.limits.take(PER_CONTACT, contact_id)
    return Visitor(key.id, contact_id, found[1])


def present_person(session: Session, contact_id: str) -> str | None:
    """The contact that this one has become; None once it is erased."""
    contact = session.get(Contact, person_of(session, contact_id))
    return contact.id if contact is not None and contact.erased_at is None else None


def _whose(server: Server, contact_id: str) -> str | None:
    with server.engine.db.read() as session:
        return present_person(session, contact_id)


TheVisitor = Annotated[Visitor, Depends(current_visitor)]
