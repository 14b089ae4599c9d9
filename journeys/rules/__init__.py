"""Rules: a condition on a contact and its events, as JSON.

One language with three faces that must agree: `holds` answers for one contact, `crm.rules.expression` for many, `sentence` speaks
to people. `topics` and `next_flip` say what a rule depends on.
"""

from journeys.rules.check import check_rule
from journeys.rules.closures import holds, matches
from journeys.rules.dates import normalise, normalise_deep
from journeys.rules.dict_facts import DictFacts
from journeys.rules.explain import explain, explain_event
from journeys.rules.facts import Told
from journeys.rules.model import MAX_DEPTH, MAX_TERMS, Group, Rule, parse_rule
from journeys.rules.sentence import sentence
from journeys.rules.terms import (
    ConsentAgeTerm,
    ConsentTerm,
    EventTerm,
    FieldTerm,
    LeadSourceTerm,
    MessageTerm,
    ScoreTerm,
    SegmentTerm,
    SequenceTerm,
    TagTerm,
    Term,
    TopicTerm,
)
from journeys.rules.terms.event import Count
from journeys.rules.terms.message import MESSAGE_EVENTS, desugar
from journeys.rules.walk import can_flip, needs_run, next_flip, terms, topics

__all__ = [
    "MAX_DEPTH",
    "MAX_TERMS",
    "MESSAGE_EVENTS",
    "ConsentAgeTerm",
    "ConsentTerm",
    "Count",
    "DictFacts",
    "EventTerm",
    "FieldTerm",
    "Group",
    "LeadSourceTerm",
    "MessageTerm",
    "Rule",
    "ScoreTerm",
    "SegmentTerm",
    "SequenceTerm",
    "TagTerm",
    "Term",
    "Told",
    "TopicTerm",
    "can_flip",
    "check_rule",
    "desugar",
    "explain",
    "explain_event",
    "holds",
    "matches",
    "needs_run",
    "next_flip",
    "normalise",
    "normalise_deep",
    "parse_rule",
    "sentence",
    "terms",
    "topics",
]
