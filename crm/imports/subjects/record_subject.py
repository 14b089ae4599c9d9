"""What the subjects share whose rows say something about somebody: their columns are read as `crm.imports.record_columns` says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sqlalchemy.orm import Session

from crm.imports.imports import Options
from crm.imports.reading import Reading
from crm.imports.record_columns import RecordColumns, Target, guess_record
from crm.imports.record_writer import RecordWriter


class RecordSubject:
    """`targets`: of its own. `has_properties`: other columns may become properties; `guesses_properties`: they do unless somebody says otherwise.
    `own_acts`: besides importing contacts."""

    targets: ClassVar[Mapping[str, Target]] = {}
    writes: ClassVar[type[RecordWriter]]
    has_properties = guesses_properties = False
    own_acts: ClassVar[Sequence[str]] = ()
    needs_list = False
    may_make = True

    def guess(
        self, header: Sequence[str], samples: Mapping[str, Sequence[str]], types: Mapping[str, str], given: Mapping[str, str]
    ) -> dict[str, str]:
        return guess_record(header, samples, given, self.targets, free=self.guesses_properties)

    def columns(self, header: Sequence[str], mapping: Mapping[str, str], types: Mapping[str, str], reading: Reading) -> RecordColumns:
        return RecordColumns(header, mapping, self.targets, reading, free=self.has_properties)

    def acts(self, targets: Sequence[str], reading: Reading, options: Mapping[str, Any]) -> list[str]:
        return ["contact.import", *self.own_acts, *(["run.start_many"] if options.get("wake") else [])]

    def writer(self, session: Session, header: Sequence[str], options: Options, file_name: str) -> RecordWriter:
        return self.writes(self.columns(header, options.mapping, {}, options.reading), options, file_name)
