"""What people do with messages is stored as events; a message term is short for an event term on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from journeys.channels import CHANNELS, SENDABLE
from journeys.errors import Issue
from journeys.rules.memo import Memo
from journeys.rules.questions import Question
from journeys.rules.terms.event import Count, EventTerm
from journeys.rules.terms.shape import COUNTS, Choose, Number, Pick, PickMessage, Span, Words
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
    "replied": "Message Replied",
    "bounced": "Message Bounced",
    "complained": "Message Complained",
}
REPLY = "Message Replied"
"""Somebody wrote back, or wrote first."""
OFFERED = {
    "sent": "was sent",
    "opened": "was opened",
    "clicked": "was clicked",
    "replied": "was answered",
    "bounced": "bounced",
    "complained": "was marked as spam",
}
"""What the editor offers: what some provider reports today."""
CLASSES = {"marketing": "Marketing", "transactional": "Transactional"}
"""Of messages, with what people call them."""
BY_PEOPLE = {"field": "machine", "operator": "!=", "value": True}
"""Mail programs and security gateways fetch pixels and links by themselves; such opens and clicks are stored, and not counted."""


class MessageTerm(Term):
    """The contact did something with a message: `node` of this run's journey, or any message on any channel, of `journey`, `template`, `channel` or
    `message_class` if they are given; as often as `count` says, `within` the time before now.
    Opens by machines do not count. With `node` and no `journey` it is this run's own message."""

    kind = "message"
    label = "Message"
    asks = (
        "what became of messages, and how often: `sent`, `opened`, `clicked`, `replied`, `bounced` or `complained`; on any channel, or by channel, journey, "
        "template or class"
    )
    example = {"message": "opened", "node": "welcome1", "within": "P3D"}
    fresh = {"message": ""}
    shape = (
        (
            PickMessage("node", "Message of the step", "any message"),
            Choose("message", "What happened", list(OFFERED.items()), former=[("delivered", "was delivered")]),
            Choose("did", "Happened or not", [(True, "yes"), (False, "no")], True),
        ),
        (
            Choose("channel", "Channel", [(None, "any channel"), *((name, CHANNELS[name].label) for name in SENDABLE)]),
            Pick("journey", "Journey", "journey", any="any journey"),
            Pick("template", "Template", "template", any="any template"),
            Choose("message_class", "Class", [(None, "any class"), *CLASSES.items()]),
        ),
        (Choose("count.operator", "How often", COUNTS, ">="), Number("count.value", "Times", 1, whole=True), Words("times")),
        (Words("within"), Span("within", "Within")),
    )

    message: Literal["sent", "delivered", "opened", "clicked", "replied", "bounced", "complained"]
    did: bool = True
    count: Count = Count()
    node: Name | None = Field(None, max_length=64)
    journey: Name | None = Field(None, max_length=64)
    template: Name | None = Field(None, max_length=64)
    channel: Name | None = Field(None, max_length=64)
    message_class: Literal["marketing", "transactional"] | None = None
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
        text = _SENTENCES[self.message][0 if self.did or self.count != Count() else 1]
        times = desugar(self).times(speaker)
        return speaker.fill(text, message=self._which(speaker), times=times, when=speaker.past(self.within))

    def _which(self, speaker: Speaker) -> str:
        if self.node is not None and self.journey is None:
            return f"*{speaker.names.get(self.node) or self.node}*"
        named = [speaker.fill(text, name=f"*{name}*") for text, name in self._named(speaker) if name is not None]
        if self.node is None:
            named.insert(0, speaker.translate("a message" if self.did else "any message"))
        return " ".join(named)

    def _named(self, speaker: Speaker) -> Iterable[tuple[str, str | None]]:
        channel, its_class = CHANNELS.get(self.channel or ""), CLASSES.get(self.message_class or "")
        return (
            ("message {name}", self.node),
            ("on the channel {name}", speaker.translate(channel.label) if channel else self.channel),
            ("of the class {name}", speaker.translate(its_class) if its_class else None),
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
    named = {
        "journey": term.journey,
        "template": term.template,
        "node": term.node,
        "channel": term.channel,
        "message_class": term.message_class,
    }
    asked: list[Mapping[str, Any]] = [
        {"field": name, "operator": "=", "value": value} for name, value in named.items() if value is not None
    ]
    if term.message in ("opened", "clicked"):
        asked.append(BY_PEOPLE)
    return EventTerm.model_validate(
        {
            "event": MESSAGE_EVENTS[term.message],
            "did": term.did,
            "count": term.count.model_dump(),
            "within": term.within,
            "own_run": term.node is not None and term.journey is None,
            "where": {"rules": asked} if asked else None,
        }
    )


desugar: Memo[MessageTerm, EventTerm] = Memo(_desugar)
"""The event term that a message term is short for."""

_SENTENCES = {
    "sent": ("was sent {message}{times}{when}", "was not sent {message}{when}"),
    "delivered": ("received {message}{times}{when}", "did not receive {message}{when}"),
    "opened": ("opened {message}{times}{when}", "did not open {message}{when}"),
    "clicked": ("clicked in {message}{times}{when}", "did not click in {message}{when}"),
    "replied": ("answered {message}{times}{when}", "did not answer {message}{when}"),
    "bounced": ("had {message} bounce{times}{when}", "did not have {message} bounce{when}"),
    "complained": ("marked {message} as spam{times}{when}", "did not mark {message} as spam{when}"),
}
