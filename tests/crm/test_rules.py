"""The three ways to ask a rule of a contact give one answer: closure over dicts, closure over the database, SQL expression."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import not_, select
from sqlalchemy.orm import Session

from crm.rules import expression as sql
from crm.rules.crowd_facts import Crowd
from crm.rules.sql_facts import SqlFacts
from journeys.catalogue import SYSTEM_EVENTS
from journeys.errors import Invalid, NotFound
from journeys.rules import DictFacts, explain, holds, needs_run, next_flip, normalise_deep, parse_rule
from journeys.rules.fields import asked_context
from journeys.values import Received, RunInfo
from models import (
    Company,
    CompanyMember,
    ConsentState,
    Contact,
    Database,
    Event,
    LeadSource,
    Member,
    Rotation,
    Score,
    Segment,
    SegmentMember,
    Tag,
    WorkspaceSetting,
)
from storage.events import append_event
from storage.sql import table
from tests.journeys.rules import strategies

AS_OF = strategies.AS_OF
RUN = RunInfo(id="run1", contact_id="", journey="welcome", started_at=AS_OF - timedelta(days=1), trigger={"plan": "pro", "age": 1})

people = st.fixed_dictionaries(
    {
        "columns": strategies.columns(),
        "attributes": strategies.attributes,
        "company": strategies.companies,
        "events": st.lists(strategies.events(), max_size=4),
        "tags": st.sampled_from([(), ("vip",), ("VIP", "vip")]),
        "segments": st.sampled_from([(), ("vip",), ("news", "vip")]),
        "consents": st.sampled_from(
            [{}, {("email", "marketing"): "granted"}, {("email", "marketing"): "pending", ("sms", "other"): "granted"}]
        ),
        "said": st.sampled_from(strategies.CLOSE),
        "touches": st.none() | st.tuples(strategies.touches, strategies.touches),
        "scores": st.sampled_from([{}, {"fit": 20.0}, {"fit": -5.0, "other": 99.0}, {"fit": 0.0}]),
    }
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(crowd=st.lists(people, min_size=1, max_size=3), rules=st.lists(strategies.rules(in_run=True), min_size=1, max_size=4))
def test_closure_database_and_sql_agree(db: Database, crowd: list[dict[str, Any]], rules: list[Any]) -> None:
    with db.engine.connect() as connection, connection.begin() as transaction, Session(connection) as session:
        ids = [_store(session, f"c{number}", person) for number, person in enumerate(crowd)]
        session.flush()
        for rule in rules:
            run = RUN if needs_run(rule) else None
            expected = [holds(rule, _facts(person, run), AS_OF) for person in crowd]
            stored = [holds(rule, SqlFacts(session, id, run, as_of=AS_OF), AS_OF) for id in ids]
            assert stored == expected, "SqlFacts"
            assert [_told(rule, SqlFacts(session, id, run, as_of=AS_OF)) for id in ids] == [
                _told(rule, _facts(person, run)) for person in crowd
            ], "what was found"
            if run is None:
                together = Crowd(session, ids, AS_OF)
                assert [holds(rule, together.facts(id), AS_OF) for id in ids] == expected, "CrowdFacts"
                flips = [next_flip(rule, _facts(person, None), AS_OF) for person in crowd]
                assert [next_flip(rule, together.facts(id), AS_OF) for id in ids] == flips
                found = sql.expression(rule, AS_OF)
                yes, no = _ids(session, found), _ids(session, not_(found))
                assert [id in yes for id in ids] == expected, "SQL"
                page = Crowd(session, ids, AS_OF)
                assert [holds(rule, page.facts(id), AS_OF) for id in ids] == expected, "Crowd"
                assert yes.isdisjoint(no)
                assert yes | no == set(ids), "never NULL"
                moving = {id for id in ids if next_flip(rule, SqlFacts(session, id, as_of=AS_OF), AS_OF) is not None}
                assert moving <= _ids(session, sql.may_flip(rule, AS_OF)), "nobody is left out whom time changes"
        transaction.rollback()


def _told(rule: Any, facts: Any) -> list[Any]:
    """What events come to. Of an object there are its keys, which PostgreSQL puts in an order of its own."""
    found = [row["actual"] for row in explain(rule, facts, AS_OF)]
    return [
        {**one, "value": None if isinstance(one.get("value"), dict | list) else one.get("value")}
        for one in found
        if isinstance(one, dict) and "keys" not in one
    ]


def _facts(person: dict[str, Any], run: RunInfo | None) -> DictFacts:
    received = [
        Received(
            id=number,
            name=name,
            properties=normalise_deep(properties),
            context=asked_context(normalise_deep(properties.get("context", {}))),
            occurred_at=at,
            arrived_at=at,
        )
        for number, (name, properties, at) in enumerate(person["events"])
    ]
    return DictFacts(
        {**person["attributes"], **person["columns"]},
        person["tags"],
        person["consents"],
        person["scores"],
        received,
        trigger=run.trigger if run else None,
        run_started_at=run.started_at if run else None,
        run_id=run.id if run else None,
        segments=person.get("segments", ()),
        consents_said_at={key: AS_OF - person.get("said", timedelta(0)) for key in person["consents"]},
        touches=_touches(person),
        company=person.get("company") or {},
    )


def _touches(person: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        which: {**touch, "at": AS_OF - touch["at"]} for which, touch in zip(("first", "last"), person.get("touches") or (), strict=False)
    }


def _store(session: Session, id: str, person: dict[str, Any]) -> str:
    session.add(Contact(id=id, **person["columns"], attributes=normalise_deep(person["attributes"]), updated_at=AS_OF))
    session.flush()
    if (company := person.get("company")) is not None:
        row = Company(name=id, sort_name=id, told=normalise_deep(company), created_at=AS_OF, updated_at=AS_OF)
        session.add(row)
        session.flush()
        session.add(CompanyMember(contact_id=id, company_id=row.id, since=AS_OF, source="api"))
    for key in person.get("segments", ()):
        session.add(SegmentMember(segment_id=_segment(session, key), contact_id=id, since=AS_OF))
    session.add_all(Tag(contact_id=id, tag=tag, added_at=AS_OF) for tag in person["tags"])
    session.add_all(Score(contact_id=id, score_group=group, value=value, changed_at=AS_OF) for group, value in person["scores"].items())
    for (channel, purpose), state in person["consents"].items():
        session.add(
            ConsentState(contact_id=id, channel=channel, purpose=purpose, state=state, said_at=AS_OF - person.get("said", timedelta(0)))
        )
    if came := _touches(person):
        session.add(
            LeadSource(contact_id=id, **{f"{which}_{name}": value for which, touch in came.items() for name, value in touch.items()})
        )
    for number, (name, properties, at) in enumerate(person["events"]):
        message_id = f"{id}:{number}"
        event = Event(
            contact_id=id,
            type="system" if name in SYSTEM_EVENTS else "track",
            name=name,
            properties=normalise_deep(properties),
            context=normalise_deep(properties.get("context", {})),
            message_id=message_id,
            occurred_at=at,
            received_at=at,
        )
        session.add(event)
    return id


def _segment(session: Session, key: str) -> int:
    found = session.scalar(select(Segment.id).where(Segment.key == key))
    if found is None:
        row = Segment(key=key, name=key, created_at=AS_OF, updated_at=AS_OF)
        session.add(row)
        session.flush()
        found = row.id
    assert found is not None
    return found


def _ids(session: Session, condition: Any) -> set[str]:
    return set(session.execute(select(table(Contact).c.id).where(condition)).scalars())


# --- Cases worth reading ---------------------------------------------------------------------------------------


@pytest.fixture
def ada(db: Database) -> Callable[[dict[str, Any]], bool]:
    """Whether a rule holds for Ada, asked of both her facts and the SQL expression."""
    person = {
        "columns": {"email": "ada@example.org", "created_at": AS_OF - timedelta(days=30), "owner": None},
        "attributes": {"plan": "pro", "age": 36, "vip": True, "interests": ["math", "Poetry"], "note": "100 % _sure_", "gone": None},
        "events": [
            ("Order Completed", {"total": 80, "cart": {"id": "c1"}}, AS_OF - timedelta(days=2)),
            ("Order Completed", {"total": 5}, AS_OF),
        ],
        "tags": ("vip",),
        "consents": {("email", "marketing"): "granted"},
        "scores": {"fit": 20.0},
        "company": {"name": "Acme", "members": 12, "plan": None, "last_activity_at": AS_OF - timedelta(days=3)},
    }
    with db.write() as session:
        _store(session, "ada", person)

    def ask(rule: dict[str, Any]) -> bool:
        with db.read() as session:
            parsed = parse_rule(rule)
            answer = holds(parsed, SqlFacts(session, "ada", as_of=AS_OF), AS_OF)
            assert ("ada" in _ids(session, sql.expression(parsed, AS_OF))) is answer
            assert holds(parsed, _facts(person, None), AS_OF) is answer
            return answer

    return ask


@pytest.mark.parametrize(
    ("field", "operator", "value", "expected"),
    [
        ("plan", "=", "pro", True),
        ("plan", "=", "Pro", False),
        ("age", "=", 36.0, True),
        ("age", "=", "36", False),
        ("age", ">", 35, True),
        ("age", "between", [36, 40], True),
        ("vip", "=", True, True),
        ("vip", "=", 1, False),
        ("vip", ">", 0, False),
        ("missing", "=", "x", False),
        ("missing", "!=", "x", True),
        ("missing", "notIn", ["x"], True),
        ("missing", "doesNotContain", "x", True),
        ("missing", "<", 5, False),
        ("missing", "null", None, True),
        ("gone", "null", None, True),
        ("gone", "notNull", None, False),
        ("plan", ">", 1, False),
        ("interests", "contains", "math", True),
        ("interests", "contains", "mat", False),
        ("interests", "contains", "poetry", False),
        ("interests", "=", "math", False),
        ("note", "contains", "100 %", True),
        ("note", "contains", "100%", False),
        ("note", "contains", "_sure_", True),
        ("note", "beginsWith", "1", True),
        ("note", "endsWith", "_", True),
        ("email", "endsWith", "@example.org", True),
        ("email", "contains", "ADA", False),
        ("owner", "null", None, True),
        ("company.name", "=", "Acme", True),
        ("company.name", "notNull", None, True),
        ("company.members", ">=", 12, True),
        ("company.plan", "null", None, True),
        ("company.plan", "!=", "pro", True),
        ("company.last_activity_at", "withinLast", "P4D", True),
        ("company.last_activity_at", "withinLast", "P2D", False),
        ("company", "null", None, True),
        ("created_at", "before", "-P29D", True),
        ("created_at", "withinLast", "P30D", False),
        ("created_at", "withinLast", "P31D", True),
        ("created_at", "beginsWith", "2026", False),
        ("created_at", ">", "2026-01-01", True),
        ("created_at", "=", "2026-02-27T02:30:00+01:00", True),
    ],
)
def test_fields(ada: Callable[[dict[str, Any]], bool], field: str, operator: str, value: Any, expected: bool) -> None:
    assert ada({"field": field, "operator": operator, "value": value}) is expected


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"event": "Order Completed"}, True),
        ({"event": "Order Completed", "count": {"value": 2}}, True),
        ({"event": "Order Completed", "count": {"operator": "=", "value": 1}}, False),
        ({"event": "Order Completed", "within": "P2D", "count": {"operator": "=", "value": 1}}, True),
        ({"event": "Order Completed", "did": False, "where": {"rules": [{"field": "total", "operator": ">", "value": 100}]}}, True),
        ({"event": "Order Completed", "where": {"rules": [{"field": "cart.id", "operator": "=", "value": "c1"}]}}, True),
        ({"event": "Order Completed", "where": {"rules": [{"tag": "vip"}]}}, False),
        ({"event": "Order Completed", "since": "2026-03-28", "count": {"operator": "=", "value": 1}}, True),
        ({"event": "Order Completed", "before": "-P2D"}, False),
        ({"event": "Order Completed", "before": "-P1D", "count": {"operator": "=", "value": 1}}, True),
        ({"event": "Order Completed", "before": "2026-03-29T01:30:00Z", "count": {"operator": "=", "value": 1}}, True),
        ({"event": "Order Completed", "since": "2026-02-30"}, False),
        ({"event": "Order Completed", "aggregate": {"of": "sum", "field": "total", "operator": "=", "value": 85}}, True),
        ({"event": "Order Completed", "aggregate": {"of": "sum", "field": "total", "value": 85.0001}}, False),
        ({"event": "Order Completed", "within": "P1D", "aggregate": {"of": "sum", "field": "total", "operator": "=", "value": 5}}, True),
        ({"event": "Order Completed", "aggregate": {"of": "average", "field": "total", "operator": "=", "value": 42.5}}, True),
        ({"event": "Order Completed", "aggregate": {"of": "min", "field": "total", "operator": "<=", "value": 5}}, True),
        ({"event": "Order Completed", "aggregate": {"of": "max", "field": "total", "operator": ">", "value": 80}}, False),
        ({"event": "Order Completed", "aggregate": {"of": "distinct", "field": "total", "operator": "=", "value": 2}}, True),
        ({"event": "Order Completed", "aggregate": {"of": "distinct", "field": "cart.id", "operator": "=", "value": 1}}, True),
        ({"event": "Order Completed", "aggregate": {"of": "first", "field": "cart.id", "operator": "=", "value": "c1"}}, True),
        ({"event": "Order Completed", "aggregate": {"of": "last", "field": "cart.id", "operator": "null"}}, True),
        ({"event": "Order Completed", "aggregate": {"of": "last", "field": "total", "operator": "between", "value": [1, 5]}}, True),
        ({"event": "Nothing", "aggregate": {"of": "sum", "field": "total", "operator": "=", "value": 0}}, True),
        ({"event": "Nothing", "aggregate": {"of": "average", "field": "total", "operator": "<", "value": 9}}, False),
        ({"event": "Nothing", "aggregate": {"of": "average", "field": "total", "operator": "!=", "value": 9}}, True),
        ({"event": "Nothing", "aggregate": {"of": "last", "field": "total", "operator": "!=", "value": 9}}, True),
        ({"event": "Nothing", "did": False, "aggregate": {"of": "max", "field": "total", "operator": ">", "value": 9}}, True),
        ({"sequence": [{"event": "Order Completed"}, {"event": "Order Completed", "within": "P2D"}]}, True),
        ({"sequence": [{"event": "Order Completed"}, {"event": "Order Completed", "within": "P1D"}]}, False),
        ({"sequence": [{"event": "Order Completed"}, {"event": "Order Completed"}], "span": "P1D", "did": False}, True),
        ({"sequence": [{"event": "Order Completed"}] * 3}, False),
        ({"sequence": [{"event": "Order Completed"}, {"event": "Order Completed"}], "within": "P2D"}, False),
        ({"consent": "email"}, True),
        ({"consent": "sms", "value": "unknown"}, True),
        ({"consent": "sms", "operator": "!=", "value": "granted"}, True),
        ({"score": "fit", "value": 20}, True),
        ({"score": "other", "operator": "<", "value": 1}, True),
        ({"tag": "vip"}, True),
        ({"tag": "VIP"}, False),
        ({"combinator": "and", "rules": []}, True),
        ({"combinator": "or", "not": True, "rules": []}, False),
    ],
)
def test_other_terms(ada: Callable[[dict[str, Any]], bool], rule: dict[str, Any], expected: bool) -> None:
    assert ada(rule) is expected


@pytest.mark.parametrize(
    ("amounts", "sum_", "average"),
    [
        ([0.1, 0.2], 0.3, 0.15),
        ([0.1] * 10, 1, 0.1),
        ([1.00005, -0.00005], 1, 0.5),
        ([10**11] * 3 + [-(10**11)] * 3 + [0.01], 0.01, None),
        ([10**11, 10**11 + 1, 2**53, 1e300, "5", True, None, [1], {"a": 1}], 10**11, 10**11),
        ([3, 4, 4], 11, None),
    ],
)
def test_amounts_add_up_exactly_whatever_is_stored(db: Database, amounts: list[Any], sum_: float, average: float | None) -> None:
    person = {"columns": {"created_at": AS_OF}, "attributes": {}, "tags": (), "consents": {}, "scores": {}}
    happened = [("Order Completed", {"total": amount}, AS_OF - timedelta(minutes=number)) for number, amount in enumerate(amounts)]
    with db.write() as session:
        _store(session, "ada", {**person, "events": happened})
    asked = [("sum", sum_)] + ([] if average is None else [("average", average)])
    with db.read() as session:
        for of, value in asked:
            for operator, expected in (("=", True), ("!=", False), (">=", True), ("<=", True), (">", False), ("<", False)):
                aggregate = {"of": of, "field": "total", "operator": operator, "value": value}
                rule = parse_rule({"event": "Order Completed", "aggregate": aggregate})
                assert holds(rule, _facts({**person, "events": happened}, None), AS_OF) is expected
                assert holds(rule, SqlFacts(session, "ada", as_of=AS_OF), AS_OF) is expected
                assert (_ids(session, sql.expression(rule, AS_OF)) == {"ada"}) is expected, (of, operator)


def test_no_history_is_too_large_to_be_added_up(db: Database) -> None:
    """More parts than 64 bits hold: 12,000 of the largest amounts."""
    row = {"contact_id": "ada", "type": "track", "name": "Sold", "context": {}, "source": "t", "occurred_at": AS_OF, "received_at": AS_OF}
    rows = [
        {**row, "properties": {"total": 10**11}, "message_id": str(number), "hops": 0, "routed": True, "backfill": False}
        for number in range(12_000)
    ]
    with db.write() as session:
        session.add(Contact(id="ada", created_at=AS_OF, updated_at=AS_OF))
        session.flush()
        session.execute(table(Event).insert(), rows)
    with db.read() as session:
        for of, value in (("sum", 12 * 10**14), ("average", 10**11)):
            rule = parse_rule({"event": "Sold", "aggregate": {"of": of, "field": "total", "operator": "=", "value": value}})
            assert sql.count(session, rule, AS_OF) == 1
            assert holds(rule, SqlFacts(session, "ada", as_of=AS_OF), AS_OF)


def test_only_the_named_parts_of_a_context_are_asked(db: Database) -> None:
    with db.write() as session:
        session.add(Contact(id="ada", created_at=AS_OF, updated_at=AS_OF))
        session.flush()
        context = {"campaign": {"source": "news"}, "ip": "203.0.113.7"}
        said = {"context": {"ip": "a property"}, "campaign": {"source": "other"}}
        append_event(session, "ada", "track", "Signed Up", said, AS_OF, context=context)
    for name, value, expected in (
        ("context.campaign.source", "news", True),
        ("campaign.source", "other", True),
        ("context.ip", "203.0.113.7", False),
        ("context.ip", "a property", True),
    ):
        rule = parse_rule({"event": "Signed Up", "where": {"field": name, "operator": "=", "value": value}})
        with db.read() as session:
            assert holds(rule, SqlFacts(session, "ada", as_of=AS_OF), AS_OF) is expected, name
            assert (sql.count(session, rule, AS_OF) == 1) is expected, name


def test_a_page_leaves_out_the_merged_and_the_erased(db: Database) -> None:
    with db.write() as session:
        for number in range(5):
            session.add(Contact(id=f"c{number}", created_at=AS_OF, updated_at=AS_OF, attributes={"plan": "pro"}))
        session.add(Contact(id="c5", created_at=AS_OF, updated_at=AS_OF, merged_into="c0", attributes={"plan": "pro"}))
        session.add(Contact(id="c6", created_at=AS_OF, updated_at=AS_OF, erased_at=AS_OF, attributes={"plan": "pro"}))
    rule = parse_rule({"field": "plan", "operator": "=", "value": "pro"})
    with db.read() as session:
        assert sql.count(session, rule, AS_OF) == 5
        assert sql.page(session, rule, AS_OF, limit=3) == ["c0", "c1", "c2"]
        assert sql.page(session, rule, AS_OF, "c2", limit=3) == ["c3", "c4"]


@pytest.mark.parametrize(
    "rule",
    [
        {"field": "trigger.total", "operator": ">", "value": 1},
        {"event": "Order Completed", "since_entry": True},
        {"rules": [{"message": "opened", "node": "welcome1"}]},
    ],
)
def test_many_contacts_cannot_be_asked_about_a_run(rule: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as error:
        sql.expression(parse_rule(rule), AS_OF)
    assert error.value.issues[0].code == "rule.needs_run"


def test_the_largest_rules_can_be_asked(db: Database) -> None:
    """Within the limits of parsing, no rule is too much for a database: parameters, depth of expressions, number of subqueries."""
    wide = [{"field": f"f{number}", "operator": "in", "value": list(range(25))} for number in range(199)]
    long = [{"field": "plan", "operator": "in", "value": [f"v{number}" for number in range(1_000)]}] * 5
    asked = [{"event": "Order Completed", "within": "P3D", "where": {"rules": [{"field": "total", "operator": ">", "value": 1}]}}] * 60
    steps = [{"event": "Order Completed", "within": "P1D", "where": {"rules": [{"field": "total", "operator": ">", "value": 1}]}}] * 5
    climbing = [{"sequence": steps, "within": "P9D"}] * 9
    summed = [{"event": "Order Completed", "aggregate": {"of": "average", "field": "total", "value": 1}}] * 199
    deep: dict[str, Any] = {"tag": "vip"}
    for _ in range(10):
        deep = {"not": True, "rules": [deep]}
    with db.write() as session:
        session.add(Contact(id="ada", created_at=AS_OF, updated_at=AS_OF, attributes={"f0": 3}))
    with db.read() as session:
        found = [
            sql.count(session, parse_rule({"combinator": "or", "rules": rules}), AS_OF)
            for rules in (wide, long, asked, climbing, summed, deep["rules"])
        ]
    assert found == [1, 0, 0, 0, 0, 1]


@pytest.mark.parametrize(
    "rule",
    [
        {"event": "Order Completed", "within": "P3D"},
        {"event": "Order Completed", "within": "P3D", "aggregate": {"of": "sum", "field": "total", "value": 1}},
        {"event": "Order Completed", "within": "P3D", "aggregate": {"of": "last", "field": "total", "value": 1}},
        {"event": "Order Completed", "within": "P3D", "aggregate": {"of": "distinct", "field": "total", "value": 1}},
        {"sequence": [{"event": "Order Completed"}, {"event": "Page Viewed"}], "within": "P3D"},
    ],
)
def test_an_event_rule_uses_the_index_of_events(sqlite_db: Database, rule: Any) -> None:
    rule = parse_rule(rule)
    with sqlite_db.read() as session:
        statement = select(table(Contact).c.id).where(sql.expression(rule, AS_OF))
        text = str(statement.compile(session.get_bind(), compile_kwargs={"literal_binds": True}))
        plan = " ".join(row[3] for row in session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {text}"))
    assert "ix_event_contact_name (contact_id=? AND name=? AND occurred_at>? AND occurred_at<?)" in plan


def test_a_page_of_the_living_is_read_by_the_key(sqlite_db: Database) -> None:
    """Nearly everybody is merged into nobody: SQLite must not look for them by the index of those who are."""
    with sqlite_db.read() as session:
        for wanted in (select(table(Contact).c.id).where(table(Contact).c.id > "a"), select(table(Contact).c.id).limit(9)):
            text = (
                wanted.where(sql.living()).order_by(table(Contact).c.id).compile(session.get_bind(), compile_kwargs={"literal_binds": True})
            )
            plan = " ".join(row[3] for row in session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {text}"))
            assert "sqlite_autoindex_contact_1" in plan
            assert "TEMP B-TREE" not in plan
        merged = session.connection().exec_driver_sql("EXPLAIN QUERY PLAN SELECT id FROM contact WHERE merged_into = 'a'").one()[3]
        assert "ix_contact_merged_into" in merged


def test_an_address_is_found_by_its_index(sqlite_db: Database) -> None:
    rule = parse_rule({"field": "email", "operator": "=", "value": "ada@example.org"})
    with sqlite_db.read() as session:
        text = str(
            select(table(Contact).c.id)
            .where(sql.expression(rule, AS_OF))
            .compile(session.get_bind(), compile_kwargs={"literal_binds": True})
        )
        plan = " ".join(row[3] for row in session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {text}"))
    assert "ix_contact_email (email=?" in plan


# --- SqlFacts ----------------------------------------------------------------------------------------------------


def test_facts_know_the_contact_and_the_run(db: Database) -> None:
    run = RunInfo(id="run1", contact_id="ada", journey="w", started_at=AS_OF, trigger={"cart": {"id": "c1"}})
    with db.write() as session:
        contact = Contact(
            id="ada",
            email="ada@example.org",
            phone="+41790000000",
            locale="de",
            timezone="Europe/Zurich",
            created_at=AS_OF,
            updated_at=AS_OF,
        )
        session.add(contact)
    with db.read() as session:
        facts = SqlFacts(session, "ada", run, as_of=AS_OF)
        assert (facts.email, facts.phone, facts.locale, facts.timezone) == ("ada@example.org", "+41790000000", "de", "Europe/Zurich")
        assert facts.value("created_at") == "2026-03-29T01:30:00.000000Z"
        assert facts.value("trigger.cart.id") == "c1"
        assert facts.value("trigger.cart.other") is None
        assert facts.value("nothing.at.all") is None
        assert (facts.consent("email", "marketing"), facts.score("fit"), facts.has_tag("vip")) == (None, 0.0, False)


def test_facts_of_nobody(db: Database) -> None:
    with db.read() as session, pytest.raises(NotFound):
        SqlFacts(session, "nobody", as_of=AS_OF).value("email")


def test_facts_read_little(db: Database) -> None:
    """One SELECT for the contact, one for all scores; the same event term is not counted twice at one instant."""
    from sqlalchemy import event as listen

    with db.write() as session:
        session.add(Contact(id="ada", created_at=AS_OF, updated_at=AS_OF))
    said: list[str] = []
    listen.listen(db.engine, "before_cursor_execute", lambda *args: said.append(args[2]))
    rule = parse_rule(
        {
            "rules": [
                {"field": "plan", "operator": "null"},
                {"field": "email", "operator": "null"},
                {"score": "fit", "operator": "<", "value": 1},
                {"score": "other", "operator": "<", "value": 1},
                {"event": "Order Completed", "did": False},
            ]
        }
    )
    with db.read() as session:
        facts = SqlFacts(session, "ada", as_of=AS_OF)
        assert holds(rule, facts, AS_OF)
        assert all(row["result"] for row in explain(rule, facts, AS_OF))
    assert len([text for text in said if text.startswith("SELECT")]) == 3


def test_true_and_one_are_different_questions(db: Database) -> None:
    """They are equal to Python, so a cache by equality would mix them up."""
    with db.write() as session:
        session.add(Contact(id="ada", created_at=AS_OF, updated_at=AS_OF))
        session.flush()
        session.add(Event(contact_id="ada", name="Set", properties={"on": True}, message_id="1", occurred_at=AS_OF, received_at=AS_OF))
    with db.read() as session:
        facts = SqlFacts(session, "ada", as_of=AS_OF)
        asked = [{"event": "Set", "where": {"rules": [{"field": "on", "operator": "=", "value": value}]}} for value in (True, 1, 1.0)]
        assert [holds(parse_rule(rule), facts, AS_OF) for rule in asked] == [True, False, False]


def test_owners_and_working_hours_come_from_the_workspace(db: Database) -> None:
    with db.write() as session:
        session.add(Member(id="m1", name="Eva", email="eva@example.org", created_at=AS_OF, absent_until=AS_OF + timedelta(days=1)))
        session.add(Member(id="m2", name="Max", email="max@example.org", created_at=AS_OF))
        session.add(Rotation(pool="sales", name="Sales", members=["m1", "m2"]))
        session.add(Contact(id="ada", created_at=AS_OF, updated_at=AS_OF))
        hours = {"zone": "Europe/Vienna", "hours": {"0": ["09:00", "16:00"]}, "days_off": ["2026-12-25"]}
        session.add(WorkspaceSetting(name="calendar", value=hours, updated_at=AS_OF))
    with db.read() as session:
        facts = SqlFacts(session, "ada", as_of=AS_OF)
        assert facts.next_owner("sales") == "m2"
        assert facts.next_owner("nobody") is None
        assert facts.calendar().zone == "Europe/Vienna"
        assert list(facts.calendar().hours) == [0]
        assert facts.calendar().days_off == {"2026-12-25"}


def test_an_event_spelt_like_one_of_ours_counts_for_nobody(db: Database) -> None:
    """Not in a rule asked of one contact, nor in one asked of all; ours does."""
    rule = parse_rule({"message": "opened"})
    with db.write() as session:
        for id, type in (("forged", "track"), ("opened", "system")):
            session.add(Contact(id=id, attributes={}, created_at=AS_OF, updated_at=AS_OF))
            session.flush()
            session.add(Event(contact_id=id, type=type, name="Message Opened", message_id=id, occurred_at=AS_OF, received_at=AS_OF))
    with db.read() as session:
        assert [holds(rule, SqlFacts(session, id, as_of=AS_OF), AS_OF) for id in ("forged", "opened")] == [False, True]
        assert sql.page(session, rule, AS_OF) == ["opened"]
