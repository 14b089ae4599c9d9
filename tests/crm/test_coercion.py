"""The catalogue's types are applied wherever values come in, and only those that somebody declared or that are built in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy.orm import Session

from crm.catalogue import declare_event, declare_field, forget_field, learn
from crm.imports.bulk import WriteMode, write_people
from crm.imports.columns import Person
from crm.people.coercion import fit, fit_event, types_of
from crm.people.profile import update_fields
from models import Contact, Database

NOW = datetime(2026, 11, 29, tzinfo=UTC)


@pytest.fixture
def declared(db: Database) -> Database:
    with db.write() as session:
        for name, type in (("age", "number"), ("member", "boolean"), ("zip", "string"), ("since", "date"), ("address.floor", "number")):
            declare_field(session, name, type, NOW)
        declare_event(session, "Seat Booked", {"row": "number", "price.amount": "number"}, NOW)
        learn(session, {"learned": 5}, {"Learned Event": {"size": 5}, "Order Completed": {"gift": 1}}, NOW)
        session.add(Contact(id="ada", attributes={}, created_at=NOW, updated_at=NOW))
    return db


def attributes(session: Session) -> Any:
    return session.get_one(Contact, "ada").attributes


def test_contact_fields_take_their_declared_type(declared: Database) -> None:
    said = {
        "age": "41",
        "member": "true",
        "zip": 3000,
        "since": "29.11.2026",
        "address": {"floor": "3", "city": "Bern"},
        "learned": "5",
        "free": "7",
    }
    with declared.write() as session:
        update_fields(session, "ada", said, NOW, "test")
        stored = attributes(session)
    assert stored == {
        "age": 41, "member": True, "zip": "3000", "since": "2026-11-29", "address": {"floor": 3, "city": "Bern"}, "learned": "5", "free": "7"
    }  # fmt: skip


def test_a_dotted_name_takes_it_too_and_what_does_not_fit_stays(declared: Database) -> None:
    with declared.write() as session:
        update_fields(session, "ada", {"address.floor": "3", "age": "41,5"}, NOW, "test")
        assert attributes(session) == {"address": {"floor": 3}, "age": "41,5"}
        assert fit(types_of(session).fields, {"age": "41,5", "since": None}).unfit == {"age": "number"}


def test_imports_take_it(declared: Database) -> None:
    with declared.write() as session:
        write_people(session, [Person([("user_id", "u1")], {"age": "41", "zip": 3000})], NOW, WriteMode("file", "file"))
        found = [contact.attributes for contact in session.query(Contact).where(Contact.id != "ada")]
    assert found == [{"age": 41, "zip": "3000"}]


@pytest.mark.parametrize(
    ("name", "properties", "stored"),
    [
        ("Order Completed", {"total": "27.50", "order_id": 17, "gift": "1"}, {"total": 27.5, "order_id": "17", "gift": "1"}),
        (
            "Seat Booked",
            {"row": "4", "price": {"amount": "9.5", "currency": "EUR"}},
            {"row": 4, "price": {"amount": 9.5, "currency": "EUR"}},
        ),
        ("Seat Booked", {"row": "four", "price": "9.5"}, {"row": "four", "price": "9.5"}),
        ("Learned Event", {"size": "5"}, {"size": "5"}),
        ("Unknown", {"total": "5"}, {"total": "5"}),
    ],
)
def test_properties_take_the_type_of_the_catalogue(declared: Database, name: str, properties: Any, stored: Any) -> None:
    with declared.read() as session:
        assert fit_event(types_of(session), name, properties).values == stored


def test_a_declaration_counts_at_once_and_until_it_is_taken_back(declared: Database) -> None:
    with declared.write() as session:
        declare_field(session, "late", "number", NOW)
        assert types_of(session).fields["late"] == "number"
    with declared.read() as session:
        assert types_of(session) is types_of(session)
    with declared.write() as session:
        forget_field(session, "late")
        assert "late" not in types_of(session).fields
    with declared.read() as session:
        assert "late" not in types_of(session).fields


def test_what_is_given_is_not_changed(declared: Database) -> None:
    given = {"price": {"amount": "9.5"}}
    with declared.read() as session:
        fit_event(types_of(session), "Seat Booked", given)
    assert given == {"price": {"amount": "9.5"}}
