from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from crm.people import profile
from journeys.errors import Conflict, Invalid, NotFound
from workspace import members as team


@pytest.fixture
def members(session: Session, now: datetime) -> list[str]:
    return [team.add_member(session, name, f"{name}@example.org", "sales", now).id for name in ("anna", "bert", "carl")]


def test_turns_go_round(session: Session, members: list[str], now: datetime) -> None:
    team.put_rotation(session, "sales", members)
    turns = []
    for _ in range(4):
        owner = team.next_owner(session, "sales", now)
        assert owner is not None
        turns.append(owner)
        profile.advance_rotation(session, "sales", owner)
    assert turns == [*members, members[0]]


def test_asking_moves_nothing(session: Session, members: list[str], now: datetime) -> None:
    team.put_rotation(session, "sales", members)
    assert {profile.next_owner(session, "sales", now) for _ in range(3)} == {members[0]}


def test_who_is_away_is_skipped_until_back(session: Session, members: list[str], now: datetime) -> None:
    team.put_rotation(session, "sales", members)
    team.set_absence(session, members[0], now + timedelta(days=1))
    team.get_member(session, members[1]).active = False
    assert team.next_owner(session, "sales", now) == members[2]
    assert team.next_owner(session, "sales", now + timedelta(days=1)) == members[0]
    team.get_member(session, members[2]).active = False
    assert team.next_owner(session, "sales", now) is None
    assert team.next_owner(session, "nobody's", now) is None
    team.advance_rotation(session, "nobody's", members[0])


def test_a_changed_pool_keeps_the_turn(session: Session, members: list[str], now: datetime) -> None:
    team.put_rotation(session, "sales", members)
    team.advance_rotation(session, "sales", members[0])
    team.put_rotation(session, "sales", [members[2], members[1]])
    assert team.next_owner(session, "sales", now) == members[1]
    team.put_rotation(session, "sales", [members[0]])
    assert team.next_owner(session, "sales", now) == members[0]


def test_pools_hold_known_members_once(session: Session, members: list[str]) -> None:
    for wrong in ([members[0], members[0]], ["nobody"]):
        with pytest.raises(Invalid):
            team.put_rotation(session, "sales", wrong)
    with pytest.raises(Invalid):
        team.put_rotation(session, "", members)


def test_members_are_known_by_their_address(session: Session, members: list[str], now: datetime) -> None:
    found = team.find_member(session, "ANNA@example.org ")
    assert found is not None
    assert found.id == members[0]
    with pytest.raises(Conflict):
        team.add_member(session, "Anna II", "Anna@example.org", "sales", now)
    for name, email, role in (("", "x@example.org", "sales"), ("X", "nonsense", "sales"), ("X", "x@example.org", "king")):
        with pytest.raises(Invalid):
            team.add_member(session, name, email, role, now)
    with pytest.raises(NotFound):
        team.get_member(session, "nobody")
    assert [member.name for member in team.list_members(session)] == ["anna", "bert", "carl"]
