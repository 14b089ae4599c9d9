"""Importing contacts with consents from a CSV file: row by row, resumable, nothing half-written.

Rows are written in chunks of one transaction each, which also moves the cursor of the `Import` row: after a crash the same file goes on where
it stopped, and a row is imported once. A row with a problem is listed with line and reason and changes nothing. What the import changes
wakes no journey unless asked. Unlike the rest of this room it opens its own transactions and is told the time by a function.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel
from sqlalchemy.orm import Session
from sqlmodel import col, select

from crm.catalogue import learn, load_catalogue
from crm.imports import changes, recipes
from crm.imports.bulk import WriteMode, write_people
from crm.imports.cells import region_of
from crm.imports.columns import Cell, Columns, Person, ReadColumns, RowProblem, column_types, guess
from crm.imports.csv_file import SHOWN, Bytes, Line, Source, Survey, examine, records
from crm.imports.on_list import put_on, refuse_other
from crm.imports.reading import Everybody, Reading, complete
from crm.people import profile
from journeys.errors import Conflict, Invalid, Issue, NotFound, PfadwerkError
from models import Database, Import, lock, new_id
from storage import erasure_fence
from storage.json_values import clean_text
from storage.sql import savepoint
from workspace.members import list_members

ROWS_A_TRANSACTION = 50
BEGAN = "began"
"""Where an import's row keeps the end of the audit trail at its beginning."""
ERASED_MEANWHILE = (
    "A contact was erased after this import began, and the file may contain them: the import stopped after {rows} rows. Remove the person "
    "from the file, then import it again; rows already imported are updated, not duplicated."
)
MAX_ERRORS = 1_000
"""So many are listed; all are counted."""


class RowError(BaseModel):
    """Something in the file that was left out: `reason` is a code of `REASONS`, `column` its header. `taken`: the row itself was imported,
    without that cell."""

    line: int
    reason: str
    column: str = ""
    taken: bool = False


class ImportReport(BaseModel):
    """How far an import got. `fraction` (0 to 1) goes by bytes; `errors` holds the first thousand."""

    id: str
    file_name: str
    encoding: str
    delimiter: str
    mapping: dict[str, str]
    reading: Reading
    dry_run: bool
    state: str
    resumed: bool = False
    rows: int = 0
    ok: int = 0
    created: int = 0
    changed: int = 0
    """Rows that changed something that was there before: a contact, or who is on a list."""
    failed: int = 0
    cells: int = 0
    """Cells that were left out of rows that were imported."""
    withheld: int = 0
    """Grants that were not recorded: without a date they cannot undo a withdrawal."""
    errors: list[RowError] = []
    left_out: list[int] = []
    """Lines before the header and after the last row that are no rows."""
    fraction: float = 0.0


@dataclass(slots=True)
class Options:
    """`mapping`: header -> target (see `crm.imports.columns`). `reading`: what is chosen about cells and consents; the rest is guessed. `wake`: let
    journeys start. `source`: where the consents come from, if no column says so; default is the file's name. `segment`: the list kept by hand that
    everybody is put on; `make`: rows about nobody known make a contact, where the subject leaves the choice. `keys`: the first hashes addresses that
    are suppressed."""

    mapping: Mapping[str, str] = field(default_factory=dict)
    reading: Reading = field(default_factory=Reading)
    source: str = ""
    wake: bool = False
    dry_run: bool = False
    tags: tuple[str, ...] = ()
    segment: str = ""
    make: bool = False
    keys: tuple[bytes, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a file will be read: what was chosen, and what was found out for the rest. `why`: choice -> the reason of its guess.

    `proposed` and `proposed_mapping`: the same with what only a person may say: that everybody in the file agreed (never true because a
    file looks like somebody's export), and the country of national phone numbers.
    """

    survey: Survey
    reading: Reading
    mapping: dict[str, str]
    recipe: recipes.Recipe | None
    why: Mapping[str, Issue]
    proposed: Reading
    proposed_mapping: dict[str, str]


class Guess(Protocol):
    """Header -> target, for columns that nobody has chosen (`crm.imports.columns.guess`, `crm.imports.subjects`)."""

    def __call__(
        self, header: Sequence[str], samples: Mapping[str, Sequence[str]], types: Mapping[str, str], given: Mapping[str, str]
    ) -> dict[str, str]: ...


def make_plan(
    source: Source,
    options: Options,
    types: Mapping[str, str],
    known: Bytes | None = None,
    *,
    names: Sequence[str] = (),
    subject: Guess | None = None,
) -> Plan:
    """Looks through the whole file once. `types`: field -> type, from the catalogue; `known`: what `csv_file.scan` found; `names`: of the columns, where
    the file is not to be asked. `subject`: what guesses the columns of rows that are no contacts; recipes are for contacts only.

    Raises:
        Invalid: the file cannot be read as a table.
    """
    survey = examine(source, options.reading.dialect, known, names)
    header, chosen = survey.shape.header, options.reading
    recipe = recipes.find(header, chosen.recipe) if subject is None else None
    if chosen.recipe and recipe is None and subject is None:
        raise Invalid("There is no recipe {name}; available: {known}.", name=chosen.recipe, known=list(recipes.recipes()))
    filled = recipe.fill(chosen) if recipe else chosen.model_copy(update={"recipe": ""})
    given = {**(recipe.targets(header) if recipe else {}), **options.mapping}
    mapping = {**(subject or guess)(header, _samples(survey), types, given), **given}
    left_open = filled.model_copy(update={name: getattr(chosen, name) for name in ("date_order", "decimal")})
    found = complete(left_open, survey, column_types(header, mapping, types))
    usual = {name: getattr(filled, name) for name in ("date_order", "decimal") if getattr(found.reading, name) is None}
    proposed = found.reading.model_copy(update=usual)
    reading = proposed if chosen.recipe is not None else proposed.model_copy(update={"everybody": _safe(chosen, proposed)})
    if proposed.region is None and (region := _region(survey, mapping)):
        proposed = proposed.model_copy(update={"region": region})
        found.why["region"] = Issue(code="why", text="the other numbers in the column are from there, and these would be valid there")
    effective = _without_orphans(mapping, reading, options.mapping)
    return Plan(survey, reading, effective, recipe, found.why, proposed, _without_orphans(mapping, proposed, options.mapping))


def _safe(chosen: Reading, proposed: Reading) -> tuple[Everybody, ...]:
    """What may be assumed of everybody in a file that was only recognised: withdrawals."""
    if "everybody" in chosen.model_fields_set:
        return chosen.everybody
    return tuple(one for one in proposed.everybody if one.state == "withdrawn")


def _region(survey: Survey, mapping: Mapping[str, str]) -> str | None:
    phones = [index for index, name in enumerate(survey.shape.header) if mapping.get(name) == "phone"]
    cells = (line.cells[index].strip().lstrip("'") for line in survey.sample if not line.problem for index in phones)
    return region_of(cell for cell in cells if cell)


def _samples(survey: Survey) -> dict[str, list[str]]:
    """Header -> what stands in the column, here and there in the file."""
    lines = [line for line in survey.sample if not line.problem]
    return {name: [text for line in lines if (text := line.cells[index].strip())] for index, name in enumerate(survey.shape.header) if name}


def _without_orphans(mapping: Mapping[str, str], reading: Reading, chosen: Mapping[str, str]) -> dict[str, str]:
    """Dates of a consent that nobody states are left out, unless a person asked for them."""
    stated = {f"consent_{one.channel}_{one.purpose}_at" for one in reading.everybody}
    stated |= {f"{target}_at" for target in mapping.values() if target.startswith("consent_")}
    orphans = {
        name for name, target in mapping.items() if target.endswith("_at") and target.startswith("consent_") and target not in stated
    }
    return {name: "" if name in orphans and name not in chosen else target for name, target in mapping.items()}


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
    with db.write() as session:
        erasure_fence.keep_erasures_out(session)
        began, types = erasure_fence.newest_line(session), field_types(session)
    plan = make_plan(path, options, types)
    job = _Job(db, path, plan, clock, options, (file_name or path.name)[:200], began)
    job.start(import_id)
    for chunk in _chunks(path, plan, job.report.rows):
        job.write(chunk)
        if progress:
            progress(job.report)
    job.finish()
    if progress:
        progress(job.report)
    return job.report


def field_types(session: Session) -> dict[str, str]:
    """Field -> type, where one is built in or declared. What traffic taught describes values and must not change them (`crm.people.coercion`)."""
    return {name: spec.type for name, spec in load_catalogue(session).fields.items() if spec.origin != "learned"}


@dataclass(frozen=True, slots=True)
class Shown:
    """A row of the preview: its line, what each cell becomes, and why the row is refused (a code, "" if it is not)."""

    line: int
    cells: list[Cell]
    refused: str = ""


def preview(plan: Plan, types: Mapping[str, str], now: datetime, limit: int = SHOWN) -> list[Shown]:
    """What the first rows become, without a database.

    Raises:
        Invalid: the columns cannot be read as they are mapped.
    """
    columns = Columns(plan.survey.shape.header, plan.mapping, types=types, reading=plan.reading)
    return [shown(columns, line, now) for line in plan.survey.sample[:limit]]


def shown(columns: ReadColumns, line: Line, now: datetime) -> Shown:
    """What one row becomes."""
    if line.problem:
        return Shown(line.number, [], line.problem)
    try:
        columns.read(line.cells, now)
    except RowProblem as problem:
        return Shown(line.number, columns.shown(line.cells, now), problem.reason)
    return Shown(line.number, columns.shown(line.cells, now))


def get_import(session: Session, import_id: str) -> Import:
    """Raises: NotFound: no such import."""
    row = session.get(Import, import_id)
    if row is None:
        raise NotFound("There is no such import.", import_id=import_id)
    return row


def list_imports(session: Session, limit: int = 50) -> list[Import]:
    """The newest imports first."""
    return list(session.scalars(select(Import).order_by(col(Import.id).desc()).limit(min(limit, 200))))


def count_errors(report: ImportReport, errors: Sequence[RowError]) -> None:
    """Adds what was left out of some rows."""
    cells = sum(error.taken for error in errors)
    report.cells += cells
    report.failed += len(errors) - cells
    report.errors += sorted(errors, key=lambda error: error.line)[: max(0, MAX_ERRORS - len(report.errors))]


def on_list(session: Session, import_id: str, options: Options, contact_ids: Collection[str], now: datetime) -> list[str]:
    """Puts contacts on the list of an import, and keeps whom it put there; those are returned."""
    segment, new = put_on(session, options.segment, contact_ids, now, wake=options.wake)
    if not options.dry_run:
        changes.keep(session, import_id, (), {id: changes.What(lists=[segment.id]) for id in new}, now)
    return new


class Importer:
    """Reads the rows of one file and writes them inside transactions of its caller; knows neither where the file is nor how far it got."""

    def __init__(self, session: Session, header: Sequence[str], options: Options, file_name: str) -> None:
        """Raises:
        Invalid: the columns cannot be read; every problem is listed."""
        if options.segment:
            refuse_other(session, options.segment)
        self.owners = {key: member.id for member in list_members(session) for key in (member.id, member.email)}
        self.columns = Columns(header, options.mapping, types=field_types(session), reading=options.reading)
        self.options, self.file_name = options, file_name

    def read(self, line: Line, now: datetime) -> Person | RowError:
        """What a line says, or why it says nothing usable; asks no database."""
        if line.problem:
            return RowError(line=line.number, reason=line.problem)
        try:
            person = self.columns.read(line.cells, now)
        except RowProblem as problem:
            return RowError(line=line.number, reason=problem.reason, column=problem.column)
        said = str(person.fields.get("owner") or "").lower()
        if said in self.owners:
            person.fields["owner"] = self.owners[said]
        elif said:
            del person.fields["owner"]
            person.problems.append((self.columns.header_of("owner"), "unknown_owner"))
        return person

    def write(self, session: Session, rows: Sequence[Row], now: datetime, report: ImportReport) -> None:
        """Writes what can be written and counts it in `report`; a row that cannot be written at all changes nothing."""
        report.rows += len(rows)
        errors = [row for _, row in rows if isinstance(row, RowError)]
        errors += self._write([(line, row) for line, row in rows if isinstance(row, Person)], session, now, report)
        count_errors(report, errors)
        self._learn(session, [row for _, row in rows if isinstance(row, Person)], now)

    def _write(self, people: Sequence[tuple[Line, Person]], session: Session, now: datetime, report: ImportReport) -> list[RowError]:
        """All together; where that fails the two halves apart, down to the row that is to blame."""
        if not people:
            return []
        try:
            with savepoint(session):
                done = write_people(session, [person for _, person in people], now, self._manner(report))
                if self.options.segment:
                    on_list(session, report.id, self.options, done.contact_ids, now)
        except PfadwerkError as problem:
            if len(people) == 1:
                return [RowError(line=people[0][0].number, reason=problem.code)]
            half = len(people) // 2
            return [error for part in (people[:half], people[half:]) for error in self._write(part, session, now, report)]
        report.ok += len(people)
        report.created += done.created
        report.changed += done.changed
        report.withheld += done.withheld
        left_out = [(line.number, column, reason) for line, person in people for column, reason in person.problems]
        left_out += [(people[index][0].number, self.columns.header_of(name), reason) for index, name, reason in done.refused]
        return [RowError(line=line, column=column, reason=reason, taken=True) for line, column, reason in left_out]

    def _manner(self, report: ImportReport) -> WriteMode:
        source, options = f"import:{self.file_name}", self.options
        proof, region = {"import": report.id}, options.reading.region
        return WriteMode(
            f"import:{report.id}",
            options.source or clean_text(source)[:200],
            proof,
            options.tags,
            region,
            options.wake,
            options.keys,
            "" if options.dry_run else report.id,
        )

    def _learn(self, session: Session, people: Sequence[Person], now: datetime) -> None:
        """Tells the catalogue what fields there are now."""
        free = {name: value for person in people for name, value in person.fields.items() if name not in profile.COLUMNS}
        if free:
            learn(session, free, {}, now)


class _Job:
    """One import from its first row in this process to its last."""

    def __init__(
        self, db: Database, path: Path, plan: Plan, clock: Callable[[], datetime], options: Options, file_name: str, began: int
    ) -> None:
        """`began`: the end of the audit trail before the file was read (`storage.erasure_fence`)."""
        self.db, self.path, self.shape, self.clock, self.file_name = db, path, plan.survey.shape, clock, file_name
        self.options = replace(options, mapping=plan.mapping, reading=plan.reading)
        with db.read() as session:
            self.importer = Importer(session, self.shape.header, self.options, file_name)
        self._began = began
        self.report = new_report(plan, file_name, dry_run=options.dry_run)

    def start(self, import_id: str | None) -> None:
        """Finds the unfinished import or begins one."""
        if self.options.dry_run:
            return
        with self.db.write() as session:
            row = get_import(session, import_id) if import_id else self._unfinished(session)
            if row is None:
                began = {BEGAN: self._began}
                row = Import(file_name=self.file_name, mapping=self._identity() | began, created_at=self.clock())
                session.add(row)
            elif row.state != "running" or _without_began(row.mapping) != self._identity():
                raise Conflict("This import is finished, or it was started with another file or mapping.")
            report = self.report
            report.id, report.resumed = row.id, row.cursor > 0
            report.rows, report.ok, report.failed = row.cursor, row.rows_ok, row.rows_failed
            report.errors = [RowError.model_validate(error) for error in row.errors]
            self._began = row.mapping.get(BEGAN, self._began)

    def write(self, chunk: list[Line]) -> None:
        """One transaction for the chunk and the cursor."""
        now = self.clock()
        read = [(line, self.importer.read(line, now)) for line in chunk]
        report = self.report.model_copy(update={"errors": list(self.report.errors)})
        with contextlib.suppress(_Undone), self.db.write() as session:
            erasure_fence.keep_erasures_out(session)
            newest = erasure_fence.newest_line(session)
            erased = not self.options.dry_run and erasure_fence.erased_since(session, self._began)
            if erased:
                self._give_up(session)
            else:
                self.importer.write(session, read, now, report)
                if self.options.dry_run:
                    raise _Undone
                self._move_cursor(session, report)
        if erased:
            raise Conflict(ERASED_MEANWHILE, rows=self.report.rows)
        self._began = newest  # nobody was erased up to here: the trail is not read twice
        report.fraction = min(1.0, chunk[-1].position / max(1, self.shape.bytes))
        self.report = report

    def _give_up(self, session: Session) -> None:
        """The file was begun before somebody was erased whom it may name: the same command makes another import of it, on somebody's word."""
        row = self._row(session)
        row.state, row.finished_at = "cancelled", self.clock()
        session.add(row)

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
            raise Conflict("Someone else is importing this file right now.")
        return row

    def _identity(self) -> dict[str, Any]:
        """What makes two imports the same: bytes and meaning of the file."""
        reading = self.options.reading.model_dump(mode="json")
        return {"digest": self.shape.digest, "columns": self.importer.columns.mapping, "reading": reading}

    def _unfinished(self, session: Session) -> Import | None:
        running = session.scalars(select(Import).where(Import.state == "running").order_by(col(Import.id).desc()))
        return next((row for row in running if _without_began(row.mapping) == self._identity()), None)


def _without_began(mapping: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in mapping.items() if name != BEGAN}


def _chunks(path: Path, plan: Plan, skip: int) -> Iterator[list[Line]]:
    rest = islice(records(path, plan.survey.shape), skip, None)
    while chunk := list(islice(rest, ROWS_A_TRANSACTION)):
        yield chunk


def new_report(plan: Plan, file_name: str, *, dry_run: bool) -> ImportReport:
    """The report of an import that has not begun."""
    shape = plan.survey.shape
    return ImportReport(
        id=new_id(),
        file_name=file_name,
        encoding=shape.encoding,
        delimiter=shape.separator,
        mapping=plan.mapping,
        reading=plan.reading,
        dry_run=dry_run,
        state="running",
        left_out=[line.number for line in plan.survey.left_out],
    )


REASONS = {
    "line_too_long": "The line is too long.",
    "unreadable": "This line cannot be read; a quotation mark may be missing.",
    "cell_too_long": "A cell is too long.",
    "too_many_cells": "The line has more filled cells than the header, so it is unclear which cell belongs to which column.",
    "no_name": "Nothing in this line identifies a contact.",
    "invalid_consent": "Expected a consent such as yes, no, granted, withdrawn or pending.",
    "invalid_date": "Expected a date such as 2026-03-01 or 1.3.2026, in the order of day and month that is chosen.",
    "ambiguous_date": "Day and month could be either way round; choose the order of dates.",
    "date_in_future": "Consent cannot be dated in the future.",
    "invalid_number": "Expected a number, with the decimal sign that is chosen.",
    "ambiguous_number": "This may be thousands or decimals; choose the decimal sign.",
    "invalid_boolean": "Expected yes or no.",
    "several_addresses": "Only the first of several addresses was taken.",
    "digits_lost": "A spreadsheet has rounded this number, and its last digits are lost.",
    "unknown_contact": "No contact is known by what this line says.",
    "missing_value": "This line needs a value in that column.",
    "unknown_channel": "Expected a channel such as email or sms.",
    "unknown_purpose": "Expected a purpose such as marketing.",
    "invalid_currency": "Expected a currency of three letters such as EUR.",
    "system_event": "Events of this name are recorded by the system itself.",
    "unknown_owner": "The owner is not a member of the team.",
    "too_large": "The contact would become too large.",
    "conflict": "The contact was erased or merged meanwhile.",
    "invalid": "The line cannot be stored.",
}
"""Code of an error -> sentence (message id of the catalogues); codes of fields are in `crm.people.contacts.REASONS`."""
