"""The demo workspace: what `pfadwerk dev` puts into a database that is empty, so that there is something to see.

Five live journeys with their mail templates in German and English, and eight weeks of what a hundred and thirty made-up people did in them, up to
the present: the engine itself has gone through those weeks (`commands.demo.story`), with the outbox for every channel. A small team, and a write
key and an admin key in `home`, readable by its owner only. Nobody has the demo's quiet hours and frequency caps: a mail that waits until
morning explains itself badly. It is made once and in one transaction: a start that is killed leaves nothing, who deletes something does not get
it back.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from activities.rendering import INLINE
from activities.sending.breakers import Breakers
from activities.sending.effect import Effects
from activities.templates import library
from activities.tracking import Tracking
from api.tracking.write_keys import add_key
from commands.demo import documents, scoring
from commands.demo.at_once import AtOnce
from commands.demo.documents import Translate
from commands.demo.people import PEOPLE, crowd
from commands.demo.readers import Inboxes
from commands.demo.sales import Sales, possible_leads
from commands.demo.story import Now, Postbox, Story, StoryClock
from commands.demo.weeks import Weeks, arrivals
from commands.workspace import ACTOR
from commands.workspace import engine as live_engine
from crm.catalogue import learn
from engine.engine import Engine
from engine.versions import publish as publishing
from journeys.errors import PfadwerkError
from locales import translator
from models import Contact, Journey, Member, WorkspaceSetting
from settings import Settings
from workspace import settings as workspace_settings
from workspace.members import put_rotation

log = logging.getLogger(__name__)

MARK = "demo"
"""Name of the workspace setting that says the demo was made."""
WRITE_KEY_FILE = "write_key"
ADMIN_KEY_FILE = "admin_key"
KEYS: Sequence[tuple[Literal["server", "admin"], str]] = (("server", WRITE_KEY_FILE), ("admin", ADMIN_KEY_FILE))
SEED = "pfadwerk"


@dataclass(frozen=True, slots=True)
class Scale:
    """How much happens: `weeks` up to the present, by so many people more than the README's. No weeks: everything is there, and nothing has
    happened."""

    weeks: int = 8
    crowd: int = 108


WHOLE = Scale()
QUIET = Scale(0, 0)
TEAM: Sequence[tuple[str, str, str, str]] = (
    ("admin", "Alex Admin", "admin", "en"),
    ("kim", "Kim Keller", "sales", "de"),
    ("lee", "Lee Lorenz", "sales", "en"),
    ("mia", "Mia Marti", "marketer", "de"),
    ("sales-lead", "Sam Sommer", "sales", "de"),
)
"""(id, name, role, language); the gallery's hand-off names the sales lead by id."""


def prepare_demo(settings: Settings, language: str = "en", scale: Scale = WHOLE, now: datetime | None = None) -> None:
    """Makes the demo in an empty database, in `language` (de or en); does nothing in one that is in use.

    `now`: the present, the workspace's if None.
    """
    from worker import build_engine

    db = AtOnce(settings.database_url)
    try:
        with db.whole():
            if _is_wanted(db):
                engine = build_engine(settings, db, [])
                _make(settings, engine, language, scale, now or engine.clock.now())
    finally:
        db.close()


def start_runs(settings: Settings) -> None:
    """Gives the runs that wait in a demo just made their workflows. Where Temporal does not answer, the next start does it, or the keeper when
    they come due."""
    with live_engine(settings) as engine:
        with engine.db.read() as session:
            made = session.get(WorkspaceSetting, MARK)
        if made is None or made.value.get("started", True):
            return
        try:
            asyncio.run(_start_runs(settings, engine))
        except PfadwerkError as error:
            log.warning("the runs of the demo are started when they come due: %s", error.code)
            return
        with engine.db.write() as session:
            session.get_one(WorkspaceSetting, MARK).value = {"made": True, "started": True}


async def _start_runs(settings: Settings, engine: Engine) -> None:
    from commands.setup import connect
    from engine import keeper
    from engine.temporal.client import Temporal

    temporal = Temporal(await connect(settings))
    async for _ in keeper.recover(engine, temporal):
        pass


def has_write_key(home: Path) -> bool:
    """Whether the demo's write key lies in the folder."""
    return (home / WRITE_KEY_FILE).is_file()


def _is_wanted(db: AtOnce) -> bool:
    with db.read() as session:
        made = session.get(WorkspaceSetting, MARK) is not None
        used = any(session.scalars(select(noun).limit(1)).first() is not None for noun in (Contact, Journey))
        return not made and not used


def _make(settings: Settings, engine: Engine, language: str, scale: Scale, present: datetime) -> None:
    translate, begin = translator(language), present - timedelta(weeks=scale.weeks)
    now = Now(begin)
    engine.clock = StoryClock(engine.clock.factor, engine.clock.real_anchor, engine.clock.virtual_anchor, story=now)
    people = arrivals((*PEOPLE, *crowd(scale.crowd, scale.weeks, SEED)), begin, present, SEED)
    inboxes = Inboxes({person.email: person for person in people}, Tracking(settings.signing_keys(), settings.public_url), SEED)
    story = inboxes.story = Story(engine, now, _effects(settings, engine, now, inboxes))
    with engine.db.write() as session:
        _add_settings(session, begin)
        _add_team(session, language, begin)
        learn(session, {"company": "", "city": "", "country": ""}, {}, begin)
        calendar = engine.calendars.get(session, begin)
    _add_templates(engine, translate, begin)
    _add_journeys(engine, translate, begin)
    scoring.add(engine, translate, begin)
    leads = possible_leads(people)
    Weeks(story, inboxes, people, leads, begin, present, translate, SEED).plan()
    if scale.weeks:
        story.at(begin + timedelta(days=10), lambda: _test_subjects(engine, translate, now.at))
        Sales(story, leads, begin, present, calendar, translate).plan()
    with _without_warnings():
        story.tell(present)
    story.keeper.fold_tallies()
    with engine.db.write() as session:
        for kind, name in KEYS:
            _add_key(session, kind, settings.home / name, present)
        session.add(WorkspaceSetting(name=MARK, value={"made": True, "started": False}, updated_at=present, updated_by=ACTOR))


@contextmanager
def _without_warnings() -> Iterator[None]:
    """That a run of the story is stuck is no news to whoever starts the program."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _effects(settings: Settings, engine: Engine, now: Now, inboxes: Inboxes) -> Effects:
    """As in staging: no provider is loaded and nothing is called."""
    from worker import build_messaging, pretending_performers

    performers = pretending_performers(build_messaging(settings, INLINE), Postbox(engine.db, now, inboxes))
    return Effects(engine, performers, Breakers(engine.db))


def _add_settings(session: Session, now: datetime) -> None:
    workspace_settings.put(session, "quiet_hours", {"enabled": False}, ACTOR, now)
    workspace_settings.put(session, "frequency_caps", {"caps": []}, ACTOR, now)
    sender = {"name": "Pfadwerk Demo", "email": "hello@example.org", "postal_address": "Musterweg 1, 8000 Zürich"}
    workspace_settings.put(session, "sender", sender, ACTOR, now)


def _add_team(session: Session, language: str, now: datetime) -> None:
    """In a German workspace everybody reads German."""
    for id, name, role, locale in TEAM:
        spoken = language if language == "de" else locale
        session.add(Member(id=id, name=name, email=f"{id}@example.com", role=role, locale=spoken, created_at=now))
    session.flush()
    put_rotation(session, "sales", [id for id, _, role, _ in TEAM if role == "sales" and id != "sales-lead"], "Sales")


def _add_templates(engine: Engine, translate: Translate, now: datetime) -> None:
    for mail in documents.mails(translate):
        kept: dict[str, Any] = {"name": mail.name, "kind": mail.kind, "message_class": mail.message_class}
        library.save(engine.db, mail.key, mail.variants, actor=ACTOR, now=now, **kept)


def _add_journeys(engine: Engine, translate: Translate, now: datetime) -> None:
    for document in documents.first_versions(translate):
        with engine.db.write() as session:
            journey = publishing.create_journey(session, document, ACTOR, now)
            publishing.publish(engine, session, journey.id, ACTOR, "", now)


def _test_subjects(engine: Engine, translate: Translate, now: datetime) -> None:
    """Mia has an idea for the subject of the reminder."""
    with engine.db.write() as session:
        journey = publishing.get_journey(session, "cart_abandonment")
        document = documents.with_two_subjects(journey.draft, translate)
        publishing.save_draft(session, journey.id, document, journey.revision, "member:mia", now)
        publishing.publish(engine, session, journey.id, "member:mia", translate("Two subjects for the reminder, half and half"), now)


def _add_key(session: Session, kind: Literal["server", "admin"], file: Path, now: datetime) -> None:
    _, secret = add_key(session, kind, "Demo", now)
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(secret + "\n")
