from __future__ import annotations

from sqlalchemy import select

from crm.rules.answers import Answer, contacts, exists
from crm.rules.terms.term import Builder, TermSql
from journeys.rules import SegmentTerm
from models import Segment, SegmentMember
from storage.sql import table


class SegmentSql(TermSql[SegmentTerm]):
    term = SegmentTerm

    def on_contact(self, term: SegmentTerm, builder: Builder) -> Answer:
        """By the stored membership, which is kept live; the segment's own rule is not asked."""
        members, segments = table(SegmentMember).alias(), table(Segment).alias()
        asked = select(segments.c.id).where(segments.c.key == term.segment).scalar_subquery()
        return exists(members, [members.c.segment_id == asked, members.c.contact_id == contacts.c.id], wanted=term.member)
