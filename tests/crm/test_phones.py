"""Several phone numbers of one contact: stated at once, found from any of them, kept by merges, exported and erased."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy.orm import Session
from sqlmodel import select

from crm.imports.bulk import WriteMode, write_people
from crm.imports.columns import Person
from crm.people import contacts, phones
from crm.people.merge import merge
from crm.people.unmerge import newest, unmerge
from crm.people.visitors import fill_fields
from crm.privacy.erasure import erase
from crm.privacy.export import export
from crm.privacy.traces import values_of
from journeys.errors import Invalid
from models import Contact, ContactPhone
from reports.search import search
from storage import identifiers

A, B, C, D = "+41791111111", "+41792222222", "+41793333333", "+41794444444"


def person(session: Session, now: datetime, id: str, phone: str | None = A) -> Contact:
    contact = Contact(id=id, phone=phone, created_at=now, updated_at=now)
    session.add(contact)
    session.flush()
    return contact


def says(session: Session, id: str, now: datetime, **fields: Any) -> Any:
    return contacts.update(session, id, fields, now, "test")


def numbers(session: Session, id: str) -> list[str]:
    return phones.of(session, contacts.get(session, id))


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ([B, "0041 79 333 33 33", B], [B, C]),
        (f"{B}; {C},\n", [B, C]),
        ("079 222 22 22", [B]),
        (None, []),
        ([], []),
        ("", []),
        ([f"+4179000000{n}" for n in range(10)], [f"+4179000000{n}" for n in range(10)]),
        ([f"+417900000{n:02}" for n in range(11)], identifiers.Refused("phones", "too_many")),
        ([B, "call me"], identifiers.Refused("phone", "invalid_phone")),
        ([B, 7], identifiers.Refused("phones", "wrong_type")),
        ({"a": B}, identifiers.Refused("phones", "wrong_type")),
        ("\0" * 5_000, identifiers.Refused("phone", "invalid_phone")),
    ],
)
def test_what_numbers_may_look_like(given: object, read: object) -> None:
    assert phones.read(given, "CH") == read


def test_numbers_are_stated_at_once(session: Session, now: datetime) -> None:
    person(session, now, "ada")
    event = says(session, "ada", now, phones=[B, A, C])
    assert event.properties["fields"] == ["phones"]
    assert numbers(session, "ada") == [A, B, C]
    assert says(session, "ada", now, phones=[C, B]) is None, "the same again"
    assert says(session, "ada", now, phones=[C, D]) is not None
    assert numbers(session, "ada") == [A, C, D]
    with pytest.raises(Invalid) as caught:
        says(session, "ada", now, phones=[C, "no"])
    assert [(issue.field, issue.code) for issue in caught.value.issues] == [("phones", "invalid_phone")]
    says(session, "ada", now, phones=None)
    assert numbers(session, "ada") == [A]
    assert contacts.get(session, "ada").attributes == {}, "no field of its own"


def test_the_first_is_the_main_one_of_a_contact_that_has_none(session: Session, now: datetime) -> None:
    person(session, now, "ada", None)
    assert says(session, "ada", now, phones=[B, C]).properties["fields"] == ["phone", "phones"]
    assert numbers(session, "ada") == [B, C]


def test_a_further_number_that_becomes_the_main_one_changes_places_with_it(session: Session, now: datetime) -> None:
    person(session, now, "ada")
    says(session, "ada", now, phones=[B, C])
    says(session, "ada", now, phone=C)
    assert numbers(session, "ada") == [C, B, A]
    says(session, "ada", now, phone=D)
    assert numbers(session, "ada") == [D, B, A], "a new one replaces it, as ever"


def test_a_browser_gives_nobody_numbers(session: Session, now: datetime) -> None:
    person(session, now, "ada")
    assert fill_fields(session, "ada", {"phones": [B]}, now, "web", own=True).refused == {"phones": "needs_server_key"}
    assert numbers(session, "ada") == [A]


def test_whoever_has_the_number_is_found_by_it(session: Session, now: datetime) -> None:
    for id, main in (("ada", A), ("ben", B), ("gone", C)):
        person(session, now, id, main)
    says(session, "ada", now, phones=[B])
    says(session, "gone", now, phones=[B])
    contacts.get(session, "gone").erased_at = now
    session.flush()
    assert phones.holders(session, B, 20) == ["ada", "ben"]
    assert phones.holders(session, B, 1) == ["ada"]
    assert phones.holders(session, D, 20) == []
    assert {hit.id for group in search(session, B) for hit in group.hits if hit.kind == "contact"} == {"ada", "ben"}


def test_a_merge_keeps_all_and_an_undo_gives_them_back(session: Session, now: datetime) -> None:
    person(session, now, "ada", A)
    person(session, now, "ben", B)
    says(session, "ada", now, phones=[C])
    says(session, "ben", now, phones=[C, D])
    merge(session, "ada", "ben", now)
    assert numbers(session, "ada") == [A, C, D, B]
    assert phones.holders(session, B, 20) == ["ada"]
    found = newest(session, "ada")
    assert found is not None
    assert found.id is not None
    unmerge(session, found.id, "test", now)
    assert (numbers(session, "ada"), numbers(session, "ben")) == ([A, C], [B, C, D])


def test_a_merge_into_somebody_without_a_number_needs_no_further_one(session: Session, now: datetime) -> None:
    person(session, now, "ada", None)
    person(session, now, "ben", B)
    merge(session, "ada", "ben", now)
    assert numbers(session, "ada") == [B]
    assert session.scalars(select(ContactPhone)).all() == []


def test_files_bring_several_in_one_cell(session: Session, now: datetime) -> None:
    people = [Person(names=[("user_id", "u1")], fields={"phones": f"{B} | {C}"}), Person(names=[("user_id", "u2")], fields={"phone": A})]
    write_people(session, people, now, WriteMode("import:x", "import:x"))
    [ada] = phones.holders(session, C, 5)
    assert numbers(session, ada) == [B, C]


def test_they_are_exported_looked_for_and_erased(session: Session, now: datetime) -> None:
    person(session, now, "ada")
    says(session, "ada", now, phones=[B])
    assert [row["phone"] for row in export(session, "ada")["phones"]] == [B]
    assert B in values_of(session, ["ada"]).addresses
    erase(session, "ada", now, by="test", keys=(b"k" * 32,))
    assert session.scalars(select(ContactPhone)).all() == []
