"""One breaker per provider account: while the account takes nothing, one message at a time tries, and the others wait their turn.

The state is a row (`workspace.stopped_accounts`), so that all workers share it; each looks at most once a second. Those that wait come back one by one, at
most `A_SECOND` of them in each worker, at the earliest after `AGAIN`: however many there are, they are no storm, neither meanwhile nor afterwards.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from activities.sending.quotas import Quotas
from models import Database
from workspace import sending_rates, settings, stopped_accounts

log = logging.getLogger(__name__)

AGAIN = timedelta(seconds=8)
A_SECOND = 50
IN_A_ROW = 3
"""So many calls that found nobody, without one that found somebody, and the account counts as stopped; a refusal counts at once."""
GRACE = timedelta(seconds=5)
"""How much longer than a call a probe is held, should its process die."""
MOST_KNOWN = 1_000
"""Refused recipients that a process remembers."""
KNOWN_FOR = timedelta(seconds=1)
SHUT = "account_shut"
"""An account that its rates have stopped takes nothing else either."""
SLOWED = "rate_slow"
"""The account sends less marketing for now (`workspace.sending_rates`)."""


RECIPIENTS = 5
"""So many different recipients refused by policy, without one that was not, and it is the account that is refused."""
WAITS = (timedelta(seconds=15), timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15))
"""After its first, second … refusal by policy a message comes back, unless others have gone meanwhile: then it is refused alone, and fails."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The account takes nothing now; ask again `after`."""

    code: str
    after: timedelta
    name: str = ""
    """What takes nothing: the account, or the sender's domain."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The call may be made. `held`: as the only probe of a stopped account, until then."""

    account: str | None
    held: datetime | None = None


@dataclass(slots=True)
class _Account:
    looked_at: datetime | None = None
    row: Any = None
    failed: int = 0
    worked: int = 0
    refused: dict[int, int] = field(default_factory=dict)
    """Hash of a recipient that was refused by policy -> how often the account had worked by then."""
    last_slot: datetime | None = None
    every: timedelta | None = None
    """Slowed: one marketing message in so long."""
    shut_until: datetime | None = None
    """Stopped by its rates, and taking nothing else either: when this process tries again."""


@dataclass(slots=True)
class Breakers:
    """The breakers as one process sees them; its threads share it. `now` is real time."""

    db: Database
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    quotas: Quotas = field(init=False)
    """How much may leave on a day."""
    _accounts: dict[str, _Account] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.quotas = Quotas(self.db, lambda: self.now())

    def turn(self, account: str | None, timeout_seconds: float, *, marketing: bool = False, sender: str = "") -> Turn | Stopped:
        """Whether a call of at most `timeout_seconds` may be made. Calls that need no account always may (None). Of an account, or a `sender`
        (`@shop.example`), with too many bounces or complaints only `marketing` is slowed and stopped: a password, an invoice or a confirmation that
        somebody waits for does not make a list worse, and to lose it harms who complained of nothing."""
        if account is None:
            return Turn(None)
        now = self.now()
        if marketing and (kept := self._kept_back(sender, now) or self._kept_back(account, now)):
            return kept
        row = self._look(account)
        if row is None:
            return Turn(account)
        if stopped_accounts.is_rate(row.code):
            return self._beside_rates(account, timeout_seconds, now)
        if row.next_probe_at <= now:
            held = now + timedelta(seconds=timeout_seconds) + GRACE
            with self.db.write() as session:
                mine = stopped_accounts.take_probe(session, account, row.next_probe_at, held)
            self._forget(account)
            if mine:
                return Turn(account, held)
        return Stopped(row.code, self._slot(account), account)

    def takes(self, account: str, *, marketing: bool) -> bool:
        """Whether the account is not stopped. No message is its probe that another account can take, since one that fails comes back just when the next
        is due, and so would wait for ever: the keeper asks instead (`activities.sending.watch`)."""
        row = self._look(account)
        if row is None:
            return True
        if not stopped_accounts.is_rate(row.code):
            return False
        shut = self._account(account).shut_until
        return not marketing and (shut is None or shut <= self.now())

    def _beside_rates(self, account: str, timeout_seconds: float, now: datetime) -> Turn | Stopped:
        """The row says that the rates stop the account, so whether it takes what is no marketing each process remembers by itself."""
        with self._lock:
            one = self._accounts[account]
            is_shut = one.shut_until is not None and one.shut_until > now
            if one.shut_until is not None and not is_shut:
                one.shut_until = now + timedelta(seconds=timeout_seconds) + GRACE  # this call is the probe
        return Stopped(SHUT, self._slot(account), account) if is_shut else Turn(account)

    def _kept_back(self, name: str, now: datetime) -> Stopped | None:
        """Why marketing of an account or a domain waits, for its rates."""
        row = self._look(name) if name else None
        if row is not None:
            return Stopped(row.code, self._slot(name), name) if stopped_accounts.is_rate(row.code) else None
        return None if not name or self._has_slot(name, now) else Stopped(SLOWED, self._slot(name), name)

    def _has_slot(self, account: str, now: datetime) -> bool:
        """Whether the account is not slowed, or this message is the next one."""
        every = self._account(account).every
        if every is None:
            return True
        with self.db.write() as session:
            return sending_rates.take_slot(session, account, now, every) or account not in sending_rates.known(session)

    def works(self, turn: Turn) -> None:
        """Somebody answered as they should: a message went, or something is wrong with it alone."""
        if turn.account is None:
            return
        one = self._account(turn.account)
        one.failed, one.shut_until = 0, None
        one.worked += 1
        if turn.held is None and (one.row is None or stopped_accounts.is_rate(one.row.code)):
            return
        with self.db.write() as session:
            news = stopped_accounts.works(session, turn.account)
        self._forget(turn.account)
        if news:
            log.warning("the account %s takes messages again", turn.account)

    def fails(self, turn: Turn, code: str, *, refused: bool, by_policy: bool = False) -> timedelta:
        """The account is `refused`, or nobody answered; returns after how long this message shall come back. `by_policy`: many recipients refuse it."""
        if turn.account is None:
            return AGAIN
        if turn.held is not None:
            self.gives_back(turn, code)
            return stopped_accounts.PAUSE
        if not self._is_enough(turn.account, refused):
            return self._slot(turn.account)
        one = self._account(turn.account)
        if one.row is not None and stopped_accounts.is_rate(one.row.code):
            one.shut_until = self.now() + stopped_accounts.PAUSE
            return stopped_accounts.PAUSE
        with self.db.write() as session:
            news = stopped_accounts.stop(session, turn.account, code, self.now(), by_policy=by_policy)
        self._forget(turn.account)
        if news:
            log.error("the account %s takes nothing (%s): its messages wait, and one at a time tries again", turn.account, code)
        return stopped_accounts.PAUSE if news else self._slot(turn.account)

    def suspects(self, turn: Turn, code: str, recipient: str, attempt: int) -> timedelta | None:
        """A recipient was refused by policy, in the message's `attempt`-th call; returns after how long it shall come back, None: it fails alone.

        Nothing is lost of those that were refused before the account counts as stopped: they have come back, or will.
        """
        if turn.account is None:
            return None
        if turn.held is not None:
            self.gives_back(turn, code, by_policy=True)
            return stopped_accounts.PAUSE
        with self._lock:
            one = self._accounts.setdefault(turn.account, _Account())
            worked_before = one.refused.setdefault(hash(recipient), one.worked)
            in_a_row = sum(worked == one.worked for worked in one.refused.values())
            if worked_before < one.worked:
                del one.refused[hash(recipient)]
                return None
            if len(one.refused) > MOST_KNOWN:
                one.refused.clear()
        if in_a_row >= RECIPIENTS:
            return self.fails(turn, code, refused=True, by_policy=True)
        return WAITS[attempt - 1] if attempt <= len(WAITS) else None

    def gives_back(self, turn: Turn, code: str = "", *, by_policy: bool = False) -> None:
        """The probe was not made, or has failed with `code`: another one may."""
        if turn.account is not None and turn.held is not None:
            next_at = self.now() + (stopped_accounts.PAUSE if code else timedelta(0))
            with self.db.write() as session:
                stopped_accounts.probed(session, turn.account, turn.held, code, next_at, by_policy=by_policy)
            self._forget(turn.account)

    def _is_enough(self, account: str, refused: bool) -> bool:
        with self._lock:
            one = self._accounts.setdefault(account, _Account())
            one.failed += 1
            return refused or one.failed >= IN_A_ROW

    def _account(self, account: str) -> _Account:
        with self._lock:
            return self._accounts.setdefault(account, _Account())

    def _look(self, account: str) -> Any:
        one, now = self._account(account), self.now()
        if one.looked_at is None or not timedelta(0) <= now - one.looked_at < KNOWN_FOR:
            with self.db.read() as session:
                one.row = stopped_accounts.find(session, account)
                is_slow = sending_rates.known(session).get(account) == "slow"
                a_minute = settings.load(session, settings.SendingLimits).slow_per_minute if is_slow else 0
            one.every = timedelta(minutes=1) / a_minute if a_minute else None
            one.looked_at = now
        return one.row

    def _forget(self, account: str) -> None:
        self._account(account).looked_at = None

    def _slot(self, account: str) -> timedelta:
        """When the next of those that wait comes back."""
        now = self.now()
        with self._lock:
            one = self._accounts.setdefault(account, _Account())
            after_last = one.last_slot + timedelta(seconds=1 / A_SECOND) if one.last_slot else now
            one.last_slot = max(after_last, now + AGAIN)
            return one.last_slot - now
