"""Forms in websites: what the script `/v1/embed/form.js` asks for and sends. Only the sites that a form names may do so.

What is sent is a plain form body, so that browsers ask nothing beforehand; the header `Origin` says which page sends it. No cookie is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from api.public.doors import Answers, address_of
from api.public.form_view import shown_form
from api.public.forms import STALE, Opened, filled_in, language_for, last, note_spam, open_form, take, tickets_of
from api.public.limits import check_rates
from api.server import Server, TheServer
from api.tracking.site import wants_to_be_left_alone
from crm.forms.definition import Definition
from journeys.errors import TooMany
from locales import translator

router = APIRouter(tags=["public pages"], include_in_schema=False)


@router.api_route("/v1/forms/{key}", methods=["GET", "HEAD"])
def show_embedded_form(key: str, request: Request, server: TheServer) -> Response:
    """What the form asks, with a ticket for one submission."""
    opened = open_form(server, key)
    if opened is None or not _is_allowed(server, opened.definition, request):
        return _answer(request, {"state": "nothing"}, 404, allowed=False)
    language = language_for(request, server, opened, asked=request.query_params.get("language", ""))
    _ = translator(language)
    with server.engine.db.read() as session:
        form = shown_form(session, opened.definition, language)
    popup = opened.definition.popup
    return _answer(
        request,
        {
            "language": language,
            "ticket": _ticket(server, opened),
            "wait_seconds": opened.definition.min_seconds,
            "form": form.as_json(),
            "popup": popup.model_dump(mode="json") if popup is not None else None,
            "words": {
                "optional": _("(optional)"),
                "close": _("Close"),
                "topics": _("I want to hear about:"),
                "mailed": _(
                    "You will get an e-mail with a link. You are signed up once you have confirmed it there, and you can unsubscribe at any time."
                ),
                "failed": _("This did not work. Please try again."),
            },
        },
    )


@router.post("/v1/forms/{key}")
def send_embedded_form(key: str, request: Request, server: TheServer, given: Answers) -> Response:
    """The answer is the same whoever has the address."""
    opened = open_form(server, key, last(given, "ticket"))
    if opened is None or not _is_allowed(server, opened.definition, request):
        return _answer(request, {"state": "nothing"}, 404, allowed=False)
    language = language_for(request, server, opened, shown=last(given, "language"))
    _ = translator(language)
    filled = filled_in(server, opened, given, language)
    if opened.is_spam(given, filled, server.engine.clock.real_now()):
        note_spam(server, opened.form, address_of(request))
        return _done(request, opened, language, given)
    if opened.ticket is None:
        stale = {"state": "stale", "ticket": _ticket(server, opened), "wait_seconds": opened.definition.min_seconds, "message": _(STALE)}
        return _answer(request, stale, 409)
    if filled.wrong:
        wrong = {name: _(text) for name, text in filled.wrong.items()}
        message = next(iter(wrong.values())) if len(wrong) == 1 else _("Please check what is marked below.")
        return _answer(request, {"state": "wrong", "wrong": wrong, "message": message}, 400)
    try:
        check_rates(server, f"form:{key}", address_of(request))
    except TooMany:
        text = _("There have been too many sign-ups from here within a short time. Please try again later.")
        return _answer(request, {"state": "later", "message": text}, 429)
    anonymous_id = "" if wants_to_be_left_alone(request.headers) else last(given, "anonymous_id")
    take(server, opened, filled, language, given, address_of(request), _page(opened.definition, request, given), anonymous_id)
    return _done(request, opened, language, given)


def _done(request: Request, opened: Opened, language: str, given: Mapping[str, Sequence[str]]) -> Response:
    _, definition = translator(language), opened.definition
    mailed = opened.asks_mailbox(given)
    inbox = _("Please check your inbox: we have sent you an e-mail with a link. You are signed up once you confirm there.")
    said = definition.success.said(language)
    message = "\n\n".join(part for part in (said, inbox if mailed else "") if part) or _("What you filled in has arrived.")
    title = _("Almost done") if mailed else _("Thank you")
    return _answer(request, {"state": "done", "title": title, "message": message, "redirect": definition.redirect})


def _ticket(server: Server, opened: Opened) -> str:
    return tickets_of(server).make(opened.id, opened.version, server.engine.clock.real_now())


def _is_allowed(server: Server, definition: Definition, request: Request) -> bool:
    """Whether one of the sites of the form asks, or one of our own pages; what no browser sends has no origin, and nothing to gain."""
    origin = request.headers.get("origin")
    return origin is None or origin == server.settings.public_url or definition.is_at_home(origin)


def _page(definition: Definition, request: Request, given: Mapping[str, Sequence[str]]) -> str:
    """Where the form stands, as the script says; only as far as it agrees with what the browser says."""
    origin, said = request.headers.get("origin", ""), last(given, "page")
    try:
        parts = urlsplit(said) if len(said) < 4_000 else urlsplit("")
    except ValueError:  # `http://[`
        return origin
    return said if said and f"{parts.scheme}://{parts.netloc}" == origin else origin


def _answer(request: Request, said: Mapping[str, Any], status: int = 200, *, allowed: bool = True) -> Response:
    """Readable for the site that asks, and for no other."""
    origin = request.headers.get("origin")
    headers = {"cache-control": "no-store", "vary": "Origin"} | ({"access-control-allow-origin": origin} if origin and allowed else {})
    return JSONResponse(said, status, headers)
