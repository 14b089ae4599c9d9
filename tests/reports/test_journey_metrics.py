"""What a journey did on each day, by channel and by version of a template: from what is folded and what is not yet."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from sqlalchemy import insert

from models import Database, Journey
from reports.journey_metrics import Group, Row, days_before, journey_metrics
from storage import tally
from storage.tally import deltas

MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
NOON = timedelta(days=1)
LONG_AGO, LAST = date(2000, 1, 1), date(2030, 1, 1)


@pytest.fixture
def journey(db: Database) -> str:
    with db.write() as session:
        row = Journey(key="j", name="J", draft={}, created_at=MONDAY, updated_at=MONDAY)
        session.add(row)
        return row.id


def append(db: Database, journey: str, changes: dict[tally.Key, int], at: datetime = MONDAY, version: int = 1) -> None:
    with db.write() as session:
        tally.append(session, journey, version, changes, at)


def fold(db: Database) -> None:
    with db.write() as session:
        tally.fold(session)


def asked(db: Database, journey: str, by: str, since: date = LONG_AGO, until: date = LAST, version: int | None = None) -> list[Row]:
    with db.read() as session:
        return journey_metrics(session, journey, by, since, until, version)  # type: ignore[arg-type]


def some(row: Row) -> dict[str, int]:
    return {what: count for what, count in row.counts.items() if count}


def test_days_are_those_of_utc_whatever_the_zone_of_the_instant(db: Database, journey: str) -> None:
    late = datetime(2026, 3, 2, 23, 30, tzinfo=timezone(timedelta(hours=-5)))
    append(db, journey, {("", "runs", ""): 2})
    append(db, journey, {("", "runs", ""): 1, ("", "held_out", ""): 1}, late)
    fold(db)
    append(db, journey, {("", "goal", ""): 1, ("a", tally.WAITING, ""): 1}, late)
    rows = [(row.group.day, some(row)) for row in asked(db, journey, "day")]
    assert rows == [(date(2026, 3, 2), {"runs": 2}), (date(2026, 3, 3), {"runs": 1, "held_out": 1, "goal": 1})]


def test_messages_are_told_apart_by_channel_and_by_version_of_the_template(db: Database, journey: str) -> None:
    append(db, journey, {("a", "sent", "", "email", 1): 3, ("a", "sent", "", "email", 2): 1, ("b", "sent", "", "sms", 1): 1})
    fold(db)
    append(db, journey, {("a", "opened", "", "email", 2): 1, ("b", "skipped", "no_consent", "sms", 0): 1, ("", "runs", ""): 9})
    assert [(row.group.channel, some(row)) for row in asked(db, journey, "channel")] == [
        ("email", {"sent": 4, "opened": 1}),
        ("sms", {"sent": 1, "skipped": 1}),
    ]
    assert [(row.group, some(row)) for row in asked(db, journey, "template_version")] == [
        (Group(channel="email", node="a", template_version=1), {"sent": 3}),
        (Group(channel="email", node="a", template_version=2), {"sent": 1, "opened": 1}),
        (Group(channel="sms", node="b", template_version=0), {"skipped": 1}),
        (Group(channel="sms", node="b", template_version=1), {"sent": 1}),
    ]


def test_only_the_days_and_the_version_asked_for_count(db: Database, journey: str) -> None:
    for number in range(4):
        append(db, journey, {("", "runs", ""): 1}, MONDAY + number * NOON, version=1 + number % 2)
        if number == 1:
            fold(db)
    assert len(asked(db, journey, "day", date(2026, 3, 3), date(2026, 3, 4))) == 2
    assert [row.group.day for row in asked(db, journey, "day", version=2)] == [date(2026, 3, 3), date(2026, 3, 5)]


def test_what_was_taken_back_is_in_no_row(db: Database, journey: str) -> None:
    append(db, journey, {("a", "sent", "", "email", 1): 1})
    append(db, journey, {("a", "sent", "", "email", 1): -1})
    assert asked(db, journey, "day") == []
    fold(db)
    assert asked(db, journey, "channel") == []


def test_rows_from_before_days_were_kept_count_in_the_totals_and_on_no_day(db: Database, journey: str) -> None:
    """Such as are appended and not folded while the database is upgraded."""
    with db.write() as session:
        old = [["", "runs", "", 5], ["a", "sent", "", 2]]
        session.execute(insert(deltas).values(journey_id=journey, version_number=1, counts=old))
    append(db, journey, {("", "runs", ""): 1, ("a", "sent", "", "email", 1): 1})
    for _ in range(2):
        with db.read() as session:
            whole = tally.read(session, journey)
            assert tally.first_day(session, journey) == date(2026, 3, 2)
        assert (whole.runs, whole.nodes["a"].sent) == (6, 3)
        assert [some(row) for row in asked(db, journey, "day")] == [{"runs": 1, "sent": 1}]
        fold(db)


def test_the_control_group_counts_in_no_number_of_the_journey(db: Database, journey: str) -> None:
    append(db, journey, {("", "held_out", ""): 2, ("", "held_out_goal", ""): 1})
    with db.read() as session:
        whole = tally.read(session, journey)
    assert (whole.runs, whole.inside, whole.goal, whole.held_out, whole.held_out_goal) == (0, 0, 0, 2, 1)


def test_the_days_before_a_day_include_it(db: Database) -> None:
    assert days_before(date(2026, 3, 1), 1) == date(2026, 3, 1)
    assert days_before(date(2026, 3, 1), 30) == date(2026, 1, 31)
    assert days_before(date(1, 1, 3), 30) == date.min


def test_who_is_in_a_control_group_is_counted_apart(db: Database, journey: str) -> None:
    reasons = {"global_hold_out": 3, "message_hold_out": 2, "no_consent": 1}
    append(db, journey, {("a", "skipped", reason, "email", 0): count for reason, count in reasons.items()})
    assert [some(row) for row in asked(db, journey, "channel")] == [{"skipped": 1, "control_group": 3, "message_control_group": 2}]
