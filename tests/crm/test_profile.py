from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy.orm import Session

from crm.consent.consent import Evidence, record_consent
from crm.consent.mailbox import says_no
from crm.people import identity, profile
from journeys.errors import Invalid, NotFound, TooLarge
from models import Contact, Event
from storage.json_values import MAX_ATTRIBUTES


def update(session: Session, contact: str, now: datetime, **fields: Any) -> Event | None:
    return profile.update_fields(session, contact, fields, now, "api")


def test_columns_and_attributes_are_written_and_named(session: Session, contact: str, now: datetime) -> None:
    event = update(session, contact, now, firstName="Anna", email="Anna@Example.org", plan="pro", address={"city": "Bern"})
    row = session.get_one(Contact, contact)
    assert (row.first_name, row.email, row.attributes) == ("Anna", "anna@example.org", {"plan": "pro", "address": {"city": "Bern"}})
    assert event is not None
    assert event.name == "Contact Changed"
    assert event.properties["fields"] == ["first_name", "email", "address", "address.city", "plan"]
    assert event.source == "api"


def test_nothing_new_is_no_event(session: Session, contact: str, now: datetime) -> None:
    update(session, contact, now, plan="pro", since="2026-01-01T10:00:00+01:00", first_name="Anna")
    assert update(session, contact, now, plan="pro", since="2026-01-01T09:00:00Z", first_name="Anna", other=None) is None


def test_true_and_one_differ(session: Session, contact: str, now: datetime) -> None:
    update(session, contact, now, vip=1)
    assert update(session, contact, now, vip=True) is not None


def test_a_postal_address_comes_whole_or_in_parts_and_from_a_trait(session: Session, contact: str, now: datetime) -> None:
    def stored() -> str | None:
        return session.get_one(Contact, contact).postal_address

    update(session, contact, now, address={"city": "Bern", "country": "CH"})
    assert stored() is None, "where somebody is, by an IP address perhaps"
    said = {"street": "Weg 1", "city": "Bern", "postalCode": "3000", "country": "Switzerland"}
    event = update(session, contact, now, address=said)
    assert stored() == "| Weg 1 | | 3000 | Bern | | CH"
    assert session.get_one(Contact, contact).attributes["address"] == said, "rules and templates go on reading it"
    assert event is not None
    assert "postal_address" in event.properties["fields"]
    profile.update_fields(session, contact, {"postal_address.city": "Basel", "postal_address.name": "Ada"}, now, "api")
    assert stored() == "Ada | Weg 1 | | 3000 | Basel | | CH"
    event = update(session, contact, now, postal_address={"line1": "x" * 61})
    assert profile.check_fields({"postal_address": {"line1": "x" * 61}}).refused == {"postal_address": "too_long"}
    assert profile.check_fields({"postal_address.country": "Narnia"}).refused == {"postal_address": "invalid_postal_address"}
    update(session, contact, now, address={"street": ["x"], "city": "y"}, postal_address=None)
    assert stored() is None


def test_a_no_by_post_stands_for_the_new_address(session: Session, contact: str, now: datetime) -> None:
    keys = [b"k" * 32]
    record_consent(session, contact, "postcard", "marketing", "withdrawn", now, evidence=Evidence.DATED, source="letter")
    update(session, contact, now, first_name="Ada", postal_address={"line1": "Weg 1", "city": "Bern", "country": "CH"})
    assert says_no(session, keys, "postcard", "marketing", "ADA | weg 1 | | | Bern | | CH")
    assert not says_no(session, keys, "postcard", "marketing", "Bob | Weg 1 | | | Bern | | CH")


def test_none_clears(session: Session, contact: str, now: datetime) -> None:
    update(session, contact, now, first_name="Anna", plan="pro", address={"city": "Bern"})
    event = profile.update_fields(session, contact, {"first_name": None, "plan": None, "address.city": None}, now, "api")
    row = session.get_one(Contact, contact)
    assert (row.first_name, row.attributes) == (None, {})
    assert event is not None
    assert event.properties["fields"] == ["first_name", "address", "address.city", "plan"]


def test_a_change_says_from_what_to_what_where_that_is_short(session: Session, contact: str, now: datetime) -> None:
    update(session, contact, now, plan="trial", first_name="Anna", address={"city": "Bern"})
    event = update(session, contact, now, plan="pro", first_name=None, address={"city": "Basel"}, bio="x" * 201, tags_seen=["a"])
    assert event is not None
    assert event.properties["changes"] == {"first_name": ["Anna", None], "address.city": ["Bern", "Basel"], "plan": ["trial", "pro"]}


def test_a_dot_descends(session: Session, contact: str, now: datetime) -> None:
    update(session, contact, now, address={"city": "Bern", "zip": "3000"}, plan="pro")
    profile.update_fields(session, contact, {"address.city": "Basel", "group.id": "g1"}, now, "api")
    assert session.get_one(Contact, contact).attributes == {
        "address": {"city": "Basel", "zip": "3000"},
        "plan": "pro",
        "group": {"id": "g1"},
    }
    event = profile.update_fields(session, contact, {"plan.name": "x", "a": 1}, now, "api")
    assert event is not None
    assert event.properties == {"fields": ["a"], "changes": {"a": [None, 1]}, "refused": {"plan.name": "not_an_object"}}


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("email", "nobody", "invalid_email"),
        ("phone", "123", "invalid_phone"),
        ("timezone", "Mars/Base", "invalid_timezone"),
        ("locale", "!!", "invalid_locale"),
        ("first_name", ["a"], "wrong_type"),
        ("first_name", "x" * 201, "too_long"),
        ("created_at", "2026-01-01", "read_only"),
        ("k" * 121, 1, "too_long"),
        ("", 1, "no_name"),
        ("a..b", 1, "no_name"),
    ],
)
def test_what_cannot_be_stored_is_recorded_and_leaves_the_rest(
    session: Session, contact: str, now: datetime, name: str, value: Any, reason: str
) -> None:
    event = profile.update_fields(session, contact, {name: value, "plan": "pro"}, now, "api")
    assert event is not None
    assert event.properties == {"fields": ["plan"], "changes": {"plan": [None, "pro"]}, "refused": {name[:120]: reason}}
    assert session.get_one(Contact, contact).attributes == {"plan": "pro"}


def test_locales_get_one_spelling(session: Session, contact: str, now: datetime) -> None:
    update(session, contact, now, locale="DE_ch.UTF-8")
    assert session.get_one(Contact, contact).locale == "de-CH"


def test_a_contact_has_an_end(session: Session, contact: str, now: datetime) -> None:
    update(session, contact, now, old="x")
    event = update(session, contact, now, **{f"f{number:03}": number for number in range(600)})
    assert event is not None
    assert len(session.get_one(Contact, contact).attributes) == MAX_ATTRIBUTES
    assert set(event.properties["refused"].values()) == {"too_much"}
    assert update(session, contact, now, huge="x" * 70_000, old="y") is not None
    attributes = session.get_one(Contact, contact).attributes
    assert "huge" not in attributes
    assert attributes["old"] == "y"


def test_a_new_address_becomes_a_name_unless_another_has_it(session: Session, make_contact: Callable[..., str], now: datetime) -> None:
    one, two = make_contact("c1"), make_contact("c2")
    update(session, one, now, email="shared@example.org")
    update(session, two, now, email="shared@example.org")
    assert identity.find(session, ("email", "Shared@example.org")) == one
    assert session.get_one(Contact, two).email == "shared@example.org"


def test_tags_come_and_go_once(session: Session, contact: str, now: datetime) -> None:
    added = profile.add_tag(session, contact, " vip ", now)
    assert added is not None
    assert added.properties == {"fields": [], "tags_added": ["vip"]}
    assert profile.add_tag(session, contact, "vip", now) is None
    assert profile.tags(session, contact) == ["vip"]
    removed = profile.remove_tag(session, contact, "vip", now, hops=3)
    assert removed is not None
    assert (removed.properties, removed.hops) == ({"fields": [], "tags_removed": ["vip"]}, 3)
    assert profile.remove_tag(session, contact, "vip", now) is None


@pytest.mark.parametrize("tag", ["", "\x00", "x" * 121])
def test_a_tag_is_a_short_text(session: Session, contact: str, now: datetime, tag: str) -> None:
    with pytest.raises(Invalid, match="tag with 1 to 120"):
        profile.add_tag(session, contact, tag, now)


def test_tags_have_an_end(session: Session, contact: str, now: datetime) -> None:
    for number in range(profile.MAX_TAGS):
        profile.add_tag(session, contact, f"t{number}", now)
    with pytest.raises(TooLarge):
        profile.add_tag(session, contact, "one more", now)


def test_an_owner_is_a_field(session: Session, contact: str, now: datetime) -> None:
    event = profile.set_owner(session, contact, "m1", now)
    assert event is not None
    assert event.properties == {"fields": ["owner"], "changes": {"owner": [None, "m1"]}}
    assert profile.set_owner(session, contact, "m1", now) is None


def test_nobody_is_not_changed(session: Session, now: datetime) -> None:
    with pytest.raises(NotFound):
        update(session, "nobody", now, plan="pro")
