from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session
from sqlmodel import col, select

from crm.consent import consent
from crm.consent.consent import STRICTNESS, Evidence
from crm.people import profile, scores
from crm.people.merge import Merged, merge
from crm.sales import tasks
from journeys.changes import CreateTask
from journeys.errors import Conflict, NotFound
from models import Consent, ConsentState, Contact, Database, Event, Identity, Inbox, Merge, Message, Run, Score, Subscription, Task, Trail
from storage.events import append_event

HOUR = timedelta(hours=1)
Make = Callable[..., str]
MakeRun = Callable[..., Run]


@pytest.fixture
def pair(make_contact: Make, now: datetime) -> tuple[str, str]:
    """Winner and loser."""
    winner = make_contact("winner", first_name="Anna", attributes={"plan": "pro"}, last_seen_at=now)
    loser = make_contact(
        "loser", first_name="Ann", email="anna@example.org", attributes={"plan": "free", "city": "Bern"}, created_at=now - HOUR, demo=True
    )
    return winner, loser


def join(session: Session, pair: tuple[str, str], now: datetime) -> Merged:
    return merge(session, *pair, now)


def test_everything_moves_and_fields_are_filled_in(session: Session, pair: tuple[str, str], now: datetime) -> None:
    winner, loser = pair
    session.add(Identity(kind="email", value="anna@example.org", contact_id=loser, created_at=now))
    append_event(session, loser, "track", "X", {}, now)
    profile.add_tag(session, loser, "vip", now)
    profile.add_tag(session, winner, "vip", now)
    profile.add_tag(session, loser, "new", now)
    tasks.create(session, CreateTask(id="t1", title="Call"), contact_id=loser, now=now)
    session.add(Message(id="m1", once_key="k1", contact_id=loser, channel="email", planned_at=now))
    done = join(session, pair, now)
    row = session.get_one(Contact, winner)
    assert (row.first_name, row.email, row.attributes) == ("Anna", "anna@example.org", {"plan": "pro", "city": "Bern"})
    assert (row.created_at, row.last_seen_at, row.demo) == (now - HOUR, now, False)
    assert profile.tags(session, winner) == ["new", "vip"]
    for model in (Identity, Event, Task, Message):
        assert {found.contact_id for found in session.scalars(select(model))} == {winner}  # type: ignore[attr-defined]
    assert done.events[0].properties == {"fields": ["email", "city"], "tags_added": ["new"]}
    gone = session.get_one(Contact, loser)
    assert (gone.merged_into, gone.email, gone.attributes) == (winner, None, {})


def test_a_merge_can_be_explained(session: Session, pair: tuple[str, str], now: datetime) -> None:
    winner, loser = pair
    session.add(Identity(kind="email", value="anna@example.org", contact_id=loser, created_at=now))
    profile.add_tag(session, loser, "vip", now)
    join(session, pair, now)
    line = session.scalars(select(Merge)).one()
    assert (line.winner_id, line.loser_id, line.reason) == (winner, loser, "manual")
    assert line.kept["contact"]["first_name"] == "Ann"
    assert (line.kept["names"], line.kept["tags"]) == ([["email", "anna@example.org"]], ["vip"])


def test_again_changes_nothing_and_third_parties_are_refused(
    session: Session, pair: tuple[str, str], make_contact: Make, now: datetime
) -> None:
    winner, loser = pair
    third = make_contact("third")
    join(session, pair, now)
    assert join(session, pair, now).events == []
    assert merge(session, winner, winner, now).events == []
    with pytest.raises(Conflict):
        merge(session, third, loser, now)
    with pytest.raises(NotFound):
        merge(session, winner, "nobody", now)
    merge(session, third, winner, now)
    assert session.get_one(Contact, loser).merged_into == third, "who was merged before follows"


def test_scores_add_up_and_cross_thresholds(session: Session, pair: tuple[str, str], now: datetime) -> None:
    winner, loser = pair
    scores.change_score(session, winner, "engagement", 30, False, "", now)
    scores.change_score(session, loser, "engagement", 25, False, "", now)
    scores.change_score(session, loser, "fit", 5, False, "", now)
    done = join(session, pair, now)
    assert {row.score_group: row.value for row in session.scalars(select(Score))} == {"engagement": 55.0, "fit": 5.0}
    changes = [event.properties for event in done.events if event.name == "Score Changed"]
    assert {"group": "engagement", "before": 30.0, "after": 55.0} in changes


def run(make_run: MakeRun, session: Session, id: str, contact: str, document: dict[str, Any], started_at: datetime, **fields: Any) -> Run:
    run = make_run(id, contact, document, started_at=started_at, **fields)
    session.add(Subscription(run_id=id, topic="event:Order Completed", why="exit", contact_id=contact))
    session.flush()
    return run


def test_the_younger_of_two_open_runs_ends(session: Session, pair: tuple[str, str], make_run: MakeRun, now: datetime) -> None:
    winner, loser = pair
    elder = run(make_run, session, "r1", loser, {}, now - HOUR, due_at=now)
    younger = run(make_run, session, "r2", winner, {}, now, due_at=now)
    done = join(session, pair, now)
    assert (elder.status, elder.contact_id) == ("active", winner)
    assert (younger.status, younger.reason, younger.ended_at, younger.due_at) == ("ended", "merged", now, None)
    assert younger.instruction == {"op": "end", "step": 4, "reason": "merged"}
    assert younger.step == 4
    assert done.to_wake == ["r2"]
    assert [line.what for line in session.scalars(select(Trail).where(Trail.run_id == "r2"))] == ["ended"]
    assert {(row.run_id, row.contact_id) for row in session.scalars(select(Subscription))} == {("r1", winner)}


@pytest.mark.parametrize(
    ("reentry", "keys", "hours", "both"),
    [
        ({}, ("", ""), 1, False),
        ({"policy": "after_exit"}, ("", ""), 1, False),
        ({"policy": "per_key", "key": "cart_id"}, ("c1", "c2"), 1, True),
        ({"policy": "per_key", "key": "cart_id"}, ("c1", "c1"), 1, False),
        ({"policy": "after_window", "window": "PT2H"}, ("", ""), 1, False),
        ({"policy": "after_window", "window": "PT2H"}, ("", ""), 3, True),
    ],
)
def test_the_re_entry_policy_says_which_runs_exclude_each_other(
    session: Session,
    pair: tuple[str, str],
    make_run: MakeRun,
    now: datetime,
    reentry: dict[str, Any],
    keys: tuple[str, str],
    hours: int,
    both: bool,
) -> None:
    document = {"entry": {"reentry": reentry}}
    run(make_run, session, "r1", pair[0], document, now - hours * HOUR, run_key=keys[0])
    run(make_run, session, "r2", pair[1], document, now, run_key=keys[1])
    join(session, pair, now)
    open_runs = session.scalars(select(Run).where(col(Run.ended_at).is_(None))).all()
    assert len(open_runs) == (2 if both else 1)


def test_an_order_made_before_logging_in_reaches_the_cart_journey(
    session: Session, pair: tuple[str, str], make_run: MakeRun, now: datetime
) -> None:
    winner, loser = pair
    run(make_run, session, "r1", winner, {}, now - HOUR)
    early = append_event(session, loser, "track", "Order Completed", {}, now, occurred_at=now - 2 * HOUR)
    order = append_event(session, loser, "track", "Order Completed", {}, now)
    append_event(session, loser, "track", "Product Viewed", {}, now)
    append_event(session, loser, "track", "Order Completed", {}, now, backfill=True)
    done = join(session, pair, now + HOUR)
    inbox = session.scalars(select(Inbox)).all()
    assert [(row.run_id, row.event_id, row.arrived_at, row.consumed) for row in inbox] == [("r1", order.id, now + HOUR, False)]
    assert early.id != order.id
    assert done.to_wake == ["r1"]


def test_a_goal_reached_before_logging_in_counts(session: Session, pair: tuple[str, str], make_run: MakeRun, now: datetime) -> None:
    winner, loser = pair
    goal = {"goal": {"event": "Order Completed", "window": "P1D", "value": "total"}}
    waiting = make_run("r1", winner, goal, started_at=now - HOUR)
    session.add(Subscription(run_id="r1", topic="event:Order Completed", why="goal", contact_id=winner))
    order = append_event(session, loser, "track", "Order Completed", {"total": 59.9}, now)
    join(session, pair, now)
    assert (waiting.goal_at, waiting.goal_value, waiting.goal_event_id) == (now, 59.9, order.id)
    assert session.scalars(select(Inbox)).all() == []


def test_consent_to_one_of_two_stands_if_the_other_never_spoke(session: Session, pair: tuple[str, str], now: datetime) -> None:
    consent.record_consent(session, pair[1], "email", "marketing", "granted", now, evidence=Evidence.DATED, source="form")
    done = join(session, pair, now)
    assert consent.state(session, pair[0], "email", "marketing") == "granted"
    assert [event.properties["state"] for event in done.events if event.name == "Consent Changed"] == ["granted"]


states = st.sampled_from(sorted(STRICTNESS))
said = st.dictionaries(
    st.sampled_from([("email", "marketing"), ("sms", "marketing")]), st.lists(states, min_size=1, max_size=2), max_size=2
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ours=said, theirs=said, loser_first=st.booleans())
def test_the_stricter_consent_is_kept_and_the_log_ends_with_it(
    sqlite_db: Database, now: datetime, ours: dict[Any, list[str]], theirs: dict[Any, list[str]], loser_first: bool
) -> None:
    with sqlite_db.engine.connect().execution_options(pfadwerk_write=True) as connection, Session(connection) as session:
        for id in ("winner", "loser"):
            session.add(Contact(id=id, created_at=now, updated_at=now))
        session.flush()
        before: dict[str, dict[Any, str]] = {"winner": {}, "loser": {}}
        for id, what in sorted({"winner": ours, "loser": theirs}.items(), reverse=not loser_first):
            for (channel, purpose), line in what.items():
                for hour, state in enumerate(line):
                    consent.record_consent(session, id, channel, purpose, state, now + hour * HOUR, evidence=Evidence.DATED, source="api")
                before[id][channel, purpose] = consent.state(session, id, channel, purpose) or ""
        lines = len(session.scalars(select(Consent)).all())
        merge(session, "winner", "loser", now + 5 * HOUR)
        for key in {*before["winner"], *before["loser"]}:
            known = [before[id][key] for id in before if key in before[id]]
            assert consent.state(session, "winner", *key) == max(known, key=STRICTNESS.__getitem__)
            newest = [line for line in consent.history(session, "winner") if (line.channel, line.purpose) == key][-1]
            assert newest.state == consent.state(session, "winner", *key)
        assert {row.contact_id for row in session.scalars(select(ConsentState))} <= {"winner"}
        assert len(session.scalars(select(Consent)).all()) >= lines
        connection.rollback()
