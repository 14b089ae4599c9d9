"""Who is on a list kept by hand: a row names a contact, by e-mail address or id, and puts it on the list. Its other columns are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from crm.imports import on_list
from crm.imports.imports import ImportReport, Options, RowError
from crm.imports.imports import on_list as put_on_list
from crm.imports.record_writer import About, RecordWriter
from crm.imports.subjects.record_subject import RecordSubject


class _Writer(RecordWriter):
    def put(self, session: Session, rows: Sequence[About], now: datetime, report: ImportReport) -> list[RowError]:
        ids = {one.contact.id for one in rows}
        report.changed += len(put_on_list(session, report.id, self.options, ids, now))
        return []


class SegmentMembers(RecordSubject):
    key = "segment_members"
    label = "Members of a list"
    help = "Each row names a contact by e-mail address or id and puts it on a list kept by hand."
    target_names: Mapping[str, str] = {}
    writes = _Writer
    own_acts = ("segment.change",)
    needs_list = True

    def writer(self, session: Session, header: Sequence[str], options: Options, file_name: str) -> RecordWriter:
        on_list.refuse_other(session, options.segment)
        return super().writer(session, header, options, file_name)
