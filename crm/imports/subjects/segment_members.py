"""Who is on a list kept by hand: a row names a contact, by e-mail address or id, and puts it on the list. Its other columns are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from crm.imports import on_list
from crm.imports.imports import ImportReport, Options, RowError
from crm.imports.imports import on_list as put_on_list
from crm.imports.reading import Reading
from crm.imports.record_columns import RecordColumns, guess_record
from crm.imports.record_writer import About, RecordWriter


class SegmentMembers:
    key = "segment_members"
    label = "Members of a list"
    help = "Each row names a contact by e-mail address or id and puts it on a list kept by hand."
    target_names: Mapping[str, str] = {}
    needs_list = may_make = True

    def guess(
        self, header: Sequence[str], samples: Mapping[str, Sequence[str]], types: Mapping[str, str], given: Mapping[str, str]
    ) -> dict[str, str]:
        return guess_record(header, samples, given, {}, free=False)

    def columns(self, header: Sequence[str], mapping: Mapping[str, str], types: Mapping[str, str], reading: Reading) -> RecordColumns:
        return RecordColumns(header, mapping, {}, reading)

    def acts(self, targets: Sequence[str], reading: Reading, options: Mapping[str, Any]) -> list[str]:
        return ["contact.import", "segment.change", *(["run.start_many"] if options.get("wake") else [])]

    def writer(self, session: Session, header: Sequence[str], options: Options, file_name: str) -> RecordWriter:
        on_list.refuse_other(session, options.segment)
        return _Writer(RecordColumns(header, options.mapping, {}, options.reading), options)


class _Writer(RecordWriter):
    def put(self, session: Session, rows: Sequence[About], now: datetime, report: ImportReport) -> list[RowError]:
        ids = {one.contact.id for one in rows}
        report.changed += len(put_on_list(session, report.id, self.options, ids, now))
        return []
