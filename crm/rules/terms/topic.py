from __future__ import annotations

from crm.rules.answers import Answer, contacts, exists
from crm.rules.terms.term import Builder, TermSql
from journeys.channels import TOPIC
from journeys.rules import TopicTerm
from journeys.rules.terms.consent import UNKNOWN
from models import ConsentState
from storage.sql import table


class TopicSql(TermSql[TopicTerm]):
    term = TopicTerm

    def on_contact(self, term: TopicTerm, builder: Builder) -> Answer:
        states = table(ConsentState).alias()
        matching = [states.c.contact_id == contacts.c.id, states.c.channel == TOPIC, states.c.purpose == term.topic]
        if term.value == UNKNOWN:
            return exists(states, matching, wanted=term.operator == "!=")
        return exists(states, [*matching, states.c.state == term.value], wanted=term.operator == "=")
