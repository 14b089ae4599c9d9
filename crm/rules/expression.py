"""The second face of a rule: a SQLAlchemy expression over `Contact` that finds everyone for whom it holds.

Built from the same predicates as the closures (`journeys.rules.predicates`), two-valued throughout (never NULL), on SQLite and PostgreSQL.
Conditions on columns and events can use indexes; conditions on attributes read every contact that is left.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import ColumnElement, FromClause, String, Table, and_, case, false, func, literal, not_, or_, select, true
from sqlalchemy.orm import Session

from journeys.catalogue import SYSTEM_EVENTS
from journeys.errors import Invalid, Issue
from journeys.rules import (
    ConsentTerm,
    EventTerm,
    FieldTerm,
    Group,
    MessageTerm,
    Rule,
    ScoreTerm,
    TagTerm,
    dates,
    desugar,
    needs_run,
    predicates,
)
from journeys.rules.fields import CONTACT_COLUMNS
from models import ConsentState, Contact, Event, Score, Tag
from storage import sampling
from storage.json_sql import NUMBERS, Kind, LooksLikeInstant, Number, Text, constant, has_element, place
from storage.sql import table

Answer = ColumnElement[bool]

COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
OPPOSITE: Mapping[str, str] = {"=": "!=", "!=": "=", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}

_contact: Table = table(Contact)
INSTANT = table(Event).c.occurred_at.type
NOTHING = timedelta(0)


def expression(rule: Rule, as_of: datetime) -> Answer:
    """True for the contacts for whom `rule` holds at `as_of`; never NULL. For statements that select from `Contact` itself.

    Merged and erased contacts are not left out (`living` does that).

    Raises:
        Invalid: the rule asks about a run (`trigger.…`, `steps.…`, `since_entry`, its own messages).
    """
    if needs_run(rule):
        text = "There is no run here yet: this condition only works inside a journey."
        raise Invalid("The rule can only be asked inside a journey.", [Issue(code="rule.needs_run", text=text)])
    return _Builder(_At(as_of)).rule(rule)


def living() -> Answer:
    """Contacts that are neither merged into another one nor erased."""
    return and_(_contact.c.merged_into.is_(None), _contact.c.erased_at.is_(None))


def count(session: Session, rule: Rule, as_of: datetime) -> int:
    """How many living contacts the rule holds for."""
    statement = select(func.count()).select_from(_contact).where(living(), expression(rule, as_of))
    return int(session.execute(statement).scalar_one())


def page(session: Session, rule: Rule, as_of: datetime, after_id: str = "", limit: int = 500) -> Sequence[str]:
    """Ids of the next `limit` living contacts after `after_id` for whom the rule holds, in the order of ids; fewer than `limit` at the end."""
    statement = select(_contact.c.id).where(_contact.c.id > after_id, living(), expression(rule, as_of))
    return session.execute(statement.order_by(_contact.c.id).limit(limit)).scalars().all()


def some(session: Session, rule: Rule, as_of: datetime, size: int, of: int) -> Sequence[str]:
    """`size` of the living contacts for whom the rule holds, drawn by lot; `of` or more are known to be there."""
    statement = select(_contact.c.id).where(living(), expression(rule, as_of))
    return session.execute(sampling.drawn(statement, _contact.c.id, size, of)).scalars().all()


def among(session: Session, rule: Rule, as_of: datetime, ids: Collection[str]) -> Sequence[str]:
    """Those of `ids`, living, for whom the rule holds, in the order of ids."""
    statement = select(_contact.c.id).where(_contact.c.id.in_(ids), living(), expression(rule, as_of))
    return session.execute(statement.order_by(_contact.c.id)).scalars().all()


class Clock(Protocol):
    """Now, moved by an offset: as an instant, and as text that sorts."""

    def instant(self, offset: timedelta) -> ColumnElement[Any]: ...
    def text(self, offset: timedelta) -> ColumnElement[str]: ...


@dataclass(frozen=True)
class _At:
    as_of: datetime

    def instant(self, offset: timedelta) -> ColumnElement[Any]:
        return literal(self.as_of + offset, INSTANT)

    def text(self, offset: timedelta) -> ColumnElement[str]:
        return literal(dates.text_of(self.as_of + offset), String())


def event_conditions(term: EventTerm, events: FromClause, clock: Clock) -> list[Answer]:
    """What an event row must fulfil to count for `term`, besides belonging to the contact and to the run."""
    found = [events.c.name == term.event, events.c.occurred_at <= clock.instant(NOTHING)]
    if term.event in SYSTEM_EVENTS:
        found.append(events.c.type == "system")
    if term.within is not None:
        found.append(events.c.occurred_at > clock.instant(-term.within))
    if term.where is not None:
        found.append(where_conditions(term.where, events, clock))
    return found


def where_conditions(where: Rule, events: FromClause, clock: Clock) -> Answer:
    """A rule on the properties of an event; terms other than fields and groups are false there."""
    if isinstance(where, Group):
        return _grouped(where, [where_conditions(inner, events, clock) for inner in where.rules])
    if isinstance(where, FieldTerm):
        return _Asked(_Json(events.c.properties, where.field), clock).say(predicates.predicate(where))
    return false()


def _grouped(group: Group, inner: list[Answer]) -> Answer:
    if not inner:
        return false() if group.negated else true()
    answer = and_(*inner) if group.combinator == "and" else or_(*inner)
    return not_(answer) if group.negated else answer


# --- Rules on contacts -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Builder:
    clock: Clock

    def rule(self, rule: Rule) -> Answer:
        return _TERMS[type(rule)](self, rule)

    def group(self, group: Group) -> Answer:
        return _grouped(group, [self.rule(inner) for inner in group.rules])

    def field(self, term: FieldTerm) -> Answer:
        column = CONTACT_COLUMNS.get(term.field)
        if column is None:
            return _Asked(_Json(_contact.c.attributes, term.field), self.clock).say(predicates.predicate(term))
        if column == "datetime":
            return _AskedInstant(_contact.c[term.field], self.clock).say(predicates.predicate(term, instant_column=True))
        return _Asked(_Column(_contact.c[term.field]), self.clock).say(predicates.predicate(term))

    def event(self, term: EventTerm) -> Answer:
        events = table(Event).alias()
        matching = [events.c.contact_id == _contact.c.id, *event_conditions(term, events, self.clock)]
        some = (term.count.operator, term.count.value)
        if some in ((">=", 1), (">", 0), ("!=", 0)):
            return _exists(events, matching, wanted=term.did)
        if some in (("<", 1), ("<=", 0), ("=", 0)):
            return _exists(events, matching, wanted=not term.did)
        times = select(func.count()).select_from(events).where(*matching).correlate(_contact).scalar_subquery()
        wanted = term.count.operator if term.did else OPPOSITE[term.count.operator]
        return _answer(COMPARE[wanted](times, term.count.value))

    def message(self, term: MessageTerm) -> Answer:
        return self.event(desugar(term))

    def consent(self, term: ConsentTerm) -> Answer:
        states = table(ConsentState).alias()
        matching = [states.c.contact_id == _contact.c.id, states.c.channel == term.consent, states.c.purpose == term.purpose]
        if term.value == "unknown":
            return _exists(states, matching, wanted=term.operator == "!=")
        return _exists(states, [*matching, states.c.state == term.value], wanted=term.operator == "=")

    def score(self, term: ScoreTerm) -> Answer:
        """A group that was never scored has 0: where 0 fulfils the term, contacts that have a value outside are sought instead."""
        scores = table(Score).alias()
        zero_fits = bool(COMPARE[term.operator](0.0, term.value))
        sought = OPPOSITE[term.operator] if zero_fits else term.operator
        matching = [scores.c.contact_id == _contact.c.id, scores.c.score_group == term.score]
        return _exists(scores, [*matching, COMPARE[sought](scores.c.value, term.value)], wanted=not zero_fits)

    def tag(self, term: TagTerm) -> Answer:
        tags = table(Tag).alias()
        return _exists(tags, [tags.c.contact_id == _contact.c.id, tags.c.tag == term.tag], wanted=term.has)


_TERMS: Mapping[type, Callable[[_Builder, Any], Answer]] = {
    Group: _Builder.group,
    FieldTerm: _Builder.field,
    EventTerm: _Builder.event,
    MessageTerm: _Builder.message,
    ConsentTerm: _Builder.consent,
    ScoreTerm: _Builder.score,
    TagTerm: _Builder.tag,
}


def _exists(rows: FromClause, matching: list[Answer], *, wanted: bool) -> Answer:
    found = select(1).select_from(rows).where(*matching).correlate(_contact).exists()
    return found if wanted else not_(found)


def _answer(comparison: Any) -> Answer:
    answer: Answer = comparison
    return answer


# --- What a predicate asks of a value ------------------------------------------------------------------------------


class _Source(Protocol):
    """Where a value lies: in JSON, or in a text column. Every answer is two-valued."""

    def missing(self) -> Answer: ...
    def is_text(self) -> Answer: ...
    def text(self) -> ColumnElement[str]: ...
    def one_of_others(self, asked: predicates.OneOf) -> list[Answer]: ...
    def number(self, asked: predicates.Number) -> Answer: ...
    def element(self, asked: predicates.OneOf) -> Answer: ...


@dataclass(frozen=True)
class _Json:
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


@dataclass(frozen=True)
class _Column:
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
class _Asked:
    """A predicate asked of a source."""

    source: _Source
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


class _AskedInstant(_Asked):
    """The same of a column of instants, compared as such, so that an index on it serves."""

    def __init__(self, column: ColumnElement[Any], clock: Clock) -> None:
        super().__init__(_Column(column), clock)

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
