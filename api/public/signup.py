"""The page behind the link of the mail that asks for a confirmation. Only a POST confirms; scanners follow GETs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from api.public.brand import brand
from api.public.doors import PER_TOKEN, Form, address_of, happened, nothing, tracking_of
from api.public.pages import page
from api.server import Server, TheServer
from crm.consent import double_opt_in
from crm.forms import forms, submissions
from journeys.errors import NotFound
from models import Event, OptIn

router = APIRouter(tags=["public pages"], include_in_schema=False)


@router.api_route("/confirm/{token}", methods=["GET", "HEAD"])
def ask_to_confirm(token: str, request: Request, server: TheServer) -> Response:
    """Asks; a GET never confirms."""
    ids = tracking_of(request).read_confirm(token)
    row = _opt_in(server, ids[0]) if ids else None
    if row is None:
        return nothing(server, request)
    server.take(PER_TOKEN, token)
    return _confirm_page(server, row, _state_of(server, row))


@router.post("/confirm/{token}")
def confirm(token: str, request: Request, server: TheServer, said: Form) -> Response:
    """Turns the request into a consent, once."""
    ids = tracking_of(request).read_confirm(token)
    row = _opt_in(server, ids[0]) if ids else None
    if ids is None or row is None:
        return nothing(server, request)
    server.take(PER_TOKEN, token)
    if ("confirm", "yes") not in said:
        return _confirm_page(server, row, _state_of(server, row), 400)
    answers: list[double_opt_in.Answer] = []

    def answered(session: Session, now: datetime) -> list[Event | None]:
        answers.append(double_opt_in.confirm(session, row.id, now, ip=address_of(request), message_id=ids[1]))
        said = list(answers[-1].events)
        return [*said, *submissions.confirmed(session, row.id, now)] if said else []

    try:
        happened(server, answered)
    except NotFound:
        return nothing(server, request)
    return _confirm_page(server, row, answers[-1].state)


def _opt_in(server: Server, opt_in_id: str) -> OptIn | None:
    with server.engine.db.read() as session:
        return session.get(OptIn, opt_in_id)


def _state_of(server: Server, row: OptIn) -> double_opt_in.State:
    with server.engine.db.read() as session:
        return double_opt_in.state_of(session, row, server.engine.clock.now())


def _confirm_page(server: Server, row: OptIn, state: str, status: int = 200) -> Response:
    key = row.source.removeprefix("form:")
    with server.engine.db.read() as session:
        again = f"/f/{key}" if forms.shown(session, key) is not None else ""
    return _page(server, row.language, "confirm", status, state=state, again=again, wordings=double_opt_in.wordings(row))


def _page(server: Server, language: str, name: str, status: int = 200, **values: Any) -> Response:
    with server.engine.db.read() as session:
        look = brand(session)
    return page(name, language, look, status, **values)
