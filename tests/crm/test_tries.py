"""Who has to wait after wrong tries: the pair locks, the member slows down, networks and the whole door hold floods; the known go on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func
from sqlmodel import select

from journeys.errors import TooMany
from models import Database, LoginFailure
from workspace import audit, login_attempts
from workspace.login_attempts import CODE, PASSWORD, Rule

KEYS = [b"k" * 32]
HOME, AWAY = "192.0.2.0/24", "198.51.100.0/24"


def fail(db: Database, who: str, network: str, at: datetime, rules: Mapping[str, Rule] = PASSWORD) -> float:
    """A wrong try; the seconds it had to wait instead, 0 where it was looked at."""
    try:
        with db.write() as session:
            one = login_attempts.begin(session, KEYS, login_attempts.keyed(KEYS, who), network, at, f"member:{who}", rules)
            login_attempts.note(session, one, "login", at)
    except TooMany as error:
        return error.retry_after_seconds
    return 0


def let_in(db: Database, who: str, network: str, at: datetime) -> None:
    with db.write() as session:
        one = login_attempts.begin(session, KEYS, login_attempts.keyed(KEYS, who), network, at, f"member:{who}")
        login_attempts.succeed(session, one)
        login_attempts.trust(session, KEYS, login_attempts.keyed(KEYS, who), network, at)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", ""),
        ("", ""),
    ],
)
def test_an_address_is_counted_with_its_network(address: str, network: str) -> None:
    assert login_attempts.network_of(address) == network


def test_a_pair_is_locked_and_nobody_else(db: Database, now: datetime) -> None:
    assert [fail(db, "grace", HOME, now) for _ in range(6)] == [0, 0, 0, 0, 0, 1]
    assert fail(db, "grace", AWAY, now) == 0
    assert fail(db, "ada", HOME, now) == 0


def test_strangers_from_many_networks_slow_a_member_down_by_a_minute_at_most(db: Database, now: datetime) -> None:
    waits, at = [], now
    for n in range(60):
        wait = fail(db, "grace", f"10.0.{n}.0/24", at)
        waits.append(wait)
        at += timedelta(seconds=wait)
        if wait:
            assert fail(db, "grace", f"10.0.{n}.0/24", at) == 0
    assert waits[:21] == [0] * 21
    assert max(waits) == 60, "and no longer, however long they go on"


def test_where_a_member_was_before_strangers_elsewhere_keep_nobody_out(db: Database, now: datetime) -> None:
    let_in(db, "grace", HOME, now)
    for n in range(30):
        fail(db, "grace", f"10.0.{n}.0/24", now)
    assert fail(db, "grace", AWAY, now) > 0
    assert fail(db, "grace", HOME, now) == 0
    let_in(db, "ada", HOME, now + timedelta(days=1))
    for n in range(100):
        fail(db, f"somebody {n}", HOME, now + timedelta(days=1))
    assert fail(db, "somebody", HOME, now + timedelta(days=1)) > 0, "the network is locked"
    assert fail(db, "ada", HOME, now + timedelta(days=1)) == 0, "but for who is known there"


def test_a_known_network_is_forgotten_after_a_quarter(db: Database, now: datetime) -> None:
    let_in(db, "grace", HOME, now)
    later = now + login_attempts.KNOWN_FOR
    for n in range(30):
        fail(db, "grace", f"10.0.{n}.0/24", later)
    assert fail(db, "grace", HOME, later) > 0


def test_an_account_of_ones_own_buys_no_guesses_at_others(db: Database, now: datetime) -> None:
    """A right log-in takes back its own try and nothing of what was failed before."""
    free = PASSWORD["network"].free
    for n in range(free):
        assert fail(db, f"somebody {n}", HOME, now) == 0
        if n == free // 2:
            let_in(db, "mallory", HOME, now)
    assert fail(db, "one more", HOME, now) == 0
    assert fail(db, "and one more", HOME, now) == 1
    let_in(db, "mallory", HOME, now)
    assert fail(db, "and one more", HOME, now) == 1


def test_a_network_and_the_door_forget_slowly(db: Database, now: datetime) -> None:
    free = PASSWORD["network"].free
    for n in range(free + 1):
        fail(db, f"somebody {n}", HOME, now)
    later = now + timedelta(minutes=10)
    assert [fail(db, f"other {n}", HOME, later) for n in range(12)] == [0] * 10 + [1, 1]


def test_a_flood_from_everywhere_makes_the_whole_door_pause(db: Database, now: datetime) -> None:
    answers = [fail(db, f"somebody {n}", f"10.0.{n}.0/24", now) for n in range(70)]
    free = PASSWORD["door"].free
    assert answers == [0] * (free + 1) + [1] * (70 - free - 1)
    at = now
    for n in range(60):
        at += timedelta(seconds=max(1, fail(db, f"more {n}", f"10.1.{n}.0/24", at)))
    assert fail(db, "x", "10.2.0.0/24", at) <= PASSWORD["door"].longest.total_seconds()


def test_a_flood_fills_neither_the_trail_nor_the_table(db: Database, now: datetime) -> None:
    at = now
    for n in range(200):
        fail(db, f"somebody {n}", f"10.{n // 250}.{n % 250}.0/24", at)
        at += timedelta(milliseconds=600)
    with db.read() as session:
        lines = audit.list_lines(session, limit=200)
        rows = session.scalar(select(func.count()).select_from(LoginFailure)) or 0
    assert len([line for line in lines if line.action == "login.flood"]) in (1, 2, 3)
    assert len(lines) <= PASSWORD["door"].free + 30
    assert rows <= 3 * (PASSWORD["door"].free + 60)


def test_codes_lock_a_member_wherever_they_come_from(db: Database, now: datetime) -> None:
    """Whoever gets to the code knows the password: known networks count for nothing, and the lock is a real one."""
    let_in(db, "grace", HOME, now)
    at, looked_at = now, 0
    for n in range(500):
        wait = fail(db, "grace", HOME if n % 2 else f"10.{n // 250}.{n % 250}.0/24", at, CODE)
        looked_at += not wait
        at += timedelta(seconds=wait)
        if at > now + timedelta(hours=2):
            break
    assert at > now + timedelta(hours=2)
    assert looked_at <= 10 + 11 + 4 * 2, "ten free ones, the doubling ones, four an hour"


def test_rows_are_swept_after_a_day_of_peace(db: Database, now: datetime) -> None:
    for n in range(20):
        fail(db, f"somebody {n}", HOME, now)
    fail(db, "grace", AWAY, now + timedelta(days=1, seconds=1))
    with db.read() as session:
        assert session.scalar(select(func.count()).select_from(LoginFailure)) == 4
