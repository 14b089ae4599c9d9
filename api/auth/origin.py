"""Where a request comes from. A browser sends its cookie along whoever asks, so what changes something must come from one of our own pages.

The rule holds for every address and every socket unless it is named in `EXEMPT`: a route that is added later is guarded without a word.
Source: OWASP, Cross-Site Request Forgery Prevention (verifying origin; fetch metadata); RFC 6455 §10.2 for sockets.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.http.errors import refuse

SAFE = ("GET", "HEAD", "OPTIONS")
EXEMPT: Mapping[str, str] = {
    "/v1/": "Tracking calls come from the customer's own sites and servers; a write key in the call says who they are, and no cookie is read.",
    "/callbacks/": "Providers report from their own servers; their signature over the call says who they are, and no cookie is read.",
    "/u/": "One-click unsubscribing is a POST of the mail program, without origin (RFC 8058); the signed token in the address is all it needs.",
    "/p/": "Preferences are changed out of a mail, in whatever browser shows it; the signed token in the address is all it needs.",
    "/confirm/": "A double opt-in is confirmed out of a mail, in whatever browser shows it; the signed token in the address is all it needs.",
    "/subscribe/": "Sign-up forms stand on the customer's own sites; no cookie is read, and the address itself has to confirm.",
    "/f/": "Forms stand on the customer's own sites; no cookie is read, and what is sent in is worth what a stranger's word is.",
}
"""What an address starts with -> why others than our own pages may ask it to change something."""
ADMIN = "/api/v1/"
"""Asked by servers with an admin key, which no browser sends by itself, and by our own pages with a cookie."""
REFUSED = "This request does not come from a page of this server."


class Origin:
    """ASGI middleware: refuses what would change something, and every socket, unless one of our own pages asks or `EXEMPT` names it.

    `public_url` is the address people know; the one that the request itself was sent to counts as ours, too.
    """

    def __init__(self, app: ASGIApp, public_url: str) -> None:
        self.app = app
        self.public = _origin(public_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._is_allowed(scope):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # before accept: the handshake is answered with 403
        else:
            await refuse(403, "forbidden", REFUSED)(scope, receive, send)

    def _is_allowed(self, scope: Scope) -> bool:
        if scope["type"] == "http" and (scope["method"] in SAFE or scope["path"].startswith(tuple(EXEMPT))):
            return True
        headers = Headers(scope=scope)
        return _by_key(scope, headers) or self._is_ours(scope, headers)

    def _is_ours(self, scope: Scope, headers: Headers) -> bool:
        scheme = "https" if scope["scheme"] in ("https", "wss") else "http"
        here = f"{scheme}://{headers.get('host', '')}"
        return headers.get("origin", "") in (self.public, here) and headers.get("sec-fetch-site", "same-origin") == "same-origin"


def _by_key(scope: Scope, headers: Headers) -> bool:
    """Whether no cookie can be what speaks: there is a key, or there is no cookie either, and `api.auth.access` says that one of them is needed."""
    if scope["type"] != "http" or not scope["path"].startswith(ADMIN):
        return False
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return (scheme.lower() == "bearer" and bool(key.strip())) or "cookie" not in headers


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
