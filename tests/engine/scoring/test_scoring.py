"""From what happens to points, thresholds and what they do: once for each crossing, on the day, whatever dies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from crm.people.merge import merge
from crm.people.scores import MAX_SCORE, change_score
from crm.people.unmerge import newest, unmerge
from crm.scoring import grades, models, questions, targets
from crm.scoring.targets import definition_of
from crm.segments import evaluation, segments
from engine.engine import Engine
from engine.jobs.kinds import KINDS
from engine.jobs.worker import do_page, work_through
from engine.segments.evaluator import evaluate, settle
from journeys.errors import Conflict, Invalid
from journeys.scoring import MAX_RULES
from journeys.scoring.model import GRADE_TOPIC
from models import Contact, Event, Job, Notice, Run, ScoreBooked, ScoreChange, Tag, Task
from storage.events import append_event
from storage.origin import MAX_HOPS
from tests.engine.conftest import StoryClock
from tests.engine.segments.test_evaluator import mortal
from tests.engine.test_crash_points import Death, Points
from workspace import members

VIEWS = {"id": "views", "group": "engagement", "points": 10, "event": "Product Viewed", "name": "Looks at products"}
VIP = {"id": "vip", "group": "fit", "points": 30, "rule": {"tag": "vip"}}
WARM = {"id": "warm", "name": "Warm", "group": "engagement", "at_least": 20}
HELLO = {
    "spec": 1,
    "key": "hello",
    "name": "Hello",
    "entry": {"triggers": [{"type": "journey"}], "reentry": {"policy": "after_exit"}},
    "start": "day",
    "nodes": {"day": {"kind": "wait", "duration": "P1D"}, "end": {"kind": "exit"}},
    "edges": [{"from": "day", "to": "end"}],
}
BY_SCORE = {
    **HELLO,
    "key": "risen",
    "entry": {"triggers": [{"type": "score", "group": "engagement", "at_least": 20}], "reentry": {"policy": "after_exit"}},
}


@pytest.fixture
def world(world: Any) -> Any:
    """The engine goes by the story's clock."""
    old = world.engine
    world.engine = Engine(old.db, StoryClock(world), old.palette, old.address_keys)
    return world


def model(world: Any, *rules: Any, key: str = "leads", thresholds: Any = (), grading: Any = None, **more: Any) -> None:
    """Made, and everybody scored."""
    definition = {"rules": list(rules), "thresholds": list(thresholds), **({} if grading is None else {"grading": grading})}
    with world.db.write() as session:
        row = models.create(session, key.title(), definition, "test", world.now, key=key, **more)
    worked(world, row.job)


def changed(world: Any, key: str = "leads", **how: Any) -> None:
    with world.db.write() as session:
        row = models.change(session, key, "test", world.now, **how)
    worked(world, row.job)


def worked(world: Any, job_id: str | None) -> None:
    if job_id:
        work_through(world.engine, job_id)


def viewed(world: Any, contact: str, times: int = 1, **more: Any) -> None:
    with world.db.write() as session:
        for _ in range(times):
            append_event(session, contact, "track", "Product Viewed", {}, world.now, routed=True, **more)


def scores(world: Any, contact: str) -> dict[str, float]:
    with world.db.read() as session:
        return questions.scores_of(session, contact)


def history(world: Any, contact: str) -> list[tuple[float, str]]:
    with world.db.read() as session:
        return [(row.points, row.why) for row in questions.history(session, contact)][::-1]


def told(world: Any, name: str = "Score Threshold Reached") -> list[Any]:
    with world.db.read() as session:
        return [event.properties for event in session.scalars(select(Event).where(Event.name == name).order_by(Event.id))]


def count(world: Any, what: Any) -> int:
    with world.db.read() as session:
        return int(session.scalar(select(func.count()).select_from(what)) or 0)


def test_points_are_booked_with_their_reason_and_told_to_journeys(world: Any) -> None:
    anna = world.contact()
    model(world, VIEWS, VIP, grading={"letters": [30, 20, 10], "numbers": [30, 20, 10]})
    world.publish(BY_SCORE)
    viewed(world, anna, 3)
    assert set(settle(world.engine).starts), "the trigger on the score"
    with world.db.write() as session:
        session.add(Tag(contact_id=anna, tag="vip", added_at=world.now))
        evaluation.segment_marks.mark(session, [anna], ("tag:vip",), world.now)
    settle(world.engine)
    assert scores(world, anna) == {"engagement": 30, "fit": 30}
    assert history(world, anna) == [(30, "happened"), (30, "holds")]
    assert told(world, "Score Changed")[0] == {"group": "engagement", "before": 0, "after": 30}
    with world.db.read() as session:
        assert session.get_one(Contact, anna).grade == "A1"
        assert grades.counts(session) == {"A1": 1}
        row = questions.history(session, anna)[1]
        assert (row.reason, row.rule, row.value) == ("Looks at products", "views", 30)


def test_a_threshold_does_all_it_says_once_for_each_crossing(world: Any) -> None:
    anna = world.contact(first_name="Anna")
    with world.db.write() as session:
        member = members.add_member(session, "Ben", "ben@example.org", "sales", world.now).id
        members.put_rotation(session, "sales", [member])
    world.publish(HELLO)
    actions = [
        {"kind": "update_contact", "add_tags": ["hot"], "set": {"lifecycle_stage": "mql"}},
        {"kind": "assign_owner", "pool": "sales"},
        {"kind": "create_task", "title": "Call {{ contact.first_name }}", "sla": "PT2H"},
        {"kind": "start_journey", "journey": "hello"},
        {"kind": "notify_of_score"},
    ]
    model(world, VIEWS, thresholds=[{**WARM, "actions": actions}])
    viewed(world, anna)
    settle(world.engine)
    assert told(world) == []
    viewed(world, anna)
    assert len(settle(world.engine).starts) == 1
    [said] = told(world)
    assert said["done"] == [action["kind"] for action in actions]
    assert (said["failed"], said["value"], said["group"]) == ([], 20, "engagement")
    with world.db.read() as session:
        contact, task = session.get_one(Contact, anna), session.scalars(select(Task)).one()
        assert (contact.owner, contact.lifecycle_stage) == (member, "mql")
        assert (task.title, task.owner, task.due_at is not None) == ("Call Anna", member, True)
        assert session.scalars(select(Tag.tag)).all() == ["hot"]
        notice = session.scalars(select(Notice)).one()
        assert (notice.topic, notice.about, notice.detail) == ("score_reached", "leads:warm", {"name": "Warm", "count": 1})
    viewed(world, anna, 5)
    settle(world.engine)
    assert (len(told(world)), count(world, Task)) == (1, 1), "she is above it already"
    for points in (-100, 100):
        with world.db.write() as session:
            change_score(session, anna, "engagement", points, False, "by hand", world.now)
        settle(world.engine)
    assert (len(told(world)), count(world, Task)) == (2, 2), "she fell below and came back, by whose points ever"
    assert scores(world, anna) == {"engagement": 70}


def test_an_action_that_cannot_be_done_keeps_nobody_from_the_others(world: Any) -> None:
    anna = world.contact()
    half = {"kind": "update_contact", "set": {"last_name": "Half"}, "add_tags": ["x"]}
    actions = [half, {"kind": "update_contact", "set": {"first_name": "Ann"}}]
    model(world, VIEWS, thresholds=[{**WARM, "actions": actions}])
    with world.db.write() as session:
        for number in range(500):
            session.add(Tag(contact_id=anna, tag=f"t{number}", added_at=world.now))
    viewed(world, anna, 2)
    settle(world.engine)
    [said] = told(world)
    assert (said["done"], said["failed"]) == (["update_contact"], ["update_contact: too_large"])
    with world.db.read() as session:
        contact = session.get_one(Contact, anna)
        assert (contact.first_name, contact.last_name) == ("Ann", None), "and nothing of it is done by half"


def test_points_fade_at_midnight_and_a_threshold_is_right_on_the_day(world: Any) -> None:
    """Over the night in which Zurich puts its clocks forward."""
    world.now = datetime(2026, 3, 27, 22, 30, tzinfo=UTC)  # the 27th there, 23:30
    anna = world.contact()
    model(world, {**VIEWS, "decay": {"kind": "linear", "days": 4}}, thresholds=[WARM], grading={})
    viewed(world, anna, 4)
    settle(world.engine)
    days = [
        (datetime(2026, 3, 27, 23, tzinfo=UTC), 30),
        (datetime(2026, 3, 28, 23, tzinfo=UTC), 20),
        (datetime(2026, 3, 29, 22, tzinfo=UTC), 10),
    ]
    for at, value in days:
        world.now = at - timedelta(microseconds=1)
        settle(world.engine)
        assert scores(world, anna)["engagement"] == value + 10
        with world.db.read() as session:
            assert len(questions.reached_by(session, anna)) == 1
        world.now = at
        settle(world.engine)
        assert scores(world, anna)["engagement"] == value
    with world.db.read() as session:
        assert questions.reached_by(session, anna) == []
        assert evaluation.waiting(session, world.now) == [], "nobody is polled"
    world.now += timedelta(days=2)
    settle(world.engine)
    assert scores(world, anna) == {"engagement": 0}
    assert [why for _, why in history(world, anna)] == ["happened", *["faded"] * 4]


def test_who_cannot_be_scored_when_points_fade_holds_up_nobody(world: Any) -> None:
    anna = world.contact()
    model(world, {**VIEWS, "decay": {"kind": "linear", "days": 4}})
    viewed(world, anna)
    settle(world.engine)
    world.now += timedelta(days=1)
    with world.db.write() as session:
        assert evaluation.waiting(session, world.now) == [anna]
        evaluation.postpone(session, anna, world.now + evaluation.AGAIN)
        assert evaluation.waiting(session, world.now) == []
        assert evaluation.waiting(session, world.now + evaluation.AGAIN) == [anna]


@pytest.mark.parametrize(("more", "points"), [({}, 20), ({"decay": {"kind": "linear", "days": 10}}, 15)])
def test_of_what_happens_without_end_the_newest_count(world: Any, monkeypatch: pytest.MonkeyPatch, more: Any, points: int) -> None:
    monkeypatch.setattr(targets, "MOST_TIMES", 2)
    anna, name = world.contact(), f"Signal {points}"  # of its own: statements are kept
    with world.db.write() as session:
        for days in (5, 5, 5, 0):
            append_event(session, anna, "track", name, {}, world.now, routed=True, occurred_at=world.now - timedelta(days=days))
    model(world, {**VIEWS, "event": name, **more})
    assert scores(world, anna) == {"engagement": points}


def test_points_end_at_the_bound_of_a_score_and_no_more_is_taken_back_than_was_given(world: Any) -> None:
    anna = world.contact()
    model(world, VIEWS)
    with world.db.write() as session:
        change_score(session, anna, "engagement", MAX_SCORE - 4, False, "by hand", world.now)
    viewed(world, anna)
    settle(world.engine)
    assert scores(world, anna) == {"engagement": MAX_SCORE}
    worked(world, off(world))
    assert scores(world, anna) == {"engagement": MAX_SCORE - 4}


def test_imports_and_new_rules_are_silent_and_late_events_count_for_their_day(world: Any) -> None:
    anna, bert = world.contact(), world.contact()
    viewed(world, anna, 3)
    model(world, {**VIEWS, "most_per": {"points": 20, "per": "day"}}, thresholds=[{**WARM, "actions": [{"kind": "notify_of_score"}]}])
    assert (scores(world, anna), told(world), told(world, "Score Changed"), count(world, Notice)) == ({"engagement": 20}, [], [], 0)
    viewed(world, bert, 2, backfill=True)
    settle(world.engine)
    assert (scores(world, bert), told(world)) == ({"engagement": 20}, [])
    viewed(world, anna, 1, occurred_at=world.now - timedelta(days=2))
    viewed(world, anna, 1)
    settle(world.engine)
    assert scores(world, anna) == {"engagement": 30}, "today's limit was spent"
    changed(world, definition={"rules": [{**VIEWS, "points": 1}], "thresholds": [{**WARM, "at_least": 4}]}, announce=True)
    assert scores(world, anna) == {"engagement": 5}
    assert [one["threshold"] for one in told(world)] == [], "she was above a threshold of that id before"
    changed(world, definition={"rules": [{**VIEWS, "points": 1}], "thresholds": [{**WARM, "id": "new", "at_least": 4}]}, announce=True)
    assert [one["threshold"] for one in told(world)] == ["new"], "asked for"


def test_a_model_that_is_off_gives_nothing_and_a_deleted_one_is_gone(world: Any) -> None:
    anna = world.contact()
    model(world, VIEWS, thresholds=[WARM], grading={})
    viewed(world, anna, 2)
    settle(world.engine)
    changed(world, on=False)
    viewed(world, anna, 2)
    settle(world.engine)
    with world.db.read() as session:
        assert (questions.scores_of(session, anna), session.get_one(Contact, anna).grade) == ({"engagement": 0}, None)
    changed(world, on=True)
    assert scores(world, anna) == {"engagement": 40}
    with world.db.write() as session:
        models.remove(session, "leads", "test", world.now)
        jobs = list(session.scalars(select(Job.id).where(Job.kind == models.EMPTY).order_by(Job.id)))
    worked(world, jobs[-1])
    assert (scores(world, anna), count(world, ScoreBooked), count(world, models.ScoreModel)) == ({"engagement": 0}, 0, 0)
    assert sum(points for points, _ in history(world, anna)) == 0, "the history stays"


def off(world: Any, key: str = "leads", **how: Any) -> str:
    """Switched off; the job that takes back what it gave, not begun."""
    with world.db.write() as session:
        return models.change(session, key, "test", world.now, on=False, **how).job or ""


def test_a_model_that_is_changed_while_it_is_off_takes_back_all_the_same(world: Any) -> None:
    anna = world.contact()
    model(world, VIEWS, grading={})
    viewed(world, anna, 2)
    settle(world.engine)
    job = off(world)
    with world.db.write() as session:
        models.change(session, "leads", "test", world.now, definition={"rules": [VIEWS]})
    worked(world, job)
    assert (scores(world, anna), count(world, ScoreBooked)) == ({"engagement": 0}, 0)
    with world.db.read() as session:
        assert (session.get_one(Contact, anna).grade, grades.counts(session)) == (None, {})
        assert GRADE_TOPIC not in models.get(session, "leads").gives


def test_who_takes_points_back_waits_for_who_may_still_give_some(world: Any) -> None:
    if world.db.is_sqlite:
        pytest.skip("lets one write at a time")
    anna = world.contact()
    model(world, VIEWS)
    viewed(world, anna)
    settle(world.engine)
    with world.db.write() as writer:
        writer.execute(select(Contact.id))
        job = off(world)
        do_page(world.engine, job)
        assert scores(world, anna) == {"engagement": 10}
    worked(world, job)
    assert (scores(world, anna), count(world, ScoreBooked)) == ({"engagement": 0}, 0)


def test_a_model_that_goes_leaves_the_grade_that_another_gives_by_now(world: Any) -> None:
    anna = world.contact()
    model(world, VIEWS, thresholds=[WARM], grading={})
    with world.db.write() as session:
        change_score(session, anna, "engagement", 30, False, "by hand", world.now)
    settle(world.engine)
    job = off(world)
    model(world, key="other", grading={})
    worked(world, job)
    with world.db.read() as session:
        assert (session.get_one(Contact, anna).grade, grades.counts(session)) == ("D3", {"D3": 1})


def test_thresholds_that_set_each_other_off_come_to_an_end(world: Any) -> None:
    anna = world.contact()
    rules = [
        {"id": "without", "group": "fit", "points": 10, "rule": {"tag": "x", "has": False}},
        {"id": "with", "group": "engagement", "points": 10, "rule": {"tag": "x"}},
    ]
    thresholds = [
        {"id": "add", "group": "fit", "at_least": 10, "actions": [{"kind": "update_contact", "add_tags": ["x"]}]},
        {"id": "remove", "group": "engagement", "at_least": 10, "actions": [{"kind": "update_contact", "remove_tags": ["x"]}]},
    ]
    model(world, *rules, thresholds=thresholds, announce=True)
    for _ in range(3 * MAX_HOPS):
        evaluate(world.engine, [anna])
    with world.db.read() as session:
        assert evaluation.waiting(session, world.now) == []
    assert [one["done"] for one in told(world)] == [["update_contact"]] * MAX_HOPS + [[]]
    assert told(world)[-1]["failed"] == ["update_contact: too_many_hops"]


def parted(world: Any, contact: str) -> None:
    with world.db.write() as session:
        found = newest(session, contact)
        assert found is not None
        unmerge(session, found.id or 0, "test", world.now)
    settle(world.engine)


def merged(world: Any, winner: str, loser: str) -> None:
    with world.db.write() as session:
        merge(session, winner, loser, world.now)
    settle(world.engine)


def test_what_a_threshold_did_it_does_not_do_again_for_merged_or_parted_contacts(world: Any) -> None:
    anna, ben = world.contact(), world.contact()
    model(world, VIEWS, thresholds=[{**WARM, "actions": [{"kind": "create_task", "title": "Call"}]}])
    viewed(world, anna, 2)
    settle(world.engine)
    merged(world, ben, anna)
    with world.db.read() as session:
        assert [one.threshold for one in questions.reached_by(session, ben)] == ["warm"]
    parted(world, ben)
    with world.db.read() as session:
        assert [len(questions.reached_by(session, one)) for one in (anna, ben)] == [1, 0]
    assert (len(told(world)), count(world, Task)) == (1, 1)


@pytest.mark.parametrize("gone", [False, True])
def test_nothing_is_left_to_parted_contacts_of_a_model_that_gives_nothing_any_more(world: Any, gone: bool) -> None:
    anna, ben = world.contact(), world.contact()
    model(world, VIEWS)
    viewed(world, anna)
    settle(world.engine)
    merged(world, ben, anna)
    worked(world, off(world))
    if gone:
        with world.db.write() as session:
            models.remove(session, "leads", "test", world.now)
            job = session.scalars(select(Job.id).where(Job.kind == models.EMPTY, Job.state == "running")).one()
        worked(world, job)
    parted(world, ben)
    assert (scores(world, anna), scores(world, ben)) == ({"engagement": 0}, {"engagement": 0})
    assert [sum(points for points, _ in history(world, one)) for one in (anna, ben)] == [0, 0]
    assert count(world, ScoreBooked) == 0


def test_a_segment_that_a_scoring_model_asks_for_is_not_deleted(world: Any) -> None:
    with world.db.write() as session:
        segments.create(session, "Guests", None, "test", world.now, key="guests")
    model(world, {"id": "in", "group": "fit", "points": 5, "rule": {"segment": "guests"}})
    with world.db.write() as session, pytest.raises(Conflict) as refused:
        segments.remove(session, "guests", "test", world.now)
    assert refused.value.details["scoring"] == ["leads"]


def test_a_model_of_as_many_rules_as_there_may_be_is_made_changed_and_deleted(world: Any) -> None:
    rules = [{**VIEWS, "id": f"r{number}", "name": "Looks at products " * 5} for number in range(MAX_RULES)]
    with world.db.write() as session:
        models.create(session, "Leads", {"rules": rules}, "test", world.now, key="leads", on=False)
        models.change(session, "leads", "test", world.now, definition={"rules": rules[1:]})
        models.remove(session, "leads", "test", world.now)


def test_a_job_of_a_version_that_has_changed_is_over_at_once(world: Any) -> None:
    anna = world.contact()
    viewed(world, anna)
    with world.db.write() as session:
        old = models.create(session, "Leads", {"rules": [VIEWS]}, "test", world.now, key="leads").job or ""
        models.change(session, "leads", "test", world.now, definition={"rules": [{**VIEWS, "points": 1}]})
    worked(world, old)
    with world.db.read() as session:
        assert models.get(session, "leads").state == models.SCORING
    assert scores(world, anna) == {}


def test_there_is_a_limit_of_models(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "MOST", 1)
    model(world, VIEWS)
    with pytest.raises(Conflict, match="at most 1 scoring models"):
        model(world, VIEWS, key="others")


def test_on_sqlite_scoring_everybody_leaves_others_their_time() -> None:
    assert KINDS[models.SCORE].yields
    assert KINDS[models.EMPTY].yields


def test_scores_and_segments_that_ask_for_each_other_are_judged_in_order_and_never_in_a_circle(world: Any) -> None:
    anna = world.contact()
    with world.db.write() as session:
        segments.create(session, "Lookers", {"event": "Product Viewed"}, "test", world.now, key="lookers")
        model_rule = {"id": "in", "group": "fit", "points": 5, "rule": {"segment": "lookers"}}
    model(world, model_rule)
    with world.db.write() as session:
        cold = {"rules": [{"event": "Product Viewed"}, {"score": "fit", "operator": "<", "value": 5}]}
        segments.create(session, "Cold", cold, "test", world.now, key="cold")
    with world.db.read() as session:
        jobs = list(session.scalars(select(Job.id).where(Job.kind == segments.FILL)))
    for job in jobs:
        worked(world, job)
    viewed(world, anna)
    settle(world.engine)
    assert [one["segment"] for one in told(world, "Segment Entered")] == ["lookers"], "nobody is in the cold one for a moment"
    with world.db.write() as session, pytest.raises(Invalid, match="circle"):
        segments.change(session, "lookers", "test", world.now, rule={"score": "fit", "value": 1})
    for asked, why in (({"segment": "cold"}, "circle"), ({"score": "fit", "value": 1}, "its own scoring model")):
        wrong = {"rules": [{"id": "c", "group": "fit", "points": 1, "rule": asked}]}
        with world.db.write() as session, pytest.raises(Invalid, match=why):
            models.change(session, "leads", "test", world.now, definition=wrong)


def test_what_cannot_be_is_refused_with_its_place(world: Any) -> None:
    actions = [
        {"kind": "assign_owner", "pool": "nobody"},
        {"kind": "start_journey", "journey": "nowhere"},
        {"kind": "update_contact", "set": {"owner": "nobody", "no_such_field": 1}},
    ]
    wrong = {
        "rules": [
            {"id": "a", "group": "nowhere", "points": 1, "rule": {"field": "no_such_field", "operator": "=", "value": 1}},
            {"id": "b", "group": "fit", "points": 1, "event": "Product Viewed", "where": {"rules": [{"field": "x", "operator": "~~"}]}},
        ],
        "thresholds": [{"id": "t", "group": "fit", "at_least": 1, "actions": actions}],
    }
    with world.db.write() as session, pytest.raises(Invalid) as refused:
        models.create(session, "Leads", wrong, "test", world.now)
    places = [issue.field for issue in refused.value.issues]
    assert {"rules.0.rule.field", "rules.0.group", "thresholds.0.actions.0.pool", "thresholds.0.actions.1.journey"} <= set(places)
    assert {"thresholds.0.actions.2.set.owner", "thresholds.0.actions.2.set.no_such_field"} <= set(places)
    assert any(str(place).startswith("rules.1.where") for place in places)
    untitled = {"thresholds": [{**WARM, "actions": [{"kind": "create_task", "title": ""}]}]}
    with world.db.write() as session, pytest.raises(Invalid) as refused:
        models.create(session, "Leads", untitled, "test", world.now)
    assert refused.value.issues[0].field == "thresholds.0.actions.0.title"
    model(world, VIEWS, grading={})
    with world.db.write() as session, pytest.raises(Invalid, match="gives the grade already"):
        models.create(session, "Other", {"grading": {}}, "test", world.now)
    with world.db.write() as session, pytest.raises(Conflict):
        models.change(session, "leads", "test", world.now, name="x", version=7)


def test_a_dry_run_writes_nothing_and_says_who_would_cross(world: Any) -> None:
    anna, bert, _, gone, quiet = (world.contact() for _ in range(5))
    model(world, VIEWS, thresholds=[WARM])
    viewed(world, anna, 2)
    viewed(world, bert, 1)
    settle(world.engine)
    with world.db.write() as session:
        session.get_one(Contact, gone).erased_at = world.now
        session.get_one(Contact, quiet).updated_at = world.now - timedelta(days=questions.DAYS + 1)
    tried = {"rules": [{**VIEWS, "points": 30}], "thresholds": [WARM], "grading": {"engagement": "engagement", "numbers": [60, 40, 20]}}
    before = count(world, ScoreChange)
    with world.db.read() as session:
        row = models.get(session, "leads")
        definition = models.read_definition(session, tried, "leads")
        found = questions.attempt(session, definition, world.now, 0.0, model_id=models.id_of(row))
    assert (found.scored, found.grades, found.above, found.crossed, found.examples) == (
        3,
        {"D1": 1, "D3": 1},
        {"warm": 2},
        {"warm": 1},
        {"warm": [bert]},
    )
    assert (found.next, count(world, ScoreChange)) == (None, before)


def test_a_death_at_any_commit_books_nothing_twice_and_no_threshold_acts_twice(world: Any) -> None:
    """The worker dies before or after each commit while everybody is scored and events come; the next one goes on."""
    world.publish(HELLO)
    fatal, ended = 0, False
    while not ended:
        fatal += 1
        ended = story(world, fatal)
    assert fatal > 6, "so many points a story has"


def story(world: Any, fatal: int) -> bool:
    """Whether it was told to its end without a death."""
    old, new, points, key = world.contact(), world.contact(), Points(fatal), f"m{fatal}"
    actions = [{"kind": "create_task", "title": "Call"}, {"kind": "start_journey", "journey": "hello"}]
    definition = {"rules": [{**VIEWS, "id": f"v{fatal}"}], "thresholds": [{**WARM, "actions": actions}]}
    viewed(world, old, 2)

    def survive(act: Any) -> None:
        try:
            with mortal(world, points):
                act()
        except Death:
            return

    with world.db.write() as session:
        job = models.create(session, key, definition, "test", world.now, key=key).job
    state = "scoring"
    while state == "scoring":
        survive(lambda: do_page(world.engine, job or ""))
        with world.db.read() as session:
            state = models.get(session, key).state
    viewed(world, new, 2)
    survive(lambda: settle(world.engine))
    settle(world.engine)
    assert (scores(world, old), scores(world, new)) == ({"engagement": 20}, {"engagement": 20})
    assert (history(world, old), history(world, new)) == ([(20, "changed")], [(20, "happened")])
    with world.db.read() as session:
        mine = [session.scalars(select(of.contact_id).where(of.contact_id.in_([old, new]))).all() for of in (Task, Run)]
        assert mine == [[new], [new]], "who was above it from the start is told to nobody"
        assert definition_of(models.get(session, key).definition).thresholds[0].id == "warm"
    with world.db.write() as session:
        models.remove(session, key, "test", world.now)
        gone = session.scalars(select(Job.id).where(Job.kind == models.EMPTY, Job.state == "running")).all()
    for one in gone:
        worked(world, one)
    with world.db.write() as session:
        for contact in (old, new):
            session.get_one(Contact, contact).erased_at = world.now
    return points.passed < fatal
