"""One question to everything: journeys and their steps, people, templates, segments, tasks, runs and messages. Answers come from indexes and small tables.

What cannot be found that way is not looked for: names of contacts are compared from their beginning, among the newest `NEWEST` contacts;
runs and messages are found by the beginning of their id.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, String, cast, or_
from sqlalchemy.orm import Session
from sqlmodel import col, select

from crm.companies import companies
from crm.people import contacts
from crm.sales.tasks import OPEN
from models import Contact, ContactPhone, Identity, Journey, Message, OutboxItem, Run, Segment, Task, Template
from storage.json_values import clean_text
from storage.segment_marks import EMPTYING

MOST_CHARACTERS = 100
LEAST_CHARACTERS = 2
LEAST_OF_ID = 6
NEWEST = 50_000
DRAFTS = 200
"""Drafts whose steps are looked at one by one."""
NAMES = ("email", "phone", "user_id")
LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Hit:
    """`detail` says more: a key, an address, the name of a step."""

    kind: str
    id: str
    title: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """The hits of one kind: journey, contact, company, template, segment, task, run or message. `more`: there are others."""

    kind: str
    hits: list[Hit]
    more: bool


def search(session: Session, text: str, limit: int = 10) -> list[Group]:
    """What fits, by kind; kinds without a hit are left out. Less than two characters find nothing."""
    text = " ".join(clean_text(text)[:MOST_CHARACTERS].split())
    if len(text) < LEAST_CHARACTERS:
        return []
    groups = []
    for look in (_journeys, _contacts, _companies, _templates, _segments, _tasks, _runs, _messages):
        hits = [hit for _, hit in zip(range(limit + 1), look(session, text, limit), strict=False)]
        if hits:
            groups.append(Group(hits[0].kind, hits[:limit], len(hits) > limit))
    return groups


def _journeys(session: Session, text: str, limit: int) -> Iterator[Hit]:
    """By name and key, then by the names of their steps."""
    present = col(Journey.archived_at).is_(None)
    named = _contains(text, col(Journey.name), col(Journey.key))
    columns = select(Journey.id, Journey.key, Journey.name).where(present, named).order_by(col(Journey.name)).limit(limit + 1)
    found = session.execute(columns).all()
    yield from (Hit("journey", key, name, key) for _, key, name in found)
    known = {id for id, _, _ in found}
    drafts = (
        select(Journey.id, Journey.key, Journey.name, Journey.draft)
        .where(present, cast(col(Journey.draft), String).icontains(text, autoescape=True))
        .order_by(col(Journey.updated_at).desc())
        .limit(DRAFTS)
    )
    for id, key, name, draft in session.execute(drafts):
        step = _step(draft, text)
        if step and id not in known:
            yield Hit("journey", key, name, step)


def _step(draft: dict[str, Any], text: str) -> str:
    """The name of the first step that has the text in it."""
    nodes = draft.get("nodes")
    names = [str(raw.get("name") or "") for raw in nodes.values() if isinstance(raw, dict)] if isinstance(nodes, dict) else []
    return next((name for name in names if text.casefold() in name.casefold()), "")


def _contacts(session: Session, text: str, limit: int) -> Iterator[Hit]:
    """By the beginning of an e-mail address, phone number, user id or id; then by the beginning of names."""
    seen: set[str] = set()
    for contact in [*_known_as(session, text, limit), *_called(session, text, limit)]:
        if contact.id not in seen and contact.merged_into is None and contact.erased_at is None:
            seen.add(contact.id)
            name = " ".join(part for part in (contact.first_name, contact.last_name) if part)
            yield Hit(
                "contact",
                contact.id,
                name or contact.email or contact.phone or contact.id,
                (contact.email or contact.phone or "") if name else "",
            )


def _known_as(session: Session, text: str, limit: int) -> list[Contact]:
    lower = text.lower()
    wanted = [
        (kind, phone if kind == "phone" else lower if kind == "email" else text)
        for kind in NAMES
        if (phone := _phone(text)) or kind != "phone"
    ]
    ids: set[str] = set()
    for column, value in ((col(Contact.email), lower), (col(Contact.phone), _phone(text))):  # several may have the same
        if value:
            ids |= set(session.scalars(select(Contact.id).where(*_begins(session, column, value)).limit(limit + 1)))
    if phone := _phone(text):
        begins = _begins(session, col(ContactPhone.phone), phone)
        ids |= set(session.scalars(select(ContactPhone.contact_id).where(*begins).limit(limit + 1)))
    for kind, value in wanted:
        begins = _begins(session, col(Identity.value), value)
        ids |= set(session.scalars(select(Identity.contact_id).where(Identity.kind == kind, *begins).limit(limit + 1)))
    if _is_id(lower):
        ids |= set(session.scalars(select(Contact.id).where(*_begins(session, col(Contact.id), lower)).limit(limit + 1)))
    return list(session.scalars(select(Contact).where(col(Contact.id).in_(ids)).order_by(col(Contact.id).desc()))) if ids else []


def _called(session: Session, text: str, limit: int) -> list[Contact]:
    """Names are in no index: only the newest contacts are looked at."""
    oldest = session.scalar(select(Contact.id).order_by(col(Contact.id).desc()).offset(NEWEST).limit(1))
    return contacts.search(session, contacts.ContactFilter(text=text, newer_than=oldest), limit=limit + 1).contacts


def _companies(session: Session, text: str, limit: int) -> Iterator[Hit]:
    """By the beginning of the name or of a domain."""
    for one in companies.search(session, text=text, limit=limit + 1).companies:
        yield Hit("company", one.id, one.name, one.domain or "")


def _phone(text: str) -> str:
    """`0041 79 …` and `+41 79 …` as they are stored; empty for what is no number with its country code."""
    digits = re.sub(r"[^\d+]", "", text)
    if not re.fullmatch(r"[\d+ ()./-]+", text) or not digits.startswith(("+", "00")):
        return ""
    return "+" + digits.lstrip("+0")


def _templates(session: Session, text: str, limit: int) -> Iterator[Hit]:
    found = select(Template.key, Template.name).where(
        col(Template.archived_at).is_(None), _contains(text, col(Template.name), col(Template.key))
    )
    for key, name in session.execute(found.order_by(col(Template.name)).limit(limit + 1)):
        yield Hit("template", key, name, key)


def _segments(session: Session, text: str, limit: int) -> Iterator[Hit]:
    found = select(Segment.key, Segment.name).where(col(Segment.state) != EMPTYING, _contains(text, col(Segment.name), col(Segment.key)))
    for key, name in session.execute(found.order_by(col(Segment.name), col(Segment.key)).limit(limit + 1)):
        yield Hit("segment", key, name, key)


def _tasks(session: Session, text: str, limit: int) -> Iterator[Hit]:
    """Open ones, by title."""
    found = select(Task.id, Task.title, Task.state).where(col(Task.state).in_(OPEN), _contains(text, col(Task.title)))
    for id, title, _ in session.execute(found.order_by(col(Task.id)).limit(limit + 1)):
        yield Hit("task", id, title)


def _runs(session: Session, text: str, limit: int) -> Iterator[Hit]:
    if _is_id(text.lower()):
        found = select(Run.id, Journey.name).join(Journey, col(Journey.id) == col(Run.journey_id))
        for id, name in session.execute(found.where(*_begins(session, col(Run.id), text.lower())).limit(limit + 1)):
            yield Hit("run", id, name, id)


def _messages(session: Session, text: str, limit: int) -> Iterator[Hit]:
    """By id; one of the outbox by its number, too."""
    if text.isdecimal() and len(text) < LEAST_OF_ID + 4:
        item = session.execute(select(OutboxItem.id, OutboxItem.subject).where(OutboxItem.id == int(text))).first()
        if item is not None:
            yield Hit("message", str(item.id), item.subject or str(item.id), text)
    if _is_id(text.lower()):
        found = select(Message.id, Message.subject, Message.channel).where(*_begins(session, col(Message.id), text.lower()))
        for id, subject, channel in session.execute(found.limit(limit + 1)):
            yield Hit("message", id, subject or channel, id)


def _is_id(text: str) -> bool:
    return re.fullmatch(rf"[0-9a-f]{{{LEAST_OF_ID},32}}", text) is not None


def _contains(text: str, *columns: ColumnElement[Any] | Any) -> ColumnElement[bool]:
    return or_(*(column.icontains(text, autoescape=True) for column in columns))


def _begins(session: Session, column: Any, text: str) -> list[ColumnElement[bool]]:
    """A prefix. SQLite uses an index only for a range of its binary order, in which PostgreSQL need not sort."""
    prefix = [column.startswith(text, autoescape=True)]
    return [column >= text, column < text + LAST, *prefix] if session.get_bind().dialect.name == "sqlite" else prefix
