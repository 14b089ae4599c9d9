"""Claims that nobody comes back to: the call began, its process died, and its run ended or was led past it meanwhile.

A duty of the keeper. The run is over, so nothing is sent any more; but what may have left is found out or listed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from activities.providers.provider import Answer, ProviderFailure
from activities.sending import ledger
from activities.sending.effect import DeliveryOutcome, Effects, append_outcome
from activities.sending.handler import ChannelHandler
from activities.sending.ledger import messages
from engine.runs.rows import lock_run
from engine.temporal.wakeups import Wakeups
from journeys.channels import SENDABLE
from models import OPEN_MESSAGE, Run
from storage import held_messages
from storage.sql import table

runs = table(Run)
PAGE = 50

_doubtful = (
    select(
        messages.c.once_key,
        messages.c.run_id,
        messages.c.node,
        messages.c.channel,
        messages.c.template,
        messages.c.message_class,
        messages.c.attempts,
        messages.c.provider,
        messages.c.account,
        runs.c.state,
        runs.c.ended_at,
    )
    .join(runs, runs.c.id == messages.c.run_id)
    .where(OPEN_MESSAGE, messages.c.status == "claimed")
    .order_by(messages.c.lease_until)
    .limit(PAGE)
)


def settle(effects: Effects) -> Wakeups:
    """Gives every abandoned claim its end: what the provider says, else `uncertain`."""
    now = effects.engine.clock.now()
    with effects.engine.db.read() as session:
        late: Sequence[Any] = session.execute(
            _doubtful.where(messages.c.lease_until < effects.engine.clock.to_real(now) - ledger.MARGIN)
        ).all()
    wakeups = Wakeups()
    for row in late:
        performer = effects.performers.get(row.channel)
        if performer is not None and (row.ended_at is not None or not ledger.is_awaited(row)):
            wakeups.runs |= _settle(effects, performer, row, now)
    return wakeups


def _settle(effects: Effects, performer: ChannelHandler, row: Row[Any], now: datetime) -> set[str]:
    """The runs whose messages need not wait for this one any more. Only the account that made the call is asked."""
    maker = effects.maker(performer, row.provider, row.account)
    asked = maker if maker is not None and maker.delivery_check == "lookup" else None
    try:
        known = asked.lookup(row.once_key) if asked else None
    except ProviderFailure:
        return set()  # asked again at the next tick
    with effects.engine.db.write() as session:
        run = lock_run(session, row.run_id)
        stands = ledger.look(session, row.once_key, now, effects.engine.clock.to_real(now))
        if isinstance(stands, ledger.Doubtful) and stands.attempts == row.attempts:
            _write(effects, session, run, row, known, now, absent=asked is not None and known is None)
            return set(held_messages.call_up(session, run.contact_id, now))
    return set()


def _write(effects: Effects, session: Session, run: Row[Any], row: Row[Any], known: Answer | None, now: datetime, *, absent: bool) -> None:
    status, reason = ("skipped", "run_moved_on") if absent else (known.status, known.kind) if known else ("uncertain", "no_answer")
    values: dict[str, Any] = {"status": status, "reason": reason[:64], "lease_until": None}
    if status in ("sent", "uncertain"):
        values["sent_at"] = now
    else:
        values["mailbox_key"] = None
    if row.channel in SENDABLE:
        ledger.count_fate(session, row.once_key, run, row.node, status, reason, {}, now)
    ledger.put(session, row.once_key, {}, now, **values)
    journey = effects.engine.program(session, run.version_id).key
    about = DeliveryOutcome(run, journey, row.node, row.channel, row.template, row.once_key, row.message_class)
    append_outcome(session, effects.engine, about, status, now, reason)
