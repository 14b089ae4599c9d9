"""Writing rows that say something about somebody: whom each means is looked up for a whole chunk, then the subject stores what they say.

A row about nobody known is refused, or makes the contact where the import says so. What an import brings in is history: nobody is told of it and no
journey starts, unless it was asked to (`wake`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import Session
from sqlmodel import col

from crm.imports import changes
from crm.imports.columns import RowProblem
from crm.imports.csv_file import Line
from crm.imports.imports import ImportReport, Options, RowError, count_errors
from crm.imports.record_columns import Record, RecordColumns
from crm.people import touches
from crm.people.identity import ResolvedContact, find_many, resolve_batch
from journeys.errors import PfadwerkError
from models import Contact, Event
from storage import segment_marks
from storage.locks import lock_contacts, person_of
from storage.sql import savepoint


@dataclass(frozen=True, slots=True)
class About:
    """A row and the contact it is about, which is locked."""

    line: Line
    contact: Contact
    record: Record


class RecordWriter:
    """What the subjects of this shape share. A subject adds `put`."""

    def __init__(self, columns: RecordColumns, options: Options, file_name: str) -> None:
        self.columns, self.options, self.file_name = columns, options, file_name

    def put(self, session: Session, rows: Sequence[About], now: datetime, report: ImportReport) -> list[RowError]:
        """Stores what the rows say, in their order; returns what it refused, and raises only if no row can be stored."""
        raise NotImplementedError

    def read(self, line: Line, now: datetime) -> Record | RowError:
        if line.problem:
            return RowError(line=line.number, reason=line.problem)
        try:
            return self.columns.read(line.cells, now)
        except RowProblem as problem:
            return RowError(line=line.number, reason=problem.reason, column=problem.column)

    def write(self, session: Session, rows: Sequence[tuple[Line, Record | RowError]], now: datetime, report: ImportReport) -> None:
        report.rows += len(rows)
        errors = [row for _, row in rows if isinstance(row, RowError)]
        errors += self._write(session, [(line, row) for line, row in rows if isinstance(row, Record)], now, report)
        count_errors(report, errors)

    def _write(self, session: Session, rows: Sequence[tuple[Line, Record]], now: datetime, report: ImportReport) -> list[RowError]:
        """All together; where that fails the two halves apart, down to the row that is to blame."""
        if not rows:
            return []
        before = report.model_copy()
        try:
            with savepoint(session):
                return self._write_all(session, rows, now, report)
        except PfadwerkError as problem:
            for name in type(report).model_fields:
                setattr(report, name, getattr(before, name))
            if len(rows) == 1:
                return [RowError(line=rows[0][0].number, reason=problem.code)]
            half = len(rows) // 2
            return [error for part in (rows[:half], rows[half:]) for error in self._write(session, part, now, report)]

    def _write_all(self, session: Session, rows: Sequence[tuple[Line, Record]], now: datetime, report: ImportReport) -> list[RowError]:
        whom = self._whom(session, [record for _, record in rows], now, report)
        contacts = lock_contacts(session, {id for id in whom if id})
        about, errors = list[About](), list[RowError]()
        for (line, record), id in zip(rows, whom, strict=True):
            contact = contacts.get(id or "")
            if contact is None or contact.merged_into is not None or contact.erased_at is not None:
                errors.append(RowError(line=line.number, reason="unknown_contact"))
            else:
                about.append(About(line, contact, record))
        errors += self.put(session, about, now, report) if about else []
        lost = {error.line for error in errors if not error.taken}
        taken = [one for one in about if one.line.number not in lost]
        report.ok += len(taken)
        errors += [
            RowError(line=one.line.number, column=column, reason=reason, taken=True)
            for one in taken
            for column, reason in one.record.problems
        ]
        return errors

    def _whom(self, session: Session, records: Sequence[Record], now: datetime, report: ImportReport) -> list[str | None]:
        """A row's own id first, then its names."""
        by_id = {one.contact_id: person_of(session, one.contact_id) for one in records if one.contact_id}
        names = [() if one.contact_id else one.names for one in records]
        region = self.options.reading.region
        if self.options.make:
            found = self._made(session, names, now, region, report)
        else:
            found = find_many(session, names, region)
        return [by_id.get(one.contact_id) or other for one, other in zip(records, found, strict=True)]

    def _made(
        self, session: Session, names: Sequence[Sequence[tuple[str, str]]], now: datetime, region: str | None, report: ImportReport
    ) -> list[str | None]:
        wake = self.options.wake
        with nullcontext() if wake else segment_marks.silently(session):
            found = resolve_batch(session, names, now, region, history=() if wake else range(len(names)))
        session.flush()
        made = {one.contact_id for one in found if one and one.created}
        changes.keep(session, report.id, made, _merged(found), now)
        touches.record_all(session, [(id, touches.made_by(f"import:{report.id}", now)) for id in sorted(made)], made)
        touches.mark_new(session, made, now, silent=not wake)
        report.created += sum(one.created for one in found if one)
        merged = [event.id for one in found if one for event in one.events]
        if merged and not wake:
            session.execute(update(Event).where(col(Event.id).in_(merged)).values(backfill=True, routed=True))
        return [one.contact_id if one else None for one in found]


def _merged(found: Sequence[ResolvedContact | None]) -> dict[str, changes.What]:
    """Merges are kept to be told; nobody takes them back with the import."""
    return {one.contact_id: changes.What(merged=True) for one in found if one and one.merged}
