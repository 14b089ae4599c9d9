"""Where journeys that run name something of the workspace: asked before it is taken away."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy.orm import Session
from sqlmodel import col, select

from engine.engine import Engine
from journeys.errors import Conflict
from journeys.names import all_names
from models import Member, Rotation
from workspace.settings import Setting

RUNNING = ("live", "paused")


@dataclass(frozen=True, slots=True)
class Use:
    """A place in the version that contacts enter now; `node` and `node_name` are empty for the journey's own entry, exits and settings."""

    journey: str
    journey_name: str
    node: str
    node_name: str
    field: str
    noun: str
    """What kind of thing is named: member, recipient, pool, coupon_pool, purpose, score, cap_class, secret."""
    name: str
    """What is named."""


def uses_of(engine: Engine, session: Session, names: Collection[tuple[str, str]]) -> list[Use]:
    """The places in live and paused journeys that name one of `names`, (noun, name) each, by journey."""
    wanted = frozenset(names)
    return [
        Use(live.key, live.program.journey.name, node_id, _name(live.program.nodes.get(node_id)), path, noun, name)
        for live in (engine.index(session).by_id.values() if wanted else ())
        if live.state in RUNNING
        for node_id, path, noun, name in all_names(live.program.journey, live.program.nodes)
        if (noun, name) in wanted
    ]


def uses_of_member(engine: Engine, session: Session, member_id: str) -> list[Use]:
    """Where a member is named, and where a rotation is in which nobody else is active."""
    alone = [("pool", pool) for pool, members in _members_of_rotations(session).items() if members == {member_id}]
    return uses_of(engine, session, [("member", member_id), ("recipient", member_id), *alone])


def uses_of_last(engine: Engine, session: Session) -> dict[tuple[str, str], list[Use]]:
    """(pool, member id) -> where the rotation is named, for those without whom nobody in it would be active."""
    last = {pool: next(iter(members)) for pool, members in _members_of_rotations(session).items() if len(members) == 1}
    found: dict[tuple[str, str], list[Use]] = {}
    for use in uses_of(engine, session, [("pool", pool) for pool in last]):
        found.setdefault((use.name, last[use.name]), []).append(use)
    return found


def uses_without(engine: Engine, session: Session, pool: str, members: Iterable[str]) -> list[Use]:
    """Where a rotation is named, if nobody of `members` is active but somebody of those who are in it now is."""
    staying, active = set(members), _members_of_rotations(session).get(pool, set())
    if not active or staying & _active(session, staying):
        return []
    return uses_of(engine, session, [("pool", pool)])


def uses_of_removed(engine: Engine, session: Session, before: Setting, after: Setting) -> list[Use]:
    """Where something is named that a setting offered before and does not any more."""
    return uses_of(engine, session, [(before.noun, name) for name in before.offers() - after.offers()])


def refuse_used_member(engine: Engine, session: Session, member_id: str) -> None:
    """Raises: Conflict, with where (`used_in`), if a journey that runs names the member."""
    used = uses_of_member(engine, session, member_id)
    if used:
        raise Conflict("Live journeys use this member. Choose someone else there, or confirm (anyway).", used_in=_told(used))


def refuse_used_secret(engine: Engine, session: Session, name: str) -> None:
    """Raises: Conflict, with where (`used_in`), if a journey that runs names the secret."""
    refuse(uses_of(engine, session, [("secret", name)]))


def refuse_used_segment(engine: Engine, session: Session, key: str) -> None:
    """Raises: Conflict, with where (`used_in`), if a journey that runs names the segment."""
    refuse(uses_of(engine, session, [("segment", key)]))


def refuse(used: Sequence[Use]) -> None:
    """Raises: Conflict, with where (`used_in`), if something that is to be taken away is used."""
    if used:
        raise Conflict(
            "Live journeys use what you are removing. Choose something else there, or confirm (anyway).",
            used_in=_told(used),
        )


def _told(used: Sequence[Use]) -> list[dict[str, str]]:
    return [asdict(use) for use in used]


def _name(node: object) -> str:
    return str(getattr(node, "name", "") or getattr(node, "label", ""))


def _members_of_rotations(session: Session) -> dict[str, set[str]]:
    """Pool -> those in it who are active."""
    rows = session.execute(select(Rotation.pool, Rotation.members)).all()
    active = _active(session, {id for _, members in rows for id in members})
    return {pool: active & set(members) for pool, members in rows}


def _active(session: Session, ids: Collection[str]) -> set[str]:
    return set(session.scalars(select(Member.id).where(col(Member.id).in_(ids), col(Member.active))))
