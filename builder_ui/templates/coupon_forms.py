"""Where lists of coupon codes arrive, and where they leave as a file with what became of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response, StreamingResponse
from starlette.datastructures import UploadFile

from builder_ui.app.host import Host
from builder_ui.kit.context import AppContext
from builder_ui.kit.i18n import Translator
from builder_ui.kit.permissions import does, may
from crm.coupons import pools
from crm.imports.csv_cells import START, line_of
from journeys.errors import Invalid, NotFound, PfadwerkError
from workspace import audit

PAGE = "/ui/coupons"
PROBLEMS = {
    "codes": "These lines are no codes: {lines}. A code has 3 to 64 letters, digits, - and _.",
    "many": "Too many codes: at most 50,000 at once and 1,000,000 in a pool.",
    "missing": "No code was found in it.",
    "gone": "This pool does not exist any more.",
    "role": "Your role does not allow this.",
}
"""Code -> what the page says."""
STATES = {"free": "Free", "reserved": "Reserved", "sent": "Handed out"}
COLUMNS = ("Code", "State", "Contact id", "Message id", "Time")


def routes(app: AppContext) -> APIRouter:
    """`POST /ui/coupons/{key}/codes` leads back to the page; `GET /ui/coupons/{key}/codes.csv` is the file."""
    router, host = APIRouter(include_in_schema=False), Host(app, ())

    async def take(request: Request, key: str) -> Response:
        known = await host.member(request.cookies)
        if known is None:
            return Response(status_code=403)
        if not may(known[1], "coupon.change"):
            return _back(problem="role")
        async with request.form(max_files=1, max_fields=4, max_part_size=app.max_upload_bytes) as form:
            file, typed = form.get("file"), form.get("codes")
            sent = (await file.read()).decode("utf-8-sig", "replace") if isinstance(file, UploadFile) else ""
        texts = (typed if isinstance(typed, str) else "", sent)
        return await run_in_threadpool(_add, app, key[:64], texts, f"member:{known[1].id}")

    async def export(request: Request, key: str) -> Response:
        known = await host.member(request.cookies)
        if known is None:
            return host.stranger(request)
        if not may(known[1], "list.export"):
            return Response(host.t(known[1], request.headers)("Your role does not allow this."), 403)
        try:
            await run_in_threadpool(_noted, app, key[:64], f"member:{known[1].id}")
        except NotFound:
            return Response(status_code=404)
        headers = {"content-disposition": f'attachment; filename="coupons-{key[:64]}.csv"', "cache-control": "no-store"}
        lines = _lines(app, key[:64], host.t(known[1], request.headers))
        return StreamingResponse(lines, 200, headers, "text/csv; charset=utf-8")

    router.add_api_route(PAGE + "/{key}/codes", take, methods=["POST"], **does("coupon.change"))
    router.add_api_route(PAGE + "/{key}/codes.csv", export, methods=["GET"], **does("list.export"))
    return router


def _back(**query: str) -> Response:
    return RedirectResponse(f"{PAGE}?{urlencode(query)}", 303)


def _add(app: AppContext, key: str, texts: Iterable[str], by: str) -> Response:
    try:
        codes = list(dict.fromkeys(code for text in texts for code in pools.read_codes(text)))
        done = pools.add_codes(app.engine.db, key, codes, by) if codes else None
    except Invalid as error:
        return _back(problem="codes", lines=str(error.issues[0].values["lines"]))
    except NotFound:
        return _back(problem="gone")
    except PfadwerkError:
        return _back(problem="many")
    return _back(added=str(done.added), known=str(done.known)) if done else _back(problem="missing")


def _noted(app: AppContext, key: str, by: str) -> None:
    """Who took the list stands in the audit trail before the first line is out."""
    with app.engine.db.write() as session:
        pools.get(session, key)
        audit.record(session, by, "coupon.export", f"coupon_pool:{key}", {})


def _lines(app: AppContext, key: str, t: Translator) -> Iterator[str]:
    yield START + line_of(t(column) for column in COLUMNS)
    after = 0
    while True:
        with app.engine.db.read() as session:
            rows = pools.exported(session, key, after)
        yield "".join(line_of((one.code, t(STATES[one.state]), one.contact_id, one.message_id, one.reserved_at)) for one in rows)
        if len(rows) < 500:
            return
        after = rows[-1].id
