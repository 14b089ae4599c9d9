"""Which provider accounts, and which domains as senders (`@shop.example`), have too many bounces or complaints: warned of, slowed, stopped, and let
go on by an administrator.

A pure rule (`judge`), and rows that all workers share. What it slows and stops is marketing; a confirmation or an invoice still leaves. A warning and
a slowing end by themselves once the rate has fallen; a stop does not. Real time. Sources: Google "Email sender guidelines" (user-reported spam below
0.1 %, never 0.3 % or more), Yahoo "Sender Best Practices" (below 0.3 %); 2 % and 5 % of hard bounces are where Amazon SES expects and reviews.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Literal

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from journeys.errors import NotFound
from models import SendingLevel, StoppedAccount
from storage import sending_counts
from storage.sending_counts import Sent
from storage.sql import changed_rows, table
from storage.tally import day_of
from workspace import settings, stopped_accounts
from workspace.audit import record

Level = Literal["", "warn", "slow", "stop"]
Why = Literal["", "complaints", "bounces"]
ORDER: Final[tuple[Level, ...]] = ("", "warn", "slow", "stop")
LEAST_COUNT: Final = 3
"""One or two of anything are no rate."""
levels = table(SendingLevel)
stopped = table(StoppedAccount)


@dataclass(frozen=True, slots=True)
class Judged:
    """How an account stands, why, and out of what."""

    level: Level
    why: Why
    sent: Sent


def judge(sent: Sent, limits: settings.SendingLimits) -> Judged:
    """The worse of the two rates; complaints where both are as bad. 1,000 tried, 4 complaints, limits of 1 and 3 in 1,000: stop."""
    if sent.tried < limits.least:
        return Judged("", "", sent)
    rates: tuple[tuple[Why, int, int, int], ...] = (
        ("complaints", sent.complained, limits.complaints_warn, limits.complaints_stop),
        ("bounces", sent.bounced, limits.bounces_warn, limits.bounces_stop),
    )
    found = [(_level(count, sent.tried, warn, stop), why) for why, count, warn, stop in rates]
    level, why = max(found, key=lambda one: ORDER.index(one[0]))
    return Judged(level, why if level else "", sent)


def _level(count: int, tried: int, warn: int, stop: int) -> Level:
    """Half way between the two limits it is slowed."""
    rate = 1_000 * count / tried
    if count < LEAST_COUNT or rate < warn:
        return ""
    if rate >= stop:
        return "stop"
    return "slow" if rate >= (warn + stop) / 2 else "warn"


def standings(session: Session, now: datetime) -> dict[str, Judged]:
    """Account -> how it stands by what was counted in the last days; those that did nothing are missing."""
    limits = settings.load(session, settings.SendingLimits)
    since = day_of(now) - timedelta(days=limits.days - 1)
    before = {row.account: row for row in session.execute(select(levels))}
    return {
        account: judge(_sum(by_day, before.get(account)), limits) for account, by_day in sorted(sending_counts.read(session, since).items())
    }


def _sum(by_day: Mapping[date, Sent], row: object) -> Sent:
    """Without what an administrator has seen and let pass."""
    counted_from: date | None = getattr(row, "counted_from", None)
    total = Sent()
    for day, sent in by_day.items():
        if counted_from is None or day > counted_from:
            total += sent
        elif day == counted_from:
            total += sent - Sent(row.tried_before, row.bounced_before, row.complained_before)  # type: ignore[attr-defined]
    return total


def known(session: Session) -> dict[str, Level]:
    """Account -> the level that holds now; those without one are missing."""
    return {row.account: row.level for row in session.execute(select(levels).where(levels.c.level != ""))}


def apply(session: Session, now: datetime) -> list[tuple[str, Judged]]:
    """Writes what has changed, with the audit trail and the row that stops an account; returns it. Safe to repeat.

    A stop stays, whatever the rate does: days pass, and those that complained still have.
    """
    changed = []
    rows = {row.account: row for row in session.execute(select(levels))}
    judged = standings(session, now)
    for account in sorted({*judged, *(name for name, row in rows.items() if row.level)}):
        found = judged.get(account, Judged("", "", Sent()))
        row = rows.get(account)
        before = row.level if row is not None else ""
        if before == "stop":
            _hold(session, account, row.why, now)  # type: ignore[union-attr]
        elif before != found.level:
            _put(session, account, found, now, is_new=row is None)
            changed.append((account, found))
    return changed


def needs_applying(session: Session, now: datetime) -> bool:
    """Whether `apply` would write anything; reads only."""
    rows = {row.account: row.level for row in session.execute(select(levels))}
    judged = standings(session, now)
    held = stopped_accounts.held_by_rates(session)
    return any(
        (level == "stop" and account not in held) or (level != "stop" and level != (judged[account].level if account in judged else ""))
        for account, level in {**dict.fromkeys(judged, ""), **rows}.items()
    )


def _put(session: Session, account: str, found: Judged, now: datetime, *, is_new: bool) -> None:
    if is_new:
        session.add(SendingLevel(account=account, level=found.level, why=found.why, since=now, next_at=now))
        session.flush()
    else:
        values = {"level": found.level, "why": found.why, "since": now, "next_at": now}
        session.execute(update(levels).where(levels.c.account == account).values(**values))
    sent = {"tried": found.sent.tried, "bounced": found.sent.bounced, "complained": found.sent.complained}
    record(session, "system", "account.rate", f"account:{account}", {"level": found.level, "why": found.why, **sent})
    if found.level == "stop":
        _hold(session, account, found.why, now)


def _hold(session: Session, account: str, why: str, now: datetime) -> None:
    stopped_accounts.hold(session, account, f"{stopped_accounts.RATE}{why}", now)


def take_slot(session: Session, account: str, now: datetime, every: timedelta) -> bool:
    """Takes the turn of a slowed account; of several workers one gets it."""
    mine = update(levels).where(levels.c.account == account, levels.c.level == "slow", levels.c.next_at <= now)
    return changed_rows(session, mine.values(next_at=now + every)) > 0


def resume(session: Session, account: str, by: str, now: datetime) -> None:
    """An administrator lets an account go on; what was counted by now counts no more.

    Raises: NotFound: its rates have not stopped it.
    """
    row = session.get(SendingLevel, account[:260], with_for_update=True)
    if row is None or row.level != "stop":
        raise NotFound("This account is not stopped by its bounces or complaints.")
    today = day_of(now)
    so_far = sending_counts.read(session, today).get(account, {}).get(today, Sent())
    row.level, row.why, row.since, row.counted_from = "", "", now, today
    row.tried_before, row.bounced_before, row.complained_before = so_far.tried, so_far.bounced, so_far.complained
    session.add(row)
    session.execute(delete(stopped).where(stopped.c.account == account, stopped_accounts.RATES))
    record(session, by, "account.resume", f"account:{account}", {})
    session.flush()
