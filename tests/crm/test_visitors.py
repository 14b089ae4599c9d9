"""Calls that anybody can have made, below the interface: one by one as in a batch, on both databases, and each rule is needed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import event as sql_event
from sqlalchemy.orm import Session

from crm.consent.consent import Evidence, record_consent
from crm.consent.mailbox import says_no
from crm.people import visitors
from crm.people.identity import Plan, resolve, resolve_batch
from crm.people.merge import merge
from crm.people.profile import update_fields
from crm.people.visitors import FILLED, NEEDS_SERVER, fill_fields, is_empty, why_not
from models import Contact, Database
from storage.identifiers import Name
from tests.broken import copies

A, B = ("anonymous_id", "a"), ("anonymous_id", "b")
U, V = ("user_id", "u"), ("user_id", "v")
MAIL = ("email", "u@example.org")

SEQUENCES: dict[str, list[tuple[str, list[Name]]]] = {
    "a visitor registers": [("visitor", [A]), ("visitor", [U, MAIL, A]), ("visitor", [A])],
    "a stranger names a user": [
        ("server", [U, MAIL]),
        ("visitor", [U, B]),
        ("visitor", [B]),
        ("visitor", [U, ("email", "x@example.org"), B]),
    ],
    "a stranger knows an address": [("server", [U, MAIL]), ("visitor", [MAIL, B]), ("visitor", [V, MAIL, B])],
    "a name is taken in advance": [("visitor", [U, MAIL, B]), ("server", [U, MAIL]), ("visitor", [V, B]), ("visitor", [B])],
    "two users of one browser": [("visitor", [U, A]), ("visitor", [V, A]), ("visitor", [A])],
    "nothing but an address": [("visitor", [MAIL])],
    "the server joins them": [("visitor", [A]), ("visitor", [U, B]), ("server", [U, A])],
}


def same_people(found: list[str | None]) -> list[int | None]:
    """Contacts by the order of their appearance, so that two runs can be compared."""
    order = list(dict.fromkeys(found))
    return [None if one is None else order.index(one) for one in found]


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_batch_is_as_if_one_after_the_other(db: Database, now: datetime, name: str) -> None:
    calls = SEQUENCES[name]
    met: list[Any] = []
    for together in (True, False):
        with db.write() as session:
            batches = [calls] if together else [[call] for call in calls]
            found = []
            for batch in batches:
                by = {number for number, (who, _) in enumerate(batch) if who == "visitor"}
                found += resolve_batch(session, [names for _, names in batch], now, visitors=by)
            rows = [session.get_one(Contact, one.contact_id, populate_existing=True) if one else None for one in found]
            ids = [row and (row.merged_into or row.id) for row in rows]
            vouched = [session.get_one(Contact, id).vouched if id else None for id in ids]
            met.append((same_people(ids), vouched, [one and (one.own, [bad.kind for bad in one.refused]) for one in found]))
            session.rollback()
    assert met[0] == met[1]


@pytest.mark.parametrize("size", [10, 200])
def test_visitors_cost_the_same_number_of_statements_whatever_their_number(sqlite_db: Database, now: datetime, size: int) -> None:
    statements: list[str] = []
    sql_event.listen(sqlite_db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    calls: list[list[Name]] = [[("user_id", f"u{number}"), ("anonymous_id", f"a{number}")] for number in range(size)]
    with sqlite_db.write() as session:
        resolve_batch(session, calls, now, visitors=range(size))
        statements.clear()
        resolve_batch(session, calls, now, visitors=range(size))
    assert len(statements) == 1


def test_who_is_vouched_for_stays_so_through_a_merge(session: Session, now: datetime) -> None:
    (visitor,) = resolve_batch(session, [[A]], now, visitors={0})
    assert visitor is not None
    known = resolve(session, [U], now)
    merge(session, visitor.contact_id, known.contact_id, now)
    assert session.get_one(Contact, visitor.contact_id).vouched


def test_fields_that_cannot_be_stored_are_told_like_those_that_may_not(session: Session, now: datetime) -> None:
    (found,) = resolve_batch(session, [[U, A]], now, visitors={0})
    assert found is not None
    fields = {"timezone": "Mars/Base", "email": "no address", "plan": "pro", "phone": "+41441112233"}
    filled = fill_fields(session, found.contact_id, fields, now, "Web", own=found.own)
    assert filled.refused == {"timezone": "invalid_timezone", "email": "invalid_email"}
    assert filled.event is not None
    assert set(filled.event.properties["fields"]) == {"plan", "phone"}
    again = fill_fields(session, found.contact_id, fields, now, "Web", own=found.own)
    assert (again.event, again.refused) == (None, filled.refused)


def test_an_address_alone_means_nobody_and_makes_nobody(session: Session, now: datetime) -> None:
    resolve(session, [MAIL], now)
    assert resolve_batch(session, [[MAIL], [("external:shop", "7")]], now, visitors={0, 1}) == [None, None]


def test_a_no_that_was_said_before_stands_for_the_address_too(session: Session, now: datetime) -> None:
    (found,) = resolve_batch(session, [[A]], now, visitors={0})
    assert found is not None
    record_consent(session, found.contact_id, "email", "marketing", "withdrawn", now, evidence=Evidence.UNAUTHENTICATED, source="api")
    (again,) = resolve_batch(session, [[MAIL, A]], now, visitors={0})
    assert again is not None
    fill_fields(session, again.contact_id, {"email": MAIL[1]}, now, "Web", own=again.own)
    assert says_no(session, (b"k" * 32,), "email", "marketing", MAIL[1])


def test_who_gets_an_address_by_hand_is_vouched_for(session: Session, now: datetime) -> None:
    (found,) = resolve_batch(session, [[A]], now, visitors={0})
    assert found is not None
    update_fields(session, found.contact_id, {"plan": "pro"}, now, "by hand")
    assert not session.get_one(Contact, found.contact_id).vouched
    update_fields(session, found.contact_id, {"email": MAIL[1]}, now, "by hand")
    assert session.get_one(Contact, found.contact_id).vouched


@pytest.mark.parametrize(("value", "empty"), [(None, True), ("", True), ([], True), ({}, True), (0, False), (False, False), ("x", False)])
def test_what_is_empty(value: object, empty: bool) -> None:
    assert is_empty(value) is empty


FIELDS = {
    ("plan", "pro", True): FILLED,
    ("plan", None, False): None,
    ("email", "a@example.org", True): FILLED,
    ("email", None, False): NEEDS_SERVER,
    ("phone", "", False): NEEDS_SERVER,
    ("phone", None, True): None,
    ("postal_address", None, False): NEEDS_SERVER,
}
"""(field, what stands in it, whether the contact is the sender's own) -> why it may not be written."""


def keeps_fields(rule: Callable[..., str | None]) -> bool:
    return all(rule(name, present, own=own) == reason for (name, present, own), reason in FIELDS.items())


PEOPLE: list[tuple[dict[Name, str], set[str], list[Name], str | None]] = [
    ({}, set(), [U, A], None),
    ({A: "visitor"}, set(), [A], "visitor"),
    ({A: "visitor"}, set(), [U, A], "visitor"),
    ({A: "customer"}, {"customer"}, [A], "customer"),
    ({A: "customer"}, {"customer"}, [U, A], None),
    ({A: "other", V: "other"}, set(), [U, A], None),
    ({A: "visitor", U: "customer"}, set(), [U, A], "customer"),
    ({U: "customer"}, {"customer"}, [U, B], "customer"),
]
"""Who holds which name, who is vouched for, the ids of a call -> whom it means."""


def keeps_people(rule: Callable[..., str | None]) -> bool:
    for holders, vouched, names, meant in PEOPLE:
        plan = Plan(dict(holders), {id: {} for id in holders.values()}, vouched=set(vouched))
        for (kind, value), holder in holders.items():
            plan.held[holder].setdefault(kind, set()).add(value)
        if rule(plan, {name[0]: name for name in names}) != meant:
            return False
    return True


def test_the_rules_keep_their_tables() -> None:
    assert keeps_fields(why_not)
    assert keeps_people(visitors._meant)


@pytest.mark.parametrize(("rule", "keeps"), [(why_not, keeps_fields), (visitors._meant, keeps_people)], ids=["fields", "people"])
def test_each_rule_is_needed(rule: Callable[..., Any], keeps: Callable[..., bool]) -> None:
    broken = dict(copies(rule))
    assert broken
    for text, copy in broken.items():
        try:
            kept = keeps(copy)
        except KeyError:  # without it nobody is looked up
            kept = False
        assert not kept, f"nothing notices that this rule is gone: {text}"
