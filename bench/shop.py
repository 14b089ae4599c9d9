"""A shop with many people and what they did: made once by the database itself, and kept between runs of `bench.people`.

Everything follows from the numbers of rows, so two databases of one size hold the same people; only their days are counted back from the day on
which they were made. Rows are written without secondary indexes, which come afterwards.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from bench.measure import say
from models import Database
from models.migrate import upgrade

FOLDER = "BENCH_DATA"
"""Environment variable: where the data is kept; the user's cache folder otherwise."""
ROWS_AT_ONCE = 250_000
YEARS = timedelta(days=730)
TABLES = ("contact", "identity", "consent_state", "tag", "event")


def folder() -> Path:
    """Outside the source tree."""
    chosen = os.environ.get(FOLDER)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(chosen) if chosen else Path(cache) / "pfadwerk-bench"


@dataclass(frozen=True, slots=True)
class Shop:
    """`made_seconds`: 0 where it was there already."""

    url: str
    contacts: int
    events: int
    made_seconds: float


def on_sqlite(contacts: int, events: int) -> Shop:
    home = folder() / f"shop-{contacts}-{events}"
    home.mkdir(parents=True, exist_ok=True)
    url = f"sqlite:///{home / 'pfadwerk.db'}"
    if (home / "whole").exists():
        return Shop(url, contacts, events, 0.0)
    for file in home.glob("pfadwerk.db*"):
        file.unlink()
    made = _make(url, contacts, events)
    (home / "whole").touch()
    return Shop(url, contacts, events, made)


def on_postgresql(server: str, contacts: int, events: int) -> Shop:
    """`server`: its URL without a database."""
    name = f"pfadwerk_shop_{contacts}_{events}"
    db = Database(f"{server}/postgres")
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        there = {row[0] for row in connection.execute(text("SELECT datname FROM pg_database"))}
        if name not in there:
            unfinished = f"{name}_unfinished"
            connection.execute(text(f"DROP DATABASE IF EXISTS {unfinished}"))
            connection.execute(text(f"CREATE DATABASE {unfinished}"))
            made = _make(f"{server}/{unfinished}", contacts, events)
            connection.execute(text(f"ALTER DATABASE {unfinished} RENAME TO {name}"))
        else:
            made = 0.0
    db.close()
    return Shop(f"{server}/{name}", contacts, events, made)


def _make(url: str, contacts: int, events: int) -> float:
    begin = time.perf_counter()
    upgrade(url)
    db = Database(url)
    with _without_indexes(db):
        words = Words(db.is_sqlite, contacts, events, datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0))
        for statement, rows in words.statements():
            for first in range(0, rows, ROWS_AT_ONCE):
                last = min(first + ROWS_AT_ONCE, rows) - 1
                with db.engine.begin() as connection:
                    connection.exec_driver_sql(
                        statement.format(series=words.series(first, last)).replace("%", "%" if db.is_sqlite else "%%")
                    )
                say(f"{statement.split()[2]}: {last + 1} of {rows}, {time.perf_counter() - begin:.0f} s")
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)" if db.is_sqlite else "VACUUM ANALYZE")
    db.close()
    say(f"made in {time.perf_counter() - begin:.0f} s")
    return round(time.perf_counter() - begin, 1)


@contextmanager
def _without_indexes(db: Database) -> Iterator[None]:
    with db.engine.begin() as connection:
        names = _indexes(connection, db.is_sqlite)
        for name in names:
            connection.exec_driver_sql(f"DROP INDEX {name}")
        if not db.is_sqlite:
            for table in TABLES:
                connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
    yield
    for name, statement in names.items():
        say(f"index {name}")
        with db.engine.begin() as connection:
            connection.exec_driver_sql(statement)
    if not db.is_sqlite:
        with db.engine.begin() as connection:
            for table in TABLES:
                connection.exec_driver_sql(f"ALTER TABLE {table} ENABLE TRIGGER ALL")
            connection.exec_driver_sql("SELECT setval(pg_get_serial_sequence('event', 'id'), (SELECT max(id) FROM event))")


def _indexes(connection: Connection, is_sqlite: bool) -> dict[str, str]:
    """Name -> statement of the secondary ones."""
    wanted = ", ".join(f"'{table}'" for table in TABLES)
    if is_sqlite:
        asked = f"SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN ({wanted})"
    else:
        asked = f"SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN ({wanted}) AND indexname LIKE 'ix!_%%' ESCAPE '!'"
    found: Any = connection.exec_driver_sql(asked)
    return dict(found.all())


@dataclass(frozen=True, slots=True)
class Words:
    """The statements in the words of one database. `{series}` is where the numbers of rows come from, as `n.x`."""

    is_sqlite: bool
    contacts: int
    events: int
    end: datetime

    def series(self, first: int, last: int) -> str:
        if self.is_sqlite:
            return f"(WITH RECURSIVE s(x) AS (SELECT {first} UNION ALL SELECT x + 1 FROM s WHERE x < {last}) SELECT x FROM s) AS n"
        return f"(SELECT x FROM generate_series({first}::bigint, {last}::bigint) AS s(x)) AS n"

    def statements(self) -> Iterator[tuple[str, int]]:
        """(INSERT, how many rows)."""
        x = "n.x"
        id, since = self._id(x), self._at(self._made_ms(x))
        seen = f"CASE WHEN {_draw(x, 3, 10)} < 7 THEN {self._at(self._ago_ms(_draw(x, 4, 400) + ' * 86400000'))} END"
        one_of = f"CASE {_draw(x, 5, 10)} WHEN 0 THEN 'pro' WHEN 1 THEN 'team' ELSE 'basic' END"
        country = f"CASE {_draw(x, 6, 10)} WHEN 0 THEN 'CH' WHEN 1 THEN 'CH' WHEN 2 THEN 'AT' WHEN 3 THEN 'FR' ELSE 'DE' END"
        attributes = (
            f"""'{{{{"plan": "' || {one_of} || '", "country": "' || {country} || '", "age": ' || (18 + {_draw(x, 7, 60)}) || '}}}}'"""
        )
        stage = f"CASE WHEN {_draw(x, 8, 10)} < 4 THEN 'customer' ELSE 'lead' END"
        no, yes = self._truth(False), self._truth(True)
        yield (
            "INSERT INTO contact (id, email, first_name, last_name, locale, timezone, lifecycle_stage, attributes, created_at, updated_at, "
            f"last_seen_at, demo, vouched) SELECT {id}, 'person' || {x} || '@example.org', 'Anna' || {_draw(x, 1, 500)}, "
            f"'Muster' || {_draw(x, 2, 5000)}, 'de-CH', 'Europe/Zurich', {stage}, {self._json(attributes)}, {since}, {since}, {seen}, "
            f"{no}, {yes} FROM {{series}}",
            self.contacts,
        )
        yield (
            "INSERT INTO identity (kind, value, contact_id, created_at, shared) "
            f"SELECT 'email', 'person' || {x} || '@example.org', {id}, {since}, {no} FROM {{series}}",
            self.contacts,
        )
        yield (
            "INSERT INTO identity (kind, value, contact_id, created_at, shared) "
            f"SELECT 'user_id', 'u' || {x}, {id}, {since}, {no} FROM {{series}}",
            self.contacts,
        )
        yield (
            "INSERT INTO consent_state (contact_id, channel, purpose, state, said_at, dated) SELECT "
            f"{id}, 'email', 'marketing', CASE WHEN {_draw(x, 9, 10)} < 6 THEN 'granted' ELSE 'withdrawn' END, {since}, {yes} FROM {{series}}",
            self.contacts,
        )
        yield (
            f"INSERT INTO tag (contact_id, tag, added_at) SELECT {self._id(f'({x} * 10)')}, 'tag' || {_draw(x, 1, 20)}, "
            f"{self._at(self._made_ms(f'({x} * 10)'))} FROM {{series}}",
            self.contacts // 10,
        )
        yield self._event(x), self.events

    def _event(self, x: str) -> str:
        """In the order of time. A quarter of the events are those of a few who come often."""
        many = f"({x} * 7368787) % {self.contacts}"
        square = f"({_draw(x, 11, 1000003)} * {_draw(x, 11, 1000003)} / 1000003)"
        often = f"({square} * {self.contacts} / 1000003)"
        whose = f"(CASE WHEN {_draw(x, 10, 4)} < 3 THEN {many} ELSE {often} END)"
        drawn = _draw(x, 12, 100)
        name = (
            f"CASE WHEN {drawn} < 45 THEN 'Product Viewed' WHEN {drawn} < 70 THEN 'Home' WHEN {drawn} < 80 THEN 'Product Added' "
            f"WHEN {drawn} < 84 THEN 'Checkout Started' WHEN {drawn} < 90 THEN 'Order Completed' ELSE 'Article Read' END"
        )
        kind = f"CASE WHEN {drawn} >= 45 AND {drawn} < 70 THEN 'page' ELSE 'track' END"
        said = (
            f"""'{{{{"product_id": "p' || {_draw(x, 13, 97)} || '", "total": ' || (5 + {_draw(x, 14, 300)}) || ', "currency": "CHF"}}}}'"""
        )
        at = self._at(self._ago_ms(f"{int(YEARS.total_seconds() * 1000)} - {x} * {int(YEARS.total_seconds() * 1000)} / {self.events}"))
        empty = self._json("'{{}}'")
        return (
            "INSERT INTO event (id, contact_id, type, name, properties, context, source, message_id, occurred_at, received_at, hops, routed, "
            f"backfill) SELECT {x} + 1, {self._id(whose)}, {kind}, {name}, {self._json(said)}, {empty}, 'bench', 'm' || {x}, {at}, {at}, 0, "
            f"{self._truth(True)}, {self._truth(False)} FROM {{series}}"
        )

    def _made_ms(self, number: str) -> str:
        span = int(YEARS.total_seconds() * 1000)
        return f"({int(self.end.timestamp() * 1000) - span} + {number} * {span} / {self.contacts})"

    def _ago_ms(self, milliseconds: str) -> str:
        return f"({int(self.end.timestamp() * 1000)} - ({milliseconds}))"

    def _id(self, number: str) -> str:
        made = self._made_ms(number)
        if self.is_sqlite:
            return f"printf('%012x%020x', {made}, {number})"
        return f"(lpad(to_hex({made}), 12, '0') || lpad(to_hex({number}), 20, '0'))"

    def _at(self, milliseconds: str) -> str:
        if self.is_sqlite:
            return f"(strftime('%Y-%m-%d %H:%M:%S', {milliseconds} / 1000, 'unixepoch') || '.000000')"
        return f"to_timestamp({milliseconds} / 1000)"

    def _json(self, words: str) -> str:
        return f"({words})" if self.is_sqlite else f"({words})::jsonb"

    def _truth(self, value: bool) -> str:
        return str(int(value)) if self.is_sqlite else str(value).lower()


def _draw(number: str, salt: int, below: int) -> str:
    """A number below `below` that follows from another, and looks drawn."""
    mixed = f"(({number} * 48271 + {salt} * 7368787) % 2147483647)"
    return f"({mixed} * ({mixed} % 65537 + {salt}) % 2147483647 % {below})"
