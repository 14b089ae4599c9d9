"""Forms that people made, as pages of their own: `/f/KEY`. Those that were sign-up forms have their former address, `/subscribe/KEY`, too.

No login, no cookie, no script. The answer says nothing about the address that was filled in, and the same page sent twice is one submission.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.orm import Session

from activities.form_tickets import FormTickets, Ticket
from api.public.brand import brand
from api.public.doors import Answers, address_of, happened, nothing
from api.public.form_view import shown_form
from api.public.limits import check_rates, is_counted
from api.public.pages import language_of, page
from api.server import Server, TheServer
from crm.forms import forms, submissions
from crm.forms.definition import Definition
from crm.forms.reading import TICKED, Filled, read
from crm.forms.submissions import ORIGIN, Sent
from journeys.errors import TooMany
from locales import SUPPORTED
from models import Event, Form, new_id
from workspace import settings

router = APIRouter(tags=["public pages"], include_in_schema=False)

TRAP = "website"
"""A field that people do not see and programs fill in."""
STALE = "This page was open for long. Please check what you filled in and send it again."


@dataclass(frozen=True, slots=True)
class Opened:
    """A live form in the version that was shown. `ticket` None: the page has none, or one that is not good any more."""

    form: Form
    definition: Definition
    version: int
    ticket: Ticket | None = None

    @property
    def id(self) -> int:
        return forms.id_of(self.form)

    def is_spam(self, given: Mapping[str, Sequence[str]], filled: Filled, now: datetime) -> bool:
        """Whether only a program does so: it filled in what nobody sees, or filled in everything quicker than people do."""
        quick = self.ticket is not None and now - self.ticket.shown_at < timedelta(seconds=self.definition.min_seconds)
        return any(given.get(TRAP, ())) or (quick and not filled.wrong)

    def asks_mailbox(self, given: Mapping[str, Sequence[str]]) -> bool:
        """Whether a box was ticked that a mail asks to confirm."""
        return any(box.by_mail and TICKED in given.get(box.key, ()) for box in self.definition.boxes)


def open_form(server: Server, key: str, ticket: str = "") -> Opened | None:
    """None: no form of this key is live."""
    now = server.engine.clock.real_now()
    with server.engine.db.read() as session:
        found = forms.shown(session, key)
        if found is None:
            return None
        read = tickets_of(server).read(ticket, forms.id_of(found[0]), now) if ticket else None
        former = forms.shown(session, key, read.version) if read is not None else None
    return Opened(*found) if former is None else Opened(*former, read)


def tickets_of(server: Server) -> FormTickets:
    return FormTickets(server.settings.signing_keys())


@router.api_route("/subscribe/{key}", methods=["GET", "HEAD"])
@router.api_route("/f/{key}", methods=["GET", "HEAD"])
def show_form(key: str, request: Request, server: TheServer) -> Response:
    """The form as a page of its own."""
    opened = open_form(server, key)
    if opened is None:
        return nothing(server, request)
    return _form_page(server, request, opened, language_for(request, server, opened, asked=request.query_params.get("language", "")))


@router.post("/subscribe/{key}")
@router.post("/f/{key}")
def send_form(key: str, request: Request, server: TheServer, given: Answers) -> Response:
    """Takes what was filled in; the answer is the same whoever has the address."""
    opened = open_form(server, key, last(given, "ticket"))
    if opened is None:
        return nothing(server, request)
    language = language_for(request, server, opened, shown=last(given, "language"))
    filled = filled_in(server, opened, given, language)
    if opened.is_spam(given, filled, server.engine.clock.real_now()):
        note_spam(server, opened.form, address_of(request))
        return _done(server, opened, language, given)
    stale = opened.ticket is None and not (opened.definition.plain and not last(given, "ticket"))
    if filled.wrong or stale:
        return _form_page(server, request, opened, language, given, filled, stale=stale and not filled.wrong)
    try:
        check_rates(server, f"form:{key}", address_of(request))
    except TooMany:
        return _page(server, language, "subscribe_later", 429)
    take(server, opened, filled, language, given, address_of(request), page_of(request))
    return _done(server, opened, language, given)


def filled_in(server: Server, opened: Opened, given: Mapping[str, Sequence[str]], language: str) -> Filled:
    with server.engine.db.read() as session:
        topics = [one.key for one in settings.load(session, settings.Topics).asked]
    return read(opened.definition, given, topics, language)


def take(
    server: Server,
    opened: Opened,
    filled: Filled,
    language: str,
    given: Mapping[str, Sequence[str]],
    network: str,
    at: str,
    anonymous_id: str = "",
) -> None:
    """Stores and routes in one transaction. `at`: the address of the page with the form."""
    sent = Sent(
        form=opened.form,
        definition=opened.definition,
        version=opened.version,
        filled=filled,
        nonce=opened.ticket.nonce if opened.ticket is not None else new_id(),
        language=language,
        page=at,
        origin={name: last(given, name) for name in ORIGIN if last(given, name)},
        ip=network,
        anonymous_id=anonymous_id,
    )

    def submitted(session: Session, now: datetime) -> list[Event | None]:
        return list(submissions.submit(session, sent, now))

    happened(server, submitted)


def note_spam(server: Server, form: Form, network: str) -> None:
    """Counts it, but not everything of a network that sends without end."""
    if not is_counted(server, network):
        return
    with server.engine.db.write() as session:
        submissions.spam(session, form, server.engine.clock.now())


def page_of(request: Request) -> str:
    """Where the form stands, as far as the browser says: ours tell nobody where they were, and then say `null`."""
    said = (request.headers.get(name, "") for name in ("referer", "origin"))
    return next((one for one in said if one not in ("", "null")), str(request.url))


def last(given: Mapping[str, Sequence[str]], name: str) -> str:
    """What came under a name; empty if nothing did."""
    values = given.get(name, ())
    return values[-1] if values else ""


def language_for(request: Request, server: Server, opened: Opened, *, asked: str = "", shown: str = "") -> str:
    """In which it was `shown`; before that the form's own, else the one that is asked for, else the browser's."""
    return next((one for one in (shown, opened.definition.language, asked) if one in SUPPORTED), "") or language_of(
        request, None, server.settings.language
    )


def _form_page(
    server: Server,
    request: Request,
    opened: Opened,
    language: str,
    given: Mapping[str, Sequence[str]] | None = None,
    filled: Filled | None = None,
    *,
    stale: bool = False,
) -> Response:
    wrong = filled.wrong if filled is not None else {}
    with server.engine.db.read() as session:
        form = shown_form(session, opened.definition, language, given, wrong)
    asked = {name: [value] for name, value in request.query_params.items()} if given is None else given
    ticket = _ticket(server, opened, given)
    return _page(
        server,
        language,
        "form",
        400 if given is not None else 200,
        form=form,
        ticket=ticket,
        trap=TRAP,
        stale=STALE if stale else "",
        origin={name: last(asked, name)[:500] for name in ORIGIN if last(asked, name)},
        **_frames(opened.definition),
    )


def _ticket(server: Server, opened: Opened, given: Mapping[str, Sequence[str]] | None) -> str:
    """For the page that is shown now. Where something was wrong that of the page before, or one that has waited already: nobody is taken for a program
    who is quick to mend it, nor who sends a page again that was open for long."""
    before = last(given or {}, "ticket")
    if opened.ticket is not None:
        return before
    tickets, now = tickets_of(server), server.engine.clock.real_now()
    has_waited = tickets.is_over(before, opened.id, now) if before else given is not None and opened.definition.plain
    return tickets.make(opened.id, opened.version, now - timedelta(seconds=opened.definition.min_seconds) if has_waited else now)


def _done(server: Server, opened: Opened, language: str, given: Mapping[str, Sequence[str]]) -> Response:
    definition = opened.definition
    if definition.redirect:
        return RedirectResponse(definition.redirect, 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
    name = "subscribe_asked" if opened.asks_mailbox(given) else "form_done"
    return _page(server, language, name, success=definition.success.said(language), **_frames(definition))


def _frames(definition: Definition) -> dict[str, Any]:
    """Where the page may lead, and who may frame it."""
    parts = urlsplit(definition.redirect)
    framed = [f"{scheme}://{host}" for host in definition.hosts for scheme in ("https", "http")] if definition.framed else []
    return {"leads_to": f"{parts.scheme}://{parts.netloc}" if definition.redirect else "", "framed_by": framed}


def _page(server: Server, language: str, name: str, status: int = 200, **values: Any) -> Response:
    with server.engine.db.read() as session:
        look = brand(session)
    return page(name, language, look, status, **values)
