"""Logging in: with a password, or with a one-time link minted on the server's machine. Both end in a session cookie.

GET shows a page and changes nothing, so that a mail scanner that follows a link does not use it up; POST acts. Passwords are taken from
forms of our own pages only, and stand in no log, no address and no answer.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from sqlalchemy.orm import Session
from sqlmodel import col, select

from activities import account_mail
from api.errors import Unauthorized, answers
from api.limits import Rate
from api.origin import check_origin
from api.server import Server, TheServer
from builder_ui import door
from builder_ui.host import is_page
from builder_ui.speech import language_for
from crm import login, sessions, team
from crm.sessions import SESSION_LIFE, close_session, member_of
from journeys.errors import Invalid, TooMany
from locales import translator
from models import Database, Member

__all__ = ["COOKIE", "SESSION_LIFE", "close_session", "exchange", "member_of", "mint_link", "router"]

router = APIRouter(tags=["login"])

COOKIE = "pfadwerk_session"
FIRST_ADMIN = "admin@localhost"
RESETS = Rate("password-reset", per_second=1 / 600, burst=3)
"""Mails about a forgotten password to one address."""


def mint_link(db: Database, now: datetime, public_url: str, member_id: str | None = None) -> str:
    """A one-time login address for a member; without one for the first active admin, who is made if there is none."""
    with db.write() as session:
        return public_url + sessions.mint(session, member_id or _first_admin(session, now), "login", now)


def _first_admin(session: Session, now: datetime) -> str:
    admins = select(Member).where(Member.role == "admin", col(Member.active).is_(True)).order_by(col(Member.created_at), col(Member.id))
    admin = session.scalars(admins).first()
    if admin is None:
        admin = Member(name="Admin", email=FIRST_ADMIN, role="admin", created_at=now)
        session.add(admin)
        session.flush()
    return admin.id


def exchange(db: Database, token: str, now: datetime, user_agent: str = "") -> tuple[str, Member]:
    """Uses a link up and opens a session; returns the cookie's value and the member.

    Raises:
        Unauthorized: unknown, used or expired link, or the member is no longer active.
    """
    with db.write() as session:
        member = sessions.use(session, token, "login", now)
        return sessions.open_session(session, member.id, now, user_agent), member


class Credentials(BaseModel):
    """What the log-in form sends."""

    model_config = ConfigDict(json_schema_extra={"example": {"email": "grace@example.org", "password": "correct horse battery"}})

    email: str = Field("", max_length=4_000)
    password: SecretStr = Field(SecretStr(""), max_length=4_000)


class Address(BaseModel):
    """What the form for a forgotten password sends."""

    model_config = ConfigDict(json_schema_extra={"example": {"email": "grace@example.org"}})

    email: str = Field("", max_length=4_000)


class Chosen(BaseModel):
    """What the form behind a link sends: the new password, twice."""

    model_config = ConfigDict(json_schema_extra={"example": {"password": "correct horse battery", "again": "correct horse battery"}})

    password: SecretStr = Field(SecretStr(""), max_length=4_000)
    again: SecretStr = Field(SecretStr(""), max_length=4_000)


From = Annotated[str, Query(alias="from", max_length=4_000, description="The page that was wanted; only pages of this server count.")]


def _declared(*statuses: int, **pages: str) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a form: errors in the one shape, and pages (`on_401="…"`)."""
    html = {"text/html": {"schema": {"type": "string"}}}
    found = answers(*statuses)
    for name, description in pages.items():
        status = int(name.removeprefix("on_"))
        content = {**found.get(status, {}).get("content", {}), **html} if status != 303 else {}
        found[status] = {**found.get(status, {}), "description": description, **({"content": content} if content else {})}
    return found


def _limit(server: Server, request: Request) -> None:
    """Raises:
    TooMany: this address asked too often."""
    most = server.settings.public_requests_per_minute
    server.take(Rate("login", per_second=most / 60, burst=most), request.client.host if request.client else "")


def _language(request: Request, server: Server) -> str:
    return language_for(request.headers.get("accept-language", ""), server.settings.language)


def _let_in(server: Server, request: Request, cookie: str, to: str) -> Response:
    """Hands the cookie over; the session that the browser had before ends, whoever it belonged to."""
    old = request.cookies.get(COOKIE)
    if old:
        close_session(server.engine.db, old)
    answer = RedirectResponse(to, 303)
    secure = server.settings.public_url.startswith("https://")
    answer.set_cookie(COOKIE, cookie, max_age=int(SESSION_LIFE.total_seconds()), httponly=True, samesite="lax", secure=secure, path="/")
    return answer


def _agent(request: Request) -> str:
    return request.headers.get("user-agent", "")


# With a password


@router.get("/login", response_class=HTMLResponse, summary="Log-in page", responses=answers(400, 422, 429))
def ask(request: Request, server: TheServer, back: From = "") -> HTMLResponse:
    """A form for address and password."""
    _limit(server, request)
    language = _language(request, server)
    return door.drawn(language, door.log_in(language, back))


@router.post(
    "/login",
    summary="Log in with a password",
    status_code=303,
    responses=_declared(
        400, 403, 413, 422, 429, 503,
        on_303="Logged in.", on_401="Wrong address or password: the form again.", on_429="Too many tries: the form says how long to wait.",
    ),
    response_class=Response,
)  # fmt: skip
def log_in(given: Annotated[Credentials, Form()], request: Request, server: TheServer, back: From = "") -> Response:
    """Takes the form of our own log-in page only; leads to the page that was wanted."""
    check_origin(server, request)
    _limit(server, request)
    engine, language = server.engine, _language(request, server)
    try:
        cookie, _ = login.log_in(
            engine.db, engine.address_keys, given.email, given.password.get_secret_value(), engine.clock.now(), _agent(request)
        )
    except Unauthorized:
        return door.drawn(language, door.log_in(language, back, given.email[:320], door.wrong(language)), 401)
    except TooMany as error:
        said = door.wait(language, error.retry_after_seconds)
        return door.drawn(language, door.log_in(language, back, given.email[:320], said), 429, error.retry_after_seconds)
    return _let_in(server, request, cookie, back if is_page(back) else "/")


# With a link


@router.get("/login/{token}", response_class=HTMLResponse, summary="Page behind a login link", responses=answers(400, 422, 429))
def show(token: str, request: Request, server: TheServer) -> HTMLResponse:
    """Shows a button; the link is used up only by pressing it."""
    _limit(server, request)
    language = _language(request, server)
    return door.drawn(language, door.by_link(language))


@router.post(
    "/login/{token}",
    summary="Log in with a link",
    status_code=303,
    responses=_declared(400, 413, 422, 429, 503, on_303="Logged in.", on_401="Used, expired or unknown: a page that says so."),
    response_class=Response,
)
def log_in_by_link(token: str, request: Request, server: TheServer) -> Response:
    """Exchanges the link for a session cookie and leads to the start page."""
    _limit(server, request)
    try:
        cookie, _ = exchange(server.engine.db, token, server.engine.clock.now(), _agent(request))
    except Unauthorized:
        language = _language(request, server)
        return door.drawn(language, door.spent(language), 401)
    return _let_in(server, request, cookie, "/")


# Choosing a password


@router.get("/password", response_class=HTMLResponse, summary="Page for a forgotten password", responses=answers(400, 422, 429))
def forgotten(request: Request, server: TheServer) -> HTMLResponse:
    """A form for the address."""
    _limit(server, request)
    language = _language(request, server)
    return door.drawn(language, door.forgotten(language))


@router.post(
    "/password",
    summary="Ask for a link to choose a new password",
    responses=_declared(400, 403, 413, 422, 429, 503, on_200="The same page whether or not anybody has the address."),
    response_class=HTMLResponse,
)
def remind(given: Annotated[Address, Form()], request: Request, server: TheServer, later: BackgroundTasks) -> HTMLResponse:
    """The mail goes out after the answer, so that not even the time it takes tells whether the address exists."""
    check_origin(server, request)
    _limit(server, request)
    language = _language(request, server)
    later.add_task(_send_reset, server, given.email[:320])
    return door.drawn(language, door.asked(language))


def _send_reset(server: Server, email: str) -> None:
    engine = server.engine
    with engine.db.read() as session:
        member = team.find_member(session, email)
    if member is None or not member.active:
        return
    try:
        server.take(RESETS, member.id)
    except TooMany:
        return  # whoever asks often gets no more mails, and hears nothing of it
    now = engine.clock.now()
    with engine.db.write() as session:
        url = server.settings.public_url + sessions.mint(session, member.id, "reset", now)
    send_link(server, member, "reset", url, now)


def send_link(server: Server, member: Member, purpose: sessions.Purpose, url: str, now: datetime) -> bool:
    """Mails a link to the member it belongs to; False where no mail could leave."""
    with server.engine.db.read() as session:
        sender = account_mail.mail_from(session, server.settings.mail_from)
    until = now + sessions.LINK_LIFE[purpose]
    return account_mail.send(server.provider, sender, member, purpose, url, until, translator(member.locale))


@router.get(
    "/password/{token}",
    response_class=HTMLResponse,
    summary="Page behind an invitation or a reset link",
    responses=_declared(400, 422, 429, on_401="Used, expired or unknown: a page that says so."),
)
def look(token: str, request: Request, server: TheServer) -> HTMLResponse:
    """A form for the new password; looking does not use the link up."""
    _limit(server, request)
    return _form(server, request, token)


def _form(server: Server, request: Request, token: str, **more: Any) -> HTMLResponse:
    language = _language(request, server)
    try:
        with server.engine.db.read() as session:
            member = sessions.owner(session, token, "password", server.engine.clock.now())
    except Unauthorized:
        return door.drawn(language, door.spent(language), 401)
    return door.drawn(language, door.choose(language, member.email, **more), 422 if more else 200)


@router.post(
    "/password/{token}",
    summary="Choose a password",
    status_code=303,
    responses=_declared(
        400, 403, 413, 422, 429, 503,
        on_303="Set, and logged in.", on_401="Used, expired or unknown: a page that says so.", on_422="Not a good password: the form again.",
    ),
    response_class=Response,
)  # fmt: skip
def choose(token: str, given: Annotated[Chosen, Form()], request: Request, server: TheServer) -> Response:
    """Sets it, ends the member's sessions, uses the link up and logs in."""
    check_origin(server, request)
    _limit(server, request)
    password, engine = given.password.get_secret_value(), server.engine
    if password != given.again.get_secret_value():
        return _form(server, request, token, problem=door.differ(_language(request, server)))
    try:
        cookie, _ = login.choose(engine.db, token, password, engine.clock.now(), _agent(request))
    except Invalid as error:
        return _form(server, request, token, issues=error.issues)
    except Unauthorized:
        return _form(server, request, token)
    return _let_in(server, request, cookie, "/")


@router.post("/logout", summary="Log out", status_code=204, responses=answers(400, 413), response_class=Response)
def log_out(request: Request, server: TheServer) -> Response:
    """Ends the session of the cookie."""
    cookie = request.cookies.get(COOKIE)
    if cookie:
        close_session(server.engine.db, cookie)
    answer = Response(status_code=204)
    answer.delete_cookie(COOKIE, path="/")
    return answer
