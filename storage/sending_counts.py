"""How many messages each provider account tried to send, and how many bounced for good or were complained of: appended as it happens, folded into
days, added up when asked.

As with `storage.tally`, whoever counts touches no row that anybody else writes. Days are those of UTC, and of the day on which it was heard.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Literal

from sqlalchemy import bindparam, delete, func, insert, literal, select, union_all
from sqlalchemy.orm import Session

from models import SendingDay, SendingDelta, lock
from storage.sql import on, table, upsert
from storage.tally import day_of

deltas = table(SendingDelta)
days = table(SendingDay)

What = Literal["tried", "bounced", "complained"]
_append = insert(deltas)
_since = bindparam("since", type_=days.c.day.type)
_both = union_all(
    select(days.c.account, days.c.day, days.c.what, days.c.count).where(days.c.day >= _since),
    select(deltas.c.account, deltas.c.day, deltas.c.what, func.count(deltas.c.id) * literal(1))
    .where(deltas.c.day >= _since)
    .group_by(deltas.c.account, deltas.c.day, deltas.c.what),
)
"""One statement, which sees one state: between two, a fold could count a row twice or not at all."""


@dataclass(frozen=True, slots=True)
class Sent:
    """`tried`: handed to the provider, answered or not, and refused for a dead address."""

    tried: int = 0
    bounced: int = 0
    complained: int = 0

    def __sub__(self, other: Sent) -> Sent:
        return Sent(max(0, self.tried - other.tried), max(0, self.bounced - other.bounced), max(0, self.complained - other.complained))

    def __add__(self, other: Sent) -> Sent:
        return Sent(self.tried + other.tried, self.bounced + other.bounced, self.complained + other.complained)


def note(session: Session, account: str, what: What, now: datetime) -> None:
    """Counts one message of an account, or of a domain as its sender (`@shop.example`), in the transaction that makes it so. Nothing without a name."""
    if account:
        on(session).execute(_append, {"account": account, "day": day_of(now), "what": what})


def read(session: Session, since: date) -> Mapping[str, Mapping[date, Sent]]:
    """Account -> day -> what it did, from that day on."""
    found: dict[str, dict[date, Sent]] = {}
    for account, day, what, count in on(session).execute(_both, {"since": since}):
        of_account = found.setdefault(account, {})
        known = of_account.get(day, Sent())
        of_account[day] = replace(known, **{what: getattr(known, what) + count})
    return found


def has_fresh(session: Session) -> bool:
    """Whether anything waits to be folded."""
    return on(session).execute(select(deltas.c.id).limit(1)).first() is not None


def fold(session: Session, limit: int) -> int:
    """Moves the oldest appended rows into days; answers how many there were."""
    rows = on(session).execute(lock(session, select(deltas).order_by(deltas.c.id).limit(limit))).all()
    if not rows:
        return 0
    on(session).execute(delete(deltas).where(deltas.c.id.in_([row.id for row in rows])))
    sums = Counter((row.account, row.day, row.what) for row in rows)
    statement = upsert(session, SendingDay)
    added = statement.on_conflict_do_update(
        index_elements=["account", "day", "what"], set_={"count": days.c.count + statement.excluded.count}
    )
    on(session).execute(
        added, [{"account": account, "day": day, "what": what, "count": count} for (account, day, what), count in sorted(sums.items())]
    )
    return len(rows)


def forget(session: Session, before: date) -> None:
    """Days that no rule asks for any more."""
    session.execute(delete(days).where(days.c.day < before))
