from __future__ import annotations

from crm.rules.answers import Answer, contacts, exists
from crm.rules.terms.term import Builder, TermSql
from journeys.rules import ConsentTerm
from journeys.rules.terms.consent import UNKNOWN
from models import ConsentState
from storage.sql import table


class ConsentSql(TermSql[ConsentTerm]):
    term = ConsentTerm

    def on_contact(self, term: ConsentTerm, builder: Builder) -> Answer:
        states = table(ConsentState).alias()
        matching = [states.c.contact_id == contacts.c.id, states.c.channel == term.consent, states.c.purpose == term.purpose]
        if term.value == UNKNOWN:
            return exists(states, matching, wanted=term.operator == "!=")
        return exists(states, [*matching, states.c.state == term.value], wanted=term.operator == "=")
