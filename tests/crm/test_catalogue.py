"""The workspace's catalogue: declared, learned, bounded."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from crm.catalogue import (
    TOPIC,
    Learner,
    Limits,
    declare_event,
    declare_field,
    declare_missing,
    forget_event,
    forget_field,
    learn,
    load_catalogue,
)
from journeys.catalogue import Catalogue, EventSpec, FieldSpec
from journeys.errors import Conflict, Invalid, NotFound
from models import Database
from storage.freshness import freshness

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def loaded(db: Database) -> Catalogue:
    with db.read() as session:
        return load_catalogue(session)


def number(db: Database) -> int:
    with db.read() as session:
        return freshness(session, TOPIC)


def test_an_empty_workspace_knows_what_is_built_in(db: Database) -> None:
    assert loaded(db) == Catalogue.built_in()
    assert number(db) == 0


def test_declare_and_forget(db: Database) -> None:
    with db.write() as session:
        declare_field(session, "plan", "string", NOW, title="Plan", values=("free", "pro"))
        declare_field(session, "plan", "string", NOW, title="Tariff", values=("free", "pro", "team"))
        declare_event(session, "Plan Chosen", {"plan": "string", "price.amount": "number"}, NOW)
    assert loaded(db).field("plan") == FieldSpec("plan", "string", "Tariff", "declared", ("free", "pro", "team"))
    chosen = loaded(db).event("Plan Chosen")
    assert chosen is not None
    assert chosen.properties == {"plan": "string", "price.amount": "number"}
    assert number(db) == 3
    with db.write() as session:
        forget_field(session, "plan")
        forget_event(session, "Plan Chosen")
    assert loaded(db) == Catalogue.built_in()
    assert number(db) == 5


@pytest.mark.parametrize(
    ("name", "kind", "error"),
    [
        ("email", "string", Conflict),
        ("plan", "text", Invalid),
        ("", "string", Invalid),
        ("a..b", "string", Invalid),
        ('pl"an', "string", Invalid),
        ("x" * 121, "string", Invalid),
    ],
)
def test_fields_that_cannot_be_declared(db: Database, name: str, kind: str, error: type[Exception]) -> None:
    with pytest.raises(error), db.write() as session:
        declare_field(session, name, kind, NOW)
    assert number(db) == 0


def test_events_that_cannot_be_declared(db: Database) -> None:
    for name, properties in [
        ("", {}),
        ("x" * 201, {}),
        ("x", {"a": "text"}),
        ("x", {"a..b": "string"}),
        ("x", {f"p{n}": "string" for n in range(201)}),
    ]:
        with pytest.raises(Invalid), db.write() as session:
            declare_event(session, name, properties, NOW)


def test_nothing_of_its_own_to_forget(db: Database) -> None:
    with db.write() as session:
        with pytest.raises(NotFound):
            forget_field(session, "email")
        with pytest.raises(NotFound):
            forget_event(session, "Order Completed")


def test_learning_keeps_types_and_never_values(db: Database) -> None:
    fields: dict[str, Any] = {
        "email": "ada@example.org",
        "plan": "pro",
        "age": 36,
        "vip": True,
        "since": "2026-03-01T09:30:00Z",
        "birthday": "2026-03-01",
        "interests": ["math"],
        "address": {"city": "Bern", "geo": {"lat": 1}},
        "nothing": None,
        'bad"name': 1,
    }
    with db.write() as session:
        assert learn(session, fields, {"Plan Chosen": {"plan": "pro", "cart": {"id": 1}}}, NOW)
    catalogue = loaded(db)
    learned = {name: spec.type for name, spec in catalogue.fields.items() if spec.origin == "learned"}
    assert learned == {
        "plan": "string",
        "age": "number",
        "vip": "boolean",
        "since": "datetime",
        "birthday": "date",
        "interests": "list",
        "address": "object",
        "address.city": "string",
        "address.geo": "object",
    }
    chosen = catalogue.event("Plan Chosen")
    assert chosen is not None
    assert chosen.properties == {"plan": "string", "cart": "object", "cart.id": "number"}
    assert not any(spec.values for spec in catalogue.fields.values() if spec.origin == "learned")


def test_the_same_again_changes_nothing(db: Database) -> None:
    for expected in (True, False):
        with db.write() as session:
            assert learn(session, {"plan": "pro"}, {"Plan Chosen": {"plan": "pro"}, "Order Completed": {"total": 5}}, NOW) is expected
    assert number(db) == 1


def test_another_type_blurs_what_was_learned_and_not_what_was_declared(db: Database) -> None:
    with db.write() as session:
        declare_field(session, "plan", "string", NOW)
        declare_event(session, "Plan Chosen", {"plan": "string"}, NOW)
        learn(session, {"size": 3}, {"Size Chosen": {"size": 3}}, NOW)
        learn(session, {"size": "XL", "plan": 3}, {"Size Chosen": {"size": "XL"}, "Plan Chosen": {"plan": 3}}, NOW)
    catalogue = loaded(db)
    assert [catalogue.fields[name].type for name in ("size", "plan")] == ["any", "string"]
    assert catalogue.events["Size Chosen"].properties == {"size": "any"}
    assert catalogue.events["Plan Chosen"].properties == {"plan": "string"}


def test_built_in_events_learn_what_the_spec_lacks(db: Database) -> None:
    with db.write() as session:
        learn(session, {}, {"Order Completed": {"total": "a text", "gift": True}}, NOW)
    completed = loaded(db).events["Order Completed"]
    assert (completed.properties["total"], completed.properties["gift"], completed.origin) == ("number", "boolean", "built_in")


def test_learning_ends_at_the_limits(db: Database) -> None:
    limits = Limits(fields=3, events=2, properties=2)
    with db.write() as session:
        for n in range(4):
            learn(session, {f"f{n}": 1, f"g{n}": 1}, {f"e{n}": {f"p{m}": 1 for m in range(4)}}, NOW, limits)
        assert not learn(session, {"h": 1}, {"i": {"x": 1}, "e0": {"q": 1}}, NOW, limits)
    catalogue = loaded(db)
    assert len(catalogue.fields) - len(Catalogue.built_in().fields) == 3
    assert len(catalogue.events) - len(Catalogue.built_in().events) == 2
    assert all(len(spec.properties) == 2 for name, spec in catalogue.events.items() if name in ("e0", "e1"))


def test_a_learner_offers_each_name_once(db: Database) -> None:
    learner = Learner()
    for expected in (True, False):
        learner.see_event("Plan Chosen", {"plan": "pro"})
        learner.see_fields({"plan": "pro"})
        with db.write() as session:
            assert learner.learn(session, NOW) is expected
    learner.see_fields({"plan": 3})
    with db.write() as session:
        assert learner.learn(session, NOW)
    assert loaded(db).fields["plan"].type == "any"
    assert "Plan Chosen" in loaded(db).events


def test_a_learner_is_bounded(db: Database) -> None:
    learner = Learner(limit=10)
    for n in range(100):
        learner.see_event(f"Event {n}", {"a": 1, "b": 2})
    with db.write() as session:
        assert learner.learn(session, NOW)
    assert len(loaded(db).events) - len(Catalogue.built_in().events) == 3


def test_what_is_missing_is_made_known_and_what_is_known_stays_as_it_is(db: Database) -> None:
    with db.write() as session:
        declare_field(session, "plan", "string", NOW, title="Tariff", values=("free",))
        declare_event(session, "Plan Chosen", {"plan": "string"}, NOW, title="Chosen")
        fields = [FieldSpec("plan", "number", "Plan"), FieldSpec("size", "number", "Size", values=(1, 2))]
        events = [EventSpec("Plan Chosen", {}, "Plan"), EventSpec("Plan Left", {"why": "string"}, "Left")]
        declare_missing(session, fields, events, NOW)
        known = load_catalogue(session)
    assert known.field("plan") == FieldSpec("plan", "string", "Tariff", "declared", ("free",))
    assert known.field("size") == FieldSpec("size", "number", "Size", "declared", (1, 2))
    assert known.event("Plan Chosen") == EventSpec("Plan Chosen", {"plan": "string"}, "Chosen", "declared")
    assert known.event("Plan Left") == EventSpec("Plan Left", {"why": "string"}, "Left", "declared")
