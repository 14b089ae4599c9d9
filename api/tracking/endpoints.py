"""The tracking door: `/v1/track`, `/v1/batch` and their like, so that existing Segment and RudderStack client libraries work unchanged.

Answers after the events are committed. Bad events of a batch are left out and counted (`X-Dropped-Events`); with `X-Strict-Mode: 1`
the answer is 400 and names them, and the good ones are stored all the same. Source: Segment "HTTP Tracking API".
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import orjson
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from api.http.errors import Malformed, TooMany, Unauthorized, answers
from api.http.odd_json import read_odd_json
from api.http.rate_limits import Rate
from api.server import Server, TheServer
from api.tracking.calls import SHORT, Envelope, InvalidEvent, TrackingCall, read_event, read_time
from api.tracking.schema import call_name, ref
from api.tracking.trust import is_trusted
from api.tracking.write_keys import Key
from engine.tracing import Tracing
from journeys.errors import NotFound, PfadwerkError, TooLarge
from storage.origin import HOPS_HEADER, read_hops
from workspace.intake import code_of

router = APIRouter(tags=["tracking"])

PER_KEY = Rate("ingest", per_second=1_000, burst=5_000)
"""Requests per write key; a request may hold a thousand events."""
BAD_KEYS = Rate("bad-key", per_second=1, burst=60)
"""Requests with an unknown key per address, so that nobody can try keys or fill the log."""
MAX_LISTED = 100
"""Bad events named in one answer."""

DONE = orjson.dumps({"success": True})


class InvalidEvents(PfadwerkError):
    """Strict mode: some events were refused; the others are stored."""

    code = "invalid_event"
    status = 400


_EXAMPLES: dict[str, dict[str, Any]] = {
    "track": {"userId": "u1", "event": "Order Completed", "properties": {"order_id": "o-17", "total": 59.9, "currency": "EUR"}},
    "identify": {
        "userId": "u1",
        "traits": {
            "email": "ada@example.org",
            "firstName": "Ada",
            "consents": [{"channel": "email", "purpose": "marketing", "state": "granted"}],
        },
    },
    "page": {"anonymousId": "a1", "name": "Pricing", "properties": {"url": "https://shop.example/pricing"}},
    "screen": {"anonymousId": "a1", "name": "Cart"},
    "group": {"userId": "u1", "groupId": "acme", "traits": {"name": "Acme AG"}},
    "alias": {"previousId": "a1", "userId": "u1"},
}
_BATCH_EXAMPLE = {"batch": [{"type": kind, **call} for kind, call in list(_EXAMPLES.items())[:2]], "sentAt": "2026-11-22T10:00:00Z"}
_DONE = {
    "description": "Stored.",
    "content": {
        "application/json": {
            "schema": ref("Stored"),
            "example": {"success": True},
        }
    },
    "headers": {"X-Dropped-Events": {"description": "How many events were left out as wrong.", "schema": {"type": "integer"}}},
}


def _openapi(schema: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    return {
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema, "example": example}}},
        "security": [{"writeKey": []}, {}],
        "parameters": [
            {
                "name": "X-Strict-Mode",
                "in": "header",
                "schema": {"type": "string", "enum": ["0", "1"]},
                "description": "1: answer 400 for wrong events.",
            }
        ],
    }


def _add(path: str, kind: str) -> None:
    batch = kind in ("batch", "import")
    text = {
        "batch": "Store several calls, in their order.",
        "import": "Store several calls as history: they wake no journey and start none.",
    }.get(kind, f"Store one `{kind}` call.")

    async def endpoint(request: Request, server: TheServer) -> Response:
        return await take(server, request, kind)

    router.add_api_route(
        f"/v1/{path}",
        endpoint,
        methods=["POST"],
        name=f"{kind}_{path}",
        operation_id=path if path == kind else f"{kind}_short",
        summary=kind.capitalize() if path == kind else f"{kind.capitalize()} (short path)",
        description=f"{text} Any content type is read as JSON; `Content-Encoding: gzip` is understood. "
        "Answered after the events are stored. What a browser key may not do is left out and stands at the stored event as `refused`.",
        response_class=Response,
        responses={200: _DONE, **answers(400, 401, 408, 413, 415, 429, 503)},
        openapi_extra=_openapi(ref("CallBatch"), _BATCH_EXAMPLE) if batch else _openapi(ref(call_name(kind)), _EXAMPLES[kind]),
    )


for _kind in ("track", "identify", "page", "screen", "group", "alias", "batch", "import"):
    _add(_kind, _kind)
for _letter, _kind in SHORT.items():
    _add(_letter, _kind)


@router.options("/v1/{path:path}", include_in_schema=False)
async def preflight() -> Response:
    """Browsers ask before they send; `api.http.headers` adds the answer's headers."""
    return Response(status_code=204)


@router.get(
    "/v1/projects/{write_key}/settings",
    summary="Settings for the browser library",
    description="What Segment's `analytics-next` asks for first; it then sends to this server and to nobody else.",
    responses={
        200: {
            "content": {
                "application/json": {
                    "example": {"integrations": {"Segment.io": {"apiKey": "pfw_…", "apiHost": "example.org/v1", "protocol": "https"}}}
                }
            }
        },
        **answers(400, 404, 422, 429, 503),
    },
)
async def project_settings(write_key: str, request: Request, server: TheServer) -> dict[str, Any]:
    try:
        await known_key(server, request, write_key)
    except Unauthorized:
        raise NotFound("There is no write key like this.") from None
    protocol, _, host = server.settings.public_url.partition("://")
    integration = {
        "apiKey": write_key,
        "apiHost": f"{host}/v1",
        "protocol": protocol,
        "unbundledIntegrations": [],
        "addBundledMetadata": False,
    }
    return {
        "integrations": {"Segment.io": integration},
        "plan": {
            "track": {"__default": {"enabled": True}},
            "identify": {"__default": {"enabled": True}},
            "group": {"__default": {"enabled": True}},
        },
        "edgeFunction": {},
        "analyticsNextEnabled": True,
        "middlewareSettings": {},
        "enabledMiddleware": {},
        "metrics": {"sampleRate": 0},
        "legacyVideoPluginsEnabled": False,
        "remotePlugins": [],
    }


async def take(server: Server, request: Request, kind: str) -> Response:
    """One request of the tracking door, from bytes to committed rows."""
    secret = key_given(request)
    key = await known_key(server, request, secret) if secret is not None else None
    body = read_body(await request.body())
    if key is None:
        key = await known_key(server, request, _key_in(body))
    await server.limits.take(PER_KEY, key.id)
    hops = read_hops(request.headers.get(HOPS_HEADER, ""))
    calls, bad = _read(server, body, kind, key, is_trusted(key, request.headers), hops)
    if not server.writer.has_room(len(calls)):
        raise TooMany("Too many events are waiting to be stored; send these again later.", 2)
    server.metrics.refused.inc(len(bad))
    _note_traces(server.engine.tracing, calls)
    written = await server.writer.submit(calls)
    dropped = len(bad) + written.refused
    if written.refused and not bad:
        bad = [{"index": 0, "field": "", "message": "the database cannot hold what is in it"}]
    if bad and request.headers.get("x-strict-mode") == "1":
        raise InvalidEvents(_sentence(bad), accepted=len(calls) - written.refused, errors=bad[:MAX_LISTED])
    return Response(DONE, headers={"x-dropped-events": str(dropped)} if dropped else None, media_type="application/json")


def _note_traces(tracing: Tracing, calls: list[TrackingCall]) -> None:
    """The event of a request goes on in the request's trace; of many each has a trace of its own, since they are about many people."""
    here = tracing.here()
    if here is None:
        return
    for call in calls:
        if len(calls) == 1:
            call.row["trace"] = here
        elif not call.row["backfill"]:
            with tracing.apart("accept"):
                call.row["trace"] = tracing.here()


def read_body(body: bytes) -> dict[str, Any]:
    """Raises:
    Malformed: not JSON, or not an object; says where."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        value = read_odd_json(body)
        if value is None:
            raise Malformed(
                "The body is not JSON: line {line}, column {column}.", line=error.lineno, column=error.colno, position=error.pos
            ) from None
    if type(value) is not dict:
        raise Malformed("Expected a JSON object.")
    return value


def _read(
    server: Server, body: dict[str, Any], kind: str, key: Key, trusted: bool, hops: int
) -> tuple[list[TrackingCall], list[dict[str, Any]]]:
    """The good calls of a request, and what is wrong with the others."""
    single = kind not in ("batch", "import")
    entries = [body] if single else body.get("batch")
    if type(entries) is not list:
        raise Malformed("Expected `batch` to be a list of events.")
    if len(entries) > server.settings.max_batch_events:
        limit = server.settings.max_batch_events
        raise TooLarge("Expected at most {limit} events in a batch, got {count}.", limit=limit, count=len(entries))
    try:
        sent_at = None if single else read_time(body.get("sentAt"), "sentAt")
    except InvalidEvent:
        sent_at = None  # a broken clock at the sender must not cost events: their own stamps then count as they are
    shared = None if single else body.get("context")
    if shared is not None and type(shared) is not dict:
        raise Malformed("Expected `context` of a batch to be an object.")
    now, longest = server.engine.clock.now(), server.settings.max_event_bytes
    envelope = Envelope(now, key.source, sent_at, kind == "import", longest, trusted, key.id, hops)
    calls: list[TrackingCall] = []
    bad: list[dict[str, Any]] = []
    for index, raw in enumerate(entries):
        try:
            calls.append(read_event(_in_context(raw, shared) if shared else raw, kind if single else None, envelope))
        except InvalidEvent as error:
            bad.append({"index": index, "field": error.field, "message": str(error)})
            server.writer.intake.note(key.id, "refused", _called(raw, kind), error.field, code_of(str(error)))
    return calls, bad


def _called(raw: Any, kind: str) -> object:
    """What somebody would look for: the event's name, else the type of the call."""
    if type(raw) is not dict:
        return kind
    return raw.get("event") or raw.get("type") or kind


def _in_context(raw: Any, shared: dict[str, Any]) -> Any:
    """An event with the context of its batch; what it says itself wins."""
    if type(raw) is not dict:
        return raw
    own = raw.get("context")
    return {**raw, "context": {**shared, **(own or {})}} if own is None or type(own) is dict else raw


def _sentence(bad: list[dict[str, Any]]) -> str:
    first = bad[0]
    place = f"event {first['index']}" + (f", {first['field']}" if first["field"] else "")
    return f"{len(bad)} of the events are wrong; the first: {place}: {first['message']}."


def key_given(request: Request) -> str | None:
    """The user name of Basic authentication, or a Bearer token; None when the header is not there.

    Raises:
        Unauthorized: the header is there and cannot be read.
    """
    header = request.headers.get("authorization")
    if not header:
        return None
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    try:
        return base64.b64decode(value.strip(), validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        raise Unauthorized("Expected Basic authentication with the write key as user name.") from None


def _key_in(body: dict[str, Any]) -> str | None:
    """`writeKey` of the request, or of the first event of a batch."""
    batch = body.get("batch")
    first = batch[0] if type(batch) is list and batch and type(batch[0]) is dict else {}
    key = body.get("writeKey") or first.get("writeKey")
    return key if type(key) is str else None


async def known_key(server: Server, request: Request, secret: str | None) -> Key:
    """Raises:
    Unauthorized: no key, or none that is valid; TooMany after many tries from one address."""
    if secret:
        known, key = server.keys.cached(secret, "write")
        if not known:
            key = await run_in_threadpool(server.keys.find, secret, "write")
        if key is not None:
            return key
    await server.limits.take(BAD_KEYS, request.client.host if request.client else "")
    raise Unauthorized("Expected a valid write key, as user name of Basic authentication or as `writeKey` in the body.")
