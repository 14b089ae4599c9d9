"""Importing contacts with consents from a CSV file: row by row, resumable, nothing half-written.

Rows are written in chunks of one transaction each, which also moves the cursor of the `Import` row: after a crash the same file goes on where
it stopped, and a row is imported once. A row with a problem is listed with line and reason and changes nothing. What the import changes
wakes no journey unless asked. Unlike the rest of this room it opens its own transactions and is told the time by a function.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from sqlalchemy.orm import Session
from sqlmodel import col, select

from crm import profile
from crm.bulk import Manner, write_people
from crm.catalogue import learn, load_catalogue
from crm.columns import Columns, Person, RowProblem
from crm.csv_file import Line, Shape, examine, records
from crm.sql import savepoint
from crm.team import list_members
from journeys.errors import Conflict, NotFound, PfadwerkError
from models import Database, Import, lock, new_id

ROWS_A_TRANSACTION = 50
MAX_ERRORS = 1_000
"""So many are listed; all are counted."""


class RowError(BaseModel):
    """Why a row was not imported: `reason` is a code of `REASONS`, `column` its header."""

    line: int
    reason: str
    column: str = ""


class ImportReport(BaseModel):
    """How far an import got. `fraction` (0 to 1) goes by bytes; `errors` holds the first thousand."""

    id: str
    file_name: str
    encoding: str
    delimiter: str
    mapping: dict[str, str]
    dry_run: bool
    state: str
    resumed: bool = False
    rows: int = 0
    ok: int = 0
    created: int = 0
    failed: int = 0
    withheld: int = 0
    """Grants that were not recorded: without a date they cannot undo a withdrawal."""
    errors: list[RowError] = []
    fraction: float = 0.0


@dataclass(slots=True)
class Options:
    """`mapping`: header -> target (see `crm.columns`). `region`: ISO country of national phone numbers. `wake`: let journeys start.
    `source`: where the consents come from, if no column says so; default is the file's name."""

    mapping: Mapping[str, str] = field(default_factory=dict)
    region: str | None = None
    source: str = ""
    wake: bool = False
    dry_run: bool = False
    tags: tuple[str, ...] = ()


Row = tuple[Line, Person | RowError]
"""A line and what it says, or why it says nothing usable."""


class _Undone(Exception):
    """Rolls a transaction back on purpose (dry run)."""


def import_contacts(
    db: Database,
    path: Path,
    clock: Callable[[], datetime],
    options: Options | None = None,
    *,
    file_name: str | None = None,
    import_id: str | None = None,
    progress: Callable[[ImportReport], None] | None = None,
) -> ImportReport:
    """Imports a file to its end; goes on with an unfinished import of the same file and mapping (or with `import_id`).

    `progress` is called after every chunk.

    Raises:
        Invalid: the file or its columns cannot be read; every problem is listed, nothing was written.
        NotFound: no import with `import_id`.
        Conflict: `import_id` is finished or belongs to another file, or somebody else is importing this file right now.
    """
    options = options or Options()
    shape = examine(path)
    job = _Job(db, path, shape, clock, options, (file_name or path.name)[:200])
    job.start(import_id)
    for chunk in _chunks(path, shape, job.report.rows):
        job.write(chunk)
        if progress:
            progress(job.report)
    job.finish()
    if progress:
        progress(job.report)
    return job.report


def preview(path: Path, options: Options | None = None) -> ImportReport:
    """What the columns would mean, without reading rows or a database.

    Raises:
        Invalid: the file or its columns cannot be read.
    """
    options = options or Options()
    shape = examine(path)
    columns = Columns(shape.header, options.mapping, region=options.region)
    return _new_report(shape, path.name, columns.mapping, dry_run=True)


def get_import(session: Session, import_id: str) -> Import:
    """Raises: NotFound: no such import."""
    row = session.get(Import, import_id)
    if row is None:
        raise NotFound("There is no such import.", import_id=import_id)
    return row


def list_imports(session: Session, limit: int = 50) -> list[Import]:
    """The newest imports first."""
    return list(session.scalars(select(Import).order_by(col(Import.id).desc()).limit(min(limit, 200))))


class Importer:
    """Reads the rows of one file and writes them inside transactions of its caller; knows neither where the file is nor how far it got."""

    def __init__(self, session: Session, header: Sequence[str], options: Options, file_name: str) -> None:
        """Raises:
        Invalid: the columns cannot be read; every problem is listed."""
        types = {name: spec.type for name, spec in load_catalogue(session).fields.items()}
        self.owners = {key: member.id for member in list_members(session) for key in (member.id, member.email)}
        self.columns = Columns(header, options.mapping, types=types, region=options.region)
        self.options, self.file_name = options, file_name

    def read(self, line: Line, now: datetime) -> Person | RowError:
        """What a line says, or why it says nothing usable; asks no database."""
        if line.problem:
            return RowError(line=line.number, reason=line.problem)
        try:
            person = self.columns.read(line.cells, now)
            if "owner" in person.fields:
                person.fields["owner"] = self._owner(str(person.fields["owner"]))
            return person
        except RowProblem as problem:
            return RowError(line=line.number, reason=problem.reason, column=problem.column)

    def _owner(self, said: str) -> str:
        if said.lower() not in self.owners:
            raise RowProblem("unknown_owner")
        return self.owners[said.lower()]

    def write(self, session: Session, rows: Sequence[Row], now: datetime, report: ImportReport) -> None:
        """Writes what can be written, each row whole or not at all, and counts it in `report`."""
        report.rows += len(rows)
        errors = [row for _, row in rows if isinstance(row, RowError)]
        errors += self._write([(line, row) for line, row in rows if isinstance(row, Person)], session, now, report)
        report.failed += len(errors)
        report.errors += sorted(errors, key=lambda error: error.line)[: max(0, MAX_ERRORS - len(report.errors))]
        self._learn(session, [row for _, row in rows if isinstance(row, Person)], now)

    def _write(self, people: Sequence[tuple[Line, Person]], session: Session, now: datetime, report: ImportReport) -> list[RowError]:
        """All together; where that fails the two halves apart, down to the row that is to blame."""
        if not people:
            return []
        try:
            with savepoint(session):
                done = write_people(session, [person for _, person in people], now, self._manner(report))
        except (PfadwerkError, RowProblem) as problem:
            if len(people) == 1:
                reason = problem.reason if isinstance(problem, RowProblem) else problem.code
                return [RowError(line=people[0][0].number, reason=reason)]
            half = len(people) // 2
            return [error for part in (people[:half], people[half:]) for error in self._write(part, session, now, report)]
        report.ok += len(people)
        report.created += done.created
        report.withheld += done.withheld
        return []

    def _manner(self, report: ImportReport) -> Manner:
        source, options = f"import:{self.file_name}", self.options
        return Manner(source[:64], options.source or source, {"import": report.id}, options.tags, options.region, options.wake)

    def _learn(self, session: Session, people: Sequence[Person], now: datetime) -> None:
        """Tells the catalogue what fields there are now."""
        free = {name: value for person in people for name, value in person.fields.items() if name not in profile.COLUMNS}
        if free:
            learn(session, free, {}, now)


class _Job:
    """One import from its first row in this process to its last."""

    def __init__(self, db: Database, path: Path, shape: Shape, clock: Callable[[], datetime], options: Options, file_name: str) -> None:
        self.db, self.path, self.shape, self.clock, self.options, self.file_name = db, path, shape, clock, options, file_name
        with db.read() as session:
            self.importer = Importer(session, shape.header, options, file_name)
        self.report = _new_report(shape, file_name, self.importer.columns.mapping, dry_run=options.dry_run)

    def start(self, import_id: str | None) -> None:
        """Finds the unfinished import or begins one."""
        if self.options.dry_run:
            return
        with self.db.write() as session:
            row = get_import(session, import_id) if import_id else self._unfinished(session)
            if row is None:
                row = Import(file_name=self.file_name, mapping=self._identity(), created_at=self.clock())
                session.add(row)
            elif row.state != "running" or row.mapping != self._identity():
                raise Conflict("This import is finished, or it was started with another file or mapping.")
            report = self.report
            report.id, report.resumed = row.id, row.cursor > 0
            report.rows, report.ok, report.failed = row.cursor, row.rows_ok, row.rows_failed
            report.errors = [RowError.model_validate(error) for error in row.errors]

    def write(self, chunk: list[Line]) -> None:
        """One transaction for the chunk and the cursor."""
        now = self.clock()
        read = [(line, self.importer.read(line, now)) for line in chunk]
        report = self.report.model_copy(update={"errors": list(self.report.errors)})
        with contextlib.suppress(_Undone), self.db.write() as session:
            self.importer.write(session, read, now, report)
            if self.options.dry_run:
                raise _Undone
            self._move_cursor(session, report)
        report.fraction = min(1.0, chunk[-1].position / max(1, self.shape.bytes))
        self.report = report

    def finish(self) -> None:
        self.report.state, self.report.fraction = "done", 1.0
        if self.options.dry_run:
            return
        with self.db.write() as session:
            row = self._row(session)
            row.state, row.finished_at = "done", self.clock()
            session.add(row)

    def _move_cursor(self, session: Session, report: ImportReport) -> None:
        row = self._row(session)
        row.cursor, row.rows_ok, row.rows_failed = report.rows, report.ok, report.failed
        row.errors = [error.model_dump() for error in report.errors]
        session.add(row)

    def _row(self, session: Session) -> Import:
        """The import's row, locked; its cursor must be ours.

        Raises:
            Conflict: another process has moved it.
        """
        row: Import | None = session.scalar(lock(session, select(Import).where(Import.id == self.report.id)))
        if row is None or row.cursor != self.report.rows or row.state != "running":
            raise Conflict("Somebody else is importing this file right now.")
        return row

    def _identity(self) -> dict[str, Any]:
        """What makes two imports the same: bytes and meaning of the file."""
        return {"digest": self.shape.digest, "columns": self.importer.columns.mapping, "region": self.options.region}

    def _unfinished(self, session: Session) -> Import | None:
        running = session.scalars(select(Import).where(Import.state == "running").order_by(col(Import.id).desc()))
        return next((row for row in running if row.mapping == self._identity()), None)


def _chunks(path: Path, shape: Shape, skip: int) -> Iterator[list[Line]]:
    rest = islice(records(path, shape), skip, None)
    while chunk := list(islice(rest, ROWS_A_TRANSACTION)):
        yield chunk


def _new_report(shape: Shape, file_name: str, mapping: dict[str, str], *, dry_run: bool) -> ImportReport:
    return ImportReport(
        id=new_id(),
        file_name=file_name,
        encoding=shape.encoding,
        delimiter=shape.delimiter,
        mapping=mapping,
        dry_run=dry_run,
        state="running",
    )


REASONS = {
    "line_too_long": "The line is too long.",
    "unreadable": "The line cannot be read; a quotation mark may be missing.",
    "cell_too_long": "A cell is too long.",
    "too_many_cells": "The line has more cells than the header.",
    "too_few_cells": "The line has fewer cells than the header.",
    "no_name": "Nothing in the line names a contact.",
    "invalid_consent": "Expected a consent such as yes, no, granted, withdrawn or pending.",
    "invalid_date": "Expected a date such as 2026-03-01 or 1.3.2026.",
    "date_in_future": "A consent cannot be given in the future.",
    "invalid_number": "Expected a number.",
    "invalid_boolean": "Expected yes or no.",
    "unknown_owner": "The owner is no member of the team.",
    "too_large": "The contact would become too large.",
    "conflict": "The contact was erased or merged meanwhile.",
    "invalid": "The line cannot be stored.",
}
"""Code of a row's error -> sentence (message id of the catalogues); codes of fields are in `crm.contacts.REASONS`."""
