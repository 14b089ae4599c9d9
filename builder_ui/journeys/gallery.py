"""New journeys: from nothing, from the gallery with a preview, from a file, or as a copy. Plain forms that lead into the builder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Form, Request, UploadFile
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response
from sqlmodel import select

from activities.templates import library
from builder_ui.app.host import Host
from builder_ui.builder import cards
from builder_ui.builder.bundle import assets
from builder_ui.builder.draft import Draft
from builder_ui.builder.protocol import is_key
from builder_ui.kit import components, labels
from builder_ui.kit.context import Acts, AppContext, Page, PageContext
from builder_ui.kit.permissions import does, may
from builder_ui.kit.reactpy_compat import Element, html
from crm.catalogue import declare_missing
from engine.engine import NewJourney
from engine.versions import publish
from journeys import unfinished
from journeys.document import MAX_DOCUMENT_BYTES
from journeys.errors import Conflict, NotFound, PfadwerkError, TooLarge
from journeys.keys import copy_of, key_of
from journeys.reading import read
from journeys.templates import AIMS, Aim, TemplateEntry, gallery
from locales import translator
from models import Journey, Member, Template

PROBLEMS = {
    "taken": "A journey with this key already exists. Choose another key.",
    "key": "A key has lower-case letters, digits, - and _, at most 64.",
    "invalid": "This file is not a journey. A journey is a JSON file made by the export.",
    "large": "This file is too large for a journey.",
    "gone": "This journey does not exist any more.",
    "role": "Your role does not allow this.",
}


def load(_context: PageContext) -> None:
    return None


def view(context: PageContext, _data: None, _acts: Acts) -> Element:
    t = context.t
    problem = PROBLEMS.get(context.query.get("problem", ""))
    if not context.may("journey.change"):
        return html._(components.head(t("New journey")), components.empty("ban", t("Your role does not allow this."), None))
    return html._(
        components.head(t("New journey"), back=("/ui/journeys", t("Journeys"))),
        html.p({"className": "notice bad", "role": "alert"}, components.icon("alert"), t(problem)) if problem else None,
        html.div(
            {"className": "aims"},
            html.section(
                {"className": "aim own", "key": "own", "aria-labelledby": "aim-own"},
                html.header(
                    html.h2({"id": "aim-own"}, t("Start from scratch")),
                    html.p({"className": "quiet"}, t("Draw your own, or import one.")),
                ),
                html.div(_blank(context), _file(context)),
            ),
            [_aimed(context, aim) for aim in AIMS],
        ),
    )


def _aimed(context: PageContext, aim: Aim) -> Element:
    """The journeys that reach one thing, under what they reach."""
    t, id = context.t, f"aim-{aim.key}"
    return html.section(
        {"className": "aim", "key": aim.key, "aria-labelledby": id},
        html.header(html.h2({"id": id}, t(aim.title)), html.p({"className": "quiet"}, t(aim.about))),
        html.div([_offer(context, entry) for entry in gallery() if entry.aim == aim]),
    )


def _blank(context: PageContext) -> Element:
    t = context.t
    return html.article(
        {"className": "card", "key": "blank"},
        html.h3(t("Blank journey")),
        html.p({"className": "quiet"}, t("An empty canvas with a start and an exit.")),
        _naming(context, "", t("New journey")),
    )


def _naming(context: PageContext, template: str, name: str) -> Element:
    t = context.t
    return html.form(
        {"className": "pfb-new", "method": "post", "action": "/ui/gallery"},
        html.input({"type": "hidden", "name": "template", "value": template}),
        html.label(t("Name"), html.input({"name": "name", "required": True, "maxLength": 120, "defaultValue": name})),
        html.button({"className": "button main"}, t("Create and draw")),
        components.own_key(t, "key"),
    )


def _file(context: PageContext) -> Element:
    t = context.t
    form = {"className": "pfb-new", "method": "post", "action": "/ui/gallery/import", "encType": "multipart/form-data"}
    return html.article(
        {"className": "card", "key": "file"},
        html.h3(t("From a file")),
        html.p({"className": "quiet"}, t("A journey that was exported, here or elsewhere.")),
        html.form(
            form,
            html.label(t("File"), html.input({"type": "file", "name": "file", "accept": ".json,application/json", "required": True})),
            html.label(t("Key (empty: as in the file)"), html.input({"name": "key", "pattern": components.KEY_PATTERN})),
            html.button({"className": "button"}, t("Import")),
        ),
    )


def _offer(context: PageContext, entry: TemplateEntry) -> Element:
    t = context.t
    name = t(entry.name)
    return html.article(
        {"className": "card", "key": entry.key},
        html.h3(name),
        html.p({"className": "quiet"}, t(entry.description)),
        html.details(html.summary(t("View steps")), _steps(context, entry.document)),
        _naming(context, entry.key, name),
    )


def _steps(context: PageContext, document: Mapping[str, Any]) -> Element:
    """The steps in the order of their ways."""
    t, palette, draft = context.t, context.engine.palette, Draft(document)
    names = labels.names_in(t, palette, draft.nodes)
    views = {id: cards.view_of(t, palette, id, raw, names) for id, raw in draft.nodes.items()}
    start = cards.entry_view(t, draft)
    lines = [start, *(views[id] for id in cards.in_order(draft, views))]
    items = [
        html.li({"key": str(n)}, components.icon(one["icon"]), html.span(html.b(one["called"]), " ", html.small(one["summary"])))
        for n, one in enumerate(lines)
    ]
    return html.ol({"className": "pfb-preview"}, items)


PAGE = Page("/ui/gallery", "New journey", "journeys", "catalogue.read", load, view, assets=assets())  # the builder comes next


# What the forms do


def routes(app: AppContext) -> APIRouter:
    """Where the forms lead. Each answers with a redirect: into the builder, or back with what was wrong."""
    router, makers = APIRouter(include_in_schema=False), _Makers(app)
    router.add_api_route("/ui/gallery", makers.create, methods=["POST"], **does("journey.change"))
    router.add_api_route("/ui/gallery/import", makers.take, methods=["POST"], **does("journey.change"))
    router.add_api_route("/ui/journeys/{key}/duplicate", makers.duplicate, methods=["POST"], **does("journey.change"))
    return router


class _Makers:
    """Checks who asks, makes the journey, leads on."""

    def __init__(self, app: AppContext) -> None:
        self.app = app
        self.host = Host(app, ())

    async def create(
        self,
        request: Request,
        name: Annotated[str, Form(max_length=400)],
        key: Annotated[str, Form(max_length=200)] = "",
        template: Annotated[str, Form(max_length=64)] = "",
    ) -> Response:
        return await self._led(request, self._create, key, name, template)

    async def take(self, request: Request, file: UploadFile, key: Annotated[str, Form(max_length=200)] = "") -> Response:
        content = await file.read(MAX_DOCUMENT_BYTES + 1)
        return await self._led(request, self._import, key, content)

    async def duplicate(self, request: Request, key: str, new_key: Annotated[str, Form(alias="key", max_length=200)] = "") -> Response:
        return await self._led(request, self._duplicate, new_key, key)

    async def _led(self, request: Request, make: Any, key: str, *arguments: Any) -> Response:
        known = await self.host.member(request.cookies)
        if known is None:
            return Response(status_code=403)
        if not may(known[1], "journey.change"):
            return _back("role")
        if key and not is_key(key):
            return _back("key")
        try:
            made = await run_in_threadpool(make, known[1], key, *arguments)
        except PfadwerkError as error:
            return _back({Conflict: "taken", TooLarge: "large", NotFound: "gone"}.get(type(error), "invalid"))
        return RedirectResponse(f"/ui/journeys/{quote(made)}/edit", 303)

    def _create(self, member: Member, key: str, name: str, template: str) -> str:
        entry = next((one for one in gallery() if one.key == template), None)
        if entry is not None:
            self._mails(entry, member)
            with self.app.engine.db.write() as session:
                declare_missing(session, entry.fields, entry.events, self.app.now())
        document = self.app.engine.new_journey.fill(entry.document) if entry else _blank_document(self.app.engine.new_journey)
        name = name.strip()[:120] or key or template or "journey"
        with self.app.engine.db.read() as session:
            key = key or key_of(name, set(session.scalars(select(Journey.key)).all()), template or "journey")
        return self._store(member, {**document, "key": key, "name": name})

    def _mails(self, entry: TemplateEntry, member: Member) -> None:
        """The message templates of a gallery journey; those that are there already stay as they are."""
        with self.app.engine.db.read() as session:
            present = set(session.scalars(select(Template.key)).all())
        for mail in entry.mails:
            if mail.key not in present:
                kept: dict[str, Any] = {"name": mail.name, "kind": mail.kind, "message_class": mail.message_class}
                library.save(
                    self.app.engine.db,
                    mail.key,
                    mail.variants,
                    actor=f"member:{member.id}",
                    now=self.app.now(),
                    renderer=self.app.renderer,
                    **kept,
                )

    def _import(self, member: Member, key: str, content: bytes) -> str:
        raw = publish.as_json(read(content, strict=True))
        return self._store(member, {**raw, **({"key": key} if key else {})})

    def _duplicate(self, member: Member, key: str, original: str) -> str:
        with self.app.engine.db.read() as session:
            draft = dict(publish.get_journey(session, original).draft)
            present = dict(session.execute(select(Journey.key, Journey.name)).all())
        name = copy_of(str(draft.get("name", original)), translator(member.locale[:2])("copy"), set(present.values()))
        return self._store(member, {**draft, "key": key or key_of(name, present, original), "name": name})

    def _store(self, member: Member, document: Mapping[str, Any]) -> str:
        with self.app.engine.db.write() as session:
            return publish.create_journey(session, document, f"member:{member.id}", self.app.now()).key


def _blank_document(new: NewJourney) -> dict[str, Any]:
    """A start and an exit. How often somebody may enter, and for which purpose messages go out, is nobody's guess: both are to be chosen."""
    document = new.fill({"spec": 1, "start": "exit", "nodes": {"exit": {"kind": "exit"}}, "edges": []})
    open_parts = {"entry": {"reentry": {"policy": None}}, "settings": {**document["settings"], "purpose": None}}
    return {**document, "ui": {unfinished.PLACE: open_parts}}


def _back(problem: str) -> Response:
    return RedirectResponse(f"/ui/gallery?problem={problem}", 303)
