"""Erasure, export and the timeline over one contact that has everything."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy.orm import Session
from sqlmodel import SQLModel, col, select

from crm.companies import companies
from crm.consent import consent, mailbox
from crm.people import contacts, identity, profile, scores, timeline, touches
from crm.people.merge import MOVED, merge
from crm.privacy.erasure import DELETED, erase
from crm.privacy.export import PARTS, export
from crm.sales import tasks
from crm.segments import segments
from journeys.changes import CreateTask
from journeys.errors import Conflict, Invalid, NotFound
from models import (
    Audit,
    Body,
    Contact,
    ContactPhone,
    Coupon,
    CouponPool,
    Device,
    Event,
    Form,
    FormSubmission,
    Hit,
    Import,
    ImportChange,
    InAppMessage,
    Link,
    Merge,
    Message,
    Note,
    OptIn,
    OutboxItem,
    PersonalMail,
    Refusal,
    Run,
    ScoreBooked,
    ScoreModel,
    ScoreReached,
    Subscription,
    Task,
    Trail,
)
from storage.events import append_event
from storage.sql import table

SECRET = "Xanthippe"
KEYS = [b"k" * 32]
HOUR = timedelta(hours=1)


@pytest.fixture
def person(session: Session, make_contact: Callable[..., str], make_run: Callable[..., Run], now: datetime) -> str:
    """A contact whose name or address stands wherever one can stand."""
    mail = f"{SECRET}@example.org".lower()
    id = identity.resolve(session, [("email", mail), ("user_id", SECRET)], now).contact_id
    other = make_contact("merged", first_name=SECRET)
    merge(session, id, other, now)
    profile.update_fields(
        session,
        id,
        {"first_name": SECRET, "nick": SECRET, "phone": "+41446681800", "postal_address": {"line1": SECRET, "city": SECRET}},
        now,
        "api",
    )
    profile.add_tag(session, id, SECRET, now)
    scores.change_score(session, id, "fit", 5, False, SECRET, now)
    consent.record_consent(
        session, id, "email", "marketing", "withdrawn", now, evidence=consent.Evidence.DATED, source="api", proof={"name": SECRET}
    )
    append_event(
        session,
        id,
        "track",
        "Order Completed",
        {"total": 59.9, "currency": "CHF", "revenue": SECRET, "name": SECRET},
        now,
        context={"n": SECRET},
    )
    tasks.create(session, CreateTask(id="t1", title=f"Call {SECRET}", description=SECRET), contact_id=id, now=now)
    run = make_run("r1", id, state={"memory": SECRET}, trigger={"name": SECRET}, run_key=SECRET, due_at=now)
    session.add(Subscription(run_id=run.id, topic="consent", why="goal", contact_id=id))
    session.add(Trail(run_id=run.id, step=1, seq=0, version_id=run.version_id, at=now, what="decided", detail={"was": SECRET}))
    asked = {"purpose": "marketing", "language": "de", "source": "form:f", "asked_at": now, "expires_at": now}
    session.add(OptIn(contact_id=id, address=f"{SECRET}@example.org", fields={"first_name": SECRET}, **asked))
    session.add(Form(id=1, key="f", name="F", created_at=now, updated_at=now))
    session.flush()
    filled = {"address": f"{SECRET}@example.org", "values": {"note": SECRET}, "page": SECRET, "source": {"referrer": SECRET}}
    session.add(FormSubmission(form_id=1, contact_id=id, nonce="n", version=1, language="de", submitted_at=now, **filled))
    session.add(Refusal(journey_id="j1", contact_id=id, reason="filter", detail={"was": SECRET}, refused_at=now))
    session.add(
        Message(id="m1", once_key="k", contact_id=id, channel="email", planned_at=now, subject=SECRET, answer={"to": SECRET}, status="sent")
    )
    session.flush()
    session.add(Link(digest="d" * 32, url=f"https://shop.example/{SECRET}", contact_id=id, created_at=now))
    session.add(Hit(message_id="m1", kind="open", agent_class="human", user_agent=SECRET, hit_at=now))
    session.add(Body(contact_id=id, recipient=mail, subject=SECRET, html=SECRET, text=SECRET, headers={"To": SECRET}, created_at=now))
    session.add(OutboxItem(idempotency_key="k", message_id="m1", channel="email", recipient=mail, html=SECRET, accepted_at=now))
    session.add(ContactPhone(contact_id=id, phone="+41799876543", created_at=now))
    session.add(PersonalMail(contact_id=id, author="member:m1", give_up_at=now, created_at=now))
    session.add(Note(contact_id=id, text=SECRET, author="member:m1", at=now))
    session.add(Note(contact_id=id, kind="call", text=SECRET, author="member:m1", at=now))
    session.add(Device(contact_id=id, kind="web", address=SECRET, address_hash="h", created_at=now, last_seen_at=now))
    session.add(Import(id="i1", file_name="x.csv", created_at=now))
    session.flush()
    session.add(ImportChange(import_id="i1", contact_id=id, what={"fields": {"first_name": [SECRET, "x"]}}, at=now))
    touches.record(session, id, touches.Touch("campaign", now, utm_source=SECRET), now)
    session.add(CouponPool(key="p", name="P", created_at=now))
    segments.create(session, "Guests", None, "m1", now)
    segments.put_in(session, "guests", [id], "m1", now)
    session.add(ScoreModel(id=1, key="fit", name="Fit", created_at=now, updated_at=now))
    session.flush()
    session.add(ScoreBooked(contact_id=id, model_id=1, rule="r1", score_group="fit", points=5))
    session.add(ScoreReached(contact_id=id, model_id=1, threshold="hot", since=now))
    companies.assign(session, id, companies.create(session, "Acme", "m1", now).id, "m1", now)
    session.flush()
    session.add(Coupon(pool_key="p", code="CODE", state="sent", contact_id=id))
    session.add(InAppMessage(idempotency_key="k", message_id="m1", contact_id=id, parts={"title": SECRET}, created_at=now, expires_at=now))
    session.flush()
    return id


def everything(session: Session) -> str:
    """All rows of all tables as text, but for what is not about contacts."""
    session.flush()
    return "\n".join(str(row) for made in SQLModel.metadata.sorted_tables for row in session.execute(select(made)))  # type: ignore[call-overload]


def test_nothing_that_names_the_person_is_left(session: Session, person: str, now: datetime) -> None:
    assert SECRET.lower() in everything(session).lower()
    erase(session, person, now, by="m1", keys=KEYS)
    assert SECRET.lower() not in everything(session).lower()
    assert "+41446681800" not in everything(session)


def test_what_was_counted_stays(session: Session, person: str, now: datetime) -> None:
    erase(session, person, now, by="m1", keys=KEYS)
    order = session.scalars(select(Event).where(Event.name == "Order Completed")).one()
    assert (order.properties, order.context) == ({"total": 59.9, "currency": "CHF"}, {})
    change = session.scalars(select(Event).where(Event.name == "Score Changed")).one()
    assert change.properties == {"group": "fit", "before": 0.0, "after": 5.0}
    assert session.get_one(Message, "m1").status == "sent"
    assert [line.state for line in consent.history(session, person)] == ["withdrawn"]
    assert session.scalars(select(Merge)).one().kept == {}


def test_open_runs_and_tasks_end(session: Session, person: str, now: datetime) -> None:
    done = erase(session, person, now, by="m1", keys=KEYS)
    run = session.get_one(Run, "r1")
    assert (run.status, run.reason, run.step, run.due_at) == ("ended", "erased", 4, None)
    assert done.to_wake == ["r1"]
    assert session.scalars(select(Subscription)).all() == []
    assert session.get_one(Task, "t1").state == "cancelled"


def test_who_withdrew_is_not_written_to_again(session: Session, person: str, now: datetime) -> None:
    erase(session, person, now, by="m1", keys=KEYS)
    address = f"{SECRET}@example.org"
    assert mailbox.says_no(session, KEYS, "email", "marketing", f" {address.upper()}")
    assert not mailbox.says_no(session, KEYS, "email", "newsletter", address)
    assert not mailbox.says_no(session, KEYS, "sms", "marketing", "+41446681800")


def test_erasing_is_audited_and_done_once(session: Session, person: str, now: datetime) -> None:
    erase(session, person, now, by="m1")
    assert erase(session, person, now + HOUR, by="m1").to_wake == []
    assert session.get_one(Contact, person).erased_at == now
    [line] = session.scalars(select(Audit).where(Audit.action == "contact.erase"))
    assert (line.actor, line.subject) == ("m1", f"contact:{person}")
    with pytest.raises(NotFound):
        erase(session, "nobody", now, by="m1")


def test_the_same_person_may_come_back_as_a_stranger(session: Session, person: str, now: datetime) -> None:
    erase(session, person, now, by="m1")
    found = identity.resolve(session, [("user_id", SECRET)], now)
    assert found.created
    assert found.contact_id != person
    with pytest.raises(Conflict):
        merge(session, found.contact_id, person, now)
    with pytest.raises(Conflict):
        contacts.update(session, person, {"plan": "x"}, now, "admin")


def test_many_events_are_blanked_page_by_page(session: Session, contact: str, now: datetime) -> None:
    for number in range(1_100):
        session.add(Event(contact_id=contact, name="X", properties={"n": SECRET}, message_id=str(number), occurred_at=now, received_at=now))
    erase(session, contact, now, by="m1")
    assert {orjson.dumps(properties) for properties in session.scalars(select(Event.properties))} == {b"{}"}


def test_an_export_holds_everything(session: Session, person: str) -> None:
    bundle = export(session, person)
    orjson.dumps(bundle)
    assert set(bundle) == {"contact", *(name for name, _ in PARTS), "trail", "hits", "task_changes", "merges"}
    assert all(bundle.values())
    assert bundle["contact"]["first_name"] == SECRET
    assert bundle["bodies"][0]["html"] == SECRET
    with pytest.raises(NotFound):
        export(session, "nobody")


def walk(session: Session, person: str, limit: int, **more: Any) -> list[timeline.Item]:
    items: list[timeline.Item] = []
    before: str | None = None
    while True:
        page = timeline.timeline(session, person, before=before, limit=limit, **more)
        items += page.items
        before = page.next_before
        if before is None:
            return items


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_the_timeline_tells_everything_once_in_order_whatever_the_page(
    session: Session, person: str, make_contact: Callable[..., str], now: datetime, limit: int
) -> None:
    """Most of it happened at one instant, so the pages have to cut through ties."""
    stranger = make_contact("stranger")
    append_event(session, stranger, "track", "Not hers", {}, now)
    append_event(session, person, "track", "Later", {}, now + HOUR)
    for step in (2, 10, 9):
        session.add(Trail(run_id="r1", step=step, seq=0, version_id="v-r1", at=now, what="left"))
    session.flush()
    items = walk(session, person, limit)
    assert [item.at for item in items] == sorted((item.at for item in items), reverse=True)
    assert len({(item.kind, item.key) for item in items}) == len(items)
    assert {item.kind for item in items} == set(timeline.KINDS)
    events = session.scalars(select(Event.id).where(col(Event.contact_id) == person)).all()
    assert sorted(item.key[0] for item in items if item.kind == "event") == sorted(events)
    assert [item.key[1] for item in items if item.kind == "run"] == [10, 9, 2, 1]
    assert items[0].data["name"] == "Later"


def test_some_kinds_only(session: Session, person: str) -> None:
    assert {item.kind for item in walk(session, person, 2, wanted=timeline.Wanted(("message", "consent")))} == {"message", "consent"}
    with pytest.raises(Invalid):
        timeline.timeline(session, person, wanted=timeline.Wanted(("gossip",)))


@pytest.mark.parametrize(
    "mark", ["x", "e30=", "W10=", "WyIyMDI2IiwiZXZlbnQiXQ==", "WyIyMDI2LTExLTIyVDEyOjAwOjAwKzAwOjAwIiwiZXZlbnQiLCJ4Il0=", "ä"]
)
def test_a_mark_of_somebody_else_is_refused(session: Session, person: str, mark: str) -> None:
    with pytest.raises(Invalid, match="cursor"):
        timeline.timeline(session, person, before=mark)


def test_every_table_that_names_a_contact_is_merged_erased_and_exported() -> None:
    """Whoever adds a table must say what becomes of it."""
    naming = {name for name, made in SQLModel.metadata.tables.items() if "contact_id" in made.columns}
    asked = {"segment_mark", "segment_flip", "company_mark", "score_flip"}
    moved = {table(model).name for model in MOVED} | {
        "tag",
        "score",
        "consent_state",
        "mailbox_consent",
        "segment_member",
        "company_member",
        "lead_source",
        "score_booked",
        "score_reached",
    }
    moved |= {"import_change"}  # stays with whom the import changed: an undo tells that they were merged
    blanked = {table(model).name for model in DELETED} | {
        "personal_mail",
        "event",
        "consent",
        "message",
        "body",
        "run",
        "refusal",
        "task",
        "mailbox_consent",
        "link",
        "coupon",
        "segment_member",
        "company_member",
        "score_booked",
        "score_reached",
    }
    exported = {table(model).name for _, model in PARTS} | {"subscription"}
    assert naming - asked == moved == blanked == exported, (
        "what has still to be asked is no data about anybody; it goes with the memberships"
    )
