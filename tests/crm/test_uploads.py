"""Imports in pages, on both kinds of database: a dry run leaves nothing, a run leaves everything once."""

from __future__ import annotations

import itertools
from datetime import datetime

import pytest
from sqlmodel import select

from crm.imports import uploads
from crm.imports.columns import Person
from crm.imports.csv_file import Line
from crm.imports.imports import ROWS_A_TRANSACTION, Importer, RowError
from crm.imports.reading import Everybody, Reading
from crm.imports.uploads import Draft
from journeys.errors import NotFound
from models import Consent, Contact, Database, Event, Import, Tag, Upload, UploadPart
from storage import files
from storage.files import Room

MANY = 2 * ROWS_A_TRANSACTION + 9


@pytest.fixture
def import_id(db: Database, now: datetime) -> str:
    lines = ["email,first_name,tags,consent_email_marketing,consent_email_marketing_at"]
    lines += [f"p{n}@example.org,P{n},vip,{'yes' if n % 30 else 'maybe'},2026-01-01" for n in range(MANY)]
    sent = uploads.read_sent("C:\\people\\list.csv", "\n".join(lines).encode("utf-16"))
    assert (sent.name, sent.plan.survey.rows, sent.plan.survey.shape.encoding) == ("list.csv", MANY, "utf-16-le")
    with db.write() as session:
        return uploads.take(session, sent, "test", now, now).id


def run(db: Database, import_id: str, now: datetime, *, dry: bool) -> Import:
    with db.write() as session:
        uploads.begin(session, import_id, "admin", dry=dry)
    return went_on(db, import_id, now)


def went_on(db: Database, import_id: str, now: datetime) -> Import:
    """All pages from the one on which it stands."""
    finished = False
    while not finished:
        uploads.prepare(db, import_id, now)
        with db.write() as session:
            finished = uploads.page(session, import_id, now).finished
    with db.read() as session:
        return session.get_one(Import, import_id)


def test_what_the_dry_run_tells_is_what_happens(db: Database, import_id: str, now: datetime) -> None:
    dry = run(db, import_id, now, dry=True)
    with db.read() as session:
        for model in (Contact, Event, Tag, Consent):
            assert session.scalars(select(model)).all() == []
    told = (dry.rows_ok, dry.rows_failed, dry.mapping["counts"], dry.errors)
    done = run(db, import_id, now, dry=False)
    assert (done.rows_ok, done.rows_failed, done.mapping["counts"], done.errors) == told
    assert (done.state, done.rows_ok, done.rows_failed) == ("done", MANY, 0)
    with db.read() as session:
        assert len(session.scalars(select(Contact.id)).all()) == len(session.scalars(select(Tag.tag)).all()) == MANY
        assert len(session.scalars(select(Consent.id)).all()) == MANY - 4
        assert session.scalars(select(Upload.id)).all() != [], "its faulty rows can still be had"


def test_a_second_import_of_the_same_changes_nothing(db: Database, import_id: str, now: datetime) -> None:
    run(db, import_id, now, dry=True)
    run(db, import_id, now, dry=False)
    with db.read() as session:
        events = len(session.scalars(select(Event.id)).all())
    with db.write() as session:
        session.get_one(Import, import_id).state = "checked"
    again = run(db, import_id, now, dry=False)
    assert again.mapping["counts"] == {"created": 0, "changed": 0, "withheld": 0, "cells": 4}
    with db.read() as session:
        assert len(session.scalars(select(Event.id)).all()) == events
        assert len(session.scalars(select(Consent.id)).all()) == MANY - 4


@pytest.mark.parametrize("dry", [True, False])
def test_a_page_that_cannot_be_read_once_loses_no_row(
    db: Database, import_id: str, now: datetime, monkeypatch: pytest.MonkeyPatch, dry: bool
) -> None:
    """It fails in the middle of its lines, and is tried again."""
    if not dry:
        run(db, import_id, now, dry=True)
    read, reads = Importer.read, itertools.count()

    def once(importer: Importer, line: Line, now: datetime) -> Person | RowError:
        if next(reads) == ROWS_A_TRANSACTION + 7:
            raise RuntimeError
        return read(importer, line, now)

    monkeypatch.setattr(Importer, "read", once)
    with pytest.raises(RuntimeError):
        run(db, import_id, now, dry=dry)
    assert went_on(db, import_id, now).rows_ok == MANY


def test_a_part_of_the_file_that_cannot_be_had_once_loses_no_row(db: Database, now: datetime) -> None:
    """A reader that failed has ended: it must not be taken for the end of the file."""
    content = "\n".join(["email", *(f"p{n}@example.org" for n in range(20 * MANY))]).encode()
    half = len(content) // 2 + 1
    with db.write() as session:
        upload = files.begin(session, "list.csv", len(content), "test", now, files.Room(), half)
        for number in range(2):
            files.add_part(session, upload.id, number, content[number * half : (number + 1) * half], "test")
        upload_id = upload.id
    import_id = uploads.finish_upload(db, upload_id, "test", now)
    with db.write() as session:
        part = session.get_one(UploadPart, (upload_id, 1))
        session.delete(part)
    with pytest.raises(NotFound):
        run(db, import_id, now, dry=True)
    with db.write() as session:
        session.add(UploadPart(upload_id=upload_id, number=1, content=content[half:]))
    assert went_on(db, import_id, now).rows_ok == 20 * MANY


def test_the_same_columns_start_with_what_was_chosen_before(db: Database, now: datetime) -> None:
    def sent(content: bytes) -> Import:
        id = uploads.receive(db, "export.csv", content, "test", now, now, Room())
        with db.read() as session:
            return session.get_one(Import, id)

    first = sent(b"mail,Seit,Typ\nida@example.org,03/04/2025,a\n")
    assert (uploads.as_in(first), uploads.proposed(first)[0].date_order) == ("", None)
    said = Reading(date_order="dmy", region="CH", everybody=(Everybody(source="fair"),))
    uploads.decide(
        db,
        first.id,
        Draft(
            {"mail": "email", "Seit": "since:date", "Typ": ""},
            uploads.reading_of(first).model_copy(update={name: getattr(said, name) for name in said.model_fields_set}),
        ),
    )
    for dry in (True, False):
        run(db, first.id, now, dry=dry)
    again = sent(b"mail,Seit,Typ\nbo@example.org,05/06/2025,b\n")
    reading, columns = uploads.proposed(again)
    assert (uploads.as_in(again), columns) == ("export.csv", {"mail": "email", "Seit": "since:date", "Typ": ""})
    assert (reading.date_order, reading.region, reading.everybody) == ("dmy", "CH", ()), "a consent is said anew each time"
    assert uploads.as_in(sent(b"mail,Seit\nbo@example.org,05/06/2025\n")) == ""
