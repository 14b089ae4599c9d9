from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event as sql_event
from sqlalchemy.orm import Session
from sqlmodel import select

from crm.consent import consent
from crm.people import duplicates, scores
from crm.people.identity import alias, find, resolve, resolve_batch, resolve_many
from crm.people.merge import merge
from crm.people.profile import update_fields
from journeys.errors import Invalid
from models import Contact, Database, Event, Identity, Merge, Score
from storage.events import append_event
from storage.identifiers import Name, Refused


def known(session: Session) -> dict[Name, str]:
    return {(row.kind, row.value): row.contact_id for row in session.scalars(select(Identity))}


def test_an_unknown_person_is_created_with_all_names(session: Session, now: datetime) -> None:
    found = resolve(session, [("anonymous_id", "a1"), ("email", "Anna@Example.org"), ("user_id", "u1")], now)
    assert found.created
    assert known(session) == dict.fromkeys([("anonymous_id", "a1"), ("email", "anna@example.org"), ("user_id", "u1")], found.contact_id)
    assert session.get_one(Contact, found.contact_id).email == "anna@example.org"
    again = resolve(session, [("user_id", "u1")], now)
    assert (again.contact_id, again.created) == (found.contact_id, False)


def test_logging_in_joins_the_anonymous_visitor(session: Session, now: datetime) -> None:
    visitor = resolve(session, [("anonymous_id", "a1")], now).contact_id
    append_event(session, visitor, "track", "Product Viewed", {}, now)
    user = resolve(session, [("user_id", "u1")], now).contact_id
    found = resolve(session, [("user_id", "u1"), ("anonymous_id", "a1")], now)
    assert (found.contact_id, found.merged) == (user, [visitor])
    assert session.get_one(Contact, visitor).merged_into == user
    assert [event.contact_id for event in session.scalars(select(Event).where(Event.name == "Product Viewed"))] == [user]


def test_a_new_user_id_is_given_to_the_visitor(session: Session, now: datetime) -> None:
    visitor = resolve(session, [("anonymous_id", "a1")], now).contact_id
    found = resolve(session, [("user_id", "u1"), ("anonymous_id", "a1")], now)
    assert (found.contact_id, found.created, found.merged) == (visitor, False, [])


def test_two_users_on_one_device_stay_two(session: Session, now: datetime) -> None:
    one = resolve(session, [("user_id", "u1"), ("anonymous_id", "a1")], now).contact_id
    two = resolve(session, [("user_id", "u2"), ("anonymous_id", "a1")], now)
    assert two.contact_id != one
    assert two.merged == []
    assert find(session, ("anonymous_id", "a1")) == one
    assert resolve(session, [("user_id", "u2"), ("anonymous_id", "a1")], now).contact_id == two.contact_id


def test_an_address_that_two_users_share_does_not_merge_them(session: Session, now: datetime) -> None:
    one = resolve(session, [("user_id", "u1"), ("email", "family@example.org")], now).contact_id
    two = resolve(session, [("user_id", "u2"), ("email", "family@example.org")], now).contact_id
    assert one != two
    assert find(session, ("email", "family@example.org")) is None


def test_a_subscriber_who_registers_is_the_same_person(session: Session, now: datetime) -> None:
    subscriber = resolve(session, [("email", "anna@example.org")], now).contact_id
    user = resolve(session, [("user_id", "u1")], now).contact_id
    found = resolve(session, [("user_id", "u1"), ("email", "anna@example.org")], now)
    assert (found.contact_id, found.merged) == (user, [subscriber])


def test_a_shared_device_does_not_join_two_addresses(session: Session, now: datetime) -> None:
    anna = resolve(session, [("email", "anna@example.org"), ("anonymous_id", "a1")], now).contact_id
    bert = resolve(session, [("email", "bert@example.org"), ("anonymous_id", "a1")], now)
    assert bert.contact_id != anna
    assert bert.merged == []
    user = resolve(session, [("user_id", "u1"), ("email", "carl@example.org"), ("anonymous_id", "a1")], now)
    assert user.contact_id not in (anna, bert.contact_id)


def test_a_user_may_change_the_address(session: Session, now: datetime) -> None:
    user = resolve(session, [("user_id", "u1"), ("email", "old@example.org")], now).contact_id
    found = resolve(session, [("user_id", "u1"), ("email", "new@example.org")], now)
    assert (found.contact_id, found.created) == (user, False)
    assert find(session, ("email", "new@example.org")) == find(session, ("email", "old@example.org")) == user


def test_ids_of_one_shop_system_tell_people_apart(session: Session, now: datetime) -> None:
    one = resolve(session, [("external:shop", "1"), ("email", "a@example.org")], now).contact_id
    two = resolve(session, [("external:shop", "2"), ("email", "a@example.org")], now).contact_id
    assert one != two
    crm = resolve(session, [("external:crm", "9"), ("email", "a@example.org")], now).contact_id
    assert crm not in (one, two), "the address does not say which of the two"


def test_colleagues_with_one_switchboard_stay_several(session: Session, now: datetime) -> None:
    board = ("phone", "+41 44 668 18 00")
    found = resolve_many(session, [[("email", f"{name}@work.example"), board] for name in ("ada", "ben", "cem")], now)
    assert len(set(found)) == 3
    assert {session.get_one(Contact, str(id)).phone for id in found} == {"+41446681800"}
    assert find(session, board) is None
    alone = resolve(session, [board], now)
    assert alone.created
    assert alone.contact_id not in found
    assert not [row for row in session.scalars(select(Identity)) if row.kind == "phone"]


def test_who_was_known_by_a_number_before_is_not_found_by_it_any_more(session: Session, now: datetime) -> None:
    """Rows from before stay as they are."""
    old = resolve(session, [("user_id", "u1")], now).contact_id
    session.add(Identity(kind="phone", value="+41446681800", contact_id=old, created_at=now))
    session.flush()
    new = resolve(session, [("user_id", "u2"), ("phone", "+41446681800")], now)
    assert (new.created, new.merged) == (True, [])
    assert resolve(session, [("phone", "+41446681800"), ("anonymous_id", "a1")], now).contact_id != old


def test_a_shared_address_alone_means_its_own_contact_and_joins_nobody(session: Session, now: datetime) -> None:
    family = ("email", "family@example.org")
    one, two = (resolve(session, [("user_id", id), family], now).contact_id for id in ("u1", "u2"))
    third = resolve(session, [family], now)
    assert third.contact_id not in (one, two)
    assert session.get_one(Contact, third.contact_id).email == "family@example.org"
    assert resolve(session, [family], now).contact_id == find(session, family) == third.contact_id, "always the same"
    for id, contact in (("u1", one), ("u2", two)):
        found = resolve(session, [("user_id", id), family], now)
        assert (found.contact_id, found.merged) == (contact, []), "the id says who"
    resolve(session, [("user_id", "u1"), ("anonymous_id", "a1")], now)
    again = resolve(session, [family, ("anonymous_id", "a1")], now)
    assert (again.contact_id, again.merged) == (one, []), "so does a device"


@pytest.mark.parametrize("order", [("field", "id"), ("id", "field")])
def test_an_address_is_shared_however_it_came_to_be(session: Session, now: datetime, order: tuple[str, str]) -> None:
    """Written as a field of somebody who has an id, or had by somebody who gets an id later."""
    first = resolve(session, [("user_id", "u1"), ("email", "family@example.org")], now).contact_id
    second = resolve(session, [("anonymous_id", "a2")], now).contact_id
    for step in order:
        if step == "field":
            update_fields(session, second, {"email": "family@example.org"}, now, "test")
        else:
            resolve(session, [("anonymous_id", "a2"), ("user_id", "u2")], now)
    assert find(session, ("email", "family@example.org")) is None
    merge(session, first, second, now)
    assert find(session, ("email", "family@example.org")) == first, "one person again"


def test_a_pair_that_is_not_the_same_person_is_merged_by_no_call(session: Session, now: datetime) -> None:
    visitor = resolve(session, [("anonymous_id", "a1")], now).contact_id
    user = resolve(session, [("user_id", "u1")], now).contact_id
    duplicates.keep_apart(session, visitor, user, "m1", now)
    found = resolve(session, [("user_id", "u1"), ("anonymous_id", "a1")], now)
    assert (found.contact_id, found.merged) == (user, [])
    third = resolve(session, [("anonymous_id", "a3")], now).contact_id
    merge(session, third, visitor, now)
    assert resolve(session, [("user_id", "u1"), ("anonymous_id", "a1")], now).merged == [], "nor is who that person became"
    assert alias(session, ("anonymous_id", "a1"), ("user_id", "u1"), now).merged == [third], "an alias says so on purpose"


def test_duplicates_are_suggested_boundedly(session: Session, now: datetime) -> None:
    board = ("phone", "+41446681800")
    ids = [str(id) for id in resolve_many(session, [[("user_id", f"u{n}"), board] for n in range(9)], now)]
    pairs = duplicates.page(session, limit=200).pairs
    eldest = sorted(ids)[: duplicates.MOST + 1]
    assert len(pairs) == 3 * 6 + 3, "each with the three eldest who have the number"
    assert all(pair.one.id in eldest and pair.reason == "phone" for pair in pairs)
    of_last = duplicates.page(session, contact_id=max(ids)).pairs
    assert [pair.other.id for pair in of_last] == [max(ids)] * duplicates.MOST
    duplicates.keep_apart(session, of_last[0].one.id, max(ids), "m1", now)
    update_fields(session, max(ids), {"phone": None}, now, "test")
    assert duplicates.page(session, contact_id=max(ids)).pairs == [], "nothing in common any more"
    update_fields(session, max(ids), {"phone": "+41446681800"}, now, "test")
    assert len(duplicates.page(session, contact_id=max(ids)).pairs) == duplicates.MOST - 1, "what was decided is not asked again"


def test_the_surer_reason_is_kept(session: Session, now: datetime) -> None:
    both = [str(resolve(session, [("user_id", id), ("phone", "+41446681800")], now).contact_id) for id in ("u1", "u2")]
    for reason, field in (("phone", None), ("email", {"email": "family@example.org"}), ("email", {"phone": "+41446681801"})):
        for id in both:
            update_fields(session, id, field or {}, now, "test")
        assert [pair.reason for pair in duplicates.page(session).pairs] == [reason]


def test_ids_of_another_system_join_by_the_address(session: Session, now: datetime) -> None:
    shop = resolve(session, [("external:shop", "1"), ("email", "a@example.org")], now).contact_id
    assert resolve(session, [("external:crm", "9"), ("email", "a@example.org")], now).contact_id == shop


def test_an_alias_merges_what_a_call_would_not(session: Session, now: datetime) -> None:
    one = resolve(session, [("user_id", "old")], now).contact_id
    two = resolve(session, [("user_id", "new")], now).contact_id
    found = alias(session, ("user_id", "old"), ("user_id", "new"), now)
    assert (found.contact_id, found.merged) == (two, [one])
    assert find(session, ("user_id", "old")) == two
    assert alias(session, ("user_id", "old"), ("user_id", "new"), now).merged == []
    assert session.scalars(select(Merge)).one().reason == "alias"


def test_bad_names_are_recorded_not_raised(session: Session, now: datetime) -> None:
    found = resolve(session, [("user_id", "u1"), ("email", "nonsense"), ("anonymous_id", "null")], now)
    assert found.refused == [Refused("email", "invalid_email"), Refused("anonymous_id", "placeholder")]
    assert set(known(session)) == {("user_id", "u1")}
    with pytest.raises(Invalid) as raised:
        resolve(session, [("email", "nonsense")], now)
    assert "nonsense" not in str(raised.value)
    assert resolve_batch(session, [[("user_id", "undefined")], []], now) == [None, None]


def test_a_batch_is_as_if_one_after_the_other(session: Session, now: datetime) -> None:
    calls: list[list[Name]] = [
        [("anonymous_id", "a1")],
        [("anonymous_id", "a2")],
        [("user_id", "u1"), ("anonymous_id", "a1")],
        [("user_id", "u1"), ("anonymous_id", "a2")],
        [("user_id", "u2"), ("anonymous_id", "a1")],
        [("anonymous_id", "a2")],
    ]
    found = resolve_many(session, calls, now)
    assert found[0] == found[1] == found[2] == found[3] == found[5]
    assert found[4] not in (None, found[0])


@pytest.mark.parametrize("size", [10, 400])
def test_a_batch_takes_the_same_number_of_statements_whatever_its_size(sqlite_db: Database, now: datetime, size: int) -> None:
    statements: list[str] = []
    sql_event.listen(sqlite_db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    calls = [[("user_id", f"u{number}"), ("anonymous_id", f"a{number}")] for number in range(size)]
    with sqlite_db.write() as session:
        resolve_many(session, calls, now)
        created, statements[:] = len(statements), []
        resolve_many(session, calls, now)
        assert len(statements) == 1
    assert created <= 9  # two ask which segments and which scoring models there are


@pytest.mark.parametrize("names", [[("user_id", "u1"), ("anonymous_id", "a1")], [("anonymous_id", "a1"), ("email", "x@example.org")]])
def test_two_processes_that_see_a_person_at_once_create_one(db: Database, now: datetime, names: list[Name]) -> None:
    """PostgreSQL: both find nobody, both insert, one waits for the other and then takes what is there. SQLite lets one in at a time."""
    found: list[Any] = []
    barrier = threading.Barrier(4)

    def work(number: int) -> None:
        barrier.wait()
        with db.write() as session:
            found.append(resolve(session, [*names, ("external:w", "1")], now).contact_id)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found) == 4
    with db.read() as session:
        assert len(session.scalars(select(Contact)).all()) == 1


def test_processes_that_merge_the_same_people_at_once_do_it_once(db: Database, now: datetime) -> None:
    with db.write() as session:
        for name in [("user_id", "u1"), ("anonymous_id", "a1"), ("email", "x@example.org")]:
            resolve(session, [name], now)
    finished: list[bool] = []
    barrier = threading.Barrier(4)

    def work() -> None:
        barrier.wait()
        with db.write() as session:
            resolve(session, [("user_id", "u1"), ("anonymous_id", "a1"), ("email", "x@example.org")], now)
        finished.append(True)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert finished == [True] * 4
    with db.read() as session:
        assert len(session.scalars(select(Merge)).all()) == 2
        assert len({row.contact_id for row in session.scalars(select(Identity))}) == 1


names = st.lists(
    st.one_of(
        st.tuples(st.just("user_id"), st.sampled_from(["u1", "u2", "u3"])),
        st.tuples(st.just("anonymous_id"), st.sampled_from(["a1", "a2", "a3"])),
        st.tuples(st.just("email"), st.sampled_from(["x@example.org", "y@example.org", "bad"])),
        st.tuples(st.just("phone"), st.sampled_from(["+41446681800", "+41446681801"])),
        st.tuples(st.just("external:shop"), st.sampled_from(["1", "2"])),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=st.lists(names, min_size=1, max_size=8), cut=st.integers(0, 8))
def test_whatever_calls_come_no_event_is_lost_and_no_two_users_become_one(
    sqlite_db: Database, now: datetime, calls: Sequence[list[Name]], cut: int
) -> None:
    """Each call stores an event, a score and a consent. Batches of any size give what single calls give."""
    with sqlite_db.engine.connect().execution_options(pfadwerk_write=True) as connection, Session(connection) as session:
        withdrawn = set()
        resolved = 0
        for batch in (calls[:cut], calls[cut:]):
            for number, found in enumerate(resolve_batch(session, batch, now)):
                if found is None:
                    continue
                resolved += 1
                append_event(session, found.contact_id, "track", "X", {}, now)
                scores.change_score(session, found.contact_id, "fit", 1, False, "", now)
                what = "withdrawn" if (number + cut) % 3 == 0 else "granted"
                consent.record_consent(
                    session, found.contact_id, "email", "marketing", what, now, evidence=consent.Evidence.DATED, source=f"{cut}{number}"
                )
                if consent.state(session, found.contact_id, "email", "marketing") == "withdrawn":
                    withdrawn.add(found.contact_id)
        _check(session, resolved, withdrawn)
        connection.rollback()


def _check(session: Session, resolved: int, withdrawn: set[str]) -> None:
    contacts = {row.id: row for row in session.scalars(select(Contact))}
    alive = {id for id, row in contacts.items() if row.merged_into is None}
    assert all(row.merged_into in alive for row in contacts.values() if row.merged_into), "a merge leads to somebody alive"
    holders = known(session)
    assert set(holders.values()) <= alive
    users: dict[str, set[str]] = {}
    for (kind, value), holder in holders.items():
        if kind in ("user_id", "external:shop"):
            users.setdefault(f"{holder}{kind}", set()).add(value)
    assert all(len(values) == 1 for values in users.values()), "different user ids are different people"
    events = [row for row in session.scalars(select(Event)) if row.name == "X"]
    assert len(events) == resolved
    assert {row.contact_id for row in events} <= alive
    assert sum(row.value for row in session.scalars(select(Score))) == resolved, "scores add up"
    for id in withdrawn:
        heir = contacts[id].merged_into or id
        assert consent.state(session, heir, "email", "marketing") == "withdrawn", "the stricter consent is kept"
