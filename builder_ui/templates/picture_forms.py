"""Where files of the picture library arrive: one or several in a plain form, or one after the other from `pictures.js`."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.datastructures import UploadFile

from activities.pictures import library
from builder_ui.app.host import Host
from builder_ui.kit.context import AppContext
from builder_ui.kit.permissions import does, may
from journeys.errors import PfadwerkError

PAGE = "/ui/pictures"
MOST_AT_ONCE = 20
PROBLEMS = {
    "svg": "SVG cannot be used: it can hold scripts, and most mail programs do not show it. Export it as PNG.",
    "kind": "This is not a picture that mail programs show: expected PNG, JPEG, GIF or WebP.",
    "broken": "This picture is broken and cannot be shown.",
    "bytes": "The picture has more than {megabytes} MB.",
    "pixels": "The picture has more than 40 million pixels.",
    "frames": "An animation can have at most 500 frames.",
    "full": "The picture library is full: delete pictures that are not used.",
    "missing": "Choose a file.",
    "role": "Your role does not allow this.",
    "lost": "The picture could not be sent. Try again.",
}
"""Code -> what the page says."""


def routes(app: AppContext) -> APIRouter:
    """`POST /ui/pictures`: back to the page, with what was wrong; for scripts the same as JSON."""
    router, host = APIRouter(include_in_schema=False), Host(app, ())

    async def take(request: Request) -> Response:
        known = await host.member(request.cookies)
        if known is None:
            return Response(status_code=403)
        if not may(known[1], "template.change"):
            return _answer(request, "role")
        by = f"member:{known[1].id}"
        async with request.form(max_files=MOST_AT_ONCE, max_fields=4) as form:
            files = [one for one in form.getlist("file") if isinstance(one, UploadFile) and one.filename]
            try:
                for file in files:
                    await run_in_threadpool(_take, app, await file.read(), file.filename or "", by)
            except PfadwerkError as error:
                return _answer(request, str(error.details.get("problem", "lost")))
        return _answer(request, "" if files else "missing")

    router.add_api_route(PAGE, take, methods=["POST"], **does("template.change"))
    return router


def _take(app: AppContext, content: bytes, name: str, by: str) -> None:
    library.add(app.engine.db, content, name, by, app.now())


def _answer(request: Request, problem: str) -> Response:
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse({"problem": problem}, 422 if problem else 201)
    return RedirectResponse(f"{PAGE}?problem={problem}" if problem else PAGE, 303)
