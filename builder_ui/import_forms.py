"""What the forms of an import do: take the file, store the mapping and begin the dry run, hand out the rows that failed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response, StreamingResponse
from starlette.datastructures import UploadFile

from builder_ui.host import Host
from builder_ui.permits import EDITORS, may
from builder_ui.speech import Speech
from builder_ui.visit import House
from crm import contacts, imports, uploads
from crm.csv_file import MAX_COLUMNS
from crm.imports import get_import
from crm.jobs import add_job
from journeys.errors import Conflict, Invalid, NotFound, PfadwerkError
from models import Member

MAX_FIELDS = 2 * MAX_COLUMNS + 20
START = "/ui/contacts/import"


def routes(house: House) -> APIRouter:
    """Where the forms lead. Each answers with a redirect to the page that goes on."""
    router, forms = APIRouter(include_in_schema=False), _Forms(house)
    router.add_api_route(START, forms.take, methods=["POST"])
    router.add_api_route(START + "/{id}", forms.decide, methods=["POST"])
    router.add_api_route(START + "/{id}/faulty.csv", forms.faulty, methods=["GET"])
    return router


class _Forms:
    """Checks who asks and does it."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.host = Host(house, ())

    async def take(self, request: Request) -> Response:
        member = await self._editor(request)
        if isinstance(member, Response):
            return member
        async with request.form(max_files=1, max_fields=4) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile) or not file.filename:
                return _to(START, "missing")
            name, content = file.filename, await file.read(self.house.max_upload_bytes + 1)
        if len(content) > self.house.max_upload_bytes:
            return _to(START, "large")
        try:
            id = await run_in_threadpool(self._take, member, name, content)
        except Invalid as error:
            return _to(START, str(error.details.get("problem", "header")))
        return _to(f"{START}/{id}")

    def _take(self, member: Member, name: str, content: bytes) -> str:
        sent = uploads.read_sent(name, content)
        with self.house.engine.db.write() as session:
            return uploads.take(session, sent, f"member:{member.id}", self.house.now()).id

    async def decide(self, request: Request, id: str) -> Response:
        """Stores the mapping; where rows can be read with it, the dry run begins."""
        member = await self._editor(request)
        if isinstance(member, Response):
            return member
        async with request.form(max_files=0, max_fields=MAX_FIELDS) as form:
            wanted = {name: value for name, value in form.items() if isinstance(value, str)}
        here = f"{START}/{id[:32]}"
        try:
            await run_in_threadpool(self._decide, member, id[:32], wanted)
        except Conflict:
            return _to(here)
        except NotFound:
            return _to(START, "gone")
        except PfadwerkError:
            return _to(here, "columns")
        self.house.look()
        return _to(here)

    def _decide(self, member: Member, id: str, form: Mapping[str, str]) -> None:
        now, by = self.house.now(), f"member:{member.id}"
        with self.house.engine.db.write() as session:
            row = uploads.decide(session, id, _draft(get_import(session, id).mapping["header"], form))
        if uploads.problems(row):
            raise Invalid("The columns of the file cannot be read.")
        with self.house.engine.db.write() as session:
            uploads.begin(session, id, dry=True)
            add_job(session, "import", f"import:{id}", {"import_id": id, "dry": True}, by, now, row.mapping["rows"])

    async def faulty(self, request: Request, id: str) -> Response:
        """The rows that failed, as a file to mend and upload again."""
        known = await self.host.member(request.cookies)
        if known is None:
            return self.host.stranger(request)
        if not may(known[1], EDITORS):
            return Response(status_code=403)
        speech = self.host.speech(known[1], request.headers)
        try:
            name, lines = await run_in_threadpool(self._faulty, id[:32], speech)
        except NotFound:
            return _to(f"{START}/{id[:32]}", "gone")
        headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
        return StreamingResponse(lines, 200, headers, "text/csv; charset=utf-8")

    def _faulty(self, id: str, speech: Speech) -> tuple[str, Iterator[str]]:
        with self.house.engine.db.read() as session:
            row = get_import(session, id)
            lines = list(uploads.faulty_rows(session, row, reasons(speech)))
        return f"{speech('faulty-rows')}-{id[-6:]}.csv", iter(lines)

    async def _editor(self, request: Request) -> Member | Response:
        known = await self.host.member(request.cookies)
        if known is None or not self.host.is_ours(request.headers):
            return Response(status_code=403)
        return known[1] if may(known[1], EDITORS) else _to(START, "role")


def reasons(speech: Speech) -> dict[str, str]:
    """Code of a row's error -> sentence in the language of whoever looks, and the words of the file's own two columns."""
    sentences = {**contacts.REASONS, **imports.REASONS}
    return {code: speech(text) for code, text in sentences.items()} | {"line": speech("Line"), "reason": speech("Reason")}


def _draft(header: list[str], form: Mapping[str, str]) -> uploads.Draft:
    columns = {name: _text(form, f"other-{n}") or _text(form, f"target-{n}") for n, name in enumerate(header) if name}
    tags = tuple(tag.strip() for tag in _text(form, "tags").split(",") if tag.strip())
    region = _text(form, "region")[:2].upper()
    return uploads.Draft(columns, region if region.isalpha() else None, _text(form, "source"), tags, _text(form, "wake") == "yes")


def _text(form: Mapping[str, str], name: str) -> str:
    return form.get(name, "").strip()[:300]


def _to(path: str, problem: str = "") -> Response:
    return RedirectResponse(f"{path}?problem={problem}" if problem else path, 303)
