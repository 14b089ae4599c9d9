"""Looks at the rates of bounces and complaints of each provider account: a duty of the keeper.

Folds what was counted, and writes which accounts are warned of, slowed and stopped; whoever sends looks there once a second. The notice of a stop is
made by `activities.sending.watch`, as of any other.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from activities.sending.effect import Effects
from engine.temporal.wakeups import Wakeups
from storage import sending_counts
from storage.tally import day_of
from workspace import sending_plans, sending_rates

log = logging.getLogger(__name__)

PAGE = 1_000
KEPT = timedelta(days=90)
"""Longer than any rule looks back."""


def watch_rates(effects: Effects) -> Wakeups:
    """Reads each time; writes only where something is new."""
    db, now = effects.engine.db, effects.breakers.now()
    with db.read() as session:
        fresh = sending_counts.has_fresh(session)
    full = fresh
    while full:
        with db.write() as session:
            full = sending_counts.fold(session, PAGE) == PAGE
    with db.read() as session:
        old = sending_plans.has_old(session, day_of(now))
    if old:
        with db.write() as session:
            sending_plans.forget(session, day_of(now))
    with db.read() as session:
        due = sending_rates.needs_applying(session, now)
    if due:
        with db.write() as session:
            changed = sending_rates.apply(session, now)
            sending_counts.forget(session, day_of(now) - KEPT)
        for account, found in changed:
            log.warning("the account %s: %s (%s)", account, found.level or "its rates are in order again", found.why or "-")
    return Wakeups()
