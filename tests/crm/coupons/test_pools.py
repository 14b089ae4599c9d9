"""Pools of coupon codes: filled by a list and by chance, counted, deleted only while nobody has a code."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlmodel import select

from crm.coupons import pools
from crm.coupons.pools import Added, Counted
from journeys.errors import Conflict, Invalid, NotFound, TooLarge
from models import Audit, Coupon, Database


@pytest.fixture(name="spring")
def fixture_spring(db: Database, now: datetime) -> str:
    with db.write() as session:
        pools.put(session, "spring", "test", now, name="Spring")
        return pools.put(session, "", "test", now, name="Spring").key


def codes_of(db: Database, key: str) -> list[str]:
    with db.read() as session:
        return [row.code for row in pools.exported(session, key, limit=1_000)]


def test_a_list_is_read_line_by_line_whatever_program_wrote_it() -> None:
    assert pools.read_codes("\ufeffCode;Value\r\n") == []
    assert pools.read_codes('code,value\nAAA-1,5\n"BBB-2",5\n\n  CCC_3;x\nAAA-1\tx\n') == ["AAA-1", "BBB-2", "CCC_3"]


@pytest.mark.parametrize("line", ["a b", "<b>", "ab", "x" * 65, "ÄÖÜ", "-ab", "=1+1", "{{ x }}"])
def test_a_line_that_is_no_code_is_named(line: str) -> None:
    with pytest.raises(Invalid, match="lines are no codes: 2"):
        pools.read_codes(f"AAA\n{line}\nBBB")


def test_a_list_has_a_limit() -> None:
    with pytest.raises(TooLarge):
        pools.read_codes("AAA\n" * (pools.MOST_AT_ONCE + 2))


def test_codes_are_added_once_in_whichever_pool(db: Database, spring: str) -> None:
    assert spring == "spring-2"
    assert pools.add_codes(db, "spring", ["AAA", "BBB"], "test") == Added(2, 0)
    assert pools.add_codes(db, "spring-2", ["BBB", "CCC"], "test") == Added(1, 1)
    assert (codes_of(db, "spring"), codes_of(db, "spring-2")) == (["AAA", "BBB"], ["CCC"])
    with db.read() as session:
        assert pools.counts(session) == {"spring": Counted(2), "spring-2": Counted(1)}
        assert "AAA" not in str(session.scalars(select(Audit.detail)).all())
    with pytest.raises(NotFound):
        pools.add_codes(db, "summer", ["DDD"], "test")


def test_made_codes_have_no_letters_that_look_alike_and_are_hard_to_guess(db: Database, spring: str) -> None:
    pools.generate(db, "spring", 700, "test", prefix="SPRING-", length=7)
    made = codes_of(db, "spring")
    assert len(set(made)) == len(made) == 700
    assert all(len(code) == 14 and code.startswith("SPRING-") for code in made)
    assert not set("".join(code[7:] for code in made)) & set("ILO01il")
    for count, prefix, length in ((700, "", 4), (1, "a b", 8), (1, "x" * 21, 8), (0, "", 8), (1, "", 3)):
        with pytest.raises(Invalid):
            pools.generate(db, "spring", count, "test", prefix=prefix, length=length)


def test_a_pool_is_deleted_only_while_nobody_has_a_code(db: Database, spring: str) -> None:
    pools.add_codes(db, "spring", ["AAA"], "test")
    with db.write() as session:
        session.scalars(select(Coupon)).one().state = "sent"
    with db.write() as session, pytest.raises(Conflict):
        pools.remove(session, "spring", "test")
    with db.write() as session:
        session.scalars(select(Coupon)).one().state = "free"
    with db.write() as session:
        pools.remove(session, "spring", "test")
        assert pools.names(session) == ("spring-2",)


@pytest.mark.parametrize("about", [{"name": ""}, {"name": "x" * 121}, {"name": "A", "fallback": "x" * 121}, {"name": "A", "low_at": -1}])
def test_what_a_pool_cannot_be_is_refused(db: Database, now: datetime, about: dict[str, object]) -> None:
    with db.write() as session, pytest.raises(Invalid):
        pools.put(session, "spring", "test", now, **about)
