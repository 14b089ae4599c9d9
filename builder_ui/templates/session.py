"""`Writing`: one open template. Keeps the texts in memory, stores them as a draft, fills them in, and tells the parts of the page what changed.

Everything in memory happens in the event loop, in order; database and rendering run in threads, one at a time. The role is checked at every
save anew.
"""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from sqlalchemy.orm import Session
from sqlmodel import col, select

from activities.account_setup import what_to_do
from activities.accounts import Carrier
from activities.providers.provider import ApprovedTemplate, ConfiguredProvider, ProviderFailure
from activities.rendering import CompiledTemplate
from activities.rendering.compile import is_locale
from activities.rendering.kinds import HTML, KINDS, PARTIAL, PARTS, needs_unsubscribe
from activities.templates import library, listing, partials, samples
from activities.templates.preview import Proof, proof, trigger_for
from activities.templates.reach import Reached, reach
from activities.templates.seeds import send_to_seeds
from builder_ui.app.screen import allowed
from builder_ui.builder.protocol import MessageReader, Ping, Save
from builder_ui.kit import template_frames
from builder_ui.kit.actor_names import called
from builder_ui.kit.autosaving import AutosavingEditor, status_of
from builder_ui.kit.context import PageContext, Post
from builder_ui.templates import block_rules, blocks, frames
from builder_ui.templates.protocol import AskRule, Face, KeepBlock, Resync, Texts, parse
from crm.catalogue import load_catalogue
from crm.coupons import pools
from crm.people import contacts
from engine.versions import publish
from journeys.errors import Conflict, Invalid, Issue, NotFound, PfadwerkError, TooMany, Unauthorized
from journeys.link_parameters import typed
from models import Template, TemplateVersion
from workspace import brand, listed_names, sending_domains, settings
from workspace.roles import NotAllowed

log = logging.getLogger("pfadwerk.pages")

WORK_AFTER_SECONDS = 0.05
"""After what the page says; it waits itself until nobody types."""
TOO_MANY_SECONDS = 2.0
MOST_PEOPLE = 8
MOST_VERSIONS = 50
LOOKS = ("desktop", "phone", "dark", "text")
Variants = dict[str, dict[str, str]]
Done = TypeVar("Done")


@dataclass(frozen=True, slots=True)
class Old:
    """A version, and what the one before it was."""

    number: int
    source: Variants
    before: Variants
    created_at: Any


@dataclass(slots=True)
class Stored:
    """What the database holds of a template."""

    key: str
    name: str
    kind: Any
    message_class: str
    topic: str
    folder: str
    tags: list[str]
    variants: Variants
    revision: int
    archived: bool
    number: int
    is_draft: bool
    uses: list[listing.Use]
    fields: list[tuple[str, str]] = field(default_factory=list)
    """(name, title) of known contact fields."""
    folders: list[str] = field(default_factory=list)
    topics: list[tuple[str, str]] = field(default_factory=list)
    """(key, name) of the topics that it can be about."""
    pieces: list[tuple[str, str]] = field(default_factory=list)
    """(key, name) of the partials that can be put in."""
    rows: frozenset[str] = frozenset()
    """Keys of those that stand between rows; the others stand in a column."""
    properties: list[tuple[str, str]] = field(default_factory=list)
    """(path, title) of what known events bring along, and of what steps before this message leave."""
    pictures: list[dict[str, Any]] = field(default_factory=list)
    """The newest of the library, as the block editor offers them."""
    older: list[partials.Behind] = field(default_factory=list)
    inclusions: list[partials.Inclusion] = field(default_factory=list)
    """Of a partial: what includes it."""
    sender: str = ""
    reply_to: str = ""
    link_parameters: dict[str, str] = field(default_factory=dict)
    """What is added to its links, as it is stored (`journeys.link_parameters`)."""
    senders: list[tuple[str, str]] = field(default_factory=list)
    """(key, name) of whom its messages can be from."""
    coupons: list[tuple[str, str]] = field(default_factory=list)
    """(key, name) of the pools that it can show a code of."""
    seeds: int = 0
    """Addresses of the seed list; 0 where it does not go there."""
    brand: dict[str, str] = field(default_factory=dict)
    """What the canvas of the block editor shows for the values of `brand`."""


class Writing(AutosavingEditor):
    """Topics: head, tabs, source, approved, feed, proof, side, person, rule. `status`: saved, unsaved, conflict, denied, out, gone or failed."""

    called = "the template editor"
    stuck_in = frozenset({"conflict", "denied", "gone"})

    def __init__(self, context: PageContext, stored: Stored) -> None:
        super().__init__(context)
        self.stored = stored
        self.variants: Variants = copy.deepcopy(stored.variants)
        self.locale = frames.choose(self.variants, context.query.get("locale", ""), "") or next(iter(self.variants), "default")
        self.proof: Proof | None = None
        self.reached: Reached | None = None
        """What asking for links and pictures found, of the text as it was then."""
        self.good: dict[str, int] = {}
        """Locale -> the revision at which it could last be shown."""
        self.look = "desktop"
        self.side = "preview"
        self.face = "source" if stored.kind not in HTML or context.query.get("view") == "source" else "blocks"
        """How a mail is edited: as blocks or as source."""
        self.person: tuple[str, str] | None = None
        self.people: list[tuple[str, str]] = []
        self.versions: list[Old] = []
        self.count = 0
        self.settled = 0
        self._act: dict[str, Any] | None = None
        self._acts = 0
        self._ear = MessageReader(parse)
        self._working = asyncio.Lock()
        self._search = 0
        self.approved: list[ApprovedTemplate] | None = None
        """What the account may send at any time; None: nobody has asked."""
        self.approved_problem = ""
        self.asked: block_rules.Asked | None = None
        """The rule of a block that is being edited."""
        self.ruled: dict[str, dict[str, Any]] = {}
        """What the block editor says of the rules in the open mail."""

    # What the page shows

    @property
    def editable(self) -> bool:
        return self.context.may("template.change") and self.status not in ("denied", "gone")

    @property
    def parts(self) -> Sequence[str]:
        return PARTS[self.stored.kind]

    @property
    def generation(self) -> str:
        """Another one means that texts were set from here, not typed there."""
        return f"{self.id}/{self.count}"

    def text(self, part: str) -> str:
        return str(self.variants.get(self.locale, {}).get(part) or "")

    def feed(self) -> dict[str, Any]:
        """The small news for the page's own fields."""
        wrong: dict[str, list[int]] = {}
        for issue in self.proof.errors if self.proof else ():
            _, _, place = (issue.field or "").partition(".")
            if "line" in issue.values and place:
                wrong.setdefault(place.replace(".", "/"), []).append(int(issue.values["line"]))
        return {
            "saved": self._saved_op,
            "pong": self._pong,
            "rev": self.stored.revision,
            "wrong": wrong,
            "act": self._act,
            "face": self.face,
            "rules": self.ruled,
        }

    @property
    def is_fresh(self) -> bool:
        """Whether the preview shows what stands in the fields."""
        return self.proof is not None and self.proof.rendered is not None and self.is_stored

    def frame(self) -> str:
        """The address of the mail to show: the text as it is, else as it last could be shown, else the newest version. Empty: nothing."""
        shown = self.good.get(self.locale)
        if shown is None and not self.stored.number:
            return ""
        query = {"locale": self.locale, "contact": self.person[0] if self.person else "", "dark": "1" if self.look == "dark" else ""}
        return template_frames.address(
            self.stored.key, state="saved" if shown is None else "draft", r=str(shown or self.stored.number), **query
        )

    # What the fields say

    def hear(self, text: object) -> None:
        """One message of the page. What cannot be taken changes nothing, and the page's fields get what the server holds."""
        try:
            message = self._ear.hear(text)
            if message is None:
                return
            if isinstance(message, Ping):
                self.answer(message.n)
                return
            if isinstance(message, Face):
                self.turn_face(message.face)
                return
            if not self.editable:
                raise ValueError("not allowed")
            if isinstance(message, Texts):
                self._take(message)
            elif isinstance(message, Save):
                self.spawn(self.save)
            elif isinstance(message, KeepBlock):
                self.spawn(self.keep_block, message)
            elif isinstance(message, AskRule):
                self.spawn(self.ask_rule, message.condition)
        except ValueError as error:
            log.warning("a message of the template editor was refused (%s)", type(error).__name__)
            self._set_texts()

    def _take(self, message: Texts) -> None:
        for place, text in message.texts.items():
            locale, _, part = place.partition("/")
            if locale in self.variants and part in self.parts:
                self.variants[locale][part] = text
        self._op = message.n
        if isinstance(message, Resync) and message.rev != self.stored.revision:
            self.stored.revision, self.status = message.rev, "conflict"
        self._after_change()

    def ask(self, **act: Any) -> None:
        """Has a field insert `text` at the cursor, or go to `line` and `column` of `place`."""
        self._acts += 1
        self._act = {"id": f"{self.id}.{self._acts}", **act}
        self.tell("feed")

    def _set_texts(self) -> None:
        """Puts the server's texts into the fields."""
        self.count += 1
        self.settled = self._op
        self.tell("feed", "tabs", "source")

    def _after_change(self) -> None:
        self.change()
        self.tell("head")
        self.work_soon()

    def turn_face(self, face: str) -> None:
        """Shows the same mail as blocks or as source."""
        if face != self.face and self.stored.kind in HTML:
            self.face, self.asked = face, None
            self.tell("source", "feed", "rule")

    async def keep_block(self, wanted: KeepBlock) -> None:
        """Makes a block a partial; where it stood, the mail then includes it."""
        async with self._working:
            await self._keep()
            if self.status == "saved":
                await self._act_on("“{name}” is a saved block now.", lambda: self._keep_block(wanted))
            await self._prove()
        self.tell("head", "source", "feed", "proof")

    def _keep_block(self, wanted: KeepBlock) -> dict[str, Any]:
        context = self.context
        piece = blocks.keep(context.engine.db, wanted.name.strip(), wanted.text, context.by, context.app.now(), context.app.renderer)
        self.stored.pieces = [*self.stored.pieces, (piece.key, piece.name)]
        if piece.level == "row":
            self.stored.rows = self.stored.rows | {piece.key}
        self._acts += 1
        included = {"key": piece.key, "name": piece.name, "level": piece.level}
        self._act = {"id": f"{self.id}.{self._acts}", "place": f"{self.locale}/mjml", "include": included}
        return {"name": piece.name}

    # The rule by which a block is shown

    async def ask_rule(self, condition: str) -> None:
        """Opens the rule editor for a block."""
        try:
            self.asked = await asyncio.to_thread(self._with_role, lambda: block_rules.ask(self.context, condition))
        except (NotAllowed, Unauthorized) as error:
            self.status = status_of(error)
            self.tell("head")
        self.tell("rule")

    def use_rule(self) -> None:
        """Puts the rule that was edited where it was asked for; one that is wrong stays open, with what is wrong."""
        asked = self.asked
        if asked is None or not self.editable:
            return
        asked.issues = asked.wrong()
        if not asked.issues:
            self.asked = None
            self.ask(place=f"{self.locale}/mjml", rule=asked.condition)
        self.tell("rule")

    def drop_rule(self) -> None:
        """Closes the rule editor; the block stays as it was."""
        self.asked = None
        self.tell("rule")

    # Languages

    def open(self, locale: str) -> None:
        """Turns to another language."""
        if locale in self.variants and locale != self.locale:
            self.locale = locale
            self.proof = self.asked = None
            self.tell("tabs", "source", "proof", "rule")
            self.work_soon(0)

    def add_language(self, locale: str, origin: str) -> None:
        """A new language, empty or as a copy of another."""
        locale = locale.strip().replace("_", "-")
        good = is_locale(locale) or locale == "default"
        if not self.editable or not good or locale in self.variants or len(self.variants) >= 50:
            said = "This language already exists." if locale in self.variants else "Enter a language such as de or de-CH."
            self.notice = (self.t(said), False)
            return self.tell("head")
        self.variants[locale] = dict(self.variants.get(origin) or {})
        self.locale, self.proof = locale, None
        self._set_texts()
        self._after_change()
        return self.tell("proof")

    def remove_language(self) -> None:
        if self.editable and len(self.variants) > 1:
            del self.variants[self.locale]
            self.locale, self.proof = next(iter(self.variants)), None
            self._set_texts()
            self._after_change()
            self.tell("proof")

    def copy_from(self, origin: str) -> None:
        """Replaces this language's texts by those of another; undo in the field brings them back."""
        if self.editable and origin in self.variants:
            self.replace({**self.variants, self.locale: dict(self.variants[origin])})

    def replace(self, variants: Variants) -> None:
        """Sets all texts at once: an old version, or another language."""
        if not self.editable or not variants:
            return
        self.variants = copy.deepcopy(variants)
        if self.locale not in self.variants:
            self.locale = next(iter(self.variants))
        self._set_texts()
        self._after_change()

    def jump(self, issue: Issue) -> None:
        """Goes to where a problem is."""
        _, locale, part = (*(issue.field or "").split("."), "", "")[:3]
        if locale in self.variants:
            self.open(locale)
        if part in self.parts:
            self.ask(place=f"{self.locale}/{part}", line=issue.values.get("line", 1), column=issue.values.get("column", 1))

    # Approved templates

    async def find_approved(self) -> None:
        """Asks the account that carries the channel what it may send at any time."""
        self.approved, self.approved_problem = None, ""
        self.tell("approved")
        try:
            self.approved = await asyncio.to_thread(self._find_approved)
        except ProviderFailure as failure:
            account = self._carrier().account
            advice = what_to_do(self.context.app.accounts.providers, account, failure.code) if self.context.app.accounts else ""
            self.approved_problem = f"{self.t(advice)} ({failure.code})"
        except (NotAllowed, Unauthorized) as error:
            self.status = status_of(error)
            self.tell("head")
        self.tell("approved")

    def _find_approved(self) -> list[ApprovedTemplate]:
        allowed(self.context, "template.change")
        provider = self._carrier().provider
        return list(provider.approved_templates()) if isinstance(provider, ConfiguredProvider) else []

    def _carrier(self) -> Carrier:
        assert self.context.app.accounts is not None, "nobody is offered the button without"
        return self.context.app.accounts.of_channel(self.stored.kind)

    def take_approved(self, one: ApprovedTemplate) -> None:
        """Puts id and wording into this language; the values stay."""
        shape = KINDS[self.stored.kind].approved
        if shape is not None and self.editable:
            mine = {**self.variants[self.locale], shape.id: one.id, shape.wording: one.wording}
            self.replace({**self.variants, self.locale: mine})

    # Storing and showing

    def work_soon(self, after: float = WORK_AFTER_SECONDS) -> None:
        self.later(after, self.work)

    async def work(self) -> None:
        """Stores the draft if it changed, then fills it in."""
        async with self._working:
            await self._keep()
            await self._prove()
        self.tell("head", "feed", "proof")

    async def _keep(self) -> None:
        change, op = self._changed, self._op
        if self.is_stored or self.status in self.stuck_in:
            return
        try:
            revision, is_draft = await asyncio.to_thread(self._store, copy.deepcopy(self.variants), self.stored.revision)
        except Conflict:
            self.status = "conflict"
        except (NotAllowed, Unauthorized) as error:
            self.status = status_of(error)
        except NotFound:
            self.status = "gone"
        except Invalid as error:
            self.status, self.notice = "failed", (error.say(self.t.translate), False)
        except Exception as error:  # noqa: BLE001 - a database that does not answer: said, logged, tried again
            log.error("a template could not be kept (%s)", type(error).__name__)
            self.status = "failed"
            self.work_soon(5.0)
        else:
            self.stored.revision, self.stored.is_draft = revision, is_draft
            self.stored_up_to(change, op)

    def _store(self, variants: Variants, revision: int) -> tuple[int, bool]:
        context = self.context
        allowed(context, "template.change")
        with context.engine.db.write() as session:
            template = library.save_draft(session, self.stored.key, variants, revision, context.app.now())
            return template.revision, listing.is_draft(session, template)

    async def _prove(self) -> None:
        locale, revision = self.locale, self.stored.revision
        if locale not in self.variants:
            return
        person = self.person[0] if self.person else None
        try:
            async with self.context.app.turns.of(self.context.token):
                found = await asyncio.to_thread(self._proof, copy.deepcopy(self.variants), locale, person)
        except TooMany:  # this person has many editors open, each of which shows what it is asked for next
            self.work_soon(TOO_MANY_SECONDS)
            return
        except (NotAllowed, Unauthorized) as error:
            self.status = status_of(error)
            return
        if locale == self.locale:
            self.proof = found
            self.ruled = block_rules.said(self.t, str(self.variants[locale].get("mjml") or ""), found.answers)
            if found.rendered is not None and self.is_stored:
                self.good[locale] = revision

    def _proof(self, variants: Variants, locale: str, contact_id: str | None) -> Proof:
        context, stored = self.context, self.stored
        assert context.app.post is not None
        allowed(context, "template.read")
        with context.engine.db.read() as session:
            return proof(
                session, context.app.post.messaging, stored.kind, stored.message_class, variants, locale, context.app.now(), contact_id,
                key=stored.key,
            )  # fmt: skip

    async def save(self) -> None:
        """Makes the text a version, if it can be compiled; journeys published from now on use it."""
        async with self._working:
            await self._keep()
            if self.status == "saved":
                await self._act_on(*self._saving(), "Not saved as a version: {problem}")
            await self._prove()
        self.tell("head", "feed", "proof", "side")

    def _saving(self) -> tuple[str, Callable[[], dict[str, Any]]]:
        """What a save says and does. A partial takes along those that include it."""
        if self.stored.kind != PARTIAL or not self.stored.inclusions:
            return "Saved as version {number}.", self._version
        return "Saved as version {number}. Templates that use it now: {count}.", self._version_everywhere

    def _version_everywhere(self) -> dict[str, Any]:
        number = self._version()["number"]
        found = self._brought_up()
        if found.failed:
            raise Conflict("Saved as version {number}. {problem}", number=number, problem=partials.stayed(found))
        if found.left:
            text = "Saved as version {number}. {count} templates use it now, {left} more do not yet: update them under “Labels and usage”."
            raise Conflict(text, number=number, count=len(found.done), left=found.left)
        return {"number": number, "count": len(found.done)}

    def _version(self) -> dict[str, Any]:
        stored, context, variants = self.stored, self.context, copy.deepcopy(self.variants)
        label: dict[str, Any] = {"name": stored.name, "kind": stored.kind, "message_class": stored.message_class}
        saved = library.save(
            context.engine.db,
            stored.key,
            variants,
            actor=context.by,
            now=context.app.now(),
            revision=stored.revision,
            renderer=context.app.renderer,
            **label,
        )
        stored.revision, stored.number, stored.is_draft, stored.archived = saved.template.revision, saved.number, False, False
        self._see_partials()
        self.versions = []
        return {"number": saved.number}

    async def _act_on(self, done: str, do: Callable[[], dict[str, Any]], refused: str = "{problem}") -> None:
        """One act in a thread, its role checked before, and what came of it as a notice: `done`, or `refused` for what is wrong."""
        try:
            self.notice = (self.t(done, **await asyncio.to_thread(self._with_role, do)), True)
        except NotAllowed:
            self.status, self.notice = "denied", None
        except Unauthorized:
            self.status, self.notice = "out", None
        except Invalid as error:
            problems = [issue.say(self.t.translate) for issue in error.issues] or [error.say(self.t.translate)]
            self.notice = (self.t(refused, problem=problems[0]), False)
        except Conflict as error:
            if "revision" in error.details:
                self.status, self.notice = "conflict", None
            else:
                self.notice = (error.say(self.t.translate), False)
        except PfadwerkError as error:
            self.notice = (error.say(self.t.translate), False)

    def _with_role(self, do: Callable[[], Done]) -> Done:
        allowed(self.context, "template.change")
        return do()

    async def act(self, done: str, do: Callable[[], dict[str, Any]]) -> None:
        """Carries out what a button of the page stands for."""
        async with self._working:
            await self._keep()
            if self.status == "saved":
                await self._act_on(done, do)
            await self._prove()
        self.tell("head", "side", "feed", "proof")

    async def reach(self) -> None:
        """Asks whether the links and pictures of the text, filled in for somebody made up, are there."""
        async with self._working:
            try:
                self.reached = await asyncio.to_thread(self._reach, copy.deepcopy(self.variants), self.locale)
            except PfadwerkError as error:
                self.notice = (error.say(self.t.translate), False)
        self.tell("head", "feed", "proof")

    def _reach(self, variants: Variants, locale: str) -> Reached | None:
        post = self.context.app.post
        allowed(self.context, "template.change")
        found = self._proof(variants, locale, None)
        if post is None or found.rendered is None:
            return None
        source = str(variants[locale].get("mjml") or "")
        return reach(self.context.engine.db, post.guard, self.context.app.public_url, locale, found.rendered.html, source)

    async def keep_mine(self) -> None:
        """After a conflict: what is on this page replaces what somebody else saved."""
        stored = await asyncio.to_thread(fetch, self.context)
        self.stored, self.status = stored, "unsaved"
        self._changed += 1
        await self.work()
        self.tell("side")

    async def take_theirs(self) -> None:
        """After a conflict: what somebody else saved replaces what is on this page."""
        self.stored = await asyncio.to_thread(fetch, self.context)
        self.variants = copy.deepcopy(self.stored.variants)
        if self.locale not in self.variants:
            self.locale = next(iter(self.variants))
        self.status, self._stored_change, self._saved_op = "saved", self._changed, self._op
        self._set_texts()
        await self.work()
        self.tell("side")

    def last_words(self) -> Callable[[], None]:
        return partial(self._last_words, copy.deepcopy(self.variants), self.stored.revision)

    def _last_words(self, variants: Variants, revision: int) -> None:
        try:
            self._store(variants, revision)
        except PfadwerkError as error:
            log.warning("a template was not kept when its page closed (%s)", error.code)

    # The label, and what hangs on versions

    def describe(self, **changes: Any) -> None:
        """Changes name, class, folder or tags."""
        if self.editable and any(getattr(self.stored, name) != value for name, value in changes.items()):
            self.spawn(self.act, "Kept.", lambda: self._describe(changes))

    def _describe(self, changes: dict[str, Any]) -> dict[str, Any]:
        stored, context = self.stored, self.context
        label = {
            "name": stored.name,
            "message_class": stored.message_class,
            "topic": stored.topic,
            "sender": stored.sender,
            "reply_to": stored.reply_to,
            "link_parameters": stored.link_parameters,
            "folder": stored.folder,
            "tags": stored.tags,
            **changes,
        }
        label["link_parameters"] = typed(label["link_parameters"])
        with context.engine.db.write() as session:
            template = library.describe(session, stored.key, stored.revision, actor=context.by, now=context.app.now(), **label)
            stored.revision, stored.name, stored.message_class = template.revision, template.name, template.message_class
            stored.folder, stored.tags, stored.topic = template.folder, list(template.tags), template.topic
            stored.sender, stored.reply_to = template.sender, template.reply_to
            stored.link_parameters, stored.number = dict(template.link_parameters), library.latest(session, stored.key)
        return {}

    def correct(self, use: listing.Use) -> dict[str, Any]:
        """Lets a version of a journey use the newest version of this template."""
        context, stored = self.context, self.stored
        assert use.version is not None, "a draft takes the newest version anyway"
        with context.engine.db.write() as session:
            publish.update_pinned_template(
                session,
                publish.get_journey(session, use.journey_key).id,
                use.version,
                stored.key,
                stored.number,
                context.by,
            )
        with context.engine.db.read() as session:
            stored.uses = listing.uses(session, stored.key).get(stored.key, [])
        return {"name": use.journey_name, "number": stored.number}

    def _see_partials(self) -> None:
        """Reads anew what depends on the versions of partials."""
        stored = self.stored
        with self.context.engine.db.read() as session:
            stored.older = partials.behind(session, stored.key).get(stored.key, [])
            stored.inclusions = partials.where_used(session, stored.key) if stored.kind == "partial" else []

    def bring_up(self, template: str | None = None) -> dict[str, Any]:
        """Gives the templates that include this partial, or one of them, its newest version."""
        found = self._brought_up(template)
        if found.failed:
            raise Conflict("{problem}", problem=partials.stayed(found))
        return {"count": len(found.done)}

    def _brought_up(self, template: str | None = None) -> partials.Updated:
        context, stored = self.context, self.stored
        found = partials.update(
            context.engine.db,
            actor=context.by,
            now=context.app.now(),
            partial=stored.key,
            template=template,
            renderer=context.app.renderer,
        )
        self._see_partials()
        return found

    def test(self) -> dict[str, Any]:
        """Sends what stands here to the member who asks, filled in for the chosen contact."""
        post, person, filled = self._filled()
        context = self.context
        message = library.send_test(
            context.engine.db, post.messaging, post.provider(), self.stored.key, member_id=context.member.id, now=context.app.now(),
            contact_id=person, **filled,
        )  # fmt: skip
        if message.status != "sent":
            raise Conflict("The test could not be sent. See the outbox and the log for the reason.")
        return {"address": context.member.email}

    def to_seeds(self) -> dict[str, Any]:
        """Sends what stands here to the seed list."""
        post, person, filled = self._filled()
        context = self.context
        sent = send_to_seeds(
            context.engine.db, post.messaging, post.provider(), self.stored.key, by=context.by, now=context.app.now(), contact_id=person, **filled
        )  # fmt: skip
        if failed := [one for one in sent if one.status != "sent"]:
            raise Conflict(
                "{failed} of {count} copies could not be sent. See the outbox for the reason.", failed=len(failed), count=len(sent)
            )
        return {"count": len(sent)}

    def _filled(self) -> tuple[Post, str, dict[str, Any]]:
        """Who sends a test of what stands here, the contact it is filled in for, and with what.

        Raises: Invalid: no contact is chosen, or the text cannot be compiled.
        """
        context, stored = self.context, self.stored
        post = context.app.post
        if post is None or self.person is None:
            raise Invalid("Choose a contact first: a test uses the values of a real contact.")
        with context.engine.db.read() as session:
            template, own = library.get(session, stored.key), {self.locale: self.variants[self.locale]}
            compiled = library.compile_draft(session, post.messaging.renderer, template, own, message_class=stored.message_class)
            trigger = trigger_for(session, self.person[0], compiled.fields)
        known: tuple[tuple[str, Any], ...] = (("trigger", trigger.values), ("steps", {}))
        made_up = {root: samples.made_up(root, compiled.fields, values, context.app.now()) for root, values in known}
        return post, self.person[0], {"compiled": CompiledTemplate(stored.kind, compiled.variants), **made_up}

    # People and versions, read when asked for

    def find_people(self, text: str) -> None:
        self._search += 1
        self.spawn(self._find_people, text[:100], self._search)

    async def _find_people(self, text: str, number: int) -> None:
        await asyncio.sleep(0.15)
        if number == self._search:
            try:
                self.people = await asyncio.to_thread(self._people, text)
            except (NotAllowed, Unauthorized):
                self.people = []
            self.tell("person")

    def _people(self, text: str) -> list[tuple[str, str]]:
        allowed(self.context, "contact.read")
        with self.context.engine.db.read() as session:
            page = contacts.search(session, contacts.ContactFilter(text=text), limit=MOST_PEOPLE)
            return [(one.id, _person(one, self.t)) for one in page.contacts]

    def show_for(self, person: tuple[str, str] | None) -> None:
        """Fills the message in for this contact; None for a made-up one."""
        self.person = person
        self.good.clear()
        self.tell("person")
        self.work_soon(0)

    def turn(self, side: str) -> None:
        """Turns the right half to preview, versions or label."""
        self.side = side
        if side == "versions":
            self.spawn(self._read_versions)
        self.tell("side")

    async def _read_versions(self) -> None:
        self.versions = await asyncio.to_thread(self._versions)
        self.tell("side")

    def _versions(self) -> list[Old]:
        statement = select(TemplateVersion).where(TemplateVersion.key == self.stored.key).order_by(col(TemplateVersion.number).desc())
        with self.context.engine.db.read() as session:
            rows = [(one.number, dict(one.source), one.created_at) for one in session.scalars(statement.limit(MOST_VERSIONS + 1))]
        befores = [source for _, source, _ in rows[1:]] + [{}]
        return [Old(number, source, before, at) for (number, source, at), before in zip(rows, befores, strict=True)][:MOST_VERSIONS]


def _person(contact: Any, t: Any) -> str:
    name = called(contact) or t("Contact {id}", id=contact.id[-6:])
    return f"{name} · {contact.email}" if contact.email and contact.email != name else name


def fetch(context: PageContext) -> Stored:
    """Everything the editor begins with.

    Raises: NotFound.
    """
    with context.engine.db.read() as session:
        template = library.get(session, context.arguments["key"])
        catalogue = load_catalogue(session)
        fields = blocks.contact_fields(catalogue)
        uses = listing.uses(session, template.key).get(template.key, [])
        pieces = partials.offered(session, template.key) if template.kind in HTML else []
        return Stored(
            template.key, template.name, template.kind, template.message_class, template.topic, template.folder, list(template.tags), dict(template.variants),
            template.revision, template.archived_at is not None, library.latest(session, template.key), listing.is_draft(session, template),
            uses, fields, listing.labels(session)[0],
            listed_names.topics(session, context.t.language, template.topic),
            pieces, blocks.rows(session, pieces), [*blocks.properties(catalogue), *blocks.answers(session, context.engine.palette, (use.journey_key for use in uses))],
            blocks.pictures(session, context.app.public_url) if template.kind in HTML else [],
            partials.behind(session, template.key).get(template.key, []),
            partials.where_used(session, template.key) if template.kind == "partial" else [],
            sender=template.sender, reply_to=template.reply_to, link_parameters=dict(template.link_parameters), senders=_senders(session, template), seeds=_seeds(session, template),
            coupons=[(one.key, one.name) for one in pools.listed(session)],
            brand=brand.values(session, context.app.public_url),
        )  # fmt: skip


def _seeds(session: Session, template: Template) -> int:
    return len(settings.load(session, settings.SeedList).seeds) if needs_unsubscribe(template.kind) else 0


def _senders(session: Session, template: Template) -> list[tuple[str, str]]:
    """Of a mail: other channels have no sender to choose."""
    return sending_domains.offered(session, template.sender, template.reply_to) if needs_unsubscribe(template.kind) else []
