"""A forecast says what then happens: the same people enrolled, moved and published for by the real engine come to what was said before."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from temporalio.exceptions import ApplicationError

from activities import forecasts
from activities.forecasts import Forecaster, Limits
from activities.providers.outbox import Outbox
from activities.rendering import INLINE, RenderFailed
from activities.sending.breakers import Breakers
from activities.sending.effect import Effects
from activities.sending.ledger import messages
from activities.sending.messages import MessageHandler, MessageSettings
from activities.templates import library
from activities.tracking import Tracking
from crm.catalogue import declare_field
from crm.consent.consent import Evidence, record_consent
from crm.consent.suppression import suppress
from crm.people.contacts import ContactFilter
from crm.people.merge import merge
from engine.enrolment import manual, schedules
from engine.interpreter.forecast import Forecast, Foreseen
from engine.interpreter.simulate import Script, simulate
from engine.runs.operations import end_run, runs
from engine.versions import migrate
from engine.versions import publish as publishing
from journeys.compile import compile_journey
from journeys.errors import Conflict, Invalid
from journeys.nodes import Palette
from journeys.reading import read
from journeys.rules import DictFacts, explain, holds, normalise_deep
from journeys.rules.fields import asked_context
from journeys.values import Received, RunInfo
from models import Contact, Journey, Migration, Refusal, Run, Template, id_at
from tests.engine.conftest import Counting, StoryClock, World
from tests.journeys.graphs import KNOWN, documents
from tests.journeys.rules import strategies
from workspace import settings as workspace
from workspace import stopped_accounts
from workspace.members import add_member, put_rotation

KEYS = (b"n" * 32, b"k" * 32)
ONWARD = ("sent", "skipped", "failed")
JOURNEY: dict[str, Any] = {
    "spec": 1,
    "key": "news",
    "name": "News",
    "entry": {
        "triggers": [{"type": "manual"}],
        "filter": {"field": "last_name", "operator": "!=", "value": "Out"},
    },
    "exit_when": [{"rule": {"field": "lifecycle_stage", "operator": "=", "value": "evangelist"}}],
    "settings": {"timezone": "UTC"},
    "start": "hello",
    "nodes": {
        "hello": {"kind": "send_email", "template": "hello"},
        "reached": {"kind": "if_else", "rule": {"combinator": "and", "rules": [{"message": "sent", "node": "hello"}]}},
        "ask": {"kind": "call_webhook", "url": "https://crm.example.org/hook"},
        "text": {"kind": "send_sms", "text": "Hello {{ contact.first_name }}"},
        "mark": {"kind": "update_contact", "add_tags": ["greeted"]},
        "pause": {"kind": "wait", "duration": "P1D"},
        "bye": {"kind": "send_email", "template": "hello"},
        "end": {"kind": "exit"},
    },
    "edges": [
        *({"from": "hello", "outlet": outlet, "to": "reached"} for outlet in ONWARD),
        {"from": "reached", "outlet": "yes", "to": "ask"},
        {"from": "reached", "outlet": "no", "to": "text"},
        {"from": "ask", "outlet": "ok", "to": "mark"},
        {"from": "ask", "outlet": "failed", "to": "mark"},
        {"from": "mark", "to": "pause"},
        *({"from": "text", "outlet": outlet, "to": "end"} for outlet in ONWARD),
        {"from": "pause", "to": "bye"},
        *({"from": "bye", "outlet": outlet, "to": "end"} for outlet in ONWARD),
    ],
}  # fmt: skip


@dataclass
class Town:
    world: World
    forecaster: Forecaster

    def person(self, *consents: str, **fields: Any) -> str:
        """Somebody with a name, an address and a number, who agreed to what is named; a field that is None is left empty."""
        world, now = self.world, self.world.now
        given = {
            "first_name": "Ada",
            "last_name": "King",
            "timezone": "UTC",
            "phone": f"+4144668{len(str(fields)):04}",
            "attributes": {"nick": "Adi"},
            **fields,
        }
        contact_id = world.contact(**{name: value for name, value in given.items() if name != "email"})
        with world.db.write() as session:
            if "email" in fields:
                session.get_one(Contact, contact_id).email = fields["email"]
            for channel in consents:
                record_consent(session, contact_id, channel, "marketing", "granted", now, evidence=Evidence.DATED, source="test")
        return contact_id

    def set(self, name: str, **values: Any) -> None:
        with self.world.db.write() as session:
            workspace.put(session, name, values, "test", self.world.now)

    def judge(self, **limits: int) -> None:
        """Fewer people are many from now on."""
        self.forecaster = replace(self.forecaster, limits=Limits(**limits))

    def foretold(self, journey: str, whom: manual.Whom = None) -> Forecast:
        with self.world.db.read() as session:
            return self.forecaster.enrolment(session, journey, whom, self.world.now)

    def enrol(self, journey: str, whom: manual.Whom = None, occasion: str = "job:1") -> None:
        """Everybody, page by page, as a job does it; then every run goes as far as it gets at once."""
        after: str | None = ""
        while after is not None:
            with self.world.db.write() as session:
                _, after, _ = manual.enrol_page(self.world.engine, session, journey, whom, after, self.world.now, occasion)
        self.go(journey)

    def go(self, journey: str, version: int | None = None) -> None:
        for run_id in self.open(journey, version):
            self.lead(run_id)

    def lead(self, run_id: str) -> None:
        """As far as it gets at once."""
        now, instruction = self.world.now, self.world.row(run_id).instruction
        while instruction["op"] == "do" or (instruction["until"] and instruction["until"] <= now.isoformat()):
            try:
                then, step = instruction.get("then"), instruction["step"]
                moved = self.world.perform(run_id, step, then["activity"]) if then else self.world.step(run_id, step)
            except ApplicationError as error:
                if error.type != "held":
                    raise
                break
            instruction = moved.instruction
            if instruction["op"] == "end":
                break

    def open(self, journey: str, version: int | None = None) -> list[str]:
        found = select(Run.id).where(Run.journey_id == journey, Run.status == "active").order_by(Run.id)
        with self.world.db.read() as session:
            return list(session.scalars(found if version is None else found.where(Run.version_number == version)))

    def became(self, journey: str) -> dict[str, Any]:
        """What the rows say, in the shape of `told`."""
        with self.world.db.read() as session:
            refused = session.execute(select(Refusal.reason, func.count()).where(Refusal.journey_id == journey).group_by(Refusal.reason))
            rows = session.execute(select(runs).where(runs.c.journey_id == journey)).all()
            sent = session.execute(select(messages).where(messages.c.journey_id == journey, messages.c.channel.in_(("email", "sms")))).all()
        walked = [row for row in rows if row.status != "held_out"]
        waiting = [row for row in walked if row.status == "active" and (row.state["blocked"] or {}).get("answer") != "do"]
        return {
            "begins": len(walked),
            "held_out": len(rows) - len(walked),
            "refused": dict(refused.all()),
            "now": Counter(row.node for row in sent if row.status == "sent"),
            "held": Counter((row.node, row.reason, row.held_until) for row in sent if row.status == "held"),
            "skipped": Counter((row.node, row.reason) for row in sent if row.status == "skipped"),
            "waits": Counter(row.node for row in waiting),
            "ended": Counter(row.reason for row in walked if row.status == "ended"),
            "stuck": Counter(row.node for row in walked if row.status == "stuck"),
            "halted": sum(row.status == "held" for row in walked),
        }


def told(found: Forecast) -> dict[str, Any]:
    """A forecast in the shape of `became`; its steps hold back until one instant here."""
    steps = found.steps.values()
    return {
        "begins": found.begins,
        "held_out": found.held_out,
        "refused": dict(found.refused),
        "now": Counter({one.node: one.now for one in steps if one.now}),
        "held": Counter({(one.node, reason, one.first_until): count for one in steps for reason, count in one.held.items()}),
        "skipped": Counter({(one.node, reason): count for one in steps for reason, count in one.skipped.items()}),
        "waits": found.waits,
        "ended": found.ended,
        "stuck": found.stuck,
        "halted": found.halted,
    }


def build(world: World) -> Town:
    messaging = MessageSettings(Tracking({"k1": b"1" * 32}, "https://m.example"), KEYS, "Shop <shop@example.com>")
    outbox = Outbox(world.db, lambda: world.now)
    hooks = Counting(outlets={"sent": "ok", "failed": "failed", "skipped": "failed"})
    performers = {"email": MessageHandler(messaging, outbox, "email"), "sms": MessageHandler(messaging, outbox, "sms"), "webhook": hooks}
    world.effects = Effects(world.engine, performers, Breakers(world.db))
    world.engine.clock = StoryClock(world)
    with world.db.write() as session:
        declare_field(session, "nick", "string", world.now)
    variants = {"default": {"subject": "Hi {{ contact.first_name }}", "mjml": MJML, "text": TEXT}}
    library.save(world.db, "hello", variants, name="Hello", kind="email", message_class="marketing", actor="test", now=world.now)
    town = Town(world, Forecaster(world.engine, messaging))
    town.set("quiet_hours", enabled=False)
    return town


TEXT = "Hello {{ contact.nick }}. {{ unsubscribe_url }}"
MJML = f"<mjml><mj-body><mj-section><mj-column><mj-text>{TEXT}</mj-text></mj-column></mj-section></mj-body></mjml>"


@pytest.fixture
def town(world: World) -> Town:
    return build(world)


@pytest.fixture
def lite(sqlite_world: World) -> Town:
    """For what no statement of another kind takes part in."""
    return build(sqlite_world)


def crowd(town: Town) -> None:
    """Somebody for every reason there is."""
    everything = ("email", "sms")
    for _ in range(12):
        town.person(*everything)
    town.person(*everything, last_name="Out")
    town.person("sms")
    town.person(*everything, email=None)
    town.person(*everything, attributes={})
    for _ in range(2):
        town.person(*everything, email="both@example.org")
    blocked = town.person(*everything, email="gone@example.org")
    town.person(*everything, lifecycle_stage="evangelist")
    town.person(*everything, timezone="Mars/Base", locale="xx-YY", attributes={"nick": ["odd", None]})
    town.person(email=None, phone=None)
    with town.world.db.write() as session:
        suppress(session, KEYS, "email", "gone@example.org", "hard_bounce", town.world.now, source="test")
        session.get_one(Contact, blocked).last_name = "Gone"


def test_who_is_enrolled_comes_to_what_was_said(town: Town) -> None:
    journey = town.world.publish(JOURNEY)
    crowd(town)
    with town.world.db.write() as session:  # two are in it already
        for id in session.scalars(select(Contact.id).order_by(Contact.id).limit(2)).all():
            manual.enrol_contact(town.world.engine, session, journey, id, {}, town.world.now - timedelta(days=9), "test")
    town.go(journey)
    before = town.became(journey)
    found = told(town.foretold(journey))
    assert town.became(journey) == before, "a look writes nothing"
    assert set(found["refused"]) == {"filter", "already_entered"}
    assert {reason for _, reason in found["skipped"]} >= {
        "no_consent",
        "no_address",
        "suppressed_hard_bounce",
        "render_missing_value",
        "same_mailbox",
    }
    assert found["ended"]["exit"]
    assert found["waits"]["pause"]
    assert found["now"]["hello"]
    assert found["now"]["text"]
    town.enrol(journey)
    after = town.became(journey)
    for name in ("now", "skipped", "waits", "ended", "held"):
        after[name] = after[name] - before[name]
    after |= {name: after[name] - before[name] for name in ("begins", "held_out")}
    assert after == found


def test_the_control_group_is_counted_and_gets_nothing(lite: Town) -> None:
    journey = lite.world.publish(JOURNEY, entry={**JOURNEY["entry"], "holdout_percent": 50})
    for _ in range(30):
        lite.person("email", "sms")
    found = told(lite.foretold(journey))
    assert found["held_out"]
    assert found["begins"] == found["now"]["hello"] == 30 - found["held_out"]
    lite.enrol(journey)
    assert lite.became(journey) == found


def test_what_would_be_held_too_long_is_skipped(lite: Town) -> None:
    journey = lite.world.publish(JOURNEY, settings={"timezone": "UTC", "hold_at_most": "PT1H"})
    lite.person("email", "sms")
    lite.set("quiet_hours", enabled=True, start="08:30:00", end="20:00:00", zone="UTC")
    found = told(lite.foretold(journey))
    assert found["skipped"]["hello", "held_too_long_quiet_hours"] == 1
    lite.enrol(journey)
    assert lite.became(journey) == found


def test_quiet_hours_hold_until_the_same_minute(lite: Town) -> None:
    journey = lite.world.publish(JOURNEY)
    crowd(lite)
    lite.set("quiet_hours", enabled=True, start="08:30:00", end="20:00:00", zone="UTC")
    found = told(lite.foretold(journey))
    assert not found["now"]
    assert sum(found["held"].values()) > 5
    lite.enrol(journey)
    assert lite.became(journey) == found


def test_caps_hold_what_is_too_much_and_what_comes_second_in_one_walk(lite: Town) -> None:
    both = {**JOURNEY, "key": "both", "exit_when": [], "start": "hello", "edges": [
        *({"from": "hello", "outlet": outlet, "to": "bye"} for outlet in ONWARD), *({"from": "bye", "outlet": outlet, "to": "end"} for outlet in ONWARD),
    ], "nodes": {name: JOURNEY["nodes"][name] for name in ("hello", "bye", "end")}}  # fmt: skip
    journey = lite.world.publish(both)
    crowd(lite)
    lite.set("frequency_caps", caps=[{"cap_class": "default", "count": 1, "per": "PT6H"}])
    found = told(lite.foretold(journey))
    assert {(node, reason) for node, reason, _ in found["held"]} == {("bye", "frequency_cap")}
    lite.enrol(journey)
    assert lite.became(journey) == found


@pytest.mark.parametrize("count", [0, 1, 5])
def test_the_limit_of_entries_fills_up_on_the_way(lite: Town, count: int) -> None:
    journey = lite.world.publish(JOURNEY, entry={**JOURNEY["entry"], "cap": {"count": max(count, 1), "per": "P1D"}})
    if count:
        crowd(lite)
    found = told(lite.foretold(journey))
    assert found["begins"] == count
    lite.enrol(journey)
    assert lite.became(journey) == found


def test_in_a_paused_journey_nothing_leaves_but_exits_act(lite: Town) -> None:
    journey = lite.world.publish(JOURNEY)
    with lite.world.db.write() as session:
        publishing.pause(lite.world.engine, session, journey, "test", lite.world.now)
    crowd(lite)
    found = told(lite.foretold(journey))
    assert found["halted"]
    assert not found["now"]
    assert found["ended"]["exit"]
    lite.enrol(journey)
    assert lite.became(journey) == found


def test_a_step_that_fails_leaves_them_stuck_as_was_said(lite: Town) -> None:
    """The workspace's template is gone from the version: written by hand, because the check would refuse it."""
    journey = lite.world.publish(JOURNEY)
    crowd(lite)
    with lite.world.db.write() as session:
        version = publishing.get_version(session, journey, 1)
        version.pins = {**version.pins, "templates": {}}
        session.add(version)
    found = told(lite.foretold(journey))
    assert found["skipped"]["hello", "no_template"] == found["begins"] - found["ended"]["exit"] > 0
    lite.enrol(journey)
    assert lite.became(journey) == found


def test_what_a_step_writes_is_seen_by_the_message_after_it(lite: Town) -> None:
    """Nothing is stored for a forecast, and yet the template finds the name."""
    document = {**JOURNEY, "exit_when": [], "start": "name", "nodes": {
        "name": {"kind": "update_contact", "set": {"nick": "Gracie"}}, **{name: JOURNEY["nodes"][name] for name in ("hello", "end")},
    }, "edges": [{"from": "name", "to": "hello"}, *({"from": "hello", "outlet": outlet, "to": "end"} for outlet in ONWARD)]}  # fmt: skip
    journey = lite.world.publish(document)
    for _ in range(6):
        lite.person("email", attributes={})
    found = lite.foretold(journey)
    assert found.steps["hello"].now == found.begins > 0
    lite.enrol(journey)
    assert lite.became(journey) == told(found)


def test_it_is_what_the_simulator_shows(lite: Town) -> None:
    journey = lite.world.publish(JOURNEY, entry={"triggers": [{"type": "manual"}]})
    program = compile_journey(read({**JOURNEY, "entry": {"triggers": [{"type": "manual"}]}}), Palette.built_in())
    for consents in (["email", "sms"], ["sms"], []):
        person = lite.person(*consents)
        with lite.world.db.read() as session:
            found = lite.forecaster.enrolment_of(session, journey, [person], lite.world.now)
        script = Script(
            contact_id=person,
            contact={"email": f"{person}@example.org", "phone": "+41446680000", "first_name": "Ada", "nick": "Adi", "timezone": "UTC"},
            consents=[(channel, "marketing", "granted") for channel in consents],
            start=lite.world.now,
            until=timedelta(0),
        )
        path = simulate(program, script)
        assert Counter({one.node: one.now for one in found.steps.values() if one.now}) + found.calls == Counter(
            call["node"] for call in path.calls if call["outlet"] in ("sent", "ok")
        )
        assert {(one.node, reason) for one in found.steps.values() for reason in one.skipped} == {
            (call["node"], call["reason"]) for call in path.calls if call["outlet"] == "skipped"
        }
        assert list(found.ended) == ([path.ended] if path.ended else [])
        assert list(found.waits) == ([] if path.ended else [path.nodes()[-1]])


numbers = itertools.count(1)


@pytest.fixture
def stage(lite: Town) -> Town:
    """What the generated documents name."""
    world = lite.world
    with world.db.write() as session:
        for key in KNOWN.templates:
            session.merge(Template(key=key, name=key, created_at=world.now, updated_at=world.now))
        for pool in KNOWN.pools:
            put_rotation(session, pool, [add_member(session, "Kim", "kim@example.org", "sales", world.now).id])
        for key in KNOWN.journeys:
            session.add(Journey(key=key, name=key, created_at=world.now, updated_at=world.now))
    world.effects.performers["team"] = Counting()
    return lite


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=documents(max_nodes=14), locale=st.sampled_from(["de", "en", None]))
def test_whatever_is_drawn_the_first_stretch_is_what_was_said(stage: Town, document: dict[str, Any], locale: str | None) -> None:
    number = next(numbers)
    document = {
        **document,
        "key": f"j{number}",
        "entry": {"triggers": [{"type": "manual"}]},
        "settings": {"message_class": "transactional"},
    }
    person = stage.person(locale=locale)
    journey = stage.world.publish(document)
    with stage.world.db.read() as session:
        found = stage.forecaster.enrolment_of(session, journey, [person], stage.world.now)
    with stage.world.db.write() as session:
        manual.enrol_contact(stage.world.engine, session, journey, person, {}, stage.world.now, "test")
    stage.go(journey)
    note(str(document))
    assert stage.became(journey) == told(found)


# Moving


def moved(**changes: Any) -> dict[str, Any]:
    nodes = {**JOURNEY["nodes"], "pause": {"kind": "wait", "duration": "PT12H"}}
    return {**JOURNEY, "nodes": nodes, **changes}


def move(town: Town, journey: str) -> None:
    world = town.world
    with world.db.write() as session:
        begun = migrate.start(world.engine, session, journey, 1, 2, {}, "test", world.now)
        while not migrate.move_chunk(world.engine, session, begun.id, world.now)[1]:
            pass
    for run_id in town.open(journey, 2):  # the wake-up that follows
        world.step(run_id)
    town.go(journey, 2)


def test_who_is_moved_comes_to_what_was_said(town: Town) -> None:
    """Whose time is up in the new version gets the next message at once; whom its exit concerns leaves; who stays is told why."""
    world = town.world
    town.set("frequency_caps", caps=[{"cap_class": "default", "count": 1, "per": "PT6H"}])
    journey = world.publish(JOURNEY, entry={"triggers": [{"type": "manual"}]}, exit_when=[])
    for _ in range(4):
        town.person("email", "sms")
    leaves = town.person("email", "sms", lifecycle_stage="evangelist")
    town.enrol(journey)
    world.later(hours=13)
    early = town.person("email", "sms")
    town.enrol(journey, ContactFilter(ids=(early,)), "job:2")
    with world.db.write() as session:  # somebody whose mail is held, and so stays
        session.get_one(Contact, leaves).last_name = "Leaving"
    town.set("quiet_hours", enabled=True, start="20:00:00", end="23:00:00", zone="UTC")
    held = town.person("email", "sms")
    town.enrol(journey, ContactFilter(ids=(held,)), "job:3")
    town.set("quiet_hours", enabled=False)
    world.publish(moved())
    with world.db.read() as session:
        found = town.forecaster.move(session, journey, 1, 2, {}, world.now)
        assert migrate.preview(world.engine, session, journey, 1, 2, {}).open_runs == found.population == found.judged == 7
    assert dict(found.refused) == {"in_flight": 1}
    assert found.named["refused:in_flight"] == [held]
    assert (found.begins, dict(found.ended), found.steps["bye"].now, dict(found.waits)) == (6, {"exit": 1, "completed": 4}, 4, {"pause": 1})
    assert found.named["ended:exit"] == [leaves]
    before = town.became(journey)
    move(town, journey)
    after = town.became(journey)
    assert after["now"] - before["now"] == Counter({"bye": 4})
    assert (after["ended"], after["waits"]) == (found.ended, found.waits)


def test_whose_wait_for_an_event_is_over_in_the_new_version_goes_on_at_once(lite: Town) -> None:
    def waiting(timeout: str) -> dict[str, Any]:
        wait = {"kind": "wait_for", "branches": [{"name": "bought", "event": "Order Completed"}], "timeout": timeout}
        edges = [
            {"from": "wait", "outlet": "bought", "to": "end"},
            {"from": "wait", "outlet": "timed_out", "to": "bye"},
            *({"from": "bye", "outlet": outlet, "to": "end"} for outlet in ONWARD),
        ]
        nodes = {"wait": wait, "bye": JOURNEY["nodes"]["bye"], "end": {"kind": "exit"}}
        return {**JOURNEY, "entry": {"triggers": [{"type": "manual"}]}, "start": "wait", "nodes": nodes, "edges": edges, "exit_when": []}

    journey = lite.world.publish(waiting("P3D"))
    lite.person("email")
    lite.enrol(journey)
    lite.world.later(hours=13)
    lite.world.publish(waiting("PT12H"))
    with lite.world.db.read() as session:
        found = lite.forecaster.move(session, journey, 1, 2, {}, lite.world.now)
    assert (found.steps["bye"].now, dict(found.ended)) == (1, {"completed": 1})
    move(lite, journey)
    assert lite.became(journey) == told(found)


def test_that_somebody_entered_is_known_to_the_first_step(lite: Town) -> None:
    entered = {"kind": "if_else", "rule": {"combinator": "and", "rules": [{"event": "Journey Entered", "since_entry": True}]}}
    nodes = {"new": entered, "hello": JOURNEY["nodes"]["hello"], "end": {"kind": "exit"}}
    edges = [
        {"from": "new", "outlet": "yes", "to": "hello"},
        {"from": "new", "outlet": "no", "to": "end"},
        *({"from": "hello", "outlet": outlet, "to": "end"} for outlet in ONWARD),
    ]
    journey = lite.world.publish({**JOURNEY, "start": "new", "nodes": nodes, "edges": edges})
    lite.person("email")
    found = lite.foretold(journey)
    assert found.steps["hello"].now == 1
    lite.enrol(journey)
    assert lite.became(journey) == told(found)


def test_a_step_without_a_target_keeps_its_people(lite: Town) -> None:
    journey = lite.world.publish(JOURNEY, exit_when=[], entry={"triggers": [{"type": "manual"}]})
    lite.person("email", "sms")
    lite.enrol(journey)
    lite.world.publish(moved())
    with lite.world.db.read() as session:
        found = lite.forecaster.move(session, journey, 1, 2, {"pause": migrate.STAY}, lite.world.now)
    assert (found.begins, dict(found.refused)) == (0, {"no_target": 1})


def test_what_the_run_of_a_contact_merged_in_has_sent_is_not_sent_to_who_is_moved(town: Town) -> None:
    world = town.world
    journey = world.publish(JOURNEY, entry={"triggers": [{"type": "manual"}]}, exit_when=[])
    elder, younger = (town.person("email", "sms") for _ in range(2))
    town.enrol(journey, ContactFilter(ids=(elder,)), "job:1")
    world.later(seconds=1)
    town.enrol(journey, ContactFilter(ids=(younger,)), "job:2")
    [waiting] = town.open(journey)[:1]
    world.later(days=2)
    [ahead] = [run for run in town.open(journey) if run != waiting]
    town.lead(ahead)
    with world.db.write() as session:
        merge(session, elder, younger, world.now)
    world.publish(moved())
    with world.db.read() as session:
        found = town.forecaster.move(session, journey, 1, 2, {}, world.now)
    assert dict(found.steps["bye"].skipped) == {"sent_by_other_run": 1}
    assert (found.due_now, found.steps["bye"].now, dict(found.ended)) == (0, 0, {"completed": 1})
    before = town.became(journey)
    move(town, journey)
    after = town.became(journey)
    assert after["skipped"] - before["skipped"] == Counter({("bye", "sent_by_other_run"): 1})
    assert after["now"] == before["now"]


def test_who_is_moved_back_comes_to_what_was_said(town: Town) -> None:
    """Whose wait of before is over gets the next message at once; who has moved on since stays."""
    world = town.world
    town.set("frequency_caps", caps=[{"cap_class": "default", "count": 1, "per": "PT6H"}])
    journey = world.publish(moved(), entry={"triggers": [{"type": "manual"}]}, exit_when=[])
    for _ in range(3):
        town.person("email", "sms")
    town.enrol(journey)
    ahead = town.open(journey)[0]
    world.publish({**JOURNEY, "entry": {"triggers": [{"type": "manual"}]}, "exit_when": []})
    move(town, journey)
    world.later(hours=13)
    with world.db.write() as session:  # somebody else leaves what they wait for
        end_run(world.engine, session, ahead, "test", world.now)
    with world.db.read() as session:
        begun = session.scalars(select(Migration)).one()
        found = town.forecaster.back(session, begun, world.now)
    assert (found.population, found.begins, dict(found.refused)) == (3, 2, {"moved_on": 1})
    assert (found.steps["bye"].now, dict(found.ended)) == (2, {"completed": 2})
    before = town.became(journey)
    with world.db.write() as session:
        migrate.begin_rollback(session, begun.id, "test")
    with world.db.write() as session:
        while not migrate.back_chunk(world.engine, session, begun.id, world.now)[1]:
            pass
    town.go(journey, 1)
    after = town.became(journey)
    assert after["now"] - before["now"] == Counter({"bye": 2})
    assert after["ended"] - before["ended"] == Counter({"completed": 2})


# Publishing


def test_publishing_says_what_the_clock_sets_off_next(town: Town) -> None:
    """The rule finds some, the journey refuses some, and at that hour the message must wait; then that is what happens."""
    world = town.world
    rule = {"field": "first_name", "operator": "=", "value": "Ada"}
    document = {**JOURNEY, "entry": {**JOURNEY["entry"], "triggers": [{"type": "schedule", "cron": "0 22 * * *", "rule": rule}]}}
    with world.db.write() as session:
        journey = publishing.create_journey(session, document, "test", world.now).id
    crowd(town)
    town.set("quiet_hours", enabled=True, start="21:00:00", end="08:00:00", zone="UTC")
    with world.db.read() as session:
        said = town.forecaster.publication(session, journey, world.now)
    assert (said.version, said.state, said.inside) == (1, "live", {})
    [coming] = said.coming
    assert (coming.trigger, coming.at, coming.at_least) == ("schedule", world.now.replace(hour=22), False)
    found = told(coming.forecast)
    assert found["refused"] == {"filter": 1}
    assert found["held"]
    assert not found["now"]
    world.publish(document)
    world.now = coming.at
    schedules.pull(world.engine)
    town.go(journey)
    assert town.became(journey) == found


def test_publishing_says_whose_day_comes(town: Town) -> None:
    world = town.world
    trigger = {"type": "date", "field": "birthday", "at": "10:00", "yearly": True}
    document = {**JOURNEY, "entry": {"triggers": [trigger]}}
    with world.db.write() as session:
        declare_field(session, "birthday", "date", world.now)
        journey = publishing.create_journey(session, document, "test", world.now).id
    for zone, day in (("UTC", "1990-03-02"), ("Asia/Tokyo", "1991-03-03"), ("UTC", "1990-03-09")):
        town.person("email", "sms", timezone=zone, attributes={"nick": "Adi", "birthday": day})
    with world.db.read() as session:
        [coming] = town.forecaster.publication(session, journey, world.now).coming
    assert coming.forecast.steps["hello"].now == coming.forecast.begins == 2
    assert (coming.at, coming.last_at > coming.at) == (world.now.replace(hour=10), True)


def test_who_entered_for_the_day_where_they_lived_before_does_not_enter_once_more(town: Town) -> None:
    world = town.world
    trigger = {"type": "date", "field": "birthday", "at": "10:00", "yearly": True}
    with world.db.write() as session:
        declare_field(session, "birthday", "date", world.now)
    day = {"nick": "Adi", "birthday": f"1990-{world.now:%m-%d}"}
    world.now = world.now.replace(hour=0)
    world.publish({**JOURNEY, "entry": {**JOURNEY["entry"], "triggers": [trigger]}})
    moves, stays = (town.person("email", "sms", timezone=zone, attributes=day) for zone in ("Asia/Tokyo", "UTC"))
    for hour in (0, 2):  # at the first they are met, at the second it is ten where one of them lives
        world.now = world.now.replace(hour=hour)
        schedules.pull(world.engine)
    with world.db.write() as session:
        session.get_one(Contact, moves).timezone = "UTC"
        journey = session.scalars(select(Journey.id)).one()
    with world.db.read() as session:
        [coming] = town.forecaster.publication(session, journey, world.now).coming
    assert (coming.forecast.population, coming.forecast.named["begins"]) == (1, [stays])
    world.now = coming.at
    schedules.pull(world.engine)
    with world.db.read() as session:
        entered = Counter(session.scalars(select(Run.contact_id).where(Run.journey_id == journey)))
    assert entered == {moves: 1, stays: 1}


def test_publishing_for_events_sends_nothing_and_says_who_stays(lite: Town) -> None:
    journey = lite.world.publish(JOURNEY, entry={"triggers": [{"type": "manual"}]})
    lite.person("email", "sms")
    lite.enrol(journey)
    with lite.world.db.write() as session:
        row = session.get_one(Journey, journey)
        publishing.save_draft(session, journey, {**row.draft, "description": "Said anew."}, row.revision, "test", lite.world.now)
    with lite.world.db.read() as session:
        said = lite.forecaster.publication(session, journey, lite.world.now)
    assert (said.version, said.inside, said.coming) == (2, {1: 1}, [])


def test_publishing_what_is_live_already_makes_no_version(lite: Town) -> None:
    journey = lite.world.publish(JOURNEY, entry={"triggers": [{"type": "manual"}]})
    with lite.world.db.read() as session:
        assert lite.forecaster.publication(session, journey, lite.world.now).version == 1


def test_an_account_that_accepts_nothing_is_named(lite: Town) -> None:
    journey = lite.world.publish(JOURNEY, entry={"triggers": [{"type": "manual"}]})
    lite.person("email", "sms")
    assert lite.foretold(journey).stopped == []
    with lite.world.db.write() as session:
        stopped_accounts.stop(session, "smtp.default", "535", lite.world.now)
    assert lite.foretold(journey).stopped == ["smtp.default"]


def test_what_cannot_be_published_says_why(lite: Town) -> None:
    with lite.world.db.write() as session:
        empty = publishing.create_journey(session, {"spec": 1, "key": "empty", "name": "Empty"}, "test", lite.world.now).id
    with lite.world.db.read() as session:
        with pytest.raises(Invalid) as refused:
            lite.forecaster.publication(session, empty, lite.world.now)
        assert refused.value.issues
        with pytest.raises(Conflict):
            lite.forecaster.enrolment(session, empty, None, lite.world.now)


# Many


def test_of_many_some_are_drawn_and_the_answer_says_so(town: Town) -> None:
    town.judge(everybody=40, sample=20)
    cap = {"count": 30, "per": "P1D"}
    journey = town.world.publish(JOURNEY, entry={**JOURNEY["entry"], "cap": cap, "holdout_percent": 0})
    for number in range(60):
        town.person("email", "sms", id=id_with_lot(town, 0, number), **({} if number % 2 else {"email": None}))
    found, again = town.foretold(journey), town.foretold(journey)
    assert told(found) == told(again), "the same are drawn"
    assert (found.population, found.judged, found.is_exact, found.scale) == (60, 20, False, 3.0)
    assert (found.begins, dict(found.refused)) == (10, {"cap": 10}), "thirty of sixty may enter"
    assert 0 < found.steps["hello"].now < 10


def id_with_lot(lite: Town, days: int, number: int) -> str:
    """An id as it would have been made so many days ago; its random end is drawn of the number, so that every run draws the same."""
    return id_at(lite.world.now - timedelta(days=days))[:12] + sha256(f"{days}:{number}".encode()).hexdigest()[:20]


def numbered(lite: Town, days: int, number: int, **fields: Any) -> None:
    with lite.world.db.write() as session:
        id = id_with_lot(lite, days, number)
        session.add(Contact(id=id, created_at=lite.world.now, updated_at=lite.world.now, **fields))


def test_whom_an_import_brought_all_at_once_is_drawn_like_anybody(town: Town) -> None:
    """A year ago 280 came in one import, since then one every ten days: those are an eighth, and an eighth of the sample."""
    town.judge(everybody=100, sample=80)
    journey = town.world.publish(JOURNEY, entry=JOURNEY["entry"])
    for number in range(280):
        numbered(town, 400, number)
    for number in range(40):
        numbered(town, 10 * number, number, last_name="Out")
    found = town.foretold(journey)
    assert (found.population, found.judged) == (320, 80)
    assert 5 <= found.refused["filter"] <= 15, "ten of eighty are expected"


def test_what_filters_do_not_count_to_the_end_is_no_population(lite: Town) -> None:
    lite.judge(everybody=10, sample=8, counted=12)
    journey = lite.world.publish(JOURNEY, entry={"triggers": [{"type": "manual"}]})
    for number in range(20):
        numbered(lite, 1, number)
    found = lite.foretold(journey, ContactFilter())
    assert (found.at_least, found.is_exact, found.scale, found.judged) == (True, False, 1.0, 8)
    assert (lite.foretold(journey).at_least, lite.foretold(journey).population) == (False, 20), "a rule counts everybody"


@dataclass
class TooSlow:
    """Fills no template in before its time is up."""

    tried: int = 0
    render_text = staticmethod(INLINE.render_text)
    compile_template = staticmethod(INLINE.compile_template)

    def render(self, *_given: Any, **_more: Any) -> Any:
        self.tried += 1
        raise RenderFailed("too_long", "")

    __hash__ = object.__hash__


def test_a_template_that_takes_too_much_is_not_tried_for_everybody(lite: Town) -> None:
    journey = lite.world.publish(JOURNEY, entry={"triggers": [{"type": "manual"}]}, exit_when=[])
    for _ in range(5):
        lite.person("email", "sms")
    slow = TooSlow()
    forecaster = Forecaster(lite.world.engine, replace(lite.forecaster.messaging, renderer=slow))
    with lite.world.db.read() as session:
        found = forecaster.enrolment(session, journey, None, lite.world.now)
    assert (found.steps["hello"].skipped["render_too_long"], slow.tried) == (5, forecasts.OFTEN)


RUN = RunInfo(id="run1", contact_id="", journey="welcome", started_at=strategies.AS_OF)
happenings = st.lists(strategies.events(), max_size=4)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(rule=strategies.rules(in_run=False), before=happenings, own=happenings)
def test_what_a_walk_brings_about_adds_up_with_what_was(rule: Any, before: list[Any], own: list[Any]) -> None:
    now = strategies.AS_OF
    old = [_happened(number, *one) for number, one in enumerate(before)]
    foreseen = Foreseen(DictFacts({}, events=old), RUN)
    for name, properties, _ in own:
        foreseen.happens(name, normalise_deep(properties), now)
    new = [
        _happened(100 + number, name, {"run_id": "run1", "journey": "welcome", **said}, now, {})
        for number, (name, said, _) in enumerate(own)
    ]
    together = DictFacts({}, events=[*old, *new])
    assert holds(rule, foreseen, now) is holds(rule, together, now)
    assert explain(rule, foreseen, now) == explain(rule, together, now)


def _happened(number: int, name: str, properties: dict[str, Any], at: Any, context: Any = None) -> Received:
    around = asked_context(normalise_deep(properties.get("context", {}) if context is None else context))
    return Received(id=number, name=name, properties=normalise_deep(properties), context=around, occurred_at=at, arrived_at=at)
