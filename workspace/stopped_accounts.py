"""Provider accounts that take nothing now: a row each while it lasts, which all workers and pages share.

Real time, not the workspace's clock: an account is refused or not, whatever day it is in staging. Who may try is decided by `next_probe_at`:
whoever moves it on holds the only probe until then.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, delete, select, update
from sqlalchemy.orm import Session

from journeys.errors import Conflict, NotFound
from models import StoppedAccount
from storage.sql import changed_rows, table, upsert
from workspace.audit import record

stopped = table(StoppedAccount)

PAUSE = timedelta(seconds=5)
"""Between two probes."""
MOST = 200
"""More than there can be accounts."""
RATE = "rate_"
"""So begin the codes of accounts that their own bounces or complaints have stopped (`workspace.sending_rates`): nobody probes those, and only an
administrator lets them go on."""
RATES = stopped.c.code.startswith(RATE, autoescape=True)
NEVER = datetime(9999, 1, 1, tzinfo=UTC)


def find(session: Session, account: str) -> Row[Any] | None:
    """What is known of an account that takes nothing; None: it works."""
    return session.execute(select(stopped).where(stopped.c.account == account)).first()


def listed(session: Session) -> list[Row[Any]]:
    """All of them, the one that stopped first on top."""
    return list(session.execute(select(stopped).order_by(stopped.c.since, stopped.c.account).limit(MOST)))


def held_by_rates(session: Session) -> set[str]:
    """All accounts that their own bounces or complaints have stopped."""
    return set(session.scalars(select(stopped.c.account).where(RATES)))


def stop(session: Session, account: str, code: str, now: datetime, *, by_policy: bool = False) -> bool:
    """The account is refused, or nobody answers there. Returns whether that is news."""
    values = {"account": account, "code": code, "since": now, "probes": 0, "next_probe_at": now + PAUSE, "by_policy": by_policy}
    statement = upsert(session, StoppedAccount).values(values).on_conflict_do_nothing(index_elements=["account"])
    new = session.execute(statement.returning(stopped.c.account)).first() is not None
    if new:
        record(session, "system", "account.stop", f"account:{account}", {"code": code})
    return new


def is_rate(code: str) -> bool:
    return code.startswith(RATE)


def hold(session: Session, account: str, code: str, now: datetime) -> None:
    """Stops the account until somebody lets it go on; whatever else had stopped it is over then, too. Safe to repeat."""
    values = {"account": account, "code": code, "since": now, "probes": 0, "next_probe_at": NEVER, "by_policy": False}
    statement = upsert(session, StoppedAccount).values(values)
    anew = {name: statement.excluded[name] for name in values if name != "account"}
    session.execute(statement.on_conflict_do_update(index_elements=["account"], set_={**anew, "told_at": None}, where=~RATES))


def take_probe(session: Session, account: str, seen: datetime, until: datetime) -> bool:
    """Takes the probe that came due at `seen`; of several that ask, one gets it. Nobody else does before `until`, should this one die."""
    mine = update(stopped).where(stopped.c.account == account, stopped.c.next_probe_at == seen).values(next_probe_at=until)
    return changed_rows(session, mine) > 0


def probed(session: Session, account: str, held: datetime, code: str, next_at: datetime, *, by_policy: bool = False) -> None:
    """The probe held until `held` has failed with `code`; an empty one: it was not made."""
    mine = update(stopped).where(stopped.c.account == account, stopped.c.next_probe_at == held)
    values = {"code": code, "probes": stopped.c.probes + 1, "by_policy": by_policy} if code else {}
    session.execute(mine.values(next_probe_at=next_at, **values))


def tried(session: Session, account: str, code: str, next_at: datetime) -> None:
    """A try of its own came to nothing, for accounts that no message tries; the next one is at `next_at`."""
    mine = update(stopped).where(stopped.c.account == account, ~RATES)
    session.execute(mine.values(code=code, probes=stopped.c.probes + 1, next_probe_at=next_at))


def works(session: Session, account: str) -> bool:
    """The account takes messages. Returns whether that is news."""
    gone = changed_rows(session, delete(stopped).where(stopped.c.account == account, ~RATES)) > 0
    if gone:
        record(session, "system", "account.work", f"account:{account}", {})
    return gone


def try_now(session: Session, account: str, by: str, now: datetime) -> None:
    """The next message that comes by is the probe.

    Raises: NotFound: the account works, or there is none of that name; Conflict: its own bounces or complaints stop it.
    """
    row = find(session, account)
    if row is not None and is_rate(row.code):
        raise Conflict("This account has too many bounces or complaints: an administrator has to resume it.")
    if not changed_rows(session, update(stopped).where(stopped.c.account == account).values(next_probe_at=now)):
        raise NotFound("This account is not stopped.")
    record(session, by, "account.try", f"account:{account}", {})
