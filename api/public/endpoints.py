"""The public addresses. Looking (GET, HEAD) changes nothing a person would mind; only POST unsubscribes or saves.

Sources: RFC 8058 (one click is a POST with a fixed body, without cookie, login or redirect; scanners follow every GET).
"""

from __future__ import annotations

import logging
from base64 import b64decode
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from activities.tracking import Fetch, Purpose, record_click, record_open, target
from activities.visit_tokens import VisitTokens, with_token
from api.public.brand import brand
from api.public.doors import PER_TOKEN, Form, Happening, address_of, happened, nothing, tracking_of
from api.public.pages import VIEW_POLICY, headers, language_of, page
from api.public.preferences import Sender, Wishes, choices, examples, has_declined_all, purpose_of, record, wish, wishes_of
from api.server import Server, TheServer
from api.tracking.site import wants_to_be_left_alone
from crm.consent import consent, mailbox
from journeys.channels import ADDRESSED
from models import Body, Contact, Event, Message
from storage.locks import lock_contact
from workspace import settings

log = logging.getLogger("pfadwerk.api")

router = APIRouter(tags=["public pages"], include_in_schema=False)

PIXEL = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


@dataclass(frozen=True, slots=True)
class RequestContext:
    """A request whose token is ours: the message, its contact, and the language to speak."""

    server: Server
    request: Request
    message: Message
    contact: Contact
    language: str
    mailbox: str | None
    """The address the message went to; None once its body is gone."""

    @property
    def sender(self) -> Sender:
        return Sender(self.message, self.mailbox, self.server.engine.address_keys)

    @property
    def proof(self) -> dict[str, object]:
        """Kept with a statement of consent; the address is shortened when it is stored."""
        return {"message_id": self.message.id, "ip": address_of(self.request), "method": self.request.method}


@router.api_route("/o/{token}", methods=["GET", "HEAD"])
def pixel(token: str, request: Request, server: TheServer) -> Response:
    """The picture of one point that says a mail was opened."""
    message_id = tracking_of(request).read("open", token.removesuffix(".gif"))
    if message_id is None:
        return nothing(server, request)
    server.take(PER_TOKEN, token)
    _record(server, lambda session, now: [record_open(session, message_id, _fetch(request), now)])
    return Response(PIXEL, media_type="image/gif", headers={"Cache-Control": "no-store, max-age=0", "X-Robots-Tag": "noindex"})


@router.api_route("/c/{token}", methods=["GET", "HEAD"])
def click(token: str, request: Request, server: TheServer) -> Response:
    """Goes on to the stored target of a link; never anywhere else."""
    ids = tracking_of(request).read_click(token)
    if ids is None:
        return nothing(server, request)
    with server.engine.db.read() as session:
        link = target(session, ids[1])
    if link is None:
        return nothing(server, request)
    server.take(PER_TOKEN, token)
    _record(server, lambda session, now: [record_click(session, ids[0], link, _fetch(request), now)])
    return RedirectResponse(
        _with_visitor(server, request, ids[0], link.url),
        302,
        {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex"},
    )


def _with_visitor(server: Server, request: Request, message_id: str, url: str) -> str:
    """The target, which learns who comes where it is one of the workspace's own sites. A test message comes from nobody, and who does not want to be
    followed is nobody."""
    with server.engine.db.read() as session:
        sites = settings.load(session, settings.Tracking).sites
        if urlsplit(url).netloc.lower() not in sites or wants_to_be_left_alone(request.headers):
            return url
        message = session.get(Message, message_id)
        contact = _contact(session, message.contact_id) if message is not None and not message.test else None
    if contact is None:
        return url
    return with_token(url, VisitTokens(server.settings.signing_keys()).make(contact.id, server.engine.clock.real_now()))


@router.api_route("/u/{token}", methods=["GET", "HEAD"])
def ask_to_unsubscribe(token: str, request: Request, server: TheServer) -> Response:
    """Asks; a GET never unsubscribes."""
    visit = _visit(server, request, "unsubscribe", token)
    return _unsubscribe_page(visit, done=False) if visit else nothing(server, request)


@router.post("/u/{token}")
def unsubscribe(token: str, request: Request, server: TheServer, form: Form) -> Response:
    """Withdraws the consent that the message was sent under; by one click in the mail program, or by the page's button."""
    visit = _visit(server, request, "unsubscribe", token)
    if visit is None:
        return nothing(server, request)
    if ("List-Unsubscribe", "One-Click") in form:
        _withdraw(visit, "one-click")
        return Response(status_code=200, headers={"Cache-Control": "no-store"})
    if ("confirm", "yes") not in form:
        return _page(visit, "unsubscribe", 400, done=False, **_links(visit))
    _withdraw(visit, "unsubscribe-page")
    return _unsubscribe_page(visit, done=True)


@router.api_route("/p/preview", methods=["GET", "HEAD"])
def preview(request: Request, server: TheServer) -> Response:
    """What the page looks like, for whoever sets up how it looks: made-up choices, and nothing that can be sent."""
    server.take(PER_TOKEN, "preview")
    language = language_of(request, None, server.settings.language)
    with server.engine.db.read() as session:
        look, boxes = brand(session), examples(session, language)
    return page("preferences", language, look, saved=False, test=True, choices=boxes, declined_all=False, wishes=Wishes(language=language))


@router.api_route("/p/{token}", methods=["GET", "HEAD"])
def ask_for_preferences(token: str, request: Request, server: TheServer) -> Response:
    """Shows what the contact may be told, and by which way."""
    visit = _visit(server, request, "preferences", token)
    return _preferences_page(visit, saved=False) if visit else nothing(server, request)


@router.post("/p/{token}")
def save_preferences(token: str, request: Request, server: TheServer, form: Form) -> Response:
    """Records what was changed on the page, or the objection to everything."""
    visit = _visit(server, request, "preferences", token)
    if visit is None:
        return nothing(server, request)
    if not _is_idle(visit):
        names = frozenset(name for name, _ in form)
        if "nothing" in names:
            _must(visit, lambda s, now: _object(s, visit, now))
        elif "save" in names:
            _must(visit, lambda s, now: _preferred(s, visit, form, now))
    return _preferences_page(_visit(server, request, "preferences", token) or visit, saved=True)


@router.api_route("/v/{token}", methods=["GET", "HEAD"])
def view(token: str, request: Request, server: TheServer) -> Response:
    """The message as it was sent, in the browser."""
    visit = _visit(server, request, "view", token)
    if visit is None or visit.message.body_id is None:
        return nothing(server, request)
    with server.engine.db.read() as session:
        body = session.get(Body, visit.message.body_id)
    if body is None:
        return nothing(server, request)
    if not body.html:
        return _page(visit, "text", subject=body.subject, text=body.text)
    return HTMLResponse(body.html, headers=headers(VIEW_POLICY))


def _visit(server: Server, request: Request, purpose: Purpose, token: str) -> RequestContext | None:
    """Who comes with this token; None for a token that is not ours, or whose message or contact is gone."""
    message_id = tracking_of(request).read(purpose, token)
    if message_id is None:
        return None
    server.take(PER_TOKEN, token)
    with server.engine.db.read() as session:
        message = session.get(Message, message_id)
        contact = _contact(session, message.contact_id) if message else None
        body = session.get(Body, message.body_id) if message and message.body_id else None
    if message is None or contact is None:
        return None
    language = language_of(request, message.locale or contact.locale, server.settings.language)
    return RequestContext(server, request, message, contact, language, (body.recipient if body else None) or None)


def _contact(session: Session, contact_id: str) -> Contact | None:
    """The contact as merged since; None once it is erased."""
    contact = session.get(Contact, contact_id)
    for _ in range(10):
        if contact is None or contact.merged_into is None:
            break
        contact = session.get(Contact, contact.merged_into)
    return contact if contact is not None and contact.erased_at is None else None


def _is_idle(visit: RequestContext) -> bool:
    """A test message goes to a colleague; its links must not speak for the contact it was filled in for."""
    return visit.message.test


def _withdraw(visit: RequestContext, source: str) -> None:
    channel, purpose, contact_id = visit.message.channel, purpose_of(visit.message), visit.contact.id

    def said(session: Session, now: datetime) -> list[Event | None]:
        if consent.state(session, contact_id, channel, purpose) == "withdrawn" and _is_stopped(session, visit):
            return []
        return [
            consent.record_consent(
                session,
                contact_id,
                channel,
                purpose,
                "withdrawn",
                now,
                evidence=consent.Evidence.DATED,
                source=source,
                proof=visit.proof,
                mailbox=visit.mailbox,
            )
        ]

    if not _is_idle(visit):
        _must(visit, said)


def _is_stopped(session: Session, visit: RequestContext) -> bool:
    """Whether the mailbox that the message went to says no already, which need not be the contact's present one."""
    keys, channel = visit.server.engine.address_keys, visit.message.channel
    return (
        visit.mailbox is None
        or channel not in ADDRESSED
        or mailbox.says_no(session, keys, channel, purpose_of(visit.message), visit.mailbox)
    )


def _preferred(session: Session, visit: RequestContext, form: frozenset[tuple[str, str]], now: datetime) -> list[Event | None]:
    """The boxes, and the wishes beside them."""
    contact = lock_contact(session, visit.contact.id)
    ticked, shown = frozenset(name for name, _ in form), {value for name, value in form if name == "shown"}
    said: list[Event | None] = [*record(session, visit.sender, ticked, shown, now, visit.proof, visit.language)]
    return [*said, *wish(session, contact, wishes_of(contact, visit.language, now), dict(form), now)]


def _object(session: Session, visit: RequestContext, now: datetime) -> list[Event | None]:
    came_from = (visit.message.channel, visit.mailbox) if visit.mailbox else None
    return list(consent.object_all(session, visit.contact.id, now, source="preferences", proof=visit.proof, mailbox=came_from))


def _must(visit: RequestContext, happening: Happening) -> None:
    """Stores and routes; an error reaches the visitor, who can try again."""
    happened(visit.server, happening)


def _record(server: Server, happening: Happening) -> None:
    """Stores and routes if that is possible now: a full or busy database must not keep anybody from the page behind a link."""
    try:
        happened(server, happening)
    except DBAPIError as error:
        log.warning("a hit was not recorded: %s", type(error.orig).__name__)


def _unsubscribe_page(visit: RequestContext, *, done: bool) -> Response:
    return _page(visit, "unsubscribe", done=done, **_links(visit))


def _links(visit: RequestContext) -> dict[str, Any]:
    return {"test": visit.message.test, "preferences": tracking_of(visit.request).preferences_url(visit.message.id)}


def _preferences_page(visit: RequestContext, *, saved: bool) -> Response:
    with visit.server.engine.db.read() as session:
        boxes = choices(session, visit.sender, visit.language)
    wished = wishes_of(visit.contact, visit.language, visit.server.engine.clock.now())
    declined = has_declined_all(boxes)
    return _page(visit, "preferences", saved=saved, test=visit.message.test, choices=boxes, wishes=wished, declined_all=declined)


def _page(visit: RequestContext, name: str, status: int = 200, **values: Any) -> Response:
    with visit.server.engine.db.read() as session:
        look = brand(session)
    return page(name, visit.language, look, status, **values)


def _fetch(request: Request) -> Fetch:
    said = " ".join(request.headers.get(name, "") for name in ("sec-purpose", "purpose", "x-purpose", "x-moz")).lower()
    return Fetch(request.headers.get("user-agent", ""), request.method, "prefetch" in said or "preview" in said)
