from __future__ import annotations

from crm.rules.answers import Answer, contacts, exists
from crm.rules.terms.term import Builder, TermSql
from journeys.rules import ConsentAgeTerm
from models import ConsentState
from storage.sql import table


class ConsentAgeSql(TermSql[ConsentAgeTerm]):
    term = ConsentAgeTerm

    def on_contact(self, term: ConsentAgeTerm, builder: Builder) -> Answer:
        states, then = table(ConsentState).alias(), builder.clock.instant(-term.age)
        of_age = states.c.said_at <= then if term.operator == ">" else states.c.said_at > then
        stated = (states.c.channel == term.consent_age, states.c.purpose == term.purpose, states.c.state == term.value)
        return exists(states, [states.c.contact_id == contacts.c.id, *stated, of_age], wanted=True)
