"""What could stop segments for all: chains of hundreds, circles made by two at once, and a queue that never ends."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from crm import catalogue
from crm.imports.bulk import WriteMode, write_people
from crm.imports.columns import Person
from crm.people import identity, profile
from crm.people.merge import merge
from crm.segments import evaluation, fill, members, segments
from journeys.errors import Conflict, Invalid
from journeys.topics import MOST_FIELDS
from models import Contact, Database, Job, Segment, SegmentFlip, new_id
from storage import segment_marks
from storage.events import append_event
from storage.locks import lock_contacts

BOUGHT = {"event": "Order Completed"}
DEEP = 500


def chain(session: Session, now: datetime) -> None:
    """Each asks for the next."""
    for number in range(DEEP):
        rule, topic = ({"segment": f"s{number + 1}"}, f"segment:s{number + 1}") if number < DEEP - 1 else (BOUGHT, "event:Order Completed")
        key = f"s{number}"
        session.add(Segment(key=key, name=key, rule=rule, topics=[topic], state="live", kind="live", created_at=now, updated_at=now))
    session.flush()
    segment_marks.changed(session)


def test_a_chain_of_all_segments_holds_up_no_event(session: Session, contact: str, now: datetime) -> None:
    chain(session, now)
    ranks = {key: one.rank for key, one in segment_marks.known(session).by_key.items()}
    assert (ranks["s0"], ranks[f"s{DEEP - 1}"]) == (DEEP - 1, 0)
    append_event(session, contact, "track", "Order Completed", {}, now, routed=True)
    assert evaluation.waiting(session, now) == [contact]
    with pytest.raises(Invalid, match="s499 → s0 → s1"):
        segments.change(session, f"s{DEEP - 1}", "test", now, rule={"segment": "s0"})


def test_two_who_close_a_circle_at_once_do_not(postgres_db: Database, now: datetime) -> None:
    """Each change alone is none: the second waits, and asks what the first has committed."""
    with postgres_db.write() as session:
        for key in ("one", "two"):
            segments.create(session, key, BOUGHT, "test", now, key=key)
    refused: list[str] = []

    def other() -> None:
        try:
            with postgres_db.write() as session:
                segments.change(session, "two", "test", now, rule={"segment": "one"})
        except Invalid as error:
            refused.append(str(error))

    thread = threading.Thread(target=other)
    with postgres_db.write() as session:
        segments.change(session, "one", "test", now, rule={"segment": "two"})
        thread.start()
        thread.join(0.5)
        assert thread.is_alive(), "it waits"
    thread.join(20)
    assert len(refused) == 1


def test_whose_instant_has_come_is_asked_however_much_is_marked(session: Session, make_contact: Any, now: datetime) -> None:
    anna, crowd = make_contact("zz"), [make_contact(f"c{number:02}") for number in range(30)]
    row = segments.create(session, "Buyers", BOUGHT, "test", now)
    session.add(SegmentFlip(contact_id=anna, segment_id=segments.id_of(row), at=now - timedelta(seconds=1)))
    segment_marks.mark(session, crowd, ("event:Order Completed",), now)
    assert evaluation.waiting(session, now)[0] == anna
    assert len(evaluation.waiting(session, now)) == evaluation.PAGE
    evaluation.postpone(session, anna, now + evaluation.AGAIN)
    assert anna not in evaluation.waiting(session, now), "who cannot be asked holds up nobody"


def test_a_list_kept_by_hand_gets_no_rule_and_is_not_filled(session: Session, now: datetime) -> None:
    segments.create(session, "Guests", None, "test", now)
    with pytest.raises(Conflict, match="kept by hand"):
        segments.change(session, "guests", "test", now, rule=BOUGHT)
    with pytest.raises(Conflict, match="kept by hand"):
        segments.refill(session, "guests", "test", now)


def test_there_is_a_limit_of_segments(session: Session, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "MOST", 1)
    segments.create(session, "Buyers", BOUGHT, "test", now)
    with pytest.raises(Conflict, match="at most 1 segments"):
        segments.create(session, "Others", BOUGHT, "test", now)


@pytest.mark.parametrize("wake", [True, False])
def test_who_is_merged_by_a_file_is_told_of_only_where_the_file_wakes(session: Session, now: datetime, wake: bool) -> None:
    anna, ben = (identity.resolve(session, [name], now).contact_id for name in (("user_id", "anna"), ("email", "anna@example.org")))
    append_event(session, ben, "track", "Order Completed", {}, now, routed=True)
    append_event(session, anna, "track", "Page Viewed", {}, now, routed=True)
    row = segments.create(session, "Both", {"rules": [BOUGHT, {"event": "Page Viewed"}]}, "test", now)
    job = session.get_one(Job, row.fill_job)
    while (cursor := fill.fill_page(session, job, now).cursor) is not None:
        job.cursor = cursor
    evaluation.ask_waiting(session, evaluation.waiting(session, now), now)
    write_people(session, [Person([("user_id", "anna"), ("email", "anna@example.org")])], now, WriteMode("import:x", "import:x", wake=wake))
    done = evaluation.ask_waiting(session, evaluation.waiting(session, now), now)
    assert (done.entered, len(done.events)) == (1, int(wake))


def test_who_brings_more_fields_than_an_event_names_is_merged_all_the_same(session: Session, now: datetime) -> None:
    anna, ben = (identity.resolve(session, [("user_id", name)], now).contact_id for name in ("anna", "ben"))
    for part in range(4):
        profile.update_fields(session, ben, {f"{'k' * 110}{part}{number:03}": 1 for number in range(100)}, now, "test")
    told = merge(session, anna, ben, now).events
    assert [len(event.properties["fields"]) for event in told] == [MOST_FIELDS]


@pytest.mark.parametrize(
    ("rule", "place"),
    [
        ({"field": "last_seen_at", "operator": "after", "value": "2026-02-30"}, "rule.value"),
        ({"field": "last_seen_at", "operator": "before", "value": "2026-13-01T00:00:00Z"}, "rule.value"),
        ({"field": "last_seen_at", "operator": "withinLast", "value": "P-1D"}, "rule"),
        ({"field": "last_seen_at", "operator": "between", "value": ["2026-01-01", 5]}, "rule.value"),
        ({"rules": [{"field": "created_at", "operator": ">", "value": "tomorrow"}]}, "rule.rules.0.value"),
        ({"event": "Order Completed", "within": "soon"}, "rule"),
        ({"event": "Order Completed", "count": {"operator": ">=", "value": "two"}}, "rule"),
        ({"event": "Order Completed", "count": {"operator": ">=", "value": -1}}, "rule"),
        ({"tag": ["vip"]}, "rule"),
        ({"segment": 5}, "rule"),
        ({"segment": "nowhere"}, "rule.segment"),
        ([], "rule"),
        ({}, "rule"),
    ],
)
def test_rules_that_mean_nothing_are_refused_with_their_place(session: Session, now: datetime, rule: Any, place: str) -> None:
    with pytest.raises(Invalid) as refused:
        segments.create(session, "Odd", rule, "test", now)
    assert (refused.value.issues[0].field or "").startswith(place)


def test_mixed_types_are_no_members_and_break_nothing(session: Session, make_contact: Any, now: datetime) -> None:
    """What is of another type than the rule's answers no, in the fill as afterwards."""
    values = [30, "30", True, None, [30], {"age": 30}, 30.0, "2026-02-30", 10**15]
    ids = [make_contact(f"c{number}", attributes={} if value is None else {"age": value}) for number, value in enumerate(values)]
    catalogue.declare_field(session, "age", "number", now)
    row = segments.create(session, "Thirty", {"field": "age", "operator": "=", "value": 30}, "test", now)
    job = session.get_one(Job, row.fill_job)
    while (cursor := fill.fill_page(session, job, now).cursor) is not None:
        job.cursor = cursor
    assert [id for id, _ in members.page(session, segments.id_of(row))] == [ids[0], ids[6]]


def test_a_rule_that_matches_everybody_locks_some_at_a_time_and_nobody_while_it_looks(
    postgres_db: Database, now: datetime, monkeypatch: Any
) -> None:
    monkeypatch.setattr(fill, "PAGE", 3)
    monkeypatch.setattr(fill, "STRETCH", 8)
    with postgres_db.write() as session:
        ids = [new_id() for _ in range(20)]
        session.add_all(Contact(id=id, created_at=now, updated_at=now) for id in ids)
        job = session.get_one(Job, segments.create(session, "All", {"field": "created_at", "operator": "notNull"}, "test", now).fill_job)
        job.cursor = fill.FROM
    asked = list[int]()
    with postgres_db.write() as other:
        lock_contacts(other, ids)
        fill.prepare(postgres_db, job, now)  # it waits for nobody
    while job.cursor:
        fill.prepare(postgres_db, job, now)
        with postgres_db.write() as session:
            done = fill.fill_page(session, job, now)
            asked.append(done.counts.get("entered", 0))
        job.cursor = done.cursor or ""
    assert sum(asked) == 20
    assert max(asked) <= 3
