"""What the script of a site (`/v1/embed/site.js`) sends: pages and events of a browser whose person allowed that, and the token of a link that it followed.

A browser that asks not to be followed (Global Privacy Control, Do Not Track) is answered and nothing of it is stored, whatever the page has asked its
person. Without an anonymous id nothing is sent, and nothing is taken: an event belongs to a contact. Traffic of programs is taken and marked.
Source: W3C "Global Privacy Control"; W3C "Tracking Preference Expression".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from activities.tracking import SCANNERS
from activities.visit_tokens import VisitTokens
from api.http.errors import Malformed, TooMany
from api.http.rate_limits import Rate
from api.server import Server, TheServer
from api.tracking.calls import Envelope, InvalidEvent, read_event
from api.tracking.endpoints import PER_KEY, known_key, read_body
from crm.consent.consent import shorten_ip
from crm.people.recognition import recognise
from engine.enrolment.routing import route
from journeys.errors import TooLarge
from storage.identifiers import normalise_all

router = APIRouter(tags=["tracking"], include_in_schema=False)

PER_NETWORK = Rate("site", per_second=5, burst=300)
"""Calls of one network (/24, /48)."""
MAX_BYTES = 16_384
KINDS = ("page", "track")


def wants_to_be_left_alone(headers: Mapping[str, str]) -> bool:
    return "1" in (headers.get("sec-gpc"), headers.get("dnt"))


@router.post("/v1/site")
async def take_from_site(request: Request, server: TheServer) -> Response:
    """One page or event. Sent as plain text, so that browsers ask nothing beforehand; answered with 204 whatever became of it, unless it cannot be read."""
    raw = await request.body()
    if len(raw) > MAX_BYTES:
        raise TooLarge("Expected at most {limit} bytes.", limit=MAX_BYTES)
    body = read_body(raw)
    key = await known_key(server, request, str(body.get("writeKey") or ""))
    if wants_to_be_left_alone(request.headers):
        return Response(status_code=204)
    await server.limits.take(PER_KEY, key.id)
    network = request.client.host if request.client else ""
    await server.limits.take(PER_NETWORK, shorten_ip(network) or network)
    now = server.engine.clock.now()
    try:
        call = read_event(
            _marked(body, request.headers.get("user-agent", "")), None, Envelope(now, key.source, trusted=False, key_id=key.id)
        )
    except InvalidEvent as error:
        raise Malformed("The event cannot be read: {problem}.", problem=f"{error.field}: {error}") from None
    if call.type not in KINDS:
        raise Malformed("Expected a page or an event.")
    contact_id = VisitTokens(server.settings.signing_keys()).read(str(body.get("token") or ""), server.engine.clock.real_now())
    if contact_id is not None:
        await run_in_threadpool(_recognise, server, contact_id, str(body.get("anonymousId")))
    if not server.writer.has_room(1):
        raise TooMany("Too many events are waiting to be stored; send these again later.", 2)
    await server.writer.submit([call])
    return Response(status_code=204)


def _marked(body: Mapping[str, Any], user_agent: str) -> dict[str, Any]:
    """The call as it is read: of whoever sends it we take no other name than the browser's own."""
    kept = {name: body[name] for name in ("type", "event", "name", "anonymousId", "messageId", "properties") if name in body}
    given = body.get("context")
    context = (
        {name: value for name, value in given.items() if name in ("page", "campaign", "locale", "timezone")}
        if isinstance(given, Mapping)
        else {}
    )
    if any(part in user_agent.lower() for part in SCANNERS) or not user_agent:
        context["bot"] = True
    return {**kept, "context": context}


def _recognise(server: Server, contact_id: str, anonymous_id: str) -> None:
    usable, _ = normalise_all([("anonymous_id", anonymous_id)])
    if not usable:
        return
    engine = server.engine
    now = engine.clock.now()
    with engine.db.write() as session:
        done = recognise(session, contact_id, usable[0][1], now)
        wakeups = route(engine, session, done.events, now)
        wakeups.runs.update(done.to_wake)
        for event in done.events:
            event.routed = True
    server.wake(wakeups)
