from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy.orm import Session
from sqlmodel import select

from crm.people import contacts, profile
from crm.people.contacts import ContactFilter
from crm.people.merge import merge
from journeys.errors import Conflict, Invalid, NotFound
from models import Contact

Make = Callable[..., str]


def test_create_names_and_fields(session: Session, now: datetime) -> None:
    fields = {"email": "anna@example.org", "plan": "pro"}
    row, events = contacts.create(session, [("external:shop", "5")], fields, now, "admin")
    assert (row.email, row.attributes) == ("anna@example.org", {"plan": "pro"})
    assert contacts.names_of(session, row.id) == [("email", "anna@example.org"), ("external:shop", "5")]
    assert [event.name for event in events] == ["Contact Changed"]


def test_nobody_is_created_twice(session: Session, now: datetime) -> None:
    row, _ = contacts.create(session, [], {"email": "anna@example.org"}, now, "admin")
    with pytest.raises(Conflict) as raised:
        contacts.create(session, [("user_id", "u1")], {"email": "ANNA@example.org"}, now, "admin")
    assert raised.value.details["contact_id"] == row.id
    assert "anna" not in str(raised.value)


def test_all_problems_are_told_at_once_and_nothing_is_written(session: Session, now: datetime) -> None:
    with pytest.raises(Invalid) as raised:
        contacts.create(session, [("user_id", "null")], {"email": "x", "timezone": "y"}, now, "admin")
    assert {(issue.field, issue.code) for issue in raised.value.issues} == {
        ("user_id", "placeholder"),
        ("email", "invalid_email"),
        ("timezone", "invalid_timezone"),
    }
    with pytest.raises(Invalid):
        contacts.create(session, [], {"first_name": "Anna"}, now, "admin")
    assert session.scalars(select(Contact)).all() == []


def test_update_says_what_is_wrong(session: Session, contact: str, now: datetime) -> None:
    with pytest.raises(Invalid) as raised:
        contacts.update(session, contact, {"plan": "pro", "phone": "1"}, now, "admin")
    assert [issue.message for issue in raised.value.issues] == [contacts.REASONS["invalid_phone"]]
    assert contacts.update(session, contact, {"plan": "pro"}, now, "admin") is not None


def test_every_refusal_has_a_sentence() -> None:
    long = "x" * 400
    fields = {
        "email": "x",
        "phone": "x",
        "timezone": "x",
        "locale": "!",
        "first_name": [],
        "last_name": long,
        "": 1,
        "created_at": 1,
        "deep": [[[]]],
    }
    codes = set(profile.check_fields(fields).refused.values())
    assert codes <= set(contacts.REASONS)
    assert len(codes) >= 7


def test_a_merged_contact_is_found_under_its_old_id(session: Session, make_contact: Make, now: datetime) -> None:
    winner, loser = make_contact("winner"), make_contact("loser")
    merge(session, winner, loser, now)
    assert contacts.get(session, loser).id == winner
    contacts.update(session, loser, {"plan": "pro"}, now, "admin")
    assert session.get_one(Contact, winner).attributes == {"plan": "pro"}
    with pytest.raises(NotFound):
        contacts.get(session, "nobody")


@pytest.fixture
def people(session: Session, make_contact: Make, now: datetime) -> None:
    make_contact("1", email="anna.muster@example.org", first_name="Anna", last_name="Muster", lifecycle_stage="lead")
    make_contact("2", email="bert@example.org", first_name="Bert", last_name="Annaheim", owner="m1")
    make_contact("3", email="100%_real@example.org", first_name="Carl")
    make_contact("4", first_name="Anna", erased_at=now)
    make_contact("5", first_name="Anna", merged_into="1")
    profile.add_tag(session, "3", "vip", now)


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        (ContactFilter(), ["3", "2", "1"]),
        (ContactFilter(text="ANNA"), ["2", "1"]),
        (ContactFilter(text="anna mus"), ["1"]),
        (ContactFilter(text="uster"), []),
        (ContactFilter(text="100%_r"), ["3"]),
        (ContactFilter(text="100%r"), []),
        (ContactFilter(text="\x00"), ["3", "2", "1"]),
        (ContactFilter(tag="vip"), ["3"]),
        (ContactFilter(lifecycle_stage="lead"), ["1"]),
        (ContactFilter(owner="m1", text="be"), ["2"]),
        (ContactFilter(field=("email", "bert@example.org")), ["2"]),
        (ContactFilter(newer_than="1"), ["3", "2"]),
    ],
)
@pytest.mark.usefixtures("people")
def test_search(session: Session, filter: ContactFilter, found: list[str]) -> None:
    assert [contact.id for contact in contacts.search(session, filter).contacts] == found


def test_ids_come_in_their_order_and_in_pages(session: Session, people: None) -> None:
    assert list(contacts.ids(session, ContactFilter(), limit=2)) == ["1", "2"]
    assert list(contacts.ids(session, ContactFilter(), "2")) == ["3"]
    assert list(contacts.ids(session, ContactFilter(tag="vip"), "3")) == []


def test_filters_are_kept_as_json_and_read_again(now: datetime) -> None:
    filter = ContactFilter(
        "anna", "vip", "lead", "m1", ("plan", "pro"), ("email", "granted"), ("fit", 3.5), now, now, now, "j1", ("1", "2"), "0", 7
    )
    kept = json.loads(json.dumps(filter.kept()))
    assert contacts.contact_filter(kept) == filter
    assert ContactFilter().kept() == {}
    assert contacts.contact_filter({}) == ContactFilter()
    assert "anna" not in repr(filter), "what people search for stays out of logs"


def test_pages(session: Session, make_contact: Make, now: datetime) -> None:
    for number in range(7):
        make_contact(f"c{number}", created_at=now - timedelta(days=number))
    seen: list[str] = []
    before: str | None = None
    while True:
        page = contacts.search(session, ContactFilter(), before=before, limit=3)
        seen += [contact.id for contact in page.contacts]
        before = page.next_before
        if before is None:
            break
    assert seen == [f"c{number}" for number in reversed(range(7))]
