"""Provider accounts as rows: what they are set up with, which channel goes through which, removing and taking back.

Secrets are sealed with the signing keys and never handed to a page. Every change raises one number (`TOPIC`), by which the processes that send
notice it; each is audited without a value. What a configuration must look like, and whether the account takes messages, the callers know: they
test it first (`activities.accounts`). Real time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session
from sqlmodel import col

from journeys.errors import Conflict, Invalid, Issue, NotFound
from models import ChannelAccount, MailboxReading, ProviderAccount, StoppedAccount
from storage.freshness import bump
from storage.sql import table
from workspace.audit import record
from workspace.secrets import seal, unseal
from workspace.stopped_accounts import RATES

TOPIC: Final = "accounts"
KEPT: Final = timedelta(days=7)
"""So long a removed account can be taken back; then its secrets are gone."""
MOST: Final = 100
MOST_SHARING: Final = 5
"""So many accounts carry one channel at most."""
NAME: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"

Origin = Literal["environment", "person"]
accounts = table(ProviderAccount)
channels = table(ChannelAccount)


class InUse(Conflict):
    """Channels go through no account but this one."""

    code = "account_in_use"


@dataclass(frozen=True, slots=True)
class Share:
    """An account among those that carry a channel: `share` percent of its messages; with 0 it only stands in for the others."""

    account: str
    share: int


Lines = dict[str, list[Share]]
"""Channel -> the accounts that carry it."""


@dataclass(frozen=True, slots=True)
class SetUp:
    """What an account is set up with. `secrets` are the values of the provider's secret fields."""

    provider: str
    config: Mapping[str, Any]
    secrets: Mapping[str, str] = field(repr=False)


def account_of(provider: str, name: str) -> str:
    return f"{provider}.{name}"


def listed(session: Session) -> list[ProviderAccount]:
    """Those that are not removed, by name."""
    statement = select(ProviderAccount).where(col(ProviderAccount.removed_at).is_(None))
    return list(session.scalars(statement.order_by(col(ProviderAccount.account)).limit(MOST)))


def removed(session: Session) -> list[ProviderAccount]:
    """Those that can be taken back, the one removed last on top."""
    gone = col(ProviderAccount.removed_at)
    return list(
        session.scalars(select(ProviderAccount).where(gone.is_not(None), accounts.c.sealed != "").order_by(gone.desc()).limit(MOST))
    )


def find(session: Session, account: str) -> ProviderAccount:
    """Raises: NotFound: there is none of that name, or it is removed."""
    row = session.get(ProviderAccount, account[:130])
    if row is None or row.removed_at is not None:
        raise NotFound("There is no provider account “{account}”.", account=account[:130])
    return row


def find_at(session: Session, account: str, revision: int) -> ProviderAccount:
    """Raises: NotFound; Conflict: somebody changed it since `revision`."""
    row = find(session, account)
    if row.revision != revision:
        raise Conflict("Someone has changed this account in the meantime; reload it and try again.")
    return row


def seeded(session: Session) -> list[ProviderAccount]:
    """Those that a variable once named, whatever became of them."""
    return list(session.scalars(select(ProviderAccount).where(accounts.c.origin == "environment").limit(MOST)))


def decided(session: Session) -> dict[str, str]:
    """Channel -> the account that a decision names, empty for none; channels without a decision are missing."""
    rows = session.execute(select(channels.c.channel, channels.c.account))
    return {row.channel: row.account for row in rows}


def carried(session: Session) -> dict[str, str]:
    """Channel -> the account that carries it now; of several the first."""
    return {channel: line[0].account for channel, line in lines(session).items()}


def lines(session: Session) -> Lines:
    """Channel -> the accounts that carry it now, in the order in which they stand in for one another. Those that are removed are left out; what is
    left of the shares counts."""
    here = {row.account for row in listed(session)}
    rows = session.execute(select(channels.c.channel, channels.c.account, channels.c.shares))
    found = {row.channel: [one for one in _line(row.account, row.shares) if one.account in here] for row in rows}
    return {channel: line for channel, line in found.items() if line}


def used_for(lines: Lines, account: str) -> list[str]:
    """The channels of which the account carries a share, or stands in."""
    return sorted(channel for channel, line in lines.items() if any(one.account == account for one in line))


def alone(lines: Lines, account: str) -> list[str]:
    """The channels that nobody but the account carries."""
    return sorted(channel for channel, line in lines.items() if [one.account for one in line] == [account])


def _line(account: str, shares: Sequence[Mapping[str, Any]]) -> list[Share]:
    return [Share(one["account"], one["share"]) for one in shares] or [Share(account, 100)]


def mailboxes(session: Session) -> set[str]:
    """The accounts that are read, not sent through."""
    return set(session.scalars(select(table(MailboxReading).c.account).limit(MOST)))


def secrets_of(keys: Sequence[bytes], row: ProviderAccount) -> dict[str, str] | None:
    """The values; None where they were sealed with a key that is gone."""
    opened = unseal(keys, row.sealed) if row.sealed else "{}"
    return None if opened is None else dict(json.loads(opened))


def add(
    session: Session, keys: Sequence[bytes], name: str, given: SetUp, by: str, now: datetime, origin: Origin = "person"
) -> ProviderAccount:
    """A new account; it carries no channel yet.

    Raises: Conflict: the name is taken, also by one that was removed; Invalid: there are `MOST`.
    """
    bump(session, TOPIC)
    account = account_of(given.provider, name)
    if session.get(ProviderAccount, account) is not None:
        raise Conflict("There is, or was, a provider account “{account}”: choose another name.", account=account)
    _must_fit_one_more(session)
    row = ProviderAccount(
        account=account,
        provider=given.provider,
        config=dict(given.config),
        sealed=_sealed(keys, given),
        origin=origin,
        created_at=now,
        updated_at=now,
        updated_by=by[:120],
    )
    session.add(row)
    record(session, by, "account.add", f"account:{account}", {"origin": origin})
    session.flush()
    return row


def change(session: Session, keys: Sequence[bytes], account: str, given: SetUp, revision: int, by: str, now: datetime) -> ProviderAccount:
    """Another configuration of the same account, which has been tested; whatever had stopped it, it is tried at once.

    Raises: NotFound; Conflict: somebody changed it since `revision`.
    """
    bump(session, TOPIC)
    row = find_at(session, account, revision)
    changed = sorted(name for name in {*row.config, *given.config} if row.config.get(name) != given.config.get(name))
    new = sorted(name for name, value in given.secrets.items() if (secrets_of(keys, row) or {}).get(name) != value)
    row.config, row.sealed = dict(given.config), _sealed(keys, given)
    row.revision, row.updated_at, row.updated_by = row.revision + 1, now, by[:120]
    session.execute(update(table(StoppedAccount)).where(table(StoppedAccount).c.account == account, ~RATES).values(next_probe_at=now))
    record(session, by, "account.change", f"account:{account}", {"fields": changed, "secrets": new})
    session.flush()
    return row


def begin_test(session: Session, account: str, by: str) -> None:
    """Somebody lets us call the provider with the account's secrets; the account need not be stored yet."""
    record(session, by, "account.test", f"account:{account}", {})


def note_test(session: Session, account: str, code: str, now: datetime) -> None:
    """What a test of the stored configuration heard; empty: all is well."""
    session.execute(update(accounts).where(accounts.c.account == account).values(tested_at=now, tested_code=code[:64]))


def carry(session: Session, wanted: Mapping[str, str], by: str, now: datetime) -> None:
    """Decides for channels which account carries each, alone; empty: none does, and their messages stay in the house. Where the account is the first
    of several already, nothing changes.

    Raises: NotFound: there is no such account.
    """
    bump(session, TOPIC)
    before = decided(session)
    for channel, account in wanted.items():
        if account:
            find(session, account)
        if before.get(channel) == account:
            continue
        _decide(session, channel, ChannelAccount(channel=channel, account=account, decided_at=now, decided_by=by[:120]), by)
    session.flush()


def share(session: Session, channel: str, line: Sequence[Share], by: str, now: datetime) -> None:
    """Decides that several accounts carry the channel, each its share, in the order of `line`.

    Raises: NotFound: there is no such account; Invalid: it is no such line.
    """
    bump(session, TOPIC)
    must_be_line(line)
    for one in line:
        find(session, one.account)
    shares = [asdict(one) for one in line] if len(line) > 1 else []
    row = ChannelAccount(channel=channel, account=line[0].account, shares=shares, decided_at=now, decided_by=by[:120])
    _decide(session, channel, row, by)
    session.flush()


def _decide(session: Session, channel: str, row: ChannelAccount, by: str) -> None:
    before = session.execute(select(channels.c.account, channels.c.shares).where(channels.c.channel == channel)).first()
    session.execute(delete(channels).where(channels.c.channel == channel))
    session.add(row)
    about = {"account": row.account, "before": before.account if before else ""}
    if row.shares or (before and before.shares):
        about |= {"shares": row.shares, "shares_before": before.shares if before else []}
    record(session, by, "account.carry", f"channel:{channel}", about)


def must_be_line(line: Sequence[Share]) -> None:
    """Raises: Invalid: they are none, too many, or one twice, or the shares do not add up."""
    if problem := _wrong_line(line):
        raise Invalid("{problem}", [problem], problem=problem)


def _wrong_line(line: Sequence[Share]) -> Issue | None:
    if not 1 <= len(line) <= MOST_SHARING:
        return _issue("Choose from 1 to {most} accounts.", most=str(MOST_SHARING))
    if len({one.account for one in line}) < len(line):
        return _issue("An account can be chosen only once.")
    if any(not 0 <= one.share <= 100 for one in line) or sum(one.share for one in line) != 100:
        return _issue("The shares must be whole percentages that add up to 100.")
    return None


def _issue(text: str, **more: str) -> Issue:
    return Issue(code="account", text=text, field="accounts", values=more)


def remove(session: Session, account: str, by: str, now: datetime, *, anyway: bool = False) -> None:
    """Nothing goes through it any more. What it carried stays decided, so that taking it back within `KEPT` brings everything back.

    Raises: NotFound; InUse, unless `anyway`: channels go through no other.
    """
    bump(session, TOPIC)
    row = find(session, account)
    now_used = lines(session)
    used = used_for(now_used, account)
    if (last := alone(now_used, account)) and not anyway:
        raise InUse("The channels {channels} use this account: their messages would no longer be sent.", channels=last)
    row.removed_at, row.updated_at, row.updated_by = now, now, by[:120]
    session.execute(delete(table(StoppedAccount)).where(table(StoppedAccount).c.account == account, ~RATES))
    record(session, by, "account.remove", f"account:{account}", {"channels": used})
    session.flush()


def take_back(session: Session, account: str, by: str, now: datetime) -> None:
    """Undoes `remove`. Raises: NotFound: it is not removed, or past its grace; Invalid: there are `MOST` others by now."""
    bump(session, TOPIC)
    row = session.get(ProviderAccount, account[:130])
    if row is None or row.removed_at is None or not row.sealed:
        raise NotFound("There is no removed account “{account}” to restore.", account=account[:130])
    _must_fit_one_more(session)
    row.removed_at, row.updated_at, row.updated_by = None, now, by[:120]
    record(session, by, "account.take_back", f"account:{account}", {})
    session.flush()


def is_anything_to_forget(session: Session, now: datetime) -> bool:
    statement = select(accounts.c.account).where(accounts.c.removed_at < now - KEPT, accounts.c.sealed != "").limit(1)
    return session.execute(statement).first() is not None


def forget_removed(session: Session, now: datetime) -> int:
    """Deletes the secrets and the configuration of accounts that were removed longer ago than `KEPT`; returns how many."""
    old = accounts.c.removed_at < now - KEPT
    gone = list(session.scalars(select(accounts.c.account).where(old, accounts.c.sealed != "").limit(MOST)))
    if gone:
        session.execute(update(accounts).where(accounts.c.account.in_(gone)).values(sealed="", config={}))
        record(session, "system", "account.forget", "", {"accounts": gone})
    return len(gone)


def seed(session: Session, keys: Sequence[bytes], given: SetUp, name: str, wanted: Sequence[str], now: datetime) -> bool:
    """An account that the environment names: made where there never was one of its name, and for those of the `wanted` channels of which nothing
    is decided yet. Returns whether anything came of it. Several processes start at once: the first one's decision counts, the others see it."""
    bump(session, TOPIC)  # the only lock: nothing may be read before
    undecided = [channel for channel in wanted if channel not in decided(session)]
    account = account_of(given.provider, name)
    row = session.get(ProviderAccount, account)
    if not undecided or (row is not None and row.removed_at is not None):
        return False
    if row is None:
        add(session, keys, name, given, "system", now, "environment")
    carry(session, dict.fromkeys(undecided, account), "system", now)
    return True


def _must_fit_one_more(session: Session) -> None:
    if len(listed(session)) >= MOST:
        raise Invalid("There are already {count} accounts, which is the maximum.", count=MOST)


def _sealed(keys: Sequence[bytes], given: SetUp) -> str:
    """Never empty, so that an empty one says that the secrets are gone."""
    return seal(keys, json.dumps(dict(given.secrets), sort_keys=True))
