"""The people who work here, and rotations: pools of owners taken in turn, without those who are absent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session
from sqlmodel import col, select

from journeys.errors import Conflict, Invalid, Issue, NotFound
from models import Member, Rotation, lock
from storage import identifiers
from storage.json_values import clean_text
from workspace import sessions
from workspace.audit import record
from workspace.time_zones import is_zone

ROLES = ("admin", "marketer", "engineer", "tester", "sales", "viewer")
LOCALES = ("en", "de")
MAX_POOL = 500


def add_member(
    session: Session, name: str, email: str, role: str, now: datetime, *, locale: str = "en", timezone: str = "Europe/Zurich"
) -> Member:
    """A new member of the team.

    Raises:
        Invalid: no name, no e-mail address, or an unknown role.
        Conflict: somebody has this address already.
    """
    address = identifiers.normalise("email", email)
    if not clean_text(name).strip() or isinstance(address, identifiers.Refused):
        raise Invalid(
            "A member of the team needs a name and an e-mail address.",
            [_issue("name" if not clean_text(name).strip() else "email", "A member of the team needs a name and an e-mail address.")],
        )
    if role not in ROLES:
        raise Invalid("Expected a role out of {roles}.", [_issue("role", "Expected one of the roles.")], roles=ROLES)
    if find_member(session, address) is not None:
        raise Conflict("A member of the team has this e-mail address already.")
    member = Member(name=clean_text(name).strip()[:120], email=address, role=role, locale=locale, timezone=timezone, created_at=now)
    session.add(member)
    session.flush()
    return member


def get_member(session: Session, member_id: str) -> Member:
    """Raises: NotFound: no such member."""
    member = session.get(Member, member_id)
    if member is None:
        raise NotFound("There is no such member of the team.", member_id=member_id)
    return member


def find_member(session: Session, email: str) -> Member | None:
    """The member with this e-mail address, however it is spelled."""
    return session.scalar(select(Member).where(Member.email == identifiers.mailbox(email)))


def is_active(session: Session, member_id: str) -> bool:
    """Whether this is the id of somebody who works here now."""
    return session.scalar(select(Member.id).where(Member.id == member_id, col(Member.active))) is not None


def stand_in(session: Session) -> str | None:
    """Who gets what was meant for somebody who is gone: the active admin who has been here longest. None only before there is an admin."""
    oldest = select(Member.id).where(col(Member.active), Member.role == "admin").order_by(col(Member.created_at), col(Member.id))
    found: str | None = session.scalar(oldest.limit(1))
    return found


def list_members(session: Session, *, only_active: bool = False) -> list[Member]:
    """Members by name."""
    statement = select(Member).order_by(col(Member.name), col(Member.id))
    return list(session.scalars(statement.where(col(Member.active)) if only_active else statement))


def invite(session: Session, name: str, email: str, role: str, by: str, now: datetime, *, locale: str = "en") -> tuple[Member, str]:
    """A new member and the path of the link with which they choose their password; audited.

    Raises:
        Invalid, Conflict: as `add_member`.
    """
    member = add_member(session, name, email, role, now, locale=locale)
    record(session, by, "member.add", f"member:{member.id}", {"role": role})
    return member, sessions.mint(session, member.id, "invitation", now)


def password_link(session: Session, member_id: str, by: str, now: datetime) -> tuple[Member, sessions.Purpose, str]:
    """A link to choose a password: an invitation for whoever has none yet, else a reset. Returns its path, too; audited.

    Raises:
        NotFound: no such member.
        Conflict: the member is not active.
    """
    member = get_member(session, member_id)
    if not member.active:
        raise Conflict("This member is not active.")
    purpose: sessions.Purpose = "reset" if member.password_hash else "invitation"
    record(session, by, "member.password_link", f"member:{member.id}", {"purpose": purpose})
    return member, purpose, sessions.mint(session, member.id, purpose, now)


def change_member(session: Session, member_id: str, changes: Mapping[str, Any], by: str) -> Member:
    """Changes what is named out of name, email, role, locale, timezone, active and absent_until (None: back at work); audited.

    Whoever is deactivated is logged out everywhere at once, and their links are worthless.

    Raises:
        NotFound: no such member.
        Invalid: a value does not fit; names the field.
        Conflict: the e-mail address is somebody else's, or no active admin would be left.
    """
    _hold_admins(session)
    member = get_member(session, member_id)
    for name, value in changes.items():
        setattr(member, name, _fitting(session, member, name, value))
    session.add(member)
    session.flush()
    if not member.active:
        sessions.end_sessions(session, member.id)
    if not member.active or "email" in changes:
        sessions.forget_links(session, member.id)
        sessions.forget_links(session, member.id, "login")
    if not any(other.role == "admin" for other in list_members(session, only_active=True)):
        raise LastAdmin("The last active admin cannot be removed.")
    said = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in changes.items()}
    detail = {name: value for name, value in said.items() if name not in ("name", "email")}
    record(session, by, "member.change", f"member:{member.id}", {**detail, "changed": sorted(changes)})
    return member


def log_out(session: Session, member_id: str, by: str, session_id: str | None = None) -> None:
    """Ends one session of a member, or all of them; audited.

    Raises:
        NotFound: no such member, or no such session of theirs.
    """
    get_member(session, member_id)
    if session_id is None:
        sessions.end_sessions(session, member_id)
    else:
        sessions.end_session(session, member_id, session_id)
    record(session, by, "member.log_out", f"member:{member_id}", {"session": session_id or "all"})


class LastAdmin(Conflict):
    """Nobody would be left who may manage members."""


def _hold_admins(session: Session) -> None:
    """Two admins who demote each other at the same time must not both succeed."""
    session.scalars(lock(session, select(Member).where(Member.role == "admin").order_by(col(Member.id)))).all()


def _fitting(session: Session, member: Member, name: str, value: Any) -> Any:
    """The value as it is stored."""
    match name, value:
        case "name", str() if clean_text(value).strip():
            return clean_text(value).strip()[:120]
        case "email", str():
            return _address(session, member, value)
        case "role", str() if value in ROLES:
            return value
        case "locale", str() if value in LOCALES:
            return value
        case "timezone", str() if is_zone(value):
            return value
        case "active", bool():
            return value
        case "absent_until", datetime() | None:
            return value
        case _:
            wrong = _issue(name, _EXPECTED.get(name, "This cannot be changed."))
            raise Invalid("{problem}", [wrong], problem=wrong)


_EXPECTED = {
    "name": "Expected a name.",
    "role": "Expected one of the roles.",
    "locale": "Expected one of the languages.",
    "timezone": "Expected a time zone such as Europe/Zurich.",
    "active": "Expected yes or no.",
    "absent_until": "Enter a date and a time.",
}


def _address(session: Session, member: Member, value: str) -> str:
    address = identifiers.normalise("email", value)
    if isinstance(address, identifiers.Refused):
        raise Invalid("Expected an e-mail address.", [_issue("email", "Expected an e-mail address.")])
    other = find_member(session, address)
    if other is not None and other.id != member.id:
        raise Conflict("A member of the team has this e-mail address already.")
    return address


def _issue(field: str, text: str) -> Issue:
    return Issue(code="member", text=text, field=field)


def set_absence(session: Session, member_id: str, until: datetime | None) -> Member:
    """Takes a member out of rotations until then; None: back at work."""
    member = get_member(session, member_id)
    member.absent_until = until
    session.add(member)
    return member


def put_rotation(session: Session, pool: str, member_ids: Sequence[str], name: str = "") -> Rotation:
    """Creates or replaces a pool; whose turn it is stays with the same person if that person is still in it.

    Raises:
        Invalid: no name, a member twice, too many or unknown members.
    """
    if not 0 < len(pool) <= 64:
        raise Invalid("Expected a name of a rotation with 1 to 64 characters.")
    if len(set(member_ids)) != len(member_ids) or len(member_ids) > MAX_POOL:
        raise Invalid("Expected at most {limit} different members in a rotation.", limit=MAX_POOL)
    known = set(session.scalars(select(Member.id).where(col(Member.id).in_(member_ids))))
    if known != set(member_ids):
        raise Invalid("Some members of the rotation do not exist.", unknown=sorted(set(member_ids) - known))
    row = _rotation(session, pool) or Rotation(pool=pool, name=name or pool)
    next_one = row.members[row.turn % len(row.members)] if row.members else None
    row.members, row.name = list(member_ids), name or row.name
    row.turn = row.members.index(next_one) if next_one in row.members else 0
    session.add(row)
    session.flush()
    return row


def list_rotations(session: Session) -> list[Rotation]:
    return list(session.scalars(select(Rotation).order_by(col(Rotation.pool))))


def next_owner(session: Session, pool: str, now: datetime) -> str | None:
    """Whose turn it is: the first in order who is active and not absent; None if there is nobody, or no such pool. Moves nothing."""
    row = session.get(Rotation, pool)
    if row is None or not row.members:
        return None
    present = {
        member.id
        for member in session.scalars(select(Member).where(col(Member.id).in_(row.members), col(Member.active)))
        if member.absent_until is None or member.absent_until <= now
    }
    turn = row.turn % len(row.members)
    return next((id for id in row.members[turn:] + row.members[:turn] if id in present), None)


def advance_rotation(session: Session, pool: str, owner: str) -> None:
    """Moves the turn past `owner`, who just got something; does nothing if the pool or the person in it is gone."""
    row = _rotation(session, pool)
    if row is None or owner not in row.members:
        return
    row.turn = (row.members.index(owner) + 1) % len(row.members)
    session.add(row)
    session.flush()


def _rotation(session: Session, pool: str) -> Rotation | None:
    statement = lock(session, select(Rotation).where(Rotation.pool == pool))
    row: Rotation | None = session.scalar(statement, execution_options={"populate_existing": True})
    return row
