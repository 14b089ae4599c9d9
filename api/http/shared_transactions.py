"""What several threads write at the same time shares a transaction where only one can be written at a time (SQLite).

Whoever comes first writes what waits by then, its own among it, and hands the turn on; the others only wait for their answer. Who comes alone
writes at once. A page that fails is written one by one, so that nobody fails for another's sake. PostgreSQL writes side by side.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from api.http.errors import is_busy
from models import Database

PAGE = 10
"""Writes of one transaction, so that it stays under 20 ms."""

T = TypeVar("T")
Write = Callable[[Session], T]


@dataclass(slots=True, eq=False)
class _Waiting(Generic[T]):
    """`leads`: it is its turn to write."""

    write: Write[T]
    turn: threading.Event = field(default_factory=threading.Event)
    leads: bool = False
    written: list[T] = field(default_factory=list)
    error: Exception | None = None


class SharedTransactions(Generic[T]):
    """For worker threads: `take` returns once the caller's own write is committed."""

    def __init__(self, db: Database, page: int = PAGE) -> None:
        self._db = db
        self._page = page
        self._queue: deque[_Waiting[T]] = deque()
        self._lock = threading.Lock()
        self._is_writing = False

    def take(self, write: Write[T]) -> T:
        """What `write` returns. It may be called more than once, each time in a new transaction. Raises: what it raises; DBAPIError."""
        if not self._db.is_sqlite:
            with self._db.write() as session:
                return write(session)
        mine = _Waiting(write)
        with self._lock:
            mine.leads = not self._is_writing
            self._is_writing = True
            self._queue.append(mine)
        if not mine.leads:
            mine.turn.wait()
        if mine.leads:
            self._lead()
        if mine.error is not None:
            raise mine.error
        return mine.written[0]

    def _lead(self) -> None:
        with self._lock:
            page = [self._queue.popleft() for _ in range(min(self._page, len(self._queue)))]
        try:
            self._write(page)
        finally:
            self._hand_on(page)

    def _write(self, page: list[_Waiting[T]]) -> None:
        try:
            with self._db.write() as session:
                written = [one.write(session) for one in page]
        except Exception as error:  # noqa: BLE001 - it is raised where it belongs
            if len(page) > 1 and not (isinstance(error, DBAPIError) and is_busy(error)):
                for one in page:
                    self._write([one])
                return
            for one in page:
                one.error = error
        else:
            for one, result in zip(page, written, strict=True):
                one.written.append(result)

    def _hand_on(self, page: list[_Waiting[T]]) -> None:
        with self._lock:
            if self._queue:
                self._queue[0].leads = True
                page.append(self._queue[0])
            else:
                self._is_writing = False
        for one in page:
            one.turn.set()
