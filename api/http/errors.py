"""The one shape of every error: `{"error": {"code", "message", "details"}}`.

`code` is for programs and never changes, `message` is a sentence for people and never holds personal data, `details` names
the place. Declared in OpenAPI through `answers(...)`.
"""

from __future__ import annotations

import logging
import sqlite3
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field
from sqlalchemy.exc import DataError, DBAPIError, OperationalError
from starlette.exceptions import HTTPException

from api.http import former
from api.http.stray import known_at, sentence
from journeys.errors import PfadwerkError, TooMany, Unauthorized

__all__ = ["TooMany", "Unauthorized"]

log = logging.getLogger("pfadwerk.api")


class Forbidden(PfadwerkError):
    """Somebody is known, but may not do this."""

    code = "forbidden"
    status = 403


class Malformed(PfadwerkError):
    """The request cannot be read at all."""

    code = "malformed"
    status = 400


class Unavailable(PfadwerkError):
    """The database cannot take this now; nothing was acknowledged, so the sender keeps it."""

    code = "unavailable"
    status = 503


class ErrorBody(BaseModel):
    """What went wrong."""

    code: str = Field(description="Stable word for programs.", examples=["not_found"])
    message: str = Field(description="A sentence for people; holds no personal data.", examples=["There is no contact with this id."])
    details: dict[str, Any] = Field({}, description="Names the place, where there is one.")


class ErrorAnswer(BaseModel):
    """The shape of every error."""

    error: ErrorBody


_SAMPLES: dict[int, tuple[str, str, str, dict[str, Any]]] = {
    400: ("The request cannot be read.", "malformed", "The body is not JSON: unexpected character at byte 17.", {"position": 17}),
    401: ("Nobody is logged in, or the key is not valid.", "unauthorized", "Log in, or send an admin key: Authorization: Bearer …", {}),
    403: (
        "The role does not allow this; or, with the code `proof_needed`, a logged-in member has to confirm first at /prove.",
        "forbidden",
        "This needs one of the roles admin, marketer; yours is viewer.",
        {},
    ),
    404: ("It does not exist.", "not_found", "There is no journey with this id.", {}),
    405: ("The address exists, but not with this method.", "method_not_allowed", "This address does not know the method DELETE.", {}),
    409: (
        "It changed meanwhile, or its state forbids this.",
        "conflict",
        "Somebody saved revision 8 meanwhile; load it and try again.",
        {},
    ),
    413: ("Too large.", "too_large", "Expected at most 4194304 bytes.", {"limit_bytes": 4194304}),
    408: ("The body took too long to arrive.", "malformed", "The body did not arrive within 30 seconds.", {}),
    415: ("The body is encoded in a way we do not read.", "malformed", "Expected Content-Encoding gzip or none.", {}),
    422: (
        "Understood, but wrong.",
        "invalid",
        "Some values are wrong.",
        {"issues": [{"place": "body.name", "message": "Field required", "code": "missing"}]},
    ),
    429: (
        "Too many requests; `Retry-After` says when to come back.",
        "too_many_requests",
        "Too many requests; try again in 2 seconds.",
        {},
    ),
    503: ("The database cannot take this now.", "unavailable", "The database is busy or full; nothing was stored. Try again later.", {}),
}


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of an endpoint: these errors, each with an example."""
    return {status: _declared(status) for status in statuses}


def _declared(status: int) -> dict[str, Any]:
    description, code, message, details = _SAMPLES[status]
    example = {"error": {"code": code, "message": message, "details": details}}
    return {"model": ErrorAnswer, "description": description, "content": {"application/json": {"example": example}}}


ADMIN = answers(400, 401, 403, 413, 422, 429, 503)
"""What every address of the admin interface may answer."""
ONE = {**ADMIN, **answers(404)}
"""An address that names one thing."""
CHANGE = {**ONE, **answers(409)}
"""An address that changes one thing."""


def refuse(status: int, code: str, message: str, details: dict[str, Any] | None = None, headers: dict[str, str] | None = None) -> Response:
    """An error as a response."""
    body = {"error": {"code": code, "message": message, "details": details or {}}}
    return Response(orjson.dumps(body, default=str), status, headers, "application/json")


def install(app: FastAPI) -> None:
    """Makes every foreseen error of the app leave in the one shape; `api.http.headers` does it for the others."""
    app.add_exception_handler(PfadwerkError, _known)
    app.add_exception_handler(RequestValidationError, _wrong_input)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(DBAPIError, _database)


async def _known(request: Request, error: Exception) -> Response:
    assert isinstance(error, PfadwerkError)
    if isinstance(error, Forbidden) and hasattr(request.state, "actor"):
        await run_in_threadpool(_note_refusal, request)
    headers: dict[str, str] = {}
    if isinstance(error, TooMany):
        headers["retry-after"] = str(max(1, round(error.retry_after_seconds + 0.5)))
    if isinstance(error, Unauthorized):
        headers["www-authenticate"] = "Bearer"
    return refuse(error.status, error.code, str(error), error.details, headers)


def _note_refusal(request: Request) -> None:
    """The audit trail hears of it, if it can: the answer is the same either way."""
    server = request.app.state.server
    route: Any = request.scope.get("route")
    what = f"{request.method} {getattr(route, 'path', '')}"
    try:
        server.refusals.note(server.engine.db, request.state.actor, what, server.engine.clock.real_now())
    except DBAPIError as error:
        log.error("a refusal could not be written down: %s", type(error.orig).__name__)


async def _wrong_input(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = error.errors()
    if any(problem["type"] == "json_invalid" for problem in problems):
        return refuse(400, "malformed", "The body is not JSON.", {"position": problems[0]["loc"][-1]})
    issues = [{"place": _place(p["loc"]), "message": _sentence(p, request), "code": p["type"]} for p in problems[:100]]
    return refuse(
        422, "invalid", "Some values are wrong: " + "; ".join(f"{i['place']}: {i['message']}" for i in issues[:3]), {"issues": issues}
    )


def _place(location: tuple[Any, ...]) -> str:
    return ".".join(str(part)[:80] for part in location)


def _sentence(problem: dict[str, Any], request: Request) -> str:
    if problem["type"] == "extra_forbidden":
        return sentence(str(problem["loc"][-1]), known_at(request.scope.get("route"), problem["loc"]))
    return str(problem["msg"]).removeprefix("Value error, ")[:300]


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code, message = _HTTP.get(error.status_code, ("malformed", str(error.detail)))
    today = former.address(request.method, request.url.path) if error.status_code in _HTTP else None
    if today:
        message = f"This address is called {today} now."
    return refuse(error.status_code, code, message, headers=dict(error.headers or {}))


_HTTP = {
    400: ("malformed", "The request cannot be read."),
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not know this method."),
}


def is_out_of_space(error: BaseException) -> bool:
    """Whether the database says that it or its disk is full, or cannot be reached."""
    origin = getattr(error, "orig", error)
    if isinstance(origin, sqlite3.Error):
        return getattr(origin, "sqlite_errorname", "").startswith(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN"))
    return str(getattr(origin, "sqlstate", "") or "").startswith(("53", "58", "57P", "08"))


def is_busy(error: BaseException) -> bool:
    """Whether the same transaction may succeed when repeated: locks, deadlocks, lost connections, and what a limit of time has ended.

    Source: PostgreSQL, error codes 25P03 (idle_in_transaction_session_timeout), 55P03 (lock_not_available), 57014 (query_canceled).
    """
    origin = getattr(error, "orig", error)
    if isinstance(origin, sqlite3.Error):
        return getattr(origin, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
    return str(getattr(origin, "sqlstate", "") or "").startswith(("40", "55", "08", "25P03", "57014")) or isinstance(
        error, OperationalError
    )


def takes_nothing(error: BaseException) -> bool:
    """Whether the database refuses every write of ours: it is read-only, or our role may not insert.

    Source: PostgreSQL, error codes 25006 (read_only_sql_transaction) and 42501 (insufficient_privilege); SQLite, SQLITE_READONLY, SQLITE_PERM.
    """
    origin = getattr(error, "orig", error)
    if isinstance(origin, sqlite3.Error):
        return getattr(origin, "sqlite_errorname", "").startswith(("SQLITE_READONLY", "SQLITE_PERM"))
    return getattr(origin, "sqlstate", None) in ("25006", "42501")


def is_unstorable(error: BaseException) -> bool:
    """Whether it is the values themselves that the database cannot hold, so that sending them again is of no use."""
    if isinstance(error, PfadwerkError):
        return 400 <= error.status < 500 and error.status not in (408, 409, 429)
    origin = getattr(error, "orig", error)
    return isinstance(error, DataError) or isinstance(origin, UnicodeError | OverflowError)


async def _database(_request: Request, error: Exception) -> Response:
    if not (is_out_of_space(error) or takes_nothing(error) or is_busy(error)):
        raise error
    log.error("the database refused a request: %s", type(getattr(error, "orig", error)).__name__)
    sentence = FULL if is_out_of_space(error) else READ_ONLY if takes_nothing(error) else BUSY
    return refuse(503, "unavailable", sentence, headers={"retry-after": "5"})


FULL = "The database cannot store anything: its disk or its quota is full, or it cannot be reached. Nothing was stored; try again later."
READ_ONLY = "The database is read-only right now or refuses this server. Nothing was stored; send this again later."
UNFORESEEN = "An unexpected error occurred; see the log. Nothing of this event was stored; send it again."
BUSY = "The database is busy. Nothing was stored; try again."
