from __future__ import annotations

from sqlalchemy import FromClause, not_

from crm.rules.answers import Answer, contacts, exists
from crm.rules.predicates import Asked, AskedInstant, Column, Json, of_event
from crm.rules.terms.term import Builder, TermSql
from journeys.rules import FieldTerm
from journeys.rules.fields import COMPANY, CONTACT_COLUMNS
from journeys.rules.predicates import predicate
from journeys.rules.questions import holds_of_missing
from models import Company, CompanyMember
from storage.sql import table

companies, members = table(Company), table(CompanyMember)


class FieldSql(TermSql[FieldTerm]):
    term = FieldTerm

    def on_contact(self, term: FieldTerm, builder: Builder) -> Answer:
        column = CONTACT_COLUMNS.get(term.field)
        if term.field.startswith(COMPANY):
            return self._of_company(term, builder)
        if column is None:
            return Asked(Json(contacts.c.attributes, term.field), builder.clock).say(predicate(term))
        if column == "datetime":
            return AskedInstant(contacts.c[term.field], builder.clock).say(predicate(term, instant_column=True))
        return Asked(Column(contacts.c[term.field]), builder.clock).say(predicate(term))

    def _of_company(self, term: FieldTerm, builder: Builder) -> Answer:
        """Looked up from the companies' side. Whoever has none is asked as one of whom nothing is known."""
        asked = predicate(term)
        says = Asked(Json(companies.c.told, term.field.removeprefix(COMPANY)), builder.clock).say(asked)
        rows = members.join(companies, companies.c.id == members.c.company_id)
        if holds_of_missing(asked):
            return exists(rows, (members.c.contact_id == contacts.c.id, not_(says)), wanted=False)
        return exists(rows, (members.c.contact_id == contacts.c.id, says), wanted=True)

    def may_flip(self, term: FieldTerm, builder: Builder) -> Answer:
        """Where there is no value, time changes nothing."""
        if term.field.startswith(COMPANY):
            return super().may_flip(term, builder)
        column = CONTACT_COLUMNS.get(term.field)
        source = Json(contacts.c.attributes, term.field) if column is None else Column(contacts.c[term.field])
        return not_(source.missing())

    def on_event(self, term: FieldTerm, events: FromClause, builder: Builder) -> Answer:
        return Asked(Json(*of_event(events, term.field)), builder.clock).say(predicate(term))
