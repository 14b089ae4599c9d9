"""The people who work here, and rotations: pools of owners taken in turn, without those who are absent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session
from sqlmodel import col, select

from crm import names
from crm.payload import clean_text
from journeys.errors import Conflict, Invalid, NotFound
from models import Member, Rotation, lock

ROLES = ("admin", "marketer", "engineer", "tester", "sales", "viewer")
MAX_POOL = 500


def add_member(
    session: Session, name: str, email: str, role: str, now: datetime, *, locale: str = "en", timezone: str = "Europe/Zurich"
) -> Member:
    """A new member of the team.

    Raises:
        Invalid: no name, no e-mail address, or an unknown role.
        Conflict: somebody has this address already.
    """
    address = names.normalise("email", email)
    if not clean_text(name).strip() or isinstance(address, names.Refused):
        raise Invalid("A member of the team needs a name and an e-mail address.")
    if role not in ROLES:
        raise Invalid(f"Expected a role out of {', '.join(ROLES)}.")
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
    """The member with this e-mail address."""
    return session.scalar(select(Member).where(Member.email == email.strip().lower()))


def list_members(session: Session, *, only_active: bool = False) -> list[Member]:
    """Members by name."""
    statement = select(Member).order_by(col(Member.name), col(Member.id))
    return list(session.scalars(statement.where(col(Member.active)) if only_active else statement))


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
        raise Invalid("Expected a name of a pool with 1 to 64 characters.")
    if len(set(member_ids)) != len(member_ids) or len(member_ids) > MAX_POOL:
        raise Invalid(f"Expected at most {MAX_POOL} different members in a pool.")
    known = set(session.scalars(select(Member.id).where(col(Member.id).in_(member_ids))))
    if known != set(member_ids):
        raise Invalid("Some members of the pool do not exist.", unknown=sorted(set(member_ids) - known))
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
