"""Membership equals the SQL face of the rule at every instant, whatever happens to contacts and in whatever order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.jobs import add_job
from crm.people import profile
from crm.people.identity import resolve_batch
from crm.people.merge import merge
from crm.people.unmerge import newest, unmerge
from crm.privacy import retention
from crm.privacy.erasure import erase
from crm.rules import expression as sql
from crm.segments import evaluation, fill, members, segments
from journeys.catalogue import SYSTEM_EVENTS
from journeys.errors import Conflict
from journeys.rules import parse_rule
from models import Contact, Database, Event, Job, Segment, SegmentMember
from storage import segment_marks
from storage.events import append_event
from tests.journeys.rules import strategies

AS_OF = strategies.AS_OF
GAPS = [
    timedelta(seconds=1),
    timedelta(hours=1),
    timedelta(hours=1, microseconds=1),
    timedelta(days=1),
    timedelta(days=3),
    timedelta(days=40),
]
NESTED = [
    {"segment": "s0"},
    {"combinator": "and", "rules": [{"segment": "s0", "member": False}, {"event": "Order Completed", "within": "P3D"}]},
    {"combinator": "or", "not": True, "rules": [{"segment": "s1"}, {"segment": "s0", "member": False}]},
]
READABLE = st.sampled_from(
    [
        {"event": "Order Completed", "did": False, "within": "P3D"},
        {"event": "Order Completed", "within": "P1D", "count": {"operator": ">=", "value": 2}},
        {"event": "Order Completed", "within": "P3D", "aggregate": {"of": "sum", "field": "total", "value": 3}},
        {"event": "Order Completed", "before": "-PT1H", "aggregate": {"of": "last", "field": "total", "operator": "!=", "value": 3}},
        {"sequence": [{"event": "Page Viewed"}, {"event": "Order Completed", "within": "P3D"}], "within": "P40D"},
        {"field": "created_at", "operator": "withinLast", "value": "P1D"},
        {"field": "since", "operator": "withinNext", "value": "P3D"},
        {"field": "plan", "operator": "null"},
        {"combinator": "and", "rules": [{"tag": "vip", "has": False}, {"message": "opened", "within": "PT1H"}]},
    ]
)
WHO = st.integers(0, 3)
ACTS = st.one_of(
    st.tuples(st.just("event"), WHO, strategies.events(), st.sampled_from([timedelta(0), *GAPS])),
    st.tuples(st.just("field"), WHO, st.sampled_from(["plan", "age", "since", "address.city"]), strategies.values),
    st.tuples(st.just("field"), WHO, st.just("first_name"), st.sampled_from(["Ada", None])),
    st.tuples(st.just("tag"), WHO, st.booleans()),
    st.tuples(st.just("time"), st.sampled_from(GAPS)),
    st.tuples(st.just("time"), st.sampled_from(GAPS)),
    st.tuples(st.just("new")),
    st.tuples(st.just("merge"), WHO, WHO),
    st.tuples(st.just("unmerge"), WHO),
    st.tuples(st.just("erase"), WHO),
    st.tuples(st.just("rule"), READABLE),
)


class Life:
    """A few contacts and segments, and what happens to them. Everything is in one transaction, which is rolled back."""

    def __init__(self, session: Session, rules: list[Any]) -> None:
        self.session, self.now = session, AS_OF
        self.contacts: list[str] = []
        self.new()
        self.new()
        for number, rule in enumerate(rules):
            self.segment(f"s{number}", rule)

    def segment(self, key: str, rule: Any) -> None:
        """As `segments.create` makes one, but of any rule, also one that names what is not there; filled to the end."""
        row = Segment(key=key, name=key, created_at=self.now, updated_at=self.now)
        self.session.add(row)
        self._ask_anew(row, rule)

    def _ask_anew(self, row: Segment, rule: Any) -> None:
        row.rule, row.topics, row.state = rule, sorted(segments.hangs_on(parse_rule(rule))), "filling"
        row.version += 1
        segment_marks.changed(self.session)
        self.fill(
            add_job(self.session, segments.FILL, "", {"segment": row.id, "version": row.version, "announce": False}, "test", self.now)
        )

    def fill(self, job: Job) -> None:
        while (cursor := fill.fill_page(self.session, job, self.now).cursor) is not None:
            job.cursor = cursor

    def new(self) -> None:
        id = f"c{len(self.contacts)}"
        self.session.add(Contact(id=id, created_at=self.now, updated_at=self.now))
        self.session.flush()
        segment_marks.mark_new(self.session, [id], self.now)
        self.contacts.append(id)

    def act(self, what: str, *how: Any) -> None:
        getattr(self, f"_{what}", getattr(self, what, None))(*how)  # type: ignore[misc]

    def _who(self, number: int) -> str:
        return self.contacts[number % len(self.contacts)]

    def _is_somebody(self, id: str) -> bool:
        row = self.session.get_one(Contact, id, populate_existing=True)
        return row.merged_into is None and row.erased_at is None

    def _event(self, who: int, event: tuple[str, dict[str, Any], datetime], late: timedelta) -> None:
        id, (name, properties, _) = self._who(who), event
        type = "system" if name in SYSTEM_EVENTS else "track"
        if self._is_somebody(id):
            append_event(self.session, id, type, name, properties, self.now, occurred_at=self.now - late)

    def _field(self, who: int, name: str, value: Any) -> None:
        if self._is_somebody(self._who(who)):
            profile.update_fields(self.session, self._who(who), {name: value}, self.now, "test")

    def _tag(self, who: int, given: bool) -> None:
        if self._is_somebody(self._who(who)):
            (profile.add_tag if given else profile.remove_tag)(self.session, self._who(who), "vip", self.now)

    def _time(self, gap: timedelta) -> None:
        self.now += gap

    def _merge(self, one: int, other: int) -> None:
        if self._is_somebody(self._who(one)) and self._is_somebody(self._who(other)):
            merge(self.session, self._who(one), self._who(other), self.now)

    def _unmerge(self, who: int) -> None:
        found = newest(self.session, self._who(who))
        if found is not None and found.id is not None and self._is_somebody(self._who(who)):
            try:
                unmerge(self.session, found.id, "test", self.now)
            except Conflict:
                return

    def _erase(self, who: int) -> None:
        erase(self.session, self._who(who), self.now, by="test")

    def _rule(self, rule: Any) -> None:
        self._ask_anew(segments.get(self.session, "s0"), rule)

    def settle(self) -> None:
        while waiting := evaluation.waiting(self.session, self.now, 2):
            evaluation.ask_waiting(self.session, waiting, self.now)

    def check(self) -> None:
        for one in segments.listed(self.session):
            found = select(SegmentMember.contact_id).where(SegmentMember.segment_id == one.id)
            is_in = set(self.session.scalars(found))
            assert is_in == set(sql.page(self.session, parse_rule(one.rule), self.now)), one.rule
            assert members.count(self.session, segments.id_of(one)) == len(is_in)


def lasting(examples: int) -> settings:
    unhealthy = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=examples, deadline=None, suppress_health_check=unhealthy)


lives = given(
    rules=st.lists(
        strategies.rules(in_run=False).map(lambda rule: rule.model_dump(mode="json", by_alias=True)) | READABLE, min_size=2, max_size=3
    ),
    nested=st.sampled_from(NESTED),
    acts=st.lists(ACTS, min_size=3, max_size=14),
)


@lasting(25)
@lives
def test_membership_equals_the_rule_at_every_instant(shared_sqlite: Database, rules: list[Any], nested: Any, acts: list[Any]) -> None:
    lived(shared_sqlite, rules, nested, acts)


@lasting(4)
@lives
def test_the_same_on_postgresql(shared_postgres: Database, rules: list[Any], nested: Any, acts: list[Any]) -> None:
    lived(shared_postgres, rules, nested, acts)


def lived(database: Database, rules: list[Any], nested: Any, acts: list[Any]) -> None:
    with database.engine.connect() as connection, connection.begin() as transaction:
        with Session(connection, info=database.info, expire_on_commit=False) as session:
            life = Life(session, [*rules[:2], nested])
            for act in acts:
                life.act(*act)
                life.settle()
                life.check()
        transaction.rollback()


def test_an_event_of_nobody_s_interest_marks_nobody(session: Session, contact: str, now: datetime) -> None:
    segments.create(session, "Buyers", {"event": "Order Completed"}, "test", now)
    append_event(session, contact, "track", "Page Viewed", {}, now)
    assert evaluation.waiting(session, now) == []
    append_event(session, contact, "track", "Order Completed", {}, now)
    assert evaluation.waiting(session, now) == [contact]


def test_a_change_that_is_newer_than_the_clock_is_seen_when_the_clock_is_there(session: Session, contact: str, now: datetime) -> None:
    """The web server's clock is a second ahead: the mark outlives an evaluation that cannot see the event yet."""
    row = segments.create(session, "Buyers", {"event": "Order Completed"}, "test", now)
    append_event(session, contact, "track", "Order Completed", {}, now + timedelta(seconds=1))
    evaluation.ask_waiting(session, [contact], now)
    assert members.page(session, segments.id_of(row)) == []
    assert evaluation.waiting(session, now) == []
    evaluation.ask_waiting(session, evaluation.waiting(session, now + timedelta(seconds=1)), now + timedelta(seconds=1))
    assert [id for id, _ in members.page(session, segments.id_of(row))] == [contact]


def test_no_event_is_told_while_a_segment_is_filled_and_each_is_told_once_after(session: Session, contact: str, now: datetime) -> None:
    row = segments.create(session, "Buyers", {"event": "Order Completed"}, "test", now)
    append_event(session, contact, "track", "Order Completed", {}, now)
    assert evaluation.ask_waiting(session, [contact], now).events == []
    job = session.get_one(Job, row.fill_job)
    while (cursor := fill.fill_page(session, job, now).cursor) is not None:
        job.cursor = cursor
    append_event(session, contact, "system", "Contact Changed", {"tags_removed": ["x"]}, now)
    segments.create(session, "Old", None, "test", now)
    assert _events(session) == []
    erase(session, contact, now, by="test")
    assert members.count(session, segments.id_of(row)) == 0


def test_a_fill_of_a_rule_that_has_changed_is_over_at_once(session: Session, contact: str, now: datetime) -> None:
    append_event(session, contact, "track", "Order Completed", {}, now)
    row = segments.create(session, "Buyers", {"event": "Order Completed"}, "test", now)
    old = session.get_one(Job, row.fill_job)
    segments.change(session, "buyers", "test", now, rule={"event": "Refunded"})
    assert fill.fill_page(session, old, now) == fill.Filled(None)
    assert row.state == "filling", "the new rule's own fill ends it"


def test_a_fill_that_announces_tells_once_of_everybody_whoever_comes_first(session: Session, make_contact: Any, now: datetime) -> None:
    first, other = make_contact("a"), make_contact("b")
    row = segments.create(session, "Buyers", {"event": "Order Completed"}, "test", now, announce=True)
    for id in (first, other):
        append_event(session, id, "track", "Order Completed", {}, now, backfill=id == first)
    assert [event.contact_id for event in evaluation.ask_waiting(session, [first], now).events] == [first]
    filled(session, row, now)
    assert evaluation.ask_waiting(session, [first, other], now).events == []
    assert _events(session) == ["Segment Entered"] * 2


def _events(session: Session) -> list[str]:
    told = select(Event.name).where(Event.name.in_(["Segment Entered", "Segment Left"])).order_by(Event.id)
    return list(session.scalars(told))


def test_somebody_new_is_told_of_and_somebody_imported_is_not(session: Session, now: datetime) -> None:
    row = segments.create(session, "Reachable", {"field": "email", "operator": "notNull"}, "test", now)
    filled(session, row, now)
    new = [[("email", f"{name}@example.org")] for name in ("new", "imported")]
    ids = [found.contact_id for found in resolve_batch(session, new, now, history={1}) if found]
    done = evaluation.ask_waiting(session, evaluation.waiting(session, now), now)
    assert {id for id, _ in members.page(session, segments.id_of(row))} == set(ids)
    assert [event.contact_id for event in done.events] == ids[:1]


def test_what_an_old_event_counted_for_goes_with_it_without_a_word(session: Session, contact: str, now: datetime) -> None:
    row = segments.create(session, "Buyers", {"event": "Order Completed"}, "test", now)
    append_event(session, contact, "track", "Order Completed", {}, now - timedelta(days=4_000), routed=True)
    filled(session, row, now)
    evaluation.ask_waiting(session, [contact], now)
    assert members.count(session, segments.id_of(row)) == 1
    cursor, more = "", True
    while more:
        cursor, _ = retention.page(session, cursor, now, ())
        more = bool(cursor)
    done = evaluation.ask_waiting(session, evaluation.waiting(session, now), now)
    assert (members.count(session, segments.id_of(row)), done.left, done.events) == (0, 1, [])


def test_lists_kept_by_hand_survive_a_merge_and_its_undoing(session: Session, make_contact: Any, now: datetime) -> None:
    winner, loser = make_contact("w"), make_contact("x")
    for name, on_it in (("Both", [winner, loser]), ("Theirs", [loser])):
        segments.create(session, name, None, "test", now)
        segments.put_in(session, name.lower(), on_it, "test", now)
    merge(session, winner, loser, now)
    assert on_lists(session, winner) == ["both", "theirs"]
    assert on_lists(session, loser) == []
    found = newest(session, winner)
    assert found is not None
    assert found.id is not None
    unmerge(session, found.id, "test", now)
    assert (on_lists(session, winner), on_lists(session, loser)) == (["both"], ["both", "theirs"])
    assert [members.count(session, segments.id_of(one)) for one in segments.listed(session)] == [2, 1]


def on_lists(session: Session, contact_id: str) -> list[str]:
    return [one.key for one in members.of_contact(session, contact_id)]


def filled(session: Session, row: Segment, now: datetime) -> None:
    job = session.get_one(Job, row.fill_job)
    while (cursor := fill.fill_page(session, job, now).cursor) is not None:
        job.cursor = cursor


# A shop's half-year, each day computed directly

FIRST = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)
DAYS = 182  # over the night in which the clocks go forward
Orders = list[tuple[datetime, float]]


def recent(orders: Orders, now: datetime, days: int) -> Orders:
    return [(at, total) for at, total in orders if now - at < timedelta(days=days)]


def spent(orders: Orders, now: datetime, days: int) -> Decimal:
    return sum((Decimal(str(total)) for _, total in recent(orders, now, days)), Decimal(0))


def risen(orders: Orders) -> bool:
    """A small order, and a large one within two weeks; of two at one instant the one that was stored earlier comes first."""
    numbered = list(enumerate(orders))
    return any(
        small < 50 and large > 100 and (at, one) < (then, other) and then - at <= timedelta(days=14)
        for one, (at, small) in numbered
        for other, (then, large) in numbered
    )


RULES: dict[str, tuple[Any, Callable[[list[tuple[datetime, float]], datetime], bool]]] = {
    "active": ({"event": "Order Completed", "within": "P30D"}, lambda orders, now: any(now - at < timedelta(days=30) for at, _ in orders)),
    "at-risk": (
        {"rules": [{"segment": "active", "member": False}, {"event": "Order Completed", "within": "P60D"}]},
        lambda orders, now: bool(orders) and timedelta(days=30) <= min(now - at for at, _ in orders) < timedelta(days=60),
    ),
    "inactive": (
        {"event": "Order Completed", "did": False, "within": "P90D"},
        lambda orders, now: all(now - at >= timedelta(days=90) for at, _ in orders),
    ),
    "often": (
        {"event": "Order Completed", "within": "P60D", "count": {"operator": ">=", "value": 3}},
        lambda orders, now: sum(now - at < timedelta(days=60) for at, _ in orders) >= 3,
    ),
    "large": (
        {"event": "Order Completed", "count": {"value": 2}, "where": {"rules": [{"field": "total", "operator": ">=", "value": 50}]}},
        lambda orders, now: sum(total >= 50 for _, total in orders) >= 2,
    ),
    "spent": (
        {"event": "Order Completed", "within": "P60D", "aggregate": {"of": "sum", "field": "total", "value": 180.49}},
        lambda orders, now: spent(orders, now, 60) >= Decimal("180.49"),
    ),
    "lifetime": (
        {"event": "Order Completed", "aggregate": {"of": "sum", "field": "total", "operator": "<", "value": 100}},
        lambda orders, now: spent(orders, now, 9_999) < 100,
    ),
    "generous": (
        {"event": "Order Completed", "within": "P90D", "aggregate": {"of": "average", "field": "total", "operator": ">=", "value": 50}},
        lambda orders, now: (n := len(recent(orders, now, 90))) > 0 and spent(orders, now, 90) >= 50 * n,
    ),
    "lapsed": (
        {"rules": [{"event": "Order Completed", "before": "-P30D"}, {"event": "Order Completed", "did": False, "within": "P30D"}]},
        lambda orders, now: any(now - at > timedelta(days=30) for at, _ in orders) and not recent(orders, now, 30),
    ),
    "last-small": (
        {"event": "Order Completed", "aggregate": {"of": "last", "field": "total", "operator": "<", "value": 50}},
        lambda orders, now: bool(orders) and max(enumerate(orders), key=lambda one: (one[1][0], one[0]))[1][1] < 50,
    ),
    "risen": (
        {
            "sequence": [
                {"event": "Order Completed", "where": {"field": "total", "operator": "<", "value": 50}},
                {"event": "Order Completed", "where": {"field": "total", "operator": ">", "value": 100}, "within": "P14D"},
            ],
            "within": "P60D",
        },
        lambda orders, now: risen(recent(orders, now, 60)),
    ),
    "never": ({"event": "Order Completed", "did": False}, lambda orders, now: not orders),
}


def test_recency_frequency_and_money_equal_direct_computation_on_each_day_of_half_a_year(shared_sqlite: Database) -> None:
    chance = Random(13)
    rates = [chance.choice([0.0, 0.004, 0.02, 0.07]) for _ in range(200)]
    orders: dict[str, list[tuple[datetime, float]]] = {f"h{number}": [] for number in range(len(rates))}
    with shared_sqlite.engine.connect() as connection, connection.begin() as transaction:
        with Session(connection, info=shared_sqlite.info, expire_on_commit=False) as session:
            for id in orders:
                session.add(Contact(id=id, created_at=FIRST, updated_at=FIRST))
            session.flush()
            for number in range(DAYS):
                now = FIRST + timedelta(days=number)
                if number in (0, 60):  # half of them are made in the middle, when there is a history already
                    for key in [*RULES][:9] if number == 0 else [*RULES][9:]:
                        filled(session, segments.create(session, key, RULES[key][0], "test", now, key=key), now)
                for (id, theirs), rate in zip(orders.items(), rates, strict=True):
                    if chance.random() < rate:
                        at, total = now - timedelta(hours=chance.choice([0, 0, 5, 40])), chance.choice([10.0, 49.99, 50.0, 120.5])
                        theirs.append((at, total))
                        append_event(session, id, "track", "Order Completed", {"total": total}, now, occurred_at=at)
                while waiting := evaluation.waiting(session, now):
                    evaluation.ask_waiting(session, waiting, now)
                for one in segments.listed(session):
                    expected = {id for id, theirs in orders.items() if RULES[one.key][1](theirs, now)}
                    assert {id for id, _ in members.page(session, segments.id_of(one), limit=500)} == expected, (one.key, number)
        transaction.rollback()
