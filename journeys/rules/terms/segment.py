from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import Field

from journeys.rules.questions import Question
from journeys.rules.terms.shape import Choose, Pick
from journeys.rules.terms.term import Find, Term
from journeys.rules.types import Name
from journeys.topics import of_segment

if TYPE_CHECKING:
    from journeys.rules.sentence import Speaker


class SegmentTerm(Term):
    """The contact is a member of the segment (`member` False: is none). A segment that does not exist has no members."""

    kind = "segment"
    label = "Segment"
    asks = "whether the contact is in a segment"
    example = {"segment": "vip"}
    fresh = {"segment": ""}
    shape = (
        (
            Choose("member", "In or not in", [(True, "is in the segment"), (False, "is not in the segment")], True),
            Pick("segment", "Segment", "segment"),
        ),
    )

    segment: Name = Field(min_length=1, max_length=64, json_schema_extra={"names": "segment"})
    member: bool = True

    def find(self) -> Find:
        key = self.segment
        return lambda facts, as_of: facts.in_segment(key)

    def test(self) -> Question:
        member = self.member
        return lambda found, as_of: found is member

    def topics(self) -> Iterable[str]:
        return (of_segment(self.segment),)

    def sentence(self, speaker: Speaker) -> str:
        text = "is in the segment {segment}" if self.member else "is not in the segment {segment}"
        return speaker.fill(text, segment=f"*{self.segment}*")
