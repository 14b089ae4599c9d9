"""Walking a rule tree, and what a rule depends on: topics that can change its result, and the clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from journeys.rules.closures import holds
from journeys.rules.facts import Facts
from journeys.rules.memo import Memo
from journeys.rules.model import Group, Rule
from journeys.rules.terms import Term
from journeys.rules.terms.term import Flip


def terms(rule: Rule, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Term]]:
    """(path, term) of every term, in reading order; `where` is not entered. A path looks like ("rules", "0")."""
    if not isinstance(rule, Group):
        yield path, rule
        return
    for index, inner in enumerate(rule.rules):
        yield from terms(inner, (*path, "rules", str(index)))


def needs_run(rule: Rule) -> bool:
    """Whether the rule asks about a run (its trigger, its steps, its start, its own messages), so that it means nothing for a list of contacts."""
    return any(term.needs_run() for _, term in terms(rule))


def _topics(rule: Rule) -> frozenset[str]:
    return frozenset(topic for _, term in terms(rule) for topic in term.topics())


topics: Memo[Rule, frozenset[str]] = Memo(_topics)
"""What can change the rule's result besides time: `event:<name>`, `field:<first key>`, `tag:<tag>`, `score:<group>`, `consent`, `segment:<key>`.
The trigger of a run never changes, what its steps have left not while it waits: they have no topic."""


def next_flip(rule: Rule, facts: Facts, as_of: datetime) -> datetime | None:
    """The earliest instant after `as_of` at which the rule may change by time alone; None if it cannot.

    Conservative: at that instant the result may still be the same (then ask again), but it never changes earlier.
    """
    if not isinstance(rule, Group):
        flips = [at for flip in _flips(rule) if (at := flip(facts, as_of)) is not None and at > as_of]
    elif any(holds(inner, facts, as_of) is (rule.combinator == "or") for inner in rule.rules if not _flips(inner)):
        return None  # one whose answer time cannot change decides for all; if that changes, everything is asked anew
    else:
        flips = [at for inner in rule.rules if _flips(inner) and (at := next_flip(inner, facts, as_of)) is not None]
    return min(flips, default=None)


def can_flip(rule: Rule) -> bool:
    """Whether time alone can ever change the rule's result."""
    return bool(_flips(rule))


def _flips_of(rule: Rule) -> tuple[Flip, ...]:
    return tuple(flip for _, term in terms(rule) if (flip := term.flip()) is not None)


_flips: Memo[Rule, tuple[Flip, ...]] = Memo(_flips_of)
