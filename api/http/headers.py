"""What every response carries and every request leaves behind: a request id, security headers, one log line, one measurement.

The log holds the route's pattern, never the address itself, its query or who asked: tokens and people stand there.
"""

from __future__ import annotations

import logging
import re
import time
import traceback
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.errors import refuse
from engine.tracing import Tracing
from models import new_id

access_log = logging.getLogger("pfadwerk.access")
log = logging.getLogger("pfadwerk.api")

Measure = Callable[[str, str, int, float], None]
"""(method, route pattern, status, seconds)"""

OF_SITES = ("/v1/forms/",)
"""What says itself which sites may read it; everything else under `/v1/` is for whoever has a key."""
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
PROBES = frozenset({"/health", "/ready", "/metrics"})
"""Asked every few seconds by machines; no traces."""
_GOOD_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_TRACKING_METHODS = "POST, GET, OPTIONS"
_TRACKING_HEADERS = (
    "authorization, content-type, content-encoding, x-retry-count, x-strict-mode, x-request-id, x-contact-token, last-event-id"
)


class HeadersMiddleware:
    """ASGI middleware, the outermost: nothing leaves without passing it, and nothing unforeseen leaves with a traceback."""

    def __init__(self, app: ASGIApp, measure: Measure, https: bool, tracing: Tracing) -> None:
        self.app = app
        self.measure = measure
        self.https = https
        self.tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["path"] in PROBES:
            await self._answer(scope, receive, send)
        else:
            with self.tracing.request(Headers(scope=scope).get("traceparent", "") if self.tracing.on else "") as span:
                method, route, status = await self._answer(scope, receive, send)
                span.rename(f"{method} {route}")
                span.note(method=method, route=route, status=status)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> tuple[str, str, int]:
        """Returns method, route and status: what log, metrics and traces may know of a request."""
        started = time.perf_counter()
        scope["request_id"] = request_id = _request_id(scope)
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._add_headers(scope, MutableHeaders(scope=message))
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        except Exception as error:  # noqa: BLE001 - the last door: whatever happens is logged and answered, without its text
            _log_unforeseen(error, request_id)
            if status == 0:
                answer = refuse(500, "error", "Something went wrong here. The request id helps to find it.", {"request_id": request_id})
                await answer(scope, receive, send_with_headers)
        seconds = time.perf_counter() - started
        route = pattern(scope)
        self.measure(scope["method"], route, status, seconds)
        access_log.info("%s %s %d %.1f ms %s", scope["method"], route, status, seconds * 1000, request_id)
        return known(scope["method"]), route, status

    def _add_headers(self, scope: Scope, headers: MutableHeaders) -> None:
        headers["x-request-id"] = scope["request_id"]
        headers["x-content-type-options"] = "nosniff"
        headers.setdefault("referrer-policy", "no-referrer")
        if self.https:
            headers["strict-transport-security"] = "max-age=31536000"
        if "json" in headers.get("content-type", ""):
            headers.setdefault("content-security-policy", "default-src 'none'; frame-ancestors 'none'")
            headers.setdefault("cache-control", "no-store")
        headers.setdefault("x-frame-options", "SAMEORIGIN")
        if scope["path"].startswith("/v1/") and not scope["path"].startswith(OF_SITES):
            headers["access-control-allow-origin"] = "*"
            headers["access-control-expose-headers"] = "retry-after, x-request-id, x-dropped-events"
            if scope["method"] == "OPTIONS":
                headers["access-control-allow-methods"] = _TRACKING_METHODS
                headers["access-control-allow-headers"] = _TRACKING_HEADERS
                headers["access-control-max-age"] = "86400"


def known(method: str) -> str:
    """Unknown methods share a word, so that nobody can fill metrics and traces with words of their own."""
    return method if method in METHODS else "OTHER"


def pattern(scope: Scope) -> str:
    """The route's pattern (`/api/v1/contacts/{contact_id}`), or a word for addresses that no route knows."""
    route = scope.get("route")
    return str(getattr(route, "path", "")) or "(no route)"


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _GOOD_ID.fullmatch(given) else new_id()


def _log_unforeseen(error: Exception, request_id: str) -> None:
    # Frames only, and ours: the text of an exception may hold what people are called.
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if "site-packages" not in frame.filename]
    log.error("request %s failed: %s\n%s", request_id, type(error).__name__, "".join(traceback.format_list(ours)))
