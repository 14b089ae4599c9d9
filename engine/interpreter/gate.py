"""The gate: whether a message may leave now, must wait, or may never leave. Pure: the same arguments give the same verdict.

Asked for every message to a contact: by the claim of a real one (`activities.sending.gate` gathers the arguments from the database), and
by whoever wants to know what would happen. The order of the questions is fixed, and the first refusal is the reason that is recorded:
contact, address, consent and its age, topic, suppression, reply window, hold-out, whether the mailbox has it already; then the earliest instant at which quiet hours, frequency caps and
the spacing between channels leave room.

All values are plain and survive JSON. Instants are aware UTC. It does not look at the message's text, and it remembers nothing.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from typing import Any

from journeys.channels import CHANNELS, TOPIC
from journeys.clock import earliest_allowed, zone_of
from journeys.document import QuietHours, Settings
from journeys.draws import GLOBAL_HOLD_OUT, MESSAGE_HOLD_OUT, draw

LOOK_AGAIN = timedelta(days=7)
"""A message that quiet time never lets out is looked at again after this: settings change."""
OVERDUE = timedelta(minutes=15)
"""A held message that should have left so long ago holds nobody any more: its worker is away, or it is never asked for again."""
TWIN_AGAIN = timedelta(minutes=1)
"""How long a message waits at least for one to the same mailbox whose answer is missing."""
_TURNS = 20
"""More ends of quiet times than there are in a week; who finds no loud instant behind them finds none at all."""


@dataclass(frozen=True, slots=True)
class HoldOut:
    """A share of all contacts that gets no marketing, or not this message. `name` draws it: another one draws others."""

    percent: float
    name: str = ""


@dataclass(frozen=True, slots=True)
class SendRequest:
    """A message that wants out.

    `priority` 1 is the most important. `since`: when it was held first (None: now); of equal priority the elder goes first.
    `quiet_hours` are the journey's own; `fallback_zone` is where they are meant for contacts without a zone. `reply_window`: it is free text,
    which its channel takes only so long after the contact's last message there; None: whenever.
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
    reply_window: timedelta | None = None
    topic: str = ""
    """What it is about, of the workspace's topics; empty: of none."""
    hold_out: HoldOut | None = None
    """Who does not get this message, so that what it achieves can be measured; None: everybody does."""

    @property
    def is_marketing(self) -> bool:
        """Whatever is not said to be transactional is marketing: the stricter of the two."""
        return self.message_class != "transactional"


@dataclass(frozen=True, slots=True)
class Person:
    """The recipient: `address` is where the wanted channel reaches them, `gone` that the contact was erased or merged into another.
    Without `contact_id` (somebody made up) they are in no control group. `paused_until` and `at_most_every` are the contact's own wishes."""

    address: str | None
    timezone: str | None = None
    gone: bool = False
    contact_id: str = ""
    paused_until: datetime | None = None
    at_most_every: timedelta | None = None
    active_at: datetime | None = None
    """When the consent for the wanted purpose was given, or used last; None: nobody asked, since it does not end by itself."""


Consents = Mapping[str, Mapping[str, str]]
"""channel -> purpose -> granted, pending or withdrawn; what nothing was said about is not there. Under `TOPIC`: key of a topic -> the same."""
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
class ChannelQuiet:
    """Quiet time of one channel: `by_law` beside whatever else is quiet, otherwise in place of the workspace's."""

    channel: str
    time: QuietTime
    by_law: bool = False


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `count` messages in any `per`: of a cap class, a channel, a purpose; empty: of all of them."""

    cap_class: str
    count: int
    per: timedelta
    channel: str = ""
    purpose: str = ""


@dataclass(frozen=True, slots=True)
class Spacing:
    """Nothing on `channel` until `after` the last `event` of a message on `of_channel`, such as an SMS after an e-mail was opened."""

    channel: str
    event: str
    of_channel: str
    after: timedelta


@dataclass(frozen=True, slots=True)
class Expiry:
    """Consents for `purpose` end `after` so long without a sign of interest."""

    purpose: str
    after: timedelta


@dataclass(frozen=True, slots=True)
class Limits:
    """What the workspace lets through at most. None: it has no quiet time, and no control group."""

    quiet_time: QuietTime | None = None
    caps: tuple[Cap, ...] = ()
    channel_quiet: tuple[ChannelQuiet, ...] = ()
    spacings: tuple[Spacing, ...] = ()
    hold_out: HoldOut | None = None
    expiries: tuple[Expiry, ...] = ()


@dataclass(frozen=True, slots=True)
class Former:
    """A message that has left, or is being sent, and counts for caps."""

    cap_class: str
    at: datetime
    channel: str = ""
    purpose: str = ""


Happened = Mapping[str, Mapping[str, datetime]]
"""channel -> event of a message there -> when it happened last."""
NOTHING: Happened = {}


@dataclass(frozen=True, slots=True)
class Held:
    """A message of the same contact that waits as well and may leave at `until` at the earliest; `since`: when it was held first."""

    message_id: str
    cap_class: str
    priority: int
    since: datetime
    until: datetime
    channel: str = ""
    purpose: str = ""


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
    """It may never leave. Reasons: no_contact, no_address, address_incomplete_<part>, no_consent, consent_expired, topic_declined,
    suppressed_<why>, outside_reply_window, global_hold_out, message_hold_out, same_mailbox."""

    reason: str


@dataclass(frozen=True, slots=True)
class Hold:
    """It may leave at `until` at the earliest. Reasons: same_mailbox, pause_requested, quiet_hours, frequency_cap, spacing (what it waits for last).

    `behind`: the held messages that go first and without which it could leave sooner. `alone`: when it could without any (None: at `until`).
    """

    until: datetime
    reason: str
    behind: tuple[str, ...] = ()
    alone: datetime | None = None


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
        topic=str(said.get("topic") or ""),
        hold_out=HoldOut(**group) if (group := said.get("hold_out")) else None,
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
    happened: Happened = NOTHING,
    replied_at: datetime | None = None,
) -> Verdict:
    """The verdict on `wanted` at `now`. `replied_at`: when the person's address wrote to us last on the channel.

    `former` and `held` may hold more than counts (what no cap covers, the message itself), in any order; of `former` the newest
    `count` of each cap are enough.
    """
    if person is None or person.gone:
        return Refuse("no_contact")
    if not person.address:
        return Refuse("no_address")
    if (problem := _undeliverable(wanted.channel, person.address)) is not None:
        return Refuse(problem)
    if wanted.is_marketing and consents.get(wanted.channel, {}).get(wanted.purpose) != "granted":
        return Refuse("no_consent")
    if wanted.is_marketing and _is_expired(wanted, person, limits, now):
        return Refuse("consent_expired")
    if wanted.is_marketing and consents.get(TOPIC, {}).get(wanted.topic) == "withdrawn":
        return Refuse("topic_declined")
    if why := _suppressed(wanted, suppressions):
        return Refuse(f"suppressed_{why}")
    if wanted.reply_window is not None and not is_open(replied_at, wanted.reply_window, now):
        return Refuse("outside_reply_window")
    if not wanted.is_marketing:
        return Pass(person.address)
    if limits.hold_out is not None and is_held_out(limits.hold_out, person.contact_id):
        return Refuse(GLOBAL_HOLD_OUT)
    if wanted.hold_out is not None and is_held_out(wanted.hold_out, person.contact_id):
        return Refuse(MESSAGE_HOLD_OUT)
    if twin is not None:
        return Refuse("same_mailbox") if twin.until is None else Hold(max(twin.until, now + TWIN_AGAIN), "same_mailbox")
    return _hold(wanted, person, limits, former, held, now, happened) or Pass(person.address)


def is_open(replied_at: datetime | None, window: timedelta, now: datetime) -> bool:
    """Whether free text may be sent at `now` to who wrote at `replied_at` (None: never)."""
    return replied_at is not None and now < replied_at + window


def _undeliverable(channel: str, address: str) -> str | None:
    """What an address lacks on its channel, as its form tells."""
    return CHANNELS[channel].problem(address) if channel in CHANNELS else None


def _is_expired(wanted: SendRequest, person: Person, limits: Limits, now: datetime) -> bool:
    """Whether the consent has not been used for as long as its purpose allows."""
    since = person.active_at
    return since is not None and any(since + one.after <= now for one in limits.expiries if one.purpose == wanted.purpose)


def is_held_out(group: HoldOut, contact_id: str) -> bool:
    """Always the same answer for a contact; who is held out at 5 percent is so at 10."""
    return contact_id != "" and draw("hold_out", group.name, contact_id) < group.percent / 100


def _suppressed(wanted: SendRequest, suppressions: Suppressions) -> str | None:
    """Why the address gets nothing. Of several reasons one that stops everything, so that the record does not hang on their order."""
    reasons = sorted(suppressions.get(wanted.channel, ()), key=lambda why: (why == "unsubscribe", why))
    return next((why for why in reasons if wanted.is_marketing or why != "unsubscribe"), None)


def _hold(
    wanted: SendRequest,
    person: Person,
    limits: Limits,
    former: Iterable[Former],
    held: Iterable[Held],
    now: datetime,
    happened: Happened,
) -> Hold | None:
    """Until when it waits with those that go first, and whether it is for them; None if it may leave now."""
    caps = caps_for(wanted, person, limits)
    begin = now if person.paused_until is None else max(now, person.paused_until)
    ahead = [one for one in held if any(covers(cap, one) for cap in caps) and _goes_first(one, wanted, now)]
    left = list(former)
    walk = _Walk(_quiet_times(wanted, person, limits), _spaced_until(wanted, limits.spacings, happened))
    until, reason = walk.earliest(begin, [(cap, _taken(cap, left, ahead, now)) for cap in caps])
    if until == now:
        return None
    alone, _ = walk.earliest(begin, [(cap, _taken(cap, left, (), now)) for cap in caps])
    first = tuple(sorted(one.message_id for one in ahead)) if alone < until else ()
    return Hold(until, reason or "pause_requested", first, alone)


def caps_for(wanted: SendRequest, person: Person, limits: Limits) -> list[Cap]:
    """Those that count this message: the workspace's, and what the contact asked for."""
    own = [Cap("", 1, person.at_most_every)] if person.at_most_every is not None else []
    return [cap for cap in (*limits.caps, *own) if covers(cap, wanted)]


def covers(cap: Cap, one: SendRequest | Former | Held) -> bool:
    """Whether a message counts for the cap."""
    return cap.cap_class in ("", one.cap_class) and cap.channel in ("", one.channel) and cap.purpose in ("", one.purpose)


def _taken(cap: Cap, left: Iterable[Former], ahead: Iterable[Held], now: datetime) -> list[datetime]:
    """When something left or leaves that counts for the cap, ascending."""
    return sorted([one.at for one in left if covers(cap, one)] + [max(one.until, now) for one in ahead if covers(cap, one)])


def _goes_first(one: Held, wanted: SendRequest, now: datetime) -> bool:
    """Whether a held message leaves before `wanted`: it is more important, or as important and there before."""
    if one.until <= now - OVERDUE:
        return False
    mine = (wanted.priority, wanted.since or now, wanted.message_id)
    return (one.priority, one.since, one.message_id) < mine


def _spaced_until(wanted: SendRequest, spacings: Iterable[Spacing], happened: Happened) -> datetime | None:
    """When the channel has kept its distance from what happened on others; None: nothing happened."""
    over = [
        last + rule.after
        for rule in spacings
        if rule.channel == wanted.channel and (last := happened.get(rule.of_channel, {}).get(rule.event)) is not None
    ]
    return max(over, default=None)


@dataclass(frozen=True, slots=True)
class _Quiet:
    """A quiet time in the recipient's zone."""

    start: time
    end: time
    zone: tzinfo
    days: tuple[int, ...] = ()

    def over(self, at: datetime) -> datetime | None:
        return earliest_allowed(at, self.start, self.end, self.zone, self.days)


def _quiet_times(wanted: SendRequest, person: Person, limits: Limits) -> list[_Quiet]:
    """By choice: the journey's own where it has some, else those of the channel, else the workspace's. And those by law, whatever is chosen."""
    of_channel = [one for one in limits.channel_quiet if one.channel == wanted.channel]
    law = [one.time for one in of_channel if one.by_law]
    own = wanted.quiet_hours
    if own is not None:
        zone = zone_of(person.timezone, wanted.fallback_zone)
        return [_Quiet(time.fromisoformat(own.start), time.fromisoformat(own.end), zone), *_quiet_for(person, law)]
    chosen = [one.time for one in of_channel if not one.by_law]
    if not chosen and limits.quiet_time is not None:
        chosen = [limits.quiet_time]
    return _quiet_for(person, [*chosen, *law])


def _quiet_for(person: Person, times: Iterable[QuietTime]) -> list[_Quiet]:
    return [_Quiet(one.start, one.end, zone_of(person.timezone, one.zone), one.days) for one in times]


@dataclass(frozen=True, slots=True)
class _Walk:
    """The way from now to the first instant that is neither quiet, nor too soon, nor too much."""

    quiet: Sequence[_Quiet]
    spaced_until: datetime | None

    def earliest(self, now: datetime, caps: Sequence[tuple[Cap, Sequence[datetime]]]) -> tuple[datetime, str]:
        """The instant, and what was waited for last. `caps`: each with the instants that are taken, ascending.

        Every move leads to the end of a quiet time or of the spacing, or to an instant at which one of the finitely many taken has left
        the window of its cap; none goes back, so the walk ends: after 2 x (2 + caps x (1 + taken ahead)) moves at most.
        """
        at, reason = now, ""
        while True:
            spaced = at if self.spaced_until is None else max(at, self.spaced_until)
            loud = self._after_quiet(spaced)
            if loud is None:
                return now + LOOK_AGAIN, "quiet_hours"
            free = max((_after(cap, taken, loud) for cap, taken in caps), default=loud)
            if free == at:
                return at, reason
            reason = "frequency_cap" if free > loud else "quiet_hours" if loud > spaced else "spacing"
            at = free

    def _after_quiet(self, at: datetime) -> datetime | None:
        """`at`, or the first instant after it at which it is quiet by none of the quiet times; None: there is none."""
        for _ in range(_TURNS):
            before = at
            for quiet in self.quiet:
                over = quiet.over(at)
                if over is None:
                    return None
                at = over
            if at == before:
                return at
        return None


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
