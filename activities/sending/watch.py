"""Looks after provider accounts that take nothing: a duty of the keeper.

Messages that wait are the probes. Where none is left, the account itself is asked whether it would take one, so that nobody reads of a stop for
ever; and the team is told of a stop (`activities.team.notices`). An account that recipients refuse by policy can tell nothing: while it carries a
channel alone, only the next message shows whether they still do. Where others stand in for it, it goes on, and stops again if they do.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, update
from sqlmodel import col

from activities.providers.provider import Provider, ProviderFailure
from activities.sending.breakers import Turn
from activities.sending.effect import Effects
from activities.sending.messages import MessageHandler
from activities.team.handler import TeamHandler
from engine.temporal.wakeups import Wakeups
from models import StoppedAccount
from storage.sql import changed_rows
from workspace import accounts, notices, stopped_accounts

UNASKED = timedelta(seconds=30)
"""A probe that is due for so long has no message to go with."""
TELL_AFTER = timedelta(minutes=1)
"""A server that is started again is no news."""


def watch(effects: Effects) -> Wakeups:
    """Asks the stopped accounts that nobody tries, tells the team once of each stop, and forgets the secrets of removed accounts in time."""
    now = effects.breakers.now()
    _forget_removed(effects, now)
    with effects.engine.db.read() as session:
        rows, carrying = stopped_accounts.listed(session), {line[0].account for line in accounts.lines(session).values() if len(line) == 1}
    for row in rows:
        if row.next_probe_at < now - UNASKED and not (row.by_policy and row.account in carrying):
            _ask(effects, row, now)
        if row.told_at is None and row.since < now - TELL_AFTER:
            _tell(effects, row, now)
    return Wakeups()


def _forget_removed(effects: Effects, now: datetime) -> None:
    """A question each time; a transaction that writes only where something is to be forgotten."""
    with effects.engine.db.read() as session:
        due = accounts.is_anything_to_forget(session, now)
    if due:
        with effects.engine.db.write() as session:
            accounts.forget_removed(session, now)


def _ask(effects: Effects, row: Row[Any], now: datetime) -> None:
    """Through the one probe, like any message."""
    provider = _provider(effects, row.account)
    if provider is None:
        return
    turn = effects.breakers.turn(row.account, provider.timeout_seconds)
    if not isinstance(turn, Turn) or turn.held is None:
        return
    try:
        provider.verify()
    except ProviderFailure as failure:
        effects.breakers.gives_back(turn, failure.code)
    else:
        effects.breakers.works(turn)


def _provider(effects: Effects, account: str) -> Provider | None:
    """The account, if this worker has it; it need not carry a channel any more."""
    for channel, performer in effects.performers.items():
        if isinstance(performer, MessageHandler | TeamHandler) and effects.account(channel) == account:
            return performer.provider
    return effects.find_account(account.partition(".")[0], account)


def _tell(effects: Effects, row: Row[Any], now: datetime) -> None:
    """Once for each stop, whoever else keeps watch."""
    with effects.engine.db.write() as session:
        mine = update(StoppedAccount).where(col(StoppedAccount.account) == row.account, col(StoppedAccount.told_at).is_(None))
        if changed_rows(session, mine.values(told_at=now)):
            is_mailbox = row.account in accounts.mailboxes(session)
            notices.account_stopped(session, row.account, row.code, row.since, now, is_mailbox=is_mailbox)
