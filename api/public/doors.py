"""What all public addresses have in common: small forms, their limits, and how what happened is stored and routed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException

from activities.tracking import Tracking
from api.http.rate_limits import Rate
from api.public.brand import brand
from api.public.pages import language_of, page
from api.server import Server
from engine.enrolment.routing import route
from engine.temporal.wakeups import Wakeups
from models import Event

PER_TOKEN = Rate("public-token", per_second=1, burst=60)
MAX_FORM_BYTES = 16_384
MAX_FIELDS = 200
MAX_ANSWER_BYTES = 65_536


async def _form(request: Request) -> frozenset[tuple[str, str]]:
    """The fields of a small form; urlencoded or multipart, without files."""
    if len(await request.body()) > MAX_FORM_BYTES:
        raise HTTPException(413)
    async with request.form(max_files=0, max_fields=MAX_FIELDS, max_part_size=MAX_FORM_BYTES) as form:
        return frozenset((name, value) for name, value in form.multi_items() if isinstance(value, str))


async def _answers(request: Request) -> Mapping[str, Sequence[str]]:
    """The fields of a form that people made, in their order; larger than the others, since people write letters into them."""
    if len(await request.body()) > MAX_ANSWER_BYTES:
        raise HTTPException(413)
    found: dict[str, list[str]] = {}
    async with request.form(max_files=0, max_fields=MAX_FIELDS, max_part_size=MAX_ANSWER_BYTES) as form:
        for name, value in form.multi_items():
            if isinstance(value, str):
                found.setdefault(name, []).append(value)
    return found


Answers = Annotated[Mapping[str, Sequence[str]], Depends(_answers)]

Form = Annotated[frozenset[tuple[str, str]], Depends(_form)]


Happening = Callable[[Session, datetime], list[Event | None]]
"""What is written, and the events that came of it."""


def happened(server: Server, happening: Happening) -> None:
    """Stores and routes in one transaction; then runs are woken."""
    engine = server.engine
    now = engine.clock.now()
    wakeups = Wakeups()
    with engine.db.write() as session:
        events = [event for event in happening(session, now) if event is not None]
        if events:
            wakeups = route(engine, session, events, now)
        for event in events:
            event.routed = True
    server.wake(wakeups)


def nothing(server: Server, request: Request) -> Response:
    """The same answer for every address that leads nowhere, whatever the reason; guessing gets slow."""
    limit = server.settings.public_requests_per_minute
    server.take(Rate("public", per_second=limit / 60, burst=limit), address_of(request))
    with server.engine.db.read() as session:
        look = brand(session)
    return page("nothing", language_of(request, None, server.settings.language), look, 404)


def tracking_of(request: Request) -> Tracking:
    """Made once per app: the keys may lie in a file."""
    state = request.app.state
    if not hasattr(state, "tracking"):
        settings = state.server.settings
        state.tracking = Tracking(settings.signing_keys(), settings.public_url)
    tracking: Tracking = state.tracking
    return tracking


def address_of(request: Request) -> str:
    """Whence it comes, as far as the proxy says."""
    return request.client.host if request.client else ""
