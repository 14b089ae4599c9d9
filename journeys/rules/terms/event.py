from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from journeys.errors import Issue
from journeys.rules import dates
from journeys.rules.facts import Facts, Occurrences
from journeys.rules.questions import COMPARE, Question
from journeys.rules.terms.shape import Choose, Number, Span, Tick, Where, Words, Write
from journeys.rules.terms.term import CONFIG, Find, Flip, Term
from journeys.rules.types import Compare, EventName, Within

if TYPE_CHECKING:
    from journeys.rules.check import Checker
    from journeys.rules.model import Group
    from journeys.rules.sentence import Speaker


HOW_OFTEN = [
    (">=", "at least"),
    ("=", "exactly"),
    ("<=", "at most"),
    (">", "more than"),
    ("<", "less than"),
    ("!=", "not exactly"),
]
"""Comparisons of a count, as the rule editor says them."""


class Count(BaseModel):
    model_config = CONFIG

    operator: Compare = ">="
    value: int = Field(1, ge=0, le=1_000_000)


class EventTerm(Term):
    """The contact did (`did` False: did not) the event as often as `count` says, `within` the time before now, with properties as in `where`.
    `since_entry` counts only from the run's start, `own_run` only events that carry this run's `run_id`; outside a run neither finds any."""

    kind = "event"
    label = "Event"
    asks = "did the contact do it, and how often"
    example = {"event": "Order Completed", "did": False, "within": "P90D"}
    fresh = {"event": ""}
    shape = (
        (
            Choose("did", "Did or did not", [(True, "did"), (False, "did not do")], True),
            Write("event", "Event", offered="event"),
        ),
        (
            Choose(
                "count.operator",
                "How often",
                HOW_OFTEN,
                ">=",
            ),
            Number("count.value", "Times", 1, whole=True),
            Words("times"),
        ),
        (Words("within"), Span("within", "Within")),
        Tick("since_entry", "only since entering the journey", in_run=True),
        Where("where", "event"),
    )
    nested = ("where",)

    event: EventName = Field(min_length=1, max_length=200)
    did: bool = True
    count: Count = Count()
    within: Within | None = None
    since_entry: bool = False
    own_run: bool = False
    where: Group | None = None

    def find(self) -> Find:
        return lambda facts, as_of: facts.occurrences(self, as_of)

    def test(self) -> Question:
        compare, bound, did = COMPARE[self.count.operator], self.count.value, self.did
        return lambda found, as_of: compare(found.count, bound) is did

    def as_json(self) -> dict[str, Any]:
        """`where` with its defaults: an empty group without its `combinator` could not be told from nothing."""
        where = {} if self.where is None else {"where": self.where.model_dump(mode="json")}
        return super().as_json() | where

    def shown(self, found: Occurrences) -> dict[str, Any]:
        return {"count": found.count, "newest_at": None if found.newest_at is None else dates.text_of(found.newest_at)}

    def topics(self) -> Iterable[str]:
        return (f"event:{self.event}",)

    def needs_run(self) -> bool:
        return self.since_entry or self.own_run

    def flip(self) -> Flip | None:
        within, whether = self.within, self._asks_only_whether()
        if within is None:
            return None

        def leaves_the_window(facts: Facts, as_of: datetime) -> datetime | None:
            found = facts.occurrences(self, as_of)
            at = found.newest_at if whether else found.oldest_at
            return None if at is None else at + within

        return leaves_the_window

    def _asks_only_whether(self) -> bool:
        """Whether it tells none from some only, so that it flips when the newest match leaves the window and not before."""
        return (self.count.operator, self.count.value) in ((">=", 1), ("<", 1), (">", 0), ("<=", 0), ("=", 0), ("!=", 0))

    def check(self, checker: Checker, path: str) -> Iterator[Issue]:
        if checker.catalogue.event(self.event) is None:
            yield self._unknown(checker, path)
        if checker.scope == "contact" and self.needs_run():
            yield checker.no_run_here(path)
        if (self.count.operator, self.count.value) in ((">=", 0), ("<", 0)):
            yield checker.issue("rule.count", "This count is always or never reached.", f"{path}.count", "warning")
        if self.where is not None:
            yield from checker.of_event(self.event).check(self.where, f"{path}.where")

    def _unknown(self, checker: Checker, path: str) -> Issue:
        name, meant = self.event, checker.catalogue.suggest_event(self.event)
        text = "The event “{name}” is unknown so far. Did you mean “{meant}”?" if meant else "The event “{name}” is unknown so far."
        return checker.issue("rule.unknown_event", text, f"{path}.event", "warning", name=name, meant=meant)

    def sentence(self, speaker: Speaker) -> str:
        text = "did {event}{times}{when}" if self.did or self.count != Count() else "did not do {event}{times}{when}"
        words = speaker.fill(text, event=f"*{self.event}*", times=self.times(speaker), when=self._when(speaker))
        if self.where is None or not self.where.rules:
            return words
        return speaker.fill("{sentence}, where {rule}", sentence=words, rule=speaker.say(self.where))

    def times(self, speaker: Speaker) -> str:
        """` at least 3 times`, with the blank before it; empty for once."""
        if self.count == Count():
            return ""
        operator = self.count.operator if self.did else _OPPOSITE[self.count.operator]
        return " " + speaker.fill(_TIMES[operator], count=self.count.value)

    def _when(self, speaker: Speaker) -> str:
        own = "in this run" if self.own_run else "since entry" if self.since_entry else ""
        return speaker.past(self.within) + (f" {speaker.translate(own)}" if own else "")


_TIMES = {
    "=": "exactly {count} times",
    "!=": "not exactly {count} times",
    "<": "fewer than {count} times",
    "<=": "at most {count} times",
    ">": "more than {count} times",
    ">=": "at least {count} times",
}
_OPPOSITE = {"=": "!=", "!=": "=", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
