"""Serves the pages: an HTML shell per page, the socket behind it, and static files.

A shell holds what every page has (menu, language, log-out), so it paints before any socket is open; the page itself comes over the
socket. Who is not logged in is refused before the socket is accepted (who comes from another site, earlier: `api.auth.origin`). Pages are looked up
by path and bring their own content; nothing here knows one of them.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
from fastapi import APIRouter, Request, WebSocket
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sqlalchemy.exc import DBAPIError
from starlette.websockets import WebSocketDisconnect, WebSocketState

from builder_ui.app.screen import load, screen
from builder_ui.kit import reactpy_compat
from builder_ui.kit.components import ICONS
from builder_ui.kit.context import AppContext, Page, PageContext
from builder_ui.kit.i18n import Translator, language_for, translator_of
from builder_ui.kit.permissions import does, may
from crm.coupons import reservations
from journeys.errors import PfadwerkError
from locales import SUPPORTED, translator
from models import Member
from workspace import accounts, sending_rates, stopped_accounts

log = logging.getLogger("pfadwerk.pages")

HERE = Path(__file__).parents[1]
MAX_MESSAGE_CHARACTERS = 65_536
LOGGED_OUT = 4401
"""Close code that tells the shell to send the person to the log-in page."""

ACCOUNT = "/ui/settings"
"""The one page for somebody who still owes a second factor."""

FOREVER = {"cache-control": "public, max-age=31536000, immutable"}
TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

MENU = (
    ("journeys", "/ui/journeys", "Journeys", "route"),
    ("contacts", "/ui/contacts", "Contacts", "people"),
    ("companies", "/ui/companies", "Companies", "building"),
    ("segments", "/ui/segments", "Segments", "segments"),
    ("forms", "/ui/forms", "Forms", "clipboard-check"),
    ("scoring", "/ui/scoring", "Scoring", "gauge"),
    ("templates", "/ui/templates", "Templates", "layout"),
    ("messages", "/ui/messages", "Messages", "message-square"),
    ("outbox", "/ui/outbox", "Outbox", "mail"),
    ("tasks", "/ui/tasks", "Tasks", "check-square"),
    ("settings", "/ui/settings", "Settings", "sliders"),
)
LANGUAGES = {"en": "English", "de": "Deutsch"}
FIRST_OF_SALES = ("tasks", "contacts")
"""What a sales member comes for, in front of the rest."""
THEMES = {"system": "System", "light": "Light", "dark": "Dark"}
Extra = Callable[[Member, str], dict[str, Any] | None]
"""What a page's shell shows besides, by member and the page's path."""

templates = Environment(loader=FileSystemLoader(HERE / "shells"), autoescape=True, undefined=StrictUndefined, trim_blocks=True)


@dataclass(frozen=True, slots=True)
class Static:
    """A file that never changes under its address, because the address carries a digest of the content."""

    name: str
    content: bytes
    digest: str

    @property
    def url(self) -> str:
        return f"/ui/static/{self.digest}/{self.name}"


def _statics() -> dict[str, Static]:
    files = sorted((HERE / "static").iterdir())
    return {f.name: Static(f.name, f.read_bytes(), sha256(f.read_bytes()).hexdigest()[:12]) for f in files if f.suffix in TYPES}


STATICS = _statics()


def home_of(member: Member) -> str:
    """Where a member's day begins."""
    return "/ui/tasks" if member.role == "sales" else "/ui/journeys"


def menu_of(member: Member) -> list[tuple[str, str, str, str]]:
    """The menu, with what the role comes for in front."""
    first = FIRST_OF_SALES if member.role == "sales" else ()
    return sorted(MENU, key=lambda entry: first.index(entry[0]) if entry[0] in first else len(first))


class Host:
    """The pages of one web server process."""

    def __init__(self, app: AppContext, pages: Sequence[Page], tour: Extra = lambda _member, _page: None) -> None:
        self.app = app
        self.pages = pages
        self.tour = tour

    def find(self, path: str) -> tuple[Page, dict[str, str]] | None:
        """The page of a path, with the values in it."""
        return next(((page, values) for page in self.pages if (values := page.match(path)) is not None), None)

    async def member(self, cookies: Mapping[str, str], *, owing: bool = False) -> tuple[str, Member] | None:
        """Who is logged in (`owing`: see `FindMember`), and the value of their cookie."""
        token = cookies.get(self.app.login.cookie, "")
        member = await asyncio.to_thread(self.app.login.member, token, owing=owing) if token else None
        return (token, member) if member else None

    def t(self, member: Member, headers: Mapping[str, str]) -> Translator:
        return translator_of(member, headers.get("accept-language", ""), self.app.language)

    async def begin(self, request: Request) -> Response:
        """From the bare address to where the day begins; who is not logged in is told so there."""
        known = await self.member(request.cookies, owing=True)
        return RedirectResponse(home_of(known[1]) if known else "/ui/journeys", 303)

    # Shells

    async def shell(self, request: Request) -> Response:
        """The page around a page."""
        found = self.find(request.url.path)
        page = found[0] if found else None
        if page:
            request.scope["route"] = page  # its `path` is what the log and the metrics call this address
        known = await self.member(request.cookies, owing=True)
        if known is None:
            return self.stranger(request)
        token, member = known
        if request.url.path != ACCOUNT and await self.member(request.cookies) is None:
            return RedirectResponse(ACCOUNT, 303)
        t = self.t(member, request.headers)
        nonce = secrets.token_urlsafe(16)
        title = t(page.title if page else "Not found")
        if found and found[0].name and may(member, found[0].reads):
            values = clean(found[1]), clean(request.query_params)
            name = await asyncio.to_thread(called, found[0], PageContext(self.app, member, token, t, request.url.path, *values))
            title = f"{name} · {title}" if name else title
        stops, unread, rates = await asyncio.to_thread(self._stops) if may(member, "account.read") else ([], [], [])
        low = await asyncio.to_thread(self._low) if may(member, "coupon.change") else []
        theme = str(member.preferences.get("theme", "system"))
        html = templates.get_template("page.html").render(
            t=t,
            title=title,
            theme=theme if theme in THEMES else "system",
            themes=THEMES,
            tour=self.tour(member, page.path) if page else None,
            wanted=request.query_params.get("q", "")[:100] if page and page.path == "/ui/search" else "",
            section=page.section if page else "",
            menu=menu_of(member),
            home=home_of(member),
            icons=ICONS,
            member=member,
            languages={code: LANGUAGES[code] for code in SUPPORTED},
            statics=STATICS,
            client=reactpy_compat.CLIENT.name,
            assets=page.assets if page else (),
            nonce=nonce,
            found=page is not None,
            path=request.url.path,
            stops=stops,
            unread=unread,
            rates=rates,
            low=low,
        )
        return HTMLResponse(html, 200 if found else 404, guard(nonce, pictures=bool(page and page.pictures)))

    def _stops(self) -> tuple[list[str], list[str], list[str]]:
        """The provider accounts that take nothing now, the mailboxes that cannot be read, and accounts with too many bounces or complaints."""
        with self.app.engine.db.read() as session:
            names = [row.account for row in stopped_accounts.listed(session) if not stopped_accounts.is_rate(row.code)]
            read = accounts.mailboxes(session) if names else set()
            rates = sorted(sending_rates.known(session))
        return [name for name in names if name not in read], [name for name in names if name in read], rates

    def _low(self) -> list[str]:
        """The coupon pools that are running low."""
        with self.app.engine.db.read() as session:
            return [name for _, name in reservations.low(session)]

    def stranger(self, request: Request) -> Response:
        """What somebody sees who is not logged in."""
        language = language_for(request.headers.get("accept-language", ""), self.app.language)
        here = f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
        address = f"/login?from={quote(here, safe='/')}" if is_page(here) else "/login"
        html = templates.get_template("stranger.html").render(t=translator(language), language=language, statics=STATICS, address=address)
        return HTMLResponse(html, 401, guard(""))

    async def speak(self, request: Request, language: str) -> Response:
        """Changes the language of the member's own pages."""
        known = await self.member(request.cookies, owing=True)
        if known is None or language not in SUPPORTED:
            return Response(status_code=403)
        await asyncio.to_thread(self._set_language, known[1].id, language)
        return RedirectResponse(back_to(request), 303)

    def _set_language(self, member_id: str, language: str) -> None:
        with self.app.engine.db.write() as session:
            session.get_one(Member, member_id).locale = language

    async def leave(self, request: Request) -> Response:
        """Logs out."""
        token = request.cookies.get(self.app.login.cookie, "")
        await asyncio.to_thread(self.app.login.close, token)
        answer = RedirectResponse("/ui", 303)
        self.app.login.hand_over(answer, "")
        return answer

    # The socket

    async def stream(self, socket: WebSocket) -> None:
        """One open page, until the browser leaves or the session ends."""
        owing = "/" + socket.path_params["path"] == ACCOUNT
        known = await self.member(socket.cookies, owing=owing)
        found = self.find("/" + socket.path_params["path"])
        if known is None or found is None:
            await socket.close(LOGGED_OUT)  # before accept: the handshake is answered with 403
            return
        page, arguments = found
        (token, member), t = known, self.t(known[1], socket.headers)
        context = PageContext(self.app, member, token, t, "/" + socket.path_params["path"], clean(arguments), clean(socket.query_params))
        first = await asyncio.to_thread(load, context, page)
        await socket.accept()
        watch = asyncio.create_task(self._watch(socket, token))
        try:
            await reactpy_compat.serve(screen(context, page, first), _sender(socket), _receiver(socket))
        except* WebSocketDisconnect:
            pass
        finally:
            watch.cancel()

    async def _watch(self, socket: WebSocket, token: str) -> None:
        """Closes the socket once its session has ended."""
        while True:
            await asyncio.sleep(self.app.look_again_seconds)
            if not await asyncio.to_thread(self._still_stands, token):
                return await socket.close(LOGGED_OUT)

    def _still_stands(self, token: str) -> bool:
        """A database that does not answer now ends no session: the next look decides."""
        try:
            return self.app.login.member(token, used=False, owing=True) is not None
        except DBAPIError as error:
            log.warning("a session could not be looked up: %s", type(error.orig).__name__)
            return True


def called(page: Page, context: PageContext) -> str:
    """The name of what a page shows; empty where there is nothing, or nothing can be read now."""
    try:
        return page.name(context)[:200] if page.name else ""
    except (PfadwerkError, DBAPIError):
        return ""


def clean(values: Mapping[str, str]) -> dict[str, str]:
    """What stood in an address, short and without the one character that PostgreSQL cannot take."""
    return {name[:40]: value.replace("\0", "")[:300] for name, value in list(values.items())[:20]}


def _sender(socket: WebSocket) -> Callable[[Any], Awaitable[None]]:
    async def send(message: Any) -> None:
        if socket.application_state is not WebSocketState.CONNECTED:
            raise WebSocketDisconnect
        await socket.send_text(orjson.dumps(message).decode())

    return send


def _receiver(socket: WebSocket) -> Callable[[], Awaitable[Any]]:
    """Reads as fast as a person can type and point; what comes faster waits in the browser."""
    pace = Pace(asyncio.get_running_loop().time)

    async def receive() -> Any:
        while True:
            await asyncio.sleep(pace.wait())
            event = _read(await _next_text(socket))
            if event is not None:
                return event

    return receive


class Pace:
    """A bucket of messages: `BURST` at once, refilled at `PER_SECOND`."""

    BURST, PER_SECOND = 300.0, 60.0

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._left, self._at = self.BURST, clock()

    def wait(self) -> float:
        """Takes one; how many seconds until it may be read."""
        now = self._clock()
        self._left = min(self.BURST, self._left + (now - self._at) * self.PER_SECOND) - 1
        self._at = now
        return max(0.0, -self._left / self.PER_SECOND)


async def _next_text(socket: WebSocket) -> str:
    """The next message; an empty text for a binary one, which no page of ours sends."""
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code") or 1000)
    return message.get("text") or ""


def _read(text: str) -> Any:
    """A layout event, None for anything else: ReactPy would tear the page down over it."""
    if len(text) > MAX_MESSAGE_CHARACTERS:
        return None
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return message if reactpy_compat.is_layout_event(message) else None


def is_page(address: str) -> bool:
    """Whether it is the address of a page of ours, safe to lead somebody to."""
    return address.startswith("/ui/") and len(address) <= 1_000 and "\\" not in address and address.isprintable()


def back_to(request: Request) -> str:
    """The page the form stood on; only ever one of ours."""
    path = request.query_params.get("from", "")
    return path if is_page(path) else "/ui/journeys"


def guard(nonce: str, *, pictures: bool = False) -> dict[str, str]:
    """The headers of every page of ours. `pictures`: it may show those of mails, from wherever they are."""
    shown = "'self' data: https:" if pictures else "'self' data:"
    script = f"'self' 'nonce-{nonce}'" if nonce else "'none'"
    policy = (
        f"default-src 'self'; script-src {script}; style-src 'self'; img-src {shown}; connect-src 'self'; frame-src 'self'; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    return {"content-security-policy": policy, "cache-control": "no-store", "x-frame-options": "DENY", "referrer-policy": "same-origin"}


def routes(host: Host) -> APIRouter:
    """Everything the host answers but the pages. The browser side of ReactPy insists on `/_reactpy/…`."""
    router = APIRouter(include_in_schema=False)
    router.add_api_route("/", host.begin, methods=["GET"])
    router.add_api_route("/ui", host.begin, methods=["GET"])
    router.add_api_route("/favicon.ico", _favicon, methods=["GET"])
    router.add_api_route("/ui/static/{digest}/{name}", _static, methods=["GET"])
    router.add_api_route("/_reactpy/assets/{name}", _client, methods=["GET"])
    router.add_api_route("/ui/language/{language}", host.speak, methods=["POST"], **does("me.change"))
    router.add_api_route("/ui/logout", host.leave, methods=["POST"], **does("me.change"))
    router.add_api_websocket_route("/_reactpy/stream/{path:path}", host.stream)
    return router


def shells(host: Host) -> APIRouter:
    """The pages, and what says that there is none: every other address under `/ui`. Include it last."""
    router = APIRouter(include_in_schema=False)
    router.add_api_route("/ui/{path:path}", host.shell, methods=["GET"], response_class=HTMLResponse)
    return router


def _static(digest: str, name: str) -> Response:
    file = STATICS.get(name)
    if file is None or file.digest != digest:
        return Response(status_code=404)
    return Response(file.content, 200, FOREVER, TYPES[Path(name).suffix])


def _client(name: str) -> Response:
    if name != reactpy_compat.CLIENT.name:
        return Response(status_code=404)
    return Response(_CLIENT_CODE, 200, FOREVER, TYPES[".js"])


def _favicon() -> Response:
    return Response(STATICS["favicon.svg"].content, 200, {"cache-control": "public, max-age=86400"}, TYPES[".svg"])


_CLIENT_CODE = reactpy_compat.CLIENT.read_bytes()
