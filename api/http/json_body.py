"""JSON of the admin interface: strict, bounded in depth, and free of what no database can store.

orjson refuses NaN, Infinity, lone surrogates and broken UTF-8; what is left to check is depth and U+0000. The tracking
door has its own reader (`api.tracking.calls`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query
from fastapi.routing import APIRoute
from pydantic import BaseModel

from api.http.errors import Malformed, refuse
from api.http.stray import Stray, models_in
from journeys.errors import TooLarge
from journeys.rules import Group, Term
from journeys.rules.model import stray_keys

MAX_STRAY = 20
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
                # FastAPI turns this class into an error with a position; `api.http.errors` makes it a 400.
                raise json.JSONDecodeError(error.msg, "", error.pos) from None
        return self._json

    async def check(self) -> None:
        """Reads a JSON body early: FastAPI would turn what `read_json` refuses into a 400 that says nothing."""
        if "json" in self.headers.get("content-type", "") and await self.body():
            with suppress(json.JSONDecodeError):
                await self.json()


class StrictRoute(APIRoute):
    """A route that refuses query parameters it has no use for; for bodies that are no JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        parameters = query_parameters(self)

        async def strict(request: Request) -> Response:
            stray = [Stray("query", name, parameters) for name in request.query_params if name not in parameters]
            return _refused(stray) if stray else await handle(request)

        return strict


class JsonRoute(StrictRoute):
    """A route that takes nothing it does not know: the `route_class` of every admin router.

    Its JSON bodies pass `read_json`; a query parameter, or a key of a body, that it has no use for is refused by name, because a filter
    with a typing mistake would else list everybody. Models of bodies forbid other keys (`ConfigDict(extra="forbid")`), which is looked at when
    the route is made; rules, which are read leniently where they are stored, are looked through here.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        rules = _rules_of(self)

        async def strict(request: Request) -> Response:
            inner = _Request(request.scope, request.receive)
            await inner.check()
            stray = await _in_rules(inner, rules) if rules else []
            return _refused(stray) if stray else await handle(inner)

        return strict


def query_parameters(route: APIRoute) -> tuple[str, ...]:
    """What may stand in the query of the route's address, for itself or for what it depends on."""
    return tuple(field.alias for field in get_flat_params(route.dependant) if isinstance(field.field_info, Query))


def _refused(found: Sequence[Stray]) -> Response:
    issues = [stray.issue() for stray in found[:MAX_STRAY]]
    said = "; ".join(f"{issue['place']}: {issue['message']}" for issue in issues[:3])
    return refuse(422, "invalid", f"Some values are wrong: {said}", {"issues": issues})


def _rules_of(route: APIRoute) -> tuple[str, ...]:
    """The fields of the route's body that hold a rule.

    Raises:
        TypeError: a model of the body lets unknown keys through.
    """
    model = route.body_field.field_info.annotation if route.body_field else None
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return ()
    found = []
    for name, field in model.model_fields.items():
        inside = models_in(field.annotation)
        if Group in inside:
            found.append(name)
    if lax := [
        held.__name__ for held in models_in(model) if not issubclass(held, Group | Term) and held.model_config.get("extra") != "forbid"
    ]:
        raise TypeError(f"bodies of {route.path} forbid unknown keys: {lax} do not")
    return tuple(found)


async def _in_rules(request: Request, fields: Sequence[str]) -> list[Stray]:
    try:
        body = await request.json()
    except json.JSONDecodeError:
        return []
    held = [(name, body[name]) for name in fields if isinstance(body, dict) and name in body]
    return [
        Stray(f"body.{name}.{place}".rstrip("."), key, known)
        for name, rule in held
        for place, key, known in islice(stray_keys(rule), MAX_STRAY)
    ]
