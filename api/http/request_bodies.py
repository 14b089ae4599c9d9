"""The door every request passes first: how large and how compressed a body may be.

Read as it streams in and refused at the first byte too many, before anything parses it; compressed bodies count inflated.
Says nothing about what a body means (`api.http.json_body`, `api.tracking.calls`).
"""

from __future__ import annotations

import asyncio
import zlib

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.errors import refuse

READ_SECONDS = 30.0
"""How long a sender may take for its whole body."""


class Refused(Exception):
    """The body is refused; carries status, code and sentence."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class BodyLimitMiddleware:
    """ASGI middleware: hands on requests whose body is complete, inflated and within `max_bytes`."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        try:
            _check_address(scope)
            if scope["method"] in ("GET", "HEAD", "OPTIONS"):
                return await self.app(scope, receive, send)
            body = await self._read(scope, receive)
        except Refused as error:
            return await refuse(error.status, error.code, str(error))(scope, receive, send)
        return await self.app(_plain(scope, len(body)), _replay(body, receive), send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        headers = Headers(scope=scope)
        encoding = headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "", "gzip", "x-gzip"):
            raise Refused(415, "malformed", "Expected Content-Encoding gzip or none.")
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > self.max_bytes:
            raise self._too_large()
        try:
            async with asyncio.timeout(READ_SECONDS):
                raw = await self._collect(receive)
        except TimeoutError:
            raise Refused(408, "malformed", f"The body did not arrive within {READ_SECONDS:.0f} seconds.") from None
        return self._inflate(raw) if encoding in ("gzip", "x-gzip") else raw

    async def _collect(self, receive: Receive) -> bytes:
        parts: list[bytes] = []
        size = 0
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Refused(400, "malformed", "The sender went away before the body was complete.")
            part = message.get("body", b"")
            size += len(part)
            if size > self.max_bytes:
                raise self._too_large()
            parts.append(part)
            more = message.get("more_body", False)
        return b"".join(parts)

    def _inflate(self, raw: bytes) -> bytes:
        """Inflates at most `max_bytes`, so that a small bomb costs no memory."""
        inflater = zlib.decompressobj(wbits=31)
        try:
            body = inflater.decompress(raw, self.max_bytes + 1)
        except zlib.error:
            raise Refused(400, "malformed", "The body is not valid gzip.") from None
        if len(body) > self.max_bytes:
            raise self._too_large()
        if not inflater.eof or inflater.unused_data:
            raise Refused(400, "malformed", "The body is not one complete gzip stream.")
        return body

    def _too_large(self) -> Refused:
        return Refused(413, "too_large", f"Expected a body of at most {self.max_bytes} bytes after decompression.")


def _check_address(scope: Scope) -> None:
    """U+0000 can be stored by no database of ours; refused here, once, instead of at every parameter."""
    if "\0" in scope["path"] or b"%00" in scope["query_string"] or b"\0" in scope["query_string"]:
        raise Refused(400, "malformed", "The address contains the character U+0000.")


def _plain(scope: Scope, length: int) -> Scope:
    """The scope as if the body had been sent plain."""
    headers = MutableHeaders(raw=list(scope["headers"]))
    del headers["content-encoding"]
    headers["content-length"] = str(length)
    scope["headers"] = headers.raw  # in place: the outer door reads from this scope which route it was
    return scope


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
