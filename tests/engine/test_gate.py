"""The gate as a pure function: its table of cases, an independent reference, and every rule broken on purpose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import engine.interpreter.gate
import journeys.clock
from builder_ui.kit.labels import REASONS as WORDS
from crm.consent.suppression import REASONS
from engine.interpreter.gate import (
    LOOK_AGAIN,
    OVERDUE,
    Cap,
    ChannelQuiet,
    Former,
    Held,
    Hold,
    HoldOut,
    Limits,
    Pass,
    Person,
    QuietTime,
    SendRequest,
    Spacing,
    Verdict,
    decide,
    is_held_out,
)
from journeys.clock import earliest_allowed
from journeys.document import QuietHours, Settings
from tests.broken import broken, load, whole
from tests.gate_cases import asked, cases, told, update

CASES = dict(cases())


def test_the_tables_are_accepted_with_update(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update"):
        update(decide)
    assert len(CASES) == len(list(cases())), "two cases have one name"


@pytest.mark.parametrize("name", CASES)
def test_the_gate_answers_as_written_down(name: str) -> None:
    assert told(decide(*asked(CASES[name]))) == CASES[name]["answer"]


def test_every_reason_stands_in_the_tables() -> None:
    reasons = Counter(case["answer"].get("reason") for case in CASES.values())
    wanted = {
        "no_contact",
        "no_address",
        "no_consent",
        "topic_declined",
        "consent_expired",
        "pause_requested",
        "quiet_hours",
        "frequency_cap",
        "same_mailbox",
        "spacing",
        "global_hold_out",
        "message_hold_out",
        "outside_reply_window",
        *(f"suppressed_{why}" for why in REASONS),
        *(f"address_incomplete_{part}" for part in ("name", "line1", "postal_code", "city", "region", "country")),
    }
    assert set(reasons) - {None} == wanted
    assert wanted <= set(WORDS), "and has words on the pages"


# --- an independent reference: ten minutes by ten minutes ---

STEP = timedelta(minutes=10)
NOW = datetime(2026, 1, 15, 11, 0, tzinfo=UTC)
FAR = timedelta(days=30)
steps = st.integers(0, 400)
ago = st.integers(0, 300).map(lambda n: NOW - n * STEP)
ahead = st.integers(-3, 200).map(lambda n: NOW + n * STEP)
classes = st.sampled_from(["default", "default", "news"])
whole_steps = st.integers(0, 143).map(lambda n: time(n // 6, n % 6 * 10))
channels = st.sampled_from(["email", "email", "sms"])
purposes = st.sampled_from(["marketing", "marketing", "service"])
caps = st.builds(
    Cap,
    classes | st.just(""), st.integers(1, 4), st.integers(1, 250).map(lambda n: n * STEP), channels | st.just(""), purposes | st.just(""),
)  # fmt: skip
former = st.builds(Former, classes, ago, channels, purposes)
held = st.builds(Held, st.sampled_from("abcdefxyz"), classes, st.integers(1, 5), ago, ahead, channels, purposes)
quiet_times = st.none() | st.builds(
    QuietTime, whole_steps, whole_steps, st.just(()) | st.tuples(st.integers(0, 6)), st.just("Asia/Karachi")
)
evenings = st.integers(96, 143).map(lambda n: time(n // 6, n % 6 * 10))
channel_quiet = st.lists(
    st.builds(
        ChannelQuiet, channels, st.builds(QuietTime, evenings, st.just(time(7)), st.just(()), st.just("Asia/Karachi")), st.booleans()
    ),
    max_size=3,
)
spacings = st.lists(st.builds(Spacing, channels, st.just("Message Opened"), channels, steps.map(lambda n: (n + 1) * STEP)), max_size=3)
happened = st.dictionaries(channels, st.fixed_dictionaries({"Message Opened": ago}), max_size=2)
wanted = st.builds(
    SendRequest,
    message_id=st.just("m"), channel=channels, purpose=st.just("marketing"),
    message_class=st.sampled_from(["marketing", "marketing", "marketing", "transactional"]), cap_class=classes,
    priority=st.integers(1, 5), quiet_hours=st.none(), fallback_zone=st.just("UTC"), since=st.none() | ago,
)  # fmt: skip


def is_quiet(at: datetime, quiet: QuietTime | None, zone: ZoneInfo) -> bool:
    """By the clock on the wall; the zones used here change no clocks in this month."""
    if quiet is None:
        return False
    shown = at.astimezone(zone)
    clock = shown.time()
    at_night = quiet.start <= clock or clock < quiet.end if quiet.start > quiet.end else quiet.start <= clock < quiet.end
    return at_night or shown.weekday() in quiet.days


def is_too_much(at: datetime, cap: Cap, others: list[datetime]) -> bool:
    """Whether some window that holds `at` would hold more than the cap allows."""
    ends = [at, *(other for other in others if at < other < at + cap.per)]
    return any(1 + sum(end - cap.per < other <= end for other in others) > cap.count for end in ends)


def counts_for(cap: Cap, one: SendRequest | Former | Held) -> bool:
    """Said the long way round: nothing that the cap names differs."""
    named = {"cap_class": cap.cap_class, "channel": cap.channel, "purpose": cap.purpose}
    return not any(name and getattr(one, field) != name for field, name in named.items())


def first_in_line(message: SendRequest, waiting: list[Held], mine: list[Cap]) -> list[Held]:
    """Those that stand before `message` when all that share a cap with it line up."""
    me = Held(message.message_id, message.cap_class, message.priority, message.since or NOW, NOW)
    sharing = [one for one in waiting if any(counts_for(cap, one) for cap in mine)]
    line = sorted([*sharing, me], key=lambda one: (one.priority, one.since, one.message_id))
    return [one for one in line[: line.index(me)] if one.until > NOW - OVERDUE]


class Asking(NamedTuple):
    """What the reference is asked, too."""

    message: SendRequest
    limits: Limits
    left: list[Former]
    waiting: list[Held]
    happened: dict[str, dict[str, datetime]]

    def plain(self, at: datetime = NOW) -> datetime:
        """The instant at which it leaves, found by trying one after the other."""
        if self.message.message_class == "transactional":
            return NOW
        if all(self.is_shut(NOW + n * STEP) for n in range(8 * 144)):
            return NOW + LOOK_AGAIN
        mine = [cap for cap in self.limits.caps if counts_for(cap, self.message)]
        before = first_in_line(self.message, self.waiting, mine)
        taken = {
            cap: [one.at for one in self.left if counts_for(cap, one)] + [max(one.until, NOW) for one in before if counts_for(cap, one)]
            for cap in mine
        }
        while self.is_shut(at) or any(is_too_much(at, cap, others) for cap, others in taken.items()):
            at += STEP
        return at

    def is_shut(self, at: datetime) -> bool:
        """Whether it is quiet on the channel, or too soon after something on another."""
        zone, channel = ZoneInfo("Asia/Karachi"), self.message.channel
        own = [one for one in self.limits.channel_quiet if one.channel == channel]
        chosen: list[QuietTime | None] = [one.time for one in own if not one.by_law] or [self.limits.quiet_time]
        quiet = any(is_quiet(at, one, zone) for one in [*chosen, *(one.time for one in own if one.by_law)])
        return quiet or any(
            at < self.happened.get(rule.of_channel, {}).get(rule.event, NOW - FAR) + rule.after
            for rule in self.limits.spacings
            if rule.channel == channel
        )


limits = st.builds(Limits, quiet_times, st.lists(caps, max_size=3).map(tuple), channel_quiet.map(tuple), spacings.map(tuple))
asking = st.builds(
    Asking, wanted, limits, st.lists(former, max_size=6), st.lists(held, max_size=4, unique_by=lambda one: one.message_id), happened
)


def ask(one: Asking, waiting: list[Held]) -> Verdict:
    consents = {one.message.channel: {"marketing": "granted"}}
    person = Person("a@example.org")
    return decide(one.message, person, consents, {}, one.limits, one.left, waiting, NOW, None, one.happened)


@settings(max_examples=300, deadline=None)
@given(asking)
def test_it_leaves_when_trying_every_instant_finds_it_may(one: Asking) -> None:
    verdict = ask(one, one.waiting)
    expected = one.plain()
    assert (verdict.until if isinstance(verdict, Hold) else NOW) == expected
    if isinstance(verdict, Hold):
        alone = one._replace(waiting=[]).plain()
        assert bool(verdict.behind) == (alone < expected), "it names those it waits for, and only if it does"
        mine = [cap for cap in one.limits.caps if counts_for(cap, one.message)]
        assert set(verdict.behind) <= {held.message_id for held in first_in_line(one.message, one.waiting, mine)}


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=8), st.sets(st.uuids().map(str), max_size=20), st.integers(0, 50), st.integers(0, 50))
def test_the_control_group_is_the_same_on_every_look_and_only_grows_with_its_share(
    name: str, contacts: set[str], share: int, other: int
) -> None:
    small, large = sorted((share, other))
    taken = [{one for one in contacts if is_held_out(HoldOut(percent, name), one)} for percent in (small, large, large)]
    assert taken[0] <= taken[1] == taken[2]


def test_the_control_group_is_as_large_as_its_share() -> None:
    taken = sum(is_held_out(HoldOut(10, "1"), f"contact-{number}") for number in range(20_000))
    assert 1_850 < taken < 2_150
    assert not is_held_out(HoldOut(50, "1"), ""), "somebody made up is in none"


@settings(max_examples=100, deadline=None)
@given(quiet_times, st.lists(caps, min_size=1, max_size=3), st.lists(former, max_size=6), st.integers(2, 6))
def test_a_line_of_equals_leaves_in_order_and_within_the_caps(
    quiet: QuietTime | None, all_caps: list[Cap], left: list[Former], many: int
) -> None:
    """Each is asked with what those before it were told; when all have left at their instants no cap is broken."""
    waiting: list[Held] = []
    for number in range(many):
        message = SendRequest(f"m{number}", "email", "marketing", "marketing", "default", 3, None, "UTC", NOW + timedelta(seconds=number))
        verdict = decide(
            message, Person("a@example.org"), {"email": {"marketing": "granted"}}, {}, Limits(quiet, tuple(all_caps)), left, waiting, NOW
        )
        until = verdict.until if isinstance(verdict, Hold) else NOW
        since = NOW + timedelta(seconds=number)
        waiting.append(Held(message.message_id, "default", 3, since, until, "email", "marketing"))
    mine = [cap for cap in all_caps if counts_for(cap, waiting[0])]
    for place, one in enumerate(waiting):
        others = [other.until for other in waiting[:place] + waiting[place + 1 :]]
        for cap in mine:
            assert not is_too_much(one.until, cap, [one.at for one in left if counts_for(cap, one)] + others)


class Planned(NamedTuple):
    """A message of a plan: it comes at `since`."""

    id: str
    priority: int
    since: datetime


planned = st.lists(st.builds(Planned, st.sampled_from("abcdefgh"), st.integers(1, 3), steps.map(lambda n: NOW + n * STEP)), min_size=2, max_size=6, unique_by=lambda one: one.id)  # fmt: skip


def played(plan: list[Planned], rules: Limits) -> dict[str, datetime]:
    """Message -> when it leaves, where each is asked when it comes and then at the instant it was told, those told nothing of each other."""
    due, held, left, at = {one.id: one.since for one in plan}, dict[str, datetime](), dict[str, datetime](), NOW
    by_id = {one.id: one for one in plan}
    for _ in range(400):
        if not due:
            return left
        id = min(due, key=lambda one: (due[one], one))
        at, one = due.pop(id), by_id[id]
        waiting = [
            Held(other, "default", by_id[other].priority, by_id[other].since, until, "email", "marketing") for other, until in held.items()
        ]
        former = [Former("default", gone, "email", "marketing") for gone in left.values()]
        message = SendRequest(id, "email", "marketing", "marketing", "default", one.priority, None, "UTC", one.since)
        verdict = decide(message, Person("a@example.org"), {"email": {"marketing": "granted"}}, {}, rules, former, waiting, at)
        held.pop(id, None)
        match verdict:
            case Hold(until=until):
                assert until > at
                assert verdict.alone is not None
                assert (verdict.alone < until) == bool(verdict.behind)
                held[id] = due[id] = until
            case Pass():
                left[id] = at
            case _:
                raise AssertionError("nobody is refused for another")
    raise AssertionError("it never ends")


@settings(max_examples=100, deadline=None)
@given(planned, st.lists(caps, min_size=1, max_size=2), quiet_times.filter(lambda one: one is None or one.start != one.end))
def test_whatever_is_planned_for_a_contact_leaves_and_the_more_important_first(
    plan: list[Planned], some: list[Cap], quiet: QuietTime | None
) -> None:
    """None is lost by another, and no cap is broken; whoever comes more important is at most as late as without the others of lesser rank."""
    rules = Limits(quiet, tuple(some))
    left = played(plan, rules)
    assert left.keys() == {one.id for one in plan}
    request = SendRequest("m", "email", "marketing", "marketing", "default", 3, None, "UTC")
    for cap in (one for one in some if counts_for(one, request)):
        for id, at in left.items():
            assert not is_too_much(at, cap, [other for key, other in left.items() if key != id])
    best = min(plan, key=lambda one: (one.priority, one.since, one.id))
    before = [one for one in plan if one.id != best.id and left[one.id] <= best.since]
    assert left[best.id] == played([*before, best], rules)[best.id], "those that came before it had left already"


def test_many_caps_and_many_messages_are_no_work() -> None:
    """Bounded: what is asked of the walk grows with what is ahead, not with time. Counted in looks at the clock of a window."""
    looked = Counter[str]()
    names = load(whole(GATE), "engine.interpreter.gate")
    inner = names["_past_full_window"]

    def counting(*arguments: Any) -> Any:
        looked["windows"] += 1
        return inner(*arguments)

    names["_past_full_window"] = counting
    all_caps = tuple(Cap("default", 1, timedelta(seconds=40 + n)) for n in range(20))
    waiting = [Held(f"a{n}", "default", 1, NOW, NOW + n * timedelta(seconds=60)) for n in range(50)]
    left = [Former("default", NOW - timedelta(seconds=n)) for n in range(1_000)]
    message = SendRequest("m", "email", "marketing", "marketing", "default", 3, None, "UTC")
    verdict = names["decide"](
        message, Person("a@example.org"), {"email": {"marketing": "granted"}}, {}, Limits(None, all_caps), left, waiting, NOW
    )
    assert verdict.until == waiting[-1].until + all_caps[-1].per
    assert looked["windows"] < 2 * 20 * (1 + 50) * 3


# --- every rule broken on purpose ---

GATE, CLOCK = Path(engine.interpreter.gate.__file__), Path(journeys.clock.__file__)
QUIET = ("earliest_allowed", "_quiet_around", "zone_of")
SAME = {
    "if isinstance(name, str) -> True": "a name that is no text is None here, and None is no zone",
    "since is not None and any((since + one.after <= now for one in limits.expiries if one.purp: without since is not None": "of scripts, in "
    "test_simulated_gate: what is in a database has an instant",
    "max((ends for begins, ends in spans if begins <= at < ends), default=at): min": "the walk goes on from the nearer end",
    "said.get('message_class') or journey.message_class: without said.get('message_class')": "of `wanted`, below",
    "said.get('message_class') or journey.message_class: without journey.message_class": "of `wanted`, below",
    "said.get('topic') or '': without said.get('topic')": "of `wanted`, below",
    "said.get('topic') or '': without ''": "of `wanted`, below",
    "if (group := said.get('hold_out')) -> True": "of `wanted`, below",
    "if (group := said.get('hold_out')) -> False": "of `wanted`, below",
    "said.get('purpose') or journey.purpose: without said.get('purpose')": "of `wanted`, below",
    "said.get('purpose') or journey.purpose: without journey.purpose": "of `wanted`, below",
    "contact_id != '' and draw('hold_out', group.name, contact_id) < group.percent / 100: without contact_id != ''": "no row is without an id",
    "draw('hold_out', group.name, contact_id) < group.percent / 100: LtE": "no hash of the tables lies on the border",
    "begins <= at < ends: LtE": "a span that ends at this instant leads to this instant",
}
"""What is turned round -> why no case can tell."""


def broken_gates() -> Iterator[tuple[str, Callable[..., Verdict]]]:
    for what, tree in broken(GATE):
        names = load(tree, "engine.interpreter.gate")
        yield what, _asking(names["decide"], names["SendRequest"])
    for what, tree in broken(CLOCK, QUIET):
        clock = load(tree, "journeys.clock")
        gate = load(whole(GATE), "engine.interpreter.gate", earliest_allowed=clock["earliest_allowed"], zone_of=clock["zone_of"])
        yield what, gate["decide"]


def _asking(decide: Callable[..., Verdict], kind: type[SendRequest]) -> Callable[..., Verdict]:
    """The message is of the copy's own class, whose properties are rules, too."""
    return lambda message, *others: decide(kind(*(getattr(message, name) for name in SendRequest.__slots__)), *others)


def is_seen(gate: Callable[..., Verdict]) -> bool:
    """Whether the tables tell it from the real one."""
    for case in CASES.values():
        try:
            if told(gate(*asked(case))) != case["answer"]:
                return True
        except Exception:  # noqa: BLE001 - a copy that fails, or never ends, is told apart as well
            return True
    return False


def test_a_gate_with_any_rule_broken_fails_the_tables() -> None:
    gates = list(broken_gates())
    assert len(gates) > 60, "the test looks at the wrong functions"
    assert [what for what, gate in gates if not is_seen(gate) and what.partition(" ")[2] not in SAME] == []


def test_a_gate_that_only_asks_for_an_address_fails_the_tables() -> None:
    def careless(message: SendRequest, person: Person | None, *_: Any) -> Verdict:
        return Pass(person.address or "") if person else engine.interpreter.gate.Refuse("no_contact")

    assert is_seen(careless)


@pytest.mark.parametrize(
    ("said", "purpose", "kind"),
    [
        ({}, "news", "transactional"),
        ({"purpose": "service", "message_class": "marketing"}, "service", "marketing"),
        ({"purpose": ""}, "news", "transactional"),
    ],
)
def test_a_step_says_what_it_sends_and_else_its_journey_does(said: dict[str, Any], purpose: str, kind: str) -> None:
    """What the tables are not asked for: `decide` is given the message as it is wanted."""
    journey = Settings(purpose="news", message_class="transactional", cap_class="rare", priority=2, timezone="Asia/Tokyo")
    message = engine.interpreter.gate.wanted("m1", "email", said, journey)
    assert (message.purpose, message.message_class, message.cap_class, message.priority) == (purpose, kind, "rare", 2)
    assert (message.fallback_zone, message.quiet_hours, message.since) == ("Asia/Tokyo", None, None)
    assert message.topic == ""
    assert engine.interpreter.gate.wanted("m1", "email", {**said, "topic": "events"}, journey).topic == "events"
    assert message.hold_out is None
    group = engine.interpreter.gate.wanted("m1", "email", {**said, "hold_out": {"percent": 5, "name": "n"}}, journey).hold_out
    assert group == HoldOut(5, "n")


# --- whose clock ---

ZONES = ["Europe/Zurich", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"]
around_changes = st.builds(
    lambda day, minutes: datetime.fromisoformat(f"{day}T00:00:00+00:00") + timedelta(minutes=minutes),
    st.sampled_from(["2026-03-28", "2026-10-24", "2026-03-07", "2026-10-31", "2026-10-03", "2011-12-29"]),
    st.integers(0, 3_000),
)
clock_times = st.integers(0, 143).map(lambda n: time(n // 6, n % 6 * 10))
zones = st.sampled_from(ZONES)


@settings(max_examples=200, deadline=None)
@given(
    around_changes,
    clock_times,
    clock_times,
    clock_times,
    clock_times,
    st.none() | st.just("Nowhere/Land") | zones,
    zones,
    zones,
    st.booleans(),
)
def test_quiet_hours_by_choice_and_by_law_are_on_the_recipients_clock_and_else_on_the_one_they_were_meant_for(
    now: datetime,
    start: time,
    end: time,
    law_start: time,
    law_end: time,
    own: str | None,
    of_workspace: str,
    of_journey: str,
    by_journey: bool,
) -> None:
    """Across the changes of clocks: it leaves at the first instant at which neither is quiet (`tests.journeys.test_clock` walks there by minutes)."""
    chosen = QuietHours(start=f"{start:%H:%M}", end=f"{end:%H:%M}") if by_journey else None
    law = ChannelQuiet("sms", QuietTime(law_start, law_end, (), of_workspace), by_law=True)
    message = SendRequest("m", "sms", "marketing", "marketing", "default", 3, chosen, of_journey)
    rules = Limits(QuietTime(start, end, (), of_workspace), channel_quiet=(law,))
    verdict = decide(message, Person("+41446681800", own), {"sms": {"marketing": "granted"}}, {}, rules, [], [], now)
    theirs = own if own in ZONES else None
    choice, legal = ZoneInfo(theirs or (of_journey if by_journey else of_workspace)), ZoneInfo(theirs or of_workspace)
    expected = now
    for _ in range(20):
        after = expected
        for begins, ends, zone in ((start, end, choice), (law_start, law_end, legal)):
            after = earliest_allowed(after, begins, ends, zone) or after
        if after == expected:
            break
        expected = after
    else:
        expected = now + LOOK_AGAIN  # the two leave no minute between them
    assert (verdict.until if isinstance(verdict, Hold) else now) == expected
