"""The search of the shell: where hits lead, and the route that answers while somebody types."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from sqlalchemy.orm import Session

from builder_ui.app.host import Host
from builder_ui.kit.context import AppContext
from builder_ui.kit.i18n import Translator
from builder_ui.kit.permissions import does
from reports.search import MOST_CHARACTERS, Group, Hit, search

QUICK = 4
"""Hits of a kind under the field; the page of results has more."""
KINDS = {
    "journey": ("Journeys", "/ui/journeys/{id}", "route"),
    "contact": ("Contacts", "/ui/contacts/{id}", "people"),
    "company": ("Companies", "/ui/companies/{id}", "building"),
    "template": ("Templates", "/ui/templates/{id}", "pencil"),
    "segment": ("Segments", "/ui/segments/{id}", "segments"),
    "task": ("Tasks", "/ui/tasks?owner=all", "check-square"),
    "run": ("Runs", "/ui/runs/{id}", "shuffle"),
    "message": ("Messages", "/ui/outbox/{id}", "mail"),
}
"""Kind of hit -> (what many are called, where one is looked at, symbol)."""


def address(hit: Hit) -> str:
    return KINDS[hit.kind][1].format(id=quote(hit.id, safe=""))


def routes(app: AppContext) -> APIRouter:
    """`/ui/find?q=`: the first hits as JSON, for whoever is logged in."""
    router, host = APIRouter(include_in_schema=False), Host(app, ())

    async def find(request: Request, q: str = "") -> Response:
        known = await host.member(request.cookies)
        if known is None:
            return Response(status_code=401)
        t = host.t(known[1], request.headers)
        groups = await run_in_threadpool(_look, app, q)
        said = {"groups": [_said(t, group) for group in groups], "all": f"/ui/search?{urlencode({'q': q[:MOST_CHARACTERS]})}"}
        return JSONResponse(said, headers={"cache-control": "no-store"})

    router.add_api_route("/ui/find", find, methods=["GET"], **does("contact.read"))
    return router


def _look(app: AppContext, text: str) -> list[Group]:
    with app.engine.db.read() as session:
        return look(session, text, QUICK)


def look(session: Session, text: str, limit: int) -> list[Group]:
    return search(session, text.replace("\0", ""), limit)


def _said(t: Translator, group: Group) -> dict[str, Any]:
    hits = [{"title": hit.title, "detail": hit.detail, "href": address(hit)} for hit in group.hits]
    return {"title": t(KINDS[group.kind][0]), "hits": hits}
