"""What is left of an erasure once the contact's rows are empty: files that wait, names of files, notes and work that name the person.

A job, because files of 100 MB take seconds to look through. What is looked for is gone from the contact by then, so the job's row holds it, sealed,
until the job ends; nobody can stop it. A page reads (`prepare`) outside any transaction and writes (`page`) in the one that moves the job's
cursor, so a crash at any point means only that a part is looked at again.

Not found are a single name without an address, a number shorter than six digits, and a person paraphrased.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session
from sqlmodel import col, func, select

from crm import jobs
from crm.imports import formats, uploads
from crm.privacy import traces
from crm.privacy.traces import OVERLAP, Values
from journeys.errors import Conflict
from models import AuditNote, Database, Import, Job, Upload, UploadPart, lock
from storage.erasure_fence import JOB
from workspace import secrets

log = logging.getLogger("pfadwerk.crm")

ROWS = 500
"""Notes, imports or jobs that one page looks at."""
PARTS = 8
"""Parts of a file that one page looks at: some MB."""
STAGES = ("files", "notes", "imports", "jobs", "log")
"""In this order; the last one overwrites what the others have freed."""
GONE = "–"
_MOST_FOUND = 64


@dataclass(frozen=True, slots=True)
class Found:
    """What a page has found: `ids` of what is to be emptied or deleted, where the next page begins, and how much was looked at."""

    ids: tuple[Any, ...]
    cursor: str
    looked: int


@dataclass(frozen=True, slots=True)
class Done:
    """What a page did. `cursor` is where the next begins."""

    cursor: str
    counts: Mapping[str, int]
    finished: bool


class _Kept:
    """What this process has found and not yet written, a few pages: (job id, cursor) -> found."""

    def __init__(self) -> None:
        self._lock, self._found = threading.Lock(), OrderedDict[tuple[str, str], Found]()

    def put(self, job_id: str, cursor: str, found: Found) -> None:
        with self._lock:
            self._found[job_id, cursor] = found
            while len(self._found) > _MOST_FOUND:
                self._found.popitem(last=False)

    def take(self, job_id: str, cursor: str) -> Found | None:
        with self._lock:
            return self._found.pop((job_id, cursor), None)


_kept = _Kept()


def queue(session: Session, contact_id: str, values: Values, by: str, now: datetime, keys: Sequence[bytes]) -> Job:
    """The job that looks for `values`; the first of `keys` seals them."""
    sealed = secrets.seal(keys, values.write())
    parts = session.scalar(select(func.coalesce(func.sum(Upload.parts), 0))) or 0
    return jobs.add_job(session, JOB, f"contact:{contact_id}", {jobs.SEALED: sealed}, by, now, int(parts))


def prepare(db: Database, job: Job, keys: Sequence[bytes]) -> None:
    """Looks at what the next page is about, and locks nobody out.

    Raises:
        Conflict: what is looked for was sealed with a key that is gone.
    """
    stage, _, after = job.cursor.partition(":")
    _kept.put(job.id, job.cursor, _LOOK[stage or STAGES[0]](db, _wanted(job, keys), after))


def _wanted(job: Job, keys: Sequence[bytes]) -> Values:
    opened = secrets.unseal(keys, job.input.get(jobs.SEALED, ""))
    if opened is None:
        raise Conflict("The key needed to search for the erased person is missing: search files and notes manually.")
    return Values.read(opened)


def page(session: Session, job: Job, now: datetime, keys: Sequence[bytes]) -> Done:
    """Empties or deletes what `prepare` has found. Raises: as `prepare`."""
    found = _kept.take(job.id, job.cursor)
    if found is None:
        return Done(job.cursor, {}, finished=False)  # another server was faster: look again
    stage = job.cursor.partition(":")[0] or STAGES[0]
    gone = _GO[stage](session, found.ids, now, _wanted(job, keys)) if found.ids else 0
    counts = {"looked_through": found.looked, "emptied": gone}
    return Done(found.cursor, {name: count for name, count in counts.items() if count}, finished=not found.cursor)


def _after(stage: str, place: object) -> str:
    return f"{stage}:{place}"


def _next(stage: str) -> str:
    return f"{STAGES[STAGES.index(stage) + 1]}:" if stage != STAGES[-1] else ""


def _look_at_files(db: Database, values: Values, after: str) -> Found:
    """`PARTS` parts of one file, or the file's end."""
    upload_id, _, number = after.partition("/")
    first = int(number or 0)
    with db.read() as session:
        if not first:
            following = select(Upload.id).where(col(Upload.id) > upload_id).order_by(col(Upload.id)).limit(1)
            upload_id = session.scalar(following) or ""
    if not upload_id:
        return Found((), _next("files"), 0)
    if _is_packed(db, upload_id):
        return Found((upload_id,), _after("files", upload_id), 1)
    before, looked = b"", 0
    for at in range(max(first - 1, 0), first + PARTS):
        with db.read() as session:
            wanted = select(UploadPart.content).where(UploadPart.upload_id == upload_id, UploadPart.number == at)
            content = session.scalar(wanted)
        if content is None:
            return Found(_unless_complete(db, upload_id, at), _after("files", upload_id), looked)
        if at >= first:
            looked += 1
            if traces.part_names(values, content, before):
                return Found((upload_id,), _after("files", upload_id), looked)
        before = content[-OVERLAP:]
    return Found((), _after("files", f"{upload_id}/{first + PARTS}"), looked)


def _is_packed(db: Database, upload_id: str) -> bool:
    """A workbook, or JSON with its signs written out: until it has become a table, which takes seconds, nobody can tell whom it names."""
    with db.read() as session:
        row = session.get(Upload, upload_id)
        return row is not None and row.import_id is None and not formats.is_text(row.file_name)


def _unless_complete(db: Database, upload_id: str, parts: int) -> tuple[str, ...]:
    """A file of which more than these parts shall come goes, whatever is in it: nobody would look at the rest."""
    with db.read() as session:
        row = session.get(Upload, upload_id)
        return () if row is None or parts * row.part_bytes >= row.bytes else (upload_id,)


def _look_at_notes(db: Database, values: Values, after: str) -> Found:
    with db.read() as session:
        rows = session.execute(
            select(AuditNote.audit_id, AuditNote.text)
            .where(col(AuditNote.audit_id) > int(after or 0))
            .order_by(col(AuditNote.audit_id))
            .limit(ROWS)
        ).all()
    ids = tuple(id for id, text in rows if values.name_one(text))
    return Found(ids, _after("notes", rows[-1][0]) if len(rows) == ROWS else _next("notes"), 0)


def _look_at_imports(db: Database, values: Values, after: str) -> Found:
    with db.read() as session:
        rows = session.scalars(select(Import).where(col(Import.id) > after).order_by(col(Import.id)).limit(ROWS)).all()
    ids = tuple(row.id for row in rows if _is_in(values, row.file_name) or _is_in(values, row.mapping) or _is_in(values, row.errors))
    return Found(ids, _after("imports", rows[-1].id) if len(rows) == ROWS else _next("imports"), 0)


def _look_at_jobs(db: Database, values: Values, after: str) -> Found:
    with db.read() as session:
        rows = session.scalars(select(Job).where(col(Job.id) > after).order_by(col(Job.id)).limit(ROWS)).all()
    ids = tuple(row.id for row in rows if _is_in(values, row.input) or _is_in(values, row.error))
    return Found(ids, _after("jobs", rows[-1].id) if len(rows) == ROWS else _next("jobs"), 0)


def _overwrite(db: Database, values: Values, after: str) -> Found:
    if not db.scrub():
        log.warning("an erased person may stand in the database's log for a while: readers kept it open")
    return Found((), "", 0)


def _is_in(values: Values, stored: Any) -> bool:
    return any(values.name_one(text) for text in _texts(stored))


def _texts(stored: Any) -> list[str]:
    if isinstance(stored, str):
        return [stored]
    if isinstance(stored, Mapping):
        return [text for pair in stored.items() for one in pair for text in _texts(one)]
    return [text for one in stored for text in _texts(one)] if isinstance(stored, list) else []


def _withdraw_files(session: Session, ids: Sequence[str], now: datetime, values: Values) -> int:
    return sum(uploads.withdraw(session, id, now) for id in ids)


def _empty_notes(session: Session, ids: Sequence[int], now: datetime, values: Values) -> int:
    session.execute(update(AuditNote).where(col(AuditNote.audit_id).in_(ids)).values(text=""))
    return len(ids)


def _empty_imports(session: Session, ids: Sequence[str], now: datetime, values: Values) -> int:
    """The file itself was looked through before; here go its name and the words that the import's row keeps of it."""
    for row in session.scalars(lock(session, select(Import).where(col(Import.id).in_(ids)))):
        if row.mapping.get("upload"):
            session.execute(update(Upload).where(col(Upload.id) == row.mapping["upload"]).values(file_name=GONE))
        row.file_name = _emptied(values, row.file_name)
        row.mapping, row.errors = _emptied(values, row.mapping), _emptied(values, row.errors)
        session.add(row)
    return len(ids)


def _end_jobs(session: Session, ids: Sequence[str], now: datetime, values: Values) -> int:
    """Work that is about the person ends; of what has ended the words go."""
    for id in ids:
        row = jobs.locked(session, id)
        if row is None:
            continue
        if row.state == "running" and row.kind not in jobs.UNSTOPPABLE:
            jobs.end_early(session, row, "cancelled", now)
        row.input, row.error = _emptied(values, row.input), _emptied(values, row.error)
        session.add(row)
    return len(ids)


def _emptied(values: Values, stored: Any) -> Any:
    """The same shape, with a dash for every text that names the person. A sentence that is kept as JSON text becomes no sentence."""
    if isinstance(stored, str):
        return GONE if values.name_one(stored) else stored
    if isinstance(stored, Mapping):
        return {_emptied(values, name): _emptied(values, value) for name, value in stored.items()}
    return [_emptied(values, one) for one in stored] if isinstance(stored, list) else stored


_LOOK: Mapping[str, Callable[[Database, Values, str], Found]] = {
    "files": _look_at_files,
    "notes": _look_at_notes,
    "imports": _look_at_imports,
    "jobs": _look_at_jobs,
    "log": _overwrite,
}
_GO: Mapping[str, Callable[[Session, Sequence[Any], datetime, Values], int]] = {
    "files": _withdraw_files,
    "notes": _empty_notes,
    "imports": _empty_imports,
    "jobs": _end_jobs,
}
