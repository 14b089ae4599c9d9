"""Eight weeks of the demo, as the engine went through them: every number agrees, nothing is left over, and it is so on any day."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlmodel import func, select

from activities.providers.outbox import Outbox
from activities.rendering import INLINE
from activities.sending.breakers import Breakers
from activities.sending.effect import Effects, perform
from activities.sending.messages import MessageHandler
from commands import servers
from commands.demo import Scale, documents, prepare_demo, sales, shop, start_runs, weeks
from commands.demo.people import DEAD, PEOPLE, crowd
from commands.dev import migrate
from commands.setup import connect
from commands.workspace import engine
from crm.people import profile
from crm.people.timeline import timeline
from crm.privacy import erasure
from engine.engine import Engine
from engine.enrolment.routing import routed
from engine.runs import operations
from engine.runs.step import step
from engine.temporal.client import Temporal
from locales import translator
from models import (
    Contact,
    Duplicate,
    Event,
    Hit,
    Journey,
    Member,
    Message,
    OutboxItem,
    Refusal,
    Run,
    Tag,
    Task,
    TaskChange,
    Template,
    Trail,
    TriggerCursor,
)
from settings import Settings
from storage import tally
from tests.recount import recounted
from worker import build_messaging
from workspace import audit

NOW = datetime(2026, 11, 25, 14, 20, tzinfo=UTC)
"""A Wednesday, at work."""
SMALL, TINY = Scale(8, 24), Scale(1, 6)
NO_SUCH_HOUR = datetime(2027, 3, 28, 1, 0, tzinfo=UTC)
"""When it is neither two nor three in Zürich."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("weeks") / "home", now=NOW)


@pytest.fixture(scope="module")
def lively(home: Path) -> Iterator[Engine]:
    with engine(Settings(home=home)) as live:
        yield live


@pytest.fixture(scope="module")
def german(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    home = made(tmp_path_factory.mktemp("german") / "home", "de", SMALL, NO_SUCH_HOUR)
    with engine(Settings(home=home)) as live:
        yield live


@pytest.fixture
def own(home: Path, clean: Path) -> Iterator[Engine]:
    """A copy that a test may change."""
    shutil.copytree(home, clean)
    with engine(Settings(home=clean)) as live:
        yield live


def made(home: Path, language: str = "en", scale: Scale | None = None, now: datetime = NOW) -> Path:
    home.mkdir(parents=True)
    settings = Settings(home=home)
    migrate(settings)
    prepare_demo(settings, language, scale or Scale(), now=now)
    return home


def test_every_number_is_what_its_rows_say(lively):
    with lively.db.read() as session:
        for journey in session.scalars(select(Journey)):
            counted = tally.read(session, journey.id)
            assert counted == recounted(session, journey.id), journey.key
            assert counted.runs > 0
            steps = {id for id, node in journey.draft["nodes"].items() if node["kind"] not in ("exit", "update_contact", "notify_team")}
            assert steps - {id for id, place in counted.nodes.items() if place.entered} == set(), journey.key


def test_runs_have_come_to_every_end(lively):
    with lively.db.read() as session:
        ends = Counter(session.execute(select(Run.status, Run.reason)).all())
        goals = session.scalar(select(func.count()).select_from(Run).where(Run.goal_at.is_not(None)))
        refused = set(session.scalars(select(Refusal.reason)))
    assert {status for status, _ in ends} == {"active", "ended", "held_out", "stuck"}
    assert {reason for _, reason in ends} >= {
        "completed",
        "exit",
        "not_bought",
        "qualified",
        "not_yet",
        "missed",
        "silent",
        "active",
        "held_out",
    }
    assert goals
    assert goals > 10
    assert refused >= {"filter", "condition", "already_entered", "still_inside"}


def test_what_waits_goes_on_later_and_nothing_is_due_at_once(lively):
    with lively.db.read() as session:
        waiting = session.scalars(select(Run).where(Run.status == "active")).all()
        assert 15 <= len(waiting) <= 45
        assert all(run.due_at is None or run.due_at > NOW for run in waiting)
        assert all(cursor.done_until > NOW - timedelta(days=7) for cursor in session.scalars(select(TriggerCursor)))
        assert all(event.routed for event in session.scalars(select(Event)))
        assert {message.status for message in session.scalars(select(Message))} == {"sent", "bounced", "skipped"}


def test_nothing_happened_in_the_future_and_no_run_before_the_eight_weeks(lively):
    with lively.db.read() as session:
        for column in (
            Event.occurred_at,
            Event.received_at,
            Message.planned_at,
            Trail.at,
            Hit.hit_at,
            OutboxItem.accepted_at,
            Task.created_at,
            TaskChange.at,
            Contact.created_at,
        ):
            assert session.scalar(select(func.max(column))) <= NOW, column
        assert session.scalar(select(func.min(Run.started_at))) >= NOW - timedelta(weeks=8)


def test_people_and_machines_have_read_the_mails(lively):
    with lively.db.read() as session:
        hits = Counter(session.execute(select(Hit.kind, Hit.agent_class)).all())
        bounced = session.scalars(select(Message).where(Message.status == "bounced")).all()
        left = [
            one for one in session.scalars(select(Event).where(Event.name == "Consent Changed")) if one.properties["state"] == "withdrawn"
        ]
        assert all(session.get_one(Contact, message.contact_id).email.endswith(DEAD) for message in bounced)
    assert set(hits) >= {("open", "human"), ("open", "prefetch"), ("click", "human"), ("click", "scanner")}
    assert bounced
    assert left


def test_the_question_wins_the_test_of_two_subjects(lively):
    with lively.db.read() as session:
        journey = session.scalars(select(Journey).where(Journey.key == "cart_abandonment")).one()
        nodes = tally.read(session, journey.id, 2).nodes
    arms = nodes[documents.SPLIT].left
    assert min(arms["a"], arms["b"]) >= 10
    reminder, question = nodes["reminder"], nodes["question"]
    assert question.opened / question.sent > 1.2 * reminder.opened / reminder.sent


def test_sales_has_done_and_has_to_do(lively):
    with lively.db.read() as session:
        tasks = session.scalars(select(Task)).all()
        today = {task.title for task in tasks if task.state == "open" and task.due_at and NOW < task.due_at < NOW + timedelta(hours=10)}
        overdue = [task for task in tasks if task.state == "open" and task.due_at and task.due_at < NOW]
    assert {task.outcome for task in tasks} >= {"qualified", "not_yet", "thanked", "done"}
    assert all(task.note for task in tasks if task.state == "finished")
    assert len(today) >= 3
    assert 1 <= len(overdue) <= 4
    assert all(task.escalated_at is not None for task in overdue)


def test_the_stuck_run_says_what_is_wrong_and_goes_on_once_that_is_mended(own):
    with own.db.read() as session:
        run = session.scalars(select(Run).where(Run.status == "stuck")).one()
    assert run.error.endswith(": A task needs a title.")
    with own.db.write() as session:
        routed(own, session, [profile.update_fields(session, run.contact_id, {"company": "Beispiel AG"}, NOW, "test")], NOW)
        operations.resume_stuck(own, session, run.id, "test", NOW)
    step(own, run.id, run.step, NOW)
    with own.db.read() as session:
        assert session.get_one(Run, run.id).status == "active"
        assert session.scalars(select(Task.title).where(Task.run_id == run.id)).one() == "Beispiel AG"


def test_its_rows_can_be_told_checked_and_erased(own):
    with own.db.read() as session:
        assert audit.check(session).broken_at is None
        reader = session.scalars(select(Message).where(Message.clicked_at.is_not(None))).first().contact_id
        kinds = {item.kind for item in timeline(session, reader, limit=200).items}
    assert kinds >= {"event", "message", "run", "consent"}
    with own.db.write() as session:
        erasure.erase(session, reader, NOW, by="test", keys=own.address_keys)
        assert session.get_one(Contact, reader).email is None


class Real(Outbox):
    """A provider that reaches people."""

    name = "smtp"
    reaches_people = True


@pytest.mark.parametrize(("provider", "status", "reason"), [(Outbox, "sent", ""), (Real, "skipped", "made_up")])
def test_no_provider_is_asked_to_write_to_people_who_are_nobody(own, provider, status, reason):
    settings = Settings(home=own.db.url.removeprefix("sqlite:///").rpartition("/")[0])
    effects = Effects(own, {"email": MessageHandler(build_messaging(settings, INLINE), provider(own.db), "email")}, Breakers(own.db))
    with own.db.read() as session:
        run = session.scalars(select(Run).where(Run.status == "active", Run.node == "a_day", Run.run_key == "")).first()
    call = step(own, run.id, run.step, run.due_at).instruction
    perform(effects, call["then"]["activity"], run.id, call["step"], run.due_at)
    with own.db.read() as session:
        last = session.scalars(select(Message).where(Message.run_id == run.id).order_by(Message.planned_at.desc())).first()
    assert (last.status, last.reason) == (status, reason)


def test_runs_that_wait_get_their_workflows_once_there_is_a_temporal(own, tmp_path):
    home = own.db.url.removeprefix("sqlite:///").rpartition("/")[0]
    start_runs(Settings(home=home, temporal_address="127.0.0.1:1"))  # nobody is there: the next start does it
    with servers.start_temporal(tmp_path) as temporal:
        settings = Settings(home=home, temporal_address=temporal.address)
        start_runs(settings)
        with own.db.read() as session:
            waiting = session.scalars(select(Run.id).where(Run.status.in_(("active", "stuck")))).all()

        async def running() -> list[bool | None]:
            client = Temporal(await connect(settings))
            return [await client.is_running(run_id) for run_id in waiting]

        assert set(asyncio.run(running())) == {True}


def test_who_has_the_number_of_somebody_else_is_suggested(lively):
    with lively.db.read() as session:
        assert session.scalars(select(Duplicate)).first() is not None


def test_everybody_is_made_up(lively):
    with lively.db.read() as session:
        contacts = session.scalars(select(Contact)).all()
        members = session.scalars(select(Member)).all()
    assert len(contacts) == 132
    assert all(contact.demo for contact in contacts)
    nobody = re.compile(r"[a-z0-9.-]+@(?:[a-z0-9-]+\.example|(?:mail|shop)\.example\.org)")
    assert [contact.email for contact in contacts if not nobody.fullmatch(contact.email)] == []
    assert all(member.email.endswith("@example.com") for member in members)
    silent = re.compile(r"\+(?:493023125\d{3}|41440000\d{3}|4310000\d{3}|442079460\d{3}|121255501\d\d|33199000\d{3})")
    assert [contact.phone for contact in contacts if contact.phone and not silent.fullmatch(contact.phone)] == []
    countries = Counter(contact.attributes.get("country", "") for contact in contacts)
    assert countries["DE"] + countries["AT"] + countries["CH"] > len(contacts) / 2


def test_a_seed_gives_the_same_people():
    assert crowd(30, 8, "one") == crowd(30, 8, "one") != crowd(30, 8, "other")


@pytest.mark.parametrize(
    "now",
    [
        datetime(2028, 2, 29, 23, 50, tzinfo=UTC),
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),  # the first of two hours past two; a Sunday
        datetime(2026, 11, 30, 8, 0, tzinfo=UTC),  # Monday, nine in Zürich
    ],
    ids=["leap_day", "autumn", "monday"],
)
def test_it_is_so_on_any_day(now, tmp_path):
    with engine(Settings(home=made(tmp_path / "home", scale=SMALL, now=now))) as live:
        holds(live, now)


def test_it_is_so_where_the_clock_changes_and_in_german(german):
    holds(german, NO_SUCH_HOUR)


def holds(live: Engine, now: datetime) -> None:
    """Numbers agree, runs wait for later, one is stuck, and sales has something before it and behind it."""
    with live.db.read() as session:
        for journey in session.scalars(select(Journey)):
            assert tally.read(session, journey.id) == recounted(session, journey.id)
        active = session.scalars(select(Run).where(Run.status == "active")).all()
        assert active
        assert all(run.due_at is None or run.due_at > now for run in active)
        assert len(session.scalars(select(Run).where(Run.status == "stuck")).all()) == 1
        open_tasks = [task for task in session.scalars(select(Task)) if task.state == "open"]
        assert [task for task in open_tasks if task.due_at < now]
        assert [task for task in open_tasks if task.due_at > now]


def test_a_start_that_dies_leaves_nothing_and_the_next_makes_all_of_it_once(clean):
    in_the_way = clean / "write_key" / "file"
    in_the_way.parent.mkdir(parents=True)
    in_the_way.touch()
    settings = Settings(home=clean)
    migrate(settings)
    with pytest.raises(OSError, match="write_key"):
        prepare_demo(settings, scale=TINY, now=NOW)
    with engine(settings) as live, live.db.read() as session:
        for table in (Contact, Journey, Template, Member, Event, Run, OutboxItem):
            assert session.scalars(select(table).limit(1)).first() is None, table
    shutil.rmtree(in_the_way.parent)
    for _ in range(2):
        prepare_demo(settings, scale=TINY, now=NOW)
    with engine(settings) as live, live.db.read() as session:
        assert len(session.scalars(select(Contact)).all()) == len(PEOPLE) + TINY.crowd


def test_a_german_workspace_is_german(german):
    say = translator("de")
    with german.db.read() as session:
        assert {journey.name for journey in session.scalars(select(Journey))} == {
            "Willkommen", "Verlassener Warenkorb", "MQL zu SQL", "Reaktivierung", "Persönlicher Dank",
        }  # fmt: skip
        assert {member.locale for member in session.scalars(select(Member))} == {"de"}
        titles, notes = set(session.scalars(select(Task.title))), set(session.scalars(select(Task.note)))
        assert say("Follow up on the offer") in titles
        assert [title for title in titles if title.endswith(" anrufen")]
        assert {say(errand.note) for errand in sales.ERRANDS} & notes
        assert say("Cart 1: reminder with a question") in set(session.scalars(select(Template.name)))
        assert "begrüßt" in set(session.scalars(select(Tag.tag)))
        assert "welcomed" not in set(session.scalars(select(Tag.tag)))


def test_every_text_of_it_speaks_german():
    asked: list[str] = []

    def ask(text: str) -> str:
        asked.append(text)
        return text

    carts = next(document for document in documents.first_versions(ask) if document["key"] == "cart_abandonment")
    documents.with_two_subjects(carts, ask)
    documents.mails(ask)
    said = [
        *(lead.note for lead in sales.LEADS),
        *(note for _, note in sales.CALLS),
        *shop.FORMS,
        weeks.WORDING,
        *(name for name, _ in shop.PRODUCTS),
    ]
    said += [text for errand in sales.ERRANDS for text in (errand.title, errand.note)]
    said += [tag for person in (*PEOPLE, *crowd(108, 8, "pfadwerk")) for tag in person.tags]
    german = translator("de")
    same = {"Newsletter", "{{ contact.company }}", "partner"}
    assert {text for text in (*asked, *said) if text and german(text) == text} - same == set()
