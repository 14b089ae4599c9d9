"""Imports that people make step by step: a file is sent, its columns are mapped, a dry run tells what would happen, then it happens.

The file lies in the database, because any web server may go on with it, and goes away with the end of the import, at the latest
after `KEEP`. Dry run and import are jobs: `page` does one chunk inside a transaction of its caller; what can be read before the
transaction is read before it (`prepare`). Nothing here opens a job; `crm.jobs` does.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

from sqlalchemy import delete
from sqlalchemy.orm import Session
from sqlmodel import col, select

from crm import profile
from crm.audit import record
from crm.columns import Columns, guess
from crm.csv_file import Line, Shape, examine, records
from crm.imports import ROWS_A_TRANSACTION, Importer, ImportReport, Options, Row, RowError, get_import
from crm.payload import clean_text
from crm.sheets import line_of
from crm.sql import undone
from journeys.errors import Conflict, Invalid, Issue, NotFound
from models import Database, Import, Job, Upload, lock

KEEP = timedelta(days=7)
"""How long a file stays whose import was not finished, or whose faulty rows nobody has fetched yet."""
SAMPLES = 3
MAX_TAGS = 20
SHOWN_CHARACTERS = 80
KINDS_OF_FILE = (".csv", ".txt", ".tsv")
_BINARY = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"\x1f\x8b")
"""How files begin that people take for tables: workbooks, PDFs, pictures, archives."""
UNUSABLE: Mapping[str, str] = {
    "name": "Expected a CSV file: its name ends in .csv, .tsv or .txt.",
    "empty": "The file is empty.",
    "binary": "This is no text file. In a spreadsheet, choose “Save as” and the type CSV.",
    "header": "The first line of the file has no names of columns.",
    "no_rows": "The file has names of columns but no rows.",
}
"""Why a file is refused at once: code -> sentence (message id of the catalogues)."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What a person decided about a file. `columns`: header -> target, empty to leave it out; the rest as in `crm.imports.Options`."""

    columns: Mapping[str, str]
    region: str | None = None
    source: str = ""
    tags: tuple[str, ...] = ()
    wake: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the file with its first values and the target that stands for it now."""

    header: str
    samples: list[str]
    target: str


@dataclass(frozen=True, slots=True)
class Sent:
    """A file that somebody sent, found to be a table with `rows` rows."""

    name: str
    content: bytes
    shape: Shape
    rows: int


def read_sent(file_name: str, content: bytes) -> Sent:
    """Looks through a file, before any transaction: it takes a while.

    Raises:
        Invalid: this is no table of text, or it has no header or no rows; `details["problem"]` is a code of `UNUSABLE`.
    """
    name = clean_text(file_name).replace("\\", "/").rsplit("/", 1)[-1].strip()[-200:] or "import.csv"
    _refuse(content, name)
    try:
        shape = examine(content)
    except Invalid:
        raise _unusable("header") from None
    rows = sum(1 for _ in records(content, shape))
    if not rows:
        raise _unusable("no_rows")
    return Sent(name, content, shape, rows)


def take(session: Session, sent: Sent, by: str, now: datetime) -> Import:
    """Stores a file with guesses for its columns; an import in state `draft`."""
    shape = sent.shape
    upload = Upload(file_name=sent.name, content=sent.content, created_at=now, created_by=by[:120])
    session.add(upload)
    about = {"upload": upload.id, "digest": shape.digest, "header": list(shape.header), "bytes": shape.bytes, "rows": sent.rows}
    about |= {"encoding": shape.encoding, "delimiter": shape.delimiter, "columns": guess(shape.header), "by": by[:120]}
    row = Import(file_name=sent.name, mapping=about, state="draft", created_at=now)
    session.add(row)
    session.flush()
    record(session, by, "import.upload", f"import:{row.id}", {"rows": sent.rows, "bytes": shape.bytes}, now)
    return row


def _refuse(content: bytes, name: str) -> None:
    """Raises:
    Invalid: this cannot be a table of text."""
    if not name.lower().endswith(KINDS_OF_FILE):
        raise _unusable("name")
    if not content.strip():
        raise _unusable("empty")
    is_utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    if content.startswith(_BINARY) or (b"\x00" in content[:4_000] and not is_utf16):
        raise _unusable("binary")


def _unusable(problem: str) -> Invalid:
    return Invalid(UNUSABLE[problem], problem=problem)


def columns_of(session: Session, row: Import) -> list[Column]:
    """The columns in the order of the file.

    Raises:
        NotFound: the file is gone.
    """
    content, shape = _file(session, row)
    lines = [line for line in islice(records(content, shape), 50) if not line.problem]
    return [
        Column(header, _samples(lines, index), row.mapping["columns"].get(header, ""))
        for index, header in enumerate(shape.header)
        if header
    ]


def _samples(lines: Sequence[Line], index: int) -> list[str]:
    """The first different values of a column."""
    values = dict.fromkeys(text for line in lines if (text := clean_text(line.cells[index]).strip()))
    return [value[:SHOWN_CHARACTERS] for value in list(values)[:SAMPLES]]


def decide(session: Session, import_id: str, draft: Draft) -> Import:
    """Stores what a person decided, whether or not rows can be read with it (`problems` tells).

    Raises:
        Invalid: a tag cannot be used.
        Conflict: the import is under way or over.
    """
    row = _locked(session, import_id)
    if row.state not in ("draft", "checked"):
        raise Conflict("This import is under way or over; upload the file again.")
    if len(draft.tags) > MAX_TAGS:
        raise Invalid("At most 20 tags can be added to an import.")
    tags = [profile.read_tag(tag) for tag in draft.tags]
    header = set(row.mapping["header"])
    columns = {name: clean_text(target).strip()[:200] for name, target in draft.columns.items() if name in header}
    decided = {"columns": columns, "region": draft.region, "source": clean_text(draft.source)[:200], "tags": tags, "wake": draft.wake}
    row.mapping = {**row.mapping, **decided}
    row.state = "draft"
    session.add(row)
    return row


def problems(row: Import) -> list[Issue]:
    """What is wrong with the columns as they are mapped now."""
    try:
        Columns(row.mapping["header"], row.mapping["columns"], region=row.mapping.get("region"))
    except Invalid as invalid:
        return list(invalid.issues)
    return []


def begin(session: Session, import_id: str, *, dry: bool) -> Import:
    """Turns a mapped import into one that a job works on: `checking` (a dry run) or `running`.

    Raises:
        Invalid: the columns cannot be read as they are mapped; every problem is listed.
        Conflict: it is under way or over, or was not checked before it runs.
    """
    row = _locked(session, import_id)
    Columns(row.mapping["header"], row.mapping["columns"], region=row.mapping.get("region"))
    if row.state not in (("draft", "checked") if dry else ("checked",)):
        raise Conflict("This import is under way or over, or was not checked yet.")
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

    importer: Importer
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


def prepare(db: Database, import_id: str, now: datetime) -> None:
    """Reads and understands the next chunk, outside any transaction that would lock others out.

    Raises:
        NotFound: the file is gone.
    """
    with db.read() as session:
        row = get_import(session, import_id)
        if row.state not in ("checking", "running"):
            return
        key = f"{import_id}.{row.state}"
        reading = _readings.get(key)
        stale = reading is None or reading.importer.options != _options(row) or reading.next > row.cursor + len(reading.ready)
        if reading is None or stale:
            content, shape = _file(session, row)
            reading = _Reading(Importer(session, shape.header, _options(row), row.file_name), records(content, shape))
            _readings.put(key, reading)
    if reading.at == row.cursor:
        return
    for _ in islice(reading.lines, row.cursor - reading.next):
        pass
    chunk = list(islice(reading.lines, ROWS_A_TRANSACTION))
    reading.ready = [(line, reading.importer.read(line, now)) for line in chunk]
    reading.at, reading.next = row.cursor, row.cursor + len(chunk)


@dataclass(frozen=True, slots=True)
class Done:
    """What a page did: where the next begins, what to add to the job's counts, and whether it was the last."""

    cursor: int
    counts: Mapping[str, int]
    finished: bool


def page(session: Session, import_id: str, now: datetime) -> Done:
    """Writes the chunk that `prepare` has read, and moves the cursor; of a dry run only the report stays.

    Raises:
        NotFound: no such import.
        Conflict: it is neither checked nor run.
    """
    row = _locked(session, import_id)
    if row.state not in ("checking", "running"):
        raise Conflict("This import is not under way.")
    reading = _readings.get(f"{import_id}.{row.state}")
    if reading is None or reading.at != row.cursor:
        return Done(row.cursor, {}, finished=False)  # another server was faster: read again
    report = _report(row)
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
    row.mapping = {**row.mapping, "counts": {"created": report.created, "withheld": report.withheld}}
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


def _options(row: Import) -> Options:
    about = row.mapping
    return Options(
        mapping=about["columns"],
        region=about.get("region"),
        source=about.get("source", ""),
        wake=about.get("wake", False),
        tags=tuple(about.get("tags", ())),
    )


def _report(row: Import) -> ImportReport:
    about, counts = row.mapping, row.mapping.get("counts", {})
    return ImportReport(
        id=row.id,
        file_name=row.file_name,
        encoding=about["encoding"],
        delimiter=about["delimiter"],
        mapping=about["columns"],
        dry_run=row.state == "checking",
        state=row.state,
        rows=row.cursor,
        ok=row.rows_ok,
        failed=row.rows_failed,
        created=counts.get("created", 0),
        withheld=counts.get("withheld", 0),
        errors=[RowError.model_validate(error) for error in row.errors],
    )


# The file


def has_file(session: Session, row: Import) -> bool:
    return session.scalar(select(Upload.id).where(Upload.id == row.mapping.get("upload", ""))) is not None


def _file(session: Session, row: Import) -> tuple[bytes, Shape]:
    upload = session.get(Upload, row.mapping.get("upload", ""))
    if upload is None:
        raise NotFound("The file of this import is gone; upload it again.")
    about = row.mapping
    shape = Shape(about["encoding"], about["delimiter"], tuple(about["header"]), about["digest"], about["bytes"])
    return upload.content, shape


def faulty_rows(session: Session, row: Import, say: Mapping[str, str]) -> Iterator[str]:
    """The rows that failed as CSV, with their cells as they stood and the reason behind them; `say`: reason -> sentence, and the words
    `line` and `reason`. At most the first thousand; nothing after the file is gone.

    Raises:
        NotFound: the file is gone.
    """
    content, shape = _file(session, row)
    errors = {error["line"]: error for error in row.errors}
    yield "\ufeff" + line_of([*shape.header, say["line"], say["reason"]])
    for line in records(content, shape):
        error = errors.get(line.number)
        if error is not None:
            cells = [*line.cells, *[""] * (len(shape.header) - len(line.cells))]
            column = f"{error['column']}: " if error["column"] else ""
            yield line_of([*cells, str(line.number), column + say.get(error["reason"], say["invalid"])])


def forget(session: Session, row: Import) -> None:
    """Deletes the file of an import; what it counted stays."""
    session.execute(delete(Upload).where(col(Upload.id) == row.mapping.get("upload", "")))


def discard(session: Session, import_id: str, by: str, now: datetime) -> None:
    """A person is done with a file: it goes at once. An import that has not begun is over with it.

    Raises:
        Conflict: it is under way.
    """
    row = _locked(session, import_id)
    if row.state in ("checking", "running"):
        raise Conflict("This import is under way.")
    forget(session, row)
    if row.state in ("draft", "checked"):
        row.state, row.finished_at = "cancelled", now
        session.add(row)
    record(session, by, "import.discard", f"import:{row.id}", {}, now)


def are_old(session: Session, now: datetime) -> bool:
    """Whether `forget_old` would find anything."""
    return session.scalar(select(Upload.id).where(Upload.created_at < now - KEEP).limit(1)) is not None


def forget_old(session: Session, now: datetime, limit: int = 20) -> int:
    """Deletes files older than `KEEP`; how many there were. Imports that still need theirs are over."""
    old = list(session.scalars(select(Upload.id).where(Upload.created_at < now - KEEP).limit(limit)))
    if old:
        session.execute(delete(Upload).where(col(Upload.id).in_(old)))
        for row in session.scalars(select(Import).where(col(Import.state).in_(("draft", "checked")))):
            if row.mapping.get("upload") in old:
                row.state, row.finished_at = "cancelled", now
                session.add(row)
    return len(old)


def _locked(session: Session, import_id: str) -> Import:
    row: Import | None = session.scalar(lock(session, select(Import).where(Import.id == import_id)))
    if row is None:
        raise NotFound("There is no such import.", import_id=import_id)
    return row
