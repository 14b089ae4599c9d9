"""What a rule or a node may ask about one contact: the `Facts` protocol.

The simulator answers from a dict, the engine from the database inside the step's transaction; both give the
same answers to the same data, and a property test says so. No method changes anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from journeys.rules.terms.event import EventTerm

Json = Any  # str, int, float, bool, None, list or dict thereof


@dataclass(frozen=True, slots=True)
class Occurrences:
    """How often an event term matched, and when its oldest and newest match happened (aware UTC, None if none)."""

    count: int = 0
    oldest_at: datetime | None = None
    newest_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Calendar:
    """Working hours: weekday (0 = Monday) -> (start, end) in `zone`; days off as ISO dates."""

    zone: str = "Europe/Zurich"
    hours: Mapping[int, tuple[time, time]] = field(default_factory=lambda: {day: (time(8), time(17)) for day in range(5)})
    days_off: frozenset[str] = frozenset()


class Facts(Protocol):
    """One contact as a rule sees it. Unknown names answer None, never raise."""

    def value(self, name: str) -> Json:
        """A contact field (`email`, `plan`, `lifecycle_stage`, `owner`), or a property of the entry event as `trigger.<path>`."""

    def has_tag(self, tag: str) -> bool: ...

    def in_segment(self, key: str) -> bool:
        """Whether the contact is a member now; of an unknown segment nobody is."""

    def consent(self, channel: str, purpose: str) -> str | None:
        """`granted`, `withdrawn`, `pending` (double opt-in not confirmed) or None if nothing was ever said."""

    def consent_said_at(self, channel: str, purpose: str) -> datetime | None:
        """When that was said which `consent` answers."""

    def touch(self, which: Literal["first", "last"]) -> Mapping[str, Json] | None:
        """How the contact came, first or last: `kind`, `source_id`, `utm_source` … `utm_content`, `referrer`, `landing_page` (texts or None) and `at`
        (aware UTC). None: nothing is known."""

    def score(self, group: str) -> float:
        """0.0 when the group was never scored."""

    def occurrences(self, term: EventTerm, as_of: datetime) -> Occurrences:
        """Matches of `term` up to `as_of` (inclusive)."""

    def next_owner(self, pool: str) -> str | None:
        """Whose turn it is in a rotation; None when nobody is present. Only `SetOwner` moves the turn on."""

    def calendar(self) -> Calendar:
        """The workspace's working hours, for SLAs."""
