from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from journeys.channels import TOPIC
from journeys.rules.questions import Question
from journeys.rules.terms.consent import UNKNOWN
from journeys.rules.terms.shape import Choose, Pick, Words
from journeys.rules.terms.term import Find, Term
from journeys.rules.types import Name

if TYPE_CHECKING:
    from journeys.rules.sentence import Speaker


class TopicTerm(Term):
    """What a contact said about a topic: `granted`, `withdrawn`, `pending`, or `unknown` (nothing ever said)."""

    kind = "topic"
    label = "Topic"
    asks = "what was said about a topic: `granted`, `withdrawn`, `pending` or `unknown` (`operator`: `=` or `!=`)"
    example = {"topic": "events", "value": "withdrawn"}
    fresh = {"topic": ""}
    shape = (
        (
            Words("Topic"),
            Pick("topic", "Topic", "topic", ""),
            Choose("operator", "Comparison", [("=", "is"), ("!=", "is not")], "="),
            Choose(
                "value",
                "Value",
                [("granted", "wanted"), ("withdrawn", "declined"), ("pending", "not confirmed yet"), (UNKNOWN, "never asked")],
                "granted",
            ),
        ),
    )

    topic: Name = Field(min_length=1, max_length=64, json_schema_extra={"names": "topic"})
    operator: Literal["=", "!="] = "="
    value: Literal["granted", "withdrawn", "pending", "unknown"] = "granted"

    def find(self) -> Find:
        topic = self.topic
        return lambda facts, as_of: facts.consent(TOPIC, topic) or UNKNOWN

    def test(self) -> Question:
        state, equal = self.value, self.operator == "="
        return lambda found, as_of: (found == state) is equal

    def topics(self) -> Iterable[str]:
        return ("consent",)

    def sentence(self, speaker: Speaker) -> str:
        return speaker.fill(_SENTENCES[self.value][0 if self.operator == "=" else 1], topic=self.topic)


_SENTENCES = {
    "granted": ("wants to hear about {topic}", "did not ask to hear about {topic}"),
    "withdrawn": ("does not want to hear about {topic}", "has not declined {topic}"),
    "pending": ("has not confirmed the topic {topic} yet", "has no open confirmation of the topic {topic}"),
    "unknown": ("never answered about {topic}", "answered about {topic}"),
}
