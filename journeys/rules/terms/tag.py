from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import Field

from journeys.rules.questions import Question
from journeys.rules.terms.shape import Choose, Write
from journeys.rules.terms.term import Find, Term
from journeys.rules.types import Name

if TYPE_CHECKING:
    from journeys.rules.sentence import Speaker


class TagTerm(Term):
    kind = "tag"
    label = "Tag"
    asks = "whether the contact has a tag"
    example = {"tag": "vip"}
    fresh = {"tag": ""}
    shape = (
        (
            Choose("has", "Has or has not", [(True, "has the tag"), (False, "does not have the tag")], True),
            Write("tag", "Tag", offered="tag"),
        ),
    )

    tag: Name = Field(min_length=1, max_length=120)
    has: bool = True

    def find(self) -> Find:
        tag = self.tag
        return lambda facts, as_of: facts.has_tag(tag)

    def test(self) -> Question:
        has = self.has
        return lambda found, as_of: found is has

    def topics(self) -> Iterable[str]:
        return (f"tag:{self.tag}",)

    def sentence(self, speaker: Speaker) -> str:
        text = "has the tag {tag}" if self.has else "does not have the tag {tag}"
        return speaker.fill(text, tag=f"*{self.tag}*")
