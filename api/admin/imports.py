"""Importing people by program: a file in parts, how it is read, what its first rows become, dry run, import.

The same steps as on the page. A file that was only recognised agrees to nothing: that everybody in it agreed is said by whoever
sends `choices`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import chain
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.routing import BaseRoute

from api.auth.access import Actor, needs
from api.http.errors import CHANGE, ONE
from api.http.json_body import JsonRoute, StrictRoute
from api.http.paging import Id, Limit
from api.jobs import JobRow
from api.server import TheServer
from crm.imports import imports, undo, uploads
from crm.imports.imports import RowError, Shown
from crm.imports.reading import Reading
from crm.imports.subjects import SUBJECTS
from crm.jobs import add_job
from crm.people import contacts
from models import Import
from storage import files
from storage.files import Room

router = APIRouter(prefix="/api/v1", tags=["imports"], route_class=JsonRoute)
REASONS: Mapping[str, str] = {**contacts.REASONS, **imports.REASONS, "line": "Line", "reason": "Reason"}


class NewUpload(BaseModel):
    """A file that will come in parts."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"file_name": "people.csv", "bytes": 73_400_320}})

    file_name: str = Field(min_length=1, max_length=200)
    bytes: int = Field(ge=1, le=2**31 - 1)


class UploadRow(BaseModel):
    """A file on its way: `parts` of `part_bytes` are here; the last may be shorter."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    file_name: str
    bytes: int
    part_bytes: int
    parts: int


class Choices(BaseModel):
    """How the file is read and what its columns become (header -> target; empty: left out). A column that is not named is left out."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "columns": {"E-Mail": "email", "Umsatz": "revenue:number"},
                "reading": {
                    "decimal": ",",
                    "date_order": "dmy",
                    "region": "CH",
                    "everybody": [{"channel": "email", "purpose": "marketing", "said_at": "2026-03-01", "source": "fair in Basel"}],
                },
                "tags": ["fair"],
            }
        },
    )

    columns: dict[str, str] | None = Field(None, max_length=500, description="null: as they are now.")
    reading: Reading | None = Field(None, description="Fields that are not named stay as they are.")
    source: str = Field("", max_length=200, description="Where the consents come from, if no column says so.")
    tags: list[str] = Field([], max_length=20)
    wake: bool = Field(False, description="Let imported contacts start journeys.")
    subject: str | None = Field(
        None, description=f"What the rows are about: {', '.join(SUBJECTS)}. null: as it is now.", examples=["segment_members"]
    )
    segment: str = Field("", max_length=64, description="Key of the list kept by hand that everybody is put on.", examples=["guests"])
    make: bool = Field(
        False, description="Rows about nobody known make a contact; else they are refused. Contacts' own files always make them."
    )
    table: int | None = Field(None, ge=0, le=999, description="Which of `sheets` is read, from 0. null: as it is now.")


class ImportRow(BaseModel):
    """An import and how far it is. `state`: draft, checking, checked, running, done, cancelled, failed or undone."""

    id: str
    file_name: str
    state: str
    rows: int
    done: int
    ok: int
    failed: int
    created_at: datetime
    finished_at: datetime | None


class ImportDetail(ImportRow):
    """`proposed` is what a person would see filled in; `why` the reason of each guess; `left_out` lines that are no rows; `cells` how many were
    left out of rows that were taken; `errors` the first thousand problems."""

    subject: str
    segment: str
    make: bool
    sheets: list[str] = Field(description="Titles, where the file has several tables.")
    table: int
    created: int
    changed: int = Field(description="Rows that changed something which was there before.")
    unchanged: int = Field(description="Rows that were taken and said nothing new.")
    cells: int
    withheld: int
    header: list[str]
    columns: dict[str, str]
    reading: Reading
    recipe: str
    proposed: dict[str, Any]
    why: dict[str, str]
    left_out: list[int]
    problems: list[str]
    errors: list[RowError]


class CellShown(BaseModel):
    """A cell and what it becomes; `problem` is a code, empty if there is none."""

    model_config = ConfigDict(from_attributes=True)

    column: str
    target: str
    was: str
    value: Any
    problem: str


class RowShown(BaseModel):
    """A row; `refused` is a code, empty if it is taken."""

    model_config = ConfigDict(from_attributes=True)

    line: int
    refused: str
    cells: list[CellShown]


class KeptContact(BaseModel):
    """A contact of which an undo leaves something, and why."""

    contact_id: str
    reason: str = Field(description=f"One of {', '.join(undo.KEPT)}.")


class UndoState(BaseModel):
    """An import's undo. `kept`: at most 1,000."""

    can_undo: bool
    job: JobRow | None
    kept: list[KeptContact]


def _row(row: Import) -> dict[str, Any]:
    return {
        "id": row.id,
        "file_name": row.file_name,
        "state": row.state,
        "rows": row.mapping.get("rows", row.rows_ok + row.rows_failed),
        "done": row.cursor,
        "ok": row.rows_ok,
        "failed": row.rows_failed,
        "created_at": row.created_at,
        "finished_at": row.finished_at,
    }


def _detail(row: Import) -> ImportDetail:
    report, about = uploads.report_of(row), row.mapping
    recipe, (proposed, columns) = uploads.recipe_of(row), uploads.proposed(row)
    return ImportDetail(
        **_row(row),
        subject=uploads.subject_of(row).key,
        segment=about.get("segment", ""),
        make=about.get("make", False),
        sheets=[sheet.title for sheet in uploads.sheets_of(row)],
        table=uploads.sheet_of(row),
        created=report.created,
        changed=report.changed,
        unchanged=max(0, report.ok - report.created - report.changed),
        cells=report.cells,
        withheld=report.withheld,
        header=about["header"],
        columns=report.mapping,
        reading=report.reading,
        recipe=recipe.key if recipe else "",
        proposed={"reading": proposed.model_dump(mode="json"), "columns": columns},
        why={name: issue.message for name, issue in uploads.reasons_of(row).items()},
        left_out=report.left_out,
        problems=[issue.message for issue in uploads.problems(row)],
        errors=report.errors,
    )


@router.get("/imports", summary="List imports", responses=ONE)
def list_imports(server: TheServer, actor: Annotated[Actor, needs("contact.import")], limit: Limit = 50) -> list[ImportRow]:
    """The newest first."""
    with server.engine.db.read() as session:
        return [ImportRow(**_row(row)) for row in imports.list_imports(session, limit)]


@router.post("/imports/uploads", status_code=201, summary="Announce a file", responses=CHANGE)
def begin_upload(body: NewUpload, server: TheServer, actor: Annotated[Actor, needs("contact.import")]) -> UploadRow:
    """Makes room for a file. Send it as parts of `part_bytes`, in order, then finish it."""
    settings = server.settings
    room = Room(settings.max_import_bytes, settings.max_waiting_import_bytes)
    part_bytes = min(files.PART_BYTES, settings.max_body_bytes)
    with server.engine.db.write() as session:
        row = uploads.begin_upload(session, body.file_name, body.bytes, actor.id, server.engine.clock.real_now(), room, part_bytes)
        return UploadRow.model_validate(row)


@router.post("/imports/uploads/{id}/finish", status_code=201, summary="Finish a file", responses=CHANGE)
def finish_upload(id: Id, server: TheServer, actor: Annotated[Actor, needs("contact.import")]) -> ImportDetail:
    """Looks through the file and makes an import of it, with guesses for everything. A file that is no table is deleted; of a workbook every
    visible sheet is written out as a table, and the first that is one is read."""
    settings = server.settings
    room = Room(settings.max_import_bytes, settings.max_waiting_import_bytes)
    made = uploads.finish_upload(server.engine.db, id, actor.id, server.engine.clock.now(), room)
    return _found(server, made)


@router.delete("/imports/uploads/{id}", status_code=204, summary="Give up a file", responses=CHANGE)
def drop_upload(id: Id, server: TheServer, actor: Annotated[Actor, needs("contact.import")]) -> Response:
    """Deletes what has arrived so far."""
    with server.engine.db.write() as session:
        uploads.drop_upload(session, id, actor.id)
    return Response(status_code=204)


@router.get("/imports/{id}", summary="One import", responses=ONE)
def one_import(id: Id, server: TheServer, actor: Annotated[Actor, needs("contact.import")]) -> ImportDetail:
    """How its file is read, how far it is, and what was left out."""
    return _found(server, id)


@router.get("/imports/{id}/preview", summary="Preview of the first rows", responses=ONE)
def preview(id: Id, server: TheServer, actor: Annotated[Actor, needs("contact.import")]) -> list[RowShown]:
    """Each mapped cell as it is and as it would be stored; empty where the columns cannot be read as they are."""
    with server.engine.db.read() as session:
        row = uploads.get_by_hand(session, id)
    return [_shown(one) for one in uploads.preview(server.engine.db, row, server.engine.clock.now())]


def _shown(row: Shown) -> RowShown:
    return RowShown.model_validate(row)


@router.put("/imports/{id}/choices", summary="Choose how a file is read", responses=CHANGE)
def choose(id: Id, body: Choices, server: TheServer, actor: Annotated[Actor, needs("contact.import")]) -> ImportDetail:
    """Stores the choices. Another encoding, separator, header, footer or recipe means that the file is looked through anew."""
    db = server.engine.db
    with db.read() as session:
        row = uploads.get_by_hand(session, id)
    present = uploads.reading_of(row)
    reading = (
        present.model_copy(update={name: getattr(body.reading, name) for name in body.reading.model_fields_set})
        if body.reading
        else present
    )
    columns = row.mapping["columns"] if body.columns is None else body.columns
    draft = uploads.Draft(
        columns,
        reading,
        body.source,
        tuple(body.tags),
        body.wake,
        subject=body.subject,
        segment=body.segment,
        make=body.make,
        table=body.table,
    )
    uploads.decide(db, id, draft)
    return _found(server, id)


@router.post("/imports/{id}/check", status_code=202, summary="Dry run", responses=CHANGE)
def check(id: Id, server: TheServer, actor: Annotated[Actor, needs("contact.import")]) -> JobRow:
    """Reads and writes every row and takes it back, as a job; the import then tells what would happen."""
    return _work(server, id, actor, dry=True)


@router.post("/imports/{id}/run", status_code=202, summary="Import", responses=CHANGE)
def run(id: Id, server: TheServer, actor: Annotated[Actor, needs("contact.import")]) -> JobRow:
    """Imports a file that was checked, as a job."""
    return _work(server, id, actor, dry=False)


@router.post("/imports/{id}/undo/check", status_code=202, summary="Dry run of an undo", responses=CHANGE)
def check_undo(id: Id, server: TheServer, actor: Annotated[Actor, needs("contact.import")]) -> JobRow:
    """Counts what undoing the import would remove and set back, and what would stay and why, as a job; nothing is changed."""
    return _undo(server, id, actor, dry=True)


@router.post("/imports/{id}/undo", status_code=202, summary="Undo an import", responses=CHANGE)
def undo_import(id: Id, server: TheServer, actor: Annotated[Actor, needs("contact.import")]) -> JobRow:
    """Within 30 days: removes what the import made and sets back what it changed, unless it was changed since, as a job. Withdrawals, suppressed
    addresses and merges stay. Its counts: removed, set_back, unchanged, and why something stays (see `GET /imports/{id}/undo`)."""
    return _undo(server, id, actor, dry=False)


@router.get("/imports/{id}/undo", summary="What an undo leaves", responses=ONE)
def undo_of_import(id: Id, server: TheServer, actor: Annotated[Actor, needs("contact.import")]) -> UndoState:
    """Whether the import can be undone, the newest undo or dry run of one, and of which contacts something stays."""
    with server.engine.db.read() as session:
        row, job = imports.get_import(session, id), undo.newest(session, id)
        kept = [KeptContact(contact_id=contact_id, reason=reason) for contact_id, reason in undo.kept_of(session, id, 1_000)]
        can = undo.can_undo(session, row, server.engine.clock.now())
        return UndoState(can_undo=can, job=JobRow.model_validate(job) if job else None, kept=kept)


def _undo(server: TheServer, id: str, actor: Actor, *, dry: bool) -> JobRow:
    with server.engine.db.write() as session:
        return JobRow.model_validate(undo.begin(session, id, actor.id, actor.role, server.engine.clock.now(), dry=dry))


@router.get("/imports/{id}/problems.csv", summary="Rows with problems", responses=ONE, response_class=StreamingResponse)
def problem_rows(id: Id, server: TheServer, actor: Annotated[Actor, needs("contact.import")]) -> StreamingResponse:
    """The rows that were refused or lost a cell, as they stood, with line and reasons; at most the first thousand problems."""
    with server.engine.db.read() as session:
        row = uploads.get_by_hand(session, id)
    lines = uploads.faulty_rows(server.engine.db, row, REASONS)
    first = next(lines)  # whether the file is there is known before the answer begins
    return StreamingResponse(chain((first,), lines), media_type="text/csv; charset=utf-8")


@router.delete("/imports/{id}", status_code=204, summary="Delete a file", responses=CHANGE)
def discard(id: Id, server: TheServer, actor: Annotated[Actor, needs("contact.import")]) -> Response:
    """Deletes the file of an import that is not under way; what was imported stays."""
    with server.engine.db.write() as session:
        uploads.discard(session, id, actor.id, server.engine.clock.now())
    return Response(status_code=204)


def _found(server: TheServer, id: str) -> ImportDetail:
    with server.engine.db.read() as session:
        return _detail(uploads.get_by_hand(session, id))


def _work(server: TheServer, id: str, actor: Actor, *, dry: bool) -> JobRow:
    with server.engine.db.write() as session:
        row = uploads.begin(session, id, actor.role, dry=dry)
        wanted = {"import_id": id, "dry": dry}
        job = add_job(session, "import", f"import:{id}", wanted, actor.id, server.engine.clock.now(), row.mapping["rows"])
        return JobRow.model_validate(job)


parts = APIRouter(prefix="/api/v1", tags=["imports"], route_class=StrictRoute)
_BYTES = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}, "example": "email\n"}},
    }
}


@parts.put("/imports/uploads/{id}/parts/{number}", summary="Send a part", responses=CHANGE, openapi_extra=_BYTES)
async def add_part(
    id: Id,
    number: Annotated[int, Path(ge=0, le=100_000, description="Number of the part, from 0.")],
    request: Request,
    server: TheServer,
    actor: Annotated[Actor, needs("contact.import")],
) -> UploadRow:
    """The bytes themselves, not JSON. The last part once more changes nothing, since its answer may have been lost."""
    body = await request.body()
    return await run_in_threadpool(_add_part, server, id, number, body, actor.id)


def _add_part(server: TheServer, id: str, number: int, body: bytes, by: str) -> UploadRow:
    with server.engine.db.write() as session:
        return UploadRow.model_validate(files.add_part(session, id, number, body, by))


_routes: list[BaseRoute] = parts.routes
router.routes.extend(_routes)
