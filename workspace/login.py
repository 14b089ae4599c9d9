"""Logging in: with a password or a link, and a code where there is a second factor; choosing and changing a password; proving it again.

Tries are counted before a proof is looked at (`workspace.login_attempts`). Whoever comes in, fails, is locked out, or changes what lets them in stands in the
audit trail: members by id, others under a keyed hash, networks shortened.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NoReturn

from sqlalchemy.orm import Session

from journeys.errors import Conflict, Invalid, Issue, TooMany, Unauthorized
from models import Database, Member
from storage import identifiers
from workspace import login_attempts, passwords, second_factor, sessions
from workspace.audit import record
from workspace.members import find_member

WRONG = "The e-mail address or password is incorrect."


class CodeNeeded(Exception):
    """The first proof was good; the code of the second factor is asked for. `ticket` is what the browser shows with it."""

    def __init__(self, ticket: str) -> None:
        super().__init__()
        self.ticket = ticket


def log_in(
    db: Database, keys: Sequence[bytes], email: str, password: str, now: datetime, user_agent: str = "", network: str = ""
) -> tuple[str, Member]:
    """Opens a session; returns the cookie's value and the member. An unknown address and a wrong password take the same time.

    Raises:
        Unauthorized: the pair does not fit, whichever half is wrong.
        CodeNeeded: it does, and the member has a second factor.
        TooMany: too many failures in a row; says how long to wait.
    """
    one, member = _verified(db, keys, email, password, now, network)
    renewed = _renewed(member.password_hash or "", password)
    with db.write() as session:
        login_attempts.succeed(session, one)
        present = session.get(Member, member.id)
        if present is None or not present.active or present.password_hash != member.password_hash:
            raise Unauthorized(WRONG)
        if renewed:
            present.password_hash = renewed
        cookie, ticket = _enter(session, keys, present, now, user_agent, network, "password")
    return _handed(cookie, ticket), present


def by_link(db: Database, keys: Sequence[bytes], token: str, now: datetime, user_agent: str = "", network: str = "") -> tuple[str, Member]:
    """Uses a link up and opens a session; returns the cookie's value and the member.

    Raises:
        Unauthorized: unknown, used or expired link, or the member is no longer active.
        CodeNeeded: the member has a second factor.
    """
    with db.write() as session:
        member = sessions.use(session, token, "login", now)
        cookie, ticket = _enter(session, keys, member, now, user_agent, network, "link")
    return _handed(cookie, ticket), member


def by_code(
    db: Database, keys: Sequence[bytes], ticket: str, code: str, now: datetime, user_agent: str = "", network: str = ""
) -> tuple[str, Member]:
    """The second step of a log-in; a wrong code leaves the ticket good.

    Raises:
        Unauthorized: the ticket is unknown, used or expired.
        Invalid: the code is not right (field `code`).
        TooMany: too many wrong codes.
    """
    with db.write() as session:
        member = sessions.owner(session, ticket, "code", now)
        right = _code_fits(session, keys, member, code, now, network)
        if right:
            sessions.use(session, ticket, "code", now)
            cookie = _open(session, keys, member, now, user_agent, network, "code")
    if not right:
        raise Invalid("{problem}", [second_factor.WRONG], problem=second_factor.WRONG)
    return cookie, member


def _enter(
    session: Session, keys: Sequence[bytes], member: Member, now: datetime, user_agent: str, network: str, way: str
) -> tuple[str, str]:
    """(cookie, ticket): one of them is empty."""
    if second_factor.is_on(session, member.id):
        return "", sessions.ticket(session, member.id, now)
    return _open(session, keys, member, now, user_agent, network, way), ""


def _open(session: Session, keys: Sequence[bytes], member: Member, now: datetime, user_agent: str, network: str, way: str) -> str:
    login_attempts.trust(session, keys, who_is(keys, member.email), network, now)
    record(session, f"member:{member.id}", "login", f"member:{member.id}", {"with": way, "network": network})
    return sessions.open_session(session, member.id, now, user_agent)


def _handed(cookie: str, ticket: str) -> str:
    if ticket:
        raise CodeNeeded(ticket)
    return cookie


def _verified(
    db: Database, keys: Sequence[bytes], email: str, password: str, now: datetime, network: str
) -> tuple[login_attempts.Try, Member]:
    """The member whose password this is; a try that is not one is counted and stays counted."""
    who = who_is(keys, email)
    with db.read() as session:
        member = find_member(session, email)
    shown = f"member:{member.id}" if member is not None else f"address:{who[:16]}"
    with db.write() as session:
        one = login_attempts.begin(session, keys, who, network, now, shown)
    stored = member.password_hash if member is not None and member.active else None
    try:
        right = passwords.fits(stored or passwords.dummy(), password)
    except TooMany:
        with db.write() as session:
            login_attempts.take_back(session, one)
        raise
    if not right or not stored or member is None:
        _refuse(db, one, now)
    return one, member


def _refuse(db: Database, one: login_attempts.Try, now: datetime) -> NoReturn:
    with db.write() as session:
        login_attempts.note(session, one, "login", now)
    raise Unauthorized(WRONG)


def _code_fits(session: Session, keys: Sequence[bytes], member: Member, code: str, now: datetime, network: str) -> bool:
    """Whether the code is right; counted like a password, under the rules for codes.

    Raises:
        TooMany: too many wrong codes.
    """
    one = login_attempts.begin(session, keys, code_subject(keys, member.id), network, now, f"member:{member.id}", login_attempts.CODE)
    if second_factor.accept(session, keys, member.id, code, now):
        login_attempts.succeed(session, one)
        return True
    login_attempts.note(session, one, "code", now)
    return False


def _renewed(stored: str, password: str) -> str | None:
    """The hash with the parameters of today, where the stored one has older ones; next time, where too many wait."""
    try:
        return passwords.hash_of(password) if passwords.is_weak(stored) else None
    except TooMany:
        return None


def choose(
    db: Database, keys: Sequence[bytes], token: str, password: str, now: datetime, user_agent: str = "", network: str = ""
) -> tuple[str, Member]:
    """Sets the password of whoever a link belongs to, lifts their locks, ends all their sessions, and opens a new one; returns cookie and member.

    Raises:
        Unauthorized: unknown, used or expired link.
        Invalid: the password is too weak; the link stays good.
        CodeNeeded: it is set, and the member has a second factor.
    """
    with db.read() as session:
        member = sessions.owner(session, token, "password", now)
    passwords.check(password, member.email, member.name)
    stored = passwords.hash_of(password)
    with db.write() as session:
        member = sessions.use(session, token, "password", now)
        _put(session, keys, member, stored)
        sessions.end_sessions(session, member.id)
        cookie, ticket = _enter(session, keys, member, now, user_agent, network, "reset")
    return _handed(cookie, ticket), member


def change(db: Database, keys: Sequence[bytes], member_id: str, cookie: str, old: str, new: str, now: datetime, network: str = "") -> str:
    """Changes a member's password and logs them out everywhere but with `cookie`, in whose place the returned one comes. Whoever has none
    yet needs no old one, but a fresh proof.

    Raises:
        Invalid: the old password is wrong (field `old`), or the new one too weak (field `password`).
        ProofNeeded: there is no old one, and the session's last proof is too old.
        TooMany: as for logging in.
        Conflict: it was changed meanwhile.
    """
    with db.read() as session:
        member = session.get_one(Member, member_id)
    passwords.check(new, member.email, member.name)
    if member.password_hash is None:
        sessions.require_proof(db, cookie, now)
    else:
        _check_old(db, keys, member, old, now, network)
    stored = passwords.hash_of(new)
    with db.write() as session:
        present = session.get_one(Member, member_id)
        if present.password_hash != member.password_hash:
            raise Conflict("The password has been changed in the meantime.")
        _put(session, keys, present, stored)
        sessions.end_sessions(session, member_id, keep=cookie)
        return sessions.renew(session, cookie, now)


def _check_old(db: Database, keys: Sequence[bytes], member: Member, old: str, now: datetime, network: str) -> None:
    try:
        one, _ = _verified(db, keys, member.email, old, now, network)
    except Unauthorized:
        raise Invalid("{problem}", [_OLD], problem=_OLD) from None
    with db.write() as session:
        login_attempts.succeed(session, one)


_OLD = Issue(code="password", text="This is not your current password.", field="old")


def prove(db: Database, keys: Sequence[bytes], member: Member, cookie: str, proof: str, now: datetime, network: str = "") -> None:
    """Notes with a session that its member has just proved who they are: by a code where there is a second factor, else by the password.

    Raises:
        Invalid: the proof is not right (field `code` or `old`), or the member has neither: they log in anew with a link.
        TooMany: as for logging in.
    """
    with db.write() as session:
        coded = second_factor.is_on(session, member.id)
        right = coded and _code_fits(session, keys, member, proof, now, network)
        if right:
            sessions.prove(session, cookie, now)
    if coded and not right:
        raise Invalid("{problem}", [second_factor.WRONG], problem=second_factor.WRONG)
    if not coded:
        _check_old(db, keys, member, proof, now, network)
        with db.write() as session:
            sessions.prove(session, cookie, now)


def _put(session: Session, keys: Sequence[bytes], member: Member, stored: str) -> None:
    member.password_hash = stored
    session.add(member)
    sessions.forget_links(session, member.id)
    sessions.forget_links(session, member.id, "code")
    login_attempts.lift(session, who_is(keys, member.email))
    record(session, f"member:{member.id}", "member.password", f"member:{member.id}", {})


def reset_factor(session: Session, keys: Sequence[bytes], member_id: str, by: str) -> None:
    """Turns a member's second factor off and lifts the lock on codes; audited. For administrators, and for oneself after a proof.

    Raises:
        Conflict: there is none.
    """
    second_factor.remove(session, member_id, by)
    login_attempts.lift(session, code_subject(keys, member_id))


def who_is(keys: Sequence[bytes], email: str) -> str:
    """The keyed hash under which tries for an address are counted, however it is spelled."""
    return login_attempts.keyed(keys, "address", identifiers.mailbox(email))


def code_subject(keys: Sequence[bytes], member_id: str) -> str:
    """The keyed hash under which wrong codes of a member are counted."""
    return login_attempts.keyed(keys, "code", member_id)
