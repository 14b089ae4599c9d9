"""The reference journey with short waits, and the people who go through it: what both sides of `bench.engine` work on.

event -> e-mail -> wait -> opened? -> one of two e-mails -> wait -> e-mail -> exit. The mail is the first one of the gallery.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import insert, select

from activities.rendering import CompiledTemplate
from activities.templates import library
from api.tracking.write_keys import add_key
from engine.engine import Engine
from engine.versions import publish as publishing
from journeys.templates import Mail, gallery
from models import ConsentState, Contact, Database, Identity, TemplateVersion, new_id
from models.migrate import upgrade
from storage.sql import table
from workspace import audit
from workspace import settings as workspace

EVENT = "Bench Started"
SENDS = 3
"""Mails each run gets."""
MAIL = "welcome-1-hello"
WRITE_KEY = "pfw_" + "bench" * 8


def document(wait: str, key: str = "reference") -> dict[str, Any]:
    """The journey; `wait` is the length of both waits, as ISO 8601."""
    return {
        "spec": 1,
        "key": key,
        "name": "Reference",
        "entry": {"triggers": [{"type": "event", "event": EVENT}]},
        "start": "hello",
        "nodes": {
            "hello": {"kind": "send_email", "template": MAIL},
            "day": {"kind": "wait", "duration": wait},
            "opened": {"kind": "if_else", "rule": {"combinator": "and", "rules": [{"message": "opened", "node": "hello"}]}},
            "thanks": {"kind": "send_email", "template": MAIL},
            "nudge": {"kind": "send_email", "template": MAIL},
            "two_days": {"kind": "wait", "duration": wait},
            "last": {"kind": "send_email", "template": MAIL},
            "end": {"kind": "exit"},
        },
        "edges": [
            {"from": "hello", "outlet": "sent", "to": "day"},
            {"from": "day", "to": "opened"},
            {"from": "opened", "outlet": "yes", "to": "thanks"},
            {"from": "opened", "outlet": "no", "to": "nudge"},
            {"from": "thanks", "outlet": "sent", "to": "two_days"},
            {"from": "nudge", "outlet": "sent", "to": "two_days"},
            {"from": "two_days", "to": "last"},
            {"from": "last", "outlet": "sent", "to": "end"},
        ],
    }


def fresh_database(file: Path) -> Database:
    """A new SQLite database with the product's tables, and with the workspace's settings that hold no mail back."""
    upgrade(f"sqlite:///{file}")
    db = Database(f"sqlite:///{file}")
    now = datetime.now(UTC)
    audit.bind(db, (b"bench" * 8,))
    with db.write() as session:
        workspace.put(session, "quiet_hours", {"enabled": False}, "bench", now)
        workspace.put(session, "frequency_caps", {"caps": []}, "bench", now)
        workspace.put(session, "sender", {"name": "Bench", "email": "bench@example.org", "postal_address": "Weg 1, Bern"}, "bench", now)
        add_key(session, "server", "bench", now, WRITE_KEY)
    return db


def publish(engine: Engine, raw: dict[str, Any]) -> None:
    """Stores the mail and makes the journey live."""
    now = datetime.now(UTC)
    mail = _mail()
    kind: Literal["email", "sms"] = "email"
    library.save(engine.db, mail.key, mail.variants, name=mail.name, kind=kind, message_class=mail.message_class, actor="bench", now=now)
    with engine.db.write() as session:
        journey = publishing.create_journey(session, raw, "bench", now)
        publishing.publish(engine, session, journey.id, "bench", "", now)


def compiled_mail(db: Database) -> CompiledTemplate:
    """The mail as `publish` stored it."""
    with db.read() as session:
        stored = session.scalars(select(TemplateVersion).where(TemplateVersion.key == MAIL)).one()  # type: ignore[arg-type]
    return CompiledTemplate.from_json("email", stored.compiled)


def _mail() -> Mail:
    return next(mail for entry in gallery() for mail in entry.mails if mail.key == MAIL)


def add_contacts(db: Database, count: int) -> list[str]:
    """People with a user id (their own contact id) and consent; the same rows for both sides."""
    now = datetime.now(UTC)
    ids = [new_id() for _ in range(count)]
    for start in range(0, count, 200):
        _insert(db, ids[start : start + 200], now)
    return ids


def _insert(db: Database, ids: Sequence[str], now: datetime) -> None:
    people = [
        {
            "id": id,
            "email": f"{id}@example.org",
            "first_name": "Anna",
            "last_name": "Muster",
            "locale": "en-GB",
            "timezone": "Europe/Zurich",
            "lifecycle_stage": "lead",
            "attributes": {"plan": "basic", "shoe_size": 38},
            "created_at": now,
            "updated_at": now,
            "last_seen_at": now,
            "demo": False,
        }
        for id in ids
    ]
    with db.write() as session:
        session.execute(insert(table(Contact)), people)
        session.execute(insert(table(Identity)), [{"kind": "user_id", "value": id, "contact_id": id, "created_at": now} for id in ids])
        granted = [{"contact_id": id, "channel": "email", "purpose": "marketing", "state": "granted", "said_at": now} for id in ids]
        session.execute(insert(table(ConsentState)), granted)
