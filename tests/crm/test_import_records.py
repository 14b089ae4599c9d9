"""Consents, events, orders and suppressed addresses from files: said once, whatever is imported again; history tells nobody; an undo takes it back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from crm.consent import suppression
from crm.consent.consent import Evidence, record_consent
from crm.imports import uploads
from crm.imports.record_columns import MOST_PROPERTIES
from crm.imports.subjects import SUBJECTS
from crm.imports.uploads import Draft
from journeys.errors import Invalid
from models import Company, Consent, ConsentState, Contact, Database, Event, Import, LeadSource
from storage.files import Room
from tests.crm.companies.test_roll_ups import joined, worked
from tests.crm.test_undo import KEYS, known, undone


def imported(db: Database, subject: str, content: str, now: datetime, *, make: bool = False) -> Import:
    """With the columns that are guessed."""
    id = uploads.receive(db, "export.csv", content.encode(), "test", now, now, Room())
    with db.read() as session:
        guessed = uploads.proposed(session.get_one(Import, id))[1]
    row = uploads.decide(db, id, Draft(guessed, subject=subject, make=make))
    row = uploads.decide(db, id, Draft(row.mapping["columns"], make=make))
    assert uploads.problems(row) == []
    told: list[object] = []
    for dry in (True, False):
        with db.write() as session:
            uploads.begin(session, id, "admin", dry=dry)
        finished = False
        while not finished:
            uploads.prepare(db, id, now, KEYS)
            with db.write() as session:
                finished = uploads.page(session, id, now).finished
        with db.read() as session:
            row = session.get_one(Import, id)
        told.append((row.rows_ok, row.rows_failed, row.mapping["counts"]))
    assert told[0] == told[1], "what the dry run tells is what happens"
    return row


def errors(row: Import) -> list[tuple[int, str, str]]:
    return [(error["line"], error["reason"], error["column"]) for error in row.errors]


EVENTS = (
    "Metric,Email,Timestamp,Order value,Event id\n"
    "Placed Order,ada@example.org,2025-03-01 10:00:00,12.5,e1\n"
    "Viewed Page,ada@example.org,2025-03-02,,\n"
    "Viewed Page,ada@example.org,2025-03-02,,\n"
    "Contact Changed,ada@example.org,2025-03-02,,\n"
    "Viewed Page,nobody@example.org,2025-03-02,,\n"
    "Viewed Page,ada@example.org,gestern,,\n"
)


def test_events_are_stored_once_and_tell_nobody(db: Database, now: datetime) -> None:
    ada = known(db, now, "ada@example.org")
    row = imported(db, "events", EVENTS, now)
    assert row.mapping["columns"] == {
        "Metric": "event", "Email": "email", "Timestamp": "at", "Order value": "properties.order_value:number", "Event id": "message_id",
    }  # fmt: skip
    assert errors(row) == [(5, "system_event", "Metric"), (6, "unknown_contact", ""), (7, "invalid_date", "Timestamp")]
    assert (row.rows_ok, row.mapping["counts"]["changed"]) == (3, 2), "what is said twice is one event"
    again = imported(db, "events", EVENTS.replace("12.5,e1", "99,e1"), now + timedelta(days=1))
    assert again.mapping["counts"]["changed"] == 0, "another file with the same rows, and an event that has its id already"
    with db.read() as session:
        found = session.scalars(select(Event).where(Event.contact_id == ada, Event.type == "track").order_by(Event.occurred_at)).all()  # type: ignore[arg-type]
        assert [(one.name, one.properties, one.occurred_at) for one in found] == [
            ("Order Completed", {"order_value": 12.5}, datetime(2025, 3, 1, 10, tzinfo=UTC)),
            ("Viewed Page", {}, datetime(2025, 3, 2, tzinfo=UTC)),
        ]
        assert {(one.backfill, one.routed, one.context["import"]) for one in found} == {(True, True, row.id)}
    assert undone(db, again.id, now) == {}
    assert undone(db, row.id, now) == {"set_back": 1}
    with db.read() as session:
        assert session.scalars(select(Event).where(Event.type == "track")).all() == []


def test_a_row_that_cannot_be_stored_holds_up_no_other(db: Database, now: datetime) -> None:
    known(db, now, "ada@example.org")
    long = ",".join(["x" * 9_000] * 4)
    rows = [f"Viewed Page,ada@example.org,2025-03-0{day},{long if day == 3 else ',,,'}" for day in range(1, 6)]
    row = imported(db, "events", "\n".join(["event,email,at,a,b,c,d", *rows]), now)
    assert errors(row) == [(4, "too_large", "")]
    assert (row.rows_ok, row.mapping["counts"]["changed"]) == (4, 4)


def test_an_event_of_a_file_has_a_limit_of_properties() -> None:
    mapping = {"event": "event", "at": "at", "email": "email"} | {f"p{n}": f"properties.p{n}" for n in range(MOST_PROPERTIES + 1)}
    with pytest.raises(Invalid) as caught:
        SUBJECTS["events"].columns(list(mapping), mapping, {}, uploads.Reading())
    assert [issue.code for issue in caught.value.issues] == ["too_many"]


def test_events_that_made_their_contact_do_not_keep_it(db: Database, now: datetime) -> None:
    row = imported(db, "events", EVENTS, now, make=True)
    assert row.mapping["counts"]["created"] == 2
    with db.read() as session:
        assert {(one.first_kind, one.first_source_id) for one in session.scalars(select(LeadSource))} == {("import", f"import:{row.id}")}
    assert undone(db, row.id, now) == {"removed": 2}
    with db.read() as session:
        assert session.scalars(select(Contact.id)).all() == session.scalars(select(Event.id)).all() == []


ORDERS = (
    "Name,Email,Financial Status,Paid at,Currency,Subtotal,Shipping,Taxes,Total,Discount Code,Created at,Lineitem quantity,Cancelled at\n"
    "#1001,ada@example.org,paid,2025-03-01 10:05:00 +0100,CHF,90.00,9.00,8.00,107.00,SPRING,2025-03-01 10:00:00 +0100,1,\n"
    "#1001,ada@example.org,,,,,,,,,,2,\n"
    "#1002,ada@example.org,paid,,chf,10.00,,,10.00,,2025-03-05 10:00:00 +0100,1,2025-03-06 10:00:00 +0100\n"
    "#1003,ada@example.org,paid,,Franken,10.00,,,10.00,,2025-03-07,1,\n"
    "#1004,ada@example.org,paid,,CHF,10.00,,,10.00,,,1,\n"
)


def test_orders_as_shopify_exports_them(db: Database, now: datetime) -> None:
    ada = known(db, now, "ada@example.org")
    row = imported(db, "orders", ORDERS, now)
    columns = row.mapping["columns"]
    assert [columns[name] for name in ("Name", "Created at", "Total", "Subtotal", "Taxes")] == ["order_id", "at", "total", "revenue", "tax"]
    assert columns["Lineitem quantity"] == columns["Paid at"] == ""
    assert errors(row) == [(5, "invalid_currency", "Currency"), (6, "missing_value", "Created at")]
    assert (row.rows_ok, row.rows_failed, row.mapping["counts"]["changed"]) == (3, 2, 2)
    with db.read() as session:
        found = session.scalars(select(Event).where(Event.contact_id == ada, Event.type == "track").order_by(Event.occurred_at)).all()  # type: ignore[arg-type]
        assert [(one.name, one.properties["order_id"], one.properties["total"]) for one in found] == [
            ("Order Completed", "#1001", 107), ("Order Completed", "#1002", 10), ("Order Cancelled", "#1002", 10),
        ]  # fmt: skip
        assert found[0].properties == {
            "order_id": "#1001", "total": 107, "revenue": 90, "tax": 8, "shipping": 9, "currency": "CHF", "coupon": "SPRING",
        }  # fmt: skip
    assert imported(db, "orders", ORDERS, now + timedelta(days=1)).mapping["counts"]["changed"] == 0


def test_orders_that_are_undone_count_for_no_company(db: Database, now: datetime) -> None:
    ada = known(db, now, "ada@example.org")
    with db.write() as session:
        joined(session, ada, now)
        worked(session, now)
    row = imported(db, "orders", ORDERS, now)
    revenues = []
    for _ in range(2):
        with db.write() as session:
            worked(session, now)
            revenues.append(session.scalars(select(Company)).one().revenues.get("CHF", 0))
        undone(db, row.id, now) if len(revenues) == 1 else None
    assert revenues == [9_000, 0]


def test_a_consent_of_a_file_is_never_stronger_than_what_was_said_later(db: Database, now: datetime) -> None:
    ada, bo, cy = (known(db, now, f"{name}@example.org") for name in ("ada", "bo", "cy"))
    with db.write() as session:
        said_at = datetime(2025, 6, 1, tzinfo=UTC)
        for id in (bo, cy):
            record_consent(session, id, "email", "marketing", "withdrawn", now, source="page", said_at=said_at, evidence=Evidence.DATED)
    row = imported(
        db,
        "consents",
        "E-Mail;Kanal;Zweck;Einwilligung;Datum;Quelle;Wortlaut;Nachweis\n"
        "ada@example.org;SMS;marketing;ja;01.02.2025;Messe;Ja, gern;Formular 12\n"
        "bo@example.org;E-Mail;marketing;ja;01.02.2025;Messe;;\n"
        "cy@example.org;email;marketing;ja;;Messe;;\n"
        "ada@example.org;brieftaube;marketing;ja;01.02.2025;;;\n"
        "ada@example.org;email;marketing;vielleicht;01.02.2025;;;\n"
        "ada@example.org;email;marketing;ja;01.02.2099;;;\n",
        now,
    )
    assert errors(row) == [(5, "unknown_channel", "Kanal"), (6, "invalid_consent", "Einwilligung"), (7, "date_in_future", "Datum")]
    assert (row.mapping["counts"]["changed"], row.mapping["counts"]["withheld"]) == (2, 1)
    with db.read() as session:
        stand = {(one.contact_id, one.channel): one.state for one in session.scalars(select(ConsentState))}
        assert (ada, "email") not in stand, "a channel that nobody knows is not e-mail"
        assert stand == {(ada, "sms"): "granted", (bo, "email"): "withdrawn", (cy, "email"): "withdrawn"}
        [line] = session.scalars(select(Consent).where(Consent.contact_id == ada))
        assert (line.source, line.wording, line.proof["file"], line.proof["import"]) == ("Messe", "Ja, gern", "Formular 12", row.id)
    assert undone(db, row.id, now)["set_back"] == 1
    with db.read() as session:
        assert (ada, "sms") not in {(one.contact_id, one.channel) for one in session.scalars(select(ConsentState))}


def test_lists_of_addresses_that_get_nothing(db: Database, now: datetime) -> None:
    content = "email,Type\nBounce@Example.org,hard bounce\nspam@example.org,Spam Complaint\nother@example.org,\nunsinn,bounce\n"
    row = imported(db, "suppressions", content, now)
    assert errors(row) == [(5, "invalid_email", "email")]
    assert row.mapping["counts"]["changed"] == 3
    with db.read() as session:
        why = [suppression.is_suppressed(session, KEYS, "email", f"{name}@example.org") for name in ("bounce", "spam", "other", "ada")]
        assert why == ["hard_bounce", "complaint", "import", None]
        assert session.scalars(select(Contact.id)).all() == []
    assert imported(db, "suppressions", content, now).mapping["counts"]["changed"] == 0


@pytest.mark.parametrize("key", list(SUBJECTS))
def test_every_subject_refuses_what_it_cannot_read(key: str) -> None:
    about = SUBJECTS[key]
    assert about.key == key
    with pytest.raises(Invalid) as caught:
        about.columns(["a", "b"], {"a": "nonsense.x.y:nothing" if key != "contacts" else "plan", "c": "email"}, {}, uploads.Reading())
    assert {"no_name", "unknown_column"} & {issue.code for issue in caught.value.issues}
