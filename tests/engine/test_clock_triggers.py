"""Dates and schedules: on the contact's day, made up for after an outage as far back as is said, once, and nobody left out in silence."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from crm.catalogue import declare_field
from crm.people.profile import update_fields
from engine.clock import Clock
from engine.enrolment import schedules
from engine.keeper import Keeper
from engine.runs.operations import runs
from engine.versions import publish as publishing
from journeys.nodes.wait_until import DateField
from journeys.rules.dict_facts import DictFacts
from journeys.values import Context, RunInfo
from models import Contact, Refusal, TriggerCursor
from workspace.audit import list_lines

DATED = {
    "spec": 1,
    "key": "birthday",
    "name": "Birthday",
    "entry": {"triggers": [{"type": "date", "field": "birthday", "at": "09:00", "yearly": True}], "reentry": {"policy": "after_exit"}},
    "settings": {"timezone": "Europe/Zurich"},
    "start": "end",
    "nodes": {"end": {"kind": "exit"}},
    "edges": [],
}
HOURLY = {
    **DATED,
    "key": "hourly",
    "entry": {
        "triggers": [{"type": "schedule", "cron": "0 * * * *", "rule": {"field": "locale", "operator": "=", "value": "de"}}],
        "reentry": {"policy": "after_exit"},
    },
}


def Standing(at: datetime) -> Clock:
    """A clock that stands still."""
    return Clock(read=lambda: at)


@pytest.fixture
def dated(world):
    with world.db.write() as session:
        declare_field(session, "birthday", "date", world.now)
    return world


def pull(world, at=None, *, times=1):
    """What the keeper does at `at`, so many times."""
    world.now = at or world.now
    world.engine.clock = Standing(world.now)
    for _ in range(times):
        schedules.pull(world.engine)


def entered(world):
    """(contact, scheduled at) of every run, in the order in which they began."""
    with world.db.read() as session:
        found = session.execute(select(runs.c.contact_id, runs.c.trigger).order_by(runs.c.started_at, runs.c.id)).all()
    return [(row.contact_id, row.trigger["scheduled_at"]) for row in found]


def who(world):
    return [contact for contact, _ in entered(world)]


def missed(world):
    with world.db.read() as session:
        return sorted(session.scalars(select(Refusal.contact_id).where(Refusal.reason == "missed")))


# --- the contact's day


@pytest.mark.parametrize(
    ("zone", "stored", "nine"),
    [
        ("Asia/Tokyo", "1990-05-05T00:00:00+09:00", "2026-05-05T00:00:00+00:00"),
        ("Europe/Berlin", "1990-05-04T22:00:00Z", "2026-05-05T07:00:00+00:00"),
        ("Pacific/Kiritimati", "2000-05-04T10:00:00Z", "2026-05-04T19:00:00+00:00"),
        ("Pacific/Pago_Pago", "1990-05-05T11:00:00Z", "2026-05-05T20:00:00+00:00"),
        (None, "1990-05-04T22:00:00Z", "2026-05-05T07:00:00+00:00"),
        ("America/New_York", "1990-05-05", "2026-05-05T13:00:00+00:00"),
        ("America/New_York", 641880000, "2026-05-05T13:00:00+00:00"),
        ("America/New_York", 641880000000, "2026-05-05T13:00:00+00:00"),
        ("Europe/Berlin", "19900505", "2026-05-05T07:00:00+00:00"),
    ],
)
def test_a_birthday_that_was_stored_as_an_instant_comes_on_the_contacts_day(dated, zone, stored, nine):
    dated.publish(DATED)
    contact = dated.contact(timezone=zone)
    with dated.db.write() as session:
        update_fields(session, contact, {"birthday": stored}, dated.now, "test")
    pull(dated)
    at = datetime(2026, 5, 3, tzinfo=UTC)
    for _ in range(72):
        at += timedelta(hours=1)
        pull(dated, at)
    assert entered(dated) == [(contact, nine)]


@pytest.mark.parametrize(("year", "day"), [(2027, 28), (2028, 29)])
def test_who_was_born_on_the_29th_of_february_enters_on_the_28th_where_there_is_none(dated, year, day):
    dated.publish(DATED)
    contact = dated.contact(timezone="Europe/Berlin", attributes={"birthday": "1992-02-29"})
    pull(dated, datetime(year, 2, 26, 12, tzinfo=UTC), times=3)
    for n in range(5):
        pull(dated, datetime(year, 2, 27, 8, tzinfo=UTC) + timedelta(days=n))
    assert entered(dated) == [(contact, datetime(year, 2, day, 8, tzinfo=UTC).isoformat())]


def test_days_before_a_date_reach_over_the_turn_of_the_year(dated):
    trigger = {"type": "date", "field": "birthday", "at": "09:00", "yearly": True, "offset_days": -3}
    dated.publish(DATED, entry={"triggers": [trigger], "reentry": {"policy": "after_exit"}})
    contact = dated.contact(timezone="Europe/Berlin", attributes={"birthday": "1990-01-02"})
    pull(dated, datetime(2026, 12, 29, 12, tzinfo=UTC), times=3)
    pull(dated, datetime(2026, 12, 30, 8, tzinfo=UTC))
    assert entered(dated) == [(contact, "2026-12-30T08:00:00+00:00")]


def test_a_column_of_instants_is_a_date_too(dated):
    dated.publish(DATED, entry={"triggers": [{"type": "date", "field": "created_at", "yearly": True}]})
    contact = dated.contact(timezone="Europe/Berlin")
    pull(dated, datetime(2027, 3, 1, 12, tzinfo=UTC), times=3)
    pull(dated, datetime(2027, 3, 2, 8, tzinfo=UTC))
    assert entered(dated) == [(contact, "2027-03-02T08:00:00+00:00")]


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/Berlin", "America/St_Johns"])
@pytest.mark.parametrize("stored", ["1992-02-29", "1990-03-29T00:30:00Z", "1990-10-25T23:45:00Z", 641880000, "1990-12-31T23:30:00Z"])
def test_a_trigger_and_a_step_mean_the_same_day(dated, zone, stored):
    """`wait_until` names the instant; the trigger finds the contact at that instant and at no other of the days around."""
    clock = ZoneInfo(zone)
    begin = datetime(2026, 1, 15, tzinfo=UTC)
    ctx = Context(
        facts=DictFacts(fields={"birthday": stored}), as_of=begin, run=RunInfo("r", "c", "j", begin), node_id="n", visit=1,
        entered_at=begin, zone=clock,
    )  # fmt: skip
    at, _ = DateField(field="birthday", yearly=True).instant(ctx)
    assert at is not None
    dated.now = begin
    contact = dated.contact(timezone=zone, attributes={"birthday": stored})
    dated.publish(DATED)
    pull(dated, at - timedelta(days=2), times=4)
    for hours in (23, 25):
        pull(dated, dated.now + timedelta(hours=hours), times=2)
        assert (entered(dated) == [(contact, at.isoformat())]) is (dated.now >= at)
    pull(dated, at + timedelta(days=1))
    assert entered(dated) == [(contact, at.isoformat())]


def test_who_moves_to_another_zone_enters_once(dated):
    dated.publish(DATED)
    contact = dated.contact(timezone="Asia/Tokyo", attributes={"birthday": "1990-03-05"})
    dated.contact(timezone="America/New_York")
    pull(dated)
    pull(dated, datetime(2026, 3, 5, 1, tzinfo=UTC), times=3)
    assert who(dated) == [contact]
    with dated.db.write() as session:
        update_fields(session, contact, {"timezone": "America/New_York"}, dated.now, "test")
    pull(dated, datetime(2026, 3, 5, 15, tzinfo=UTC), times=3)
    assert who(dated) == [contact]


# --- after an outage


def born(world, day, **fields):
    return world.contact(**{"timezone": "Europe/Berlin", **fields, "attributes": {"birthday": f"1990-{day}"}})


def test_three_hours_down_and_the_birthday_is_made_up_for(dated):
    dated.publish(DATED)
    contact = born(dated, "03-05")
    pull(dated, datetime(2026, 3, 5, 7, 30, tzinfo=UTC))
    pull(dated, datetime(2026, 3, 5, 10, 30, tzinfo=UTC), times=3)
    assert entered(dated) == [(contact, "2026-03-05T08:00:00+00:00")]
    assert missed(dated) == []


def test_what_is_older_than_the_window_is_left_out_and_said(dated, caplog):
    caplog.set_level(logging.WARNING)
    journey = dated.publish(DATED)
    lost = [born(dated, day) for day in ("03-03", "03-04")]
    made_up = [born(dated, "03-05")]
    born(dated, "03-07")
    pull(dated)
    pull(dated, datetime(2026, 3, 6, 7, tzinfo=UTC), times=3)
    assert (who(dated), missed(dated)) == (made_up, sorted(lost))
    with dated.db.read() as session:
        [line] = list_lines(session, action="journey.left_out")
    assert (line.subject, line.detail["contacts"]) == (f"journey:{journey}", 2)
    [said] = [record.getMessage() for record in caplog.records]
    assert "leaves out 2 contacts" in said
    assert not any(id in said for id in lost)


def test_the_window_is_a_setting(dated):
    dated.engine.catch_up = timedelta(days=5)
    dated.publish(DATED)
    people = [born(dated, day) for day in ("03-03", "03-04", "03-05")]
    pull(dated)
    pull(dated, datetime(2026, 3, 6, 7, tzinfo=UTC))
    assert (who(dated), missed(dated)) == (people, [])


def test_an_occurrence_exactly_as_old_as_the_window_is_made_up_for(dated):
    dated.publish(DATED)
    contact = born(dated, "03-05")
    pull(dated)
    pull(dated, datetime(2026, 3, 6, 8, tzinfo=UTC), times=3)
    assert (who(dated), missed(dated)) == ([contact], [])


def test_a_schedule_makes_up_for_each_time_in_its_turn(world):
    world.publish(HOURLY)
    contact = world.contact(locale="de")
    pull(world)
    pull(world, datetime(2026, 3, 2, 12, 30, tzinfo=UTC))
    assert entered(world) == [(contact, f"2026-03-02T{hour}:00:00+00:00") for hour in (10, 11, 12)]


def test_a_schedule_says_whom_it_leaves_out_once(world):
    world.publish(HOURLY)
    contact = world.contact(locale="de")
    world.contact(locale="en")
    pull(world)
    pull(world, datetime(2026, 3, 5, 9, 30, tzinfo=UTC), times=3)
    assert missed(world) == [contact]
    assert len(entered(world)) == 24


def test_a_clock_that_goes_back_enters_nobody_again(dated):
    dated.publish(DATED)
    contact = born(dated, "03-05")
    pull(dated, datetime(2026, 3, 5, 7, tzinfo=UTC), times=3)
    pull(dated, datetime(2026, 3, 5, 9, tzinfo=UTC))
    pull(dated, datetime(2026, 3, 5, 7, tzinfo=UTC))
    pull(dated, datetime(2026, 3, 5, 9, tzinfo=UTC))
    assert who(dated) == [contact]


def test_an_outage_in_the_middle_of_an_occurrence_finishes_it_within_the_window_only(dated):
    dated.publish(DATED)
    people = [born(dated, "03-05") for _ in range(schedules.PAGE + 20)]
    pull(dated, datetime(2026, 3, 5, 7, tzinfo=UTC))
    pull(dated, datetime(2026, 3, 5, 9, tzinfo=UTC))
    assert len(entered(dated)) == schedules.PAGE
    pull(dated, datetime(2026, 3, 7, 7, tzinfo=UTC), times=2)
    assert sorted([*who(dated), *missed(dated)]) == sorted(people)
    assert len(missed(dated)) == 20


def test_a_long_occurrence_that_is_worked_at_is_finished_however_long_it_takes(dated):
    dated.publish(DATED)
    people = [born(dated, "03-05") for _ in range(schedules.PAGE * 2 + 20)]
    pull(dated, datetime(2026, 3, 5, 7, tzinfo=UTC))
    for hours in (9, 29, 49):
        pull(dated, datetime(2026, 3, 5, tzinfo=UTC) + timedelta(hours=hours))
    assert (sorted(who(dated)), missed(dated)) == (sorted(people), [])


def test_a_pause_is_an_outage(dated):
    journey = dated.publish(DATED)
    lost, made_up = born(dated, "03-04"), born(dated, "03-06")
    pull(dated)
    with dated.db.write() as session:
        publishing.pause(dated.engine, session, journey, "test", dated.now)
    pull(dated, datetime(2026, 3, 6, 9, tzinfo=UTC))
    assert entered(dated) == []
    with dated.db.write() as session:
        publishing.resume(dated.engine, session, journey, "test", dated.now)
    pull(dated, times=2)
    assert (who(dated), missed(dated)) == ([made_up], [lost])


# --- where counting begins


def test_counting_begins_with_the_publication_and_not_with_the_first_look(dated):
    contact = born(dated, "03-02")
    dated.now = datetime(2026, 3, 2, 7, 30, tzinfo=UTC)
    dated.publish(DATED)
    pull(dated, datetime(2026, 3, 2, 10, tzinfo=UTC))
    assert who(dated) == [contact]


def test_what_was_stopped_makes_up_for_nothing(dated):
    journey = dated.publish(DATED)
    born(dated, "03-04")
    pull(dated)
    with dated.db.write() as session:
        publishing.stop(dated.engine, session, journey, "test", dated.now)
    dated.now = datetime(2026, 3, 4, 9, tzinfo=UTC)
    dated.publish(DATED)
    pull(dated, datetime(2026, 3, 4, 10, tzinfo=UTC), times=3)
    assert (entered(dated), missed(dated)) == ([], [])


def test_publishing_in_an_outage_does_not_make_a_trigger_that_stays_forget(dated):
    dated.publish(DATED)
    contact = born(dated, "03-05")
    pull(dated, datetime(2026, 3, 5, 7, tzinfo=UTC))
    dated.now = datetime(2026, 3, 5, 9, tzinfo=UTC)
    dated.publish(DATED, name="Another name")
    pull(dated, datetime(2026, 3, 5, 10, tzinfo=UTC), times=2)
    assert who(dated) == [contact]


def test_a_trigger_that_stays_keeps_its_place_and_one_that_went_is_forgotten(dated):
    other = {"type": "date", "field": "birthday", "at": "18:00", "yearly": True}
    journey = dated.publish(DATED, entry={**DATED["entry"], "triggers": [*DATED["entry"]["triggers"], other]})
    contact = born(dated, "03-02")
    dated.now = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
    dated.publish(DATED)
    pull(dated)
    assert who(dated) == []
    with dated.db.read() as session:
        assert len(session.scalars(select(TriggerCursor).where(TriggerCursor.journey_id == journey)).all()) == 2
    assert contact


def test_one_broken_trigger_does_not_hold_up_the_others(dated):
    """A line that cannot be read, as an earlier version of us may have stored it."""
    journey = dated.publish(HOURLY, key="a_broken_one")
    triggers = [{**HOURLY["entry"]["triggers"][0], "cron": "61 * * * *"}]
    with dated.db.write() as session:
        version = publishing.newest_version(session, journey)
        version.document = {**version.document, "entry": {**version.document["entry"], "triggers": triggers}}
        session.add(version)
    dated.publish(HOURLY)
    contact = dated.contact(locale="de")
    pull(dated)
    pull(dated, datetime(2026, 3, 2, 10, 30, tzinfo=UTC), times=2)
    assert who(dated) == [contact]


def test_the_day_is_looked_at_again_under_the_lock(dated):
    """Between the look and the transaction somebody corrects the date."""
    dated.publish(DATED)
    contact = born(dated, "03-05")
    pull(dated, datetime(2026, 3, 5, 7, tzinfo=UTC))
    dated.engine.clock = Standing(datetime(2026, 3, 5, 9, tzinfo=UTC))
    now = dated.engine.clock.now()
    pulled = next(one for one in schedules._all(dated.engine) if one.zone == "Europe/Berlin")
    with dated.db.read() as session:
        work = schedules._next_work(session.get(TriggerCursor, pulled.key), pulled, now, now - timedelta(days=1))
        page = schedules._look(session, pulled, work)
    assert page.found == [(contact, date(2026, 3, 5))]
    with dated.db.write() as session:
        update_fields(session, contact, {"birthday": "1990-04-05"}, now, "test")
    with dated.db.write() as session:
        schedules._take(dated.engine, session, pulled, work, page, now)
    assert entered(dated) == []


def test_a_page_that_another_keeper_took_is_not_taken_twice(world):
    world.publish(HOURLY)
    contact = world.contact(locale="de")
    now = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
    [pulled] = schedules._all(world.engine)
    with world.db.read() as session:
        work = schedules._next_work(session.get(TriggerCursor, pulled.key), pulled, now, now - timedelta(days=1))
        page = schedules._look(session, pulled, work)
    for _ in range(2):
        with world.db.write() as session:
            schedules._take(world.engine, session, pulled, work, page, now)
    assert who(world) == [contact]


class Nobody:
    """A Temporal that is not asked."""


# --- dying between any two lines


class Death(BaseException):
    """Nothing in the product catches it."""


def test_who_dies_in_the_middle_of_making_up_enters_everybody_once(dated):
    """Before and after every commit: the end is the same."""
    dialect = dated.db.engine.dialect
    commit = dialect.do_commit
    for fatal in range(1, 40):
        key = f"birthday{fatal}"
        dated.now = datetime(2026, 3, 2, 9, tzinfo=UTC)
        dated.publish({**DATED, "key": key})
        with dated.db.write() as session:
            for contact in _everybody(session):
                update_fields(session, contact, {"birthday": None}, dated.now, "test")
        lost, made_up = born(dated, "03-03"), born(dated, "03-05")
        pull(dated)
        passed = 0

        def reach():
            nonlocal passed
            passed += 1
            if passed == fatal:  # noqa: B023
                raise Death

        def commits(connection):
            reach()
            commit(connection)
            reach()

        dialect.do_commit = commits
        died = False
        try:
            pull(dated, datetime(2026, 3, 6, 7, tzinfo=UTC), times=3)
        except Death:
            died = True
        finally:
            dialect.do_commit = commit
        pull(dated, times=3)
        with dated.db.read() as session:
            journey = publishing.get_journey(session, key).id
            inside = session.scalars(select(runs.c.contact_id).where(runs.c.journey_id == journey)).all()
            out = session.scalars(select(Refusal.contact_id).where(Refusal.journey_id == journey, Refusal.reason == "missed")).all()
        assert (inside, out) == ([made_up], [lost]), fatal
        with dated.db.write() as session:
            publishing.stop(dated.engine, session, journey, "test", dated.now)
        if not died:
            assert fatal > 4
            return
    raise AssertionError("it never comes to an end")


def _everybody(session):
    return session.scalars(select(Contact.id)).all()


def test_the_keeper_pulls_them(dated):
    """By way of its own duty, as in a worker."""
    dated.publish(DATED)
    contact = born(dated, "03-05")
    pull(dated)
    dated.now = datetime(2026, 3, 5, 9, tzinfo=UTC)
    dated.engine.clock = Standing(dated.now)
    Keeper(dated.engine, Nobody()).pull_clock_triggers()
    assert who(dated) == [contact]
