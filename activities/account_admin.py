"""What people do with provider accounts, for the pages and the interface alike: set one up, change it, test it, choose it for channels.

A configuration is tested before it is stored, so that nothing is ever in use that no test has seen. A test leaves no message with anybody and is
made outside of any transaction; since it logs in with the account's secrets, the audit trail has it before it begins.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from activities import account_setup as setup
from activities.accounts import Accounts
from activities.providers.provider import SigningKey
from activities.providers.registry import Kind, serves
from journeys.channels import CHANNELS, ROUTES
from journeys.errors import Conflict, Invalid, Issue, NotFound
from models import ProviderAccount
from workspace import accounts as rows


def kind_of(accounts: Accounts, provider: str) -> Kind:
    """Raises: NotFound: there is no such provider here, or none can have accounts (staging)."""
    kind = accounts.providers.get(provider)
    if kind is None:
        raise NotFound("There is no provider “{name}” on this server to set up accounts for.", name=provider[:64])
    return kind


def add(accounts: Accounts, provider: str, name: str, values: Mapping[str, Any], by: str, now: datetime) -> ProviderAccount:
    """A new account that carries no channel yet.

    Raises: NotFound; Invalid; AccountTestFailed; Conflict: the name is taken.
    """
    kind = kind_of(accounts, provider)
    if not re.fullmatch(rows.NAME, name):
        raise Invalid("{problem}", [problem := _issue("name", "Expected letters, digits, dots, - and _, at most 64.")], problem=problem)
    config, given = setup.read(kind, values)
    _must_work(accounts, kind, rows.account_of(provider, name), config, by)
    with accounts.db.write() as session:
        row = rows.add(session, accounts.keys, name, given, by, now)
        rows.note_test(session, row.account, "", now)
    return row


def change(accounts: Accounts, account: str, values: Mapping[str, Any], revision: int, by: str, now: datetime) -> ProviderAccount:
    """Another configuration. A secret that is not given, or empty, stays, but is not sent to another server.

    Raises: NotFound; Invalid; AccountTestFailed; Conflict: somebody changed it since `revision`, or a secret cannot be kept.
    """
    with accounts.db.read() as session:
        row = rows.find_at(session, account, revision)
    kind = kind_of(accounts, row.provider)
    config, given = setup.changed(kind, accounts.keys, row, values)
    _must_work(accounts, kind, account, config, by)
    with accounts.db.write() as session:
        row = rows.change(session, accounts.keys, account, given, revision, by, now)
        rows.note_test(session, account, "", now)
    return row


def try_out(accounts: Accounts, account: str, by: str, now: datetime) -> str:
    """Tests what is stored; returns the code, empty if all is well. Raises: NotFound; Invalid."""
    with accounts.db.write() as session:
        row = rows.find(session, account)
        rows.begin_test(session, account, by)
    code = _tested(accounts, row)
    with accounts.db.write() as session:
        rows.note_test(session, account, code, now)
    return code


def signing_key(accounts: Accounts, row: ProviderAccount) -> SigningKey | None:
    """The DKIM key that the account signs with itself; None: it does not, or its secrets cannot be read here."""
    kind = accounts.providers.get(row.provider)
    try:
        return kind.signs_with(setup.config_of(kind, accounts.keys, row)) if kind else None
    except (setup.Unreadable, ValueError):
        return None


def make_signing_key(accounts: Accounts, account: str, by: str, now: datetime) -> SigningKey:
    """A new DKIM key, under a new selector. The account signs with it within a second, so its record should stand in the DNS of the sending
    domains soon; the former record must stay for some days.

    Raises: NotFound; Invalid: accounts of this provider have no key of their own; Conflict: its secrets cannot be read.
    """
    with accounts.db.read() as session:
        row = rows.find(session, account)
    kind = kind_of(accounts, row.provider)
    try:
        config = kind.with_new_key(setup.config_of(kind, accounts.keys, row))
    except (setup.Unreadable, ValueError):
        raise Conflict("The secrets of this account were encrypted with a key that is gone: enter them again.") from None
    if config is None:
        raise Invalid("{problem}", [issue := _issue("account", "Accounts of this provider have no DKIM key of their own.")], problem=issue)
    with accounts.db.write() as session:
        rows.change(session, accounts.keys, account, setup.set_up_of(kind, config), row.revision, by, now)
    key = kind.signs_with(config)
    assert key is not None
    return key


def choose(accounts: Accounts, wanted: Mapping[str, str], by: str, now: datetime) -> None:
    """Decides which account carries each channel of `wanted`; an empty one: none.

    Raises: NotFound; Invalid: an account cannot carry that channel; AccountTestFailed: a newly chosen one takes no messages.
    """
    for channel in wanted:
        if channel not in ROUTES and channel not in accounts.providers.nobody.channels:
            raise Invalid("{problem}", [problem := _issue(channel, "There is no such channel.")], problem=problem)
    with accounts.db.read() as session:
        before = rows.carried(session)
        new = {channel: rows.find(session, account) for channel, account in wanted.items() if account and before.get(channel) != account}
    for channel, row in new.items():
        kind = kind_of(accounts, row.provider)
        if not serves(kind, channel):
            issue = _issue(channel, "This account cannot send on this channel.")
            raise Invalid("{problem}", [issue], problem=issue)
    _must_take_messages(accounts, {row.account for row in new.values()}, by, now)
    with accounts.db.write() as session:
        rows.carry(session, wanted, by, now)


def share(accounts: Accounts, channel: str, line: Sequence[rows.Share], by: str, now: datetime) -> None:
    """Decides which accounts carry the channel together, in the order in which they stand in for one another.

    Raises: NotFound; Invalid: accounts cannot share that channel, one cannot carry it, or the shares are wrong; AccountTestFailed: a newly chosen one
    takes no messages.
    """
    if channel not in CHANNELS or not CHANNELS[channel].shared:
        issue = _issue("accounts", "Only one account can send on this channel.")
        raise Invalid("{problem}", [issue], problem=issue)
    rows.must_be_line(line)
    with accounts.db.read() as session:
        before = {one.account for one in rows.lines(session).get(channel, [])}
        found = [rows.find(session, one.account) for one in line]
    for row in found:
        if not serves(kind_of(accounts, row.provider), channel):
            issue = _issue("accounts", "This account cannot send on this channel.")
            raise Invalid("{problem}", [issue], problem=issue)
    _must_take_messages(accounts, {row.account for row in found} - before, by, now)
    with accounts.db.write() as session:
        rows.share(session, channel, line, by, now)


def _must_take_messages(accounts: Accounts, names: Collection[str], by: str, now: datetime) -> None:
    for account in sorted(names):
        if code := try_out(accounts, account, by, now):
            raise _failed(accounts, account, code)


def _tested(accounts: Accounts, row: ProviderAccount) -> str:
    kind = accounts.providers.get(row.provider)
    if kind is None:
        return setup.UNKNOWN
    try:
        return setup.try_connection(kind, setup.config_of(kind, accounts.keys, row), accounts.around)
    except setup.Unreadable:
        return setup.UNREADABLE
    except ValueError:
        return setup.UNFIT


def _must_work(accounts: Accounts, kind: Kind, account: str, config: Any, by: str) -> None:
    with accounts.db.write() as session:
        rows.begin_test(session, account, by)
    if code := setup.try_connection(kind, config, accounts.around):
        raise _failed(accounts, account, code)


def _failed(accounts: Accounts, account: str, code: str) -> setup.AccountTestFailed:
    advice = Issue(code=code, text=setup.what_to_do(accounts.providers, account, code))
    return setup.AccountTestFailed("Nothing was changed: the test of the account failed ({code}). {advice}", code=code, advice=advice)


def _issue(field: str, text: str) -> Issue:
    return Issue(code="account", text=text, field=field)
