"""The sum of the history is the score, and what is booked bit by bit is what a recomputation from nothing gives, whatever happens in whatever order."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from crm.people.scores import change_score
from crm.rules.crowd_facts import Crowd
from crm.scoring import grades, jobs, models
from crm.scoring.targets import definition_of, targets
from models import Contact, Database, Job, Score, ScoreBooked, ScoreChange, ScoreModel, ScoreReached
from tests.crm.segments.test_live import ACTS, WHO, Life, lasting

GROUPS = ["engagement", "fit"]
STANDING = st.sampled_from(
    [
        {"rule": {"tag": "vip"}},
        {"rule": {"field": "first_name", "operator": "notNull"}},
        {"rule": {"segment": "s0"}},
        {"rule": {"event": "Order Completed", "did": False, "within": "P3D"}},
        {"rule": {"field": "created_at", "operator": "withinLast", "value": "P1D"}},
    ]
)
CAPS = st.fixed_dictionaries(
    {},
    optional={
        "most": st.integers(1, 40),
        "most_per": st.fixed_dictionaries({"points": st.integers(1, 25), "per": st.sampled_from(["day", "week", "month"])}),
        "decay": st.fixed_dictionaries({"kind": st.sampled_from(["linear", "half_life"]), "days": st.sampled_from([1, 3, 45])}),
    },
)
HAPPENED = st.tuples(
    st.sampled_from(
        [
            {"event": "Order Completed"},
            {"event": "Product Viewed"},
            {"event": "Order Completed", "where": {"rules": [{"field": "total", "operator": ">=", "value": 1}]}},
        ]
    ),
    CAPS,
).map(lambda both: both[0] | both[1])
RULES = st.lists(st.tuples(STANDING | HAPPENED, st.sampled_from(GROUPS), st.sampled_from([-7, -1, 1, 10])), min_size=1, max_size=4).map(
    lambda rules: [rule | {"id": f"r{n}", "group": group, "points": points} for n, (rule, group, points) in enumerate(rules)]
)
DEFINITIONS = RULES.map(
    lambda rules: {
        "rules": rules,
        "thresholds": [{"id": "t", "group": "engagement", "at_least": 10}, {"id": "low", "group": "fit", "at_least": 0.5}],
        "grading": {"letters": [20, 10, 1], "numbers": [20, 10, 0]},
    }
)
ORDER = st.tuples(st.just("Order Completed"), st.just({"total": 5}), st.none())
MORE = st.one_of(
    ACTS,
    st.tuples(st.just("event"), WHO, ORDER, st.sampled_from([timedelta(0), timedelta(hours=23), timedelta(days=2), timedelta(days=40)])),
    st.tuples(st.just("points"), WHO, st.sampled_from(GROUPS), st.sampled_from([3.0, -2.0, 40.0]), st.booleans()),
    st.tuples(st.just("definition"), DEFINITIONS),
    st.tuples(st.just("switch"), st.booleans()),
)


class ScoredLife(Life):
    """With one scoring model."""

    def __init__(self, session: Session, rules: list[Any], definition: Any) -> None:
        super().__init__(session, rules)
        self.score(models.create(session, "Leads", definition, "test", self.now, key="leads"))

    def score(self, row: ScoreModel) -> None:
        """Its job, to the end."""
        job = self.session.get_one(Job, row.job)
        page = jobs.score_page if job.kind == models.SCORE else jobs.empty_page
        while (cursor := page(self.session, job, self.now)[0]) is not None:
            job.cursor = cursor

    def _points(self, who: int, group: str, points: float, absolute: bool) -> None:
        if self._is_somebody(self._who(who)):
            change_score(self.session, self._who(who), group, points, absolute, "by hand", self.now)

    def _definition(self, definition: Any) -> None:
        row = models.change(self.session, "leads", "test", self.now, definition=definition)
        if row.job:
            self.score(row)

    def _switch(self, on: bool) -> None:
        self.score(models.change(self.session, "leads", "test", self.now, on=on))

    def check(self) -> None:
        super().check()
        self._is_the_sum_of_its_history()
        row = models.get(self.session, "leads")
        is_on = row.state != models.OFF
        living = [id for id in self.contacts if self._is_somebody(id)]
        crowd = Crowd(self.session, living, self.now)
        wanted = targets(self.session, definition_of(row.definition), living, crowd, self.now).points if is_on else {}
        assert self._booked() == {(id, *of): points for id, rules in wanted.items() for of, points in rules.items()}
        limits = definition_of(row.definition).thresholds if is_on else ()
        over = {(id, one.id) for one in limits for id in living if crowd.scores.get((id, one.group), 0.0) >= one.at_least}
        assert {(one.contact_id, one.threshold) for one in self.session.scalars(select(ScoreReached))} == over
        self._is_graded(row, crowd, living, is_on)

    def _is_the_sum_of_its_history(self) -> None:
        added = select(ScoreChange.contact_id, ScoreChange.score_group, func.sum(ScoreChange.points))
        sums = {
            (id, group): total for id, group, total in self.session.execute(added.group_by(ScoreChange.contact_id, ScoreChange.score_group))
        }
        values = {(one.contact_id, one.score_group): one.value for one in self.session.scalars(select(Score))}
        assert {key: value for key, value in values.items() if value} == {key: total for key, total in sums.items() if total}

    def _booked(self) -> dict[Any, float]:
        return {(one.contact_id, one.rule, one.score_group): one.points for one in self.session.scalars(select(ScoreBooked))}

    def _is_graded(self, row: ScoreModel, crowd: Crowd, living: list[str], is_on: bool) -> None:
        grading, found = definition_of(row.definition).grading if is_on else None, dict[str, str]()
        for id in self.contacts:
            scores = {group: crowd.scores[id, group] for group in GROUPS if (id, group) in crowd.scores}
            grade = grades.grade_of(grading, scores) if id in living else None
            assert self.session.scalar(select(Contact.grade).where(Contact.id == id)) == grade
            found |= {} if grade is None else {id: grade}
        assert grades.counts(self.session) == {grade: [*found.values()].count(grade) for grade in found.values()}


lives = given(
    rules=st.just([{"event": "Order Completed", "within": "P3D"}, {"score": "fit", "operator": ">=", "value": 5}]),
    definition=DEFINITIONS,
    acts=st.lists(MORE, min_size=3, max_size=14),
)


@lasting(40)
@lives
def test_scores_are_the_sum_of_their_history_at_every_instant(
    shared_sqlite: Database, rules: Any, definition: Any, acts: list[Any]
) -> None:
    lived(shared_sqlite, rules, definition, acts)


@lasting(5)
@lives
def test_the_same_on_postgresql(shared_postgres: Database, rules: Any, definition: Any, acts: list[Any]) -> None:
    lived(shared_postgres, rules, definition, acts)


def lived(database: Database, rules: Any, definition: Any, acts: list[Any]) -> None:
    with database.engine.connect() as connection, connection.begin() as transaction:
        with Session(connection, info=database.info, expire_on_commit=False) as session:
            life = ScoredLife(session, rules, definition)
            for act in acts:
                life.act(*act)
                life.settle()
                life.check()
        transaction.rollback()
