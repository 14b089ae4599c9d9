from __future__ import annotations

from crm.rules.answers import COMPARE, OPPOSITE, Answer, compared, contacts, exists
from crm.rules.terms.term import Builder, TermSql
from journeys.rules import ScoreTerm
from models import Score
from storage.sql import table


class ScoreSql(TermSql[ScoreTerm]):
    term = ScoreTerm

    def on_contact(self, term: ScoreTerm, builder: Builder) -> Answer:
        """A group that was never scored has 0: where 0 fulfils the term, contacts that have a value outside are sought instead."""
        scores = table(Score).alias()
        zero_fits = bool(COMPARE[term.operator](0.0, term.value))
        sought = OPPOSITE[term.operator] if zero_fits else term.operator
        matching = [scores.c.contact_id == contacts.c.id, scores.c.score_group == term.score]
        return exists(scores, [*matching, compared(sought, scores.c.value, term.value)], wanted=not zero_fits)
