"""Statements are compiled once for all databases of a test process, as in a server, which has one database as long as it lives."""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import Dialect
from sqlalchemy.util import LRUCache

from models import Database

_first: dict[str, tuple[Dialect, LRUCache[Any, Any]]] = {}


def share_compiled(database: Database) -> Database:
    """The database, with what was compiled for those of its kind before it. SQLAlchemy compiles for an engine, and each test has one of its own."""
    engine = database.engine
    if engine.name not in _first:
        with engine.connect():
            """The dialect asks the server's version on its first connection."""
        _first[engine.name] = engine.dialect, LRUCache(2_000)
    engine.dialect, compiled = _first[engine.name]
    engine.update_execution_options(compiled_cache=compiled)
    return database
