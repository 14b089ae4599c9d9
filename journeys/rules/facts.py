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
    from journeys.rules.terms.sequence import SequenceTerm

Json = Any  # str, int, float, bool, None, list or dict thereof


@dataclass(frozen=True, slots=True)
class Occurrences:
    """How often an event term matched, and when its oldest and newest match happened (aware UTC, None if none).

    `value`: what the property comes to that the term asks for (`journeys.rules.aggregate`), None without one; `amounts`: how many of the
    matches had an amount there.
    """

    count: int = 0
    oldest_at: datetime | None = None
    newest_at: datetime | None = None
    value: Any = None
    amounts: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """An event as far as a condition on it looks: its properties, and the circumstances that came with it."""

    properties: Mapping[str, Any]
    context: Mapping[str, Any] = field(default_factory=dict)


class Telling(Protocol):
    """What `Told` is, whatever else it is."""

    @property
    def properties(self) -> Mapping[str, Any]: ...
    @property
    def context(self) -> Mapping[str, Any]: ...


Climbed = tuple[datetime, datetime]
"""(when a step was reached last, when the steps that lead there began)"""


@dataclass(frozen=True, slots=True)
class Steps:
    """How far somebody came in a sequence: `reached` has each step, None where it never followed those before it. `begun_at`: when the whole
    sequence began that began last; None: it never came to its end."""

    reached: tuple[Climbed | None, ...]
    begun_at: datetime | None = None


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

    def sequence(self, term: SequenceTerm, as_of: datetime) -> Steps:
        """How far the contact came in it up to `as_of` (inclusive)."""

    def next_owner(self, pool: str) -> str | None:
        """Whose turn it is in a rotation; None when nobody is present. Only `SetOwner` moves the turn on."""

    def calendar(self) -> Calendar:
        """The workspace's working hours, for SLAs."""
