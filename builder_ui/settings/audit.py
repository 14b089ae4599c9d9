"""The audit trail: who did what, newest first, filtered; whether its chain holds; all of it as a CSV file. For admins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from builder_ui.app.host import Host, clean
from builder_ui.kit import components, forms
from builder_ui.kit.actor_names import journeys_of, member_names
from builder_ui.kit.context import Acts, AppContext, Page, PageContext
from builder_ui.kit.i18n import Translator
from builder_ui.kit.permissions import does, may
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.settings.sections import framed, panel
from crm.imports.csv_cells import line_of
from models import Audit
from workspace import audit

PAGE_SIZE = 50
CSV_PAGE = 200
FILTERS = ("actor", "action", "subject")


@dataclass(frozen=True, slots=True)
class Data:
    lines: Sequence[Audit]
    next_before: str | None
    names: dict[str, str]
    journeys: dict[str, tuple[str, str]]
    actions: Sequence[str]
    details: Mapping[int, dict[str, Any]]


def filters_of(query: Any) -> dict[str, Any]:
    """The filters in an address, as `audit.list_lines` takes them."""
    before = query.get("before", "")
    return {
        **{name: query.get(name, "").strip()[:160] or None for name in FILTERS},
        "before": int(before[:18]) if before[:18].isdecimal() and before.isascii() else None,
    }


def load(context: PageContext) -> Data:
    with context.engine.db.read() as session:
        found = audit.list_lines(session, **filters_of(context.query), limit=PAGE_SIZE + 1)
        return Data(
            found[:PAGE_SIZE],
            str(found[PAGE_SIZE - 1].id) if len(found) > PAGE_SIZE else None,
            member_names(session),
            journeys_of(session, (line.subject for line in found)),
            audit.actions(session),
            audit.details(session, found),
        )


def view(context: PageContext, data: Data, acts: Acts) -> Element:
    t = context.t
    columns = (t("Time"), t("Who"), t("What"), t("About what"), t("Details"))
    rows = [row(context, data, line) for line in data.lines]
    return framed(
        context,
        "Audit trail",
        "Every line carries a seal over itself and the line before it, so any change is detected.",
        chain(context, acts),
        filters(context, data),
        components.table(t("Audit trail"), columns, rows, "audit") if rows else components.empty("search", t("No matching entries."), None),
        components.pager(context, data.next_before),
        wide=True,
    )


def row(context: PageContext, data: Data, line: Audit) -> list[Element]:
    return [
        components.moment(context.t, line.at),
        html.span({"title": line.actor}, called(data, line.actor)),
        html.code(line.action),
        html.a({"href": context.link(subject=line.subject), "title": line.subject}, called(data, line.subject)) if line.subject else "–",
        html.code(orjson.dumps(told(context.t, detail)).decode()[:400]) if (detail := data.details[line.id or 0]) else "–",
    ]


def told(t: Translator, value: Any) -> Any:
    """A detail with its instants as the reader writes them; the file and the API keep what is stored."""
    if isinstance(value, dict):
        return {name: told(t, one) for name, one in value.items()}
    if isinstance(value, list):
        return [told(t, one) for one in value]
    return t.moment(datetime.fromisoformat(value)) if isinstance(value, str) and _is_instant(value) else value


def _is_instant(text: str) -> bool:
    try:
        return "T" in text and datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def called(data: Data, who: str) -> str:
    """The name for `member:<id>` and `journey:<id>`; what it is, otherwise."""
    kind, _, id = who.partition(":")
    return data.names.get(id, who) if kind == "member" else data.journeys.get(who, ("", who))[1]


def filters(context: PageContext, data: Data) -> Element:
    t, query = context.t, context.query
    actors = [(f"member:{id}", name) for id, name in sorted(data.names.items(), key=lambda one: one[1])]
    address = context.link().replace(context.path, f"{context.path}.csv", 1)
    return html.form(
        {"className": "form filters", "method": "get", "action": context.path},
        select(t("Who"), "actor", actors, query.get("actor", ""), t("everyone")),
        select(t("What"), "action", [(one, one) for one in data.actions], query.get("action", ""), t("everything")),
        html.div(
            {"className": "field"},
            html.label({"htmlFor": "audit-subject"}, t("About what")),
            html.input(
                {
                    "id": "audit-subject",
                    "name": "subject",
                    "type": "text",
                    "defaultValue": query.get("subject", ""),
                    "maxLength": 160,
                    "placeholder": "journey:…",
                }
            ),
        ),
        html.div(
            {"className": "actions"},
            html.button({"className": "button main"}, t("Filter")),
            html.a({"className": "button", "href": context.path}, t("Show all")),
            html.a({"className": "button", "href": address, "download": "audit.csv"}, t("As CSV")),
        ),
    )


def select(label: str, name: str, choices: Sequence[tuple[str, str]], value: str, all_of_them: str) -> Element:
    known = [("", all_of_them), *choices]
    if value and value not in dict(known):
        known.append((value, value))
    options = [html.option({"key": one, "value": one, "selected": one == value}, text) for one, text in known]
    id = f"audit-{name}"
    return html.div(
        {"className": "field"}, html.label({"htmlFor": id}, label), html.select({"id": id, "name": name, "defaultValue": value}, options)
    )


def chain(context: PageContext, acts: Acts) -> Element:
    t = context.t
    logged = forms.Field(
        "head",
        t("Head from the log"),
        most=300,
        hint=t(
            "A line “audit head NUMBER:SEAL” from the log of a worker or web server. It shows whether lines have been cut off since. Optional."
        ),
    )
    button = t("Verify audit trail")
    form = forms.form(context, acts, "chain", [logged], button, "audit.read", checking(acts), "Every seal was recomputed.")
    return panel(t("Verification"), *verdict(t, acts.drafts), form)


def checking(acts: Acts) -> forms.Change:
    def do(context: PageContext, values: forms.Values) -> None:
        logged = audit.Head.read(values["head"]) if values["head"] else None
        with context.engine.db.read() as session:
            found = audit.check(session, logged)
        said = {"problem": found.problem, "at": found.broken_at, "key": found.key_id, "from": found.keyed_from, "head": found.head}
        acts.drafts.update({f"chain.{name}": str(value or "") for name, value in said.items()})
        acts.drafts["chain.compared"] = "yes" if logged else ""

    return do


def verdict(t: Translator, found: Mapping[str, str]) -> list[Element]:
    """What the last check found; nothing before there was one."""
    if "chain.problem" not in found:
        return []
    if problem := found["chain.problem"]:
        return [html.p(components.badge(t(audit.BROKEN[problem], id=found["chain.at"], key=found["chain.key"]), "bad", "alert"))]
    since = found["chain.from"]
    sealed = t("Sealed from line {id} on.", id=since) if since else t("No line is sealed.")
    compared = t("It contains the head from the log.") if found["chain.compared"] else ""
    return [
        html.p(components.badge(t("Audit trail verified."), "good", "check"), " ", sealed, " ", compared),
        html.p(t("Its head is now:"), " ", html.code({"className": "long"}, found["chain.head"])),
    ]


PAGE = Page("/ui/settings/audit", "Audit trail", "settings", "audit.read", load, view)


def routes(app: AppContext) -> APIRouter:
    """`/ui/settings/audit.csv`: the lines that fit, page by page, however many they are."""
    router, host = APIRouter(include_in_schema=False), Host(app, ())

    async def download(request: Request) -> Response:
        known = await host.member(request.cookies)
        if known is None:
            return Response(status_code=401)
        if not may(known[1], "audit.read"):
            return Response(status_code=403)
        headers = {
            "content-disposition": 'attachment; filename="audit.csv"',
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
        }
        return StreamingResponse(rows_of(app, filters_of(clean(request.query_params))), 200, headers, "text/csv; charset=utf-8")

    router.add_api_route("/ui/settings/audit.csv", download, methods=["GET"], **does("audit.read"))
    return router


def rows_of(app: AppContext, filters: dict[str, Any]) -> Iterator[str]:
    yield line_of(["id", "at", "actor", "action", "subject", "detail", "digest", "key_id"])
    while True:
        with app.engine.db.read() as session:
            page = audit.list_lines(session, **filters, limit=CSV_PAGE)
            details = audit.details(session, page)
        for line in page:
            detail = orjson.dumps(details[line.id or 0]).decode()
            yield line_of([str(line.id), line.at.isoformat(), line.actor, line.action, line.subject, detail, line.digest, line.key_id])
        if len(page) < CSV_PAGE:
            return
        filters = {**filters, "before": page[-1].id}
