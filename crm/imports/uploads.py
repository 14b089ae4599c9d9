"""Imports that people make step by step: a file is sent, its columns are mapped, a dry run tells what would happen, then it happens.

The file lies in parts in the database (`storage.files`) and goes away with the end of the import, at the latest after `KEEP`. Dry run and
import are jobs: `page` does one chunk inside a transaction of its caller; what can be read before the transaction is read before it
(`prepare`). Nothing here opens a job; `crm.jobs` does.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import or_
from sqlalchemy.orm import Session
from sqlmodel import col, select

from crm.imports import formats, recipes
from crm.imports.csv_cells import line_of
from crm.imports.csv_file import SHOWN, Bytes, Line, Shape, Source, records, scan
from crm.imports.formats import table
from crm.imports.imports import (
    ROWS_A_TRANSACTION,
    ImportReport,
    Options,
    Plan,
    Row,
    RowError,
    Shown,
    field_types,
    get_import,
    make_plan,
    shown,
)
from crm.imports.on_list import refuse_other
from crm.imports.reading import Reading
from crm.imports.subjects import subject
from crm.imports.subjects.subject import RowWriter, Subject
from crm.people import profile
from journeys.errors import Conflict, Invalid, Issue, NotFound
from models import Database, Import, Job, Upload, lock
from storage import files
from storage.erasure_fence import is_under_way, keep_erasures_out
from storage.files import Room, StoredFile
from storage.json_values import clean_text
from storage.sql import undone
from workspace.audit import record
from workspace.roles import NotAllowed, may

KEEP = timedelta(days=7)
"""How long a file stays whose import was not finished, or whose faulty rows nobody has fetched yet."""
SAMPLES = 3
LOOKED_BACK = 100
"""Imports among which one of a file with the same columns is looked for."""
REMEMBERED = ("date_order", "decimal", "region", "zone", "empty", "recipe")
"""What of a reading is chosen for the next file with the same columns, too."""
MAX_TAGS = 20
SHOWN_CHARACTERS = 80
KINDS_OF_FILE = formats.endings()
UNUSABLE: Mapping[str, str] = {
    "name": "Expected a CSV, Excel or JSON Lines file: its name ends in .csv, .tsv, .txt, .xlsx or .jsonl.",
    "empty": "The file is empty.",
    "binary": "This is not a text file. In a spreadsheet, choose “Save as” and the type CSV.",
    **table.UNUSABLE,
    "header": "No line of the file has column names.",
    "no_rows": "The file has column names but no rows.",
    "full": "There is no space for this file until earlier ones are imported or deleted.",
}
"""Why a file is refused at once: code -> sentence (message id of the catalogues)."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What a person decided about a file. `columns`: header -> target, empty to leave it out; `subject` what its rows are about, `table` which of its
    sheets is read (None: as before); the rest as in `crm.imports.imports.Options`."""

    columns: Mapping[str, str]
    reading: Reading | None = None
    source: str = ""
    tags: tuple[str, ...] = ()
    wake: bool = False
    subject: str | None = None
    segment: str = ""
    make: bool = False
    table: int | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table of a file with several: the upload that holds it, written out as text."""

    title: str
    upload: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the file with its first values and the target that stands for it now."""

    header: str
    samples: list[str]
    target: str


@dataclass(frozen=True, slots=True)
class Sent:
    """A file that somebody sent, found to be a table. `content` is the file itself, or the id of the upload that holds it; `sheets` all there are,
    where it was written out of another format."""

    name: str
    content: bytes | str
    plan: Plan
    sheets: tuple[Sheet, ...] = ()


def read_sent(file_name: str, content: bytes, types: Mapping[str, str] | None = None) -> Sent:
    """Looks through a file, before any transaction: it takes a while.

    Raises:
        Invalid: this is no table of text, or it has no header or no rows; `details["problem"]` is a code of `UNUSABLE`.
    """
    name = files.name_of(file_name)
    _refuse(content[:4_000], name)
    if not formats.is_text(name):
        raise _unusable("binary")
    return Sent(name, content, _looked_through(content, types or {}))


def receive(db: Database, file_name: str, content: bytes, by: str, now: datetime, real_now: datetime, room: Room) -> str:
    """Makes an import of a file that is here as a whole; its id. Raises: as `finish_upload`."""
    name = files.name_of(file_name)
    _refuse(content[:4_000], name)
    with db.write() as session:
        upload_id = files.store(session, name, content, by, real_now).id
    return finish_upload(db, upload_id, by, now, room)


def begin_upload(session: Session, file_name: str, size: int, by: str, real_now: datetime, room: Room, part_bytes: int) -> Upload:
    """Makes room for a file that comes in parts.

    Raises:
        Invalid: its name is none of a table, or it is empty.
        TooLarge: one file may not be so large, or too many wait.
    """
    _refuse_name(files.name_of(file_name))
    return files.begin(session, file_name, size, by, real_now, room, part_bytes)


def finish_upload(db: Database, upload_id: str, by: str, now: datetime, room: Room = Room()) -> str:
    """Looks through a file that came in parts, and makes an import of it; its id. What is no table is deleted at once, and so is a workbook as
    soon as its sheets are written out.

    Raises:
        NotFound: there is no such upload of this person.
        Conflict: parts are missing.
        Invalid: as `read_sent`.
        TooLarge: there is no room for what it holds.
    """
    with db.read() as session:
        row, types = session.get(Upload, upload_id), field_types(session)
    if row is None or row.created_by != by[:120]:
        raise NotFound("There is no such upload.")
    if row.import_id is not None:
        raise Conflict("This upload no longer exists, or is already an import.")
    if not files.is_complete(row):
        raise Conflict("Expected part {next}.", next=row.parts)
    made = _Made(db, row, by, room)
    try:
        sent = made.sent(types)
        with db.write() as session:
            done = take(session, sent, by, now, row.created_at).id
            if sent.sheets:
                files.drop(session, upload_id)
            return done
    except BaseException:
        made.drop()
        raise


class _Made:
    """What becomes of one upload: itself, or the sheets that are written out of it."""

    def __init__(self, db: Database, row: Upload, by: str, room: Room) -> None:
        self._db, self._row, self._by, self._room = db, row, by, room
        self._all = [row.id]

    def sent(self, types: Mapping[str, str]) -> Sent:
        row, format = self._row, formats.find(self._row.file_name)
        source = StoredFile(self._db, row.id, row.bytes, row.part_bytes)
        with source.open() as stream:
            _refuse(stream.read(4_000), row.file_name)
        if format is None or format.is_text:
            return Sent(row.file_name, row.id, _looked_through(source, types))
        try:
            sheets = tuple(self._written(one) for one in format.tables(source))
        except table.Unusable as unusable:
            raise _unusable(unusable.problem) from None
        return self._first_usable(sheets, types)

    def _written(self, one: table.Table) -> Sheet:
        writing = files.Writing(self._db, self._row.file_name, self._by, self._row.created_at, self._room)
        self._all.append(writing.id)
        for line in table.lines_of(one):
            writing.write(line.encode())
        writing.close()
        return Sheet(one.title, writing.id, one.names)

    def _first_usable(self, sheets: Sequence[Sheet], types: Mapping[str, str]) -> Sent:
        refused = _unusable("no_rows")
        for sheet in sheets:
            try:
                plan = _looked_through(_stored(self._db, sheet.upload), types, sheet.names)
            except Invalid as invalid:
                refused = invalid
            else:
                return Sent(self._row.file_name, sheet.upload, plan, tuple(sheets))
        raise refused

    def drop(self) -> None:
        with self._db.write() as session:
            for id in self._all:
                upload = session.get(Upload, id)
                if upload is not None and upload.import_id is None:
                    files.drop(session, id)


def _stored(db: Database, upload_id: str) -> StoredFile:
    with db.read() as session:
        row = session.get(Upload, upload_id)
    if row is None:
        raise NotFound("The file of this import no longer exists; upload it again.")
    return StoredFile(db, row.id, row.bytes, row.part_bytes)


def drop_upload(session: Session, upload_id: str, by: str) -> None:
    """Gives up a file that is still on its way; nothing happens to one that has arrived, or is somebody else's."""
    row = session.get(Upload, upload_id)
    if row is not None and row.created_by == by[:120] and row.import_id is None:
        files.drop(session, upload_id)


WRITTEN_OUT = Reading(encoding=table.ENCODING, separator=table.SEPARATOR, decimal=".")
"""How a table is read that was written out here of another format."""


def _looked_through(source: Source, types: Mapping[str, str], names: Sequence[str] | None = None) -> Plan:
    """`names`: of the columns, () if a row has them; None: this is the file as it was sent."""
    options = Options() if names is None else Options(reading=WRITTEN_OUT)
    try:
        plan = make_plan(source, options, types, scan(source), names=names or ())
    except Invalid:
        raise _unusable("header") from None
    if not plan.survey.rows:
        raise _unusable("no_rows")
    return plan


def take(session: Session, sent: Sent, by: str, now: datetime, real_now: datetime) -> Import:
    """Stores a file with guesses for its columns and its reading; an import in state `draft`. The file ages by real time.

    Raises:
        Conflict: the upload was made an import before, or is gone.
    """
    upload = (
        files.store(session, sent.name, sent.content, by, real_now) if isinstance(sent.content, bytes) else _claimed(session, sent.content)
    )
    about = {"upload": upload.id, "part_bytes": upload.part_bytes, "by": by[:120], "decided": False, **_described(sent.plan)}
    if sent.sheets:
        about["sheets"] = [[sheet.title, sheet.upload, list(sheet.names)] for sheet in sent.sheets]
    about |= _remembered(session, about)
    row = Import(file_name=sent.name, mapping=about, state="draft", created_at=now)
    session.add(row)
    session.flush()
    upload.import_id = row.id
    session.add(upload)
    for sheet in sent.sheets:
        if sheet.upload != upload.id:
            _claimed(session, sheet.upload).import_id = row.id
    record(session, by, "import.upload", f"import:{row.id}", {"rows": about["rows"], "bytes": about["bytes"]})
    return row


def _remembered(session: Session, about: Mapping[str, Any]) -> dict[str, Any]:
    """What was chosen for the newest import of a file with the same columns: what they become and how their cells are read. What everybody in the
    file agreed to is said anew each time, by somebody."""
    newest = (
        select(Import.id, Import.file_name, Import.mapping).where(Import.state == "done").order_by(col(Import.id).desc()).limit(LOOKED_BACK)
    )
    for id, file_name, before in session.execute(newest):
        if before.get("header") == about["header"] and before.get("decided") and "reading" in before:
            kept = {name: before["reading"].get(name) for name in REMEMBERED if before["reading"].get(name) is not None}
            reading, proposed = about["reading"] | kept, about["proposed"]["reading"] | kept
            columns = before["columns"]
            return {
                "subject": before.get("subject", "contacts"),
                "columns": columns,
                "reading": reading,
                "proposed": {"reading": proposed, "columns": columns},
                "as_in": [id, file_name],
            }
    return {}


def _claimed(session: Session, upload_id: str) -> Upload:
    upload: Upload | None = session.scalar(lock(session, select(Upload).where(Upload.id == upload_id)))
    if upload is None or upload.import_id is not None:
        raise Conflict("This upload no longer exists, or is already an import.")
    return upload


def _described(plan: Plan) -> dict[str, Any]:
    """What an import's row keeps of a plan."""
    shape = plan.survey.shape
    return {
        "digest": shape.digest,
        "header": list(shape.header),
        "bytes": shape.bytes,
        "rows": plan.survey.rows,
        "encoding": shape.encoding,
        "delimiter": shape.separator,
        "header_line": shape.header_line,
        "footer_rows": shape.footer_rows,
        "columns": plan.mapping,
        "reading": plan.reading.model_dump(mode="json"),
        "proposed": {"reading": plan.proposed.model_dump(mode="json"), "columns": plan.proposed_mapping},
        "why": {name: issue.model_dump(include={"text", "values"}) for name, issue in plan.why.items()},
        "left_out": [[line.number, clean_text(" ".join(line.cells)).strip()[:SHOWN_CHARACTERS]] for line in plan.survey.left_out],
    }


def _refuse_name(name: str) -> None:
    if formats.find(name) is None:
        raise _unusable("name")


def _refuse(start: bytes, name: str) -> None:
    """Raises:
    Invalid: this cannot be what its name says."""
    format = formats.find(name)
    problem = "name" if format is None else format.refuse(start)
    if problem:
        raise _unusable(problem)


def _unusable(problem: str) -> Invalid:
    return Invalid(UNUSABLE[problem], problem=problem)


def get_by_hand(session: Session, import_id: str) -> Import:
    """An import that goes step by step, unlike those of the command line.

    Raises:
        NotFound: there is no such import.
    """
    row = get_import(session, import_id)
    if "upload" not in row.mapping:
        raise NotFound("There is no such import.", import_id=import_id)
    return row


def reasons_of(row: Import) -> dict[str, Issue]:
    """Choice -> why it was guessed so."""
    return {name: Issue(code="why", **told) for name, told in row.mapping.get("why", {}).items()}


def recipe_of(row: Import) -> recipes.Recipe | None:
    """Whose export the file is taken for."""
    return recipes.recipes().get(reading_of(row).recipe or "")


def reading_of(row: Import) -> Reading:
    """How the cells are read now."""
    about = row.mapping
    if "reading" in about:
        return Reading.model_validate(about["reading"])
    return Reading(region=about.get("region"), recipe="")  # from before there was a choice


def subject_of(row: Import) -> Subject:
    """What its rows are about."""
    return subject(row.mapping.get("subject", "contacts"))


def as_in(row: Import) -> str:
    """The name of the file whose choices were taken over; empty if none was."""
    return str(row.mapping.get("as_in", ["", ""])[1]) if not row.mapping.get("decided", True) else ""


def sheets_of(row: Import) -> list[Sheet]:
    """All tables of its file, where it was written out of another format."""
    return [Sheet(title, upload, tuple(names)) for title, upload, names in row.mapping.get("sheets", [])]


def sheet_of(row: Import) -> int:
    """Which of them is read."""
    return next((number for number, one in enumerate(sheets_of(row)) if one.upload == row.mapping["upload"]), 0)


def proposed(row: Import) -> tuple[Reading, dict[str, str]]:
    """Reading and columns as a form shows them: what was decided, before that what is proposed."""
    about = row.mapping
    if about.get("decided", True):
        return reading_of(row), about["columns"]
    return Reading.model_validate(about["proposed"]["reading"]), about["proposed"]["columns"]


def columns_of(db: Database, row: Import) -> list[Column]:
    """The columns in the order of the file.

    Raises:
        NotFound: the file is gone.
    """
    source, shape = _file(db, row)
    lines = [line for line in islice(records(source, shape), 50) if not line.problem]
    columns = proposed(row)[1]
    return [Column(header, _samples(lines, index), columns.get(header, "")) for index, header in enumerate(shape.header) if header]


def _samples(lines: Sequence[Line], index: int) -> list[str]:
    """The first different values of a column."""
    values = dict.fromkeys(text for line in lines if (text := clean_text(line.cells[index]).strip()))
    return [value[:SHOWN_CHARACTERS] for value in list(values)[:SAMPLES]]


def preview(db: Database, row: Import, now: datetime) -> list[Shown]:
    """What the first rows become, as the form stands now; nothing where the columns cannot be read.

    Raises:
        NotFound: the file is gone.
    """
    source, shape = _file(db, row)
    reading, columns = proposed(row)
    with db.read() as session:
        types = field_types(session)
    try:
        read = subject_of(row).columns(shape.header, columns, types, reading)
    except Invalid:
        return []
    return [shown(read, line, now) for line in islice(records(source, shape), SHOWN)]


def decide(db: Database, import_id: str, draft: Draft) -> Import:
    """Stores what a person decided, whether or not rows can be read with it (`problems` tells). Another encoding, separator, header,
    footer or recipe means that the file is looked through anew, and that columns without a choice are guessed again.

    Raises:
        Invalid: a tag cannot be used, or the file is no table if it is read so.
        Conflict: the import is under way or over.
        NotFound: there is no such import, or its file is gone.
    """
    with db.read() as session:
        row = get_import(session, import_id)
    _check_draft(row)
    if len(draft.tags) > MAX_TAGS:
        raise Invalid("At most 20 tags can be added to an import.")
    tags = [profile.read_tag(tag) for tag in draft.tags]
    draft = _as_written_out(row, draft)
    anew = _anew(db, row, draft)
    with db.write() as session:
        row = _locked(session, import_id)
        _check_draft(row)
        if draft.segment:
            refuse_other(session, draft.segment)
        about = {**row.mapping, **anew}
        columns = {name: clean_text(draft.columns.get(name, "")).strip()[:200] for name in about["header"] if name}
        if "columns" in anew:
            columns = anew["columns"]
        elif draft.subject is not None and not draft.columns:
            columns = about["columns"]  # who says only what the rows are about has chosen no columns yet
        reading = anew.get("reading") or (draft.reading or reading_of(row)).model_dump(mode="json")
        decided = {"columns": columns, "reading": reading, "source": clean_text(draft.source)[:200], "tags": tags, "wake": draft.wake}
        row.mapping = {**about, **decided, "segment": draft.segment, "make": draft.make, "decided": True}
        row.state = "draft"
        session.add(row)
        return row


def _as_written_out(row: Import, draft: Draft) -> Draft:
    """Of what was written out here nobody chooses encoding and separator, and where the columns' names are known, no line either."""
    if draft.reading is None or not sheets_of(row):
        return draft
    fixed = {"encoding": table.ENCODING, "separator": table.SEPARATOR} | ({"header_line": 0} if sheets_of(row)[0].names else {})
    return replace(draft, reading=draft.reading.model_copy(update=fixed))


def _check_draft(row: Import) -> None:
    if row.state not in ("draft", "checked"):
        raise Conflict("This import is in progress or finished; upload the file again.")


def reads_anew(row: Import, draft: Draft) -> bool:
    """Whether the choices make another table of the file, or another program's export."""
    before, wanted = proposed(row)[0], draft.reading
    other = _other_subject(row, draft) or _other_sheet(row, draft) is not None
    return other or (wanted is not None and (wanted.dialect, wanted.recipe) != (before.dialect, before.recipe))


def _other_subject(row: Import, draft: Draft) -> bool:
    return draft.subject is not None and subject(draft.subject) is not subject_of(row)


def _other_sheet(row: Import, draft: Draft) -> Sheet | None:
    sheets = sheets_of(row)
    if draft.table is None or not 0 <= draft.table < len(sheets) or draft.table == sheet_of(row):
        return None
    return sheets[draft.table]


def _anew(db: Database, row: Import, draft: Draft) -> dict[str, Any]:
    """What a new look through the file shows; nothing if it is to be read as before."""
    if not reads_anew(row, draft):
        return {}
    before, wanted = proposed(row)[0], draft.reading or proposed(row)[0]
    about, sheet = subject(draft.subject) if draft.subject else subject_of(row), _other_sheet(row, draft)
    if sheet is not None:
        source, known = _stored(db, sheet.upload), None
        wanted = wanted.model_copy(update={"header_line": None, "footer_rows": None, "recipe": None, "everybody": ()})
        wanted = Reading.model_validate(wanted.model_dump(exclude_none=True, exclude={"everybody"}))
    else:
        source, shape = _file(db, row)
        known = Bytes(shape.encoding, shape.digest, shape.bytes)
    with db.read() as session:
        types = field_types(session)
    other = wanted.recipe != before.recipe or sheet is not None or _other_subject(row, draft)
    chosen = wanted.model_copy(update={"everybody": ()}) if other else wanted
    if other and sheet is None:
        chosen = Reading.model_validate(chosen.model_dump(exclude={"everybody", "date_order", "decimal"}))
    names: tuple[str, ...] = ()
    if sheets_of(row):
        names = (sheet or sheets_of(row)[sheet_of(row)]).names
        chosen = chosen.model_copy(update={"decimal": chosen.decimal or WRITTEN_OUT.decimal})
    guessing = None if about.key == "contacts" else about.guess
    plan = make_plan(source, Options({} if other else dict(draft.columns), chosen), types, known, names=names, subject=guessing)
    described = _described(plan) | {"subject": about.key} | ({"upload": sheet.upload} if sheet else {})
    described["columns"] = {name: plan.mapping[name] for name in plan.survey.shape.header if name}
    return described


def problems(row: Import) -> list[Issue]:
    """What is wrong with the columns as they are mapped now."""
    try:
        _check_columns(row)
    except Invalid as invalid:
        return list(invalid.issues)
    return []


def _check_columns(row: Import) -> None:
    """Raises:
    Invalid: they cannot be read as they are mapped; every problem is listed."""
    about = subject_of(row)
    about.columns(row.mapping["header"], row.mapping["columns"], {}, reading_of(row))
    if about.needs_list and not row.mapping.get("segment"):
        issue = Issue(code="no_segment", text="Choose the list that these contacts are put on.")
        raise Invalid("Choose the list that these contacts are put on.", [issue])


CONSENTS_BARRED = (
    "Your role can import contacts but not record consents: leave out those columns and the consent for "
    "everyone, or have marketing or sales import the file."
)


def acts_of(row: Import) -> list[str]:
    """What somebody does who imports this file as it is mapped now (`workspace.roles.ACTS`)."""
    about, header = subject_of(row), row.mapping["header"]
    targets = {**about.guess(header, {}, {}, {}), **row.mapping["columns"]}.values()
    return about.acts(list(targets), reading_of(row), row.mapping)


def begin(session: Session, import_id: str, role: str, *, dry: bool) -> Import:
    """Turns a mapped import into one that a job works on: `checking` (a dry run) or `running`. `role` is of whoever begins it.

    Raises:
        Invalid: the columns cannot be read as they are mapped; every problem is listed.
        Conflict: it is under way or over, or was not checked before it runs.
        NotAllowed: the file does something that the role may not, such as granting consents.
    """
    row = _locked(session, import_id)
    if not all(may(role, act) for act in acts_of(row)):
        raise NotAllowed(CONSENTS_BARRED)
    _check_columns(row)
    if row.state not in (("draft", "checked") if dry else ("checked",)):
        raise Conflict("This import is in progress or finished, or has not been checked yet.")
    row.state = "checking" if dry else "running"
    row.cursor = row.rows_ok = row.rows_failed = 0
    row.errors = []
    row.mapping = {**row.mapping, "counts": {}} | ({} if dry else {"dry": row.mapping.get("counts", {})})
    session.add(row)
    return row


# One chunk after the other


@dataclass(slots=True)
class _Reading:
    """A file being read: rows are taken from it in their order. `ready` is the chunk that begins at row `at`."""

    importer: RowWriter
    lines: Iterator[Line]
    next: int = 0
    at: int = -1
    ready: list[Row] = field(default_factory=list)


class _Readings:
    """The files this process reads now; a few, so that an abandoned one does not stay in memory."""

    def __init__(self, most: int = 4) -> None:
        self._most, self._lock = most, threading.Lock()
        self._known: OrderedDict[str, _Reading] = OrderedDict()

    def get(self, id: str) -> _Reading | None:
        with self._lock:
            return self._known.get(id)

    def put(self, id: str, reading: _Reading) -> None:
        with self._lock:
            self._known[id] = reading
            while len(self._known) > self._most:
                self._known.popitem(last=False)

    def drop(self, id: str) -> None:
        with self._lock:
            for key in [key for key in self._known if key.startswith(id)]:
                del self._known[key]


_readings = _Readings()


def prepare(db: Database, import_id: str, now: datetime, keys: Sequence[bytes] = ()) -> None:
    """Reads and understands the next chunk, outside any transaction that would lock others out. `keys`: see `crm.consent.suppression`.

    Raises:
        NotFound: the file is gone.
    """
    with db.read() as session:
        row = get_import(session, import_id)
        if row.state not in ("checking", "running"):
            return
        key = f"{import_id}.{row.state}"
        reading = _readings.get(key)
        options = _options(row, keys)
        stale = reading is None or reading.importer.options != options or reading.next > row.cursor + len(reading.ready)
        if reading is None or stale:
            source, shape = _file(db, row)
            writer = subject_of(row).writer(session, shape.header, options, row.file_name)
            reading = _Reading(writer, records(source, shape))
            _readings.put(key, reading)
    if reading.at == row.cursor:
        return
    try:
        _read_on(reading, row.cursor, now)
    except BaseException:  # lines were drawn that no chunk holds: whoever tries again begins the file anew
        _readings.drop(import_id)
        raise


def _read_on(reading: _Reading, cursor: int, now: datetime) -> None:
    for _ in islice(reading.lines, cursor - reading.next):
        pass
    chunk = list(islice(reading.lines, ROWS_A_TRANSACTION))
    reading.ready = [(line, reading.importer.read(line, now)) for line in chunk]
    reading.at, reading.next = cursor, cursor + len(chunk)


@dataclass(frozen=True, slots=True)
class Done:
    """What a page did: where the next begins, what to add to the job's counts, and whether it was the last."""

    cursor: int
    counts: Mapping[str, int]
    finished: bool


def page(session: Session, import_id: str, now: datetime) -> Done:
    """Writes the chunk that `prepare` has read, and moves the cursor; of a dry run only the report stays. Writes nothing while files are looked
    through for somebody who was erased.

    Raises:
        NotFound: no such import.
        Conflict: it is neither checked nor run.
    """
    keep_erasures_out(session)
    row = _locked(session, import_id)
    if row.state not in ("checking", "running"):
        raise Conflict("This import is not in progress.")
    if is_under_way(session):
        return Done(row.cursor, {}, finished=False)
    reading = _readings.get(f"{import_id}.{row.state}")
    if reading is None or reading.at != row.cursor:
        return Done(row.cursor, {}, finished=False)  # another server was faster: read again
    report = report_of(row)
    dry = row.state == "checking"
    before = (report.ok, report.failed)
    if dry:
        with undone(session):
            reading.importer.write(session, reading.ready, now, report)
    else:
        reading.importer.write(session, reading.ready, now, report)
    finished = len(reading.ready) < ROWS_A_TRANSACTION
    _keep(session, _locked(session, import_id), report, now, finished)
    counts = {"ok": report.ok - before[0], "failed": report.failed - before[1]}
    return Done(report.rows, {name: count for name, count in counts.items() if count}, finished)


def _keep(session: Session, row: Import, report: ImportReport, now: datetime, finished: bool) -> None:
    row.cursor, row.rows_ok, row.rows_failed = report.rows, report.ok, report.failed
    row.errors = [error.model_dump() for error in report.errors]
    row.mapping = {
        **row.mapping,
        "counts": {"created": report.created, "changed": report.changed, "withheld": report.withheld, "cells": report.cells},
    }
    session.add(row)
    if not finished:
        return
    _readings.drop(row.id)
    if row.state == "checking":
        row.state = "checked"
        return
    row.state, row.finished_at = "done", now
    if not row.errors:
        forget(session, row)


def stopped(session: Session, job: Job, state: str, now: datetime) -> None:
    """The job of an import ended early: what was written stays, and a dry run can be made again."""
    row = session.get(Import, job.input["import_id"])
    if row is None or row.state not in ("checking", "running"):
        return
    _readings.drop(row.id)
    if row.state == "checking":
        row.state = "draft"
    else:
        row.state, row.finished_at = state, now
    session.add(row)


def _options(row: Import, keys: Sequence[bytes]) -> Options:
    about = row.mapping
    return Options(
        mapping=about["columns"],
        reading=reading_of(row),
        keys=tuple(keys),
        source=about.get("source", ""),
        wake=about.get("wake", False),
        tags=tuple(about.get("tags", ())),
        segment=about.get("segment", ""),
        make=about.get("make", False),
    )


def report_of(row: Import) -> ImportReport:
    """How far it is."""
    about, counts = row.mapping, row.mapping.get("counts", {})
    return ImportReport(
        id=row.id,
        file_name=row.file_name,
        encoding=about["encoding"],
        delimiter=about["delimiter"],
        mapping=about["columns"],
        reading=reading_of(row),
        dry_run=row.state == "checking",
        state=row.state,
        rows=row.cursor,
        ok=row.rows_ok,
        failed=row.rows_failed,
        created=counts.get("created", 0),
        changed=counts.get("changed", 0),
        withheld=counts.get("withheld", 0),
        cells=counts.get("cells", 0),
        left_out=[number for number, _ in about.get("left_out", [])],
        fraction=min(1.0, row.cursor / max(1, about["rows"])),
        errors=[RowError.model_validate(error) for error in row.errors],
    )


# The file


def has_file(session: Session, row: Import) -> bool:
    return session.scalar(select(Upload.id).where(Upload.id == row.mapping.get("upload", ""))) is not None


def _file(db: Database, row: Import) -> tuple[StoredFile, Shape]:
    about = row.mapping
    with db.read() as session:
        upload = session.get(Upload, about.get("upload", ""))
    if upload is None:
        raise NotFound("The file of this import no longer exists; upload it again.")
    encoding = {"utf-8-sig": "utf-8"}.get(about["encoding"], about["encoding"])  # the name it had before
    header, line, footer = tuple(about["header"]), about.get("header_line", 1), about.get("footer_rows", 0)
    shape = Shape(encoding, about["delimiter"], header, line, footer, about["digest"], about["bytes"])
    return StoredFile(db, upload.id, upload.bytes, upload.part_bytes), shape


def faulty_rows(db: Database, row: Import, say: Mapping[str, str]) -> Iterator[str]:
    """The rows that were refused, or lost a cell, as CSV with their cells as they stood and the reasons behind them; `say`: reason ->
    sentence, and the words `line` and `reason`. At most the first thousand problems; nothing after the file is gone.

    Raises:
        NotFound: the file is gone.
    """
    source, shape = _file(db, row)
    errors: dict[int, list[str]] = {}
    for error in row.errors:
        column = f"{error['column']}: " if error["column"] else ""
        errors.setdefault(error["line"], []).append(column + say.get(error["reason"], say["invalid"]))
    last = max(errors, default=0)
    yield "\ufeff" + line_of([*shape.header, say["line"], say["reason"]])
    for line in records(source, shape):
        if line.number > last:
            return
        if line.number in errors:
            cells = [*line.cells, *[""] * (len(shape.header) - len(line.cells))]
            yield line_of([*cells, str(line.number), " ".join(errors[line.number])])


def forget(session: Session, row: Import) -> None:
    """Deletes the file of an import, and what was kept of its words; what it counted stays."""
    for id in {row.mapping.get("upload", ""), *(sheet.upload for sheet in sheets_of(row))}:
        files.drop(session, id)
    row.mapping = {**row.mapping, "left_out": [[number, ""] for number, _ in row.mapping.get("left_out", [])]}
    session.add(row)


def withdraw(session: Session, upload_id: str, now: datetime) -> int:
    """Deletes a file because somebody in it is being erased, and ends its import, wherever it is; 0 if the file is gone already.

    What was imported of it stays, and the rest can be imported from another file without that person.
    """
    upload = session.get(Upload, upload_id)
    if upload is None:
        return 0
    row = session.get(Import, upload.import_id) if upload.import_id else None
    files.drop(session, upload_id)
    if row is not None:
        forget(session, row)
        if row.finished_at is None:
            row.state, row.finished_at = "cancelled", now
    session.flush()
    return 1


def discard(session: Session, import_id: str, by: str, now: datetime) -> None:
    """A person is done with a file: it goes at once. An import that has not begun is over with it.

    Raises:
        Conflict: it is under way.
    """
    row = _locked(session, import_id)
    if row.state in ("checking", "running"):
        raise Conflict("This import is in progress.")
    forget(session, row)
    if row.state in ("draft", "checked"):
        row.state, row.finished_at = "cancelled", now
        session.add(row)
    record(session, by, "import.discard", f"import:{row.id}", {})


def are_old(session: Session, real_now: datetime) -> bool:
    """Whether `forget_old` would find anything."""
    return session.scalar(_old(real_now).limit(1)) is not None


def forget_old(session: Session, real_now: datetime, now: datetime, limit: int = 20) -> int:
    """Deletes files older than `KEEP`, and uploads that were not finished within a day; how many there were. Imports that still need
    theirs are over."""
    old = list(session.scalars(_old(real_now).limit(limit)))
    if not old:
        return 0
    ids = [upload.import_id for upload in old if upload.import_id]
    for upload in old:
        files.drop(session, upload.id)
    for row in session.scalars(select(Import).where(col(Import.id).in_(ids))):
        forget(session, row)
        if row.state in ("draft", "checked"):
            row.state, row.finished_at = "cancelled", now
    return len(old)


def _old(real_now: datetime) -> Any:
    late = or_(col(Upload.created_at) < real_now - KEEP, col(Upload.import_id).is_(None))
    return select(Upload).where(Upload.created_at < real_now - files.UNFINISHED, late)


def _locked(session: Session, import_id: str) -> Import:
    row: Import | None = session.scalar(lock(session, select(Import).where(Import.id == import_id)))
    if row is None:
        raise NotFound("There is no such import.", import_id=import_id)
    return row
