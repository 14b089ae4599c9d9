"""Walking a rule tree, and what a rule depends on: topics that can change its result, and the clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from journeys.rules import dates
from journeys.rules.facts import Facts
from journeys.rules.fields import CONTACT_COLUMNS, OF_RUN, topic_of
from journeys.rules.memo import Memo
from journeys.rules.messages import desugar
from journeys.rules.model import ConsentTerm, EventTerm, FieldTerm, Group, MessageTerm, Rule, ScoreTerm, TagTerm
from journeys.rules.predicates import All, AnyOf, Moving, Not, Predicate, predicate

MOMENT = timedelta(microseconds=1)
"""The finest step of our clock."""


def terms(rule: Rule, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Rule]]:
    """(path, term) of every term that is no group, in reading order; `where` is not entered. A path looks like ("rules", "0")."""
    if not isinstance(rule, Group):
        yield path, rule
        return
    for index, inner in enumerate(rule.rules):
        yield from terms(inner, (*path, "rules", str(index)))


def needs_run(rule: Rule) -> bool:
    """Whether the rule asks about a run (its trigger, its steps, its start, its own messages), so that it means nothing for a list of contacts."""
    return any(_needs_run(term) for _, term in terms(rule))


def _needs_run(term: Rule) -> bool:
    if isinstance(term, MessageTerm):
        return desugar(term).own_run
    if isinstance(term, EventTerm):
        return term.since_entry or term.own_run
    return isinstance(term, FieldTerm) and term.field.startswith(OF_RUN)


# --- Topics ------------------------------------------------------------------------------------------------------


def _topics(rule: Rule) -> frozenset[str]:
    return frozenset(topic for _, term in terms(rule) if (topic := _TOPIC[type(term)](term)) is not None)


topics: Memo[Rule, frozenset[str]] = Memo(_topics)
"""What can change the rule's result besides time: `event:<name>`, `field:<first key>`, `tag:<tag>`, `score:<group>`, `consent`.
The trigger of a run never changes, what its steps have left not while it waits: they have no topic."""

_TOPIC: Mapping[type, Callable[[Any], str | None]] = {
    FieldTerm: lambda term: None if term.field.startswith(OF_RUN) else topic_of(term.field),
    EventTerm: lambda term: f"event:{term.event}",
    MessageTerm: lambda term: f"event:{desugar(term).event}",
    ConsentTerm: lambda term: "consent",
    ScoreTerm: lambda term: f"score:{term.score}",
    TagTerm: lambda term: f"tag:{term.tag}",
}


# --- Clock -------------------------------------------------------------------------------------------------------


def next_flip(rule: Rule, facts: Facts, as_of: datetime) -> datetime | None:
    """The earliest instant after `as_of` at which the rule may change by time alone; None if it cannot.

    Conservative: at that instant the result may still be the same (then ask again), but it never changes earlier.
    """
    flips = [flip for _, term in _clocked(rule) if (flip := _FLIP[type(term)](term, facts, as_of)) is not None and flip > as_of]
    return min(flips, default=None)


def _flip_of_event(term: EventTerm, facts: Facts, as_of: datetime) -> datetime | None:
    if term.within is None:
        return None
    found = facts.occurrences(term, as_of)
    leaves_at = found.newest_at if _asks_only_whether(term) else found.oldest_at
    return None if leaves_at is None else leaves_at + term.within


def _asks_only_whether(term: EventTerm) -> bool:
    """Whether the term tells none from some only, so that it flips when the newest match leaves the window and not before."""
    return (term.count.operator, term.count.value) in ((">=", 1), ("<", 1), (">", 0), ("<=", 0), ("=", 0), ("!=", 0))


def _flip_of_field(term: FieldTerm, facts: Facts, as_of: datetime) -> datetime | None:
    at = dates.moment(facts.value(term.field))
    if at is None:
        return None
    flips = (flip for moving in _movings(_asked(term)) if (flip := _turn(moving, at)) is not None and flip > as_of)
    return min(flips, default=None)


def _turn(moving: Moving, at: datetime) -> datetime | None:
    """When `at` and now + offset change sides: `<` and `>=` turn a moment after they are equal, `<=` and `>` as they become so."""
    try:
        equal_at = at - moving.offset
        return equal_at + MOMENT if moving.comparison in ("<", ">=") else equal_at
    except OverflowError:
        return None


def _asked(term: FieldTerm) -> Predicate:
    return predicate(term, instant_column=CONTACT_COLUMNS.get(term.field) == "datetime")


def _movings(asked: Predicate) -> Iterator[Moving]:
    if isinstance(asked, Moving):
        yield asked
    elif isinstance(asked, Not):
        yield from _movings(asked.inner)
    elif isinstance(asked, All | AnyOf):
        for inner in asked.inner:
            yield from _movings(inner)


def _uses_clock(term: Rule) -> bool:
    if isinstance(term, FieldTerm):
        return any(True for _ in _movings(_asked(term)))
    return isinstance(term, EventTerm | MessageTerm) and term.within is not None


def _clocked_terms(rule: Rule) -> tuple[tuple[tuple[str, ...], Rule], ...]:
    return tuple((path, term) for path, term in terms(rule) if _uses_clock(term))


_clocked: Memo[Rule, tuple[tuple[tuple[str, ...], Rule], ...]] = Memo(_clocked_terms)

_FLIP: Mapping[type, Callable[[Any, Facts, datetime], datetime | None]] = {
    FieldTerm: _flip_of_field,
    EventTerm: _flip_of_event,
    MessageTerm: lambda term, facts, as_of: _flip_of_event(desugar(term), facts, as_of),
}
