"""Who gets which coupon code.

A code is reserved in a transaction of its own before its message is filled in, once for each message and pool: an attempt after a crash finds it by the
message's id. What became of the message is looked up afterwards (`settle`): a message that left, or may have left, keeps its code for good; one
that was skipped or refused, or whose run ended before it, gives it back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, bindparam, func, select, update
from sqlalchemy.orm import Session
from sqlmodel import col

from models import RESERVED_COUPON, Coupon, CouponPool, Database, Message, Run
from storage.held_messages import AGAIN
from storage.locks import lock_contact
from storage.sql import changed_rows, on, table
from workspace import notices

coupons = table(Coupon)
pools = table(CouponPool)
messages = table(Message)
runs = table(Run)

PAGE = 500
PATIENCE = timedelta(minutes=5)
"""Between reserving a code and the first row of its message: after that its run was somewhere else."""
LEFT = ("sent", "delivered", "uncertain")
NOT_LEFT = ("skipped", "failed")

_of_message = select(coupons.c.pool_key, coupons.c.code).where(coupons.c.message_id == bindparam("of_message"))


class Exhausted(Exception):
    """No code can be handed out. `reason`: coupon_none (none is left), coupon_expired, coupon_no_pool."""

    def __init__(self, pool: str, reason: str) -> None:
        super().__init__(reason)
        self.pool, self.reason = pool, reason


def of_message(session: Session, message_id: str) -> dict[str, str]:
    """Pool -> the code that is reserved for the message."""
    return {row.pool_key: row.code for row in on(session).execute(_of_message, {"of_message": message_id})}


def reserve(db: Database, wanted: Iterable[str], *, message_id: str, run_id: str, contact_id: str, now: datetime) -> dict[str, str]:
    """Pool -> code, for the message alone; or the pool's fallback text. The same message gets the same code however often it asks.

    Raises:
        Exhausted: a pool has no code and no fallback. Nothing new is reserved then.
    """
    with db.write() as session:
        person = lock_contact(session, contact_id)  # two messages to one person take turns, as two attempts of one message do
        given = of_message(session, message_id)
        for key in sorted(set(wanted) - given.keys()):
            given[key] = _take(session, key, message_id, run_id, person.id, now)
        return given


def _take(session: Session, key: str, message_id: str, run_id: str, contact_id: str, now: datetime) -> str:
    pool = session.execute(select(pools).where(pools.c.key == key)).first()
    if pool is None:
        raise Exhausted(key, "coupon_no_pool")
    own = _own(session, key, contact_id) if pool.per_contact else None
    if own is not None:
        return own
    expired = pool.expires_at is not None and pool.expires_at <= now
    row = None if expired else _free(session, key)
    if row is None:
        if not pool.fallback:
            raise Exhausted(key, "coupon_expired" if expired else "coupon_none")
        return str(pool.fallback)
    values = {"state": "reserved", "contact_id": contact_id, "message_id": message_id, "run_id": run_id, "reserved_at": now}
    session.execute(update(coupons).where(coupons.c.id == row.id).values(**values))
    return str(row.code)


def _own(session: Session, key: str, contact_id: str) -> str | None:
    """The code that the contact has of a pool that gives everybody one."""
    mine = select(coupons.c.code).where(coupons.c.contact_id == contact_id, coupons.c.pool_key == key)
    return session.scalar(mine.order_by(coupons.c.id).limit(1))


def _free(session: Session, key: str) -> Row[Any] | None:
    """A free code that nobody else is taking just now, locked."""
    statement = select(coupons.c.id, coupons.c.code).where(coupons.c.pool_key == key, coupons.c.state == "free")
    statement = statement.order_by(coupons.c.id).limit(1)
    sqlite = session.get_bind().dialect.name == "sqlite"  # it has locked the whole file already
    found: Row[Any] | None = session.execute(statement if sqlite else statement.with_for_update(skip_locked=True)).first()  # type: ignore[assignment]
    return found


def settle(session: Session, now: datetime, after: int = 0) -> int:
    """Looks up what became of messages with reserved codes, `PAGE` of them from the id `after` on; the last id, 0 at the end. Safe to repeat."""
    statement = (
        select(
            coupons.c.id,
            messages.c.status,
            messages.c.reason,
            messages.c.sent_at,
            pools.c.per_contact,
            runs.c.ended_at,
            coupons.c.reserved_at,
        )
        .join(pools, pools.c.key == coupons.c.pool_key)
        .outerjoin(messages, messages.c.id == coupons.c.message_id)
        .outerjoin(runs, runs.c.id == coupons.c.run_id)
        .where(RESERVED_COUPON, coupons.c.id > after)
    )
    found: Sequence[Any] = session.execute(statement.order_by(coupons.c.id).limit(PAGE)).all()
    given = [row.id for row in found if _has_left(row) or (row.per_contact and _has_not_left(row, now))]
    back = [row.id for row in found if not row.per_contact and _has_not_left(row, now)]
    if given:
        session.execute(update(coupons).where(coupons.c.id.in_(given), coupons.c.state == "reserved").values(state="sent"))
    if back:
        nothing: Mapping[str, Any] = {"state": "free", "contact_id": None, "message_id": None, "run_id": None, "reserved_at": None}
        session.execute(update(coupons).where(coupons.c.id.in_(back), coupons.c.state == "reserved").values(**nothing))
    return int(found[-1].id) if len(found) == PAGE else 0


def _has_left(row: Row[Any]) -> bool:
    """Or may have: a mail that bounced after it was accepted was out of our hands."""
    return row.status in LEFT or (row.status == "bounced" and row.sent_at is not None)


def _has_not_left(row: Row[Any], now: datetime) -> bool:
    """And never will."""
    if row.status in NOT_LEFT or (row.status == "bounced" and row.sent_at is None):
        return True
    waits = row.status in (None, "planned", "held") and row.reason != AGAIN  # sent again, a message takes the code that it shows along
    return bool(waits and row.ended_at is not None and row.reserved_at < now - PATIENCE)


def is_any_reserved(session: Session) -> bool:
    """Whether there is anything to settle."""
    return session.execute(select(coupons.c.id).where(RESERVED_COUPON).limit(1)).first() is not None


def turned(session: Session) -> list[Row[Any]]:
    """Pools that run low and are not noted so, and those that are and do not."""
    found = session.execute(select(pools).order_by(pools.c.key)).all()
    return [pool for pool in found if is_low(session, pool) != (pool.low_since is not None)]


def watch_low(session: Session, real_now: datetime) -> None:
    """Notes which pools are running low, and tells the team of each once; again after it was filled up."""
    for pool in turned(session):
        now_low = pool.low_since is None
        mine = update(pools).where(pools.c.key == pool.key, pools.c.low_since.is_(None) if now_low else pools.c.low_since.is_not(None))
        if changed_rows(session, mine.values(low_since=real_now if now_low else None)) and now_low:
            notices.coupons_low(session, pool.key, _left(session, pool), real_now)


def is_low(session: Session, pool: Any) -> bool:
    """Whether fewer codes are free than it should have. Costs `low_at` entries of the index, however large the pool is."""
    if pool.low_at <= 0:
        return False
    enough = select(coupons.c.id).where(coupons.c.pool_key == pool.key, coupons.c.state == "free").order_by(coupons.c.id)
    return session.execute(enough.offset(pool.low_at - 1).limit(1)).first() is None


def _left(session: Session, pool: Any) -> int:
    free = select(func.count()).where(coupons.c.pool_key == pool.key, coupons.c.state == "free")
    return session.scalar(free) or 0


def low(session: Session) -> list[tuple[str, str]]:
    """(key, name) of the pools that are running low, by name."""
    rows = session.execute(select(pools.c.key, pools.c.name).where(pools.c.low_since.is_not(None)).order_by(pools.c.name))
    return [(row.key, row.name) for row in rows]


def forget(session: Session, contact_ids: Iterable[str]) -> None:
    """Nobody knows any more who had which code; none of them is handed out again."""
    theirs = col(Coupon.contact_id).in_(list(contact_ids))
    session.execute(update(Coupon).where(theirs).values(state="sent", contact_id=None, message_id=None, run_id=None))
