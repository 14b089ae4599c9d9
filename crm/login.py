"""Logging in with a password, choosing one by a link, and changing it.

Tries are counted before a password is looked at, so that a hundred at once are a hundred tries. The count stands in the database: it outlives
restarts and holds for every web server. It hangs on a keyed hash of the address, known or not; a lock tells nothing about who is a member.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.orm import Session
from sqlmodel import col, select

from crm import passwords, sessions
from crm.audit import record
from crm.sql import upsert
from crm.team import find_member
from journeys.errors import Conflict, Invalid, Issue, TooMany, Unauthorized
from models import Database, LoginFailure, Member, lock

FREE_TRIES = 4
"""So many in a row cost nothing; from the next one on every failure doubles the wait."""
LONGEST_WAIT = timedelta(minutes=15)
FORGOTTEN_AFTER = timedelta(days=1)
"""After so long without a try the count begins anew."""
_SWEEP = 100


def log_in(db: Database, keys: Sequence[bytes], email: str, password: str, now: datetime, user_agent: str = "") -> tuple[str, Member]:
    """Opens a session; returns the cookie's value and the member. An unknown address and a wrong password take the same time.

    Raises:
        Unauthorized: the pair does not fit, whichever half is wrong.
        TooMany: too many failures in a row; says how long to wait.
    """
    who = who_is(keys, email)
    member = _verified(db, who, email, password, now)
    renewed = _renewed(member.password_hash or "", password)
    with db.write() as session:
        _forget(session, who)
        present = session.get(Member, member.id)
        if present is None or not present.active or present.password_hash != member.password_hash:
            raise Unauthorized(WRONG)
        if renewed:
            present.password_hash = renewed
        return sessions.open_session(session, member.id, now, user_agent), present


WRONG = "The e-mail address or the password is not right."


def _verified(db: Database, who: str, email: str, password: str, now: datetime) -> Member:
    """The member whose password this is; a try that is not one is counted and stays counted."""
    with db.write() as session:
        _count(session, who, now)
    with db.read() as session:
        member = find_member(session, email[:320])
    stored = member.password_hash if member is not None and member.active else None
    try:
        right = passwords.fits(stored or passwords.DUMMY, password)
    except TooMany:
        with db.write() as session:
            _uncount(session, who)
        raise
    if not right or not stored or member is None:
        raise Unauthorized(WRONG)
    return member


def _renewed(stored: str, password: str) -> str | None:
    """The hash with the parameters of today, where the stored one has older ones; next time, where too many wait."""
    try:
        return passwords.hash_of(password) if passwords.is_weak(stored) else None
    except TooMany:
        return None


def choose(db: Database, token: str, password: str, now: datetime, user_agent: str = "") -> tuple[str, Member]:
    """Sets the password of whoever a link belongs to, ends all their sessions, and opens a new one; returns cookie and member.

    Raises:
        Unauthorized: unknown, used or expired link.
        Invalid: the password is too weak; the link stays good.
    """
    with db.read() as session:
        member = sessions.owner(session, token, "password", now)
    passwords.check(password, member.email, member.name)
    stored = passwords.hash_of(password)
    with db.write() as session:
        member = sessions.use(session, token, "password", now)
        _put(session, member, stored, now)
        sessions.end_sessions(session, member.id)
        return sessions.open_session(session, member.id, now, user_agent), member


def change(db: Database, keys: Sequence[bytes], member_id: str, cookie: str, old: str, new: str, now: datetime) -> None:
    """Changes a member's password and logs them out everywhere but with `cookie`. Whoever has none yet needs no old one.

    Raises:
        Invalid: the old password is wrong (field `old`), or the new one too weak (field `password`).
        TooMany: as for logging in.
        Conflict: it was changed meanwhile.
    """
    with db.read() as session:
        member = session.get_one(Member, member_id)
    who = who_is(keys, member.email)
    passwords.check(new, member.email, member.name)
    if member.password_hash is not None:
        try:
            _verified(db, who, member.email, old, now)
        except Unauthorized:
            raise Invalid("{problem}", [_OLD], problem=_OLD) from None
    stored = passwords.hash_of(new)
    with db.write() as session:
        present = session.get_one(Member, member_id)
        if present.password_hash != member.password_hash:
            raise Conflict("The password was changed meanwhile.")
        _put(session, present, stored, now)
        _forget(session, who)
        sessions.end_sessions(session, member_id, keep=cookie)


_OLD = Issue(code="password", text="This is not your present password.", field="old")


def _put(session: Session, member: Member, stored: str, now: datetime) -> None:
    member.password_hash = stored
    session.add(member)
    sessions.forget_links(session, member.id)
    record(session, f"member:{member.id}", "member.password", f"member:{member.id}", {}, now)


# Counting


def who_is(keys: Sequence[bytes], email: str) -> str:
    """The keyed hash under which tries for an address are counted."""
    return hmac.new(keys[0], b"login:" + email.strip().lower()[:320].encode(errors="replace"), "sha256").hexdigest()


def wait_after(failures: int) -> timedelta:
    """How long nobody may try after so many failures in a row: 5 -> 1 s, 6 -> 2 s, 7 -> 4 s … at most 15 minutes."""
    beyond = failures - FREE_TRIES
    return min(timedelta(seconds=2 ** min(beyond - 1, 20)), LONGEST_WAIT) if beyond > 0 else timedelta(0)


def _count(session: Session, who: str, now: datetime) -> None:
    """Counts a try as failed until it is known better.

    Raises:
        TooMany: the address is locked; such a try is not counted.
    """
    session.execute(upsert(session, LoginFailure).values(who=who, failures=0, last_at=now).on_conflict_do_nothing(index_elements=["who"]))
    found = lock(session, select(LoginFailure).where(LoginFailure.who == who))
    row: LoginFailure = session.scalars(found, execution_options={"populate_existing": True}).one()
    if row.locked_until is not None and now < row.locked_until:
        raise TooMany("Too many tries; wait a moment.", (row.locked_until - now).total_seconds())
    row.failures = 1 if now - row.last_at > FORGOTTEN_AFTER else row.failures + 1
    row.last_at, row.locked_until = now, now + wait_after(row.failures)
    session.add(row)
    stale = select(LoginFailure.who).where(col(LoginFailure.last_at) < now - FORGOTTEN_AFTER, LoginFailure.who != who).limit(_SWEEP)
    session.execute(delete(LoginFailure).where(col(LoginFailure.who).in_(stale)))


def _uncount(session: Session, who: str) -> None:
    """Takes a try back that nobody looked at."""
    row = session.get(LoginFailure, who)
    if row is not None and row.failures > 0:
        row.failures -= 1
        row.locked_until = None
        session.add(row)


def _forget(session: Session, who: str) -> None:
    session.execute(delete(LoginFailure).where(col(LoginFailure.who) == who))
