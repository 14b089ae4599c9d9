"""Reads the mailboxes of accounts that collect mails (`activities.providers.imap`): whatever was not there the last time, each mail once.

Of all processes one reads a mailbox at a time; its turn ends by itself should it die. Which mail was dealt with is written in the transaction of what
came of it, so a death between any two lines loses none and takes none twice. A mail is marked afterwards, and what was left unmarked at the next turn.
One that breaks whoever reads it is passed over after some tries, listed, and stays where it is. Real time.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

from sqlalchemy import delete, select
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session
from sqlmodel import col

from activities.accounts import Accounts, Carrier
from activities.inbound.mail import MOST_BYTES
from activities.inbound.take import Inbound, TooManyWait
from activities.looking import look_until
from activities.providers.imap import TURN_SECONDS, Imap
from activities.providers.imap_wire import Folder
from activities.providers.provider import MessageDead, ProviderFailure, SenderStopped, Unreachable
from engine.temporal.wakeups import Wakeups
from journeys.errors import where
from models import MailboxReading, UnreadMail
from storage.sql import upsert
from workspace import stopped_accounts

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
TURN = timedelta(seconds=TURN_SECONDS + 30)
"""So long a mailbox is somebody's, should they die."""
PAGE = 50
"""Mails between two marks."""
MOST_A_TURN = 500
MOST_TRIES = 5
"""So often a mail may break off its reading, or its reader, before it is passed over."""
AGAIN = timedelta(seconds=15)
"""Before the next try with a mail that broke off."""
PAUSE, MOST_PAUSE = timedelta(minutes=1), timedelta(minutes=30)
"""After the first failure in a row; doubled after each further one."""
LOCKED_OUT = timedelta(minutes=15)
"""Between two log-ins with a password that was refused: servers lock out whoever tries often."""
FAILURES = 3
"""In a row, and a server that does not answer counts as stopped."""
BEFORE = timedelta(days=2)
"""How far before its last reading a mailbox is read anew that has numbered its mails anew; what is known changes nothing."""
LONGEST_BEFORE = timedelta(days=25)
"""Less than mails are known for (`crm.privacy.retention.INBOUND_KEPT`)."""
FIRST = timedelta(days=1)
MOST_UNMARKED = 1_000
MOST_LISTED = 200
"""Of the mails of an account that were passed over."""
BROKE_OFF = "mail_broke_off"


class TurnLost(Exception):
    """Somebody else reads the mailbox by now, or its account was changed."""


@dataclass(slots=True)
class Mailboxes:
    """Whoever reads mailboxes, as one process sees them. `is_leaving`: whether this process shall end."""

    accounts: Accounts
    inbound: Inbound
    now: Callable[[], datetime]
    is_leaving: Callable[[], bool] = lambda: False
    name: str = field(default_factory=lambda: secrets.token_hex(8))

    async def run(self, wake: Callable[[Wakeups], Awaitable[Any]], stop: asyncio.Event) -> None:
        """As `look_until`; it ends between two mailboxes."""
        self.is_leaving = stop.is_set

        async def look() -> None:
            await wake(await asyncio.to_thread(self.read_due))

        await look_until(stop, look, LOOK_SECONDS, "reading mailboxes")

    def read_due(self) -> Wakeups:
        """Every mailbox that is due and nobody's, one after the other."""
        wakeups = Wakeups()
        for one in self.accounts.collecting():
            if not self.is_leaving() and self._begin(one):
                self._turn(one, wakeups)
        return wakeups

    # The turn

    def _begin(self, one: Carrier) -> bool:
        """Takes the turn, if it is anybody's. A stopped account has its time of its own, which a person may bring forward."""
        now, place = self.now(), cast(Imap, one.provider).place
        with self.accounts.db.read() as session:
            known = session.get(MailboxReading, one.account)
            if known is not None and not _is_due(session, known, place, now):
                return False
        new = MailboxReading(account=one.account, place=place, since=now - FIRST, until=now, next_at=now)
        with self.accounts.db.write() as session:
            session.execute(upsert(session, MailboxReading).values(new.model_dump()).on_conflict_do_nothing(index_elements=["account"]))
            row = session.get_one(MailboxReading, one.account, with_for_update=True)
            if not _is_due(session, row, place, now):
                return False
            if row.place != place:
                _begin_anew(row, 0, now - FIRST)
                row.place, row.failures = place, 0
            row.holder, row.until = self.name, now + TURN
        return True

    def _turn(self, one: Carrier, wakeups: Wakeups) -> None:
        try:
            self._read_all(one, wakeups)
        except TurnLost:
            return

    def _read_all(self, one: Carrier, wakeups: Wakeups) -> None:
        """And what went wrong."""
        try:
            with cast(Imap, one.provider).reading() as folder:
                self._read(one, folder, wakeups)
        except TurnLost:
            raise
        except TooManyWait:
            self._broke(one, "", counts=False)
        except MessageDead as failure:  # of one mail, which counts for it
            self._broke(one, failure.code)
        except (SenderStopped, Unreachable) as failure:
            self._failed(one, failure)
        except ProviderFailure as failure:
            self._failed(one, Unreachable(failure.code))
        except Exception as error:  # noqa: BLE001 - one mail, or one mailbox, must not keep the others from being read
            log.error("reading the mailbox of %s broke off: %s", one.account, where(error))
            self._broke(one, BROKE_OFF, counts=not isinstance(error, OperationalError | InterfaceError))

    def _read(self, one: Carrier, folder: Folder, wakeups: Wakeups) -> None:
        row = self._numbered(one, folder)
        left = MOST_A_TURN
        while left > 0 and not self.is_leaving():
            found = folder.uids(row.last_uid, row.since.date(), min(PAGE, left))
            for uid in found:
                self._take(one, folder, uid, wakeups)
                if self.is_leaving():
                    return self._end(one, timedelta(0))
            self._mark(one, folder)
            left -= len(found)
            if not found:
                return self._done(one)
            row = self._row(one)
        return self._end(one, timedelta(0))

    def _numbered(self, one: Carrier, folder: Folder) -> MailboxReading:
        """The row, begun anew where the server has numbered its mails anew, or has gone back to an earlier state."""
        with self.accounts.db.write() as session:
            row = self._mine(session, one)
            went_back = 0 < folder.next_uid <= row.last_uid
            if row.uid_validity != folder.validity or went_back:
                now = self.now()
                since = max(row.read_at - BEFORE, now - LONGEST_BEFORE) if row.read_at and row.uid_validity else row.since
                _begin_anew(row, folder.validity, since)
        return row

    def _take(self, one: Carrier, folder: Folder, uid: int, wakeups: Wakeups) -> None:
        if not self._try(one, folder.validity, uid):
            return
        raw = folder.fetch(uid, MOST_BYTES)
        took = partial(self._took, one, folder.validity, uid)
        if raw is None:  # somebody took it away meanwhile
            with self.accounts.db.write() as session:
                took(session, is_there=False)
            return
        wakeups.add(self.inbound.take(raw, "mailbox", also=took)[1])

    def _try(self, one: Carrier, validity: int, uid: int) -> bool:
        """Counts the try before it is made, because a mail may end the process; false: it was the last one, and the mail is passed over."""
        with self.accounts.db.write() as session:
            row = self._mine(session, one)
            row.tries = row.tries + 1 if row.trying_uid == uid else 1
            row.trying_code = row.trying_code if row.trying_uid == uid else ""
            row.trying_uid = uid
            if row.tries <= MOST_TRIES:
                return True
            _list(
                session,
                UnreadMail(account=one.account, uid_validity=validity, uid=uid, code=row.trying_code or BROKE_OFF, passed_at=self.now()),
            )
            row.last_uid = max(row.last_uid, uid)
        log.error("a mail of the mailbox of %s was passed over: %s", one.account, row.trying_code or BROKE_OFF)
        return False

    def _took(self, one: Carrier, validity: int, uid: int, session: Session, *, is_there: bool = True) -> None:
        """Part of the transaction in which the mail is dealt with."""
        row = self._mine(session, one)
        if row.uid_validity != validity:
            raise TurnLost
        row.last_uid, row.taken = max(row.last_uid, uid), row.taken + is_there
        row.trying_uid, row.tries, row.trying_code = 0, 0, ""
        if is_there and cast(Imap, one.provider).marks:
            row.unmarked = [*row.unmarked, uid][-MOST_UNMARKED:]

    def _mark(self, one: Carrier, folder: Folder) -> None:
        uids = self._row(one).unmarked
        if not uids:
            return
        cast(Imap, one.provider).mark(folder, uids)
        with self.accounts.db.write() as session:
            row = self._mine(session, one)
            row.unmarked = [uid for uid in row.unmarked if uid not in set(uids)]

    # Its end

    def _done(self, one: Carrier) -> None:
        """All that was there is read."""
        with self.accounts.db.write() as session:
            row = self._mine(session, one)
            row.read_at, row.failures = self.now(), 0
            stopped_accounts.works(session, one.account)
            self._free(row, timedelta(seconds=cast(Imap, one.provider).every_seconds))

    def _end(self, one: Carrier, after: timedelta) -> None:
        with self.accounts.db.write() as session:
            self._free(self._mine(session, one), after)

    def _broke(self, one: Carrier, code: str, *, counts: bool = True) -> None:
        """The mail at hand did; where there is none, the mailbox. `counts`: false where the database or its rows are to blame, which no mail is."""
        with self.accounts.db.write() as session:
            row = self._mine(session, one)
            row.trying_code, row.tries = code, row.tries if counts else max(0, row.tries - 1)
            if row.trying_uid or not counts:
                return self._free(row, AGAIN)
        return self._failed(one, Unreachable("imap_unreadable"))

    def _failed(self, one: Carrier, failure: SenderStopped | Unreachable) -> None:
        """The account is refused, or nobody answers: it is tried ever more rarely, and the team is told of it like of any other account."""
        now = self.now()
        with self.accounts.db.write() as session:
            row = self._mine(session, one)
            row.failures += 1
            refused = isinstance(failure, SenderStopped)
            pause = min(MOST_PAUSE, (LOCKED_OUT if refused else PAUSE) * 2 ** min(row.failures - 1, 10))
            self._free(row, pause)
            if refused or row.failures >= FAILURES:
                stopped_accounts.stop(session, one.account, failure.code, now)
                stopped_accounts.tried(session, one.account, failure.code, now + pause)
        log.warning("the mailbox of %s cannot be read: %s", one.account, failure.code)

    def _free(self, row: MailboxReading, after: timedelta) -> None:
        now = self.now()
        row.holder, row.until, row.next_at = "", now, now + after

    def _row(self, one: Carrier) -> MailboxReading:
        with self.accounts.db.read() as session:
            return session.get_one(MailboxReading, one.account)

    def _mine(self, session: Session, one: Carrier) -> MailboxReading:
        """Locked. Raises: TurnLost."""
        row = session.get_one(MailboxReading, one.account, with_for_update=True)
        if row.holder != self.name or row.place != cast(Imap, one.provider).place:
            raise TurnLost
        return row


def _is_due(session: Session, row: MailboxReading, place: str, now: datetime) -> bool:
    stopped = stopped_accounts.find(session, row.account)
    due = row.next_at if stopped is None else stopped.next_probe_at
    return row.until <= now and (due <= now or row.place != place)


def _begin_anew(row: MailboxReading, validity: int, since: datetime) -> None:
    row.uid_validity, row.last_uid, row.since, row.unmarked = validity, 0, since, []
    row.trying_uid, row.tries, row.trying_code = 0, 0, ""


def _list(session: Session, mail: UnreadMail) -> None:
    """With those that were passed over before, the last ones of the account."""
    values = mail.model_dump(exclude={"id"})
    session.execute(upsert(session, UnreadMail).values(values).on_conflict_do_nothing(index_elements=["account", "uid_validity", "uid"]))
    kept = select(col(UnreadMail.id)).where(col(UnreadMail.account) == mail.account).order_by(col(UnreadMail.id).desc()).limit(MOST_LISTED)
    oldest = list(session.scalars(kept))[-1]
    session.execute(delete(UnreadMail).where(col(UnreadMail.account) == mail.account, col(UnreadMail.id) < oldest))
