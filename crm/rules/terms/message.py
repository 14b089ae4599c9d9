from __future__ import annotations

from crm.rules.answers import Answer
from crm.rules.terms.event import EventSql
from crm.rules.terms.term import Builder, TermSql
from journeys.rules import MessageTerm, desugar


class MessageSql(TermSql[MessageTerm]):
    term = MessageTerm
    costly = True

    def on_contact(self, term: MessageTerm, builder: Builder) -> Answer:
        return EventSql().on_contact(desugar(term), builder)
