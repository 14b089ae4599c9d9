"""Coupon codes after their messages: a duty of the keeper, which looks up what became of each and tells the team of pools that are running low."""

from __future__ import annotations

from crm.coupons import reservations
from engine.engine import Engine
from engine.temporal.wakeups import Wakeups


def settle(engine: Engine) -> Wakeups:
    """A question each time; a transaction that writes only where something is to be done."""
    now, after = engine.clock.now(), -1
    with engine.db.read() as session:
        reserved, turned = reservations.is_any_reserved(session), reservations.turned(session)
    while reserved and after:
        with engine.db.write() as session:
            after = reservations.settle(session, now, max(after, 0))
    if turned:
        with engine.db.write() as session:
            reservations.watch_low(session, engine.clock.real_now())
    return Wakeups()
