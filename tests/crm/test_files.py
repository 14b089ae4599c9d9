"""Files in parts: read as they were sent, a part at a time, by whoever sent them and nobody else."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from crm.imports import uploads
from crm.imports.csv_file import examine, records
from journeys.errors import Conflict, Invalid, NotFound, TooLarge
from models import Database, Upload, UploadPart
from storage import files
from storage.files import Room, StoredFile

CONTENT = "email;name\r\n".encode("utf-16") + "".join(f"p{n}@example.org;Zoë {n}\r\n" for n in range(5_000)).encode("utf-16-le")

NEVER = datetime(2000, 1, 1, tzinfo=UTC)


def sent(db: Database, now: datetime, part_bytes: int) -> StoredFile:
    with db.write() as session:
        row = files.begin(session, "C:\\people\\a.csv", len(CONTENT), "ann", now, Room(), part_bytes)
        for number in range(-(-len(CONTENT) // part_bytes)):
            files.add_part(session, row.id, number, CONTENT[number * part_bytes : (number + 1) * part_bytes], "ann")
        assert (row.file_name, files.is_complete(row)) == ("a.csv", True)
        return StoredFile(db, row.id, row.bytes, row.part_bytes)


@pytest.mark.parametrize("part_bytes", [997, 65_536, len(CONTENT)])
def test_a_file_is_read_as_it_was_sent_however_it_is_cut(db: Database, now: datetime, part_bytes: int) -> None:
    source = sent(db, now, part_bytes)
    with source.open() as stream:
        assert stream.read() == CONTENT
        stream.seek(-10, io.SEEK_END)
        assert stream.read() == CONTENT[-10:]
    survey = examine(source)
    assert (survey.rows, survey.shape.digest) == (5_000, examine(CONTENT).shape.digest)
    assert [line.cells[1] for line in records(source, survey.shape)][-1] == "Zoë 4999"


def test_one_part_is_in_memory_and_each_is_fetched_once_a_reading() -> None:
    fetched: list[int] = []

    def fetch(number: int) -> bytes:
        fetched.append(number)
        return CONTENT[number * 1_000 : (number + 1) * 1_000]

    reader = io.BufferedReader(files._Parts(fetch, len(CONTENT), 1_000), 100)
    while reader.read(64):
        pass
    assert fetched == list(range(-(-len(CONTENT) // 1_000)))


@pytest.mark.parametrize(
    ("send", "error"),
    [
        (lambda session, id: files.add_part(session, id, 1, b"x" * 10, "ann"), Conflict),
        (lambda session, id: files.add_part(session, id, 0, b"x" * 9, "ann"), Invalid),
        (lambda session, id: files.add_part(session, id, 0, b"x" * 11, "ann"), Invalid),
        (lambda session, id: files.add_part(session, id, 0, b"x" * 10, "bob"), NotFound),
        (lambda session, id: files.add_part(session, "nothing", 0, b"x" * 10, "ann"), NotFound),
        (lambda session, id: files.begin(session, "b.csv", 100, "ann", NEVER, Room(99, 1_000)), TooLarge),
        (lambda session, id: files.begin(session, "b.csv", 90, "ann", NEVER, Room(99, 100)), TooLarge),
        (lambda session, id: files.begin(session, "b.csv", 0, "ann", NEVER, Room()), Invalid),
    ],
)
def test_what_does_not_fit_is_refused(db: Database, now: datetime, send: Callable[..., object], error: type[Exception]) -> None:
    with db.write() as session:
        id = files.begin(session, "a.csv", 25, "ann", now, Room(), 10).id
    with pytest.raises(error), db.write() as session:
        send(session, id)


def test_what_nobody_sent_to_its_end_goes_after_a_day(db: Database, now: datetime) -> None:
    with db.write() as session:
        id = files.begin(session, "a.csv", 25, "ann", now, Room(), 10).id
        files.add_part(session, id, 0, b"x" * 10, "ann")
    with pytest.raises(Conflict):
        uploads.finish_upload(db, id, "ann", now)
    with db.write() as session:
        assert uploads.forget_old(session, now + files.UNFINISHED, now) == 0
        assert uploads.forget_old(session, now + files.UNFINISHED + timedelta(minutes=1), now) == 1
        assert session.scalars(select(Upload.id)).all() == []
        assert session.scalars(select(UploadPart.number)).all() == []
