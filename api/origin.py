"""Where a request comes from: what changes something with a browser's cookie must come from one of our own pages."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import Request

from api.errors import Forbidden
from api.server import Server


def check_origin(server: Server, request: Request) -> None:
    """A browser sends its cookie along whoever asks: what changes something must come from our own pages.

    Raises:
        Forbidden: another origin, or none at all. Source: OWASP CSRF cheat sheet, "verifying origin".
    """
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    origin = request.headers.get("origin")
    ours = {_origin(server.settings.public_url), f"{request.url.scheme}://{request.headers.get('host', '')}"}
    if origin is None or origin.rstrip("/") not in ours:
        raise Forbidden("This request does not come from a page of this server.")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
