from __future__ import annotations

from crm.rules.answers import Answer, contacts
from crm.rules.predicates import Asked, Column
from crm.rules.terms.term import Builder, TermSql
from tests.journeys.rules.toys.domain import DomainTerm


class DomainSql(TermSql[DomainTerm]):
    term = DomainTerm

    def on_contact(self, term: DomainTerm, builder: Builder) -> Answer:
        return Asked(Column(contacts.c.email), builder.clock).say(term.asked())
