"""Logging in with a one-time link: minted on the server's machine, valid 15 minutes, used once, stored only as a hash.

GET shows a page with a button and changes nothing, so that a mail scanner that follows the link does not use it up;
POST exchanges it for a session cookie.
"""

from __future__ import annotations

import html
import secrets
from datetime import datetime, timedelta
from functools import lru_cache

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy import delete, update
from sqlalchemy.orm import Session
from sqlmodel import col, select

from api.errors import Unauthorized, answers
from api.keys import hashed
from api.limits import Rate
from api.server import Server, TheServer
from locales import translator
from models import Database, LoginSession, LoginToken, Member

router = APIRouter(tags=["login"])

COOKIE = "pfadwerk_session"
LINK_LIFE = timedelta(minutes=15)
SESSION_LIFE = timedelta(days=14)
SEEN_EVERY = timedelta(minutes=5)
"""How often a session's last use is written."""
FIRST_ADMIN = "admin@localhost"


def mint_link(db: Database, now: datetime, public_url: str, member_id: str | None = None) -> str:
    """A one-time login address for a member; without one for the first active admin, who is made if there is none."""
    token = secrets.token_urlsafe(32)
    with db.write() as session:
        member_id = member_id or _first_admin(session, now)
        session.execute(delete(LoginToken).where(col(LoginToken.expires_at) < now))
        session.add(LoginToken(token_hash=hashed(token), member_id=member_id, expires_at=now + LINK_LIFE))
    return f"{public_url}/login/{token}"


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
    cookie = secrets.token_urlsafe(32)
    with db.write() as session:
        # One UPDATE decides: of two simultaneous clicks one finds the link unused.
        used = update(LoginToken).where(
            col(LoginToken.token_hash) == hashed(token), col(LoginToken.used_at).is_(None), col(LoginToken.expires_at) > now
        )
        member_id = session.scalar(used.values(used_at=now).returning(col(LoginToken.member_id)))
        member = session.get(Member, member_id) if member_id else None
        if member is None or not member.active:
            raise Unauthorized("This link was used before or has expired; ask for a new one.")
        session.execute(delete(LoginSession).where(col(LoginSession.expires_at) < now))
        session.add(
            LoginSession(
                token_hash=hashed(cookie),
                member_id=member.id,
                created_at=now,
                last_seen_at=now,
                expires_at=now + SESSION_LIFE,
                user_agent=user_agent.replace("\0", "")[:300],
            )
        )
    return cookie, member


def member_of(db: Database, cookie: str, now: datetime) -> Member | None:
    """The active member behind a session cookie, None if it is unknown or has expired."""
    with db.read() as session:
        row = session.get(LoginSession, hashed(cookie))
        member = session.get(Member, row.member_id) if row is not None and now < row.expires_at else None
    if row is None or member is None or not member.active:
        return None
    if now - row.last_seen_at > SEEN_EVERY:
        with db.write() as session:
            session.execute(update(LoginSession).where(col(LoginSession.token_hash) == row.token_hash).values(last_seen_at=now))
    return member


def close_session(db: Database, cookie: str) -> None:
    """Ends a session; ending an unknown one changes nothing."""
    with db.write() as session:
        session.execute(delete(LoginSession).where(col(LoginSession.token_hash) == hashed(cookie)))


_PAGE = """<!doctype html><html lang="{lang}"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex"><title>Pfadwerk</title>
<style>body{{font:16px system-ui,sans-serif;display:grid;place-items:center;min-height:90vh;margin:0;color:#1b2430;background:#f5f7fa}}
main{{background:#fff;padding:2.5rem;border-radius:12px;box-shadow:0 1px 8px #0002;max-width:26rem}}
button{{font:inherit;padding:.7rem 1.6rem;border:0;border-radius:8px;background:#1d5fd1;color:#fff;cursor:pointer}}</style>
<main><h1>Pfadwerk</h1><p>{text}</p>{action}</main></html>"""
_CSP = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"


def _page(locale: str, text: str, button: str | None, status: int = 200) -> HTMLResponse:
    translate = translator(locale)
    action = f'<form method="post"><button>{html.escape(translate(button))}</button></form>' if button else ""
    body = _PAGE.format(lang=locale, text=html.escape(translate(text)), action=action)
    return HTMLResponse(body, status, {"content-security-policy": _CSP, "cache-control": "no-store"})


@lru_cache(maxsize=256)
def _language(accept: str, default: str) -> str:
    first = accept.split(",")[0].split(";")[0].strip().lower()
    return "de" if first.startswith("de") else "en" if first.startswith("en") else default


def _limit(server: Server, request: Request) -> None:
    """Raises:
    TooMany: this address asked too often."""
    most = server.settings.public_requests_per_minute
    server.take(Rate("login", per_second=most / 60, burst=most), request.client.host if request.client else "")


def _locale(request: Request, server: Server) -> str:
    return _language(request.headers.get("accept-language", "")[:40], server.settings.language)


@router.get("/login/{token}", response_class=HTMLResponse, summary="Page behind a login link", responses=answers(400, 422, 429))
def show(token: str, request: Request, server: TheServer) -> HTMLResponse:
    """Shows a button; the link is used up only by pressing it."""
    _limit(server, request)
    return _page(_locale(request, server), "This link logs you in once.", "Log in")


@router.post(
    "/login/{token}",
    summary="Log in with a link",
    status_code=303,
    responses={
        303: {"description": "Logged in."},
        401: {"description": "Used, expired or unknown: a page that says so.", "content": {"text/html": {"schema": {"type": "string"}}}},
        **answers(400, 413, 422, 429, 503),
    },
    response_class=Response,
)
def log_in(token: str, request: Request, server: TheServer) -> Response:
    """Exchanges the link for a session cookie and leads to the start page."""
    _limit(server, request)
    try:
        cookie, _ = exchange(server.engine.db, token, server.engine.clock.now(), request.headers.get("user-agent", ""))
    except Unauthorized:
        return _page(_locale(request, server), "This link was used before or has expired; ask for a new one.", None, 401)
    answer = RedirectResponse("/", 303)
    secure = server.settings.public_url.startswith("https://")
    answer.set_cookie(COOKIE, cookie, max_age=int(SESSION_LIFE.total_seconds()), httponly=True, samesite="lax", secure=secure, path="/")
    return answer


@router.post("/logout", summary="Log out", status_code=204, responses=answers(400, 413), response_class=Response)
def log_out(request: Request, server: TheServer) -> Response:
    """Ends the session of the cookie."""
    cookie = request.cookies.get(COOKIE)
    if cookie:
        close_session(server.engine.db, cookie)
    answer = Response(status_code=204)
    answer.delete_cookie(COOKIE, path="/")
    return answer
