"""Browsers that are logged in, and one-time links. Only hashes are stored of either.

A link is minted for a purpose, used once, and good for a while; a session ends after two weeks, when nobody uses it for a while
(`workspace.settings.Access`), at log-out, when its member's password changes, or at once when the member is deactivated. A session knows when its
member proved last who they are; acts that weigh more ask for a proof that is not old.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import ColumnElement, delete, func, update
from sqlalchemy.orm import Session
from sqlmodel import col, select

from journeys.errors import NotFound, PfadwerkError, Unauthorized
from models import Database, LoginSession, LoginToken, Member
from workspace.api_keys import hashed
from workspace.audit import record
from workspace.settings import Access, load

Purpose = Literal["login", "invitation", "reset"]


class ProofNeeded(PfadwerkError):
    """The session is good, but the act asks for a proof of these minutes."""

    code = "proof_needed"
    status = 403


SESSION_LIFE = timedelta(days=14)
SEEN_EVERY = timedelta(minutes=5)
"""How often a session's last use is written."""
LINK_LIFE: dict[Purpose, timedelta] = {"login": timedelta(minutes=15), "invitation": timedelta(days=3), "reset": timedelta(hours=1)}
STORED: dict[Purpose, str] = {"login": "login", "invitation": "password", "reset": "password"}
"""What a link leads to: being logged in, or choosing a password."""
PATHS = {"login": "/login", "password": "/password"}
TICKET_LIFE = timedelta(minutes=10)
"""How long somebody has for the code of the second factor."""
ID_CHARACTERS = 16
"""So much of a session's hash is its id on pages and in addresses."""


# Links


def mint(session: Session, member_id: str, purpose: Purpose, now: datetime) -> str:
    """A new one-time link, as a path; links that have expired are swept away."""
    stored = STORED[purpose]
    return f"{PATHS[stored]}/{_token(session, member_id, stored, now, LINK_LIFE[purpose])}"


def ticket(session: Session, member_id: str, now: datetime) -> str:
    """What a browser holds between the first proof and the code of the second factor; it opens nothing by itself."""
    return _token(session, member_id, "code", now, TICKET_LIFE)


def _token(session: Session, member_id: str, stored: str, now: datetime, life: timedelta) -> str:
    token = secrets.token_urlsafe(32)
    session.execute(delete(LoginToken).where(col(LoginToken.expires_at) < now))
    session.add(LoginToken(token_hash=hashed(token), member_id=member_id, purpose=stored, expires_at=now + life))
    session.flush()
    return token


def _unused(token: str, stored: str, now: datetime) -> ColumnElement[bool]:
    return (
        (col(LoginToken.token_hash) == hashed(token))
        & (col(LoginToken.purpose) == stored)
        & col(LoginToken.used_at).is_(None)
        & (col(LoginToken.expires_at) > now)
    )


def owner(session: Session, token: str, stored: str, now: datetime) -> Member:
    """Whose link it is; looking does not use it up.

    Raises:
        Unauthorized: unknown, used or expired link, or the member is no longer active.
    """
    member_id = session.scalar(select(LoginToken.member_id).where(_unused(token, stored, now)))
    return _active(session.get(Member, member_id) if member_id else None)


def use(session: Session, token: str, stored: str, now: datetime) -> Member:
    """Uses a link up.

    Raises:
        Unauthorized: as above.
    """
    # One UPDATE decides: of two simultaneous clicks one finds the link unused.
    statement = update(LoginToken).where(_unused(token, stored, now)).values(used_at=now).returning(col(LoginToken.member_id))
    member_id = session.scalar(statement)
    return _active(session.get(Member, member_id) if member_id else None)


def _active(member: Member | None) -> Member:
    if member is None or not member.active:
        raise Unauthorized("This link was used before or has expired; ask for a new one.")
    return member


# Sessions


def open_session(session: Session, member_id: str, now: datetime, user_agent: str = "") -> str:
    """Logs a browser in; returns the cookie's value, which nobody has seen before."""
    cookie = secrets.token_urlsafe(32)
    session.execute(delete(LoginSession).where(col(LoginSession.expires_at) < now))
    session.add(
        LoginSession(
            token_hash=hashed(cookie),
            member_id=member_id,
            created_at=now,
            last_seen_at=now,
            expires_at=now + SESSION_LIFE,
            proved_at=now,
            user_agent=user_agent.replace("\0", "")[:300],
        )
    )
    session.flush()
    return cookie


def member_of(db: Database, cookie: str, now: datetime, *, used: bool = True) -> Member | None:
    """The active member behind a session cookie, None if it is unknown, has expired or lay idle. `used` false only looks: an open page that
    asks by itself whether its session stands is nobody who works."""
    with db.read() as session:
        row = session.get(LoginSession, hashed(cookie))
        if row is None or not _stands(row, now, load(session, Access)):
            return None
        member = session.get(Member, row.member_id)
    if member is None or not member.active:
        return None
    if used and now - row.last_seen_at > SEEN_EVERY:
        with db.write() as session:
            session.execute(update(LoginSession).where(col(LoginSession.token_hash) == row.token_hash).values(last_seen_at=now))
    return member


def _stands(row: LoginSession, now: datetime, access: Access) -> bool:
    return now < row.expires_at and now - row.last_seen_at < access.idle


def renew(session: Session, cookie: str, now: datetime) -> str:
    """The same session under a cookie that nobody has seen before; empty where there is none. It counts as proved."""
    new = secrets.token_urlsafe(32)
    statement = update(LoginSession).where(col(LoginSession.token_hash) == hashed(cookie)).values(token_hash=hashed(new), proved_at=now)
    return new if session.scalar(statement.returning(col(LoginSession.token_hash))) else ""


def prove(session: Session, cookie: str, now: datetime) -> None:
    """Whoever sits there has just proved who they are."""
    session.execute(update(LoginSession).where(col(LoginSession.token_hash) == hashed(cookie)).values(proved_at=now, last_seen_at=now))


def require_proof(db: Database, cookie: str, now: datetime) -> None:
    """Raises:
    ProofNeeded: the last proof of this session is older than the workspace wants it."""
    with db.read() as session:
        row = session.get(LoginSession, hashed(cookie))
        if row is None or row.proved_at is None or now - row.proved_at > load(session, Access).proof:
            raise ProofNeeded("Please confirm first that it is you.", address="/prove")


def close_session(db: Database, cookie: str) -> None:
    """Ends a session; audited. Ending an unknown one changes nothing."""
    with db.write() as session:
        statement = delete(LoginSession).where(col(LoginSession.token_hash) == hashed(cookie))
        member_id = session.scalar(statement.returning(col(LoginSession.member_id)))
        if member_id is not None:
            record(session, f"member:{member_id}", "logout", f"member:{member_id}", {})


def id_of(row: LoginSession) -> str:
    """What a session is called where people see it; nobody can log in with it."""
    return row.token_hash[:ID_CHARACTERS]


def is_this(row: LoginSession, cookie: str) -> bool:
    """Whether it is the session of this cookie."""
    return row.token_hash == hashed(cookie)


def list_sessions(session: Session, member_id: str, now: datetime) -> Sequence[LoginSession]:
    """The browsers a member is logged in with, the last used first."""
    idle = now - load(session, Access).idle
    statement = select(LoginSession).where(
        LoginSession.member_id == member_id, col(LoginSession.expires_at) > now, col(LoginSession.last_seen_at) > idle
    )
    return session.scalars(statement.order_by(col(LoginSession.last_seen_at).desc(), col(LoginSession.token_hash)).limit(100)).all()


def last_seen(session: Session) -> dict[str, datetime]:
    """Member id -> when one of their sessions was used last, to five minutes; only of sessions that still stand."""
    statement = select(LoginSession.member_id, func.max(LoginSession.last_seen_at)).group_by(col(LoginSession.member_id))
    return dict(session.execute(statement).all())


def end_session(session: Session, member_id: str, id: str) -> None:
    """Logs one browser of the member out.

    Raises:
        NotFound: the member has no such session.
    """
    found = select(LoginSession).where(
        LoginSession.member_id == member_id, col(LoginSession.token_hash).startswith(id[:ID_CHARACTERS], autoescape=True)
    )
    row = session.scalar(found) if len(id) == ID_CHARACTERS else None
    if row is None:
        raise NotFound("There is no such session.")
    session.delete(row)
    session.flush()


def end_sessions(session: Session, member_id: str, *, keep: str = "") -> int:
    """Logs the member out everywhere, but for the browser with the cookie `keep`; returns how many that were."""
    statement = delete(LoginSession).where(col(LoginSession.member_id) == member_id)
    if keep:
        statement = statement.where(col(LoginSession.token_hash) != hashed(keep))
    return len(session.scalars(statement.returning(col(LoginSession.token_hash))).all())


def forget_links(session: Session, member_id: str, stored: str = "password") -> None:
    """Makes a member's unused links worthless."""
    session.execute(delete(LoginToken).where(col(LoginToken.member_id) == member_id, col(LoginToken.purpose) == stored))
