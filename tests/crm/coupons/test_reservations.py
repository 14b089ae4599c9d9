"""Who gets which code: each code once, however many take at the same time; kept when in doubt, given back when it never left."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlmodel import select

from crm.coupons import pools, reservations
from crm.coupons.reservations import PATIENCE, Exhausted
from crm.people.merge import merge
from crm.privacy.erasure import erase
from crm.privacy.export import export
from models import Contact, Coupon, CouponPool, Database, Journey, Message, Notice, Run, Version

CODES = [f"CODE-{n:03}" for n in range(40)]


@pytest.fixture(name="pool")
def fixture_pool(db: Database, now: datetime) -> Callable[..., None]:
    def make(**about: Any) -> None:
        with db.write() as session:
            pools.put(session, "spring", "test", now, **{"name": "Spring", "low_at": 0, **about})

    make()
    pools.add_codes(db, "spring", CODES, "test")
    return make


@pytest.fixture(name="person")
def fixture_person(db: Database, now: datetime) -> Callable[[str], str]:
    def person(id: str) -> str:
        with db.write() as session:
            session.add(Contact(id=id, created_at=now, updated_at=now))
        return id

    return person


@pytest.fixture(name="make_run")
def fixture_make_run(db: Database, now: datetime) -> Callable[..., Run]:
    def make(contact_id: str, **fields: Any) -> Run:
        with db.write() as session:
            if session.get(Journey, "j1") is None:
                session.add(Journey(id="j1", key="welcome", name="Welcome", state="live", created_at=now, updated_at=now))
                session.flush()
                session.add(Version(id="v1", journey_id="j1", number=1, digest="d", document={}, published_at=now))
                session.flush()
            about = {
                "journey_id": "j1",
                "version_id": "v1",
                "version_number": 1,
                "contact_id": contact_id,
                "started_at": now,
                "updated_at": now,
            }
            run = Run(**about, **fields)
            session.add(run)
        return run

    return make


@pytest.fixture(name="take")
def fixture_take(db: Database, now: datetime) -> Callable[..., str]:
    def take(message: str, contact: str, run: str = "r", at: datetime = now) -> str:
        return reservations.reserve(db, {"spring"}, message_id=message, run_id=run, contact_id=contact, now=at)["spring"]

    return take


def coupon(db: Database, code: str) -> Coupon:
    with db.read() as session:
        return session.scalars(select(Coupon).where(Coupon.code == code)).one()


def settle(db: Database, now: datetime) -> None:
    with db.write() as session:
        reservations.settle(session, now)


def test_a_message_keeps_its_code_and_another_gets_another(pool: Any, take: Any, person: Callable[[str], str], db: Database) -> None:
    anna = person("anna")
    assert [take("m1", anna), take("m1", anna), take("m2", anna)] == ["CODE-000", "CODE-000", "CODE-001"]
    row = coupon(db, "CODE-000")
    assert (row.state, row.contact_id, row.message_id) == ("reserved", anna, "m1")


def test_nobody_gets_a_code_that_another_has_however_many_take_at_once(pool: Any, take: Any, person: Callable[[str], str]) -> None:
    people = [person(f"c{n}") for n in range(4)]
    wanted = [(f"m{n // 2}", people[n // 2 % 4]) for n in range(2 * len(CODES))]  # each message asks twice
    with ThreadPoolExecutor(8) as threads:
        given = list(threads.map(lambda one: (one[0], take(*one)), wanted))
    assert sorted({code for _, code in given}) == CODES
    assert len(set(given)) == len(CODES), "each message has one code"


def test_an_empty_pool_says_so_or_shows_its_text(pool: Any, take: Any, person: Callable[[str], str], now: datetime) -> None:
    anna = person("anna")
    pool(expires_at=now)
    with pytest.raises(Exhausted, match="coupon_expired"):
        take("m", anna)
    pool(expires_at=now + timedelta(seconds=1))
    for n in range(len(CODES)):
        take(f"m{n}", anna)
    with pytest.raises(Exhausted, match="coupon_none"):
        take("m", anna)
    pool(fallback="Ask us <for> it")
    assert take("m", anna) == "Ask us <for> it"


def test_where_everybody_has_one_code_they_keep_it(pool: Any, take: Any, person: Callable[[str], str]) -> None:
    pool(per_contact=True)
    anna, ben = person("anna"), person("ben")
    assert [take("m1", anna), take("m2", anna), take("m3", ben)] == ["CODE-000", "CODE-000", "CODE-001"]


FATES = [
    ("sent", True, False, "sent"),
    ("delivered", True, False, "sent"),
    ("uncertain", True, False, "sent"),
    ("bounced", True, False, "sent"),
    ("bounced", False, False, "free"),
    ("skipped", False, False, "free"),
    ("failed", False, False, "free"),
    ("claimed", False, True, "reserved"),
    ("held", False, False, "reserved"),
    ("held", False, True, "free"),
    ("held send_again", False, True, "reserved"),
    ("planned", False, True, "free"),
    ("", False, True, "free"),
    ("", False, False, "reserved"),
]
"""(status of the message, with its reason, empty for none yet; whether it was accepted; whether its run ended; state of the code afterwards)"""


def test_what_became_of_the_message_decides(
    pool: Any, take: Any, make_run: Callable[..., Run], person: Callable[[str], str], db: Database, now: datetime
) -> None:
    anna = person("anna")
    for n, (status, sent, ended, _) in enumerate(FATES):
        run = make_run(anna, ended_at=now if ended else None)
        take(f"m{n}", anna, run.id)
        if status:
            about = {"contact_id": anna, "channel": "email", "planned_at": now, "sent_at": now if sent else None}
            with db.write() as session:
                session.add(Message(id=f"m{n}", once_key=f"k{n}", status=status.split()[0], reason=status[5:], **about))

    def states() -> list[str]:
        return [coupon(db, CODES[n]).state for n in range(len(FATES))]

    settle(db, now + PATIENCE)
    at_once = [state if status not in ("held", "planned", "") else "reserved" for status, _, _, state in FATES]
    assert states() == at_once, "an attempt that has just begun may still make its message"
    settle(db, now + PATIENCE + timedelta(seconds=1))
    assert states() == [state for *_, state in FATES]
    assert {coupon(db, CODES[n]).contact_id for n, fate in enumerate(FATES) if fate[3] == "free"} == {None}


def test_who_keeps_one_code_keeps_it_when_a_message_is_skipped(
    pool: Any, take: Any, person: Callable[[str], str], db: Database, now: datetime
) -> None:
    pool(per_contact=True)
    anna = person("anna")
    take("m1", anna)
    with db.write() as session:
        session.add(Message(id="m1", once_key="k", contact_id=anna, channel="email", status="skipped", planned_at=now))
    settle(db, now)
    assert (coupon(db, "CODE-000").state, take("m2", anna)) == ("sent", "CODE-000")


def test_a_pool_that_runs_low_is_told_of_once_until_it_is_filled(
    pool: Any, take: Any, person: Callable[[str], str], db: Database, now: datetime
) -> None:
    def told() -> tuple[int, list[tuple[str, str]]]:
        with db.write() as session:
            reservations.watch_low(session, now)
            return len(session.scalars(select(Notice.id).where(Notice.topic == "coupons_low")).all()), reservations.low(session)

    pool(low_at=len(CODES))
    assert told() == (0, [])
    take("m1", person("anna"))
    assert told() == told() == (1, [("spring", "Spring")])
    pools.add_codes(db, "spring", ["MORE"], "test")
    assert told() == (1, [])
    with db.read() as session:
        assert reservations.turned(session) == []
        assert session.get_one(CouponPool, "spring").low_since is None


def test_a_code_moves_with_a_merge_is_exported_and_forgotten(
    pool: Any, take: Any, person: Callable[[str], str], db: Database, now: datetime
) -> None:
    anna, other = person("anna"), person("other")
    take("m1", other)
    with db.write() as session:
        merge(session, anna, other, now)
        assert [one["code"] for one in export(session, anna)["coupons"]] == ["CODE-000"]
        erase(session, anna, now, by="test")
    row = coupon(db, "CODE-000")
    assert (row.state, row.contact_id, row.message_id, row.run_id) == ("sent", None, None, None)
