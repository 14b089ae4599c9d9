from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy.orm import Session
from sqlmodel import select

from crm.people.scores import MAX_SCORE, change_score
from journeys.errors import Invalid
from models import Score, ScoreChange


def value(session: Session, contact: str, group: str = "fit") -> float:
    return session.get_one(Score, (contact, group)).value


def test_points_add_up_and_say_so(session: Session, contact: str, now: datetime) -> None:
    first = change_score(session, contact, "fit", 5, False, "opened", now)
    second = change_score(session, contact, "fit", -2, False, "", now, hops=2)
    assert first is not None
    assert second is not None
    assert first.properties == {"group": "fit", "before": 0.0, "after": 5.0}
    assert (second.properties, second.hops) == ({"group": "fit", "before": 5.0, "after": 3.0}, 2)
    assert value(session, contact) == 3.0


def test_absolute_sets(session: Session, contact: str, now: datetime) -> None:
    change_score(session, contact, "fit", 5, False, "", now)
    event = change_score(session, contact, "fit", 50, True, "", now)
    assert event is not None
    assert value(session, contact) == 50.0
    assert change_score(session, contact, "fit", 50, True, "", now) is None


def test_a_score_is_the_sum_of_its_history_also_at_the_bounds(session: Session, contact: str, now: datetime) -> None:
    for points, absolute in ((1e9, False), (5, False), (-3e6, False), (7, True)):
        change_score(session, contact, "fit", points, absolute, "", now)
    changes = list(session.scalars(select(ScoreChange).order_by(ScoreChange.id)))  # type: ignore[arg-type]
    assert [change.value for change in changes] == [MAX_SCORE, -MAX_SCORE, 7.0]
    assert sum(change.points for change in changes) == value(session, contact)


@pytest.mark.parametrize(("group", "points"), [("fit", float("nan")), ("fit", float("inf")), ("", 1.0), ("x" * 65, 1.0)])
def test_nonsense_is_refused(session: Session, contact: str, now: datetime, group: str, points: float) -> None:
    with pytest.raises(Invalid):
        change_score(session, contact, group, points, False, "", now)
