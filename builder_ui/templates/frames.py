"""A template as a mail, for frames: filled in for a contact or for somebody made up. No scripts, no forms; pictures come from where the mail has them.

The frame keeps the page's origin, so that the editor can hold its place while the text changes; nothing in it can run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.orm import Session

from activities.rendering import CompiledTemplate, Rendered, RenderFailed
from activities.rendering.kinds import KINDS
from activities.sending.cards import card_of
from activities.templates import library, preview
from activities.templates.layouts import layouts
from builder_ui.kit import cards
from builder_ui.kit.context import AppContext
from builder_ui.kit.permissions import does
from builder_ui.outbox.mail import with_new_tabs
from journeys.errors import NotFound
from locales import translator
from models import Template, TemplateVersion

SANDBOX = "allow-same-origin allow-popups allow-popups-to-escape-sandbox"
POLICY = (
    f"sandbox {SANDBOX}; default-src 'none'; img-src 'self' https: data:; style-src 'unsafe-inline'; frame-ancestors 'self'; base-uri 'none'; "
    "form-action 'none'"
)
_DARK = re.compile(r"@media\s*\(\s*prefers-color-scheme\s*:\s*dark\s*\)")
_OWN_DARK = "<style>:root { color-scheme: dark }</style>"
_INVERTED = (
    "<style>html { filter: invert(1) hue-rotate(180deg); background: #fff } "
    "img, video, [style*='background-image'] { filter: invert(1) hue-rotate(180deg) }</style>"
)
_HEAD_END = re.compile(r"</head>", re.IGNORECASE)


def has_dark(html: str) -> bool:
    """Whether a mail brings its own look for dark mail programs."""
    return bool(_DARK.search(html))


def in_dark(html: str) -> str:
    """A mail as dark mail programs show it: by its own rules, else with its colours turned round, as some of them do."""
    style = _OWN_DARK if has_dark(html) else _INVERTED
    return _HEAD_END.sub(f"{style}</head>", _DARK.sub("@media all", html), count=1)


def routes(app: AppContext) -> APIRouter:
    """`/ui/templates/{key}/frame`, and `/ui/new-template/frame/{key}` for layouts."""
    router = APIRouter(include_in_schema=False)

    async def show(
        key: str,
        request: Request,
        state: Annotated[str, Query(max_length=10)] = "saved",
        locale: Annotated[str, Query(max_length=35)] = "",
        contact: Annotated[str, Query(max_length=32)] = "",
        dark: Annotated[str, Query(max_length=1)] = "",
    ) -> Response:
        token = request.cookies.get(app.login.cookie, "")
        async with app.turns.of(token):
            found = await run_in_threadpool(_find, app, token, key, state == "draft", locale, contact or None)
        if found is None:
            return Response(status_code=401)
        kept = "no-store" if contact or state == "draft" else "private, max-age=600"
        if isinstance(found, str):
            return _answer(found, kept)
        html = found.html or f"<!doctype html><pre>{_escaped(found.text)}</pre>"
        return _answer(with_new_tabs(in_dark(html) if dark else html), kept)

    async def show_layout(key: str, request: Request, locale: Annotated[str, Query(max_length=35)] = "") -> Response:
        token = request.cookies.get(app.login.cookie, "")
        async with app.turns.of(token):
            found = await run_in_threadpool(_layout, app, token, key, locale)
        return Response(status_code=401) if found is None else _answer(with_new_tabs(found.html), "private, max-age=600")

    router.add_api_route("/ui/templates/{key}/frame", show, methods=["GET"], response_class=HTMLResponse, **does("template.read"))
    router.add_api_route("/ui/new-template/frame/{key}", show_layout, methods=["GET"], response_class=HTMLResponse, **does("template.read"))
    return router


def _answer(html: str, kept: str) -> Response:
    headers = {"content-security-policy": POLICY, "x-frame-options": "SAMEORIGIN", "referrer-policy": "no-referrer"}
    return HTMLResponse(html, 200, {**headers, "cache-control": kept})


def _layout(app: AppContext, token: str, key: str, locale: str) -> Rendered | None:
    """None: nobody is logged in.

    Raises: NotFound.
    """
    found = next((one for one in layouts() if one.key == key), None)
    if app.post is None or not token or app.login.member(token) is None:
        return None
    if found is None:
        raise NotFound("There is no such layout.")
    name = choose(found.variants, "", locale)
    with app.engine.db.read() as session:
        return preview.proof(
            session, app.post.messaging, found.kind, found.message_class, found.variants, name, app.now(), only=True, layout=True
        ).rendered


SAMPLE_ADDRESS = ("Anna Muster", "Musterweg 1", "3000 Bern")
"""Stands on the back of a card while its template is written."""


def _card(app: AppContext, session: Session, found: Rendered, language: str) -> str:
    """The two sides of a card as a page."""
    assert app.post is not None
    card = replace(card_of(session, found), to=SAMPLE_ADDRESS)
    try:
        pictures = app.post.messaging.renderer.card("show", card)
    except RenderFailed:
        raise NotFound("There is nothing to show.") from None
    return cards.page(translator(language), pictures)


def _find(app: AppContext, token: str, key: str, draft: bool, locale: str, contact_id: str | None) -> Rendered | str | None:
    """A card as its page. None: nobody is logged in.

    Raises: NotFound.
    """
    member = app.login.member(token) if token else None
    if member is None or app.post is None:
        return None
    with app.engine.db.read() as session:
        template = library.get(session, key)
        language = member.locale or app.language
        if draft and (name := choose(template.variants, locale, language)):
            found = _rendered(app, session, template, template.variants, name, contact_id)
            if found is not None:
                return _card(app, session, found, language) if KINDS[template.kind].is_card else found
        found = _as_saved(app, session, template, locale, language, contact_id)
        if found is None:
            raise NotFound("There is nothing to show.")
        return _card(app, session, found, language) if KINDS[template.kind].is_card else found


def _as_saved(app: AppContext, session: Session, template: Template, locale: str, language: str, contact_id: str | None) -> Rendered | None:
    """The newest version, with the partials it was saved with."""
    assert app.post is not None
    version = session.get(TemplateVersion, (template.key, library.latest(session, template.key)))
    name = choose(version.source, locale, language) if version else ""
    if version is None or name not in version.compiled:
        return None
    compiled = CompiledTemplate.from_json(template.kind, {name: version.compiled[name]})
    return preview.saved(session, app.post.messaging, compiled, template.message_class, app.now(), contact_id)


def _rendered(
    app: AppContext, session: Session, template: Template, variants: Mapping[str, Mapping[str, str]], name: str, contact_id: str | None
) -> Rendered | None:
    assert app.post is not None
    return preview.proof(
        session,
        app.post.messaging,
        template.kind,
        template.message_class,
        variants,
        name,
        app.now(),
        contact_id,
        only=True,
        key=template.key,
    ).rendered


def choose(variants: Mapping[str, Mapping[str, str]], wanted: str, language: str) -> str:
    """The language to show: the wanted one, else the reader's, else the first; empty if there is none."""
    names = [wanted] if wanted else [language, language.partition("-")[0], "default", *variants]
    return next((name for name in names if name in variants), "")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
