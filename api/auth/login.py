"""Logging in: with a password, or with a one-time link minted on the server's machine, and with a code where there is a second factor. All end
in a session cookie. `/prove` asks somebody who is logged in once more, before acts that weigh more.

GET shows a page and changes nothing, so that a mail scanner that follows a link does not use it up; POST acts. Passwords are taken from
forms of our own pages only, and stand in no log, no address and no answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, BackgroundTasks, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from sqlalchemy.orm import Session
from sqlmodel import col, select

from activities.team import account_mail
from api.http.errors import Unauthorized, answers
from api.http.rate_limits import Rate
from api.server import Server, TheServer
from builder_ui.app import login_pages
from builder_ui.app.host import is_page
from builder_ui.kit.i18n import language_for
from journeys.errors import Invalid, TooMany
from locales import translator
from models import Database, Member
from workspace import login, login_attempts, members, second_factor, sessions
from workspace.login import CodeNeeded
from workspace.sessions import SESSION_LIFE, TICKET_LIFE, close_session, member_of

__all__ = ["COOKIE", "SESSION_LIFE", "close_session", "cookie_name", "cookie_of", "exchange", "member_of", "mint_link", "router"]

router = APIRouter(tags=["login"])

COOKIE = "pfadwerk_session"
TICKET = "pfadwerk_ticket"
"""Between a first proof and the code of the second factor."""
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


def exchange(db: Database, keys: Sequence[bytes], token: str, now: datetime, user_agent: str = "", network: str = "") -> tuple[str, Member]:
    """`workspace.login.by_link`, for tools that hold no browser."""
    return login.by_link(db, keys, token, now, user_agent, network)


def cookie_name(public_url: str, name: str = COOKIE) -> str:
    """Over https the browser itself sees to it that nobody but this very host sets the cookie. Source: RFC 6265bis §4.1.3.2 (`__Host-`)."""
    return f"__Host-{name}" if public_url.startswith("https://") else name


def cookie_of(server: Server, request: Request, name: str = COOKIE) -> str:
    """The value of a cookie of ours; empty where there is none."""
    return request.cookies.get(cookie_name(server.settings.public_url, name), "")


def set_cookie(answer: Response, public_url: str, value: str, name: str = COOKIE, life: timedelta = SESSION_LIFE) -> None:
    """Hands a cookie over, or takes it away where the value is empty."""
    answer.set_cookie(
        cookie_name(public_url, name),
        value,
        max_age=int(life.total_seconds()) if value else 0,
        httponly=True,
        samesite="lax",
        secure=public_url.startswith("https://"),
        path="/",
    )


class Credentials(BaseModel):
    """What the log-in form sends."""

    model_config = ConfigDict(json_schema_extra={"example": {"email": "grace@example.org", "password": "correct horse battery"}})

    email: str = Field("", max_length=4_000)
    password: SecretStr = Field(SecretStr(""), max_length=4_000)


class Code(BaseModel):
    """What the form of the second factor sends: a code of the app, or a recovery code."""

    model_config = ConfigDict(json_schema_extra={"example": {"code": "123 456"}})

    code: SecretStr = Field(SecretStr(""), max_length=4_000)


class Proof(BaseModel):
    """What the form sends that asks once more: a code where there is a second factor, else the password."""

    model_config = ConfigDict(json_schema_extra={"example": {"proof": "correct horse battery"}})

    proof: SecretStr = Field(SecretStr(""), max_length=4_000)


class Forgotten(BaseModel):
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
    _close_present(server, request)
    answer = RedirectResponse(to, 303)
    set_cookie(answer, server.settings.public_url, cookie)
    if cookie_of(server, request, TICKET):
        set_cookie(answer, server.settings.public_url, "", TICKET)
    return answer


def _ask_code(server: Server, ticket: str, to: str) -> Response:
    """Leads to the form for the code. The ticket is a cookie: in an address it would lie in histories."""
    answer = RedirectResponse(f"/login/code?from={quote(to, safe='/')}" if is_page(to) else "/login/code", 303)
    set_cookie(answer, server.settings.public_url, ticket, TICKET, TICKET_LIFE)
    return answer


def _close_present(server: Server, request: Request) -> None:
    if old := cookie_of(server, request):
        close_session(server.engine.db, old)


def network_of(request: Request) -> str:
    """Where a request comes from, shortened."""
    return login_attempts.network_of(request.client.host) if request.client else ""


def _agent(request: Request) -> str:
    return request.headers.get("user-agent", "")


# With a password


@router.get("/login", response_class=HTMLResponse, summary="Log-in page", responses=answers(400, 422, 429))
def ask(request: Request, server: TheServer, back: From = "") -> HTMLResponse:
    """A form for address and password."""
    _limit(server, request)
    language = _language(request, server)
    return login_pages.drawn(language, login_pages.log_in(language, back))


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
    _limit(server, request)
    engine, language = server.engine, _language(request, server)
    try:
        cookie, _ = login.log_in(
            engine.db,
            engine.address_keys,
            given.email,
            given.password.get_secret_value(),
            engine.clock.real_now(),
            _agent(request),
            network_of(request),
        )
    except CodeNeeded as needed:
        return _ask_code(server, needed.ticket, back)
    except Unauthorized:
        return login_pages.drawn(language, login_pages.log_in(language, back, given.email[:320], login_pages.wrong(language)), 401)
    except TooMany as error:
        said = login_pages.wait(language, error.retry_after_seconds)
        return login_pages.drawn(language, login_pages.log_in(language, back, given.email[:320], said), 429, error.retry_after_seconds)
    return _let_in(server, request, cookie, back if is_page(back) else "/")


# With a code


@router.get(
    "/login/code",
    response_class=HTMLResponse,
    summary="Page for the code of the second factor",
    responses=_declared(400, 422, 429, on_401="Nobody has logged in shortly before: a page that says so."),
)
def ask_code(request: Request, server: TheServer, back: From = "") -> HTMLResponse:
    """The second step of a log-in."""
    _limit(server, request)
    return _code_form(server, request, back)


def _code_form(server: Server, request: Request, back: str, problem: str = "", status: int = 200, wait: float = 0.0) -> HTMLResponse:
    language = _language(request, server)
    try:
        with server.engine.db.read() as session:
            sessions.owner(session, cookie_of(server, request, TICKET), "code", server.engine.clock.real_now())
    except Unauthorized:
        return login_pages.drawn(language, login_pages.too_late(language), 401)
    return login_pages.drawn(language, login_pages.code(language, back, problem), status, wait)


@router.post(
    "/login/code",
    summary="Log in with a code of the second factor",
    status_code=303,
    responses=_declared(
        400, 403, 413, 422, 429, 503,
        on_303="Logged in.", on_401="The first step was too long ago: a page that says so.", on_422="Not the right code: the form again.",
        on_429="Too many tries: the form says how long to wait.",
    ),
    response_class=Response,
)  # fmt: skip
def log_in_by_code(given: Annotated[Code, Form()], request: Request, server: TheServer, back: From = "") -> Response:
    """Takes a code of the app, or a recovery code. Each is good once."""
    _limit(server, request)
    engine, language = server.engine, _language(request, server)
    ticket, code = cookie_of(server, request, TICKET), given.code.get_secret_value()
    try:
        cookie, _ = login.by_code(
            engine.db, engine.address_keys, ticket, code, engine.clock.real_now(), _agent(request), network_of(request)
        )
    except Unauthorized:
        return _code_form(server, request, back)
    except Invalid:
        return _code_form(server, request, back, login_pages.wrong_code(language), 422)
    except TooMany as error:
        return _code_form(server, request, back, login_pages.wait(language, error.retry_after_seconds), 429, error.retry_after_seconds)
    return _let_in(server, request, cookie, back if is_page(back) else "/")


# Once more


@router.get(
    "/prove",
    response_class=HTMLResponse,
    summary="Page that asks once more who you are",
    responses=_declared(400, 422, 429, on_401="Nobody is logged in: a page that says so."),
)
def ask_proof(request: Request, server: TheServer, back: From = "") -> HTMLResponse:
    """For a code where there is a second factor, else for the password."""
    _limit(server, request)
    return _proof_form(server, request, back)


def _proof_form(server: Server, request: Request, back: str, problem: str = "", status: int = 200, wait: float = 0.0) -> HTMLResponse:
    language, engine = _language(request, server), server.engine
    member = member_of(engine.db, cookie_of(server, request), engine.clock.real_now())
    if member is None:
        return login_pages.drawn(language, login_pages.logged_out(language), 401)
    with engine.db.read() as session:
        coded = second_factor.is_on(session, member.id)
    return login_pages.drawn(language, login_pages.prove(language, back, coded, member.password_hash is not None, problem), status, wait)


@router.post(
    "/prove",
    summary="Prove once more who you are",
    status_code=303,
    responses=_declared(
        400, 403, 413, 422, 429, 503,
        on_303="Proved, for as long as the workspace's settings say.", on_401="Nobody is logged in: a page that says so.",
        on_422="Not right: the form again.", on_429="Too many tries: the form says how long to wait.",
    ),
    response_class=Response,
)  # fmt: skip
def prove(given: Annotated[Proof, Form()], request: Request, server: TheServer, back: From = "") -> Response:
    """Acts that answer 403 with the code `proof_needed` go through afterwards, with the same session."""
    _limit(server, request)
    engine, language, cookie = server.engine, _language(request, server), cookie_of(server, request)
    member = member_of(engine.db, cookie, engine.clock.real_now())
    if member is None:
        return _proof_form(server, request, back)
    proof = given.proof.get_secret_value()
    try:
        login.prove(engine.db, engine.address_keys, member, cookie, proof, engine.clock.real_now(), network_of(request))
    except Invalid as error:
        return _proof_form(server, request, back, login_pages.said(language, error), 422)
    except TooMany as error:
        return _proof_form(server, request, back, login_pages.wait(language, error.retry_after_seconds), 429, error.retry_after_seconds)
    return RedirectResponse(back if is_page(back) else "/", 303)


# With a link


@router.get("/login/{token}", response_class=HTMLResponse, summary="Page behind a login link", responses=answers(400, 422, 429))
def show(token: str, request: Request, server: TheServer) -> HTMLResponse:
    """Shows a button; the link is used up only by pressing it."""
    _limit(server, request)
    language = _language(request, server)
    return login_pages.drawn(language, login_pages.by_link(language))


@router.post(
    "/login/{token}",
    summary="Log in with a link",
    status_code=303,
    responses=_declared(400, 403, 413, 422, 429, 503, on_303="Logged in.", on_401="Used, expired or unknown: a page that says so."),
    response_class=Response,
)
def log_in_by_link(token: str, request: Request, server: TheServer) -> Response:
    """Exchanges the link for a session cookie and leads to the start page."""
    _limit(server, request)
    engine = server.engine
    try:
        cookie, _ = exchange(engine.db, engine.address_keys, token, engine.clock.real_now(), _agent(request), network_of(request))
    except CodeNeeded as needed:
        return _ask_code(server, needed.ticket, "")
    except Unauthorized:
        language = _language(request, server)
        return login_pages.drawn(language, login_pages.spent(language), 401)
    return _let_in(server, request, cookie, "/")


# Choosing a password


@router.get("/password", response_class=HTMLResponse, summary="Page for a forgotten password", responses=answers(400, 422, 429))
def forgotten(request: Request, server: TheServer) -> HTMLResponse:
    """A form for the address."""
    _limit(server, request)
    language = _language(request, server)
    return login_pages.drawn(language, login_pages.forgotten(language))


@router.post(
    "/password",
    summary="Ask for a link to choose a new password",
    responses=_declared(400, 403, 413, 422, 429, 503, on_200="The same page whether or not anybody has the address."),
    response_class=HTMLResponse,
)
def remind(given: Annotated[Forgotten, Form()], request: Request, server: TheServer, later: BackgroundTasks) -> HTMLResponse:
    """The mail goes out after the answer, so that not even the time it takes tells whether the address exists."""
    _limit(server, request)
    language = _language(request, server)
    later.add_task(_send_reset, server, given.email[:320])
    return login_pages.drawn(language, login_pages.asked(language))


def _send_reset(server: Server, email: str) -> None:
    engine = server.engine
    with engine.db.read() as session:
        member = members.find_member(session, email)
    if member is None or not member.active:
        return
    try:
        server.take(RESETS, member.id)
    except TooMany:
        return  # whoever asks often gets no more mails, and hears nothing of it
    now = engine.clock.real_now()
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
            member = sessions.owner(session, token, "password", server.engine.clock.real_now())
    except Unauthorized:
        return login_pages.drawn(language, login_pages.spent(language), 401)
    return login_pages.drawn(language, login_pages.choose(language, member.email, **more), 422 if more else 200)


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
    _limit(server, request)
    password, engine = given.password.get_secret_value(), server.engine
    if password != given.again.get_secret_value():
        return _form(server, request, token, problem=login_pages.differ(_language(request, server)))
    try:
        cookie, _ = login.choose(
            engine.db, engine.address_keys, token, password, engine.clock.real_now(), _agent(request), network_of(request)
        )
    except CodeNeeded as needed:
        return _ask_code(server, needed.ticket, "")
    except Invalid as error:
        return _form(server, request, token, issues=error.issues)
    except Unauthorized:
        return _form(server, request, token)
    return _let_in(server, request, cookie, "/")


@router.post("/logout", summary="Log out", status_code=204, responses=answers(400, 403, 413), response_class=Response)
def log_out(request: Request, server: TheServer) -> Response:
    """Ends the session of the cookie."""
    _close_present(server, request)
    answer = Response(status_code=204)
    set_cookie(answer, server.settings.public_url, "")
    return answer
