"""A rendered message as somebody wrote it, which is to say: strange HTML. Shown in a frame without scripts, origin or network.

The frame may load images from our own origin, so that a mail in the built-in outbox fires its pixel as it would in a mail program; a
copy of a mail that went to a real mailbox may not, because not its reader looks at it here. Links open new tabs and lead through the
click redirect.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import ColumnElement, not_, or_, true
from sqlalchemy.orm import Session
from sqlmodel import col, select

from activities.rendering import Rendered, RenderFailed
from activities.rendering.kinds import KINDS
from activities.sending.cards import addressed, card_of
from activities.team import account_mail
from builder_ui.kit import cards
from builder_ui.kit.context import AppContext
from builder_ui.kit.permissions import does, may
from crm.consent import double_opt_in
from journeys.errors import NotFound
from locales import translator
from models import Body, Member, Message, OutboxItem

SANDBOX = "allow-popups allow-popups-to-escape-sandbox"
_HEAD = re.compile(r"<head\b[^>]*>", re.IGNORECASE)
_NEW_TABS = '<base target="_blank">'


@dataclass(frozen=True, slots=True)
class Letter:
    """A message as rendered. `fires`: it lies in the built-in outbox, so looking at it counts as opening it."""

    id: str
    recipient: str
    subject: str
    channel: str
    html: str
    text: str
    at: datetime
    headers: dict[str, str] = field(default_factory=dict)
    message: Message | None = None
    fires: bool = False
    parts: dict[str, str] = field(default_factory=dict)


def read_letter(session: Session, id: str, reader: Member) -> Letter:
    """The outbox item of that number, or the kept body of the message of that id.

    Raises:
        NotFound: neither is there, or it is not for this reader's eyes.
    """
    letter = _from_outbox(session, int(id), reader) if id.isdecimal() and len(id) < 19 else _from_body(session, id)
    if letter is None:
        raise NotFound("There is no such message.", id=id[:40])
    return letter


def is_readable(reader: Member) -> ColumnElement[bool]:
    """Which outbox items somebody may see. A link to an account is as good as a password, and one that confirms a subscription proves that the
    mailbox has answered: those mails are the admins' alone."""
    return (
        true()
        if may(reader, "message.read_login")
        else not_(or_(*(_begins_with(once) for once in (account_mail.ONCE, double_opt_in.ONCE))))
    )


def _begins_with(once: str) -> ColumnElement[bool]:
    return col(OutboxItem.idempotency_key).startswith(once, autoescape=True)


def _from_outbox(session: Session, number: int, reader: Member) -> Letter | None:
    item = session.scalar(select(OutboxItem).where(OutboxItem.id == number, is_readable(reader)))
    if item is None:
        return None
    message = session.get(Message, item.message_id) if item.message_id else None
    return Letter(
        str(number),
        item.recipient,
        item.subject,
        item.channel,
        item.html,
        item.text,
        item.accepted_at,
        item.headers,
        message,
        fires=True,
        parts=item.parts,
    )


def _from_body(session: Session, message_id: str) -> Letter | None:
    found = session.execute(select(Message, Body).join(Body, Body.id == Message.body_id).where(Message.id == message_id)).first()  # type: ignore[arg-type]
    if found is None:
        return None
    message, body = found
    return Letter(
        message.id,
        body.recipient,
        body.subject,
        message.channel,
        body.html,
        body.text,
        body.created_at,
        body.headers,
        message,
        parts=body.parts,
    )


def routes(app: AppContext) -> APIRouter:
    """`/ui/outbox/{id}/mail`: the HTML of a message, for the frame on its page."""
    router = APIRouter(include_in_schema=False)

    def find(token: str, id: str) -> Letter | int:
        """The message, or the status of the refusal."""
        reader = app.login.member(token) if token else None
        if reader is None:
            return 401
        if not may(reader, "message.read_body"):
            return 403
        with app.engine.db.read() as session:
            return read_letter(session, id, reader)

    async def show(id: str, request: Request) -> Response:
        letter = await run_in_threadpool(find, request.cookies.get(app.login.cookie, ""), id)
        if isinstance(letter, int):
            return Response(status_code=letter)
        if KINDS.get(letter.channel) is not None and KINDS[letter.channel].is_card:
            return await run_in_threadpool(_card, app, letter, print=request.query_params.get("as") == "pdf")
        return HTMLResponse(
            with_new_tabs(letter.html),
            200,
            {"content-security-policy": policy(app, letter), "cache-control": "no-store", "x-frame-options": "SAMEORIGIN"},
        )

    router.add_api_route("/ui/outbox/{id}/mail", show, methods=["GET"], response_class=HTMLResponse, **does("message.read_body"))
    return router


def _card(app: AppContext, letter: Letter, *, print: bool) -> Response:
    """A card as it was sent: both sides for a frame, or the PDF."""
    if app.post is None:
        raise NotFound("There is no such message.", id=letter.id[:40])
    rendered = Rendered(letter.subject, letter.html, letter.text, app.language, parts=letter.parts)
    with app.engine.db.read() as session:
        card = addressed(card_of(session, rendered), letter.channel, letter.recipient, app.language)
    headers = {"cache-control": "no-store", "x-frame-options": "SAMEORIGIN", "x-content-type-options": "nosniff"}
    try:
        found = app.post.messaging.renderer.card("print" if print else "show", card)
    except RenderFailed:
        raise NotFound("There is nothing to show.") from None
    if print:
        name = {"content-disposition": 'attachment; filename="card.pdf"', "content-security-policy": "sandbox; default-src 'none'"}
        return Response(found[0], 200, {**headers, **name}, "application/pdf")
    return HTMLResponse(cards.page(translator(app.language), found), 200, {**headers, "content-security-policy": policy(app, letter)})


def policy(app: AppContext, letter: Letter) -> str:
    """What the frame may do: show its own styles, and images of ours where the letter fires."""
    origin = urlsplit(app.public_url)
    images = f"'self' {origin.scheme}://{origin.netloc} data:" if letter.fires else "data:"
    return f"sandbox {SANDBOX}; default-src 'none'; img-src {images}; style-src 'unsafe-inline'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"


def with_new_tabs(html: str) -> str:
    """The mail, its links told to open new tabs."""
    head = _HEAD.search(html)
    return f"{html[: head.end()]}{_NEW_TABS}{html[head.end() :]}" if head else _NEW_TABS + html
