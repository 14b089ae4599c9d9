"""Writes of several threads in one transaction: everybody gets their own answer, and nobody fails for another's sake."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from api.http.shared_transactions import SharedTransactions
from models import Database


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    db = Database(f"sqlite:///{tmp_path / 'shared.db'}")
    with db.write() as session:
        session.execute(text("CREATE TABLE note (number INTEGER)"))
    yield db
    db.close()


def together(db: Database, numbers: list[int]) -> tuple[list[Future[int]], list[int]]:
    """Each number written by a thread of its own, all but the first while the first is written; also how often each was tried."""
    shared: SharedTransactions[int] = SharedTransactions(db, page=10)
    is_written, tried = threading.Event(), []

    def write(session: Session, number: int) -> int:
        if number == numbers[0]:
            assert is_written.wait(10)
        tried.append(number)
        session.execute(text("INSERT INTO note VALUES (:number)"), {"number": number})
        if number < 0:
            raise ValueError(number)
        return number * 10

    with ThreadPoolExecutor(len(numbers)) as threads:
        found = []
        for number in numbers:
            found.append(threads.submit(shared.take, lambda session, number=number: write(session, number)))
            while len(found) > 1 and len(shared._queue) < len(found) - 1:
                pass
            while not shared._is_writing:
                pass
            if len(found) == 1:
                while shared._queue:
                    pass
        is_written.set()
    return found, tried


def stored(db: Database) -> list[int]:
    with db.read() as session:
        return list(session.scalars(text("SELECT number FROM note ORDER BY number")))


def test_each_gets_its_own_answer(db: Database) -> None:
    found, tried = together(db, list(range(1, 26)))
    assert [one.result() for one in found] == [number * 10 for number in range(1, 26)]
    assert stored(db) == sorted(tried) == list(range(1, 26)), "each once"


def test_what_fails_fails_alone_and_leaves_nothing(db: Database) -> None:
    found, tried = together(db, [1, 2, -3, 4])
    assert [one.result() for one in found if one is not found[2]] == [10, 20, 40]
    with pytest.raises(ValueError, match="-3"):
        found[2].result()
    assert stored(db) == [1, 2, 4]
    assert sorted(tried) == [-3, -3, 1, 2, 2, 4], "a page was tried and taken apart"
