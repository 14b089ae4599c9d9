"""What contacts did: a row is one event with its name, its time and properties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from crm.imports import event_rows
from crm.imports.cells import CellProblem
from crm.imports.event_rows import Happened, key_of
from crm.imports.imports import ImportReport, RowError
from crm.imports.reading import Reading
from crm.imports.record_columns import Target, moment, text
from crm.imports.record_writer import About, RecordWriter
from crm.imports.subjects.record_subject import RecordSubject
from journeys.catalogue import SYSTEM_EVENTS, canonical_event


def _name(cell: str, reading: Reading) -> str:
    """As the catalogue calls it; our own events are told by nobody else."""
    if len(cell) > 200:
        raise CellProblem("cell_too_long")
    if cell in SYSTEM_EVENTS:
        raise CellProblem("system_event")
    return canonical_event(cell) or cell


TARGETS: Mapping[str, Target] = {
    "event": Target(
        _name, frozenset({"event_name", "metric", "metric_name", "name", "ereignis", "aktion", "action", "event_type"}), required=True
    ),
    "at": Target(
        moment,
        frozenset(
            {"timestamp", "time", "date", "datetime", "occurred_at", "event_time", "event_date", "created_at", "datum", "zeit", "zeitpunkt"}
        ),
        required=True,
    ),
    "message_id": Target(text(100), frozenset({"event_id", "uuid", "ereignis_id"})),
}


class _Writer(RecordWriter):
    def put(self, session: Session, rows: Sequence[About], now: datetime, report: ImportReport) -> list[RowError]:
        happened = [_happened(one) for one in rows]
        new = event_rows.store(session, report.id, happened, now, wake=self.options.wake, keep=not self.options.dry_run)
        report.changed += len(new)
        return []


class Events(RecordSubject):
    key = "events"
    label = "Events"
    help = "Each row says what a contact did and when; every other column is a property of the event. The same row in another file is the same event."
    target_names: Mapping[str, str] = {"event": "Name of the event", "at": "Time", "message_id": "Id of the event"}
    targets = TARGETS
    writes = _Writer
    has_properties = guesses_properties = True


def _happened(one: About) -> Happened:
    said = one.record.values
    name = one.record.names[0] if one.record.names else ("contact_id", one.record.contact_id)
    key = key_of(name, said["at"], one.record.properties, said.get("message_id", ""))
    return Happened(one.contact.id, said["event"], said["at"], one.record.properties, key)
