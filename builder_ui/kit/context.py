"""What a page knows: the application it belongs to, who looks at it, and where they are. Values only; nothing is fetched here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urlencode

from fastapi.responses import Response

from activities.accounts import Accounts
from activities.providers import Provider
from activities.rendering import INLINE, Renderer
from activities.rendering.turns import Turns
from activities.sending import messages
from activities.webhooks.address_guard import Guard
from builder_ui.kit.i18n import Translator
from builder_ui.kit.permissions import may
from engine.engine import Engine
from engine.temporal.wakeups import Wakeups
from models import Member
from storage.files import Room
from workspace.sessions import Purpose


class FindMember(Protocol):
    """The member behind a cookie's value. `used` false: a page asks by itself, which keeps no idle session alive. `owing` true: also somebody who has
    still to set up the second factor that the workspace asks for; for everybody else such a person is nobody."""

    def __call__(self, token: str, *, used: bool = True, owing: bool = False) -> Member | None: ...


@dataclass(frozen=True, slots=True)
class Login:
    """How pages recognise people: the cookie's name, the member behind its value (None: nobody), and the end of a session. `require_proof` raises
    ProofNeeded; `hand_over` puts a cookie on an answer (empty: takes it away).

    All but `hand_over` read and write the database: call them in a thread.
    """

    cookie: str
    member: FindMember
    close: Callable[[str], None]
    require_proof: Callable[[str], None]
    hand_over: Callable[[Response, str], None]
    refused: Callable[[Member, str], None]
    """Writes a refused act to the audit trail."""


MailLink = Callable[[Member, Purpose, str], bool]
"""(whose link, what for, its path) -> whether a mail left"""


@dataclass(frozen=True, slots=True, repr=False)
class Post:
    """How messages are filled in, and who carries a test message."""

    messaging: messages.MessageSettings
    provider: Callable[[], Provider]
    guard: Guard = field(default_factory=Guard)
    """Whom links of templates may be asked of."""


@dataclass(frozen=True, slots=True, repr=False)
class AppContext:
    """What all pages share. `wake` tells Temporal what a commit brought; `post` is None where
    no message is shown or sent, `accounts` where none can be set up. `mail_link` mails a one-time link to a member (False: no mail left); `forget_keys` makes this process look
    keys up anew; `turns` are for previews, by session, and for looks ahead, by member. `room` is there for files that come in parts, each smaller than `max_upload_bytes`. `public_url`
    has no slash at its end. An open page asks every `look_again_seconds` whether its session still stands."""

    engine: Engine
    login: Login
    wake: Callable[[Wakeups], None]
    public_url: str
    language: str = "en"
    look_again_seconds: float = 30.0
    max_upload_bytes: int = 4_194_304
    room: Room = field(default_factory=Room)
    post: Post | None = None
    mail_link: MailLink = field(default=lambda _member, _purpose, _path: False)
    forget_keys: Callable[[], None] = field(default=lambda: None)
    turns: Turns = field(default_factory=Turns)
    accounts: Accounts | None = None

    @property
    def renderer(self) -> Renderer:
        """Who compiles templates and fills them in."""
        return self.post.messaging.renderer if self.post else INLINE

    def now(self) -> datetime:
        return self.engine.clock.now()

    def real_now(self) -> datetime:
        """For what keeps strangers out (`Clock.real_now`)."""
        return self.engine.clock.real_now()


@dataclass(frozen=True, slots=True, repr=False)
class PageContext:
    """One browser on one page; ReactPy logs the repr of what it is given, so that tells nothing. `arguments` come from the path, `query` from behind the question mark."""

    app: AppContext
    member: Member
    token: str
    t: Translator
    path: str
    arguments: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def engine(self) -> Engine:
        return self.app.engine

    @property
    def by(self) -> str:
        """The visitor as the audit trail names actors."""
        return f"member:{self.member.id}"

    def may(self, act: str) -> bool:
        return may(self.member, act)

    def link(self, **changes: str | None) -> str:
        """This page with another query; None takes a value out. Whatever changes, pages begin anew."""
        query = {k: v for k, v in {**self.query, "before": None, **changes}.items() if v}
        return f"{self.path}?{urlencode(query)}" if query else self.path


Load = Callable[[PageContext], Any]
View = Callable[["PageContext", Any, "Acts"], Any]
Do = Callable[[PageContext], Wakeups | None]
"""A change: runs in a thread, in transactions of its own, as the member who was checked just before; `None` wakes nobody."""


class Act(Protocol):
    """Makes a handler of a change, which the act `permit` allows (`workspace.roles`); `undo` is offered beside the word about what was done."""

    def __call__(self, permit: str, do: Do, done: str, undo: Do | None = None) -> Callable[..., Any]: ...


@dataclass(frozen=True, slots=True)
class Acts:
    """What a view may hang on its buttons. `act("journey.change", do, done)` is a handler: checks whether the role may (`workspace.roles`), does it, says `done`, loads anew.

    `drafts` keeps what was typed into fields until a button needs it; a view reads it, handlers write it.
    """

    act: Act
    drafts: dict[str, str]


@dataclass(frozen=True, slots=True)
class Page:
    """`load` reads everything (in a thread), `view` draws it (pure), `stamp` is a cheap question whose answer changes when `load`'s would.

    `path` has `{names}` for single segments. `title` is a message id, `section` the entry of the menu to light up, `reads` the act
    (`workspace.roles`) of looking at it, asked anew at every drawing. `name` asks (in a thread)
    what the thing is called that the page shows, for the window's title; NotFound and an empty answer leave the plain title. `assets` are
    addresses of files that only this page needs; the browser fetches them while the socket opens.
    """

    path: str
    title: str
    section: str
    reads: str
    load: Load
    view: View
    stamp: Load | None = None
    every_seconds: float = 2.0
    name: Callable[[PageContext], str] | None = None
    assets: tuple[str, ...] = ()
    pictures: bool = False
    """Whether it shows pictures from where mails have them; other pages show only our own."""

    def match(self, path: str) -> dict[str, str] | None:
        """The values of the path's names, None if this is another page's path."""
        found = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]{1,200})", self.path), path)
        return found.groupdict() if found else None
