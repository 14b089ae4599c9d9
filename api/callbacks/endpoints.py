"""The door for providers: `POST /callbacks/ACCOUNT/ROUTE`. Signature first; then what it tells is stored and routed, in one transaction.

Which routes there are, how they are signed and read, the provider's own file says (`ConfiguredProvider.callbacks`). Nothing is read of a call
that is not signed. A call may come twice, or before the answer to the send has been written down: the first changes nothing, what the second tells
is kept for an hour (`activities.reports`).
"""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from starlette.background import BackgroundTask, BackgroundTasks

from activities import replies, reports
from activities.account_setup import Unreadable
from activities.happenings import Recorded, Streak
from activities.providers.callback import (
    Callback,
    CallbackLater,
    CallbackRefused,
    CallbackRequest,
    CallbackUnreadable,
    Happening,
    Pressed,
    Reply,
)
from activities.providers.provider import Conversation, ProviderFailure
from activities.team import presses
from activities.team.task_notices import Desk, mend_task
from api.http.errors import BUSY, Forbidden, Malformed, Unavailable
from api.http.rate_limits import Rate
from api.server import Server, TheServer
from engine.enrolment.routing import routed
from engine.temporal.wakeups import Wakeups
from journeys.errors import NotFound, TooLarge
from locales import translator

log = logging.getLogger(__name__)

router = APIRouter(prefix="/callbacks", tags=["callbacks"], include_in_schema=False)

MAX_BYTES = 1_048_576
REFUSED = Rate("callback-refused", per_second=1, burst=30)
"""Unsigned calls, by address."""
AGAIN_SECONDS = 30
LATER = "The provider cannot be asked now whether it made this call."


async def _body(request: Request) -> bytes:
    body = await request.body()
    if len(body) > MAX_BYTES:
        raise TooLarge("{field} of an event has at most {limit} characters, got {length}.", field="body", limit=MAX_BYTES, length=len(body))
    return body


@router.post("/{account}/{route}")
def called(account: str, route: str, request: Request, server: TheServer, body: Annotated[bytes, Depends(_body)]) -> Response:
    """Answers 200 once everything is committed; 403 without a good signature; 503 when the same call shall come again, since too many wait."""
    callback = _callback(server, account, route)
    now = server.engine.clock.real_now()
    call = CallbackRequest(request.method, _public_url(server, request), {k.lower(): v for k, v in request.headers.items()}, body, now)
    try:
        callback.verify(call)
        happenings = callback.read(call)
    except CallbackLater:
        raise Unavailable(LATER) from None
    except CallbackRefused:
        server.take(REFUSED, request.client.host if request.client else "")
        raise Forbidden("The call is not signed by the provider of this account.") from None
    except CallbackUnreadable:
        raise Malformed("The call cannot be read.") from None
    taken = [_take(server, account, one) for one in happenings if not isinstance(one, Pressed)]
    heard = [_press(server, account, one) for one in happenings if isinstance(one, Pressed)]
    if "too_early" in taken:
        return JSONResponse({"taken": taken.count("taken")}, 503, {"Retry-After": str(AGAIN_SECONDS)})
    if callback.answer is not None:
        return Response(callback.answer[1], media_type=callback.answer[0], background=BackgroundTasks([one for one in heard if one]))
    return JSONResponse({"taken": taken.count("taken")})


def _callback(server: Server, account: str, route: str) -> Callback:
    """Raises: NotFound: no such account, none that this server can open, or no such route."""
    try:
        found = server.accounts.callback(account[:130], route)
    except Unreadable:
        found = None
    if found is None:
        raise NotFound("There is nothing at this address.")
    return found


def _take(server: Server, account: str, told: Happening | Reply) -> Recorded:
    engine = server.engine
    try:
        if isinstance(told, Reply):
            recorded, wakeups = replies.take(engine, partial(routed, engine), account, told)
        else:
            write = partial(_write, server, account, told)
            recorded, wakeups = server.reports.take(write)
    except DBAPIError:
        raise Unavailable(BUSY) from None
    server.wake(wakeups)
    return recorded


def _write(server: Server, account: str, told: Happening, session: Session) -> tuple[Recorded, Wakeups]:
    engine = server.engine
    return reports.take_in(engine, partial(routed, engine), session, account, told, _streak(server), server.settings.tracking)


def _press(server: Server, account: str, pressed: Pressed) -> BackgroundTask | None:
    """What is left to be done once the provider has its answer: telling whoever pressed, or changing the message; None: nothing."""
    engine, provider = server.engine, server.accounts.named(account)
    if not isinstance(provider, Conversation):
        return None
    try:
        heard = presses.take(engine, partial(routed, engine), account, provider, pressed)
    except DBAPIError:
        raise Unavailable(BUSY) from None
    if heard is None:
        return None
    server.wake(heard.wakeups)
    return BackgroundTask(_answer, server, provider, pressed, heard)


def _answer(server: Server, provider: Any, pressed: Pressed, heard: presses.Heard) -> None:
    """What fails here is not lost: the keeper changes messages, too, and a refused press has changed nothing."""
    engine = server.engine
    try:
        if heard.refusal and pressed.answer_at:
            provider.reply(pressed.answer_at, translator(heard.locale or server.settings.language)(heard.refusal))
        if heard.task_id:
            mend_task(Desk(engine.db, engine.clock.real_now, translator, server.settings.public_url), provider, heard.task_id)
    except (ProviderFailure, DBAPIError) as failure:
        log.warning("a press on a button was not answered: %s", getattr(failure, "code", "database"))


def _streak(server: Server) -> Streak:
    return Streak(server.settings.soft_bounces, timedelta(days=server.settings.soft_bounce_days))


def _public_url(server: Server, request: Request) -> str:
    """As the provider called it, whatever proxy stands between."""
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{server.settings.public_url}{request.url.path}{query}"
