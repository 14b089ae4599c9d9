from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from journeys.channels import ASKED, MessageConsent
from journeys.rules import dates
from journeys.rules.facts import Facts
from journeys.rules.questions import Question
from journeys.rules.terms.consent import LABELS, SUBJECTS
from journeys.rules.terms.shape import Choose, Pick, Span, Words
from journeys.rules.terms.term import Find, Flip, Term
from journeys.rules.types import Name, Within

if TYPE_CHECKING:
    from journeys.rules.sentence import Speaker


class ConsentAgeTerm(Term):
    """The consent for a channel and purpose is in the state `value`, and was said longer ago than `age` (`>`), or more recently (`<`)."""

    kind = "consent_age"
    label = "Consent age"
    asks = "how long ago a consent was given or withdrawn: longer ago (`operator` `>`, that instant included) or more recently (`<`) than `age`"
    example = {"consent_age": "email", "purpose": "marketing", "value": "granted", "operator": ">", "age": "P730D"}
    fresh = {"consent_age": ""}
    shape = (
        (
            Words("Consent"),
            Choose("consent_age", "Channel", [(one, LABELS[one]) for one in ASKED], former=list(LABELS.items())),
            Pick("purpose", "Consent purpose", "purpose", "marketing"),
            Choose("value", "Value", [("granted", "granted"), ("withdrawn", "withdrawn"), ("pending", "not confirmed yet")], "granted"),
        ),
        (Choose("operator", "Comparison", [(">", "longer ago than"), ("<", "more recently than")], ">"), Span("age", "Age")),
    )

    consent_age: MessageConsent
    purpose: Name = Field("marketing", max_length=64, json_schema_extra={"names": "purpose"})
    value: Literal["granted", "withdrawn", "pending"] = "granted"
    operator: Literal[">", "<"] = ">"
    age: Within

    def find(self) -> Find:
        channel, purpose, state = self.consent_age, self.purpose, self.value
        return lambda facts, as_of: facts.consent_said_at(channel, purpose) if facts.consent(channel, purpose) == state else None

    def test(self) -> Question:
        age, longer = self.age, self.operator == ">"
        return lambda said_at, as_of: said_at is not None and (said_at <= as_of - age) is longer

    def shown(self, found: datetime | None) -> Any:
        return None if found is None else dates.text_of(found)

    def topics(self) -> Iterable[str]:
        return ("consent",)

    def flip(self) -> Flip | None:
        find, age = self.find(), self.age

        def comes_of_age(facts: Facts, as_of: datetime) -> datetime | None:
            said_at = find(facts, as_of)
            return None if said_at is None else said_at + age

        return comes_of_age

    def sentence(self, speaker: Speaker) -> str:
        text = _SENTENCES[self.value][0 if self.operator == ">" else 1]
        when = speaker.offset(-self.age) if self.operator == ">" else speaker.past(self.age)
        return speaker.fill(text, channel=speaker.translate(SUBJECTS[self.consent_age]), purpose=self.purpose, when=when)


_SENTENCES = {
    "granted": ("allowed {channel} for {purpose}, {when} or earlier", "allowed {channel} for {purpose}{when}"),
    "withdrawn": (
        "withdrew the consent to {channel} for {purpose}, {when} or earlier",
        "withdrew the consent to {channel} for {purpose}{when}",
    ),
    "pending": (
        "was asked about {channel} for {purpose}, {when} or earlier, and has not confirmed yet",
        "was asked about {channel} for {purpose}{when}, and has not confirmed yet",
    ),
}
