"""Signing up: the workspace's forms, and the page behind the link of the mail that asks for a confirmation.

Forms may be asked from any site: no cookie is read, and the answer says nothing about the address. Only a POST confirms; scanners follow GETs.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from api.http.rate_limits import Rate
from api.public.brand import brand
from api.public.doors import PER_TOKEN, Form, address_of, happened, nothing, tracking_of
from api.public.pages import language_of, page
from api.server import Server, TheServer
from crm.consent import double_opt_in
from crm.consent.consent import shorten_ip
from journeys.errors import Invalid, NotFound, TooMany
from locales import SUPPORTED
from models import Event, OptIn
from workspace import settings

router = APIRouter(tags=["public pages"], include_in_schema=False)

HOUR = 3_600
TRAP = "website"
"""A field that people do not see and programs fill in."""


def check_rates(server: Server, door: str, network: str) -> None:
    """Raises:
    TooMany: too many requests from this network, or through this form or key."""
    with server.engine.db.read() as session:
        most = settings.load(session, settings.DoubleOptIn)
    server.take(Rate("signup-network", per_second=most.asks_a_network / HOUR, burst=most.asks_a_network), shorten_ip(network) or network)
    server.take(Rate("signup-door", per_second=most.asks_a_form / HOUR, burst=most.asks_a_form), door)


@router.api_route("/subscribe/{key}", methods=["GET", "HEAD"])
def show_form(key: str, request: Request, server: TheServer) -> Response:
    """The form as a page of its own."""
    form = _form_of(server, key)
    if form is None:
        return nothing(server, request)
    return _form_page(server, form, _language(request, server, request.query_params.get("language", "")))


@router.post("/subscribe/{key}")
def sign_up(key: str, request: Request, server: TheServer, said: Form) -> Response:
    """Asks the address to confirm; the answer is the same whoever has it."""
    form = _form_of(server, key)
    if form is None:
        return nothing(server, request)
    values = dict(said)
    language = _language(request, server, values.get("language", ""))
    if values.get(TRAP):
        return _page(server, language, "subscribe_asked")
    if values.get("agree") != "yes":
        return _form_page(server, form, language, values, "agree")
    try:
        check_rates(server, f"form:{key}", address_of(request))
        shown = {value for name, value in said if name == "shown"}
        happened(server, lambda session, now: _asked(session, form, request, language, values, shown, now))
    except TooMany:
        return _page(server, language, "subscribe_later", 429)
    except Invalid:
        return _form_page(server, form, language, values, "email")
    return _page(server, language, "subscribe_asked")


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
        return list(answers[-1].events)

    try:
        happened(server, answered)
    except NotFound:
        return nothing(server, request)
    return _confirm_page(server, row, answers[-1].state)


def _asked(
    session: Session,
    form: settings.SignupForm,
    request: Request,
    language: str,
    values: dict[str, str],
    shown: Collection[str],
    now: datetime,
) -> list[Event | None]:
    """Only topics that were `shown` are answered; a form that does not say which, on a site of the workspace's, shows all."""
    topics = [one for one in _offered(session, form) if not shown or f"topic.{one.key}" in shown]
    asked = double_opt_in.Request(
        address=values.get("email", ""),
        purpose=form.purpose,
        wording=form.wording(language),
        language=language,
        source=f"form:{form.key}",
        page=_page_of(request),
        ip=address_of(request),
        fields={name: values[name] for name in double_opt_in.FIELDS if form.names and values.get(name)},
        topics={one.key: values.get(f"topic.{one.key}") == "yes" for one in topics},
    )
    return list(double_opt_in.ask(session, asked, now))


def _offered(session: Session, form: settings.SignupForm) -> tuple[settings.Topic, ...]:
    return settings.load(session, settings.Topics).asked if form.topics else ()


def _page_of(request: Request) -> str:
    """Where the form stands, as far as the browser says: ours tell nobody where they were, and then say `null`."""
    said = (request.headers.get(name, "") for name in ("referer", "origin"))
    return next((one for one in said if one not in ("", "null")), str(request.url))


def _form_of(server: Server, key: str) -> settings.SignupForm | None:
    with server.engine.db.read() as session:
        return settings.load(session, settings.SignupForms).find(key)


def _opt_in(server: Server, opt_in_id: str) -> OptIn | None:
    with server.engine.db.read() as session:
        return session.get(OptIn, opt_in_id)


def _state_of(server: Server, row: OptIn) -> double_opt_in.State:
    with server.engine.db.read() as session:
        return double_opt_in.state_of(session, row, server.engine.clock.now())


def _language(request: Request, server: Server, wanted: str) -> str:
    return wanted if wanted in SUPPORTED else language_of(request, None, server.settings.language)


def _form_page(server: Server, form: settings.SignupForm, language: str, values: dict[str, str] | None = None, wrong: str = "") -> Response:
    typed = {name: (values or {}).get(name, "")[:320] for name in ("email", *double_opt_in.FIELDS)}
    with server.engine.db.read() as session:
        topics = _offered(session, form)
    ticked = {one.key for one in topics if (values or {}).get(f"topic.{one.key}") == "yes"}
    status = 400 if wrong else 200
    return _page(server, language, "subscribe", status, form=form, typed=typed, wrong=wrong, trap=TRAP, topics=topics, ticked=ticked)


def _confirm_page(server: Server, row: OptIn, state: str, status: int = 200) -> Response:
    key = row.source.removeprefix("form:")
    again = f"/subscribe/{key}" if _form_of(server, key) else ""
    return _page(server, row.language, "confirm", status, state=state, again=again)


def _page(server: Server, language: str, name: str, status: int = 200, **values: Any) -> Response:
    with server.engine.db.read() as session:
        look = brand(session)
    return page(name, language, look, status, **values)
