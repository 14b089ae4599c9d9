from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from journeys.channels import ASKED, CHANNELS, TRACKING, MessageConsent
from journeys.rules.questions import Question
from journeys.rules.terms.shape import Choose, Pick, Words
from journeys.rules.terms.term import Find, Term
from journeys.rules.types import Name

if TYPE_CHECKING:
    from journeys.rules.sentence import Speaker

UNKNOWN = "unknown"
"""What a contact is found to have said who never said anything."""

LABELS = {name: channel.label for name, channel in CHANNELS.items()} | {TRACKING: "Tracking"}


class ConsentTerm(Term):
    """Consent for a channel and purpose is `granted`, `withdrawn`, `pending`, or `unknown` (nothing ever said)."""

    kind = "consent"
    label = "Consent"
    asks = "what was said for a channel and purpose: `granted`, `withdrawn`, `pending` or `unknown` (`operator`: `=` or `!=`)"
    example = {"consent": "email", "purpose": "marketing", "value": "granted"}
    fresh = {"consent": ""}
    shape = (
        (
            Words("Consent"),
            Choose("consent", "Channel", [(one, LABELS[one]) for one in ASKED], former=list(LABELS.items())),
            Pick("purpose", "Consent purpose", "purpose", "marketing"),
            Choose("operator", "Comparison", [("=", "is"), ("!=", "is not")], "="),
            Choose(
                "value",
                "Value",
                [("granted", "granted"), ("withdrawn", "withdrawn"), ("pending", "not confirmed yet"), (UNKNOWN, "never asked")],
                "granted",
            ),
        ),
    )

    consent: MessageConsent
    purpose: Name = Field("marketing", max_length=64, json_schema_extra={"names": "purpose"})
    operator: Literal["=", "!="] = "="
    value: Literal["granted", "withdrawn", "pending", "unknown"] = "granted"

    def find(self) -> Find:
        channel, purpose = self.consent, self.purpose
        return lambda facts, as_of: facts.consent(channel, purpose) or UNKNOWN

    def test(self) -> Question:
        state, equal = self.value, self.operator == "="
        return lambda found, as_of: (found == state) is equal

    def topics(self) -> Iterable[str]:
        return ("consent",)

    def sentence(self, speaker: Speaker) -> str:
        text = _SENTENCES[self.value][0 if self.operator == "=" else 1]
        return speaker.fill(text, channel=speaker.translate(SUBJECTS[self.consent]), purpose=self.purpose)


_SENTENCES = {
    "granted": ("allowed {channel} for {purpose}", "has not consented to {channel} for {purpose}"),
    "withdrawn": ("withdrew the consent to {channel} for {purpose}", "has not withdrawn the consent to {channel} for {purpose}"),
    "pending": ("has not confirmed {channel} for {purpose} yet", "has no open confirmation of {channel} for {purpose}"),
    "unknown": ("never answered for {channel} ({purpose})", "answered for {channel} ({purpose})"),
}
SUBJECTS = {name: channel.noun for name, channel in CHANNELS.items()} | {TRACKING: "tracking"}
