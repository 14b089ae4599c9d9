"""JSON of the admin interface: strict, bounded in depth, and free of what no database can store.

orjson refuses NaN, Infinity, lone surrogates and broken UTF-8; what is left to check is depth and U+0000. The tracking
door has its own reader (`api.tracking`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute

from api.errors import Malformed
from journeys.errors import TooLarge

MAX_DEPTH = 64
"""Levels of nesting; a rule is at most 10 deep, a document around it far less than 64."""

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


def read_json(body: bytes) -> Any:
    """The value in `body`.

    Raises:
        TooLarge: nested too deeply.
        Malformed: holds U+0000.
        json.JSONDecodeError: is not JSON.
    """
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _depth(body) > MAX_DEPTH:
        raise TooLarge("Expected JSON with at most {limit} levels of nesting.", limit=MAX_DEPTH)
    value = orjson.loads(body)
    if b"\\u0000" in body and _holds_nul(value):
        raise Malformed("The body contains the character U+0000, which cannot be stored.")
    return value


def _depth(body: bytes) -> int:
    """The deepest level, counted up to one more than is allowed."""
    depth = deepest = 0
    for match in _TOKEN.finditer(body):
        token = match.group()
        if token in (b"[", b"{"):
            depth += 1
            deepest = max(deepest, depth)
            if depth > MAX_DEPTH:
                break
        elif token in (b"]", b"}"):
            depth -= 1
    return deepest


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any("\0" in key or _holds_nul(part) for key, part in value.items())
    return isinstance(value, list) and any(_holds_nul(part) for part in value)


class _Request(Request):
    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            try:
                self._json = read_json(await self.body())
            except orjson.JSONDecodeError as error:
                # FastAPI turns this class into an error with a position; `api.errors` makes it a 400.
                raise json.JSONDecodeError(error.msg, "", error.pos) from None
        return self._json

    async def check(self) -> None:
        """Reads a JSON body early: FastAPI would turn what `read_json` refuses into a 400 that says nothing."""
        if "json" in self.headers.get("content-type", "") and await self.body():
            with suppress(json.JSONDecodeError):
                await self.json()


class JsonRoute(APIRoute):
    """A route whose JSON bodies pass `read_json`; the `route_class` of every admin router."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            inner = _Request(request.scope, request.receive)
            await inner.check()
            return await handle(inner)

        return strict
