"""A template as its author sees it while writing: one language compiled and filled in, with every problem and hint. Stores nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy.orm import Session
from sqlmodel import col, select

from activities.rendering import (
    NO_PARTIALS,
    CompiledTemplate,
    Kind,
    Library,
    RenderBusy,
    Rendered,
    Renderer,
    Segments,
    Variant,
    rules,
    segments,
)
from activities.rendering.faults import Fault, Lines
from activities.rendering.hints import LinkSeen, hints, links
from activities.rendering.kinds import KINDS, PARTIAL, PARTS
from activities.rendering.partials import inside
from activities.rendering.reputation import concerns
from activities.rendering.tokens import swap
from activities.sending.messages import MessageSettings
from activities.templates import library as templates
from activities.templates import partials, samples
from crm.catalogue import load_catalogue
from journeys.errors import Invalid, Issue, NotFound
from models import Event, Template
from storage.locks import person_of

KEPT = 96
"""Compiled variants in memory, so that a preview and its frame compile once."""

MAX_EVENTS = 100
"""Newest events of a contact among which one is looked for that could be the trigger."""

_NOWHERE = frozenset({"render_too_long", "render_too_large"})
"""Failures that name no part of the template."""
_TWICE = frozenset({"size"})
"""Compile warnings that the hints say better."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """What stands for the event that starts a run: one the contact really did (`event`, `at`), or made up."""

    values: Mapping[str, Any]
    event: str = ""
    at: datetime | None = None


MADE_UP = Trigger(samples.EVENT)


@dataclass(frozen=True, slots=True)
class Proof:
    """`errors` stand in the way of saving, or of sending to this contact; `hints` do not. `rendered` is None where there is nothing to show.

    `compiles`: every language of the template does. `segments` counts a text for phones.
    """

    locale: str
    rendered: Rendered | None = None
    errors: list[Issue] = field(default_factory=list)
    hints: list[Issue] = field(default_factory=list)
    links: list[LinkSeen] = field(default_factory=list)
    segments: Segments | None = None
    trigger: Trigger | None = None
    """None: the template reads nothing of it."""
    invented: list[str] = field(default_factory=list)
    """The values that were made up for this look, by the names under which the template reads them."""
    answers: Mapping[str, bool] = field(default_factory=dict)
    """Key of each rule that the text asks (`rendering.rules`) -> whether it holds for this contact."""


def invented(fields: Iterable[str], contact_id: str | None, trigger: Trigger) -> list[str]:
    """What a look fills in with made-up values: the contact's without a contact, the trigger's that no event of theirs holds, and what steps leave."""
    known = trigger.values if trigger.event else {}

    def is_made_up(root: str, name: str) -> bool:
        return root == "steps" or (root == "contact" and contact_id is None) or (root == "trigger" and name not in known)

    parts = {name: [*name.split("."), ""] for name in fields}
    return sorted(name for name, (root, first, *_) in parts.items() if is_made_up(root, first))


def proof(
    session: Session,
    messaging: MessageSettings,
    kind: Kind,
    message_class: str,
    variants: Mapping[str, Mapping[str, str]],
    locale: str,
    now: datetime,
    contact_id: str | None = None,
    *,
    only: bool = False,
    key: str = "",
    layout: bool = False,
) -> Proof:
    """The variant `locale` for a contact, or for a made-up one. The errors of the other languages come last; `only` leaves them alone.

    `key` is the template's, if it has one yet. `layout`: what it takes codes from is made when somebody begins with it."""
    library = partials.library(session, variants, own=key if kind == PARTIAL else "")
    if layout:
        library = replace(library, pools=None)
    compiled: dict[str, Variant] = {}
    errors: dict[str, list[Issue]] = {}
    warnings: list[Issue] = []
    for name, parts in ({locale: variants[locale]} if only else variants).items():
        variant, found = _compiled_now(messaging.renderer, kind, message_class, name, parts, library)
        if variant is not None:
            compiled[name] = variant
            warnings += [issue for issue in found if name == locale and issue.code not in _TWICE]
        else:
            errors[name] = list(found)
    fields = compiled[locale].fields if locale in compiled else []
    contact_id = person_of(session, contact_id) if contact_id else None
    trigger = trigger_for(session, contact_id, fields)
    rendered, failed = _filled(
        session,
        messaging,
        kind,
        message_class,
        compiled.get(locale),
        variants.get(locale, {}),
        locale,
        now,
        contact_id,
        trigger,
        library,
        key,
    )
    catalogue = load_catalogue(session)
    size = len(rendered.html.encode()) if rendered else 0
    advice = hints(
        kind,
        locale,
        variants,
        compiled,
        size_bytes=size,
        is_known=lambda name: catalogue.is_filled_in(name) and catalogue.field(name) is not None,
    )
    return Proof(
        locale,
        rendered,
        [*errors.pop(locale, []), *failed, *(issue for found in errors.values() for issue in found)],
        [
            *warnings,
            *advice,
            *(concerns(locale, rendered.html, str(variants[locale].get("mjml") or "")) if rendered and rendered.html else ()),
        ],
        links(str(variants.get(locale, {}).get("mjml") or "")),
        segments(rendered.text) if rendered and KINDS[kind].segments else None,
        trigger if any(name.startswith("trigger.") for name in fields) else None,
        invented(fields, contact_id, trigger),
        _answers(session, compiled.get(locale), contact_id, now) if rendered else {},
    )


def _answers(session: Session, variant: Variant | None, contact_id: str | None, now: datetime) -> Mapping[str, bool]:
    if variant is None or not variant.rules:
        return {}
    facts = templates.facts_of(session, contact_id, samples.CONTACT, now)
    found: Mapping[str, bool] = rules.answers(variant.rules, facts, now)[rules.ANSWERS]
    return found


def saved(
    session: Session,
    messaging: MessageSettings,
    compiled: CompiledTemplate,
    message_class: str,
    now: datetime,
    contact_id: str | None = None,
) -> Rendered | None:
    """The one variant of a stored version as it is, for a contact or a made-up one; None where it cannot be filled in."""
    [(locale, variant)] = compiled.variants.items()
    trigger = trigger_for(session, contact_id, variant.fields)
    return _filled(session, messaging, compiled.kind, message_class, variant, {}, locale, now, contact_id, trigger, NO_PARTIALS)[0]


def trigger_for(session: Session, contact_id: str | None, fields: Iterable[str]) -> Trigger:
    """The contact's event that holds most of what a template reads under `trigger`, the newest of equals; made-up values if none holds any."""
    wanted = {name.split(".")[1] for name in fields if name.startswith("trigger.")}
    if contact_id is None or not wanted:
        return MADE_UP
    statement = select(Event.name, Event.properties, Event.occurred_at).where(Event.contact_id == contact_id, Event.type == "track")
    events = session.execute(statement.order_by(col(Event.id).desc()).limit(MAX_EVENTS)).all()
    name, properties, at = max(events, key=lambda event: len(wanted & event[1].keys()), default=("", {}, None))
    return Trigger(properties, name, at) if wanted & properties.keys() else MADE_UP


def _compiled_now(
    renderer: Renderer, kind: Kind, message_class: str, locale: str, parts: Mapping[str, str], library: Library
) -> tuple[Variant | None, tuple[Issue, ...]]:
    try:
        return _compiled(renderer, kind, message_class, locale, json.dumps(parts, sort_keys=True), library)
    except RenderBusy as busy:
        return None, (Issue(code=busy.code, text=busy.text),)


@lru_cache(maxsize=KEPT)
def _compiled(
    renderer: Renderer, kind: Kind, message_class: str, locale: str, parts: str, library: Library
) -> tuple[Variant | None, tuple[Issue, ...]]:
    """`parts` is JSON. A variant with its warnings, or None with what is wrong."""
    try:
        found = renderer.compile_template({locale: json.loads(parts)}, kind, message_class=message_class, library=library)
    except Invalid as error:
        return None, tuple(error.issues)
    return found.variants[locale], found.warnings


def _filled(
    session: Session,
    messaging: MessageSettings,
    kind: Kind,
    message_class: str,
    variant: Variant | None,
    parts: Mapping[str, str],
    locale: str,
    now: datetime,
    contact_id: str | None,
    trigger: Trigger,
    library: Library,
    key: str = "",
) -> tuple[Rendered | None, list[Issue]]:
    if variant is None:
        return None, []
    stored = session.get(Template, key) if key else None
    about: dict[str, Any] = {"key": key, "name": stored.name, "link_parameters": stored.link_parameters} if stored is not None else {}
    own = {"locale": locale} if locale != "default" else {}
    try:
        shown = templates.preview(
            session,
            messaging,
            CompiledTemplate(kind, {locale: variant}, **about),
            now,
            contact_id=contact_id,
            locale=None if locale == "default" else locale,
            message_class=message_class,
            trigger=samples.made_up("trigger", variant.fields, trigger.values, now),
            steps=samples.made_up("steps", variant.fields, {}, now),
            sample=samples.made_up("contact", variant.fields, {**samples.CONTACT, **own}, now),
        )
    except NotFound:
        return None, [Issue(code="contact_gone", text="This contact does not exist any more.")]
    except RenderBusy as busy:
        return None, [Issue(code=busy.code, text=busy.text)]
    except Invalid as error:
        return None, [_placed(issue, kind, parts, locale, library) for issue in error.issues]
    return shown, []


def _placed(issue: Issue, kind: Kind, parts: Mapping[str, str], locale: str, library: Library) -> Issue:
    """Where the template asks for what is missing, as far as a search by name can tell."""
    name = str(issue.values.get("name", "")) if issue.code not in _NOWHERE else ""
    for part in PARTS[kind] if name else ():
        text, field = parts.get(part) or "", f"variants.{locale}.{part}"
        if (offset := _asked_at(text, name)) is not None:
            return _at(issue, text, offset, field)
        for partial in library.partials if part == "mjml" else ():
            source = partial.source(locale) or ""
            if (offset := _asked_at(source, name)) is not None:
                line, column = Lines(text).place(max(text.find(f"partial:{partial.key}"), 0))
                return inside(_at(issue, source, offset, ""), partial.key, line, column, field)
    return issue


def _at(issue: Issue, text: str, offset: int, field: str) -> Issue:
    line, column = Lines(text).place(offset)
    values: dict[str, Any] = {**issue.values, "line": line, "column": column}
    return issue.model_copy(update={"text": issue.text + " (line {line}, column {column})", "values": values, "field": field})


def _asked_at(text: str, name: str) -> int | None:
    """Where the Jinja of `text` first says `name`."""
    try:
        tokens = swap(text).tokens.values()
    except Fault:
        return None
    word = re.compile(rf"\b{re.escape(name)}\b")
    found = ((token, word.search(token.source)) for token in tokens if token.kind != "comment")
    return next((token.offset + match.start() for token, match in found if match), None)
