"""How far somebody came in a sequence: one look at each event, in the order in which they happened. Pure.

Of the ways that lead to a step the one that ends last is kept. Because steps follow each other in time, it is also the one that began last, and
whatever may still follow another way may follow it: so one way a step is enough, also where steps and the whole may only take so long.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from journeys.rules.closures import matches
from journeys.rules.facts import Climbed, Steps, Telling

if TYPE_CHECKING:
    from journeys.rules.terms.sequence import SequenceTerm, Step


class Happened(Telling, Protocol):
    """An event as far as a sequence looks at it."""

    @property
    def name(self) -> str: ...
    @property
    def occurred_at(self) -> datetime: ...


def climb(term: SequenceTerm, events: Iterable[Happened], as_of: datetime, before: Steps | None = None) -> Steps:
    """`events` by `occurred_at`, then id, all of them later than what `before` comes from."""
    reached: list[Climbed | None] = [None] * len(term.sequence) if before is None else [*before.reached]
    begun_at = None if before is None else before.begun_at
    for event in events:
        at = event.occurred_at
        if not term.period.has(at, as_of):
            continue
        for number in range(len(reached) - 1, -1, -1):  # from above, for one event is one step
            step, below = term.sequence[number], reached[number - 1] if number else (at, at)
            if below is None or not _fits(step, event, as_of) or (number and _is_late(step, below, at)):
                continue
            reached[number] = (at, below[1])
            if number == len(reached) - 1 and (term.span is None or at - below[1] <= term.span):
                begun_at = below[1]
    return Steps(tuple(reached), begun_at)


def _is_late(step: Step, below: Climbed, at: datetime) -> bool:
    return step.within is not None and at - below[0] > step.within


def _fits(step: Step, event: Happened, as_of: datetime) -> bool:
    return step.event == event.name and (step.where is None or matches(step.where, event, as_of))
