from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from journeys.errors import Issue
from journeys.labels import FieldLabel
from journeys.rules import dates, operands
from journeys.rules import period as periods
from journeys.rules.aggregate import Aggregate
from journeys.rules.facts import Facts, Occurrences
from journeys.rules.memo import Memo
from journeys.rules.period import Day, Period
from journeys.rules.questions import COMPARE, Question
from journeys.rules.terms.field import MOMENT, next_turn
from journeys.rules.terms.shape import AGGREGATES, Choose, During, Reckoned, Tick, Where, Write
from journeys.rules.terms.term import CONFIG, Find, Flip, Term
from journeys.rules.types import Compare, EventName, Within

if TYPE_CHECKING:
    from journeys.rules.check import Checker
    from journeys.rules.model import Grouped
    from journeys.rules.sentence import Speaker


class Count(BaseModel):
    model_config = CONFIG

    operator: Compare = ">="
    value: int = Field(1, ge=0, le=1_000_000)


class EventTerm(Term):
    """The contact did (`did` False: did not) the event as often as `count` says, or a property of the events comes to what `aggregate` asks.
    Events count `within` the time before now, `since` a day, `before` a day or a span from now (`-P30D`), with properties as in `where`.
    `since_entry` counts only from the run's start, `own_run` only events that carry this run's `run_id`; outside a run neither finds any."""

    kind = "event"
    label = "Event"
    asks = "did the contact do it, how often, and what a property of it comes to"
    example = {"event": "Order Completed", "did": False, "within": "P90D"}
    fresh = {"event": ""}
    shape = (
        (
            Choose("did", "Did or did not", [(True, "did"), (False, "did not do")], True),
            Write("event", "Event", offered="event"),
        ),
        Reckoned("aggregate", "event", "count", AGGREGATES),
        During("within", "since", "before"),
        Tick("since_entry", "only since entering the journey", in_run=True),
        Where("where", "event"),
    )
    nested = ("where",)

    event: EventName = Field(min_length=1, max_length=200)
    did: bool = True
    count: Count = Count()
    aggregate: Aggregate | None = None
    within: Within | None = None
    since: Day | None = None
    before: Day | None = None
    since_entry: bool = False
    own_run: bool = False
    where: Grouped | None = None

    def find(self) -> Find:
        return lambda facts, as_of: facts.occurrences(self, as_of)

    def test(self) -> Question:
        did = self.did
        if self.aggregate is not None:
            asked = self.aggregate.test()
            return lambda found, as_of: asked(found.value, as_of) is did
        compare, bound = COMPARE[self.count.operator], self.count.value
        return lambda found, as_of: compare(found.count, bound) is did

    @property
    def period(self) -> Period:
        """When an event must have happened to count."""
        return _period(self)

    def as_json(self) -> dict[str, Any]:
        """`where` with its defaults: an empty group without its `combinator` could not be told from nothing."""
        where = {} if self.where is None else {"where": self.where.model_dump(mode="json")}
        return super().as_json() | where

    def shown(self, found: Occurrences) -> dict[str, Any]:
        counted = {"count": found.count, "newest_at": None if found.newest_at is None else dates.text_of(found.newest_at)}
        if self.aggregate is None:
            return counted
        return {**counted, "of": self.aggregate.of, "value": self.aggregate.shown(found.value)}

    def topics(self) -> Iterable[str]:
        return (f"event:{self.event}",)

    def needs_run(self) -> bool:
        return self.since_entry or self.own_run

    def flip(self) -> Flip | None:
        turns = [turn for turn in (self._leaving(), self._coming(), self._passing()) if turn is not None]
        if len(turns) < 2:
            return turns[0] if turns else None
        return lambda facts, as_of: min((at for turn in turns if (at := turn(facts, as_of)) is not None and at > as_of), default=None)

    def _leaving(self) -> Flip | None:
        """When the next match leaves the window; the last of them, where the others change nothing."""
        within, is_last = self.within, self._hangs_on_the_newest()
        if within is None:
            return None

        def leaves(facts: Facts, as_of: datetime) -> datetime | None:
            found = facts.occurrences(self, as_of)
            at = found.newest_at if is_last else found.oldest_at
            return None if at is None else at + within

        return leaves

    def _hangs_on_the_newest(self) -> bool:
        """Whether only none and some are told apart, or the last match alone is looked at."""
        if self.aggregate is not None:
            return self.aggregate.of == "last"
        return (self.count.operator, self.count.value) in ((">=", 1), ("<", 1), (">", 0), ("<=", 0), ("=", 0), ("!=", 0))

    def _coming(self) -> Flip | None:
        """When the next event is old enough to count."""
        ago = self.period.ago
        if ago is None or ago > timedelta(0):
            return None
        younger = self.model_copy(update={"within": MOMENT - ago, "before": None, "aggregate": None, "count": Count()})

        def comes(facts: Facts, as_of: datetime) -> datetime | None:
            at = facts.occurrences(younger, as_of).oldest_at
            return None if at is None else at - ago + MOMENT

        return comes

    def _passing(self) -> Flip | None:
        """When now passes the date that the first or last event has."""
        moving = () if self.aggregate is None else self.aggregate.movings()
        return (lambda facts, as_of: next_turn(moving, facts.occurrences(self, as_of).value, as_of)) if moving else None

    def check(self, checker: Checker, path: str) -> Iterator[Issue]:
        if checker.catalogue.event(self.event) is None:
            yield checker.unknown_event(self.event, f"{path}.event")
        if checker.scope == "contact" and self.needs_run():
            yield checker.no_run_here(path)
        if self.aggregate is not None:
            yield from self.aggregate.check(checker.of_event(self.event), f"{path}.aggregate")
            if self.count != Count():
                text = "A property is asked for, so how often it happened is not looked at."
                yield checker.issue("rule.two_questions", text, f"{path}.count", "warning")
        elif (self.count.operator, self.count.value) in ((">=", 0), ("<", 0)):
            yield checker.issue("rule.count", "This count is always or never reached.", f"{path}.count", "warning")
        yield from periods.check(checker, path, self.period, self.since, self.before)
        if self.where is not None:
            yield from checker.of_event(self.event).check(self.where, f"{path}.where")

    @classmethod
    def unfilled(cls, data: Mapping[str, Any]) -> Iterator[tuple[str, FieldLabel]]:
        asked = data.get("aggregate")
        if isinstance(asked, Mapping) and "operator" in asked and operands.wants_value(asked["operator"], asked.get("value")):
            yield "aggregate.value", operands.VALUE

    def sentence(self, speaker: Speaker) -> str:
        if self.aggregate is not None:
            words = self.aggregate.sentence(speaker, f"*{self.event}*", self._when(speaker))
            words = self._with_where(speaker, words)
            return words if self.did else speaker.fill("not ({rule})", rule=words)
        text = "did {event}{times}{when}" if self.did or self.count != Count() else "did not do {event}{times}{when}"
        words = speaker.fill(text, event=f"*{self.event}*", times=self.times(speaker), when=self._when(speaker))
        return self._with_where(speaker, words)

    def _with_where(self, speaker: Speaker, words: str) -> str:
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
        return periods.sentence(speaker, self.period) + (f" {speaker.translate(own)}" if own else "")


def _period_of(term: EventTerm) -> Period:
    return periods.period(term.within, term.since, term.before)


_period: Memo[EventTerm, Period] = Memo(_period_of)

_TIMES = {
    "=": "exactly {count} times",
    "!=": "not exactly {count} times",
    "<": "fewer than {count} times",
    "<=": "at most {count} times",
    ">": "more than {count} times",
    ">=": "at least {count} times",
}
_OPPOSITE = {"=": "!=", "!=": "=", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
