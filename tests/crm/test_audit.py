from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import orjson
import pytest
from sqlalchemy import delete, insert, update
from sqlalchemy.orm import Session
from sqlmodel import col, select

from journeys.errors import Invalid, TooLarge
from models import Audit, AuditNote, Database
from tests.broken import copies
from workspace import audit

KEY, OTHER = b"k" * 32, b"o" * 32


def add(session: Session, count: int = 5) -> list[Audit]:
    return [audit.record(session, "m1", "journey.publish", "journey:j1", {"version": number, "by": "Zoë"}) for number in range(count)]


@pytest.fixture
def chain(session: Session) -> list[Audit]:
    return add(session)


def with_keys(session: Session, *keys: bytes) -> None:
    session.info["pfadwerk.audit"] = audit.Sealing(audit.Keys(keys), lambda: datetime.now(UTC))


def found(session: Session, logged: audit.Head | None = None) -> tuple[int | None, str]:
    session.expire_all()
    check = audit.check(session, logged)
    return check.broken_at, check.problem


def lines(session: Session) -> Sequence[Audit]:
    return session.scalars(select(Audit).order_by(col(Audit.id))).all()


def chained_without_a_key(rows: Sequence[Audit]) -> list[str]:
    """What everybody can compute: the digests of the time before there was a key."""
    before, digests = audit.FIRST, []
    for row in rows:
        said = [before, row.at.isoformat(), row.actor, row.action, row.subject, row.detail]
        before = sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()
        digests.append(before)
    return digests


def old_rows(session: Session, now: datetime, count: int = 4) -> None:
    """Rows as they were written before there was a key, with a gap that a rolled back transaction left."""
    rows = [
        Audit(id=2 * number + 1, at=now, actor="m1", action="x.y", subject="s", detail={"n": number}, digest="") for number in range(count)
    ]
    for row, digest in zip(rows, chained_without_a_key(rows), strict=True):
        row.digest = digest
    session.add_all(rows)
    session.flush()


def test_a_whole_chain_holds(session: Session, chain: list[Audit]) -> None:
    session.expire_all()
    check = audit.check(session)
    assert (check.broken_at, check.problem, check.keyed_from) == (None, "", 1)
    assert check.head == audit.head(session) == audit.Head(5, chain[-1].digest)
    assert len({line.digest for line in chain}) == 5


@pytest.mark.parametrize("column", ["actor", "action", "subject", "detail", "at", "digest"])
def test_a_changed_line_is_found(session: Session, chain: list[Audit], now: datetime, column: str) -> None:
    other = {"detail": {"version": 99}, "at": now - timedelta(days=1)}.get(column, "somebody")
    session.execute(update(Audit).where(col(Audit.id) == chain[2].id).values({column: other}))
    assert found(session) == (chain[2].id, "changed")


def test_a_line_taken_out_is_found(session: Session, chain: list[Audit]) -> None:
    session.execute(delete(Audit).where(col(Audit.id) == chain[1].id))
    assert found(session) == (chain[2].id, "changed")


def test_a_line_with_another_number_is_found(session: Session, chain: list[Audit]) -> None:
    session.execute(update(Audit).where(col(Audit.id) == chain[4].id).values(id=9))
    assert found(session) == (9, "changed")


@pytest.mark.parametrize("keep_key_id", [True, False], ids=["with the key's name", "as if there was no key yet"])
def test_whoever_computes_the_chain_anew_in_the_database_is_found(session: Session, chain: list[Audit], keep_key_id: bool) -> None:
    """The attack that a chain of plain digests does not withstand: change a line, and every digest after it."""
    logged = audit.head(session)
    rows = lines(session)
    rows[1].actor = "somebody else"
    for row, digest in zip(rows, chained_without_a_key(rows), strict=True):
        row.digest, row.key_id = digest, row.key_id if keep_key_id else ""
    session.flush()
    assert found(session, logged) == ((1, "changed") if keep_key_id else (5, "other_head"))
    if not keep_key_id:
        assert audit.check(session).keyed_from is None, "without a logged head it is at least seen that nothing is sealed"


def test_a_line_without_a_seal_among_sealed_ones_is_found(session: Session, chain: list[Audit], now: datetime) -> None:
    row = Audit(at=now, actor="m1", action="x", subject="y", detail={})
    said = [chain[-1].digest, row.at.isoformat(), row.actor, row.action, row.subject, row.detail]
    digest = sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()
    session.execute(insert(Audit).values(id=6, at=now, actor="m1", action="x", subject="y", detail={}, digest=digest))
    assert found(session) == (6, "not_keyed")


@pytest.mark.parametrize("cut", [1, 3, 5])
def test_lines_cut_off_at_the_end_are_found_with_a_logged_head(session: Session, chain: list[Audit], cut: int) -> None:
    logged = audit.head(session)
    session.execute(delete(Audit).where(col(Audit.id) > 5 - cut))
    assert found(session) == (None, ""), "a shorter chain is valid in itself"
    assert found(session, logged) == (6 - cut, "cut")
    add(session)
    assert found(session, logged) == (5, "other_head"), "also when it has grown again"


def test_a_logged_head_from_before_still_fits(session: Session, chain: list[Audit]) -> None:
    logged = audit.head(session)
    add(session)
    assert found(session, logged) == (None, "")
    assert audit.Head.read(f" 2026-11-22 12:00:00,000 INFO pfadwerk.audit: audit head {logged}\n") == logged
    assert audit.Head.read(str(logged)) == logged
    for text in ("", "5", f"5:{'g' * 64}", f"{logged}0"):
        with pytest.raises(Invalid, match="NUMBER:SEAL"):
            audit.Head.read(text)


def test_lines_from_before_there_was_a_key_are_covered_by_the_first_sealed_one(session: Session, now: datetime) -> None:
    old_rows(session, now)
    assert found(session) == (None, "")
    assert audit.check(session).keyed_from is None
    audit.take_over(session)
    audit.take_over(session)
    add(session, 2)
    assert [(line.id, line.action) for line in lines(session)[4:]] == [(8, "audit.key"), (9, "journey.publish"), (10, "journey.publish")]
    assert found(session) == (None, "")
    assert audit.check(session).keyed_from == 8
    old = lines(session)[:4]
    old[1].actor = "somebody else"
    for row, digest in zip(old, chained_without_a_key(old), strict=True):
        row.digest = digest
    session.flush()
    assert found(session) == (8, "changed"), "the digests fit one another, and the sealed line does not fit them"


def test_after_a_change_of_keys_older_lines_are_still_checked(session: Session, chain: list[Audit]) -> None:
    with_keys(session, OTHER, KEY)
    add(session, 1)
    assert [line.action for line in lines(session)[5:]] == ["audit.key", "journey.publish"]
    assert len({line.key_id for line in lines(session)}) == 2
    assert found(session) == (None, "")
    session.execute(update(Audit).where(col(Audit.id) == 2).values(actor="somebody"))
    assert found(session) == (2, "changed")


def test_a_key_that_is_missing_is_said(session: Session, chain: list[Audit], caplog: pytest.LogCaptureFixture) -> None:
    with_keys(session, OTHER)
    check = audit.check(session)
    assert (check.broken_at, check.problem, check.key_id) == (1, "unknown_key", chain[0].key_id)
    with caplog.at_level(logging.WARNING, "pfadwerk.audit"):
        audit.take_over(session)
    assert f"sealed with the key {chain[0].key_id}, which is not among PFADWERK_SECRET_KEY" in caplog.text
    assert KEY.decode() not in caplog.text


def test_nobody_records_without_a_key(session: Session) -> None:
    session.info.clear()
    with pytest.raises(RuntimeError, match="bind"):
        audit.record(session, "m1", "x", "y", {})


def test_two_at_once_keep_one_chain(db: Database) -> None:
    """Each on its own connection, as two processes are."""

    def write(number: int) -> None:
        with db.write() as session:
            audit.record(session, f"m{number}", "x.y", "s", {})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(60)))
    with db.read() as session:
        check = audit.check(session)
        assert (check.broken_at, check.head.number) == (None, 60)


def heads(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "pfadwerk.audit"]


@pytest.fixture
def watch(caplog: pytest.LogCaptureFixture) -> Callable[[float], audit.Watch]:
    caplog.set_level(logging.INFO, "pfadwerk.audit")
    at = [0.0]
    one = audit.Watch(lambda: at[0])

    def later(seconds: float) -> audit.Watch:
        at[0] += seconds
        return one

    return later


def test_the_head_is_logged_at_once_then_every_so_often(
    session: Session, chain: list[Audit], watch: Callable[[float], audit.Watch], caplog: pytest.LogCaptureFixture
) -> None:
    watch(0).look(session)
    watch(audit.LOG_SECONDS).look(session)
    first = f"audit head {audit.head(session)}"
    assert heads(caplog) == [first], "nothing is new"
    add(session, 1)
    watch(1).look(session)
    assert heads(caplog) == [first, f"audit head {audit.head(session)}"], "so long after the last one"
    add(session, audit.LOG_LINES - 1)
    watch(1).look(session)
    assert len(heads(caplog)) == 2
    add(session, 1)
    watch(1).look(session)
    assert len(heads(caplog)) == 3, "so many lines"


def test_whoever_watches_sees_a_cut_by_itself(
    session: Session, chain: list[Audit], watch: Callable[[float], audit.Watch], caplog: pytest.LogCaptureFixture
) -> None:
    watch(0).look(session)
    session.execute(delete(Audit).where(col(Audit.id) > 3))
    add(session, 4)
    watch(1).look(session)
    assert any("was cut or changed: line 5" in text for text in heads(caplog))


def test_whoever_watches_from_the_first_line_on_cries_at_nothing(
    session: Session, watch: Callable[[float], audit.Watch], caplog: pytest.LogCaptureFixture
) -> None:
    watch(0).look(session)
    add(session)
    watch(1).look(session)
    assert heads(caplog) == [f"audit head 0:{audit.FIRST}"]


def test_a_change_of_keys_is_no_error_where_the_old_one_is_kept(
    session: Session, chain: list[Audit], caplog: pytest.LogCaptureFixture
) -> None:
    with_keys(session, b"n" * 32, b"k" * 32)
    audit.take_over(session)
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]


def test_lines_are_listed_newest_first_in_pages(session: Session, chain: list[Audit]) -> None:
    audit.record(session, "m1", "x", "other", {})
    first = audit.list_lines(session, subject="journey:j1", limit=3)
    rest = audit.list_lines(session, subject="journey:j1", before=first[-1].id, limit=3)
    assert [line.id for line in (*first, *rest)] == [line.id for line in reversed(chain)]


def test_details_are_small(session: Session) -> None:
    with pytest.raises(TooLarge):
        audit.record(session, "m1", "x", "y", {"a": "b" * 20_000})


def test_a_reason_has_an_end(session: Session) -> None:
    line = audit.record(session, "m1", "x", "y", {}, why="a" * 600)
    assert audit.details(session, [line]) == {line.id: {"why": "a" * 500}}


def test_a_reason_can_go_and_cannot_be_changed(session: Session) -> None:
    line = audit.record(session, "m1", "suppression.lift", "suppression:1", {"channel": "email"}, why="Ada called")
    add(session)
    assert audit.details(session, [line]) == {line.id: {"channel": "email", "why": "Ada called"}}
    assert found(session) == (None, "")
    session.execute(update(AuditNote).values(text="Bob called"))
    assert found(session) == (line.id, "changed")
    session.execute(update(AuditNote).values(text=""))
    assert found(session) == (None, "")
    assert audit.details(session, [line]) == {line.id: {"channel": "email", "why": ""}}


def keeps_seals(problem: Callable[..., str], noted: Callable[..., str], compared: Callable[..., str]) -> bool:
    """Whether these three tell a line that holds from one that does not."""
    keys, strange = audit.Keys([b"k" * 32, b"o" * 32]), audit.Keys([b"s" * 32])
    at = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

    def line(key: str, detail: dict[str, Any], by: audit.Keys = keys) -> Audit:
        one = Audit(id=4, at=at, actor="m1", action="x", subject="y", detail=detail, digest="", key_id=key)
        one.digest = audit._seal(by.by_id[key], "before", one) if key else audit._digest("before", one)
        return one

    def changed(one: Audit) -> Audit:
        one.actor = "m2"
        return one

    new, old = keys.by_id
    known = [problem(keys, "before", line(key, {}), keyed) for key in (new, old) for keyed in (False, True)]
    first = [problem(keys, "before", line("", {}), False), problem(keys, "before", line("", {}), True)]
    wrong = [problem(keys, "before", changed(line(key, {})), False) for key in (new, "")]
    unknown = problem(keys, "before", line(strange.current, {}, strange), True)
    note = line(new, {audit.NOTE: audit._note_seal(keys.by_id[new], "why")})
    notes = [noted(keys, note, text) for text in ("why", "", "other")] + [noted(keys, line(new, {}), "why")]
    heads = [compared(note, logged) for logged in (None, audit.Head(4, note.digest), audit.Head(4, "x"), audit.Head(5, "x"))]
    return (
        known == [""] * 4
        and first == ["", "not_keyed"]
        and wrong == ["changed", "changed"]
        and unknown == "unknown_key"
        and notes == ["", "", "changed", "changed"]
        and heads == ["", "", "other_head", ""]
    )


JUDGES = (audit._problem, audit._noted, audit._compared)


def test_what_a_seal_says_is_a_table() -> None:
    assert keeps_seals(*JUDGES)


@pytest.mark.parametrize("place", range(3), ids=["seal", "note", "head"])
def test_each_part_of_a_seal_is_needed(place: int) -> None:
    rules = dict(copies(JUDGES[place]))
    assert rules
    for text, rule in rules.items():
        judges = [rule if number == place else one for number, one in enumerate(JUDGES)]
        try:
            kept = keeps_seals(*judges)
        except (AttributeError, KeyError, TypeError):  # nothing was logged, or there is no such key
            kept = False
        assert not kept, f"nothing notices that this rule is gone: {text}"
