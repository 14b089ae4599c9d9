"""Typed access to JSON columns in one spelling for SQLite and PostgreSQL.

`Kind`, `Text` and `Number` never fail, whatever is stored: where a path leads nowhere they are NULL. As in `journeys.rules.fields`, a dot
descends into objects and lists are not descended. Numbers keep their exact value: PostgreSQL compares them as `jsonb`, not as floats.
"""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import BigInteger, Boolean, ColumnElement, Float, String, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from journeys.rules.amounts import MOST, PARTS
from journeys.rules.fields import path_of

NUMBERS = ("integer", "real")


class Kind(FunctionElement[str]):
    """`text`, `integer`, `real`, `true`, `false`, `null`, `array` or `object` as SQLite names them; all numbers of PostgreSQL are `real`."""

    inherit_cache = True
    type = String()


class Text(FunctionElement[str]):
    """A text; means nothing where `Kind` is not `text`."""

    inherit_cache = True
    type = String()


class Number(FunctionElement[float]):
    """A number, to compare with `Constant`; means nothing where `Kind` is not one of `NUMBERS`."""

    inherit_cache = True
    type = Float()


class Constant(FunctionElement[float]):
    """A number to compare `Number` with: the value for SQLite, its JSON for PostgreSQL."""

    inherit_cache = True
    type = Float()


class HasElement(FunctionElement[bool]):
    """Whether a list has an element of some kinds (SQLite) and value; means nothing where `Kind` is not `array`."""

    inherit_cache = True
    type = Boolean()


class HasText(FunctionElement[bool]):
    """Whether a column that is a list of texts has a text."""

    inherit_cache = True
    type = Boolean()


class LooksLikeInstant(FunctionElement[bool]):
    """Whether a text has the shape of a normalised date or instant (`journeys.rules.dates`)."""

    inherit_cache = True
    type = Boolean()


class Amount(FunctionElement[int]):
    """A number in parts (`journeys.rules.amounts.parts_of`), NULL where there is none."""

    inherit_cache = True
    type = BigInteger()


class Distinct(FunctionElement[Any]):
    """What is equal for values that count as one (`journeys.rules.aggregate.different`), NULL for what does not count; to be counted only."""

    inherit_cache = True
    type = String()


def place(column: ColumnElement[Any], name: str) -> tuple[ColumnElement[Any], ...]:
    """What `Kind`, `Text` and `Number` take for the dotted field `name`: the column, SQLite's path, PostgreSQL's keys."""
    keys = path_of(name)
    return (column, _words("$" + "".join(f'."{key}"' for key in keys)), *map(_words, keys))


def constant(value: int | float) -> Constant:
    """`value` (at most 2**53 - 1) as `Number` compares it."""
    return Constant(literal(float(value), Float()), _json(value))


def has_element(column: ColumnElement[Any], name: str, value: str | int | float | bool) -> HasElement:
    """Whether the list at `name` has `value` as an element, of the same type."""
    kinds, plain = _as_sqlite_sees(value)
    return HasElement(*place(column, name), _words(kinds), plain, _json([value]))


def has_text(column: ColumnElement[Any], value: str) -> HasText:
    """Whether the list of texts in `column` has `value`."""
    return HasText(column, _words(value), _json([value]))


def _as_sqlite_sees(value: str | int | float | bool) -> tuple[str, ColumnElement[Any]]:
    if isinstance(value, bool):
        return ("true" if value else "false"), literal(float(value), Float())
    if isinstance(value, str):
        return "text", _words(value)
    return ",".join(NUMBERS), literal(float(value), Float())


def _words(text: str) -> ColumnElement[str]:
    return literal(text, String())


def _json(value: Any) -> ColumnElement[str]:
    return _words(orjson.dumps(value).decode())


# --- How the two databases say it --------------------------------------------------------------------------------


def _said(element: FunctionElement[Any], compiler: SQLCompiler, part: slice, **kw: Any) -> list[str]:
    """Only what is rendered may be compiled, else parameters are bound that the statement does not have."""
    return [compiler.process(clause, **kw) for clause in list(element.clauses)[part]]


def _on_sqlite(name: str) -> Any:
    def say(element: FunctionElement[Any], compiler: SQLCompiler, **kw: Any) -> str:
        column, path = _said(element, compiler, slice(0, 2), **kw)
        return f"{name}({column}, {path})"

    return say


def _jsonb(element: FunctionElement[Any], compiler: SQLCompiler, end: int | None = None, **kw: Any) -> str:
    column, *keys = _said(element, compiler, slice(0, 1), **kw) + _said(element, compiler, slice(2, end), **kw)
    return f"({' -> '.join((column, *keys))})"


compiles(Kind, "sqlite")(_on_sqlite("json_type"))
compiles(Text, "sqlite")(_on_sqlite("json_extract"))
compiles(Number, "sqlite")(_on_sqlite("json_extract"))


@compiles(Kind, "postgresql")
def _kind(element: Kind, compiler: SQLCompiler, **kw: Any) -> str:
    value = _jsonb(element, compiler, **kw)
    other = f"jsonb_typeof({value})"
    return f"CASE {other} WHEN 'string' THEN 'text' WHEN 'number' THEN 'real' WHEN 'boolean' THEN {value} #>> '{{}}' ELSE {other} END"


@compiles(Text, "postgresql")
def _text(element: Text, compiler: SQLCompiler, **kw: Any) -> str:
    return f"({_jsonb(element, compiler, **kw)} #>> '{{}}')"


@compiles(Number, "postgresql")
def _number(element: Number, compiler: SQLCompiler, **kw: Any) -> str:
    return _jsonb(element, compiler, **kw)


@compiles(Constant, "sqlite")
def _plain(element: Constant, compiler: SQLCompiler, **kw: Any) -> str:
    return _said(element, compiler, slice(0, 1), **kw)[0]


@compiles(Constant, "postgresql")
def _as_jsonb(element: Constant, compiler: SQLCompiler, **kw: Any) -> str:
    return f"CAST({_said(element, compiler, slice(1, 2), **kw)[0]} AS JSONB)"


@compiles(HasElement, "sqlite")
def _in_each(element: HasElement, compiler: SQLCompiler, **kw: Any) -> str:
    column, path, kinds, value = _said(element, compiler, slice(0, 2), **kw) + _said(element, compiler, slice(-3, -1), **kw)
    return f"EXISTS (SELECT 1 FROM json_each({column}, {path}) AS one WHERE instr({kinds}, one.type) > 0 AND one.value = {value})"


@compiles(HasElement, "postgresql")
def _in_jsonb(element: HasElement, compiler: SQLCompiler, **kw: Any) -> str:
    wanted = _said(element, compiler, slice(-1, None), **kw)[0]
    return f"{_jsonb(element, compiler, -3, **kw)} @> CAST({wanted} AS JSONB)"


@compiles(HasText, "sqlite")
def _text_in_each(element: HasText, compiler: SQLCompiler, **kw: Any) -> str:
    column, value = _said(element, compiler, slice(0, 2), **kw)
    return f"EXISTS (SELECT 1 FROM json_each({column}) AS one WHERE one.value = {value})"


@compiles(HasText, "postgresql")
def _text_in_jsonb(element: HasText, compiler: SQLCompiler, **kw: Any) -> str:
    column, wanted = _said(element, compiler, slice(0, 1), **kw) + _said(element, compiler, slice(2, 3), **kw)
    return f"({column} @> CAST({wanted} AS JSONB))"


@compiles(LooksLikeInstant, "sqlite")
def _glob(element: LooksLikeInstant, compiler: SQLCompiler, **kw: Any) -> str:
    text = _said(element, compiler, slice(0, 1), **kw)[0]
    day = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
    clock = "[0-9][0-9]:[0-9][0-9]:[0-9][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]"
    return f"({text} GLOB '{day}' OR {text} GLOB '{day}T{clock}Z')"


@compiles(LooksLikeInstant, "postgresql")
def _regex(element: LooksLikeInstant, compiler: SQLCompiler, **kw: Any) -> str:
    text = _said(element, compiler, slice(0, 1), **kw)[0]
    day, clock = "[0-9]{4}-[0-9]{2}-[0-9]{2}", "[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{6}"
    return f"({text} ~ '^{day}(T{clock}Z)?$')"


@compiles(Amount, "sqlite")
def _parts(element: Amount, compiler: SQLCompiler, **kw: Any) -> str:
    place = ", ".join(_said(element, compiler, slice(0, 2), **kw))
    number = f"json_extract({place})"
    return f"CASE WHEN json_type({place}) IN ('integer', 'real') THEN {_rounded(number, 'CAST({0} AS INTEGER)')} END"


@compiles(Amount, "postgresql")
def _parts_of_jsonb(element: Amount, compiler: SQLCompiler, **kw: Any) -> str:
    value = _jsonb(element, compiler, **kw)
    number = f"CAST({value} AS DOUBLE PRECISION)"
    return f"CASE WHEN jsonb_typeof({value}) = 'number' THEN {_rounded(number, 'CAST(trunc({0}) AS BIGINT)')} END"


def _rounded(number: str, whole: str) -> str:
    """As `parts_of`; `whole` cuts off what is behind the point."""
    half = f"CASE WHEN {number} < 0 THEN -0.5 ELSE 0.5 END"
    return f"CASE WHEN {number} BETWEEN -{MOST} AND {MOST} THEN {whole.format(f'{number} * {PARTS}.0 + {half}')} END"


@compiles(Distinct, "sqlite")
def _told_apart(element: Distinct, compiler: SQLCompiler, **kw: Any) -> str:
    """A text gets a mark before it, so that none is a truth value; a number stays one, for 1 is 1.0."""
    place = ", ".join(_said(element, compiler, slice(0, 2), **kw))
    kind, value = f"json_type({place})", f"json_extract({place})"
    return f"CASE {kind} WHEN 'text' THEN '=' || {value} WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' WHEN 'integer' THEN {value} WHEN 'real' THEN {value} END"


@compiles(Distinct, "postgresql")
def _jsonb_told_apart(element: Distinct, compiler: SQLCompiler, **kw: Any) -> str:
    value = _jsonb(element, compiler, **kw)
    return f"CASE WHEN jsonb_typeof({value}) IN ('string', 'number', 'boolean') THEN {value} END"
