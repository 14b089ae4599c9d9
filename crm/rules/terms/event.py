from __future__ import annotations

from sqlalchemy import FromClause, false, func, literal, not_, select

from crm.rules import aggregates
from crm.rules.answers import INSTANT, NOW, OPPOSITE, Answer, compared, contacts, exists
from crm.rules.terms.term import Builder, TermSql
from journeys.catalogue import SYSTEM_EVENTS
from journeys.rules import EventTerm
from journeys.rules.period import Period
from models import Event
from storage.sql import table


class EventSql(TermSql[EventTerm]):
    term = EventTerm
    costly = True

    def on_contact(self, term: EventTerm, builder: Builder) -> Answer:
        events = table(Event).alias()
        matching = [events.c.contact_id == contacts.c.id, *conditions(term, events, builder)]
        if term.aggregate is not None:
            found = aggregates.holds(term.aggregate, events, matching, builder)
            return found if term.did else not_(found)
        asked = (term.count.operator, term.count.value)
        if asked in ((">=", 1), (">", 0), ("!=", 0)):
            return exists(events, matching, wanted=term.did)
        if asked in (("<", 1), ("<=", 0), ("=", 0)):
            return exists(events, matching, wanted=not term.did)
        times = select(func.count()).select_from(events).where(*matching).correlate(contacts).scalar_subquery()
        return compared(term.count.operator if term.did else OPPOSITE[term.count.operator], times, term.count.value)

    def may_flip(self, term: EventTerm, builder: Builder) -> Answer:
        """Only what lies in the window can leave it; what is too new to count yet can come into it."""
        if term.period.ago is not None:
            return super().may_flip(term, builder)
        events = table(Event).alias()
        return exists(events, [events.c.contact_id == contacts.c.id, *conditions(term, events, builder)], wanted=True)


def conditions(term: EventTerm, events: FromClause, builder: Builder) -> list[Answer]:
    """What an event row must fulfil to count for `term`, besides belonging to the contact and to the run."""
    found = [*named(term.event, events), *during(term.period, events, builder)]
    if term.where is not None:
        found.append(builder.where(term.where, events))
    return found


def named(name: str, events: FromClause) -> list[Answer]:
    """Events that are what their name says."""
    return [events.c.name == name, *([events.c.type == "system"] if name in SYSTEM_EVENTS else [])]


def during(period: Period, events: FromClause, builder: Builder) -> list[Answer]:
    """Events of a period, up to now."""
    at, clock = events.c.occurred_at, builder.clock
    found = [at <= clock.instant(NOW)]
    if period.never:
        found.append(false())
    if period.within is not None:
        found.append(at > clock.instant(-period.within))
    if period.since is not None:
        found.append(at >= literal(period.since, INSTANT))
    if period.before is not None:
        found.append(at < literal(period.before, INSTANT))
    if period.ago is not None:
        found.append(at < clock.instant(period.ago))
    return found
