"""Looks after provider accounts that take nothing: a duty of the keeper.

Messages that wait are the probes. Where none is left, the account itself is asked whether it would take one, so that nobody reads of a stop for
ever; and the team is told of a stop by mail, where that goes through another account.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, update
from sqlmodel import col, select

from activities import notify
from activities.breakers import Turn
from activities.effect import Effects
from activities.ledger import message_id_of
from activities.messages import MessagePerformer
from activities.outward import TeamPerformer
from activities.providers.provider import Provider, ProviderFailure
from crm import settings, stopped
from engine.wakeups import Wakeups
from models import Member, StoppedAccount

log = logging.getLogger(__name__)

UNASKED = timedelta(seconds=30)
"""A probe that is due for so long has no message to go with."""
TELL_AFTER = timedelta(minutes=1)
"""A server that is started again is no news."""


def watch(effects: Effects) -> Wakeups:
    """Asks the stopped accounts that nobody tries, and tells the team once of each stop."""
    now = effects.breakers.now()
    with effects.engine.db.read() as session:
        rows = stopped.listed(session)
    for row in rows:
        if row.next_probe_at < now - UNASKED:
            _ask(effects, row, now)
        if row.told_at is None and row.since < now - TELL_AFTER:
            _tell(effects, row, now)
    return Wakeups()


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
    """The account, if this worker has it."""
    for channel, performer in effects.performers.items():
        if isinstance(performer, MessagePerformer | TeamPerformer) and effects.account(channel) == account:
            return performer.provider
    return None


def _tell(effects: Effects, row: Row[Any], now: datetime) -> None:
    """A mail to the admins, noted before it goes: one too few is better than one a minute."""
    team = effects.performers.get("team")
    if not isinstance(team, TeamPerformer) or effects.account("team") == row.account:
        return
    with effects.engine.db.write() as session:
        mine = update(StoppedAccount).where(col(StoppedAccount.account) == row.account, col(StoppedAccount.told_at).is_(None))
        session.execute(mine.values(told_at=now))
        admins = session.scalars(select(Member.email).where(Member.role == "admin", col(Member.active)).limit(20)).all()
        sender = settings.load(session, settings.Sender).email or team.house.mail_from
    subject = f"{row.account} takes no messages ({row.code})"
    text = (
        f"Since {row.since:%Y-%m-%d %H:%M} UTC the provider account {row.account} takes nothing; its answer was {row.code}. Its messages wait and "
        "leave by themselves once it is set right.\n\nSettings, Provider accounts says what to do."
    )
    for to in admins:
        key = f"stopped:{row.account}:{row.since.isoformat()}:{to}"
        try:
            notify.by_email(team.provider, key[:160], message_id_of(key), sender, to, subject, text)
        except ProviderFailure as failure:
            log.warning("the team could not be told by mail that %s takes nothing: %s", row.account, failure.code)
