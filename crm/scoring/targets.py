"""What a model's rules should have given a page of contacts by now: from what they are and what has happened, whatever was booked before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import Select, bindparam, func, select
from sqlalchemy.orm import Session

from crm.rules.crowd_facts import Crowd
from crm.rules.expression import Builder
from crm.rules.sql_facts import Later
from crm.rules.terms.event import conditions
from journeys.rules import EventTerm, holds, next_flip
from journeys.scoring import Definition, ScoringRule, earned, next_change
from journeys.scoring.points import Days, midnight
from models import Event
from storage.sql import on, table
from workspace.settings import WorkCalendar, load

MOST_TIMES = 5_000
"""Of the occurrences of an event the newest so many count, for each contact and rule."""

Given = tuple[str, str]
"""(rule's id, score group)"""


@dataclass(slots=True)
class Targets:
    """`points`: contact -> rule -> what it should have given. `next_at`: contact -> when time alone may change some of it."""

    points: dict[str, dict[Given, int]] = field(default_factory=dict)
    next_at: dict[str, datetime] = field(default_factory=dict)

    def _comes(self, contact_id: str, at: datetime | None) -> None:
        if at is not None:
            self.next_at[contact_id] = min(at, self.next_at.get(contact_id, at))


@lru_cache(maxsize=256)
def _definition(text: bytes) -> Definition:
    return Definition.model_validate(orjson.loads(text))


def definition_of(stored: Mapping[str, object]) -> Definition:
    """The definition of a stored model; read once a process."""
    return _definition(orjson.dumps(stored, option=orjson.OPT_SORT_KEYS))


def zone_of(session: Session) -> ZoneInfo:
    """In which days, weeks and months are counted: the workspace's."""
    return ZoneInfo(load(session, WorkCalendar).zone)


def targets(session: Session, definition: Definition, ids: Sequence[str], crowd: Crowd, now: datetime) -> Targets:
    """For each of `ids`, who are in the crowd."""
    zone, found = zone_of(session), Targets({id: {} for id in ids})
    today = now.astimezone(zone).date()
    for rule in definition.rules:
        if rule.stands:
            _standing(rule, ids, crowd, now, found)
        else:
            _happened(session, rule, ids, zone, today, now, found)
    return found


def _standing(rule: ScoringRule, ids: Iterable[str], crowd: Crowd, now: datetime, found: Targets) -> None:
    for id in ids:
        facts = crowd.facts(id)
        if holds(rule.asked, facts, now):
            found.points[id][rule.id, rule.group] = rule.points
        found._comes(id, next_flip(rule.asked, facts, now))


def _happened(session: Session, rule: ScoringRule, ids: Sequence[str], zone: ZoneInfo, today: date, now: datetime, found: Targets) -> None:
    for id, days in _days(session, rule, ids, zone, today, now).items():
        if points := earned(rule, days, today):
            found.points[id][rule.id, rule.group] = points
        change = next_change(rule, days, today)
        found._comes(id, None if change is None else midnight(change, zone))


def _days(session: Session, rule: ScoringRule, ids: Sequence[str], zone: ZoneInfo, today: date, now: datetime) -> Mapping[str, Days]:
    """By contact, on which days of the zone it happened how often. Where days mean nothing, all are put on one."""
    asked = _statement(rule.term.model_dump_json(by_alias=True), by_day=rule.decay is not None or rule.most_per is not None)
    since = midnight(today - timedelta(days=rule.decay.ends_after + 32), zone) if rule.decay is not None else _EVER
    rows = on(session).execute(asked.statement, {"contacts": list(ids), "since": since, **asked.clock.values(now)})
    if not asked.by_day:
        return {id: {today: min(number, MOST_TIMES)} for id, number in rows}
    days: dict[str, Counter[date]] = {}
    for id, at in rows:
        days.setdefault(id, Counter())[at.astimezone(zone).date()] += 1
    return days


_EVER = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


@dataclass(frozen=True)
class _Asked:
    statement: Select[tuple[str, int]] | Select[tuple[str, datetime]]
    clock: Later
    by_day: bool


@lru_cache(maxsize=1024)
def _statement(text: str, by_day: bool) -> _Asked:
    """By the term's JSON, as in `crm.rules.crowd_facts`."""
    term, events, clock = EventTerm.model_validate_json(text), table(Event), Later()
    at, whose = events.c.occurred_at, events.c.contact_id
    mine = (
        whose.in_(bindparam("contacts", expanding=True)),
        at >= bindparam("since", type_=at.type),
        *conditions(term, events, Builder(clock)),
    )
    if not by_day:
        return _Asked(select(whose, func.count()).where(*mine).group_by(whose), clock, by_day)
    newest = func.row_number().over(partition_by=whose, order_by=(at.desc(), events.c.id.desc())).label("place")
    some = select(whose, at, newest).where(*mine).subquery()
    return _Asked(select(some.c.contact_id, some.c.occurred_at).where(some.c.place <= MOST_TIMES), clock, by_day)
