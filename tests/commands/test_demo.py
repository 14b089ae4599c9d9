"""The demo workspace: what stands in it, that it is made once, and never in a database that is in use."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlmodel import select

from api.tracking.write_keys import KeyRing
from commands.demo import QUIET, TEAM, Scale, prepare_demo
from commands.demo.people import PEOPLE
from commands.dev import migrate
from commands.start import prepare, welcome
from commands.workspace import database, engine
from crm.rules import expression as rules
from journeys.rules import DictFacts, holds
from journeys.triggers import ClockTrigger
from models import Contact, Event, Journey, Member, Run, Template, TemplateVersion
from settings import Settings
from storage import tally
from tests.recount import recounted
from workspace import settings
from workspace.members import next_owner


def test_five_journeys_are_live_with_templates_in_two_languages(demo):
    with engine(Settings(home=demo)) as live, live.db.read() as session:
        index = live.index(session)
        assert {journey.key: journey.state for journey in index.by_id.values()} == dict.fromkeys(
            ("welcome", "cart_abandonment", "mql_to_sql", "re_engagement", "personal_thanks"), "live"
        )
        for template in session.scalars(select(Template)):
            assert {"de", "en"} <= set(template.variants)
            assert session.get(TemplateVersion, (template.key, 1)) is not None


def test_the_people_are_made_up_and_differ(demo):
    with database(Settings(home=demo)) as db, db.read() as session:
        contacts = session.scalars(select(Contact)).all()
    assert len(contacts) == len(PEOPLE) == 24
    assert all(contact.demo and (contact.email or "").endswith(".example.org") for contact in contacts)
    assert {(contact.locale or "")[:2] for contact in contacts} == {"de", "en"}
    assert len({contact.timezone for contact in contacts}) >= 4


def test_nothing_that_was_made_up_starts_a_journey(demo):
    with database(Settings(home=demo)) as db, db.read() as session:
        assert all(event.routed for event in session.scalars(select(Event)))


def test_re_engagement_finds_somebody_and_leaves_the_others_alone(demo):
    now = datetime.now(UTC)
    with engine(Settings(home=demo)) as live, live.db.read() as session:
        [trigger] = [t for t in live.index(session).by_key["re_engagement"].program.entry.triggers if isinstance(t, ClockTrigger)]
        [(_, rule)] = trigger.rules()
        found = rules.page(session, rule, now, "", 100)
        names = {session.get_one(Contact, id).first_name for id in found}
    assert names == {"Marco", "Nina", "Oliver", "Paula", "Quentin"}


def test_no_mail_waits_for_the_morning(demo):
    with engine(Settings(home=demo)) as live, live.db.read() as session:
        assert not settings.load(session, settings.QuietHours).enabled
        assert settings.load(session, settings.FrequencyCaps).caps == ()
        assert all(journey.program.settings.quiet_hours is None for journey in live.index(session).by_id.values())


def test_the_hand_off_finds_its_people(demo):
    with engine(Settings(home=demo)) as live, live.db.read() as session:
        assert next_owner(session, "sales", datetime.now(UTC)) == "kim"
        program = live.index(session).by_key["mql_to_sql"].program
        escalated_to = program.journey.nodes["call"]["escalate_to"]
        assert session.get(Member, escalated_to) is not None
        assert {member.id for member in session.scalars(select(Member))} == {id for id, *_ in TEAM}


@pytest.mark.parametrize(("name", "kind"), [("write_key", "write"), ("admin_key", "admin")])
def test_its_keys_lie_in_the_folder_for_their_owner_only(demo, name, kind):
    file = demo / name
    assert file.stat().st_mode & 0o777 == 0o600
    with database(Settings(home=demo)) as db:
        found = KeyRing(db, lambda: datetime.now(UTC)).find(file.read_text().strip(), kind)
    assert found is not None
    assert (found.kind, found.role) == {"write": ("server", ""), "admin": ("admin", "admin")}[kind]


def test_it_is_made_once(demo):
    key = (demo / "write_key").read_text()
    with database(Settings(home=demo)) as db, db.write() as session:
        session.delete(session.scalars(select(Journey).where(Journey.key == "none")).first() or session.scalars(select(Member)).first())
        before = len(session.scalars(select(Member)).all())
    prepare_demo(Settings(home=demo), scale=QUIET)
    with database(Settings(home=demo)) as db, db.read() as session:
        assert len(session.scalars(select(Member)).all()) == before, "what somebody deleted does not come back"
        assert len(session.scalars(select(Contact)).all()) == 24
    assert (demo / "write_key").read_text() == key


def test_a_database_in_use_gets_no_demo(clean: Path):
    clean.mkdir()
    used = Settings(home=clean)
    migrate(used)
    now = datetime.now(UTC)
    with database(used) as db, db.write() as session:
        session.add(Contact(email="real@example.com", created_at=now, updated_at=now))
    prepare(True)(used)
    with database(used) as db, db.read() as session:
        assert session.scalars(select(Journey)).all() == []
    assert not (clean / "write_key").exists()


def test_without_the_demo_nothing_is_made_and_no_curl_line_is_printed(clean: Path):
    clean.mkdir()
    bare = Settings(home=clean)
    prepare(False)(bare)
    with database(bare) as db, db.read() as session:
        assert session.scalars(select(Journey)).all() == []
    assert "curl" not in welcome(str)(bare)


def test_what_dev_prints_names_the_link_first_and_no_key(demo):
    said = welcome(str)(Settings(home=demo))
    assert "/login/" in said.splitlines()[0]
    assert (demo / "write_key").read_text().strip() not in said
    assert str(demo / "write_key") in said


def test_the_welcome_filter_lets_in_who_granted_consent(demo):
    with engine(Settings(home=demo)) as live, live.db.read() as session:
        rule = live.index(session).by_key["welcome"].program.entry.filter
    assert rule is not None
    assert holds(rule, DictFacts({}, consents={("email", "marketing"): "granted"}), datetime.now(UTC))


def test_it_is_the_same_on_postgresql(postgres_url: str, clean: Path):
    name = "demo_workspace"
    admin = create_engine(f"{postgres_url}/postgres".replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name}"))
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    clean.mkdir()
    elsewhere = Settings(home=clean, database_url=f"{postgres_url}/{name}")
    for _ in range(2):
        migrate(elsewhere)
        prepare_demo(elsewhere, scale=Scale(8, 36))
    with engine(elsewhere) as live, live.db.read() as session:
        assert len(session.scalars(select(Contact)).all()) == 60
        for journey in live.index(session).by_id.values():
            assert tally.read(session, journey.id) == recounted(session, journey.id)
        assert {run.status for run in session.scalars(select(Run))} >= {"active", "ended", "stuck"}
