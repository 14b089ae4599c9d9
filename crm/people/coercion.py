"""Contact fields and properties of events in the types of the catalogue, wherever they come in: tracking, API, imports, steps of journeys.

Only what is built in or declared counts. A type that was learned from traffic describes what came and must not change what comes: which value
arrived first would decide what all later ones become. What does not fit stays as it came and is named, so that somebody can be told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from crm.catalogue import TOPIC
from journeys.catalogue import Catalogue
from journeys.coerce import Unfit, coerce, is_of
from models import CatalogueEvent, CatalogueField
from storage.freshness import freshness, is_changing
from storage.sql import table

COERCED = ("string", "number", "boolean", "date", "datetime")


@dataclass(frozen=True, slots=True)
class Types:
    """Path -> type, of contact fields and for each event; at one freshness number of the catalogue."""

    number: int = -1
    fields: Mapping[str, str] = field(default_factory=dict)
    events: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fitted:
    """`values` as they are stored; `unfit`: path -> the type that was expected."""

    values: dict[str, Any]
    unfit: Mapping[str, str]


def types_of(session: Session) -> Types:
    """The types that count in this transaction; kept in memory until the catalogue changes."""
    number, bind = freshness(session, TOPIC), session.get_bind()
    known = _known.get(bind.engine)
    if known is not None and known.number == number and not is_changing(session, TOPIC):
        return known
    found = _read(session, number)
    if not is_changing(session, TOPIC):
        _known[bind.engine] = found
    return found


_known: WeakKeyDictionary[Engine, Types] = WeakKeyDictionary()
_fields, _events = table(CatalogueField), table(CatalogueEvent)
_declared_fields = select(_fields.c.name, _fields.c.type).where(_fields.c.origin == "declared", _fields.c.type.in_(COERCED))
_declared_events = select(_events.c.name, _events.c.properties).where(_events.c.origin == "declared")


def _read(session: Session, number: int) -> Types:
    properties = {name: dict(spec.properties) for name, spec in Catalogue.built_in().events.items()}
    for name, declared in session.execute(_declared_events):
        properties[name] = {**properties.get(name, {}), **declared}
    events = {name: {path: type for path, type in typed.items() if type in COERCED} for name, typed in properties.items()}
    return Types(number, {row.name: row.type for row in session.execute(_declared_fields)}, events)


def fit_event(types: Types, name: str, properties: dict[str, Any]) -> Fitted:
    """Properties of an event (cleaned, so at most twelve deep) in the types of the catalogue."""
    return fit(types.events.get(name), properties)


def fit_fields(session: Session, fields: Mapping[str, Any]) -> Fitted:
    """Contact fields in the types of the catalogue."""
    return fit(types_of(session).fields, fields)


def fit(types: Mapping[str, str] | None, values: Mapping[str, Any]) -> Fitted:
    """`values`, where something changes as a copy."""
    found = values if isinstance(values, dict) else dict(values)
    unfit: dict[str, str] = {}
    for path, type in _relevant(types or {}, found):
        value = _at(found, path)
        if is_of(value, type):
            continue
        try:
            fitted = coerce(value, type)
        except Unfit:
            unfit[path] = type
            continue
        if fitted is not value:
            found = _with(found, path, fitted)
    return Fitted(found, unfit)


def _relevant(types: Mapping[str, str], values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The paths that are there: of two dozen that the catalogue knows, an event has five."""
    if len(types) <= len(values):
        return [(path, type) for path, type in types.items() if path in values or path.partition(".")[0] in values]
    direct = [(name, types[name]) for name in values if name in types]
    inside = [(path, type) for path, type in types.items() if "." in path and path not in values and path.partition(".")[0] in values]
    return direct + inside


def _at(values: Any, path: str) -> Any:
    if path in values:
        return values[path]
    for part in path.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    return values


def _with(values: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with `value` at `path`; only the objects on the way are copied."""
    head, dot, rest = path.partition(".")
    if path in values or not dot:
        return {**values, path: value}
    return {**values, head: _with(values[head], rest, value)}
