"""What contacts agreed to or refused: a row is one statement with channel, purpose, state, time, source, wording and proof.

What the person said later stays: a statement that is older, or names no time, is logged or withheld as everywhere (`crm.consent`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from crm.imports.bulk import WriteMode, write_consents
from crm.imports.cells import CellProblem, slug_of
from crm.imports.columns import GRANTED, PENDING, WITHDRAWN, Said
from crm.imports.imports import ImportReport, RowError
from crm.imports.reading import Reading
from crm.imports.record_columns import Target, moment, text
from crm.imports.record_writer import About, RecordWriter
from crm.imports.subjects.record_subject import RecordSubject
from journeys.channels import CONSENTS, DEFAULT
from storage.json_values import clean_text

PURPOSE = "marketing"
_MOST_PURPOSE = 64


def _channel(cell: str, reading: Reading) -> str:
    found = {"e_mail": "email", "mail": "email"}.get(slug_of(cell), slug_of(cell))
    if found not in CONSENTS:
        raise CellProblem("unknown_channel")
    return found


def _purpose(cell: str, reading: Reading) -> str:
    found = slug_of(cell)
    if not found or not found[0].isalpha() or len(found) > _MOST_PURPOSE:
        raise CellProblem("unknown_purpose")
    return found


def _state(cell: str, reading: Reading) -> str:
    word = slug_of(cell)
    for state, words in (("granted", GRANTED), ("withdrawn", WITHDRAWN), ("pending", PENDING)):
        if word in words or word == state:
            return state
    raise CellProblem("invalid_consent")


TARGETS: Mapping[str, Target] = {
    "state": Target(_state, frozenset({"consent", "status", "einwilligung", "zustimmung", "antwort"}), required=True),
    "channel": Target(_channel, frozenset({"kanal"})),
    "purpose": Target(_purpose, frozenset({"zweck"})),
    "at": Target(moment, frozenset({"said_at", "timestamp", "date", "datum", "zeitpunkt", "consent_timestamp", "time"})),
    "source": Target(text(200), frozenset({"quelle", "herkunft"})),
    "wording": Target(text(4_000), frozenset({"wortlaut", "text"})),
    "proof": Target(text(2_000), frozenset({"nachweis", "beleg", "evidence"})),
}


class _Writer(RecordWriter):
    def put(self, session: Session, rows: Sequence[About], now: datetime, report: ImportReport) -> list[RowError]:
        late = [one for one in rows if one.record.values.get("at", now) > now]
        said = [(one.contact, _said(one), one.record.values.get("proof", "")) for one in rows if one not in late]
        done = write_consents(session, said, now, self._mode(report))
        report.changed += done.changed
        report.withheld += done.withheld
        return [RowError(line=one.line.number, reason="date_in_future", column=self.columns.header_of("at")) for one in late]

    def _mode(self, report: ImportReport) -> WriteMode:
        options, source = self.options, clean_text(f"import:{self.file_name}")[:200]
        return WriteMode(
            f"import:{report.id}",
            options.source or source,
            {"import": report.id},
            wake=options.wake,
            keys=options.keys,
            import_id="" if options.dry_run else report.id,
        )


class Consents(RecordSubject):
    key = "consents"
    label = "Consents"
    help = "Each row is one statement: who, channel, purpose, yes or no, when, where and in which words. What somebody said later is never overridden."
    target_names: Mapping[str, str] = {
        "state": "Yes or no",
        "channel": "Channel (e-mail if empty)",
        "purpose": "Purpose (marketing if empty)",
        "at": "Time of the statement",
        "source": "Source",
        "wording": "Wording they agreed to",
        "proof": "Proof",
    }
    targets = TARGETS
    writes = _Writer
    own_acts = ("consent.record",)


def _said(one: About) -> Said:
    said = one.record.values
    channel, purpose = said.get("channel", DEFAULT), said.get("purpose", PURPOSE)
    return Said(channel, purpose, said["state"], said.get("at"), said.get("source", ""), said.get("wording", ""))
