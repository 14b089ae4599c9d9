"""What the forms of an import do: take the file, store what was chosen and begin the dry run, hand out the rows with problems."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import chain

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from pydantic import BaseModel, Field, ValidationError
from starlette.datastructures import UploadFile

from builder_ui.app.host import Host
from builder_ui.contacts.import_words import reasons
from builder_ui.kit.context import AppContext
from builder_ui.kit.i18n import Translator
from builder_ui.kit.permissions import does, may
from crm.imports import uploads
from crm.imports.csv_file import MAX_COLUMNS
from crm.imports.imports import get_import
from crm.imports.reading import Reading
from crm.imports.subjects.segment_members import SegmentMembers
from crm.jobs import add_job
from journeys.errors import Conflict, Invalid, NotFound, PfadwerkError, TooLarge
from models import Database, Import, Member
from storage import files
from workspace.roles import NotAllowed

MAX_FIELDS = 2 * MAX_COLUMNS + 40
START = "/ui/contacts/import"
PARTS = START + "/parts"


def routes(app: AppContext) -> APIRouter:
    """Where the forms lead. Each answers with a redirect to the page that goes on."""
    router, forms = APIRouter(include_in_schema=False), _Forms(app)
    router.add_api_route(START, forms.take, methods=["POST"], **does("contact.import"))
    router.add_api_route(PARTS, forms.begin, methods=["POST"], **does("contact.import"))
    router.add_api_route(PARTS + "/{id}/done", forms.finish, methods=["POST"], **does("contact.import"))
    router.add_api_route(PARTS + "/{id}/{number:int}", forms.part, methods=["PUT"], **does("contact.import"))
    router.add_api_route(PARTS + "/{id}", forms.drop, methods=["DELETE"], **does("contact.import"))
    router.add_api_route(START + "/{id}", forms.decide, methods=["POST"], **does("contact.import"))
    router.add_api_route(START + "/{id}/faulty.csv", forms.faulty, methods=["GET"], **does("contact.import"))
    return router


class _Forms:
    """Checks who asks and does it."""

    def __init__(self, app: AppContext) -> None:
        self.app = app
        self.host = Host(app, ())

    async def take(self, request: Request) -> Response:
        member = await self._editor(request)
        if isinstance(member, Response):
            return member
        async with request.form(max_files=1, max_fields=4) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile) or not file.filename:
                return _to(START, "missing")
            name, content = file.filename, await file.read(self.app.max_upload_bytes + 1)
        if len(content) > self.app.max_upload_bytes:
            return _to(START, "large")
        try:
            id = await run_in_threadpool(self._take, member, name, content)
            await run_in_threadpool(_meant, self.app.engine.db, id, request.query_params)
        except (Invalid, TooLarge) as error:
            return _to(START, str(error.details.get("problem", "header")))
        return _to(f"{START}/{id}")

    def _take(self, member: Member, name: str, content: bytes) -> str:
        app = self.app
        return uploads.receive(app.engine.db, name, content, _by(member), app.now(), app.real_now(), app.room)

    async def begin(self, request: Request) -> Response:
        """Makes room for a file that comes in parts."""

        def do(member: Member, body: bytes) -> Response:
            wanted = _Announced.model_validate_json(body)
            part_bytes = min(files.PART_BYTES, self.app.max_upload_bytes)
            with self.app.engine.db.write() as session:
                row = uploads.begin_upload(session, wanted.name, wanted.size, _by(member), self.app.real_now(), self.app.room, part_bytes)
                return JSONResponse({"id": row.id, "part_bytes": row.part_bytes}, 201)

        return await self._sending(request, do)

    async def part(self, request: Request, id: str, number: int) -> Response:
        def do(member: Member, body: bytes) -> Response:
            with self.app.engine.db.write() as session:
                files.add_part(session, id[:32], number, body, _by(member))
            return Response(status_code=204)

        return await self._sending(request, do)

    async def finish(self, request: Request, id: str) -> Response:
        """Looks through the file; where the import goes on."""

        def do(member: Member, body: bytes) -> Response:
            made = uploads.finish_upload(self.app.engine.db, id[:32], _by(member), self.app.now(), self.app.room)
            _meant(self.app.engine.db, made, request.query_params)
            return JSONResponse({"location": f"{START}/{made}"}, 201)

        return await self._sending(request, do)

    async def drop(self, request: Request, id: str) -> Response:
        """The person stopped sending."""

        def do(member: Member, body: bytes) -> Response:
            with self.app.engine.db.write() as session:
                uploads.drop_upload(session, id[:32], _by(member))
            return Response(status_code=204)

        return await self._sending(request, do)

    async def _sending(self, request: Request, do: Callable[[Member, bytes], Response]) -> Response:
        """One request of a file on its way; refused with a code of `PROBLEMS`."""
        member = await self._editor(request)
        if isinstance(member, Response):
            return JSONResponse({"problem": "role"}, 403)
        try:
            return await run_in_threadpool(do, member, await request.body())
        except PfadwerkError as error:
            return JSONResponse({"problem": str(error.details.get("problem", "gone"))}, error.status)
        except ValidationError:
            return JSONResponse({"problem": "missing"}, 422)

    async def decide(self, request: Request, id: str) -> Response:
        """Stores the mapping; where rows can be read with it, the dry run begins."""
        member = await self._editor(request)
        if isinstance(member, Response):
            return member
        async with request.form(max_files=0, max_fields=MAX_FIELDS) as form:
            wanted = {name: value for name, value in form.items() if isinstance(value, str)}
        here = f"{START}/{id[:32]}"
        try:
            goes_on = await run_in_threadpool(self._decide, member, id[:32], wanted)
        except Conflict:
            return _to(here)
        except NotAllowed:
            return _to(here, "consents")
        except NotFound:
            return _to(START, "gone")
        except (PfadwerkError, ValidationError) as error:
            return _to(here, "columns" if getattr(error, "issues", None) else "choice")
        return _to(here if goes_on else f"{here}?step=columns")

    def _decide(self, member: Member, id: str, form: Mapping[str, str]) -> bool:
        """Stores what was chosen and begins the dry run; False if the person is to look first: they asked to, or the table is another now."""
        now, by = self.app.now(), _by(member)
        with self.app.engine.db.read() as session:
            row = get_import(session, id)
        draft = _draft(row, form)
        anew = uploads.reads_anew(row, draft)
        row = uploads.decide(self.app.engine.db, id, draft)
        if anew or form.get("act") == "look":
            return False
        if issues := uploads.problems(row):
            raise Invalid("The columns of the file cannot be read.", issues=issues)
        with self.app.engine.db.write() as session:
            uploads.begin(session, id, member.role, dry=True)
            add_job(session, "import", f"import:{id}", {"import_id": id, "dry": True}, by, now, row.mapping["rows"])
        return True

    async def faulty(self, request: Request, id: str) -> Response:
        """The rows that failed, as a file to mend and upload again."""
        known = await self.host.member(request.cookies)
        if known is None:
            return self.host.stranger(request)
        if not may(known[1], "contact.import"):
            return Response(status_code=403)
        t = self.host.t(known[1], request.headers)
        try:
            name, lines = await run_in_threadpool(self._faulty, id[:32], t)
        except NotFound:
            return _to(f"{START}/{id[:32]}", "gone")
        headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
        return StreamingResponse(lines, 200, headers, "text/csv; charset=utf-8")

    def _faulty(self, id: str, t: Translator) -> tuple[str, Iterator[str]]:
        with self.app.engine.db.read() as session:
            row = get_import(session, id)
        lines = uploads.faulty_rows(self.app.engine.db, row, reasons(t))
        first = next(lines)  # whether the file is there is known before the answer begins
        return f"{t('faulty-rows')}-{id[-6:]}.csv", chain((first,), lines)

    async def _editor(self, request: Request) -> Member | Response:
        known = await self.host.member(request.cookies)
        if known is None:
            return Response(status_code=403)
        return known[1] if may(known[1], "contact.import") else _to(START, "role")


class _Announced(BaseModel):
    """What a browser says before it sends a file."""

    name: str = Field(min_length=1, max_length=300)
    size: int = Field(ge=0)


def _by(member: Member) -> str:
    return f"member:{member.id}"


def _draft(row: Import, form: Mapping[str, str]) -> uploads.Draft:
    header = row.mapping["header"]
    columns = {name: _text(form, f"other-{n}") or _text(form, f"target-{n}") for n, name in enumerate(header) if name}
    tags = tuple(tag.strip() for tag in _text(form, "tags").split(",") if tag.strip())
    reading = _reading(uploads.proposed(row)[0], form)
    table = _text(form, "table")
    return uploads.Draft(
        columns,
        reading,
        _text(form, "source"),
        tags,
        _text(form, "wake") == "yes",
        subject=_text(form, "subject") or None,
        segment=_text(form, "segment"),
        make=_text(form, "make") == "yes",
        table=int(table) if table.isdecimal() and len(table) < 4 else None,
    )


def _meant(db: Database, import_id: str, query: Mapping[str, str]) -> None:
    """A file that was sent from the page of a list is about that list."""
    segment = query.get("list", "")[:64]
    if segment:
        with suppress(PfadwerkError):  # the list is gone, or no such list: the form asks for one
            with db.read() as session:
                columns = uploads.proposed(get_import(session, import_id))[1]
            uploads.decide(db, import_id, uploads.Draft(columns, None, subject=SegmentMembers.key, segment=segment))


def _reading(before: Reading, form: Mapping[str, str]) -> Reading:
    """What was read before with what the form says; a field that is left empty is open."""
    wanted = before.model_dump()
    for name in ("encoding", "separator", "header_line", "footer_rows", "date_order", "decimal", "region", "zone", "empty", "recipe"):
        if name in form:
            wanted[name] = _text(form, name) or ("" if name == "recipe" else before.model_dump()[name] if name in KEPT else None)
    if "everybody" in form:
        rest = [one.model_dump() for one in before.everybody[1:]]
        first = {name: _text(form, f"everybody-{name}") for name in ("channel", "purpose", "source", "wording")}
        said = {**first, "state": form["everybody"], "said_at": _text(form, "everybody-said_at") or None}
        wanted["everybody"] = [said, *rest] if form["everybody"] else rest
    return Reading.model_validate(wanted)


KEPT = ("encoding", "separator", "header_line", "footer_rows", "zone", "empty")
"""Choices that are never open."""


def _text(form: Mapping[str, str], name: str) -> str:
    return form.get(name, "").strip(" \r\n")[: 4_000 if name.endswith("wording") else 300]


def _to(path: str, problem: str = "") -> Response:
    return RedirectResponse(f"{path}?problem={problem}" if problem else path, 303)
