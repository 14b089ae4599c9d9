"""The catalogue without a database."""

from __future__ import annotations

from journeys.catalogue import ALIASES, EVENTS, Catalogue, EventSpec, FieldSpec, canonical_event
from journeys.rules.fields import CONTACT_COLUMNS

BUILT_IN = Catalogue.built_in()


def test_every_column_is_a_field_of_its_type() -> None:
    for name, kind in CONTACT_COLUMNS.items():
        spec = BUILT_IN.field(name)
        assert spec is not None
        assert spec.type == kind


def test_the_spec_is_built_in() -> None:
    completed = BUILT_IN.event("Order Completed")
    assert completed is not None
    assert completed.properties["total"] == "number"
    assert completed.properties["products"] == "list"
    assert BUILT_IN.event("Message Opened") is not None


def test_aliases_lead_to_known_events() -> None:
    assert set(ALIASES.values()) <= set(EVENTS)
    assert not set(ALIASES) & set(EVENTS)
    assert canonical_event("Placed Order") == "Order Completed"
    assert canonical_event("Order Completed") is None


def test_paths_below_objects_are_known() -> None:
    catalogue = BUILT_IN.with_fields(FieldSpec("address", "object"), FieldSpec("address.city", "string"), FieldSpec("plan", "string"))
    assert catalogue.field("address.city") == FieldSpec("address.city", "string")
    assert catalogue.field("address.geo.lat") == FieldSpec("address.geo.lat", "any")
    assert catalogue.field("plan.name") is None
    assert BUILT_IN.with_fields(FieldSpec("a.b", "string")).field("a") == FieldSpec("a", "object")


def test_texts_are_not_filled_with_fields_of_a_company() -> None:
    known = Catalogue.built_in()
    assert known.is_filled_in("first_name")
    assert not known.is_filled_in("company.name")
    assert known.with_fields(FieldSpec("company", "object")).is_filled_in("company.name")


def test_suggestions() -> None:
    catalogue = BUILT_IN.with_fields(FieldSpec("birthday", "date"))
    assert catalogue.suggest_field("brithday") == "birthday"
    assert catalogue.suggest_field("Last-Name") == "last_name"
    assert catalogue.suggest_field("qqq") is None
    assert catalogue.suggest_event("product added") == "Product Added"
    assert catalogue.suggest_event("purchase") == "Order Completed"


def test_more_events_add_to_what_is_built_in() -> None:
    catalogue = BUILT_IN.with_events(EventSpec("Order Completed", {"gift": "boolean"}, origin="learned"), EventSpec("New One", {}))
    completed = catalogue.event("Order Completed")
    assert completed is not None
    assert (completed.properties["gift"], completed.properties["total"], completed.origin) == ("boolean", "number", "built_in")
    assert catalogue.event("New One") is not None
    assert BUILT_IN.event("New One") is None
