"""A database in which a whole story is one transaction: all of it is there afterwards, or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from models import Database
from models.session import PATIENT


class AtOnce(Database):
    """`write` and `read` are parts of the transaction that `whole` opens: what makes a demo dies in the middle, and the next start finds an
    empty database. For one thread. Without a commit a step it takes a third less time, too."""

    _connection: Connection

    def __init__(self, url: str) -> None:
        super().__init__(url, pool_size=1, limits=PATIENT)

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Commits at the end, takes everything back on any exception."""
        with self.engine.connect().execution_options(pfadwerk_write=True) as connection, connection.begin():
            self._connection = connection
            yield

    @contextmanager
    def write(self) -> Iterator[Session]:
        with self._session() as session:
            yield session
            session.flush()

    @contextmanager
    def read(self) -> Iterator[Session]:
        with self._session() as session:
            yield session

    def _session(self) -> Session:
        return Session(self._connection, expire_on_commit=False, info=self.info, join_transaction_mode="rollback_only")
