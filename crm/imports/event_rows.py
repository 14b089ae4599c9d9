"""Storing what happened to contacts, as rows of a file tell it: once, whatever file tells it again.

The id of an event is made of what it says (or of the id that the file gives it) and not of the import, so the same rows in another file are the
same events. They are history: nobody is told and no journey starts, unless the import is to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy.orm import Session

from crm.catalogue import learn
from crm.imports import changes
from models import Event
from storage.events import event_row, mark_new
from storage.identifiers import Name
from storage.sql import insert_new, on

SOURCE = "import"
"""Of every imported event; `context.import` says by which."""


@dataclass(frozen=True, slots=True)
class Happened:
    """One event of a contact. `key`: what makes it itself, besides its name: the id that a file gives it, or all it says."""

    contact_id: str
    name: str
    at: datetime
    properties: Mapping[str, Any]
    key: str


def key_of(name: Name, at: datetime, properties: Mapping[str, Any], given: str = "") -> str:
    """Of a row that gives no id of its own, who, when and what."""
    if given:
        return f"id\x1f{given}"
    said = orjson.dumps(dict(properties), option=orjson.OPT_SORT_KEYS, default=str).decode()
    return "\x1f".join(("row", *name, at.isoformat(), said))


def store(session: Session, import_id: str, happened: Sequence[Happened], now: datetime, *, wake: bool, keep: bool) -> set[int]:
    """Stores events in their order; returns the places of those that are new. The caller holds the contacts' locks. `keep`: so that the import can be
    undone.

    Raises:
        PfadwerkError: one of them cannot be stored: no name, or too large.
    """
    rows = [_row(one, import_id, now, wake) for one in happened]
    if not rows:
        return set()
    statement = insert_new(session, Event, ("source", "message_id"), returning=("message_id",))
    first = {row["message_id"]: number for number, row in reversed(list(enumerate(rows)))}
    stored = [rows[number] for number in sorted(first.values())]
    new_ids = set(on(session).execute(statement, stored).scalars())
    new = [row for row in stored if row["message_id"] in new_ids]
    if not new:
        return set()
    mark_new(session, new)
    learn(session, {}, {row["name"]: row["properties"] for row in new}, now)
    if keep:
        changes.keep(session, import_id, (), {row["contact_id"]: changes.What(events=True) for row in new}, now)
    return {first[id] for id in new_ids}


def _row(one: Happened, import_id: str, now: datetime, wake: bool) -> dict[str, Any]:
    mark = hashlib.sha256(f"{one.name}\x1f{one.key}".encode()).hexdigest()
    row = event_row(
        "track",
        one.name,
        one.properties,
        received_at=now,
        source=SOURCE,
        message_id=mark,
        occurred_at=one.at,
        context={"import": import_id},
        routed=not wake,
        backfill=not wake,
    )
    return {"contact_id": one.contact_id, **row}
