"""What a predicate (`journeys.rules.predicates`) asks of a value in SQL, be it in JSON or in a column. Every answer is two-valued (never NULL)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import ColumnElement, FromClause, String, and_, case, false, func, literal, not_, or_, true

from crm.rules.answers import COMPARE, INSTANT, Answer, Clock
from journeys.rules import dates, predicates
from journeys.rules.fields import EVENT_CONTEXT
from storage.json_sql import NUMBERS, Kind, LooksLikeInstant, Number, Text, constant, has_element, place


class Source(Protocol):
    """Where a value lies: in JSON, or in a text column. Every answer is two-valued."""

    def missing(self) -> Answer: ...
    def is_text(self) -> Answer: ...
    def text(self) -> ColumnElement[str]: ...
    def one_of_others(self, asked: predicates.OneOf) -> list[Answer]: ...
    def number(self, asked: predicates.Number) -> Answer: ...
    def element(self, asked: predicates.OneOf) -> Answer: ...


@dataclass(frozen=True)
class Json:
    column: ColumnElement[Any]
    name: str

    def kind(self) -> ColumnElement[str]:
        return func.coalesce(Kind(*place(self.column, self.name)), "null")

    def missing(self) -> Answer:
        return self.kind() == "null"

    def is_text(self) -> Answer:
        return self.kind() == "text"

    def text(self) -> ColumnElement[str]:
        return Text(*place(self.column, self.name))

    def one_of_others(self, asked: predicates.OneOf) -> list[Answer]:
        found: list[Answer] = []
        if asked.numbers:
            values = [constant(number) for number in asked.numbers]
            found.append(and_(self.kind().in_(NUMBERS), Number(*place(self.column, self.name)).in_(values)))
        if asked.booleans:
            found.append(self.kind().in_(["true" if truth else "false" for truth in asked.booleans]))
        return found

    def number(self, asked: predicates.Number) -> Answer:
        value = Number(*place(self.column, self.name))
        return and_(self.kind().in_(NUMBERS), COMPARE[asked.comparison](value, constant(asked.bound)))

    def element(self, asked: predicates.OneOf) -> Answer:
        values = (*asked.texts, *asked.numbers, *asked.booleans)
        return and_(self.kind() == "array", or_(false(), *(has_element(self.column, self.name, value) for value in values)))


def of_event(events: FromClause, name: str) -> tuple[ColumnElement[Any], str]:
    """(column, path in it) of a property of an event, or of a part of its context."""
    around = EVENT_CONTEXT.get(name)
    return (events.c.properties, name) if around is None else (events.c.context, ".".join(around))


@dataclass(frozen=True)
class Column:
    column: ColumnElement[Any]

    def missing(self) -> Answer:
        return self.column.is_(None)

    def is_text(self) -> Answer:
        return self.column.is_not(None)

    def text(self) -> ColumnElement[str]:
        return self.column

    def one_of_others(self, asked: predicates.OneOf) -> list[Answer]:
        return []

    def number(self, asked: predicates.Number) -> Answer:
        return false()

    def element(self, asked: predicates.OneOf) -> Answer:
        return false()


@dataclass(frozen=True)
class Asked:
    """A predicate asked of a source."""

    source: Source
    clock: Clock

    def say(self, asked: predicates.Predicate) -> Answer:
        return _QUESTIONS[type(asked)](self, asked)

    def missing(self, _: predicates.Missing) -> Answer:
        return self.source.missing()

    def one_of(self, asked: predicates.OneOf) -> Answer:
        found = self.source.one_of_others(asked)
        if len(asked.texts) == 1:
            found.append(and_(self.source.is_text(), self.source.text() == asked.texts[0]))
        elif asked.texts:
            found.append(and_(self.source.is_text(), self.source.text().in_(asked.texts)))
        return or_(*found) if found else false()

    def number(self, asked: predicates.Number) -> Answer:
        return self.source.number(asked)

    def instant(self, asked: predicates.Instant) -> Answer:
        return self._instant(asked.comparison, literal(asked.bound, String()))

    def moving(self, asked: predicates.Moving) -> Answer:
        return self._instant(asked.comparison, self.clock.text(asked.offset))

    def text(self, asked: predicates.Text) -> Answer:
        """By position and not with LIKE, which ignores case on SQLite and gives `%` and `_` a meaning."""
        value, needle = self.source.text(), asked.needle
        if not needle:
            return self.source.is_text()
        part = {
            "inside": func.replace(value, needle, "") != value,
            "start": func.substr(value, 1, len(needle)) == needle,
            "end": and_(func.length(value) >= len(needle), func.substr(value, func.length(value) - len(needle) + 1) == needle),
        }[asked.where]
        return and_(self.source.is_text(), part)

    def element(self, asked: predicates.Element) -> Answer:
        return self.source.element(asked.one_of)

    def not_(self, asked: predicates.Not) -> Answer:
        return not_(self.say(asked.inner))

    def all_(self, asked: predicates.All) -> Answer:
        return and_(true(), *(self.say(inner) for inner in asked.inner))

    def any_(self, asked: predicates.AnyOf) -> Answer:
        return or_(false(), *(self.say(inner) for inner in asked.inner))

    def _instant(self, comparison: str, bound: ColumnElement[str]) -> Answer:
        value = self.source.text()
        full = case((func.length(value) == dates.INSTANT_LENGTH, value), else_=value + dates.MIDNIGHT)
        return and_(self.source.is_text(), LooksLikeInstant(value), COMPARE[comparison](full, bound))


class AskedInstant(Asked):
    """The same of a column of instants, compared as such, so that an index on it serves."""

    def __init__(self, column: ColumnElement[Any], clock: Clock) -> None:
        super().__init__(Column(column), clock)

    def one_of(self, asked: predicates.OneOf) -> Answer:
        instants = [literal(at, INSTANT) for text in asked.texts if (at := dates.moment(text)) is not None]
        return and_(self.source.is_text(), self.source.text().in_(instants)) if instants else false()

    def instant(self, asked: predicates.Instant) -> Answer:
        at = dates.moment(asked.bound)
        if at is None:
            return false()
        return and_(self.source.is_text(), COMPARE[asked.comparison](self.source.text(), literal(at, INSTANT)))

    def moving(self, asked: predicates.Moving) -> Answer:
        return and_(self.source.is_text(), COMPARE[asked.comparison](self.source.text(), self.clock.instant(asked.offset)))


_QUESTIONS: Mapping[type, Callable[[Any, Any], Answer]] = {
    predicates.Missing: lambda asker, asked: asker.missing(asked),
    predicates.OneOf: lambda asker, asked: asker.one_of(asked),
    predicates.Number: lambda asker, asked: asker.number(asked),
    predicates.Instant: lambda asker, asked: asker.instant(asked),
    predicates.Moving: lambda asker, asked: asker.moving(asked),
    predicates.Text: lambda asker, asked: asker.text(asked),
    predicates.Element: lambda asker, asked: asker.element(asked),
    predicates.Not: lambda asker, asked: asker.not_(asked),
    predicates.All: lambda asker, asked: asker.all_(asked),
    predicates.AnyOf: lambda asker, asked: asker.any_(asked),
}
