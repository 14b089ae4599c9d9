"""What people do with messages is stored as events; a message term is short for an event term on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from journeys.errors import Issue
from journeys.rules.memo import Memo
from journeys.rules.questions import Question
from journeys.rules.terms.event import EventTerm
from journeys.rules.terms.shape import Choose, PickMessage, Span, Words
from journeys.rules.terms.term import Find, Flip, Term
from journeys.rules.types import Name, Within

if TYPE_CHECKING:
    from journeys.rules.check import Checker
    from journeys.rules.facts import Occurrences
    from journeys.rules.sentence import Speaker

MESSAGE_EVENTS: Mapping[str, str] = {
    "sent": "Message Sent",
    "delivered": "Message Delivered",
    "opened": "Message Opened",
    "clicked": "Message Clicked",
    "bounced": "Message Bounced",
}
REPLY = "Message Replied"
"""Somebody wrote back, or wrote first."""
OFFERED = {"sent": "was sent", "opened": "was opened", "clicked": "was clicked", "bounced": "bounced"}
"""What the editor offers: what some provider reports today."""
BY_PEOPLE = {"field": "machine", "operator": "!=", "value": True}
"""Mail programs and security gateways fetch pixels and links by themselves; such opens and clicks are stored, and not counted."""


class MessageTerm(Term):
    """The contact did something with a message: `node` of this run's journey, or any message of `journey`/`template`.
    Opens by machines do not count. With `node` and no `journey` it is this run's own message."""

    kind = "message"
    label = "Message"
    asks = "what became of a message: `sent`, `opened`, `clicked` or `bounced`"
    example = {"message": "opened", "node": "welcome1", "within": "P3D"}
    fresh = {"message": ""}
    shape = (
        (
            PickMessage("node", "Message of the step", "any message"),
            Choose("message", "What happened", list(OFFERED.items()), former=[("delivered", "was delivered")]),
            Choose("did", "Happened or not", [(True, "yes"), (False, "no")], True),
        ),
        (Words("within"), Span("within", "Within")),
    )

    message: Literal["sent", "delivered", "opened", "clicked", "bounced"]
    did: bool = True
    node: Name | None = Field(None, max_length=64)
    journey: Name | None = Field(None, max_length=64)
    template: Name | None = Field(None, max_length=64)
    within: Within | None = None

    def find(self) -> Find:
        return desugar(self).find()

    def test(self) -> Question:
        return desugar(self).test()

    def shown(self, found: Occurrences) -> Any:
        return desugar(self).shown(found)

    def topics(self) -> Iterable[str]:
        return desugar(self).topics()

    def needs_run(self) -> bool:
        return desugar(self).needs_run()

    def flip(self) -> Flip | None:
        return desugar(self).flip()

    def message_step(self) -> tuple[str, str] | None:
        return None if self.node is None or self.journey is not None else ("node", self.node)

    def check(self, checker: Checker, path: str) -> Iterator[Issue]:
        if checker.scope == "contact" and self.needs_run():
            yield checker.no_run_here(path)
        if self.message == "opened":
            text = "Opens are unreliable: many mail programs load images by themselves, others never do. Clicks are more reliable."
            yield checker.issue("rule.opens_uncertain", text, path, "warning")
        if self.message == "delivered":
            text = "Only some providers report deliveries; of the others' messages this is never true. Check whether the message was sent instead."
            yield checker.issue("rule.no_deliveries", text, path, "warning")

    def sentence(self, speaker: Speaker) -> str:
        text = _SENTENCES[self.message][0 if self.did else 1]
        return speaker.fill(text, message=self._which(speaker), when=speaker.past(self.within))

    def _which(self, speaker: Speaker) -> str:
        if self.node is not None and self.journey is None:
            return f"*{speaker.names.get(self.node) or self.node}*"
        named = [speaker.fill(text, name=f"*{name}*") for text, name in self._named() if name is not None]
        if self.node is None:
            named.insert(0, speaker.translate("a message" if self.did else "any message"))
        return " ".join(named)

    def _named(self) -> Iterable[tuple[str, str | None]]:
        return (
            ("message {name}", self.node),
            ("with the template {name}", self.template),
            ("of the journey {name}", self.journey),
        )

    @classmethod
    def beginning(cls, last_message: str | None) -> dict[str, Any]:
        return {**cls.fresh, **({"node": last_message} if last_message else {})}

    @classmethod
    def ready(cls, last_message: str) -> Mapping[str, Mapping[str, Any]]:
        return {
            "“{name}” was opened": {"message": "opened", "node": last_message},
            "“{name}” was clicked": {"message": "clicked", "node": last_message},
        }


def _desugar(term: MessageTerm) -> EventTerm:
    named = {"journey": term.journey, "template": term.template, "node": term.node}
    asked: list[Mapping[str, Any]] = [
        {"field": name, "operator": "=", "value": value} for name, value in named.items() if value is not None
    ]
    if term.message in ("opened", "clicked"):
        asked.append(BY_PEOPLE)
    return EventTerm.model_validate(
        {
            "event": MESSAGE_EVENTS[term.message],
            "did": term.did,
            "within": term.within,
            "own_run": term.node is not None and term.journey is None,
            "where": {"rules": asked} if asked else None,
        }
    )


desugar: Memo[MessageTerm, EventTerm] = Memo(_desugar)
"""The event term that a message term is short for."""

_SENTENCES = {
    "sent": ("was sent {message}{when}", "was not sent {message}{when}"),
    "delivered": ("received {message}{when}", "did not receive {message}{when}"),
    "opened": ("opened {message}{when}", "did not open {message}{when}"),
    "clicked": ("clicked in {message}{when}", "did not click in {message}{when}"),
    "bounced": ("had {message} bounce{when}", "did not have {message} bounce{when}"),
}
