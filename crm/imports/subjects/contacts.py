"""People with their fields, tags and consents: a row makes a contact or changes one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from crm.imports.columns import Columns, guess, is_consent
from crm.imports.imports import Importer, Options
from crm.imports.reading import Reading


class Contacts:
    key = "contacts"
    label = "Contacts"
    help = "One person per row, with fields, tags and consents."
    target_names: Mapping[str, str] = {}
    needs_list = may_make = False

    def guess(
        self, header: Sequence[str], samples: Mapping[str, Sequence[str]], types: Mapping[str, str], given: Mapping[str, str]
    ) -> dict[str, str]:
        return guess(header, samples, types, given)

    def columns(self, header: Sequence[str], mapping: Mapping[str, str], types: Mapping[str, str], reading: Reading) -> Columns:
        return Columns(header, mapping, types=types, reading=reading)

    def acts(self, targets: Sequence[str], reading: Reading, options: Mapping[str, Any]) -> list[str]:
        consents = any(map(is_consent, targets)) or bool(reading.everybody)
        wanted = ["contact.import", *(["consent.record"] if consents else []), *(["run.start_many"] if options.get("wake") else [])]
        return wanted + (["segment.change"] if options.get("segment") else [])

    def writer(self, session: Session, header: Sequence[str], options: Options, file_name: str) -> Importer:
        return Importer(session, header, options, file_name)
