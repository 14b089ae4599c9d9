from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from journeys.errors import Issue
from journeys.rules import dates
from journeys.rules import period as periods
from journeys.rules.facts import Facts, Steps
from journeys.rules.memo import Memo
from journeys.rules.period import Day, Period
from journeys.rules.questions import Question
from journeys.rules.terms.shape import Choose, During, Several, Span, Where, Words, Write
from journeys.rules.terms.term import CONFIG, Find, Flip, Term
from journeys.rules.types import EventName, Within

if TYPE_CHECKING:
    from journeys.rules.check import Checker
    from journeys.rules.model import Grouped
    from journeys.rules.sentence import Speaker

MOST = 5


class Step(BaseModel):
    """An event with properties as in `where`, at most `within` after the step before it."""

    model_config = CONFIG

    event: EventName = Field(min_length=1, max_length=200)
    within: Within | None = None
    where: Grouped | None = None


class SequenceTerm(Term):
    """The contact did (`did` False: did not) these events in this order; others may lie between. From the first to the last at most `span`;
    all of them `within` the time before now, and `since` a day."""

    kind = "sequence"
    label = "Sequence"
    asks = "whether two to five events happened in this order"
    example = {"sequence": [{"event": "Product Viewed"}, {"event": "Order Completed", "within": "P1D"}], "within": "P30D"}
    fresh = {"sequence": [{"event": ""}, {"event": ""}]}
    shape = (
        Choose("did", "Did or did not", [(True, "did in this order"), (False, "did not do in this order")], True),
        Several(
            "sequence",
            "Step {number}",
            (
                (Write("event", "Event", offered="event"),),
                (Words("at most"), Span("within", "Time after the step before"), Words("after the step before")),
                Where("where", "event"),
            ),
            {"event": ""},
            least=2,
            most=MOST,
            not_first=("within",),
        ),
        (Words("all steps within"), Span("span", "Time from the first to the last step")),
        During("within", "since", ""),
    )
    nested = ("sequence.*.where",)
    parts = (Step,)

    sequence: tuple[Step, ...] = Field(min_length=2, max_length=MOST)
    did: bool = True
    span: Within | None = None
    within: Within | None = None
    since: Day | None = None

    def find(self) -> Find:
        return lambda facts, as_of: facts.sequence(self, as_of)

    def test(self) -> Question:
        did = self.did
        return lambda found, as_of: (found.begun_at is not None) is did

    @property
    def period(self) -> Period:
        """When the steps must have happened to count."""
        return _period(self)

    @property
    def events(self) -> frozenset[str]:
        """The names of its events."""
        return frozenset(step.event for step in self.sequence)

    def as_json(self) -> dict[str, Any]:
        """Each `where` with its defaults, as in an event term."""
        steps = [step.model_dump(mode="json", exclude_defaults=True) for step in self.sequence]
        for step, shown in zip(self.sequence, steps, strict=True):
            if step.where is not None:
                shown["where"] = step.where.model_dump(mode="json")
        return {**super().as_json(), "sequence": steps}

    def shown(self, found: Steps) -> dict[str, Any]:
        reached = [at for at in found.reached if at is not None]
        newest = max((at for at, _ in reached), default=None)
        far = sum(1 for at in found.reached if at is not None)
        return {"reached": far, "steps": len(self.sequence), "newest_at": None if newest is None else dates.text_of(newest)}

    def topics(self) -> Iterable[str]:
        return [f"event:{name}" for name in sorted(self.events)]

    def flip(self) -> Flip | None:
        """When the whole sequence that began last loses its beginning. Time alone never completes one."""
        within = self.within
        if within is None:
            return None

        def leaves(facts: Facts, as_of: datetime) -> datetime | None:
            begun_at = facts.sequence(self, as_of).begun_at
            return None if begun_at is None else begun_at + within

        return leaves

    def check(self, checker: Checker, path: str) -> Iterator[Issue]:
        for number, step in enumerate(self.sequence):
            place = f"{path}.sequence.{number}"
            if checker.catalogue.event(step.event) is None:
                yield checker.unknown_event(step.event, f"{place}.event")
            if step.within is not None and number == 0:
                yield checker.issue("rule.first_step", "There is no step before the first, so this time means nothing.", f"{place}.within")
            if step.where is not None:
                yield from checker.of_event(step.event).check(step.where, f"{place}.where")
        yield from periods.check(checker, path, self.period, self.since)

    def sentence(self, speaker: Speaker) -> str:
        """`did in the last 30 days in this order: *A*, then *B* at most 24 hours later`"""
        steps = speaker.translate(", then ").join(self._step(speaker, number) for number in range(len(self.sequence)))
        course = "" if self.span is None else " " + speaker.course(self.span)
        text = "did{when}{course} in this order: {steps}" if self.did else "did not do{when}{course} in this order: {steps}"
        return speaker.fill(text, steps=steps, when=periods.sentence(speaker, self.period), course=course)

    def _step(self, speaker: Speaker, number: int) -> str:
        step = self.sequence[number]
        words = f"*{step.event}*"
        if step.where is not None and step.where.rules:
            words = f"{words} ({speaker.say(step.where)})"
        return f"{words} {speaker.later(step.within)}" if number and step.within is not None else words


def _period_of(term: SequenceTerm) -> Period:
    return periods.period(term.within, term.since)


_period: Memo[SequenceTerm, Period] = Memo(_period_of)
