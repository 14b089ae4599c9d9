from __future__ import annotations

from sqlalchemy import not_

from crm.rules.answers import NOW, Answer, contacts, exists
from crm.rules.predicates import Asked, Column
from crm.rules.terms.term import Builder, TermSql
from journeys.rules import LeadSourceTerm
from journeys.rules.questions import holds_of_missing
from models import LeadSource
from storage.sql import table


class LeadSourceSql(TermSql[LeadSourceTerm]):
    term = LeadSourceTerm

    def on_contact(self, term: LeadSourceTerm, builder: Builder) -> Answer:
        """By the one row of the contact. Where somebody of whom nothing is known fulfils the term, those who do not are sought instead."""
        rows = table(LeadSource).alias()
        own, at = rows.c.contact_id == contacts.c.id, rows.c[f"{term.lead_source}_at"]
        recent = []
        if term.within is not None:
            recent = [at > builder.clock.instant(-term.within), at <= builder.clock.instant(NOW)]
        if term.attribute is None:
            return exists(rows, [own, *recent], wanted=True)
        asked = term.asked()
        said = Asked(Column(rows.c[f"{term.lead_source}_{term.attribute}"]), builder.clock).say(asked)
        if not recent and holds_of_missing(asked):
            return exists(rows, [own, not_(said)], wanted=False)
        return exists(rows, [own, said, *recent], wanted=True)
