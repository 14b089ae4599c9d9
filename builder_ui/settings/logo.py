"""The logo of the public pages: the form below the setting, and where it leads."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, UploadFile
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response

from builder_ui.app.host import Host
from builder_ui.kit import components
from builder_ui.kit.context import AppContext, PageContext
from builder_ui.kit.permissions import does, may
from builder_ui.kit.reactpy_compat import Element, html
from builder_ui.settings.sections import panel
from models import Member
from workspace import logo, settings

BACK = "/ui/settings/workspace/appearance"
PROBLEM = "The logo must be a PNG or a JPEG file of at most 64 KB."


def panel_of(context: PageContext, setting: settings.Setting) -> Element:
    """What stands below the setting of the public pages; nothing below the others."""
    if not isinstance(setting, settings.Appearance):
        return None
    t = context.t
    shown = html.img({"className": "logo", "src": setting.logo, "alt": t("Current logo")}) if setting.logo else None
    look = html.a({"className": "button", "href": "/p/preview", "target": "_blank", "rel": "noopener"}, t("View the page"))
    return html._(
        panel(
            t("Logo"),
            html.p({"className": "notice bad", "role": "alert"}, components.icon("alert"), t(PROBLEM))
            if context.query.get("problem")
            else None,
            shown or html.p({"className": "quiet"}, t("No logo: the name is shown instead.")),
            _forms(context, bool(setting.logo)) if context.may("setting.change") else None,
        ),
        panel(t("Preview"), html.p(t("The page as contacts see it, with the saved settings.")), look),
    )


def _forms(context: PageContext, there: bool) -> Element:
    t = context.t
    send = {"method": "post", "action": "/ui/settings/logo", "encType": "multipart/form-data"}
    taken = {"type": "file", "id": "logo", "name": "file", "accept": "image/png,image/jpeg", "required": True}
    return html._(
        html.form(
            {**send, "className": "form"},
            html.div({"className": "field"}, html.label({"htmlFor": "logo"}, t("PNG or JPEG, at most 64 KB")), html.input(taken)),
            html.button({"className": "button main"}, t("Use this logo")),
        ),
        html.form(
            {**send, "className": "form"},
            html.input({"type": "hidden", "name": "remove", "value": "yes"}),
            html.button({"className": "button"}, t("Remove logo")),
        )
        if there
        else None,
    )


def routes(app: AppContext) -> APIRouter:
    """`POST /ui/settings/logo`: a file, or `remove`; back to the page, with what was wrong."""
    router, host = APIRouter(include_in_schema=False), Host(app, ())

    async def change(request: Request, file: UploadFile | None = None, remove: Annotated[str, Form(max_length=3)] = "") -> Response:
        known = await host.member(request.cookies)
        if known is None or not may(known[1], "setting.change"):
            return Response(status_code=403)
        content = b"" if remove or file is None else await file.read(logo.MOST_BYTES + 1)
        try:
            picture = logo.address(content) if content or not remove else ""
        except ValueError:
            return RedirectResponse(f"{BACK}?problem=logo", 303)
        await run_in_threadpool(_store, app, known[1], picture)
        return RedirectResponse(BACK, 303)

    router.add_api_route("/ui/settings/logo", change, methods=["POST"], **does("setting.change"))
    return router


def _store(app: AppContext, member: Member, picture: str) -> None:
    with app.engine.db.write() as session:
        now = settings.load(session, settings.Appearance)
        settings.put(session, "appearance", {**now.model_dump(mode="json"), "logo": picture}, f"member:{member.id}", app.now())
