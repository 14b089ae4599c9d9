"""Facts about one contact from plain data: for the simulator, previews and tests. Changes nothing and reads no clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from journeys.rules import climbing
from journeys.rules.closures import matches
from journeys.rules.dates import normalise_deep
from journeys.rules.facts import Calendar, Occurrences, Steps
from journeys.rules.fields import COMPANY, TRIGGER, path_of, read

if TYPE_CHECKING:
    from journeys.rules.terms.event import EventTerm
    from journeys.rules.terms.sequence import SequenceTerm


NOTHING_SAID: Mapping[str, Any] = dict.fromkeys(
    ("kind", "source_id", "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "referrer", "landing_page")
)
"""Of a touch."""


class Happened(climbing.Happened, Protocol):
    """An event as far as a rule looks at it; `journeys.values.Received` is one. The `id` tells the order of two at one instant."""

    @property
    def id(self) -> int: ...


class DictFacts:
    """`Facts` over dicts, in the same meaning as the database.

    `fields` holds columns and attributes side by side, and `company` what is read as `company.…` (None: it stands among the fields); values are normalised (`journeys.rules.dates`) here, `events` are taken as they
    are stored. `consents` maps (channel, purpose) -> state, `consents_said_at` when that was said, `touches` first and last -> what it says, `rotations` pool -> owners in order, the next one first. Without
    `run_started_at` and `run_id` there is no run, so `since_entry` and `own_run` find nothing.
    """

    def __init__(
        self,
        fields: Mapping[str, Any],
        tags: Iterable[str] = (),
        consents: Mapping[tuple[str, str], str] | None = None,
        scores: Mapping[str, float] | None = None,
        events: Iterable[Happened] = (),
        trigger: Mapping[str, Any] | None = None,
        run_started_at: datetime | None = None,
        run_id: str | None = None,
        calendar: Calendar | None = None,
        rotations: Mapping[str, Sequence[str]] | None = None,
        segments: Iterable[str] = (),
        consents_said_at: Mapping[tuple[str, str], datetime] | None = None,
        touches: Mapping[str, Mapping[str, Any]] | None = None,
        company: Mapping[str, Any] | None = None,
    ) -> None:
        self.fields: dict[str, Any] = normalise_deep(fields)
        self.tags = set(tags)
        self.consents = dict(consents or {})
        self.scores = dict(scores or {})
        self.trigger: dict[str, Any] = normalise_deep(trigger or {})
        self.run_started_at = run_started_at
        self.run_id = run_id
        self.rotations = dict(rotations or {})
        self.segments = set(segments)
        self.consents_said_at = dict(consents_said_at or {})
        self.touches = {which: {**NOTHING_SAID, **touch} for which, touch in (touches or {}).items()}
        self.company: dict[str, Any] | None = None if company is None else normalise_deep(company)
        self._calendar = calendar or Calendar()
        self._events: dict[str, list[Happened]] = {}
        for event in events:
            self.add_event(event)

    def add_event(self, event: Happened) -> None:
        """One more event, in any order."""
        self._events.setdefault(event.name, []).append(event)

    def value(self, name: str) -> Any:
        if "." not in name:
            return self.fields.get(name)
        if name.startswith(TRIGGER):
            return read(self.trigger, path_of(name)[1:])
        if name.startswith(COMPANY) and self.company is not None:
            return read(self.company, path_of(name)[1:])
        return read(self.fields, path_of(name))

    def has_tag(self, tag: str) -> bool:
        return tag in self.tags

    def in_segment(self, key: str) -> bool:
        return key in self.segments

    def consent(self, channel: str, purpose: str) -> str | None:
        return self.consents.get((channel, purpose))

    def consent_said_at(self, channel: str, purpose: str) -> datetime | None:
        return self.consents_said_at.get((channel, purpose))

    def touch(self, which: Literal["first", "last"]) -> Mapping[str, Any] | None:
        return self.touches.get(which)

    def score(self, group: str) -> float:
        return self.scores.get(group, 0.0)

    def occurrences(self, term: EventTerm, as_of: datetime) -> Occurrences:
        events = self._events.get(term.event)
        if not events or (term.since_entry and self.run_started_at is None) or (term.own_run and self.run_id is None):
            return _found((), term)
        return _found(sorted((event for event in events if self.counts(event, term, as_of)), key=_in_order), term)

    def sequence(self, term: SequenceTerm, as_of: datetime) -> Steps:
        return climbing.climb(term, self.named(term.events), as_of)

    def named(self, names: Iterable[str]) -> list[Happened]:
        """The events of these names, in the order in which they happened."""
        return sorted((event for name in names for event in self._events.get(name, ())), key=_in_order)

    def next_owner(self, pool: str) -> str | None:
        return next(iter(self.rotations.get(pool, ())), None)

    def calendar(self) -> Calendar:
        return self._calendar

    def counts(self, event: Happened, term: EventTerm, as_of: datetime) -> bool:
        """Whether an event of the term's name matches it."""
        at = event.occurred_at
        if not term.period.has(at, as_of):
            return False
        if term.since_entry and self.run_started_at is not None and at < self.run_started_at:
            return False
        if term.own_run and event.properties.get("run_id") != self.run_id:
            return False
        return term.where is None or matches(term.where, event, as_of)


def _in_order(event: Happened) -> tuple[datetime, int]:
    return event.occurred_at, event.id


def _found(events: Sequence[Happened], term: EventTerm) -> Occurrences:
    """Of the matches, in order."""
    value, amounts = (None, 0) if term.aggregate is None else term.aggregate.of_events(events)
    if not events:
        return Occurrences(value=value)
    return Occurrences(len(events), events[0].occurred_at, events[-1].occurred_at, value, amounts)
