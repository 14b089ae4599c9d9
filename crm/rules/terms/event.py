from __future__ import annotations

from sqlalchemy import FromClause, func, select

from crm.rules.answers import NOW, OPPOSITE, Answer, compared, contacts, exists
from crm.rules.terms.term import Builder, TermSql
from journeys.catalogue import SYSTEM_EVENTS
from journeys.rules import EventTerm
from models import Event
from storage.sql import table


class EventSql(TermSql[EventTerm]):
    term = EventTerm

    def on_contact(self, term: EventTerm, builder: Builder) -> Answer:
        events = table(Event).alias()
        matching = [events.c.contact_id == contacts.c.id, *conditions(term, events, builder)]
        asked = (term.count.operator, term.count.value)
        if asked in ((">=", 1), (">", 0), ("!=", 0)):
            return exists(events, matching, wanted=term.did)
        if asked in (("<", 1), ("<=", 0), ("=", 0)):
            return exists(events, matching, wanted=not term.did)
        times = select(func.count()).select_from(events).where(*matching).correlate(contacts).scalar_subquery()
        return compared(term.count.operator if term.did else OPPOSITE[term.count.operator], times, term.count.value)


def conditions(term: EventTerm, events: FromClause, builder: Builder) -> list[Answer]:
    """What an event row must fulfil to count for `term`, besides belonging to the contact and to the run."""
    found = [events.c.name == term.event, events.c.occurred_at <= builder.clock.instant(NOW)]
    if term.event in SYSTEM_EVENTS:
        found.append(events.c.type == "system")
    if term.within is not None:
        found.append(events.c.occurred_at > builder.clock.instant(-term.within))
    if term.where is not None:
        found.append(builder.where(term.where, events))
    return found
