"""The send ledger: one row per effect, claimed before the call and answered after it, so that each happens once.

Every function works inside the caller's transaction, under the contact's lock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, bindparam, insert, select, update
from sqlalchemy.orm import Session

from engine.interpreter.state import State
from journeys.channels import CHANNELS
from journeys.values import Do
from models import Message
from storage import sending_counts, tally
from storage.sql import changed_rows, on, table

messages = table(Message)

LINE_UNTIL = "line_until"
"""What a held message's `answer` says meanwhile: until when it waits behind others."""
MARGIN = timedelta(seconds=2)
"""The lease outlives the provider's own time limit by this; a call that could not begin within it is not made."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """Not tried yet, or certainly not sent in `attempts` calls: it may go through the gate."""

    planned_at: datetime
    attempts: int = 0
    reason: str = ""
    """Why it waits."""
    account: str = ""
    """Through which account it was to leave when it was first held."""
    is_new: bool = False
    """There is no row yet."""
    line_until: datetime | None = None
    """Until when it was held behind others; None: it never was."""

    @property
    def patient_from(self) -> datetime:
        """Since when it has waited for anything but others that go first: from here on it is held as long as its journey allows."""
        return max(self.planned_at, self.line_until or self.planned_at)


@dataclass(frozen=True, slots=True)
class InFlight:
    """Somebody is calling right now, until `lease_until` (real time) at the latest."""

    lease_until: datetime


@dataclass(frozen=True, slots=True)
class Doubtful:
    """A call began and its answer is missing."""

    planned_at: datetime
    attempts: int
    provider: str = ""
    account: str = ""
    """Who was called."""


@dataclass(frozen=True, slots=True)
class Done:
    """It has an answer already: the outlet to leave through, and what later nodes may read."""

    outlet: str
    data: dict[str, Any]


_look = select(
    messages.c.status,
    messages.c.planned_at,
    messages.c.lease_until,
    messages.c.attempts,
    messages.c.answer,
    messages.c.provider,
    messages.c.account,
    messages.c.reason,
).where(messages.c.id == bindparam("of_message"))
_body = select(messages.c.body_id).where(messages.c.id == bindparam("of_message"))
_update = update(messages).where(messages.c.id == bindparam("of_message"))
_insert = insert(messages)


def message_id_of(once_key: str) -> str:
    """The message's id follows from its key, so that links in the body can name it before the row exists."""
    return hashlib.sha256(once_key.encode()).hexdigest()[:32]


def is_awaited(row: Row[Any]) -> bool:
    """Whether the message's run still stands at its call, so that an attempt comes back to it. `row`: run_id, once_key, the run's state."""
    state = State.from_json(row.state)
    return isinstance(state.blocked, Do) and f"{row.run_id}:{state.node}:{state.visit}" == row.once_key


def look(session: Session, once_key: str, now: datetime, real_now: datetime) -> Fresh | InFlight | Doubtful | Done:
    """Where the message stands. Leases of calls go by real time, all else by the product's clock (`now`)."""
    row = on(session).execute(_look, {"of_message": message_id_of(once_key)}).first()
    if row is None:
        return Fresh(now, is_new=True)
    if row.status in ("planned", "held"):
        line = row.answer.get(LINE_UNTIL)
        line_until = datetime.fromisoformat(line) if line else None
        return Fresh(row.planned_at, row.attempts, row.reason, row.account, line_until=line_until)
    if row.status == "claimed":
        over = row.lease_until <= real_now
        return Doubtful(row.planned_at, row.attempts, row.provider, row.account) if over else InFlight(row.lease_until)
    return Done(row.answer.get("outlet", "sent"), row.answer.get("data", {}))


def is_claimed(session: Session, once_key: str, attempts: int) -> bool:
    """Whether the call of that number has no answer yet."""
    mine = (messages.c.id == message_id_of(once_key), messages.c.status == "claimed", messages.c.attempts == attempts)
    return on(session).execute(select(messages.c.id).where(*mine)).first() is not None


def put(session: Session, once_key: str, fixed: dict[str, Any], now: datetime, *, is_new: bool = False, **values: Any) -> str:
    """Writes the row: `fixed` says what the message is (only used when it is new), `values` where it stands. Returns its id.

    `is_new` spares the attempt to change a row that `look` has not found.
    """
    message_id = message_id_of(once_key)
    if is_new or changed_rows(session, _update, {"of_message": message_id, **values}) == 0:
        row = {"id": message_id, "once_key": once_key, "planned_at": now, "answer": {}, **_defaults(), **fixed, **values}
        on(session).execute(_insert, row)
    return message_id


def _defaults() -> dict[str, Any]:
    """What the column defaults of the model are; Core inserts do not know them. A call that is no message counts for no frequency cap."""
    return {
        "node": "", "purpose": "", "message_class": "marketing", "cap_class": "", "priority": 3, "template": "", "locale": "",
        "subject": "", "status": "planned", "reason": "", "attempts": 0, "provider": "", "account": "", "provider_id": "", "test": False,
    }  # fmt: skip


def claim(
    session: Session, once_key: str, fixed: dict[str, Any], now: datetime, lease_until: datetime, attempts: int, *, is_new: bool = False
) -> str:
    """The row that must be committed before the provider is called. `attempts` is the number of this call: it names who holds the claim."""
    return put(
        session,
        once_key,
        fixed,
        now,
        is_new=is_new,
        status="claimed",
        reason="",
        claimed_at=now,
        lease_until=lease_until,
        held_until=None,
        attempts=attempts,
        provider=fixed.get("provider", ""),
        account=fixed.get("account", ""),
        subject=fixed.get("subject", ""),
        locale=fixed.get("locale", ""),
        template_version=fixed.get("template_version"),
        body_id=fixed.get("body_id"),
        mailbox_key=fixed.get("mailbox_key"),
    )


def account_of(session: Session, once_key: str) -> str:
    """The account of the last call of a message."""
    return on(session).execute(select(messages.c.account).where(messages.c.once_key == once_key)).scalar() or ""


def count_sending(session: Session, channel: str, names: Iterable[str], status: str, now: datetime) -> None:
    """Counts a message for the rates of its account and of its sender's domain (`names`), if the provider was handed it or knew its address as dead.
    Devices come and go, and their addresses are what strangers have said: where a channel reaches those, nothing is counted."""
    if CHANNELS[channel].reach_field:
        return
    for name in names:
        if status in ("sent", "uncertain", "bounced"):
            sending_counts.note(session, name, "tried", now)
        if status == "bounced":
            sending_counts.note(session, name, "bounced", now)


def body_of(session: Session, once_key: str) -> str | None:
    """Where the text of a message is kept."""
    found: str | None = on(session).execute(_body, {"of_message": message_id_of(once_key)}).scalar()
    return found


FATES = {"sent": "sent", "delivered": "sent", "uncertain": "sent", "bounced": "bounced", "failed": "failed", "skipped": "skipped"}
"""Status of a message that has met its end -> under what it is counted."""

_fate = select(
    messages.c.status, messages.c.reason, messages.c.channel, messages.c.template_version, messages.c.sent_at, messages.c.bounced_at
).where(messages.c.id == bindparam("of_message"))


def count_fate(
    session: Session, once_key: str, run: Row[Any], node: str, status: str, reason: str, fixed: Mapping[str, Any], at: datetime
) -> None:
    """Tallies a message's end, just before `put` writes it. A second end takes the place of the first, on the day of the first.

    `fixed` says what the message is where it has no row yet; `at` is when it met its end.
    """
    row = on(session).execute(_fate, {"of_message": message_id_of(once_key)}).first()
    what_it_is = row._mapping if row is not None else fixed
    message = (what_it_is["channel"], what_it_is.get("template_version") or 0)
    if row is not None:
        _count_end(session, run, node, row.status, row.reason, message, -1, row.bounced_at or row.sent_at or at)
    _count_end(session, run, node, status, reason[:64], message, 1, at)


def _count_end(
    session: Session, run: Row[Any], node: str, status: str, reason: str, message: tuple[str, int], count: int, at: datetime
) -> None:
    if what := FATES.get(status):
        key: tally.Key = (node, what, reason if what == "skipped" else "", *message)
        tally.append(session, run.journey_id, run.version_number, {key: count}, at)


def release(session: Session, once_key: str, code: str, attempts: int) -> None:
    """The call of that number certainly did not arrive: the next attempt starts at the gate again. Somebody else's claim is left alone."""
    values = {"status": "planned", "reason": code[:64], "claimed_at": None, "lease_until": None, "mailbox_key": None}
    mine = (messages.c.id == message_id_of(once_key), messages.c.status == "claimed", messages.c.attempts == attempts)
    on(session).execute(update(messages).where(*mine).values(values))
