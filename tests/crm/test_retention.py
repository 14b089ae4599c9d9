"""Retention: what is old goes, in small pages; what proves, what an open run needs and what is young stays."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session
from sqlmodel import select

from crm.consent.consent import Evidence, record_consent
from crm.people import in_app
from crm.privacy import retention
from journeys.errors import Invalid
from models import (
    Audit,
    Body,
    Consent,
    Contact,
    Database,
    Event,
    Hit,
    InAppMessage,
    Inbox,
    Job,
    Journey,
    Message,
    OptIn,
    OutboxItem,
    Refusal,
    Run,
    Trail,
    Version,
)
from storage.events import append_event
from storage.locks import lock_contact
from workspace import settings

KEYS = [b"k" * 32]
LONG = timedelta(days=1_000)
MINE, BUSY = "a" * 32, "b" * 32
"""Somebody whose runs have ended, and somebody with an open one."""


def people(session: Session, now: datetime) -> None:
    session.add(Journey(id="j1", key="welcome", name="Welcome", state="live", created_at=now, updated_at=now))
    session.flush()
    session.add(Version(id="v1", journey_id="j1", number=1, digest="v1", document={}, published_at=now))
    for id in (MINE, BUSY):
        session.add(Contact(id=id, email=f"{id[0]}@example.org", created_at=now, updated_at=now))
    session.flush()


def run(session: Session, id: str, contact_id: str, ended_at: datetime | None) -> None:
    about = {"journey_id": "j1", "version_id": "v1", "version_number": 1, "contact_id": contact_id}
    began = (ended_at or NEVER) - timedelta(days=1)
    told = {"run_key": f"order-{id}", "trigger": {"total": 5}, "state": {"memory": {"x": 1}}, "error": "no"}
    status = "ended" if ended_at else "active"
    session.add(Run(id=id, started_at=began, updated_at=began, ended_at=ended_at, status=status, **about, **told))
    session.flush()
    session.add(Trail(run_id=id, step=1, seq=0, version_id="v1", at=began, what="decided", detail={"was": "x"}))


NEVER = datetime.fromisoformat("2020-01-01T00:00:00+00:00")


def message(session: Session, name: str, contact_id: str, at: datetime, status: str = "sent") -> None:
    body = Body(
        contact_id=contact_id,
        recipient=f"{contact_id[0]}@example.org",
        subject="Hi",
        html="<p>Hi",
        text="Hi",
        parts={"title": "Hi"},
        created_at=at,
    )
    session.add(body)
    session.flush()
    session.add(Message(id=name * 32, once_key=name, contact_id=contact_id, channel="email", planned_at=at, status=status, body_id=body.id))
    session.add(
        OutboxItem(
            idempotency_key=name,
            message_id=name * 32,
            channel="email",
            recipient="a@example.org",
            text="Hi",
            parts={"title": "Hi"},
            accepted_at=at,
        )
    )
    session.flush()
    session.add(Hit(message_id=name * 32, kind="open", agent_class="human", user_agent="Firefox", hit_at=at))


def events(session: Session, contact_id: str, at: datetime, name: str = "Order Completed") -> int:
    event = append_event(session, contact_id, "track", name, {"total": 5}, at, routed=True)
    assert event.id is not None
    return event.id


def everything(session: Session, at: datetime, mark: str) -> None:
    """One of each kind, of that day."""
    run(session, f"r{mark}", MINE, at)
    message(session, mark, MINE, at)
    events(session, MINE, at, f"Event {mark}")
    session.add(Refusal(journey_id="j1", contact_id=MINE, reason="filter", detail={"mark": mark}, refused_at=at))
    said = record_consent(
        session, MINE, "email", f"p{mark}", "granted", at, evidence=Evidence.DATED, source="test", proof={"ip": "203.0.113.7"}
    )
    assert said is not None
    said.routed = True
    session.flush()


def purge(db: Database, now: datetime) -> Counter[str]:
    """The whole job, page by page, each in a transaction of its own; one that died in between is done again."""
    cursor, counts, pages = "", Counter[str](), 0
    while cursor or not pages:
        pages += 1
        assert pages < 1_000, "it ends"
        with db.write() as session:
            retention.page(session, cursor, now, KEYS)
            session.rollback()
        with db.write() as session:
            cursor, done = retention.page(session, cursor, now, KEYS)
            counts.update(done.counts)
    return counts


def found(db: Database, model: Any) -> list[Any]:
    with db.read() as session:
        return list(session.scalars(select(model)))


def test_what_is_old_goes_and_what_proves_stays(db: Database, now: datetime) -> None:
    with db.write() as session:
        people(session, now)
        everything(session, now - LONG, "1")
        everything(session, now - timedelta(days=1), "2")
        before = len(list(session.scalars(select(Audit))))
    assert purge(db, now) == {"bodies": 1, "hits": 1, "refusals": 1, "runs": 1, "events": 2}  # the event of the consent, too
    assert sorted(event.name for event in found(db, Event)) == ["Consent Changed", "Event 2"]
    assert [one.detail["mark"] for one in found(db, Refusal)] == ["2"]
    assert [one.message_id[0] for one in found(db, Hit)] == ["2"]
    assert sorted((one.recipient, one.text) for one in found(db, Body)) == [("a@example.org", ""), ("a@example.org", "Hi")]
    assert sorted((one.recipient, one.text) for one in found(db, OutboxItem)) == [("", ""), ("a@example.org", "Hi")]
    assert [one.parts for model in (Body, OutboxItem) for one in found(db, model) if not one.text] == [{}, {}]
    old, young = sorted(found(db, Run), key=lambda one: one.id)
    assert (old.trigger, old.state, old.error, old.run_key, old.status) == ({}, {}, "", "order-r1", "ended")
    assert (young.trigger, young.error) == ({"total": 5}, "no")
    assert sorted((one.run_id, one.detail) for one in found(db, Trail)) == [("r1", {}), ("r2", {"was": "x"})]
    assert {one.purpose: one.proof for one in found(db, Consent)} == {name: {"ip": "203.0.113.0"} for name in ("p1", "p2")}
    assert len(found(db, Audit)) == before
    assert len(found(db, Message)) == 2
    assert purge(db, now) == {}, "nothing is counted twice"


def test_the_link_of_a_mail_without_text_still_speaks_for_its_mailbox(sqlite_db: Database, now: datetime) -> None:
    with sqlite_db.write() as session:
        people(session, now)
        message(session, "1", MINE, now - LONG)
    assert purge(sqlite_db, now)["bodies"] == 1
    [row], [body] = found(sqlite_db, Message), found(sqlite_db, Body)
    assert (row.body_id, body.recipient, body.html) == (body.id, "a@example.org", "")


@pytest.mark.parametrize("status", retention.OPEN)
def test_a_message_that_could_be_sent_again_cannot_be_without_its_text(sqlite_db: Database, now: datetime, status: str) -> None:
    with sqlite_db.write() as session:
        people(session, now)
        message(session, "1", MINE, now - LONG, status)
    purge(sqlite_db, now)
    assert [one.body_id for one in found(sqlite_db, Message)] == [None]


def test_events_stay_while_anything_needs_them(sqlite_db: Database, now: datetime) -> None:
    with sqlite_db.write() as session:
        people(session, now)
        run(session, "open", BUSY, None)
        run(session, "done", MINE, now)
        old = now - LONG
        events(session, BUSY, old, "of an open run")
        session.add(Inbox(run_id="done", event_id=events(session, MINE, old, "waits in an inbox"), arrived_at=now))
        unrouted = append_event(session, MINE, "track", "not routed yet", {}, old, routed=False)
        for number in range(retention.MANY):
            events(session, MINE, old, f"Event {number}")
        assert unrouted.id is not None
    assert purge(sqlite_db, now)["events"] >= retention.MANY
    assert sorted(event.name for event in found(sqlite_db, Event)) == ["not routed yet", "of an open run", "waits in an inbox"]


def test_in_app_messages_go_some_time_after_they_expired(db: Database, now: datetime) -> None:
    with db.write() as session:
        people(session, now)
        for n, since in enumerate((in_app.KEPT + timedelta(seconds=1), in_app.KEPT, -in_app.KEPT)):
            session.add(InAppMessage(idempotency_key=f"k{n}", message_id="", contact_id=MINE, created_at=now, expires_at=now - since))
    assert purge(db, now) == {"in_app_messages": 1}
    assert sorted(one.idempotency_key for one in found(db, InAppMessage)) == ["k1", "k2"]


def test_many_are_done_in_pages(sqlite_db: Database, now: datetime) -> None:
    """Runs that ended at one instant, more than a page of them."""
    with sqlite_db.write() as session:
        people(session, now)
        for number in range(2 * retention.PAGE + 1):
            run(session, f"{number:03}", MINE, now - LONG)
    assert purge(sqlite_db, now) == {"runs": 2 * retention.PAGE + 1}
    assert purge(sqlite_db, now) == {}


def test_a_job_a_day_if_there_is_anything(sqlite_db: Database, now: datetime) -> None:
    def queued(at: datetime) -> bool:
        with sqlite_db.write() as session:
            return retention.queue(session, at) is not None

    with sqlite_db.write() as session:
        people(session, now)
    assert not queued(now)
    with sqlite_db.write() as session:
        everything(session, now - LONG, "1")
    assert queued(now)
    assert not queued(now + timedelta(days=2)), "one at a time"
    with sqlite_db.write() as session:
        job = session.scalars(select(Job)).one()
        job.state = "done"
        session.add(job)
    assert not queued(now + timedelta(hours=23))
    assert queued(now + timedelta(hours=25))


def test_a_workspace_keeps_as_long_as_it_says_and_no_shorter_than_is_safe(sqlite_db: Database, now: datetime) -> None:
    with sqlite_db.write() as session:
        people(session, now)
        everything(session, now - timedelta(days=100), "1")
        assert not retention.is_due(session, now) or purge_kinds(session, now) == {"bodies"}
        settings.put(session, "retention", {"bodies": "P400D", "hits": "P99D"}, "test", now)
        assert purge_kinds(session, now) == {"hits"}
        for wrong in ({"bodies": "P1D"}, {"events": "P10D"}, {"runs": "P10D"}):
            with pytest.raises(Invalid):
                settings.put(session, "retention", wrong, "test", now)


def purge_kinds(session: Session, now: datetime) -> set[str]:
    return {one.name for one in retention.PURGES if one.is_due(session, now)}


def test_who_becomes_somebody_while_the_purge_looks_is_kept(postgres_db: Database, now: datetime) -> None:
    """An erasure cannot be taken back, so nobody else may be at the contact between the look and the act."""
    with postgres_db.write() as session:
        session.add(Contact(id=MINE, email="a@example.org", created_at=now, updated_at=now, vouched=False))
        session.flush()
        about = {"contact_id": MINE, "address": "a@example.org", "purpose": "marketing", "language": "de", "source": "form:footer"}
        session.add(OptIn(**about, made_contact=True, asked_at=now - LONG, expires_at=now - LONG))

    def purges() -> None:
        with postgres_db.write() as session:
            retention.page(session, "", now, KEYS)

    def somebody_waits() -> bool:
        with postgres_db.read() as session:
            return bool(session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")))

    with ThreadPoolExecutor(1) as pool:
        with postgres_db.write() as session:
            lock_contact(session, MINE).vouched = True
            session.flush()
            other = pool.submit(purges)
            while not other.done() and not somebody_waits():
                wait([other], 0.01)
        other.result(60)
    [contact] = found(postgres_db, Contact)
    assert (contact.erased_at, contact.email) == (None, "a@example.org")
    assert found(postgres_db, OptIn) == []
