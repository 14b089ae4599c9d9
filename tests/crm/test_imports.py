from __future__ import annotations

import csv
import tracemalloc
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import select

from crm.catalogue import load_catalogue
from crm.consent import consent, suppression
from crm.imports import imports
from crm.imports.imports import ImportReport, Options, RowError, import_contacts, make_plan, preview
from crm.imports.reading import Reading
from crm.people import identity, profile
from journeys.errors import Conflict, Invalid, NotFound
from models import Consent, Contact, Database, Event, Identity, Import, Tag
from workspace import members


@pytest.fixture
def clock(now: datetime) -> Callable[[], datetime]:
    return lambda: now


def write(tmp_path: Path, rows: Iterable[Iterable[str]], name: str = "people.csv") -> Path:
    path = tmp_path / name
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    return path


PEOPLE = [
    ("email", "first_name", "plan", "tags", "consent_email_marketing", "consent_email_marketing_at"),
    ("anna@example.org", "Anna", "pro", "vip", "yes", "2026-01-01"),
    ("bert@example.org", "Bert", "", "", "no", ""),
    ("nonsense", "Carl", "pro", "", "", ""),
    ("", "Dora", "", "", "", ""),
    ("Anna@example.org", "Anna Maria", "", "new", "", ""),
]


def test_people_with_consents_are_imported_and_errors_are_listed(db: Database, tmp_path: Path, clock: Callable[[], datetime]) -> None:
    seen: list[float] = []
    report = import_contacts(db, write(tmp_path, PEOPLE), clock, progress=lambda report: seen.append(report.fraction))
    assert (report.rows, report.ok, report.created, report.failed, report.state) == (5, 3, 2, 2, "done")
    assert [(error.line, error.reason, error.column) for error in report.errors] == [(4, "invalid_email", "email"), (5, "no_name", "")]
    assert seen[-1] == 1.0
    with db.read() as session:
        people = {row.email: row for row in session.scalars(select(Contact))}
        assert set(people) == {"anna@example.org", "bert@example.org"}
        anna = people["anna@example.org"]
        assert (anna.first_name, anna.attributes) == ("Anna Maria", {"plan": "pro"})
        assert profile.tags(session, anna.id) == ["new", "vip"]
        assert consent.state(session, anna.id, "email", "marketing") == "granted"
        assert consent.state(session, people["bert@example.org"].id, "email", "marketing") == "withdrawn"
        line = consent.history(session, anna.id)[0]
        assert (line.source, line.said_at.isoformat()) == ("import:people.csv", "2026-01-01T00:00:00+00:00")
        assert line.proof == {"import": report.id, "dated": True}
        job = session.scalars(select(Import)).one()
        assert (job.state, job.cursor, job.rows_ok, job.rows_failed) == ("done", 5, 3, 2)
        assert "plan" in load_catalogue(session).fields


def test_an_import_wakes_nobody_unless_asked(db: Database, tmp_path: Path, clock: Callable[[], datetime]) -> None:
    import_contacts(db, write(tmp_path, PEOPLE), clock)
    with db.read() as session:
        assert {(event.backfill, event.routed) for event in session.scalars(select(Event))} == {(True, True)}
    import_contacts(db, write(tmp_path, [("email",), ("new@example.org",)]), clock, Options(wake=True, tags=("fair",)))
    with db.read() as session:
        [event] = session.scalars(select(Event).order_by(Event.id.desc()).limit(1))  # type: ignore[union-attr]
        assert (event.backfill, event.routed, event.properties) == (False, False, {"fields": [], "tags_added": ["fair"]})


def test_a_dry_run_tells_the_same_and_writes_nothing(db: Database, tmp_path: Path, clock: Callable[[], datetime]) -> None:
    path = write(tmp_path, PEOPLE)
    dry = import_contacts(db, path, clock, Options(dry_run=True))
    with db.read() as session:
        for model in (Contact, Event, Consent, Import, Tag, Identity):
            assert session.scalars(select(model)).all() == []
    real = import_contacts(db, path, clock)
    told = {"rows", "ok", "created", "failed", "errors", "mapping"}
    assert dry.model_dump(include=told) == real.model_dump(include=told)


class Crash(Exception):
    pass


@pytest.mark.parametrize("chunks", [1, 2])
def test_a_crashed_import_goes_on_where_it_stopped(db: Database, tmp_path: Path, clock: Callable[[], datetime], chunks: int) -> None:
    rows = [("email", "n", "consent_email_marketing")]
    rows += [(f"p{number}@example.org" if number % 50 else "bad", str(number), "yes") for number in range(230)]
    path = write(tmp_path, rows)
    done: list[ImportReport] = []

    def crash(report: ImportReport) -> None:
        done.append(report)
        if len(done) == chunks:
            raise Crash

    with pytest.raises(Crash):
        import_contacts(db, path, clock, progress=crash)
    report = import_contacts(db, path, clock)
    assert (report.id, report.resumed) == (done[0].id, True)
    assert (report.rows, report.ok, report.failed) == (230, 225, 5)
    assert [error.line for error in report.errors] == [number + 2 for number in range(0, 230, 50)]
    with db.read() as session:
        assert len(session.scalars(select(Contact)).all()) == 225
        assert len(session.scalars(select(Consent)).all()) == 225, "no row twice"


def test_another_mapping_is_another_import(db: Database, tmp_path: Path, clock: Callable[[], datetime]) -> None:
    path = write(tmp_path, [("email", "x"), *((f"p{number}@example.org", "1") for number in range(110))])

    def crash(report: ImportReport) -> None:
        raise Crash

    with pytest.raises(Crash):
        import_contacts(db, path, clock, progress=crash)
    report = import_contacts(db, path, clock, Options(mapping={"x": "y"}))
    assert not report.resumed
    with db.read() as session:
        first, second = sorted(session.scalars(select(Import)), key=lambda job: job.state)
    assert (first.state, second.state) == ("done", "running")
    with pytest.raises(Conflict):
        import_contacts(db, path, clock, import_id=first.id)
    with pytest.raises(NotFound):
        import_contacts(db, path, clock, import_id="nothing")


def test_two_at_once_do_not_import_a_row_twice(db: Database, tmp_path: Path, clock: Callable[[], datetime]) -> None:
    path = write(tmp_path, [("email", "consent_email_x"), *((f"p{number}@example.org", "yes") for number in range(120))])

    def other(report: ImportReport) -> None:
        if report.rows == 100:
            import_contacts(db, path, clock)

    with pytest.raises(Conflict, match="right now"):
        import_contacts(db, path, clock, progress=other)
    with db.read() as session:
        assert len(session.scalars(select(Consent)).all()) == 120


def test_a_grant_without_a_date_does_not_undo_a_withdrawal(
    db: Database, tmp_path: Path, clock: Callable[[], datetime], now: datetime
) -> None:
    with db.write() as session:
        anna = identity.resolve(session, [("email", "anna@example.org")], now).contact_id
        consent.record_consent(session, anna, "email", "marketing", "withdrawn", now, evidence=consent.Evidence.DATED, source="preferences")
    report = import_contacts(db, write(tmp_path, [("email", "consent_email_marketing"), ("anna@example.org", "yes")]), clock)
    assert (report.ok, report.withheld) == (1, 1)
    with db.read() as session:
        assert consent.state(session, anna, "email", "marketing") == "withdrawn"
        assert len(consent.history(session, anna)) == 1


def test_a_field_without_room_is_left_out_and_the_row_is_taken(
    db: Database, tmp_path: Path, clock: Callable[[], datetime], now: datetime
) -> None:
    with db.write() as session:
        full = identity.resolve(session, [("email", "full@example.org")], now).contact_id
        profile.update_fields(session, full, {"big": "x" * 65_000}, now, "api")
    rows = [
        ("email", "first_name", "Notes", "tags"),
        ("full@example.org", "Anna", "y" * 1_000, "vip"),
        ("new@example.org", "Bert", "z", "vip"),
    ]
    report = import_contacts(db, write(tmp_path, rows), clock)
    assert (report.ok, report.failed, report.cells) == (2, 0, 1)
    assert report.errors == [RowError(line=2, column="Notes", reason="too_much", taken=True)]
    with db.read() as session:
        assert session.get_one(Contact, full).first_name == "Anna"
        assert "notes" not in session.get_one(Contact, full).attributes
        assert profile.tags(session, full) == ["vip"]


def test_a_row_that_cannot_be_written_changes_nothing(db: Database, tmp_path: Path, clock: Callable[[], datetime], now: datetime) -> None:
    with db.write() as session:
        full = identity.resolve(session, [("email", "full@example.org")], now).contact_id
        session.add_all(Tag(contact_id=full, tag=f"t{number}", added_at=now) for number in range(profile.MAX_TAGS))
    rows = [("email", "first_name", "tags"), ("full@example.org", "Anna", "vip"), ("new@example.org", "Bert", "vip")]
    report = import_contacts(db, write(tmp_path, rows), clock)
    assert [(error.line, error.reason, error.taken) for error in report.errors] == [(2, "too_large", False)]
    with db.read() as session:
        assert session.get_one(Contact, full).first_name is None
        assert identity.find(session, ("email", "new@example.org")) is not None


def test_owners_are_members(db: Database, tmp_path: Path, clock: Callable[[], datetime], now: datetime) -> None:
    with db.write() as session:
        member = members.add_member(session, "Bert", "bert@example.org", "sales", now).id
    rows = [("email", "owner"), ("a@example.org", "Bert@Example.org"), ("b@example.org", "nobody")]
    report = import_contacts(db, write(tmp_path, rows), clock)
    assert [(error.reason, error.column, error.taken) for error in report.errors] == [("unknown_owner", "owner", True)]
    with db.read() as session:
        assert {row.email: row.owner for row in session.scalars(select(Contact))} == {"a@example.org": member, "b@example.org": None}


def test_an_empty_cell_clears_only_if_asked(db: Database, tmp_path: Path, clock: Callable[[], datetime]) -> None:
    import_contacts(db, write(tmp_path, [("email", "plan"), ("a@example.org", "pro")]), clock)
    path = write(tmp_path, [("email", "plan", "city"), ("a@example.org", "", "Bern")])
    for reading, plan in ((Reading(), "pro"), (Reading(empty="clear"), None)):
        import_contacts(db, path, clock, Options(reading=reading))
        with db.read() as session:
            [anna] = session.scalars(select(Contact))
            assert (anna.attributes.get("plan"), anna.attributes["city"]) == (plan, "Bern")


def test_bounced_addresses_get_nothing_any_more(db: Database, tmp_path: Path, clock: Callable[[], datetime]) -> None:
    keys = (b"k" * 32,)
    rows = [("email", "suppress_email"), ("a@example.org", "2025-01-01"), ("b@example.org", "")]
    import_contacts(db, write(tmp_path, rows), clock, Options(keys=keys, dry_run=True))
    import_contacts(db, write(tmp_path, rows), clock, Options(keys=keys))
    with db.read() as session:
        told = {name: suppression.is_suppressed(session, keys, "email", f"{name}@example.org") for name in "ab"}
        assert told == {"a": "import", "b": None}


def test_a_preview_says_what_the_first_cells_become(tmp_path: Path, now: datetime) -> None:
    path = write(
        tmp_path, [("E-Mail", "Kundennummer", "Umsatz"), ("A@Example.org", "k1", "1,234"), ("", "", "5"), ("nobody", "k2", "1'000.50")]
    )
    plan = make_plan(path, Options(mapping={"Kundennummer": "external:shop"}), {})
    assert plan.mapping == {"E-Mail": "email", "Kundennummer": "external:shop", "Umsatz": "umsatz:number"}
    rows = preview(plan, {}, now)
    assert [(row.line, row.refused) for row in rows] == [(2, ""), (3, "no_name"), (4, "")]
    assert [(cell.value, cell.problem) for cell in rows[0].cells] == [("a@example.org", ""), ("k1", ""), (1234, "")], "line 4 decides"
    assert [(cell.was, cell.value, cell.problem) for cell in rows[2].cells][:2] == [("nobody", None, "invalid_email"), ("k2", "k2", "")]
    with pytest.raises(Invalid):
        preview(make_plan(write(tmp_path, [("Vorname",), ("x",)]), Options(), {}), {}, now)


def test_errors_are_counted_beyond_the_list(sqlite_db: Database, tmp_path: Path, clock: Callable[[], datetime]) -> None:
    path = write(tmp_path, [("email",), *(("nonsense",) for _ in range(imports.MAX_ERRORS + 50))])
    report = import_contacts(sqlite_db, path, clock)
    assert (report.failed, len(report.errors)) == (imports.MAX_ERRORS + 50, imports.MAX_ERRORS)


def test_memory_does_not_grow_with_the_file(sqlite_db: Database, tmp_path: Path, clock: Callable[[], datetime]) -> None:
    path = tmp_path / "big.csv"
    with path.open("w", encoding="utf-8") as stream:
        stream.write("email,notes\n")
        for _ in range(1_500):
            stream.write("bad," + "x" * 9_000 + "\n")
        stream.write("y" * 8_000_000 + "\n")
    tracemalloc.start()
    report = import_contacts(sqlite_db, path, clock, Options(dry_run=True))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert report.failed == 1_501
    assert path.stat().st_size > 20_000_000
    assert peak < 10_000_000


cells = st.one_of(
    st.sampled_from(
        ["", "a@example.org", "b@example.org", "yes", "no", "2026-01-01", "=1+1", "u1", "null", "\x00", "x" * 500, '"', "a\nb"]
    ),
    st.text(max_size=12),
)
header = st.lists(
    st.sampled_from(
        ["email", "user_id", "first_name", "plan", "tags", "consent_email_marketing", "consent_email_marketing_at", "owner", "x y"]
    ),
    min_size=1,
    max_size=6,
    unique=True,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), names=header)
def test_whatever_stands_in_the_file_every_row_is_imported_or_listed(
    sqlite_db: Database, tmp_path: Path, clock: Callable[[], datetime], data: Any, names: list[str]
) -> None:
    rows = data.draw(st.lists(st.lists(cells, min_size=len(names), max_size=len(names) + 1), max_size=6))
    path = write(tmp_path, [names, *rows])
    try:
        report = import_contacts(sqlite_db, path, clock)
    except Invalid:
        return  # the header names nobody
    assert report.rows == report.ok + report.failed == report.ok + sum(not error.taken for error in report.errors)
    assert report.cells == sum(error.taken for error in report.errors)
    assert report.rows <= len(rows)
    with sqlite_db.read() as session:
        everyone = session.scalars(select(Contact)).all()
        assert {row.contact_id for row in session.scalars(select(Identity))} == {row.id for row in everyone if row.merged_into is None}
