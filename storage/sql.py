"""Core statements that SQLite and PostgreSQL spell differently, and the tables they work on.

No statement of the domain lives here; only what two modules would otherwise copy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, cast

from sqlalchemy import Connection, CursorResult, Executable, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session
from sqlmodel import SQLModel

Insert = postgresql.Insert | sqlite.Insert


def table(model: type[SQLModel]) -> Table:
    """The Core table of a model: bulk rows skip the ORM, which costs three times as much."""
    return cast(Table, model.__table__)  # type: ignore[attr-defined]


def upsert(session: Session, model: type[SQLModel]) -> Insert:
    """An INSERT that knows `on_conflict_do_nothing` and `on_conflict_do_update` in the dialect of `session`."""
    return _upsert(session.get_bind().dialect.name, model)


def _upsert(dialect: str, model: type[SQLModel]) -> Insert:
    return sqlite.insert(table(model)) if dialect == "sqlite" else postgresql.insert(table(model))


@cache
def _insert_new(dialect: str, model: type[SQLModel], keys: tuple[str, ...], returning: tuple[str, ...]) -> Executable:
    statement = _upsert(dialect, model).on_conflict_do_nothing(index_elements=keys)
    return statement.returning(*(table(model).c[name] for name in returning)) if returning else statement


def insert_new(session: Session, model: type[SQLModel], keys: tuple[str, ...], returning: tuple[str, ...] = ()) -> Executable:
    """An INSERT that leaves rows alone whose `keys` are there already; built once, because building costs more than running."""
    return _insert_new(session.get_bind().dialect.name, model, keys, returning)


def on(session: Session) -> Connection:
    """The connection of a session. A plain statement runs there a third faster than through `session.execute`; it flushes nothing."""
    bound = session.get_bind()
    return bound if isinstance(bound, Connection) else session.connection()


@contextmanager
def savepoint(session: Session) -> Iterator[None]:
    """What is done inside stands or falls together: an exception takes back this part and not the whole transaction.

    `session.begin_nested()` alone sets the savepoint only once a statement goes through the session; what went through `on` before
    that would stand.
    """
    with session.begin_nested():
        session.connection()
        yield


@contextmanager
def undone(session: Session) -> Iterator[None]:
    """What is written inside is taken back at its end: for looking at what would happen."""
    attempt = session.begin_nested()
    session.connection()  # see `savepoint`
    try:
        yield
    finally:
        attempt.rollback()


def changed_rows(session: Session, statement: Executable, values: Mapping[str, Any] | None = None) -> int:
    """Runs an UPDATE or DELETE and tells how many rows it touched. `values` are its parameters."""
    return cast(CursorResult[Any], on(session).execute(statement, values)).rowcount
