"""What the kinds of term are in SQL. A new one is one file in this folder and its name in this list, and the same for the term itself in
`journeys/rules/terms/`; a test holds the two lists together.
"""

from __future__ import annotations

from typing import Any

from crm.rules.terms.consent import ConsentSql
from crm.rules.terms.consent_age import ConsentAgeSql
from crm.rules.terms.event import EventSql
from crm.rules.terms.field import FieldSql
from crm.rules.terms.lead_source import LeadSourceSql
from crm.rules.terms.message import MessageSql
from crm.rules.terms.score import ScoreSql
from crm.rules.terms.segment import SegmentSql
from crm.rules.terms.sequence import SequenceSql
from crm.rules.terms.tag import TagSql
from crm.rules.terms.term import TermSql
from crm.rules.terms.topic import TopicSql

BUILT_IN: tuple[TermSql[Any], ...] = (
    FieldSql(),
    EventSql(),
    SequenceSql(),
    MessageSql(),
    LeadSourceSql(),
    ConsentSql(),
    ConsentAgeSql(),
    TopicSql(),
    ScoreSql(),
    TagSql(),
    SegmentSql(),
)

SQL: dict[str, TermSql[Any]] = {one.term.kind: one for one in BUILT_IN}
"""By the telling key of the term."""

__all__ = ["BUILT_IN", "SQL", "TermSql"]
