"""The demo workspace: what `pfadwerk dev` puts into a database that is empty, so that there is something to see.

Four live journeys with their mail templates in German and English, people who could be on a staging system (all addresses end in
`.example.org`), a small sales team, and a write key and an admin key in `home`, readable by its owner only. Nobody has the demo's quiet hours and frequency caps: a mail that
waits until morning explains itself badly. It is made once; who deletes something of it does not get it back.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, cast

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from activities import templates
from api.keys import add_key
from commands.workspace import ACTOR, engine
from crm import settings as workspace_settings
from crm.consent import Evidence, record_consent
from crm.events import append_event
from crm.identity import resolve
from crm.profile import add_tag, update_fields
from crm.scores import change_score
from crm.team import put_rotation
from engine import publish as publishing
from engine.live import Engine
from journeys.templates import TemplateEntry, gallery
from models import Contact, Database, Event, Journey, Member, Template, WorkspaceSetting
from settings import Settings

MARK = "demo"
"""Name of the workspace setting that says the demo was made."""
WRITE_KEY_FILE = "write_key"
ADMIN_KEY_FILE = "admin_key"
KEYS: Sequence[tuple[Literal["server", "admin"], str]] = (("server", WRITE_KEY_FILE), ("admin", ADMIN_KEY_FILE))
SOURCE = "demo"
SHOWN = ("welcome", "cart_abandonment", "mql_to_sql", "re_engagement")
"""The journeys of the gallery that are live in the demo."""
HOLDING = ("quiet_hours",)
"""Settings of a journey that would hold mails back in the demo."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the demo. `days`: since they were first and last seen; `done`: (event, days ago, properties)."""

    user_id: str
    first_name: str
    last_name: str
    locale: str
    timezone: str
    stage: str = "lead"
    days: tuple[int, int] = (30, 2)
    score: float = 0
    consents: str = "granted"
    tags: tuple[str, ...] = ()
    done: tuple[tuple[str, int, dict[str, Any]], ...] = ()

    @property
    def email(self) -> str:
        return f"{self.user_id}@{'shop' if self.stage == 'customer' else 'mail'}.example.org"


def prepare_demo(settings: Settings) -> None:
    """Makes the demo in an empty database; does nothing in one that is in use. A crash on the way is made up for at the next start."""
    with engine(settings) as live:
        if not _is_wanted(live.db):
            return
        now = live.clock.now()
        for entry in shown():
            _save_mails(live.db, entry, now)
        with live.db.write() as session:
            _add_settings(session, now)
            _add_team(session, now)
            for person in PEOPLE:
                _add_person(session, person, now)
            # What was just written happened long ago: it starts no journey.
            session.execute(update(Event).values(routed=True))
            _add_journeys(live, session, now)
            for kind, name in KEYS:
                _add_key(session, kind, settings.home / name, now)
            session.add(WorkspaceSetting(name=MARK, value={"made": True}, updated_at=now, updated_by=ACTOR))


def shown() -> list[TemplateEntry]:
    """What of the gallery is live in the demo, in the order of `SHOWN`."""
    return sorted((entry for entry in gallery() if entry.key in SHOWN), key=lambda entry: SHOWN.index(entry.key))


def has_write_key(home: Path) -> bool:
    """Whether the demo's write key lies in the folder."""
    return (home / WRITE_KEY_FILE).is_file()


def _is_wanted(db: Database) -> bool:
    with db.read() as session:
        made = session.get(WorkspaceSetting, MARK) is not None
        used = any(session.scalars(select(noun).limit(1)).first() is not None for noun in (Contact, Journey))
        return not made and not used


def _save_mails(db: Database, entry: TemplateEntry, now: datetime) -> None:
    for mail in entry.mails:
        with db.read() as session:
            known = session.get(Template, mail.key) is not None
        if not known:
            templates.save(
                db,
                mail.key,
                mail.variants,
                name=mail.name,
                kind=cast(Any, mail.kind),
                message_class=mail.message_class,
                actor=ACTOR,
                now=now,
            )


def _add_settings(session: Session, now: datetime) -> None:
    workspace_settings.put(session, "quiet_hours", {"enabled": False}, ACTOR, now)
    workspace_settings.put(session, "frequency_caps", {"caps": []}, ACTOR, now)
    sender = {"name": "Pfadwerk Demo", "email": "hello@example.org", "postal_address": "Musterweg 1, 8000 Zürich"}
    workspace_settings.put(session, "sender", sender, ACTOR, now)


def _add_team(session: Session, now: datetime) -> None:
    for id, name, role, locale in TEAM:
        session.add(Member(id=id, name=name, email=f"{id}@example.com", role=role, locale=locale, created_at=now))
    session.flush()
    put_rotation(session, "sales", [id for id, _, role, _ in TEAM if role == "sales" and id != "sales-lead"], "Sales")


def _add_journeys(live: Engine, session: Session, now: datetime) -> None:
    for entry in shown():
        journey = publishing.create_journey(session, without_holds(entry.document), ACTOR, now)
        publishing.publish(live, session, journey.id, ACTOR, "", now)


def without_holds(document: Any) -> dict[str, Any]:
    """The document without what would hold its mails back."""
    kept = {name: value for name, value in document.get("settings", {}).items() if name not in HOLDING}
    return {**document, "settings": kept}


def _add_key(session: Session, kind: Literal["server", "admin"], file: Path, now: datetime) -> None:
    _, secret = add_key(session, kind, "Demo", now)
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(secret + "\n")


def _add_person(session: Session, person: Person, now: datetime) -> None:
    first_seen, last_seen = (now - timedelta(days=days) for days in person.days)
    contact_id = resolve(session, [("user_id", person.user_id), ("email", person.email)], first_seen).contact_id
    fields = {
        "first_name": person.first_name,
        "last_name": person.last_name,
        "locale": person.locale,
        "timezone": person.timezone,
        "lifecycle_stage": person.stage,
    }
    update_fields(session, contact_id, fields, first_seen, SOURCE)
    if person.consents:
        state = person.consents
        record_consent(
            session, contact_id, "email", "marketing", state, first_seen, evidence=Evidence.DATED, source=SOURCE, said_at=first_seen
        )
    for tag in person.tags:
        add_tag(session, contact_id, tag, first_seen, SOURCE)
    for name, days, properties in person.done:
        at = now - timedelta(days=days)
        append_event(session, contact_id, "track", name, properties, at, source=SOURCE, occurred_at=at, routed=True, backfill=True)
    if person.score:
        change_score(session, contact_id, "engagement", person.score, True, SOURCE, last_seen, source=SOURCE)
    session.execute(update(Contact).where(Contact.id == contact_id).values(demo=True, last_seen_at=last_seen))  # type: ignore[arg-type]


TEAM: Sequence[tuple[str, str, str, str]] = (
    ("admin", "Alex Admin", "admin", "en"),
    ("kim", "Kim Keller", "sales", "de"),
    ("lee", "Lee Lorenz", "sales", "en"),
    ("sales-lead", "Sam Sommer", "sales", "de"),
)
"""(id, name, role, locale); the gallery's hand-off names the sales lead by id."""

_ZURICH, _BERLIN, _VIENNA, _LONDON, _NEW_YORK = "Europe/Zurich", "Europe/Berlin", "Europe/Vienna", "Europe/London", "America/New_York"


def _order(days: int, total: float) -> tuple[str, int, dict[str, Any]]:
    return "Order Completed", days, {"order_id": f"demo-{days}-{total:.0f}", "total": total, "currency": "CHF"}


def _visit(days: int, product: str) -> tuple[str, int, dict[str, Any]]:
    return "Product Viewed", days, {"product_id": product.lower().replace(" ", "-"), "name": product, "price": 89.0, "currency": "CHF"}


PEOPLE: Sequence[Person] = (
    # Active, in both languages and several time zones
    Person(
        "anna", "Anna", "Meier", "de-CH", _ZURICH, "customer", (400, 1), 45, tags=("vip",), done=(_order(20, 240.0), _visit(1, "Rucksack"))
    ),
    Person("ben", "Ben", "Huber", "de-AT", _VIENNA, "lead", (40, 3), 30, done=(_visit(3, "Zelt"),)),
    Person("carla", "Carla", "Rossi", "de-CH", _ZURICH, "lead", (25, 2), 55, done=(_visit(2, "Schlafsack"), _visit(9, "Zelt"))),
    Person("daniel", "Daniel", "Schmidt", "de-DE", _BERLIN, "customer", (300, 6), 20, done=(_order(45, 59.9),)),
    Person("emma", "Emma", "Wright", "en-GB", _LONDON, "lead", (18, 1), 62, done=(_visit(1, "Backpack"),)),
    Person("felix", "Felix", "Baumann", "de-CH", _ZURICH, "lead", (60, 8), 15),
    Person("grace", "Grace", "Hill", "en-US", _NEW_YORK, "customer", (200, 4), 35, done=(_order(12, 130.0),)),
    Person("hannah", "Hannah", "Vogel", "de-DE", _BERLIN, "lead", (10, 1), 10, done=(_visit(1, "Kocher"),)),
    Person("ivan", "Ivan", "Novak", "en-GB", _VIENNA, "lead", (35, 5), 25),
    Person(
        "julia",
        "Julia",
        "Frei",
        "de-CH",
        _ZURICH,
        "mql",
        (90, 2),
        75,
        tags=("newsletter",),
        done=(_visit(2, "Zelt"), _visit(4, "Rucksack")),
    ),
    Person("karim", "Karim", "Aziz", "en-GB", _LONDON, "lead", (14, 2), 70, done=(_visit(2, "Tent"),)),
    Person("lena", "Lena", "Koch", "de-DE", _BERLIN, "sql", (150, 3), 88),
    # Long not seen: the re-engagement journey finds these on Monday morning
    Person("marco", "Marco", "Bianchi", "de-CH", _ZURICH, "customer", (500, 120), 12, done=(_order(180, 75.0),)),
    Person("nina", "Nina", "Weber", "de-DE", _BERLIN, "lead", (240, 140), 5, done=(_visit(140, "Zelt"),)),
    Person("oliver", "Oliver", "Stone", "en-US", _NEW_YORK, "customer", (420, 200), 8, done=(_order(210, 310.0),)),
    Person("paula", "Paula", "Gruber", "de-AT", _VIENNA, "lead", (180, 100), 3),
    Person("quentin", "Quentin", "Moore", "en-GB", _LONDON, "lead", (365, 95), 9, done=(_visit(95, "Boots"),)),
    # Not to be written to, for one reason or another
    Person("rita", "Rita", "Steiner", "de-CH", _ZURICH, "lead", (50, 10), 20, consents="withdrawn"),
    Person("stefan", "Stefan", "Lang", "de-DE", _BERLIN, "lead", (20, 4), 18, consents="pending"),
    Person("tara", "Tara", "Singh", "en-GB", _LONDON, "customer", (320, 15), 22, consents="", done=(_order(60, 45.0),)),
    Person("urs", "Urs", "Zbinden", "de-CH", _ZURICH, "lead", (260, 130), 2, tags=("sunset",)),
    # New
    Person("vera", "Vera", "Lindt", "de-CH", _ZURICH, "lead", (3, 1), 8),
    Person("will", "Will", "Turner", "en-US", _NEW_YORK, "lead", (2, 1), 6),
    Person("yara", "Yara", "Haddad", "en-GB", _LONDON, "lead", (1, 0), 4, done=(_visit(0, "Headlamp"),)),
)
