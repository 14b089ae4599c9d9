"""The database: how to connect, and the two kinds of transaction.

Everything is synchronous (decision 001). `write()` locks from its first statement (`BEGIN IMMEDIATE` on SQLite; on
PostgreSQL the caller locks rows with `FOR UPDATE`, contact first), `read()` changes nothing. On SQLite it sees one snapshot, on
PostgreSQL each of its statements sees what was committed when it began.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
from sqlalchemy import Engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session
from sqlmodel import create_engine

PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=NORMAL",
    "busy_timeout=5000",
    "foreign_keys=ON",
    "secure_delete=ON",  # what is deleted is overwritten: an erasure must not leave a person in free pages
    "temp_store=MEMORY",
    "cache_size=-32000",
    "wal_autocheckpoint=8000",  # 32 MB: rows of many contacts lie far apart, and their pages are copied once for many commits
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What PostgreSQL lets a connection of ours do, zero for as long as it likes: a process that is frozen, or behind a network that is dead,
    in the middle of a transaction must not keep a contact's row from all others. `lock` is longer than `idle`, so that whoever waits for such
    a row gets it."""

    idle_in_transaction: timedelta = timedelta(seconds=15)
    lock: timedelta = timedelta(seconds=20)
    statement: timedelta = timedelta(seconds=60)


PATIENT = Limits(timedelta(minutes=10), timedelta(minutes=1), timedelta(0))
"""For migrations and restores, whose statements take as long as the tables are large."""
KEEPALIVE = {"keepalives": 1, "keepalives_idle": 30, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}
"""A server that is gone is noticed within 45 s where nothing is under way, and within 20 s where something is. Seconds, the last milliseconds.
Source: PostgreSQL, libpq parameter key words."""


class Database:
    """A pool of connections to one database; safe to share between threads, not between processes."""

    def __init__(self, url: str, *, pool_size: int = 20, limits: Limits = Limits()) -> None:
        self.url = url
        self.info: dict[str, Any] = {}
        """What every session carries along (`Session.info`), for whoever put it there at the start."""
        self.engine = _engine(url, pool_size, limits)
        # Threads of this process take turns before they ask SQLite, which lets waiting writers sleep ever longer: with 20 writers p99
        # fell from 130 ms to 20 ms.
        self._turn: AbstractContextManager[Any] = threading.RLock() if self.is_sqlite else nullcontext()

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction that may write: commits at the end, rolls back on any exception. Keep it under 20 ms and 500 rows."""
        with (
            self._turn,
            self.engine.connect().execution_options(pfadwerk_write=True) as connection,
            connection.begin(),
            Session(connection, expire_on_commit=False, info=self.info) as session,
        ):
            yield session
            session.flush()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Read only by convention; nothing is committed. One snapshot on SQLite, one for each statement on PostgreSQL."""
        with self.engine.connect() as connection, Session(connection, expire_on_commit=False, info=self.info) as session:
            yield session

    def scrub(self) -> bool:
        """Takes what was deleted or overwritten out of the log that SQLite keeps beside the file; True if nothing of it is left there.

        Waits some seconds for readers. On PostgreSQL there is nothing to do here: old versions of rows go with the next vacuum.
        """
        if not self.is_sqlite:
            return True
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]
        return not busy

    def close(self) -> None:
        """Closes every pooled connection."""
        self.engine.dispose()


def _dumps(value: Any) -> str:
    return orjson.dumps(value).decode()


def _engine(url: str, pool_size: int, limits: Limits) -> Engine:
    options: dict[str, Any] = {
        "json_serializer": _dumps,
        "json_deserializer": orjson.loads,
        "pool_size": pool_size,
        "max_overflow": pool_size,
        "hide_parameters": True,  # an error's text must not carry what is in the rows
    }
    if url.startswith("sqlite"):
        engine = create_engine(url, connect_args={"check_same_thread": False, "timeout": 5}, **options)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    address = url.replace("postgresql://", "postgresql+psycopg://", 1)
    engine = create_engine(address, pool_pre_ping=True, connect_args=dict(KEEPALIVE), **options)
    event.listen(engine, "connect", _limiting(limits))
    return engine


def _limiting(limits: Limits) -> Callable[[Any, object], None]:
    """By a statement and not by start-up options, which poolers refuse."""
    values = {
        "idle_in_transaction_session_timeout": limits.idle_in_transaction,
        "lock_timeout": limits.lock,
        "statement_timeout": limits.statement,
    }
    said = {name: f"{value // timedelta(milliseconds=1)}ms" for name, value in values.items()}
    statement = "SELECT " + ", ".join(f"set_config('{name}', '{value}', false)" for name, value in said.items())

    def prepare(connection: Any, _record: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement)
        connection.commit()

    return prepare


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # the driver's own BEGIN is deferred: 5 % of writers failed with "database is locked"
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("pfadwerk_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def lock(session: Session, statement: Any, *, key_share: bool = False) -> Any:
    """`statement` with `FOR UPDATE` where rows can be locked; SQLite has locked the whole file already. `key_share`: whoever only refers to the row, with
    a new row of another table, does not wait (`FOR NO KEY UPDATE`)."""
    return statement if session.get_bind().dialect.name == "sqlite" else statement.with_for_update(key_share=key_share)
