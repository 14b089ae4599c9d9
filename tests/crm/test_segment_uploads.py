"""Lists by upload: known contacts are put on, unknown ones are listed or made; nothing is told of it, and a second time changes nothing."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlmodel import select

from crm.imports import uploads
from crm.imports.uploads import Draft
from crm.people.identity import resolve
from crm.segments import members, segments
from journeys.errors import Conflict, Invalid, NotFound
from models import Contact, Database, Event, Import
from storage.files import Room
from tests.crm.test_uploads import run

FILE = "Mail;Shop;Id;Farbe\nida@example.org;;;rot\n;s7;;blau\n;;{id};\nneu@example.org;;;\nunsinn;;;\nida@example.org;;;\n"


@pytest.fixture
def ids(db: Database, now: datetime) -> list[str]:
    """Three contacts known by an address, by an id of a shop, and by ours; a list."""
    with db.write() as session:
        segments.create(session, "Guests", None, "test", now, key="guests")
        return [
            resolve(session, [("email", "ida@example.org")], now).contact_id,
            resolve(session, [("external:shop", "s7")], now).contact_id,
            resolve(session, [("user_id", "u1")], now).contact_id,
        ]


def drafted(db: Database, content: str, now: datetime, *, make: bool = False, columns: dict[str, str] | None = None) -> Import:
    id = uploads.receive(db, "gäste.csv", content.encode(), "test", now, now, Room())
    with db.read() as session:
        proposed = uploads.proposed(session.get_one(Import, id))[
            1
        ]  # as the page sends it: of an earlier file with these columns, what was chosen
    row = uploads.decide(db, id, Draft(proposed, subject="segment_members", segment="guests"))
    assert row.mapping["columns"]["Mail"] == "email"
    wanted = columns or {"Mail": "email", "Shop": "external:shop", "Id": "contact_id"}
    return uploads.decide(db, id, Draft(wanted, subject="segment_members", segment="guests", make=make))


def on_list(db: Database) -> set[str]:
    with db.read() as session:
        segment = segments.get(session, "guests")
        return {id for id, _ in members.page(session, segments.id_of(segment))}


def test_known_contacts_are_put_on_and_unknown_rows_are_listed(db: Database, ids: list[str], now: datetime) -> None:
    row = drafted(db, FILE.format(id=ids[2]), now)
    dry = run(db, row.id, now, dry=True)
    assert on_list(db) == set()
    done = run(db, row.id, now, dry=False)
    assert (dry.rows_ok, dry.mapping["counts"], dry.errors) == (done.rows_ok, done.mapping["counts"], done.errors)
    assert on_list(db) == set(ids)
    assert [(error["line"], error["reason"], error["column"]) for error in done.errors] == [
        (5, "unknown_contact", ""),
        (6, "invalid_email", "Mail"),
    ]
    assert (done.rows_ok, done.mapping["counts"]["created"], done.mapping["counts"]["changed"]) == (4, 0, 3)
    with db.read() as session:
        assert session.scalars(select(Event.name).where(Event.name == "Segment Entered")).all() == []
        assert session.scalar(select(Contact).where(Contact.email == "neu@example.org")) is None
    again = drafted(db, FILE.format(id=ids[2]), now)
    run(db, again.id, now, dry=True)
    assert run(db, again.id, now, dry=False).mapping["counts"]["changed"] == 0


def test_unknown_rows_make_contacts_where_that_is_chosen(db: Database, ids: list[str], now: datetime) -> None:
    row = drafted(db, FILE.format(id="nobody"), now, make=True)
    run(db, row.id, now, dry=True)
    done = run(db, row.id, now, dry=False)
    with db.read() as session:
        made = session.scalars(select(Contact).where(Contact.email == "neu@example.org")).one()
    assert on_list(db) == {ids[0], ids[1], made.id}
    assert [(error["line"], error["reason"]) for error in done.errors] == [(4, "unknown_contact"), (6, "invalid_email")], (
        "no id of ours is made up"
    )


def test_contacts_of_a_file_can_be_put_on_a_list_too(db: Database, ids: list[str], now: datetime) -> None:
    id = uploads.receive(db, "people.csv", b"email,ort\nida@example.org,Bern\nneu@example.org,Basel\n", "test", now, now, Room())
    uploads.decide(db, id, Draft({"email": "email", "ort": "city"}, segment="guests"))
    run(db, id, now, dry=True)
    run(db, id, now, dry=False)
    assert len(on_list(db)) == 2


def test_a_list_is_needed_and_must_be_kept_by_hand(db: Database, ids: list[str], now: datetime) -> None:
    with db.write() as session:
        segments.create(session, "Live", {"field": "email", "operator": "null"}, "test", now, key="live")
    row = drafted(db, FILE, now)
    for key, error in (("live", Conflict), ("gone", NotFound)):
        with pytest.raises(error):
            uploads.decide(db, row.id, Draft({"Mail": "email"}, subject="segment_members", segment=key))
    row = uploads.decide(db, row.id, Draft({"Mail": "email"}, subject="segment_members"))
    assert [issue.code for issue in uploads.problems(row)] == ["no_segment"]
    row = uploads.decide(db, row.id, Draft({"Farbe": "plan"}, subject="segment_members", segment="guests"))
    assert [issue.code for issue in uploads.problems(row)] == ["unknown_target", "no_name"]
    with db.write() as session, pytest.raises(Invalid):
        uploads.begin(session, row.id, "admin", dry=True)
    assert uploads.acts_of(row) == ["contact.import", "segment.change"]
