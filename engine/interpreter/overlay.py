"""Facts with the changes of the present walk laid over them, so that later nodes see what earlier ones decided."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from engine.interpreter.paths import dig
from journeys.changes import Change
from journeys.results import STEPS
from journeys.rules.facts import Calendar, Facts, Occurrences, Steps
from journeys.rules.fields import path_of, read

if TYPE_CHECKING:
    from journeys.rules import EventTerm, SequenceTerm


class Overlay:
    """`Facts` seen through changes that are decided but not yet written."""

    def __init__(self, beneath: Facts) -> None:
        self.beneath = beneath
        self.nodes: Collection[str] = ()
        self.memory: Mapping[str, Mapping[str, Any]] = {}
        """What the steps of the journey (`nodes`) have left, for `steps.<node>.…`."""
        self._fields: dict[str, Any] = {}
        self._tags: dict[str, bool] = {}
        self._scores: dict[str, float] = {}

    def apply(self, changes: Iterable[Change]) -> None:
        """Lays `changes` on top."""
        for change in changes:
            change.overlay(self)

    def set_field(self, name: str, value: Any) -> None:
        self._fields[name] = value

    def set_tag(self, tag: str, given: bool) -> None:
        self._tags[tag] = given

    def set_score(self, group: str, points: float) -> None:
        self._scores[group] = points

    @property
    def changed(self) -> Mapping[str, Any]:
        """The fields that are set on top."""
        return self._fields

    def value(self, name: str) -> Any:
        if name.startswith(STEPS) and (path := path_of(name))[1] in self.nodes:
            return read(self.memory, path[1:])
        if name in self._fields:
            return self._fields[name]
        head, dot, rest = name.partition(".")
        return dig(self._fields[head], rest) if dot and head in self._fields else self.beneath.value(name)

    def has_tag(self, tag: str) -> bool:
        known = self._tags.get(tag)
        return self.beneath.has_tag(tag) if known is None else known

    def in_segment(self, key: str) -> bool:
        return self.beneath.in_segment(key)

    def consent(self, channel: str, purpose: str) -> str | None:
        return self.beneath.consent(channel, purpose)

    def consent_said_at(self, channel: str, purpose: str) -> datetime | None:
        return self.beneath.consent_said_at(channel, purpose)

    def touch(self, which: Literal["first", "last"]) -> Mapping[str, Any] | None:
        return self.beneath.touch(which)

    def score(self, group: str) -> float:
        known = self._scores.get(group)
        return self.beneath.score(group) if known is None else known

    def occurrences(self, term: EventTerm, as_of: datetime) -> Occurrences:
        return self.beneath.occurrences(term, as_of)

    def sequence(self, term: SequenceTerm, as_of: datetime) -> Steps:
        return self.beneath.sequence(term, as_of)

    def next_owner(self, pool: str) -> str | None:
        return self.beneath.next_owner(pool)

    def calendar(self) -> Calendar:
        return self.beneath.calendar()
