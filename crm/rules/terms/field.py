from __future__ import annotations

from sqlalchemy import FromClause

from crm.rules.answers import Answer, contacts
from crm.rules.predicates import Asked, AskedInstant, Column, Json
from crm.rules.terms.term import Builder, TermSql
from journeys.rules import FieldTerm
from journeys.rules.fields import CONTACT_COLUMNS
from journeys.rules.predicates import predicate


class FieldSql(TermSql[FieldTerm]):
    term = FieldTerm

    def on_contact(self, term: FieldTerm, builder: Builder) -> Answer:
        column = CONTACT_COLUMNS.get(term.field)
        if column is None:
            return Asked(Json(contacts.c.attributes, term.field), builder.clock).say(predicate(term))
        if column == "datetime":
            return AskedInstant(contacts.c[term.field], builder.clock).say(predicate(term, instant_column=True))
        return Asked(Column(contacts.c[term.field]), builder.clock).say(predicate(term))

    def on_event(self, term: FieldTerm, events: FromClause, builder: Builder) -> Answer:
        return Asked(Json(events.c.properties, term.field), builder.clock).say(predicate(term))
