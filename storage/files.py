"""Files that people send, kept in the database in parts until their work is done.

In the database, because any web server may go on with them and a backup holds everything; in parts, because nobody needs a file of
100 MB in memory: not who sends it, not who takes it, not who reads it. What a file means is not known here (`crm.imports.uploads`).
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import BinaryIO, Literal, cast

from sqlalchemy import delete, func
from sqlalchemy.orm import Session
from sqlmodel import col, select

from journeys.errors import Conflict, Invalid, NotFound, TooLarge
from models import Database, Upload, UploadPart, lock
from storage.json_values import clean_text

PART_BYTES = 1_048_576
MAX_FILES = 200
"""That wait together."""
UNFINISHED = timedelta(days=1)
"""How long an upload may stand still."""


@dataclass(frozen=True, slots=True)
class Room:
    """Most bytes of one file, and of all files that wait together."""

    file_bytes: int = 104_857_600
    total_bytes: int = 1_073_741_824


def begin(session: Session, file_name: str, size: int, by: str, now: datetime, room: Room, part_bytes: int = PART_BYTES) -> Upload:
    """Makes room for a file of `size` bytes, which then comes in parts of `part_bytes`.

    Raises:
        Invalid: a file of no bytes.
        TooLarge: it is larger than files may be, or too many files wait.
    """
    if size <= 0:
        raise Invalid("The file is empty.", problem="empty")
    if size > room.file_bytes:
        raise TooLarge("The file is larger than {limit} MB.", limit=room.file_bytes // 1_000_000, problem="large")
    count, waiting = session.execute(select(func.count(), func.coalesce(func.sum(Upload.bytes), 0)).select_from(Upload)).one()
    if count >= MAX_FILES or size + waiting > room.total_bytes:
        raise TooLarge("There is no space for this file until earlier ones are imported or deleted.", problem="full")
    row = Upload(file_name=name_of(file_name), bytes=size, part_bytes=part_bytes, created_at=now, created_by=by[:120])
    session.add(row)
    session.flush()
    return row


def name_of(file_name: str) -> str:
    """The name without the folders some browsers send along."""
    return clean_text(file_name).replace("\\", "/").rsplit("/", 1)[-1].strip()[-200:] or "import.csv"


def add_part(session: Session, upload_id: str, number: int, content: bytes, by: str) -> Upload:
    """Stores the next part; the one before once more changes nothing, since its answer may have been lost.

    Raises:
        NotFound: there is no such upload, or somebody else sends it.
        Conflict: another part is next.
        Invalid: the part has the wrong size.
    """
    row: Upload | None = session.scalar(lock(session, select(Upload).where(Upload.id == upload_id)))
    if row is None or row.created_by != by[:120]:
        raise NotFound("There is no such upload.")
    if number == row.parts - 1:
        return row
    if number != row.parts or is_complete(row):
        raise Conflict("Expected part {next}.", next=row.parts)
    if len(content) != min(row.part_bytes, row.bytes - number * row.part_bytes):
        raise Invalid("Expected a part of {size} bytes.", size=min(row.part_bytes, row.bytes - number * row.part_bytes))
    session.add(UploadPart(upload_id=row.id, number=number, content=content))
    row.parts += 1
    session.add(row)
    return row


def store(session: Session, file_name: str, content: bytes, by: str, now: datetime) -> Upload:
    """A file that is here already."""
    row = begin(session, file_name, len(content), by, now, Room(len(content), 1 << 62))
    for number in range(-(-len(content) // PART_BYTES)):
        add_part(session, row.id, number, content[number * PART_BYTES : (number + 1) * PART_BYTES], by)
    return row


class Writing:
    """A file that is made here, a part in a transaction of its own; until `close` it counts as one of which more is to come."""

    def __init__(self, db: Database, file_name: str, by: str, now: datetime, room: Room) -> None:
        """Raises:
        TooLarge: too many files wait."""
        self._db, self._room, self._waiting = db, room, bytearray()
        with db.write() as session:
            row = begin(session, file_name, 1, by, now, room)
            self.id = row.id

    def write(self, content: bytes) -> None:
        """Raises:
        TooLarge: there is no room for so much. NotFound: the file was deleted meanwhile."""
        self._waiting += content
        while len(self._waiting) >= PART_BYTES:
            self._add(bytes(self._waiting[:PART_BYTES]))
            del self._waiting[:PART_BYTES]

    def _add(self, content: bytes) -> None:
        with self._db.write() as session:
            row = self._row(session)
            session.add(UploadPart(upload_id=row.id, number=row.parts, content=content))
            row.parts += 1
            row.bytes = row.parts * row.part_bytes + 1
            waiting = session.scalar(select(func.sum(Upload.bytes))) or 0
            if waiting > self._room.total_bytes or row.bytes >= 2**31 - 1:
                raise TooLarge("There is no space for this file until earlier ones are imported or deleted.", problem="full")
            session.add(row)

    def close(self) -> int:
        """The file is whole; its bytes. Raises: NotFound: it was deleted meanwhile."""
        with self._db.write() as session:
            row = self._row(session)
            session.add(UploadPart(upload_id=row.id, number=row.parts, content=bytes(self._waiting)))
            row.bytes, row.parts = row.parts * row.part_bytes + len(self._waiting), row.parts + 1
            session.add(row)
            return row.bytes

    def _row(self, session: Session) -> Upload:
        row: Upload | None = session.scalar(lock(session, select(Upload).where(Upload.id == self.id)))
        if row is None:
            raise NotFound("There is no such upload.")
        return row


def is_complete(row: Upload) -> bool:
    return row.parts * row.part_bytes >= row.bytes > 0


def drop(session: Session, upload_id: str) -> None:
    """Deletes a file; nothing happens if it is gone."""
    session.execute(delete(UploadPart).where(col(UploadPart.upload_id) == upload_id))
    session.execute(delete(Upload).where(col(Upload.id) == upload_id))


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file in the database that is read from its beginning, as often as needed, a part at a time."""

    db: Database
    upload_id: str
    size: int
    part_bytes: int

    def open(self, mode: Literal["rb"] = "rb") -> BinaryIO:
        return cast(BinaryIO, io.BufferedReader(_Parts(self._part, self.size, self.part_bytes), 65_536))

    def _part(self, number: int) -> bytes:
        with self.db.read() as session:
            content = session.scalar(select(UploadPart.content).where(UploadPart.upload_id == self.upload_id, UploadPart.number == number))
        if content is None:
            raise NotFound("The file of this import no longer exists; upload it again.")
        return content


class _Parts(io.RawIOBase):
    """The parts of a file one after the other; one of them is in memory."""

    def __init__(self, fetch: Callable[[int], bytes], size: int, part_bytes: int) -> None:
        self._fetch, self._size, self._part_bytes = fetch, size, part_bytes
        self._at, self._number, self._content = 0, -1, b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._at >= self._size:
            return 0
        number, start = divmod(self._at, self._part_bytes)
        if number != self._number:
            self._number, self._content = number, self._fetch(number)
        piece = self._content[start : start + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)
