"""The kinds of term that rules are made of. A new one is one file in this folder and its name in this list, and the same for its SQL in
`crm/rules/terms/`. Groups of terms (`and`, `or`, `not`) are no kind: they belong to the model.
"""

from __future__ import annotations

from journeys.rules.terms.consent import ConsentTerm
from journeys.rules.terms.consent_age import ConsentAgeTerm
from journeys.rules.terms.event import EventTerm
from journeys.rules.terms.field import FieldTerm
from journeys.rules.terms.kinds import Kinds
from journeys.rules.terms.lead_source import LeadSourceTerm
from journeys.rules.terms.message import MessageTerm
from journeys.rules.terms.score import ScoreTerm
from journeys.rules.terms.segment import SegmentTerm
from journeys.rules.terms.sequence import SequenceTerm
from journeys.rules.terms.tag import TagTerm
from journeys.rules.terms.term import Term
from journeys.rules.terms.topic import TopicTerm

BUILT_IN: tuple[type[Term], ...] = (
    FieldTerm,
    EventTerm,
    SequenceTerm,
    MessageTerm,
    LeadSourceTerm,
    ConsentTerm,
    ConsentAgeTerm,
    TopicTerm,
    ScoreTerm,
    TagTerm,
    SegmentTerm,
)
"""In the order in which the builder shows them. The first is what an object is without any telling key."""

TERMS = Kinds(BUILT_IN)

__all__ = [
    "BUILT_IN",
    "TERMS",
    "ConsentAgeTerm",
    "ConsentTerm",
    "EventTerm",
    "FieldTerm",
    "LeadSourceTerm",
    "MessageTerm",
    "ScoreTerm",
    "SegmentTerm",
    "SequenceTerm",
    "TagTerm",
    "Term",
    "TopicTerm",
]
