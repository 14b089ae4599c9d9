"""After a backup was restored: what may have left since then is held, and nothing else. The clock is a value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select
from temporalio.exceptions import ApplicationError

from activities.providers.provider import RetryLater
from activities.sending import restored
from activities.sending.restored import FOREVER
from crm import uncertain
from engine import restored as beginnings
from engine.restored import ASSUMED_SENT, PERHAPS_SENT, STEPS_AHEAD, LostTime, mark
from engine.runs.operations import resume_stuck, skip_stuck
from journeys.calls import activity_of
from journeys.compile import compile_journey
from journeys.document import Journey
from journeys.nodes import Palette
from models import Message, RestoredMessage, RestoredRun, Run
from storage import held_messages
from storage.events import append_event
from storage.sql import table
from tests.broken import copies
from tests.engine.conftest import START, Counting

DAY = timedelta(days=1)
WAITS: dict[str, Any] = {
    "spec": 1,
    "key": "waits",
    "name": "Waiting",
    "entry": {"triggers": [{"type": "event", "event": "Signed Up"}]},
    "settings": {"message_class": "transactional"},
    "start": "day",
    "nodes": {
        "day": {"kind": "wait", "duration": "P1D"},
        "first": {"kind": "send_email", "template": "a"},
        "hour": {"kind": "wait", "duration": "PT1H"},
        "second": {"kind": "send_email", "template": "a"},
        "week": {"kind": "wait", "duration": "P7D"},
        "third": {"kind": "send_email", "template": "a"},
        "end": {"kind": "exit"},
    },
    "edges": [
        {"from": "day", "to": "first"},
        {"from": "first", "outlet": "sent", "to": "hour"},
        {"from": "hour", "to": "second"},
        {"from": "second", "outlet": "sent", "to": "week"},
        {"from": "week", "to": "third"},
        {"from": "third", "outlet": "sent", "to": "end"},
    ],
}


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """A claimed call must begin within two seconds; how long a machine takes for that is not what is tested here."""
    monkeypatch.setattr("activities.sending.effect.time", SimpleNamespace(monotonic=lambda: 0.0))


def restore(world, lost: timedelta, assume: str = "ask") -> None:
    """The database is what it was at this instant, and `lost` has passed."""
    backup_at = world.now
    world.now += lost
    with world.db.write() as session:
        mark(session, backup_at=backup_at, until=world.now, assume=assume)
    world.engine._restored = None  # nobody lives through a restore: a process that starts anew asks


def fates(world, run: str) -> list[tuple[str, str, str]]:
    return [(one.node, one.status, one.reason) for one in world.messages(run)]


def listed(world) -> dict[str, str]:
    with world.db.read() as session:
        marked = table(RestoredMessage)
        rows = session.execute(select(Message.node, marked.c.assumed).join(marked, marked.c.message_id == Message.id))
        return dict(rows.all())


@pytest.fixture
def run(world):
    world.publish(WAITS)
    world.performer.delivery_check = "blind"
    return world.run(world.happens(world.contact(), "Signed Up"))


@pytest.mark.parametrize(
    ("assume", "sent", "held"),
    [
        ("ask", ["third"], [("first", "uncertain", PERHAPS_SENT), ("second", "uncertain", PERHAPS_SENT)]),
        ("sent", ["third"], [("first", "sent", ASSUMED_SENT), ("second", "sent", ASSUMED_SENT)]),
        ("unsent", ["first", "second", "third"], []),
    ],
)
def test_what_may_have_left_is_held_and_the_rest_of_the_run_goes_on(world, run, assume, sent, held):
    """Due after a day; two days are lost: the first mail and the one an hour later may have left, the one after a week has not."""
    restore(world, 2 * DAY, assume)
    assert world.walk(run)["op"] == "end"
    assert [key.split(":")[1] for key in world.performer.received] == sent
    assert [fate for fate in fates(world, run) if fate[0] not in sent] == held
    assert listed(world) == dict.fromkeys(("first", "second"), assume), "what may be doubled is named, too"


def test_what_was_not_due_by_then_leaves_as_ever(world, run):
    restore(world, DAY / 2)
    world.walk(run)
    assert len(world.performer.received) == 3
    assert listed(world) == {}


def test_a_held_message_stays_held_however_often_it_is_asked_for(world, run):
    """Whoever dies at the claim, and whoever runs `recover` again, changes nothing."""
    restore(world, 2 * DAY)
    world.step(run)
    number = world.row(run).step
    for _ in range(3):
        world.perform(run, number)
    assert world.performer.received == []
    assert fates(world, run)[0] == ("first", "uncertain", PERHAPS_SENT)


def test_a_workflow_that_lived_through_the_disaster_is_given_the_restored_instruction(world, run):
    """It asks with the number of a step that the database has forgotten; the run is not quarantined."""
    before = world.row(run).step
    restore(world, DAY / 2)
    assert world.step(run, before + 5).instruction["step"] == before + STEPS_AHEAD
    assert world.row(run).status == "active"
    assert world.perform(run, before + 5).instruction["step"] == before + STEPS_AHEAD


def test_a_decision_of_a_person_is_what_counts(world, run):
    restore(world, 2 * DAY)
    world.step(run)
    world.perform(run)
    [message] = world.messages(run)
    with world.db.write() as session:
        uncertain.decide(session, message.id, "leave", message.attempts, "test", world.now)
    assert listed(world) == {"first": "left"}


def test_a_provider_that_can_be_asked_is_asked(world, run):
    world.performer.delivery_check = "lookup"
    restore(world, 2 * DAY)
    world.performer.known = {f"{run}:first:1"}
    world.walk(run)
    assert [key.split(":")[1] for key in world.performer.received] == ["second", "third"]
    assert [fate[:2] for fate in fates(world, run)] == [("first", "sent"), ("second", "sent"), ("third", "sent")]
    assert listed(world) == {"second": "absent"}


def test_a_provider_that_cannot_be_asked_now_is_asked_later(world, run, monkeypatch):
    world.performer.delivery_check = "lookup"
    restore(world, 2 * DAY)
    with monkeypatch.context() as broken:

        def away(*_):
            raise RetryLater("away")

        broken.setattr(world.performer, "lookup", away)
        world.step(run)
        with pytest.raises(ApplicationError, match="away"):
            world.perform(run)
    assert world.performer.received == []
    world.walk(run)
    assert len(world.performer.received) == 3


@pytest.mark.parametrize(("remembers", "sent"), [(3 * DAY, 3), (DAY, 1)])
def test_a_provider_that_still_knows_the_key_is_called_again(world, run, remembers, sent):
    world.performer.delivery_check, world.performer.remembers = "idempotent", remembers
    restore(world, 2 * DAY)
    world.walk(run)
    assert len(world.performer.received) == sent


@pytest.mark.parametrize("delivery_check", ["lookup", "idempotent"])
def test_of_accounts_that_share_a_channel_none_is_asked_or_called_again(world, run, delivery_check):
    """Another one than would be drawn now may have made the call."""
    world.performer.delivery_check, world.performer.remembers = delivery_check, 3 * DAY
    world.effects = replace(world.effects, sharing=lambda *_: [world.performer, Counting()])
    restore(world, 2 * DAY)
    world.walk(run)
    assert [key.split(":")[1] for key in world.performer.received] == ["third"]
    assert listed(world) == {"first": "ask", "second": "ask"}


def test_an_event_may_have_led_there_before_its_wait_was_over(world):
    """The event is lost with the backup; the run waits on, and its time-out leads to the same mail, which may have left."""
    nodes = {
        "order": {"kind": "wait_for", "branches": [{"name": "ordered", "event": "Order Completed"}], "timeout": "P30D"},
        "thanks": {"kind": "send_email", "template": "a"},
        "end": {"kind": "exit"},
    }
    edges = [
        {"from": "order", "outlet": "ordered", "to": "thanks"},
        {"from": "order", "outlet": "timed_out", "to": "thanks"},
        {"from": "thanks", "outlet": "sent", "to": "end"},
    ]
    world.performer.delivery_check = "blind"
    world.publish({**WAITS, "key": "orders", "start": "order", "nodes": nodes, "edges": edges})
    run = world.run(world.happens(world.contact(), "Signed Up"))
    restore(world, DAY)
    world.walk(run)
    assert fates(world, run) == [("thanks", "uncertain", PERHAPS_SENT)]


def test_a_weekly_mail_is_held_once_and_not_for_ever(world):
    nodes = {
        "monday": {"kind": "wait_until", "until": {"type": "clock", "at": "09:00", "weekdays": [0]}},
        "news": {"kind": "send_email", "template": "a"},
    }
    edges = [{"from": "monday", "to": "news"}, {"from": "news", "outlet": "sent", "to": "monday"}]
    world.performer.delivery_check = "blind"
    world.publish({**WAITS, "key": "weekly", "start": "monday", "nodes": nodes, "edges": edges})
    run = world.run(world.happens(world.contact(), "Signed Up"))
    restore(world, 8 * DAY)
    world.walk(run, until=world.now + 28 * DAY)
    assert [fate[1] for fate in fates(world, run)] == ["uncertain", "sent", "sent", "sent", "sent"]


@pytest.mark.parametrize(("ago", "status"), [(DAY, "uncertain"), (-timedelta(minutes=1), "sent")])
def test_a_run_of_an_event_of_that_time_may_have_run_before(world, reference, ago, status):
    """A client repeats what it told; the run begins anew, under another id. An event from after the restore is new."""
    world.performer.delivery_check = "lookup"  # it cannot know the new key, so asking is no use
    world.publish(reference)
    restore(world, 2 * DAY)
    happened = world.now - ago
    world.now = max(world.now, happened)
    run = world.run(world.happens(world.contact(), "Signed Up", occurred_at=happened))
    world.perform(run)
    assert [fate[1] for fate in fates(world, run)] == [status]


def test_what_a_restored_run_starts_may_have_been_started_before(world, reference):
    """Another journey, begun by a step or by the event of a mail."""
    world.publish({**reference, "key": "child", "entry": {"triggers": [{"type": "event", "event": "Never"}]}})
    nodes = {"go": {"kind": "start_journey", "journey": "child"}, "day": {"kind": "wait", "duration": "P1D"}, "end": {"kind": "exit"}}
    edges = [{"from": "day", "to": "go"}, {"from": "go", "to": "end"}]
    world.performer.delivery_check = "blind"
    world.publish({**WAITS, "key": "parent", "start": "day", "nodes": nodes, "edges": edges})
    run = world.run(world.happens(world.contact(), "Signed Up"))
    restore(world, 2 * DAY)
    world.later(hours=1)
    [child] = world.step(run).wakeups.starts
    world.perform(child)
    assert [fate[1:] for fate in fates(world, child)] == [("uncertain", PERHAPS_SENT)]


def test_a_call_whose_answer_the_run_needs_leaves_it_to_a_person(world):
    """A webhook: its run stands still until somebody has it made, or leads the run past it; a wake-up alone changes nothing."""
    nodes = {
        "day": {"kind": "wait", "duration": "P1D"},
        "call": {"kind": "call_webhook", "url": "https://shop.example/hook"},
        "end": {"kind": "exit"},
    }
    edges = [{"from": "day", "to": "call"}, *({"from": "call", "outlet": one, "to": "end"} for one in ("ok", "failed"))]
    world.effects.performers["webhook"] = world.performer  # type: ignore[index]
    world.publish({**WAITS, "key": "hooks", "start": "day", "nodes": nodes, "edges": edges})
    run, other = (world.run(world.happens(world.contact(), "Signed Up")) for _ in range(2))
    restore(world, 2 * DAY)
    for one in (run, other):
        world.step(one)
        for _ in range(2):
            world.perform(one, activity=activity_of("webhook"))
            assert (world.row(one).status, world.row(one).reason) == ("stuck", PERHAPS_SENT)
    assert world.performer.received == []
    with world.db.write() as session:
        resume_stuck(world.engine, session, run, "test", world.now)
        skip_stuck(world.engine, session, other, "ok", "test", world.now)
    world.perform(run, activity=activity_of("webhook"))
    assert world.performer.received == [f"{run}:call:1"]
    assert world.step(other).instruction["op"] == "end"


@pytest.mark.parametrize(
    ("assume", "status", "reason"),
    [("ask", "uncertain", PERHAPS_SENT), ("sent", "sent", ASSUMED_SENT), ("unsent", "held", held_messages.AGAIN)],
)
def test_what_somebody_had_asked_for_again_just_before_may_have_left_once_more(world, run, assume, status, reason):
    restore(world, 2 * DAY)
    world.step(run)
    world.perform(run)
    [message] = world.messages(run)
    with world.db.write() as session:
        session.execute(
            table(Message).update().where(table(Message).c.id == message.id).values(body_id="b" * 32)
        )  # the counting performer keeps none
        uncertain.decide(session, message.id, "again", message.attempts, "test", world.now)
    restore(world, DAY, assume)
    assert fates(world, run)[0][1:] == (status, reason)


def marked(world, run: str) -> list[tuple[str, str, timedelta]]:
    """(version, step, how long before now the run can have left it) of a run, by when it may have gone on."""
    rows_of = table(RestoredRun)
    with world.db.read() as session:
        rows = session.execute(select(rows_of).where(rows_of.c.run_id == run).order_by(rows_of.c.leaves_at)).all()
    return [(row.version_id, row.node, world.now - row.leaves_at) for row in rows]


def test_a_run_that_sleeps_leaves_in_time_and_one_that_was_moved_may_be_anywhere(world, run):
    version = world.row(run).version_id
    moved, heard = (world.run(world.happens(world.contact(), "Signed Up")) for _ in range(2))
    with world.db.write() as session:
        row = session.get_one(Run, moved)
        row.state = {**row.state, "go_to": "third"}
        session.get_one(Run, heard).due_at = world.now - DAY  # it was due, and nobody came
    restore(world, 2 * DAY)
    assert marked(world, run) == [(version, "day", DAY)]
    assert marked(world, moved) == [("", "day", 2 * DAY)]
    assert marked(world, heard) == [(version, "day", 2 * DAY)]


@pytest.mark.parametrize(("ago", "began"), [(timedelta(0), []), (DAY, [DAY]), (2 * DAY, [2 * DAY]), (5 * DAY, [3 * DAY])])
def test_what_begins_now_may_have_begun_when_its_cause_came(world, run, ago, began):
    """Two days are lost, and one has passed since: who was caused after the restore began then alone, who before the backup not before it."""
    restore(world, 2 * DAY)
    world.now += DAY
    version = world.row(run).version_id
    with world.db.write() as session:
        beginnings.mark_start(world.engine, session, "1" * 32, version, world.now - ago)
    assert marked(world, "1" * 32) == [(version, "", lost) for lost in began]


def test_what_a_restored_run_does_may_have_been_done_before(world, run):
    restore(world, 2 * DAY)
    since = world.now - 2 * DAY
    world.later(hours=1)

    def cause(**event: Any) -> Any:
        with world.db.write() as session:
            said = {"type": "track", "name": "Tag Added", "properties": {}, "source": "api", **event}
            row = append_event(
                session, world.row(run).contact_id, said["type"], said["name"], said["properties"], world.now, source=said["source"]
            )
            return beginnings.cause_of(world.engine, session, row)

    assert cause() == world.now, "what others did is new"
    assert cause(source=f"journey:{run}") == since
    assert cause(type="system", name="Journey Ended", properties={"run_id": run}) == since
    assert cause(type="system", name="Journey Ended", properties={"run_id": "1" * 32}) == world.now


def keeps_doubt(is_known: Callable[..., bool]) -> bool:
    """Whether the rule says for each sort of provider if one that is told a key again sends a second message."""
    since = START
    lost = {same: LostTime("r", since, since + DAY, "ask", same) for same in (True, False)}
    asked = {
        (delivery_check, remembers, same): is_known(Counting(delivery_check=delivery_check, remembers=remembers), lost[same], since + DAY)
        for delivery_check in ("idempotent", "lookup", "blind")
        for remembers in (timedelta(0), DAY - timedelta(seconds=1), DAY, FOREVER)
        for same in (True, False)
    }
    known = {key for key, value in asked.items() if value}
    forever = {(delivery_check, FOREVER, same) for delivery_check in ("idempotent", "lookup", "blind") for same in (True, False)}
    return known == forever | {("idempotent", DAY, True)}


def test_which_provider_still_knows_a_key_is_a_table():
    assert keeps_doubt(restored._is_known)


def keeps_time(earliest: Callable[..., Any]) -> bool:
    """Whether the rule says when a restored run can have come to a step at the earliest."""
    program = compile_journey(Journey.model_validate(WAITS), Palette.built_in())
    edges = [{**edge, "to": "first"} if edge["to"] == "third" else edge for edge in WAITS["edges"] if edge["from"] != "third"]
    nodes = {name: node for name, node in WAITS["nodes"].items() if name not in ("third", "end")}
    again = compile_journey(Journey.model_validate({**WAITS, "nodes": nodes, "edges": edges}), Palette.built_in())
    left = SimpleNamespace(leaves_at=START, visits={"day": 1}, node="day", version_id="v1")
    moved = SimpleNamespace(leaves_at=START, visits={}, node="gone", version_id="v0")
    new = SimpleNamespace(leaves_at=START, visits={}, node="", version_id="v1")
    told = [
        earliest(program, "v1", left, "first", 1),
        earliest(program, "v1", left, "second", 1),
        earliest(program, "v1", left, "third", 1),
        earliest(program, "v1", left, "day", 1),
        earliest(program, "v1", left, "day", 2),
        earliest(program, "v1", left, "", 9),
        earliest(program, "v1", moved, "third", 1),
        earliest(program, "v1", new, "first", 1),
        earliest(program, "v1", left, "first", 2),
        earliest(again, "v1", left, "week", 2),
        earliest(again, "v1", moved, "first", 1),
        earliest(again, "v1", moved, "first", 2),
    ]
    hour, week = timedelta(hours=1), timedelta(days=7)
    return told == [
        START,
        START + hour,
        START + hour + week,
        START,
        None,
        START,
        START,
        START + DAY,
        None,
        START + 2 * hour + week,
        START,
        START + hour + week,
    ]


def test_when_a_run_can_have_come_somewhere_is_a_table():
    assert keeps_time(beginnings._earliest)


@pytest.mark.parametrize(("rule", "keeps"), [(restored._is_known, keeps_doubt), (beginnings._earliest, keeps_time)], ids=["key", "time"])
def test_each_part_of_the_doubt_is_needed(rule, keeps):
    copied = dict(copies(rule))
    assert copied
    for text, copy in copied.items():
        try:
            kept = keeps(copy)
        except (KeyError, TypeError):  # such a step is in no journey
            kept = False
        assert not kept, f"nothing notices that this rule is gone: {text}"
