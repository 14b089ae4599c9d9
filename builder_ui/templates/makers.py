"""New templates: from a layout, from nothing, or as a copy. Plain forms that lead into the editor."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response
from sqlmodel import select

from activities.rendering.kinds import KINDS
from activities.templates import coupons, library, listing
from activities.templates.layouts import beginning, layouts
from builder_ui.app.host import Host
from builder_ui.kit import components
from builder_ui.kit.context import Acts, AppContext, Page, PageContext
from builder_ui.kit.permissions import does, may
from builder_ui.kit.reactpy_compat import Element, html
from journeys.channels import DEFAULT
from journeys.errors import Conflict, NotFound, PfadwerkError
from journeys.keys import KEY, copy_of, key_of
from locales import translator
from models import Member, Template

PROBLEMS = {
    "taken": "A template with this key already exists. Choose another key.",
    "key": "A key has lower-case letters, digits, - and _, at most 64.",
    "invalid": "A template needs a name of 1 to 120 characters, and a kind.",
    "gone": "This template does not exist any more.",
    "role": "Your role does not allow this.",
}


def load(_context: PageContext) -> None:
    return None


def view(context: PageContext, _data: None, _acts: Acts) -> Element:
    t = context.t
    back = ("/ui/templates", t("Templates"))
    if not context.may("template.change"):
        return html._(components.head(t("New template"), back=back), components.empty("ban", t("Your role does not allow this."), None))
    problem = PROBLEMS.get(context.query.get("problem", ""))
    return html._(
        components.head(t("New template"), back=back),
        html.p({"className": "notice bad", "role": "alert"}, components.icon("alert"), t(problem)) if problem else None,
        html.div(
            {"className": "cards"},
            [
                _card(context, one.key, one.kind, t(one.name), t(one.description), components.picture(f"/ui/new-template/frame/{one.key}?locale={t.language}"))
                for one in layouts()
            ],
            [
                _card(context, "", kind, t(about.start_label), t(about.start_help), components.icon(about.icon))
                for kind, about in KINDS.items()
            ],
        ),
    )  # fmt: skip


def _card(context: PageContext, layout: str, kind: str, name: str, text: str, shown: Element) -> Element:
    t = context.t
    return html.article(
        {"className": "card tpl-card", "key": layout or kind},
        html.span({"className": "tpl-thumb", "aria-hidden": "true"}, shown),
        html.div(
            {"className": "tpl-facts"},
            html.h2(name),
            html.p({"className": "quiet"}, text),
            html.form(
                {"className": "tpl-form", "method": "post", "action": "/ui/templates"},
                html.input({"type": "hidden", "name": "layout", "value": layout}),
                html.input({"type": "hidden", "name": "kind", "value": kind}),
                html.label(t("Name"), html.input({"name": "name", "required": True, "maxLength": 120, "defaultValue": name})),
                html.button({"className": "button main"}, t("Create and edit")),
                components.own_key(t, "key"),
            ),
        ),
    )  # fmt: skip


PAGE = Page("/ui/new-template", "New template", "templates", "template.read", load, view)


# What the forms do


def routes(app: AppContext) -> APIRouter:
    """Where the forms lead. Each answers with a redirect: into the editor, or back with what was wrong."""
    router, makers = APIRouter(include_in_schema=False), _Makers(app)
    router.add_api_route("/ui/templates", makers.create, methods=["POST"], **does("template.change"))
    router.add_api_route("/ui/templates/{key}/duplicate", makers.duplicate, methods=["POST"], **does("template.change"))
    return router


class _Makers:
    """Checks who asks, makes the template, leads on."""

    def __init__(self, app: AppContext) -> None:
        self.app = app
        self.host = Host(app, ())

    async def create(
        self,
        request: Request,
        name: Annotated[str, Form(max_length=400)],
        key: Annotated[str, Form(max_length=200)] = "",
        kind: Annotated[str, Form(max_length=16)] = DEFAULT,
        layout: Annotated[str, Form(max_length=64)] = "",
    ) -> Response:
        return await self._led(request, "/ui/new-template", self._create, key, name, kind, layout)

    async def duplicate(self, request: Request, key: str, new_key: Annotated[str, Form(max_length=200)] = "") -> Response:
        return await self._led(request, "/ui/templates", self._duplicate, new_key, key)

    async def _led(self, request: Request, back: str, make: Any, key: str, *arguments: Any) -> Response:
        known = await self.host.member(request.cookies)
        if known is None:
            return Response(status_code=403)
        if not may(known[1], "template.change"):
            return RedirectResponse(f"{back}?problem=role", 303)
        if key and not KEY.fullmatch(key):
            return RedirectResponse(f"{back}?problem=key", 303)
        try:
            key = await run_in_threadpool(make, known[1], key, *arguments)
        except PfadwerkError as error:
            problem = {Conflict: "taken", NotFound: "gone"}.get(type(error), "invalid")
            return RedirectResponse(f"{back}?problem={problem}", 303)
        return RedirectResponse(f"/ui/templates/{key}", 303)

    def _create(self, member: Member, key: str, name: str, kind: str, layout: str) -> str:
        name = name.strip()
        with self.app.engine.db.read() as session:
            key = key or key_of(name, set(session.scalars(select(Template.key)).all()), kind, "-")
        variants, message_class = beginning(layout, kind)
        coupons.provide(self.app.engine.db, variants, f"member:{member.id}", self.app.now())
        about: Any = {"name": name, "kind": kind, "message_class": message_class or "marketing"}
        library.save(
            self.app.engine.db,
            key,
            variants,
            actor=f"member:{member.id}",
            now=self.app.now(),
            revision=0,
            renderer=self.app.renderer,
            **about,
        )
        return key

    def _duplicate(self, member: Member, key: str, original: str) -> str:
        with self.app.engine.db.write() as session:
            present = dict(session.execute(select(Template.key, Template.name)).all())
            name = copy_of(library.get(session, original).name, translator(member.locale[:2])("copy"), set(present.values()))
            key = key or key_of(name, present, original, "-")
            listing.duplicate(session, original, key, name, f"member:{member.id}", self.app.now())
        return key
