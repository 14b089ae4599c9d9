"""The exact count behind a look ahead: page by page, once, without holding anybody up, and kept for whoever asks the same again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlmodel import select

from activities.forecasts import PAGE, Forecaster
from activities.look_ahead import KIND, LookAhead
from builder_ui.kit import consequences, exact
from builder_ui.kit.exact import Question
from builder_ui.settings import jobs as work_page
from crm.jobs import WANTED
from crm.people.contacts import ContactFilter
from engine.interpreter.forecast import kept
from engine.jobs.kinds import Kind
from engine.jobs.worker import do_page
from models import Contact, Job
from tests.builder_ui.test_builder import context_of

MANY = 2 * PAGE + 7


@pytest.fixture
def crowd(town: Any) -> Any:
    with town.db.write() as session:
        for number in range(MANY):
            shared = "both@example.org" if number in (1, MANY - 1) else f"p{number}@example.org"
            session.add(Contact(email=shared, created_at=town.now, updated_at=town.now))
    return town


def question(town: Any, **wanted: Any) -> Question:
    journey = town.journey("welcome")
    return Question(journey.id, "run.start_many", {"version": journey.live_version, WANTED: ContactFilter(**wanted).kept()}, MANY)


def hands(town: Any) -> dict[str, Kind]:
    """As a worker has them."""
    messaging = context_of(town, "marketer", "welcome").app.post.messaging
    return {KIND: LookAhead(messaging).kind}


def jobs(town: Any) -> list[Job]:
    with town.db.read() as session:
        return list(session.scalars(select(Job).where(Job.kind == KIND).order_by(Job.id)))


def work(town: Any, kinds: dict[str, Kind]) -> Job:
    [job] = jobs(town)
    while job.state == "running":
        do_page(town.engine, job.id, kinds=kinds)
        [job] = jobs(town)
    return job


def prepare(kinds: dict[str, Kind], town: Any, job: Job) -> None:
    assert kinds[KIND].prepare is not None
    kinds[KIND].prepare(town.engine, job, town.now)


def everybody(town: Any, at: Any) -> Any:
    context = context_of(town, "marketer", "welcome")
    with town.db.read() as session:
        return Forecaster(town.engine, context.app.post.messaging).enrolment(session, town.journey("welcome").id, ContactFilter(), at)


def test_page_by_page_comes_to_what_all_at_once_does(crowd: Any) -> None:
    context, asked = context_of(crowd, "marketer", "welcome"), question(crowd)
    assert exact.look(context, asked).job is None
    exact.begin(context, asked)
    job = work(crowd, hands(crowd))
    found = everybody(crowd, job.created_at)
    assert job.input["found"] == kept(found)
    assert (job.state, job.done, job.counts) == ("done", found.judged, {"judged": found.judged})
    assert found.judged > MANY
    assert WANTED not in job.input
    assert job.input["mailboxes"] == []
    shown = str(exact.shown(context, asked, exact.look(context, asked), lambda one: consequences.entering(context.t, {}, one), print))
    assert "Counted exactly, as of" in shown
    assert "Count again" in shown


def test_the_same_is_counted_once_and_another_question_does_not_hide_it(crowd: Any) -> None:
    context, asked, other = context_of(crowd, "marketer", "welcome"), question(crowd), question(crowd, text="p1")
    for _ in range(2):
        exact.begin(context, asked)
    assert len(jobs(crowd)) == 1
    exact.begin(context_of(crowd, "admin", "welcome"), other)
    seen = exact.look(context, asked).job
    assert seen is not None
    assert seen.id == jobs(crowd)[0].id
    assert "progress" in str(exact.shown(context, asked, exact.look(context, asked), lambda _: [], print))
    assert "p1" not in str({name: value for name, value in jobs(crowd)[1].input.items() if name != WANTED})


def test_a_server_that_dies_or_is_slower_counts_nobody_twice(crowd: Any) -> None:
    context = context_of(crowd, "marketer", "welcome")
    exact.begin(context, question(crowd))
    [job] = jobs(crowd)
    one, other = hands(crowd), hands(crowd)
    prepare(one, crowd, job)  # and then it dies
    slow = hands(crowd)
    prepare(slow, crowd, job)
    do_page(crowd.engine, job.id, kinds=other)
    do_page(crowd.engine, job.id, kinds={KIND: replace(slow[KIND], prepare=None)})
    assert jobs(crowd)[0].done == PAGE
    done = work(crowd, other)
    assert done.input["found"] == kept(everybody(crowd, done.created_at))


def test_nothing_is_locked_while_people_are_judged(crowd: Any) -> None:
    exact.begin(context_of(crowd, "marketer", "welcome"), question(crowd))
    kinds = hands(crowd)
    judge = kinds[KIND].prepare
    assert judge is not None

    def judged(*arguments: Any) -> None:
        judge(*arguments)
        with crowd.db.write() as session:  # somebody else writes at that moment
            session.add(Contact(id="z" * 32, created_at=crowd.now, updated_at=crowd.now))

    do_page(crowd.engine, jobs(crowd)[0].id, kinds={KIND: replace(kinds[KIND], prepare=judged)})
    assert jobs(crowd)[0].done == PAGE


def test_another_version_ends_the_count_with_a_sentence(crowd: Any) -> None:
    context, asked = context_of(crowd, "marketer", "welcome"), question(crowd)
    exact.begin(context, asked)
    crowd.republish(name="Welcome anew")
    job = work(crowd, hands(crowd))
    assert job.state == "failed"
    assert "The count ended early" in str(exact.shown(context, asked, exact.look(context, asked), lambda _: [], print))


def test_who_may_not_enrol_does_not_count(crowd: Any) -> None:
    seen = exact.begin(context_of(crowd, "viewer", "welcome"), question(crowd))
    assert seen.refused
    assert jobs(crowd) == []


def test_moving_is_counted_run_by_run(town: Any) -> None:
    town.without_two_days()
    context, journey = context_of(town, "marketer", "welcome"), town.journey("welcome")
    asked = Question(journey.id, "journey.move", {"from": 1, "to": 2, "map": {"two_days": "pause"}}, 5)
    exact.begin(context, asked)
    job = work(town, hands(town))
    with town.db.read() as session:
        ahead = Forecaster(town.engine, context.app.post.messaging).move(session, journey.id, 1, 2, {"two_days": "pause"}, job.created_at)
    assert job.input["found"] == kept(ahead)
    assert ahead.judged == 5


def test_the_job_has_words_everywhere(town: Any) -> None:
    assert KIND == exact.KIND
    assert KIND in work_page.KINDS
    assert "judged" in work_page.COUNTS
