"""The workspace's catalogue: what is built in, what was declared, and what traffic taught.

Learning is bounded and keeps names and types only, never values. A process keeps the catalogue in memory and compares one number
(`freshness(session, TOPIC)`) to notice a change. Journeys and rules are checked against it; nothing is refused because it is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast, get_args

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from journeys.catalogue import Catalogue, EventSpec, FieldSpec, Type
from journeys.errors import Conflict, Invalid, NotFound
from journeys.rules.dates import INSTANT_LENGTH, instant, normalise
from journeys.rules.fields import CONTACT_COLUMNS
from models import CatalogueEvent, CatalogueField
from storage.freshness import bump
from storage.sql import table, upsert

TOPIC = "catalogue"

MAX_PROPERTIES = 200
MAX_VALUES = 200
NAME = re.compile(r'[^".\\\x00-\x1f]+(\.[^".\\\x00-\x1f]+)*')
TYPES = get_args(Type)

_fields, _events = table(CatalogueField), table(CatalogueEvent)


@dataclass(frozen=True, slots=True)
class Limits:
    """Most that is learned, together with what is declared; past it the rest stays unknown. Declaring is still possible."""

    fields: int = 2_000
    events: int = 1_000
    properties: int = MAX_PROPERTIES
    """Of one event."""


def load_catalogue(session: Session) -> Catalogue:
    """The built-in catalogue with the workspace's own fields and events."""
    fields = session.execute(select(_fields.c.name, _fields.c.type, _fields.c.title, _fields.c.origin, _fields.c["values"])).all()
    events = session.execute(select(_events.c.name, _events.c.properties, _events.c.title, _events.c.origin)).all()
    specs = (FieldSpec(name, type, title, origin, tuple(values)) for name, type, title, origin, values in fields)
    return Catalogue.built_in().with_fields(*specs).with_events(*(EventSpec(*row) for row in events))


def field_titles(session: Session) -> dict[str, str]:
    """Field -> its title, of the fields that somebody gave one."""
    return dict(session.execute(select(_fields.c.name, _fields.c.title).where(_fields.c.title != "")).all())


# --- Declaring ---------------------------------------------------------------------------------------------------


def declare_field(session: Session, name: str, kind: str, now: datetime, *, title: str = "", values: tuple[Any, ...] = ()) -> FieldSpec:
    """Makes a contact field known, or changes what is known about it; `values` are offered in forms.

    Raises:
        Invalid: a malformed name, an unknown type, or too many values.
        Conflict: the field is built in.
    """
    _check_name(name)
    if name in CONTACT_COLUMNS:
        raise Conflict("The field {name} is built in; choose another name.", name=name)
    if kind not in TYPES:
        raise Invalid("Expected a type out of {types}.", types=list(TYPES))
    if len(values) > MAX_VALUES or any(isinstance(value, list | dict) for value in values):
        raise Invalid("Expected at most {limit} plain values.", limit=MAX_VALUES)
    row = {"type": kind, "title": title[:120], "origin": "declared", "values": list(values)}
    statement = upsert(session, CatalogueField).values(name=name, first_seen_at=now, **row)
    session.execute(statement.on_conflict_do_update(index_elements=["name"], set_=row))
    bump(session, TOPIC)
    return FieldSpec(name, cast(Type, kind), title[:120], "declared", values)


def declare_event(session: Session, name: str, properties: Mapping[str, str], now: datetime, *, title: str = "") -> EventSpec:
    """Makes an event known with its properties (dotted path -> type), or replaces what was declared or learned about it.

    Raises:
        Invalid: a malformed name, an unknown type, or too many properties.
    """
    if not 0 < len(name) <= 200 or "\x00" in name:
        raise Invalid("Expected a name of an event with 1 to 200 characters.")
    if len(properties) > MAX_PROPERTIES:
        raise Invalid("Expected at most {limit} properties.", limit=MAX_PROPERTIES)
    for path, type in properties.items():
        _check_name(path)
        if type not in TYPES:
            raise Invalid("Expected a type out of {types}.", types=list(TYPES))
    row = {"title": title[:200], "properties": dict(properties), "origin": "declared"}
    statement = upsert(session, CatalogueEvent).values(name=name, first_seen_at=now, **row)
    session.execute(statement.on_conflict_do_update(index_elements=["name"], set_=row))
    bump(session, TOPIC)
    return EventSpec(name, cast(Mapping[str, Type], dict(properties)), title[:200], "declared")


def declare_missing(session: Session, fields: Iterable[FieldSpec], events: Iterable[EventSpec], now: datetime) -> None:
    """Makes known what the workspace does not know yet, such as what a journey of the gallery asks for; what it knows stays as it is."""
    known = load_catalogue(session)
    for field in fields:
        if known.field(field.name) is None:
            declare_field(session, field.name, field.type, now, title=field.title, values=field.values)
    for event in events:
        if known.event(event.name) is None:
            declare_event(session, event.name, event.properties, now, title=event.title)


def forget_field(session: Session, name: str) -> None:
    """Removes a declared or learned field from the catalogue; contacts keep their values.

    Raises:
        NotFound: the workspace has no such field of its own.
    """
    row = session.get(CatalogueField, name)
    if row is None:
        raise NotFound("The workspace knows no field {name} of its own.", name=name[:120])
    session.delete(row)
    session.flush()
    bump(session, TOPIC)


def forget_event(session: Session, name: str) -> None:
    """Removes a declared or learned event from the catalogue; contacts keep what they did.

    Raises:
        NotFound: the workspace has no such event of its own.
    """
    row = session.get(CatalogueEvent, name)
    if row is None:
        raise NotFound("The workspace knows no event {name} of its own.", name=name[:200])
    session.delete(row)
    session.flush()
    bump(session, TOPIC)


def _check_name(name: str) -> None:
    if len(name) > 120 or not NAME.fullmatch(name):
        raise Invalid("Expected a name with 1 to 120 characters, without quotes, backslashes or empty parts between dots.")


# --- Learning ----------------------------------------------------------------------------------------------------


def learn(
    session: Session,
    fields: Mapping[str, Any],
    events: Mapping[str, Mapping[str, Any]],
    now: datetime,
    limits: Limits | None = None,
) -> bool:
    """Adds what traffic showed: contact fields (name -> a value) and events (name -> properties). Tells whether anything was new.

    Built-in and declared types stay; a learned field that comes in another type becomes `any`. The same again changes nothing, but costs
    a few statements: on a busy door a `Learner` stands before it.
    """
    limits = limits or Limits()
    learned = [_learn_fields(session, fields, now, limits)]
    learned += [_learn_event(session, name, seen, now, limits) for name, seen in events.items()]
    if any(learned):
        bump(session, TOPIC)
    return any(learned)


class Learner:
    """Remembers what a process has offered for learning, so that known traffic costs a look into a set and no statement.

    For one thread. Past `limit` names nothing more is offered: traffic that invents names cannot keep the database busy.
    """

    def __init__(self, limit: int = 50_000) -> None:
        self._limit = limit
        self._offered: set[tuple[str | None, str, type]] = set()
        self._events: dict[str, dict[str, Any]] = {}
        self._fields: dict[str, Any] = {}

    def see_event(self, name: str, properties: Mapping[str, Any]) -> None:
        """An event of the traffic; its name is new, or one of its properties by name or type."""
        fresh = self._fresh(name, {"": "", **properties})
        if fresh:
            fresh.pop("", None)
            self._events.setdefault(name, {}).update(fresh)

    def see_fields(self, fields: Mapping[str, Any]) -> None:
        """Contact fields of the traffic."""
        self._fields.update(self._fresh(None, fields))

    def learn(self, session: Session, now: datetime) -> bool:
        """Learns what was seen since the last time; tells whether the catalogue changed. Without news it does nothing."""
        if not self._fields and not self._events:
            return False
        fields, events, self._fields, self._events = self._fields, self._events, {}, {}
        return learn(session, fields, events, now)

    def _fresh(self, event: str | None, values: Mapping[str, Any]) -> dict[str, Any]:
        fresh = {name: value for name, value in values.items() if (event, name, value.__class__) not in self._offered}
        if not fresh or len(self._offered) + len(fresh) > self._limit:
            return {}
        self._offered.update((event, name, value.__class__) for name, value in fresh.items())
        return fresh


def _learn_fields(session: Session, fields: Mapping[str, Any], now: datetime, limits: Limits) -> bool:
    seen = {name: type for name, type in _typed(fields) if name not in CONTACT_COLUMNS}
    if not seen:
        return False
    known = {row.name: row for row in session.execute(select(_fields).where(_fields.c.name.in_(seen)))}
    room = limits.fields - _count(session, _fields)
    new = [name for name in seen if name not in known][: max(room, 0)]
    if new:
        rows = [{"name": name, "type": seen[name], "title": "", "origin": "learned", "values": [], "first_seen_at": now} for name in new]
        session.execute(upsert(session, CatalogueField).on_conflict_do_nothing(index_elements=["name"]), rows)
    blurred = [name for name, row in known.items() if row.origin == "learned" and _joined(row.type, seen[name]) != row.type]
    if blurred:
        session.execute(update(_fields).where(_fields.c.name.in_(blurred)).values(type="any"))
    return bool(new or blurred)


def _learn_event(session: Session, name: str, properties: Mapping[str, Any], now: datetime, limits: Limits) -> bool:
    if not 0 < len(name) <= 200:
        return False
    built_in = Catalogue.built_in().event(name)
    spoken_for = {} if built_in is None else built_in.properties
    seen = {path: type for path, type in _typed(properties) if path not in spoken_for}
    row = session.execute(select(_events).where(_events.c.name == name)).one_or_none()
    if row is None:
        return (built_in is None or bool(seen)) and _add_event(session, name, seen, now, limits)
    if row.origin != "learned":
        return False
    merged = _merged(row.properties, seen, limits.properties)
    if merged == row.properties:
        return False
    session.execute(update(_events).where(_events.c.name == name).values(properties=merged))
    return True


def _add_event(session: Session, name: str, properties: Mapping[str, str], now: datetime, limits: Limits) -> bool:
    if _count(session, _events) >= limits.events:
        return False
    row = {"name": name, "title": "", "properties": _merged({}, properties, limits.properties), "origin": "learned", "first_seen_at": now}
    session.execute(upsert(session, CatalogueEvent).on_conflict_do_nothing(index_elements=["name"]), row)
    return True


def _merged(known: Mapping[str, str], seen: Mapping[str, str], most: int) -> dict[str, str]:
    merged = dict(known)
    for path, type in seen.items():
        if path in merged:
            merged[path] = _joined(merged[path], type)
        elif len(merged) < most:
            merged[path] = type
    return merged


def _joined(known: str, seen: str) -> str:
    return known if known == seen else "any"


def _typed(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(name, type) of what can be named and is not null; objects are opened one level."""
    for name, value in values.items():
        if not _nameable(name) or value is None:
            continue
        yield name, _type(value)
        if isinstance(value, Mapping):
            inner = ((f"{name}.{key}", inside) for key, inside in value.items())
            yield from ((path, _type(inside)) for path, inside in inner if _nameable(path) and inside is not None)


def _nameable(name: str) -> bool:
    return len(name) <= 120 and NAME.fullmatch(name) is not None


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, Mapping):
        return "object"
    if isinstance(value, list | tuple):
        return "list"
    text = normalise(value)
    if instant(text) is None:
        return "string"
    return "datetime" if len(text) == INSTANT_LENGTH else "date"


def _count(session: Session, rows: Any) -> int:
    return int(session.execute(select(func.count()).select_from(rows)).scalar_one())
