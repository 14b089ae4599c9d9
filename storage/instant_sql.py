"""Instants as whole numbers, in one spelling for SQLite and PostgreSQL, so that differences between them are exact."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

_START = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Microseconds(FunctionElement[int]):
    """Since 1970, of a column of instants."""

    inherit_cache = True
    type = BigInteger()


def instant_of(microseconds: int) -> datetime:
    """What `Microseconds` says, aware."""
    return _START + timedelta(microseconds=microseconds)


def microseconds_of(span: timedelta) -> int:
    return span // _MICROSECOND


@compiles(Microseconds, "sqlite")
def _of_text(element: Microseconds, compiler: SQLCompiler, **kw: Any) -> str:
    """Whole seconds and what is behind the point, each for itself: SQLite would round the seconds up."""
    at = compiler.process(element.clauses, **kw)
    return f"(CAST(strftime('%s', substr({at}, 1, 19)) AS INTEGER) * 1000000 + CAST(substr({at}, 21, 6) AS INTEGER))"


@compiles(Microseconds, "postgresql")
def _of_timestamp(element: Microseconds, compiler: SQLCompiler, **kw: Any) -> str:
    return f"CAST(extract(epoch FROM {compiler.process(element.clauses, **kw)}) * 1000000 AS BIGINT)"
