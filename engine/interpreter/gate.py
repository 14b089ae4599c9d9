"""The gate: whether a message may leave now, must wait, or may never leave. Pure: the same arguments give the same verdict.

Asked for every message to a contact: by the claim of a real one (`activities.sending.gate` gathers the arguments from the database), and
by whoever wants to know what would happen. The order of the questions is fixed, and the first refusal is the reason that is recorded:
contact, address, consent, suppression, whether the mailbox has it already; then the earliest instant at which quiet hours and frequency caps leave room.

All values are plain and survive JSON. Instants are aware UTC. It does not look at the message's text, and it remembers nothing.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from journeys.clock import earliest_allowed, zone_of
from journeys.document import QuietHours, Settings

LOOK_AGAIN = timedelta(days=7)
"""A message that quiet time never lets out is looked at again after this: settings change."""
OVERDUE = timedelta(minutes=15)
"""A held message that should have left so long ago holds nobody any more: its worker is away, or it is never asked for again."""
TWIN_AGAIN = timedelta(minutes=1)
"""How long a message waits at least for one to the same mailbox whose answer is missing."""


@dataclass(frozen=True, slots=True)
class SendRequest:
    """A message that wants out.

    `priority` 1 is the most important. `since`: when it was held first (None: now); of equal priority the elder goes first.
    `quiet_hours` are the journey's own; `fallback_zone` is where they are meant for contacts without a zone.
    """

    message_id: str
    channel: str
    purpose: str
    message_class: str
    cap_class: str
    priority: int
    quiet_hours: QuietHours | None
    fallback_zone: str
    since: datetime | None = None

    @property
    def is_marketing(self) -> bool:
        """Whatever is not said to be transactional is marketing: the stricter of the two."""
        return self.message_class != "transactional"


@dataclass(frozen=True, slots=True)
class Person:
    """The recipient: `address` is where the wanted channel reaches them, `gone` that the contact was erased or merged into another."""

    address: str | None
    timezone: str | None = None
    gone: bool = False


Consents = Mapping[str, Mapping[str, str]]
"""channel -> purpose -> granted, pending or withdrawn; what nothing was said about is not there."""
Suppressions = Mapping[str, Sequence[str]]
"""channel -> why the person's address there gets nothing; an `unsubscribe` stops marketing only, any other reason everything."""


@dataclass(frozen=True, slots=True)
class QuietTime:
    """The workspace's: from `start` to `end`, across midnight if `end` is earlier, never if equal; and whole `days` (0 = Monday).
    `zone` is where it is meant for contacts without a zone."""

    start: time
    end: time
    days: tuple[int, ...] = ()
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `count` messages of a cap class in any `per`."""

    cap_class: str
    count: int
    per: timedelta


@dataclass(frozen=True, slots=True)
class Limits:
    """What the workspace lets through at most. None: it has no quiet time."""

    quiet_time: QuietTime | None = None
    caps: tuple[Cap, ...] = ()


@dataclass(frozen=True, slots=True)
class Former:
    """A message that has left, or is being sent, and counts for its cap class."""

    cap_class: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """A message of the same contact that waits as well and may leave at `until` at the earliest; `since`: when it was held first."""

    message_id: str
    cap_class: str
    priority: int
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Twin:
    """The same message of the same send to another contact with the same address. `until`: it is on its way so long, and may yet fail;
    None: it has gone there, or may have."""

    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Pass:
    """It may leave now, to this address."""

    address: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """It may never leave. Reasons: no_contact, no_address, no_consent, suppressed_<why>, same_mailbox."""

    reason: str


@dataclass(frozen=True, slots=True)
class Hold:
    """It may leave at `until` at the earliest. Reasons: same_mailbox, quiet_hours, frequency_cap (what it waits for last).

    `behind`: the held messages that go first and without which it could leave sooner.
    """

    until: datetime
    reason: str
    behind: tuple[str, ...] = ()


Verdict = Pass | Refuse | Hold


def message_class(said: Mapping[str, Any], journey: Settings) -> str:
    """marketing or transactional: as the step says, else as the journey does."""
    return str(said.get("message_class") or journey.message_class)


def wanted(message_id: str, channel: str, said: Mapping[str, Any], journey: Settings, since: datetime | None = None) -> SendRequest:
    """What a step's message asks of the gate; `said` is the input of its call."""
    return SendRequest(
        message_id=message_id,
        channel=channel,
        purpose=str(said.get("purpose") or journey.purpose),
        message_class=message_class(said, journey),
        cap_class=journey.cap_class,
        priority=journey.priority,
        quiet_hours=journey.quiet_hours,
        fallback_zone=journey.timezone,
        since=since,
    )


def decide(
    wanted: SendRequest,
    person: Person | None,
    consents: Consents,
    suppressions: Suppressions,
    limits: Limits,
    former: Iterable[Former],
    held: Iterable[Held],
    now: datetime,
    twin: Twin | None = None,
) -> Verdict:
    """The verdict on `wanted` at `now`.

    `former` and `held` may hold more than counts (other cap classes, the message itself), in any order; of `former` the newest
    `count` of the largest cap are enough.
    """
    if person is None or person.gone:
        return Refuse("no_contact")
    if not person.address:
        return Refuse("no_address")
    if wanted.is_marketing and consents.get(wanted.channel, {}).get(wanted.purpose) != "granted":
        return Refuse("no_consent")
    if why := _suppressed(wanted, suppressions):
        return Refuse(f"suppressed_{why}")
    if not wanted.is_marketing:
        return Pass(person.address)
    if twin is not None:
        return Refuse("same_mailbox") if twin.until is None else Hold(max(twin.until, now + TWIN_AGAIN), "same_mailbox")
    return _hold(wanted, person, limits, former, held, now) or Pass(person.address)


def _suppressed(wanted: SendRequest, suppressions: Suppressions) -> str | None:
    """Why the address gets nothing. Of several reasons one that stops everything, so that the record does not hang on their order."""
    reasons = sorted(suppressions.get(wanted.channel, ()), key=lambda why: (why == "unsubscribe", why))
    return next((why for why in reasons if wanted.is_marketing or why != "unsubscribe"), None)


def _hold(
    wanted: SendRequest, person: Person, limits: Limits, former: Iterable[Former], held: Iterable[Held], now: datetime
) -> Hold | None:
    """Until when it waits with those that go first, and whether it is for them; None if it may leave now."""
    ahead = {one.message_id: max(one.until, now) for one in held if _goes_first(one, wanted, now)}
    left = [one.at for one in former if one.cap_class == wanted.cap_class]
    caps = [cap for cap in limits.caps if cap.cap_class == wanted.cap_class]
    walk = _Walk(wanted, person, limits.quiet_time, caps)
    until, reason = walk.earliest(now, left + list(ahead.values()))
    if until == now:
        return None
    alone, _ = walk.earliest(now, left)
    return Hold(until, reason, tuple(sorted(ahead)) if alone < until else ())


def _goes_first(one: Held, wanted: SendRequest, now: datetime) -> bool:
    """Whether a held message leaves before `wanted`: it is more important, or as important and there before."""
    if one.cap_class != wanted.cap_class or one.until <= now - OVERDUE:
        return False
    mine = (wanted.priority, wanted.since or now, wanted.message_id)
    return (one.priority, one.since, one.message_id) < mine


@dataclass(frozen=True, slots=True)
class _Walk:
    """The way from now to the first instant that is neither quiet nor too much."""

    wanted: SendRequest
    person: Person
    quiet_time: QuietTime | None
    caps: Sequence[Cap]

    def earliest(self, now: datetime, others: Iterable[datetime]) -> tuple[datetime, str]:
        """The instant, and what was waited for last.

        Every move leads to the end of a quiet time or to an instant at which one of the finitely many `others` has left the window of
        a cap; none goes back, so the walk ends: after 2 x (1 + caps x (1 + others ahead)) moves at most.
        """
        taken = sorted(others)
        at, reason = now, ""
        while True:
            loud = self._after_quiet(at)
            if loud is None:
                return now + LOOK_AGAIN, "quiet_hours"
            free = max((_after(cap, taken, loud) for cap in self.caps), default=loud)
            if free == at:
                return at, reason
            reason = "frequency_cap" if free > loud else "quiet_hours"
            at = free

    def _after_quiet(self, at: datetime) -> datetime | None:
        """The journey's own quiet hours where it has some, else the workspace's."""
        own = self.wanted.quiet_hours
        if own is not None:
            zone = zone_of(self.person.timezone, self.wanted.fallback_zone)
            return earliest_allowed(at, time.fromisoformat(own.start), time.fromisoformat(own.end), zone)
        if self.quiet_time is None:
            return at
        zone = zone_of(self.person.timezone, self.quiet_time.zone)
        return earliest_allowed(at, self.quiet_time.start, self.quiet_time.end, zone, self.quiet_time.days)


def _after(cap: Cap, taken: Sequence[datetime], at: datetime) -> datetime:
    """`at`, or the first instant after it at which one more message is not too much: neither itself nor for what leaves later.

    With 2 in any hour, taken at 9:00 and 9:10: from 9:10 on not before 10:00.
    """
    while (later := _past_full_window(cap, taken, at)) is not None:
        at = later
    return at


def _past_full_window(cap: Cap, taken: Sequence[datetime], at: datetime) -> datetime | None:
    """When a window around `at` that holds `count` of `taken` (ascending) already has let one of them go; None if none is full."""
    later = taken[bisect_right(taken, at) : bisect_left(taken, at + cap.per)]
    for end in (at, *later):
        upto = bisect_right(taken, end)
        if upto >= cap.count and taken[upto - cap.count] > end - cap.per:
            return taken[upto - cap.count] + cap.per
    return None
