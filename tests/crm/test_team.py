from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from crm.people import profile
from journeys.errors import Conflict, Invalid, NotFound
from workspace import members


@pytest.fixture
def people(session: Session, now: datetime) -> list[str]:
    return [members.add_member(session, name, f"{name}@example.org", "sales", now).id for name in ("anna", "bert", "carl")]


def test_turns_go_round(session: Session, people: list[str], now: datetime) -> None:
    members.put_rotation(session, "sales", people)
    turns = []
    for _ in range(4):
        owner = members.next_owner(session, "sales", now)
        assert owner is not None
        turns.append(owner)
        profile.advance_rotation(session, "sales", owner)
    assert turns == [*people, people[0]]


def test_asking_moves_nothing(session: Session, people: list[str], now: datetime) -> None:
    members.put_rotation(session, "sales", people)
    assert {profile.next_owner(session, "sales", now) for _ in range(3)} == {people[0]}


def test_who_is_away_is_skipped_until_back(session: Session, people: list[str], now: datetime) -> None:
    members.put_rotation(session, "sales", people)
    members.set_absence(session, people[0], now + timedelta(days=1))
    members.get_member(session, people[1]).active = False
    assert members.next_owner(session, "sales", now) == people[2]
    assert members.next_owner(session, "sales", now + timedelta(days=1)) == people[0]
    members.get_member(session, people[2]).active = False
    assert members.next_owner(session, "sales", now) is None
    assert members.next_owner(session, "nobody's", now) is None
    members.advance_rotation(session, "nobody's", people[0])


def test_a_changed_pool_keeps_the_turn(session: Session, people: list[str], now: datetime) -> None:
    members.put_rotation(session, "sales", people)
    members.advance_rotation(session, "sales", people[0])
    members.put_rotation(session, "sales", [people[2], people[1]])
    assert members.next_owner(session, "sales", now) == people[1]
    members.put_rotation(session, "sales", [people[0]])
    assert members.next_owner(session, "sales", now) == people[0]


def test_pools_hold_known_members_once(session: Session, people: list[str]) -> None:
    for wrong in ([people[0], people[0]], ["nobody"]):
        with pytest.raises(Invalid):
            members.put_rotation(session, "sales", wrong)
    with pytest.raises(Invalid):
        members.put_rotation(session, "", people)


def test_members_are_known_by_their_address(session: Session, people: list[str], now: datetime) -> None:
    found = members.find_member(session, "ANNA@example.org ")
    assert found is not None
    assert found.id == people[0]
    with pytest.raises(Conflict):
        members.add_member(session, "Anna II", "Anna@example.org", "sales", now)
    for name, email, role in (("", "x@example.org", "sales"), ("X", "nonsense", "sales"), ("X", "x@example.org", "king")):
        with pytest.raises(Invalid):
            members.add_member(session, name, email, role, now)
    with pytest.raises(NotFound):
        members.get_member(session, "nobody")
    assert [member.name for member in members.list_members(session)] == ["anna", "bert", "carl"]
