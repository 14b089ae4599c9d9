"""Tries at the door: counted before a proof is looked at, so that a hundred at once are a hundred tries, and made to wait.

Four counts, each a row that outlives restarts and holds for every web server, under keyed hashes: a lock tells nothing about who is a member.

* *pair*: one member from one network (/24 of IPv4, /64 of IPv6). It locks, and only whoever tries there.
* *member*: one member from anywhere. It only slows down: at most a minute, so that nobody is locked out for good by strangers.
* *network*: everybody from one network. A right proof does not clear it, else an account of one's own would buy guesses at others.
* *door*: everybody from everywhere.

Where a member has logged in before, only the pair counts: neither strangers elsewhere nor a flood keep them out. A password that is chosen
by a link lifts the pairs and the count of its member. The table stays small: beyond the free tries of the door there are a few new rows a
minute, and rows are swept after a day of peace.
Source: OWASP, Blocking Brute Force Attacks (device cookies); NIST SP 800-63B §5.2.2 (rate limiting).
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, update
from sqlalchemy.orm import Session
from sqlmodel import col, select

from journeys.errors import TooMany
from models import KnownNetwork, LoginFailure, lock
from storage.sql import upsert
from workspace.audit import record

FORGOTTEN_AFTER = timedelta(days=1)
"""After so long without a try a count begins anew."""
KNOWN_FOR = timedelta(days=90)
"""A network is known so long after the last log-in from there."""
AUDITED_EVERY = timedelta(minutes=1)
"""The audit trail gets a line a minute about one count; the line says how many there were in a row."""
_SWEEP = 100


@dataclass(frozen=True, slots=True)
class Rule:
    """`free` tries cost nothing; from the next one on every failure doubles the wait, up to `longest`. `leak`: after so long one failure is
    forgotten; zero: none is before a day of peace."""

    free: int
    longest: timedelta
    leak: timedelta = timedelta(0)

    def wait(self, failures: int) -> timedelta:
        """How long nobody may try: 1, 2, 4 … seconds, at most `longest`."""
        beyond = failures - self.free
        return min(timedelta(seconds=2 ** min(beyond - 1, 20)), self.longest) if beyond > 0 else timedelta(0)

    def left(self, failures: int, since: timedelta) -> int:
        """What is left of a count after so long."""
        if since > FORGOTTEN_AFTER:
            return 0
        return max(0, failures - int(since / self.leak)) if self.leak else failures


PAIR, NETWORK, DOOR = "pair", "network", "door"
PASSWORD: Mapping[str, Rule] = {
    PAIR: Rule(4, timedelta(minutes=15)),
    "member": Rule(20, timedelta(minutes=1)),
    NETWORK: Rule(30, timedelta(minutes=15), timedelta(minutes=1)),
    DOOR: Rule(60, timedelta(seconds=30), timedelta(seconds=5)),
}
CODE: Mapping[str, Rule] = {**PASSWORD, "member": Rule(10, timedelta(minutes=15))}
"""Codes of a second factor. Whoever gets that far knows the password: slowing down is not enough, and no network is trusted; choosing another
password does not lift it, an administrator does. Three codes of a million fit at any time: a hundred tries a day find one in ten years."""


@dataclass(frozen=True, slots=True)
class Try:
    """One try that is allowed: its rows, to be taken back or forgotten. `shown` is how the audit trail names whose it is."""

    network: str
    shown: str
    rows: Mapping[str, str]


def network_of(address: str) -> str:
    """The network that an address is counted under: `192.0.2.0/24`, `2001:db8::/64`; empty for what is no address."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0].strip())
    except ValueError:
        return ""
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return str(ipaddress.ip_network((ip, 24 if ip.version == 4 else 64), strict=False))


def keyed(keys: Sequence[bytes], *parts: str) -> str:
    """The keyed hash under which something is counted."""
    said = "\0".join(parts).encode(errors="replace")
    return hmac.new(keys[0], b"login:" + said, "sha256").hexdigest()


def begin(
    session: Session, keys: Sequence[bytes], subject: str, network: str, now: datetime, shown: str, rules: Mapping[str, Rule] = PASSWORD
) -> Try:
    """Counts a try as failed until it is known better, under every rule that holds for it. `subject` is a keyed hash.

    Raises:
        TooMany: a rule makes it wait; such a try is not counted.
    """
    rows = {
        PAIR: keyed(keys, PAIR, subject, network),
        "member": keyed(keys, "member", subject),
        NETWORK: keyed(keys, NETWORK, network),
        DOOR: keyed(keys, DOOR),
    }
    if rules is not CODE and _is_known(session, keyed(keys, "known", subject, network), now):
        rows = {PAIR: rows[PAIR]}
    found = _locked(session, rows, subject)
    wait = max((row.locked_until - now for row in found.values() if row.locked_until is not None), default=timedelta(0))
    if wait > timedelta(0):
        raise TooMany("Too many attempts; wait a moment.", wait.total_seconds())
    for name, row in found.items():
        row.failures = rules[name].left(row.failures, now - row.last_at) + 1
        row.last_at, row.locked_until = now, now + rules[name].wait(row.failures)
        session.add(row)
    session.flush()
    _sweep(session, now, list(rows.values()))
    return Try(network, shown, rows)


def _locked(session: Session, rows: Mapping[str, str], subject: str) -> dict[str, LoginFailure]:
    """The rows of a try by rule, locked in one order, so that two tries never wait for each other."""
    found: dict[str, LoginFailure] = {}
    for name, who in sorted(rows.items(), key=lambda pair: pair[1]):
        about = subject if name in (PAIR, "member") else ""
        new = upsert(session, LoginFailure).values(who=who, subject=about, failures=0, last_at=_NEVER)
        session.execute(new.on_conflict_do_nothing(index_elements=["who"]))
        statement = lock(session, select(LoginFailure).where(LoginFailure.who == who))
        found[name] = session.scalars(statement, execution_options={"populate_existing": True}).one()
    return found


_NEVER = datetime.fromisoformat("2000-01-01T00:00:00+00:00")


def take_back(session: Session, one: Try) -> None:
    """The try was right, or nobody looked at it: it was none. What others failed at stays counted."""
    for who in sorted(one.rows.values()):
        counted = update(LoginFailure).where(col(LoginFailure.who) == who, col(LoginFailure.failures) > 0)
        session.execute(counted.values(failures=col(LoginFailure.failures) - 1, locked_until=None))


def succeed(session: Session, one: Try) -> None:
    """The proof was right: the count of this member from here begins anew."""
    take_back(session, one)
    session.execute(delete(LoginFailure).where(col(LoginFailure.who) == one.rows[PAIR]))


def trust(session: Session, keys: Sequence[bytes], subject: str, network: str, now: datetime) -> None:
    """Somebody is in from this network: it is known from now on."""
    new = upsert(session, KnownNetwork).values(who=keyed(keys, "known", subject, network), last_at=now)
    session.execute(new.on_conflict_do_update(index_elements=["who"], set_={"last_at": now}))


def lift(session: Session, subject: str) -> None:
    """Forgets every count about somebody, wherever they were tried from."""
    session.execute(delete(LoginFailure).where(col(LoginFailure.subject) == subject))


def note(session: Session, one: Try, action: str, now: datetime) -> None:
    """Writes a failure to the audit trail: when a lock begins, else a line a minute for each pair. While the whole door is flooded, one line a
    minute stands for all."""
    pair = session.get(LoginFailure, one.rows[PAIR], populate_existing=True)
    door = session.get(LoginFailure, one.rows.get(DOOR, ""), populate_existing=True)
    if door is not None and door.failures > PASSWORD[DOOR].free:
        if _is_due(door, now):
            record(session, DOOR, "login.flood", DOOR, {"failures": door.failures})
    elif pair is not None:
        begins = pair.failures == PASSWORD[PAIR].free + 1
        if _is_due(pair, now) or begins:
            locked = pair.locked_until is not None and pair.locked_until > now
            detail = {"failures": pair.failures, "network": one.network}
            record(session, DOOR, f"{action}.lock" if locked else f"{action}.fail", one.shown, detail)


def _is_due(row: LoginFailure, now: datetime) -> bool:
    """Whether the trail has heard nothing of this count for a while; notes that it hears now."""
    if row.audited_at is not None and now - row.audited_at < AUDITED_EVERY:
        return False
    row.audited_at = now
    return True


def _is_known(session: Session, who: str, now: datetime) -> bool:
    row = session.get(KnownNetwork, who)
    return row is not None and now - row.last_at < KNOWN_FOR


def _sweep(session: Session, now: datetime, keep: Sequence[str]) -> None:
    stale = select(LoginFailure.who).where(col(LoginFailure.last_at) < now - FORGOTTEN_AFTER, col(LoginFailure.who).not_in(keep))
    session.execute(delete(LoginFailure).where(col(LoginFailure.who).in_(stale.limit(_SWEEP))))
    old = select(KnownNetwork.who).where(col(KnownNetwork.last_at) < now - KNOWN_FOR).limit(_SWEEP)
    session.execute(delete(KnownNetwork).where(col(KnownNetwork.who).in_(old)))
