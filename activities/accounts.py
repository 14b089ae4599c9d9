"""The provider accounts as one process sees them: who carries a channel now, and who made a former call.

A process looks once a second at most, where it sends, whether the number of `workspace.accounts.TOPIC` has grown (one row, by its key), and only
then reads the accounts anew; nobody has to be started again. What is on its way keeps the account it began with: an account that was changed or
removed is closed once every call it may be in is over.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from pydantic import ValidationError
from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from activities.account_setup import UNFIT, UNKNOWN, UNREADABLE, Unreadable, config_of
from activities.domains.resolver import Resolver
from activities.providers.callback import Callback
from activities.providers.provider import (
    Answer,
    DeliveryCheck,
    Outgoing,
    Provider,
    SenderStopped,
    Surroundings,
)
from activities.providers.registry import Providers
from activities.providers.together import Together
from activities.sending import line
from activities.sending.handler import Carried, ChannelHandler
from activities.sending.line import Member
from journeys.channels import DEFAULT, ROUTES
from models import Database, ProviderAccount
from storage.freshness import freshness
from storage.sql import on
from workspace import accounts as rows
from workspace import sending_domains, stopped_accounts

log = logging.getLogger(__name__)

ATTEMPT_MARGIN_SECONDS = 5.0
"""An attempt may take the provider's limit and this, for rendering and the two transactions."""
KNOWN_FOR_SECONDS = 1.0
"""So long a process believes what it saw."""
_revision = select(rows.accounts.c.revision, rows.accounts.c.removed_at).where(rows.accounts.c.account == bindparam("account"))


@dataclass(frozen=True, slots=True)
class Carrier:
    """An account, ready to send."""

    account: str
    provider: Provider


@dataclass(slots=True)
class Unusable:
    """What stands in for an account that this process cannot open."""

    name: str
    why: str
    channels: frozenset[str] = frozenset()
    delivery_check: DeliveryCheck = "blind"
    remembers: timedelta = timedelta(0)
    reaches_people: bool = True
    reaches: frozenset[str] = frozenset()
    timeout_seconds: float = 10.0

    def send(self, message: Outgoing) -> Answer:
        raise SenderStopped(self.why)

    def lookup(self, once_key: str) -> Answer | None:
        return None

    def verify(self) -> None:
        raise SenderStopped(self.why)

    def close(self) -> None:
        """There is nothing."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """The accounts at one number."""

    number: int = -1
    carriers: Mapping[str, Carrier] = field(default_factory=dict)
    revisions: Mapping[str, int] = field(default_factory=dict)
    channels: Mapping[str, Carrier] = field(default_factory=dict)
    routes: Mapping[str, Carrier] = field(default_factory=dict)
    lines: Mapping[str, Sequence[Member]] = field(default_factory=dict)
    """Of the channels that several accounts carry."""


@dataclass(slots=True)
class Accounts:
    """The accounts of one process; its threads share them."""

    db: Database
    providers: Providers
    keys: Sequence[bytes] = field(repr=False)
    around: Surroundings
    monotonic: Callable[[], float] = time.monotonic
    resolver: Resolver = field(default_factory=Resolver)
    """Whom the DNS of sending domains is asked of."""
    _nobody: Carrier = field(init=False)
    _seen: _Seen = field(default_factory=_Seen)
    _looked_at: float | None = None
    _configs: dict[str, tuple[int, Any]] = field(default_factory=dict, repr=False)
    """Account -> (revision, configuration), of those that providers have called for."""
    _retired: list[tuple[float, Provider]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        kind = self.providers.nobody
        self._nobody = Carrier(rows.account_of(kind.name, "default"), kind.open(kind.Config(), self.around))

    @property
    def nobody(self) -> Provider:
        """Who carries what nobody is chosen for, and reaches no one."""
        return self._nobody.provider

    def of_channel(self, channel: str) -> Carrier:
        """Who carries the channel now; where nobody is chosen, who reaches no one."""
        self.look()
        return self.known(channel)

    def known(self, channel: str) -> Carrier:
        """As `of_channel`, as of the last look: for whoever is inside a transaction."""
        return self._seen.channels.get(channel, self._nobody)

    def sharing(self, channel: str) -> list[Carrier]:
        """All that carry a share of the channel or stand in, as of the last look; nobody where one account carries it."""
        return [self._seen.carriers[one.account] for one in self._seen.lines.get(channel, ())]

    def in_order(self, channel: str, once_key: str, sender: str) -> list[Carrier]:
        """Of `sharing` those that may send the message, in the order in which they are asked (`activities.sending.line`)."""
        seen = self._seen
        return [seen.carriers[one.account] for one in line.in_order(seen.lines.get(channel, ()), once_key, sender)]

    def browser_key(self) -> str:
        """What browsers subscribe with for push messages now; empty: no account reaches any."""
        self.look()
        found = (getattr(one.provider, "browser_key", "") for one in self._seen.routes.values())
        return next(filter(None, found), "")

    def find(self, provider: str, account: str) -> Provider | None:
        """The account that made a call, as of the last look: by its name, or, in rows from before accounts had names, the only one of its
        provider; None: it is gone."""
        if account in ("", self._nobody.account):
            ours = [one.provider for one in (self._nobody, *self._seen.carriers.values()) if one.provider.name == provider]
            return ours[0] if len(ours) == 1 else None
        known = self._seen.carriers.get(account)
        return known.provider if known else None

    def named(self, account: str) -> Provider | None:
        """The account of that name, looked up now."""
        self.look()
        if account == self._nobody.account:
            return self._nobody.provider
        known = self._seen.carriers.get(account)
        return known.provider if known else None

    def collecting(self) -> list[Carrier]:
        """The accounts that are mailboxes to read, looked up now."""
        self.look()
        return [one for one in self._seen.carriers.values() if getattr(one.provider, "collects", False)]

    def close(self) -> None:
        for _, provider in self._retired:
            provider.close()
        for carrier in (*self._seen.carriers.values(), self._nobody):
            carrier.provider.close()

    def callback(self, account: str, route: str) -> Callback | None:
        """Who reads the calls that come in for an account; None: there is no such account or route here. Raises: Unreadable."""
        kind = self.providers.get(account.partition(".")[0])
        reader = kind.callbacks.get(route) if kind else None
        if kind is None or reader is None:
            return None
        with self.db.read() as session:
            found = on(session).execute(_revision, {"account": account}).first()
            if found is None or found.removed_at is not None:
                return None
            known = self._configs.get(account)
            if known is None or known[0] != found.revision:
                known = (found.revision, config_of(kind, self.keys, session.get_one(ProviderAccount, account)))
                self._configs[account] = known
            return reader(known[1])

    def look(self) -> None:
        """Notices what has changed, unless that was asked a moment ago."""
        if not self._is_fresh():
            self._look()

    def _is_fresh(self) -> bool:
        return self._looked_at is not None and self.monotonic() - self._looked_at < KNOWN_FOR_SECONDS

    def _look(self) -> None:
        """One thread looks; whoever comes meanwhile waits for it, since the account may be gone."""
        with self._lock:
            if self._is_fresh():
                return
            with self.db.read() as session:
                number = freshness(session, rows.TOPIC)
                if number != self._seen.number:
                    self._take(number, session)
            self._looked_at = self.monotonic()
            self._close_retired()

    def _take(self, number: int, session: Session) -> None:
        """Where no provider can have accounts (staging), no row is one, however it came there."""
        found = rows.listed(session) if self.providers.kinds else []
        before = self._seen
        same = {row.account for row in found if before.revisions.get(row.account) == row.revision}
        carriers = {row.account: before.carriers[row.account] if row.account in same else self._opened(row) for row in found}
        now = self.monotonic()
        self._retired += [(now, one.provider) for account, one in before.carriers.items() if account not in same]
        shared = {route: [one for one in shares if one.account in carriers] for route, shares in rows.lines(session).items()}
        routes = {route: carriers[shares[0].account] for route, shares in shared.items() if shares}
        lines = {route: _members(session, route, shares) for route, shares in shared.items() if len(shares) > 1}
        self._seen = _Seen(number, carriers, {row.account: row.revision for row in found}, self._by_channel(routes), routes, lines)

    def _by_channel(self, routes: Mapping[str, Carrier]) -> dict[str, Carrier]:
        """Channel -> who carries it: the account that was chosen, or all of those that were chosen for its parts, as one."""
        parts: dict[str, list[Carrier]] = {}
        for route in (*ROUTES, *(other for other in routes if other not in ROUTES)):
            channel = ROUTES[route][0] if route in ROUTES else route
            if route in routes and routes[route] not in parts.setdefault(channel, []):
                parts[channel].append(routes[route])
        return {channel: self._as_one(found) for channel, found in parts.items() if found}

    def _as_one(self, parts: Sequence[Carrier]) -> Carrier:
        if len(parts) == 1:
            return parts[0]
        return Carrier(parts[0].account, Together([(one.account, one.provider) for one in parts], self._why_stopped))

    def _why_stopped(self, account: str) -> str:
        with self.db.read() as session:
            row = stopped_accounts.find(session, account)
        return row.code if row is not None else ""

    def _opened(self, row: ProviderAccount) -> Carrier:
        return Carrier(row.account, self._provider(row))

    def _provider(self, row: ProviderAccount) -> Provider:
        kind = self.providers.get(row.provider)
        try:
            if kind is None:
                return self._unusable(row, UNKNOWN)
            return kind.open(config_of(kind, self.keys, row), replace(self.around, account=row.account))
        except Unreadable:
            return self._unusable(row, UNREADABLE)
        except ValidationError:
            return self._unusable(row, UNFIT)
        except Exception as error:  # noqa: BLE001 - one account must not take the others' channels down; the text may hold a secret
            log.error("the provider of the account %s failed to open it: %s", row.account, type(error).__name__)
            return self._unusable(row, UNFIT)

    def _unusable(self, row: ProviderAccount, why: str) -> Provider:
        log.error("the account %s cannot be used here: %s", row.account, why)
        return Unusable(row.provider, why)

    def _close_retired(self) -> None:
        now = self.monotonic()
        over = [(since, one) for since, one in self._retired if now - since > 2 * one.timeout_seconds + KNOWN_FOR_SECONDS]
        self._retired = [pair for pair in self._retired if pair not in over]
        for _, provider in over:
            provider.close()


def _members(session: Session, route: str, shares: Sequence[rows.Share]) -> list[Member]:
    """The first account sends from whichever sender a step may choose; what those are, its checks say. The others send from the domains that were checked
    for them."""
    first, *others = shares
    if route != DEFAULT:
        return [Member(one.account, one.share) for one in shares]
    may = {one.account: sending_domains.sent_from(session, one.account) for one in others}
    return [Member(first.account, first.share), *(Member(one.account, one.share, may[one.account]) for one in others)]


class LivePerformers(Mapping[str, ChannelHandler]):
    """Who performs which channel now: `carried` ones through the account that is chosen for their channel, `others` as they are."""

    def __init__(self, accounts: Accounts, carried: Mapping[str, Carried], others: Mapping[str, ChannelHandler]) -> None:
        self._accounts = accounts
        self._carried = carried
        self._others = others

    def __getitem__(self, channel: str) -> ChannelHandler:
        if channel not in self._carried:
            return self._others[channel]
        carrier = self._accounts.of_channel(channel)
        found: Any = self._carried[channel].through(carrier.account, carrier.provider)
        performer: ChannelHandler = found
        return performer

    def sharing(self, channel: str, once_key: str, sender: str) -> list[ChannelHandler]:
        """Through which accounts a message may go, in the order in which they are asked; none where one account carries the channel."""
        if channel not in self._carried:
            return []
        able = self._accounts.in_order(channel, once_key, sender)
        found: list[Any] = [self._carried[channel].through(one.account, one.provider) for one in able]
        return found

    def __iter__(self) -> Iterator[str]:
        return iter((*self._carried, *self._others))

    def __len__(self) -> int:
        return len(self._carried) + len(self._others)


ALSO: Mapping[str, Sequence[str]] = {"team": ("chat",)}
"""Channel -> the others whose accounts one attempt may go through, too."""


class LiveTimeouts(Mapping[str, float]):
    """Channel -> the seconds that one attempt may take, as of the last look; `fixed` for what goes through no account."""

    def __init__(self, accounts: Accounts, carried: Iterable[str], fixed: Mapping[str, float]) -> None:
        self._accounts = accounts
        self._carried = tuple(carried)
        self._fixed = fixed

    def __getitem__(self, channel: str) -> float:
        if channel in self._carried:
            return sum(self._longest(one) for one in (channel, *ALSO.get(channel, ()))) + ATTEMPT_MARGIN_SECONDS
        return self._fixed[channel]

    def __iter__(self) -> Iterator[str]:
        return iter((*self._carried, *self._fixed))

    def _longest(self, channel: str) -> float:
        carriers = (self._accounts.known(channel), *self._accounts.sharing(channel))
        return max(one.provider.timeout_seconds for one in carriers)

    def __len__(self) -> int:
        return len(self._carried) + len(self._fixed)


@dataclass(frozen=True, slots=True)
class ThroughChannel:
    """Whoever carries a channel at the moment of the call, as a provider: for single messages that no ledger keeps."""

    accounts: Accounts
    channel: str

    def _now(self) -> Provider:
        return self.accounts.of_channel(self.channel).provider

    @property
    def name(self) -> str:
        return self._now().name

    @property
    def channels(self) -> frozenset[str]:
        return self._now().channels

    @property
    def delivery_check(self) -> DeliveryCheck:
        return self._now().delivery_check

    @property
    def remembers(self) -> timedelta:
        return self._now().remembers

    @property
    def reaches_people(self) -> bool:
        return self._now().reaches_people

    @property
    def reaches(self) -> frozenset[str]:
        return self._now().reaches

    @property
    def timeout_seconds(self) -> float:
        return self._now().timeout_seconds

    def send(self, message: Outgoing) -> Answer:
        return self._now().send(message)

    def lookup(self, once_key: str) -> Answer | None:
        return self._now().lookup(once_key)

    def verify(self) -> None:
        self._now().verify()

    def close(self) -> None:
        """The accounts are closed together."""
