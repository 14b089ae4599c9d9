"""Provider accounts: set up, tested, chosen for channels, removed; and those that take nothing now, with a try at once."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from activities import account_admin, account_setup
from api.auth.access import Actor, needs
from api.http.errors import ADMIN, CHANGE, ONE
from api.http.json_body import JsonRoute
from api.server import Server, TheServer
from models import ProviderAccount
from reports.mailboxes import reading_of
from storage.sending_counts import Sent
from workspace import accounts as rows
from workspace import sending_rates, stopped_accounts

router = APIRouter(prefix="/api/v1/accounts", tags=["messages"], route_class=JsonRoute)

Name = Annotated[str, Path(max_length=260, description="`PROVIDER.NAME`", examples=["smtp.default"])]
ChannelKey = Annotated[str, Path(max_length=64, examples=["email"])]
Config = Annotated[
    dict[str, Any],
    Field(
        max_length=100, description="As the provider's schema says (`/api/v1/accounts/providers`).", examples=[{"host": "smtp.example.org"}]
    ),
]


class StoppedAccount(BaseModel):
    """A provider account that refuses us or does not answer. Its messages wait; one at a time tries, the next at `next_probe_at` (real time)."""

    model_config = ConfigDict(from_attributes=True)

    account: str = Field(examples=["smtp.default"])
    code: str = Field(description="What the last try heard.", examples=["smtp_535_5.7.8"])
    since: datetime
    probes: int = Field(description="Tries since then.")
    next_probe_at: datetime


class SendingRate(BaseModel):
    """How many messages an account, or a domain as the sender, tried to send lately, and how many came to nothing."""

    account: str = Field(description="A domain has an @ before it.", examples=["smtp.main", "@shop.example"])
    level: str = Field(description="Empty, warn, slow or stop.", examples=["warn"])
    tried: int = Field(examples=[4_120])
    bounced: int = Field(description="For good.", examples=[31])
    complained: int = Field(examples=[6])


class SendingRates(BaseModel):
    """Of all accounts and domains that sent something."""

    items: list[SendingRate]


class StoppedAccounts(BaseModel):
    """All accounts that take nothing now."""

    items: list[StoppedAccount]


class ProviderRow(BaseModel):
    """A provider that accounts can be set up of. Fields of `config_schema` with the format `password` are stored sealed and never shown."""

    name: str = Field(examples=["smtp"])
    label: str = Field(examples=["E-mail server (SMTP)"])
    channels: list[str]
    config_schema: dict[str, Any] = Field(description="JSON Schema of an account's `config`.")


class ProviderRows(BaseModel):
    """All of them; none in staging."""

    items: list[ProviderRow]


class AccountRow(BaseModel):
    """A provider account, without what it is set up with."""

    account: str = Field(examples=["smtp.default"])
    provider: str
    channels: list[str] = Field(description="The channels that go through it now.")
    origin: str = Field(description="`environment`: variables seeded it, and are not read again; `person`.", examples=["person"])
    tested_at: datetime | None
    tested_code: str = Field(description="What the last test heard; empty: all is well.")


class AccountRows(BaseModel):
    """All accounts, and the removed ones that can be taken back."""

    items: list[AccountRow]
    removed: list[str]


class DkimKey(BaseModel):
    """The DKIM key that an account signs with itself, as the DNS of each sending domain must hold it."""

    model_config = ConfigDict(from_attributes=True)

    selector: str = Field(description="The record is called `SELECTOR._domainkey.DOMAIN`.", examples=["pfadwerk1"])
    value: str = Field(description="The value of the TXT record.", examples=["v=DKIM1; k=rsa; p=MIIB…"])


class PassedOverMail(BaseModel):
    """A mail that could not be read after several tries. It lies in the mailbox as it came."""

    model_config = ConfigDict(from_attributes=True)

    uid: int
    code: str = Field(examples=["imap_too_large"])
    passed_at: datetime


class Mailbox(BaseModel):
    """How far a mailbox is read."""

    model_config = ConfigDict(from_attributes=True)

    read_at: datetime | None = Field(description="When all that was there had been read.")
    taken: int = Field(description="Mails read so far.")
    passed_over: list[PassedOverMail] = Field(description="The last 50, the newest on top.")


class AccountDetail(AccountRow):
    """A provider account as it is set up, but for its secrets."""

    config: dict[str, Any]
    secrets: list[str] = Field(description="The secret fields that have a value.")
    dkim: DkimKey | None = Field(description="None: the account does not sign e-mails itself.")
    mailbox: Mailbox | None = Field(description="How its mailbox is read; None: it is none, or nobody has looked there yet.")
    revision: int
    updated_at: datetime
    updated_by: str


class NewAccount(BaseModel):
    """A new account. It is tested before it is stored, and carries no channel yet."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"provider": "smtp", "name": "main", "config": {"host": "smtp.example.org", "user": "shop", "password": "…"}}
        },
    )

    provider: str = Field(max_length=64, examples=["smtp"])
    name: str = Field(pattern=rf"^{rows.NAME}$", examples=["main"])
    config: Config


class AccountChange(BaseModel):
    """Another configuration of an account, tested before it is stored. What is not given stays, secrets too, unless they would go to another server."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"config": {"host": "smtp2.example.org"}, "revision": 1}})

    config: Config
    revision: int = Field(ge=1, description="The one you have seen; another one meanwhile is a conflict.")


class Tested(BaseModel):
    """What a test heard."""

    code: str = Field(description="Empty: the account would take a message.", examples=["smtp_535_5.7.8"])
    advice: str = Field(description="What to do; empty if all is well.")


class Channels(BaseModel):
    """Which account carries each channel."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"channels": {"email": "smtp.main", "sms": ""}}})

    channels: dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=130)]] = Field(
        max_length=50, description="Channel → account, of several the first; empty: none, its messages stay in the outbox."
    )


class ChannelShare(BaseModel):
    """An account among those that carry a channel."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)

    account: str = Field(max_length=130, examples=["smtp.main"])
    share: int = Field(ge=0, le=100, description="Percent of the channel's messages; 0: it only stands in for the others.", examples=[70])


class ChannelShares(BaseModel):
    """The accounts that carry a channel, in the order in which they stand in for one another."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"accounts": [{"account": "smtp.main", "share": 70}, {"account": "ses.main", "share": 30}]}},
    )

    accounts: list[ChannelShare] = Field(max_length=rows.MOST_SHARING, description="The shares add up to 100.")


@router.get("", summary="All provider accounts", responses=ADMIN)
def list_accounts(server: TheServer, actor: Annotated[Actor, needs("account.read")]) -> AccountRows:
    """Secrets are in no answer."""
    with server.engine.db.read() as session:
        lines = rows.lines(session)
        return AccountRows(
            items=[AccountRow(**_row(row, lines)) for row in rows.listed(session)], removed=[row.account for row in rows.removed(session)]
        )


@router.post("", summary="Set up a provider account", status_code=201, responses=CHANGE)
def add_account(new: NewAccount, server: TheServer, actor: Annotated[Actor, needs("account.manage")]) -> AccountDetail:
    """The account is tested first; if it would take no message now, nothing is stored and 422 says what to do (`account_test_failed`)."""
    row = account_admin.add(server.accounts, new.provider, new.name, new.config, actor.id, server.engine.clock.real_now())
    return _detail(server, row.account)


@router.get("/providers", summary="The providers that accounts can be set up of", responses=ADMIN)
def list_providers(server: TheServer, actor: Annotated[Actor, needs("account.read")]) -> ProviderRows:
    """With the JSON Schema of what an account is set up with."""
    return ProviderRows(
        items=[
            ProviderRow(name=kind.name, label=kind.label, channels=sorted(kind.channels), config_schema=kind.Config.model_json_schema())
            for kind in server.accounts.providers
        ]
    )


@router.get("/channels", summary="Which account carries each channel", responses=ADMIN)
def list_channel_accounts(server: TheServer, actor: Annotated[Actor, needs("account.read")]) -> Channels:
    """Channels that are missing go through none: their messages stay in the outbox."""
    with server.engine.db.read() as session:
        return Channels(channels=rows.carried(session))


@router.put("/channels", summary="Choose accounts for channels", responses=CHANGE)
def choose_channel_accounts(body: Channels, server: TheServer, actor: Annotated[Actor, needs("account.manage")]) -> Channels:
    """Only the channels named change. A newly chosen account is tested first, and carries the channel alone; where it is the first of several already,
    nothing changes. Workers and web servers follow within a second."""
    account_admin.choose(server.accounts, body.channels, actor.id, server.engine.clock.real_now())
    with server.engine.db.read() as session:
        return Channels(channels=rows.carried(session))


@router.get("/channels/{channel}", summary="The accounts that share a channel", responses=ONE)
def get_channel_shares(channel: ChannelKey, server: TheServer, actor: Annotated[Actor, needs("account.read")]) -> ChannelShares:
    """In the order in which they stand in for one another; empty where no account carries the channel."""
    return _shares(server, channel)


@router.put("/channels/{channel}", summary="Share a channel among accounts", responses=CHANGE)
def share_channel(
    channel: ChannelKey, body: ChannelShares, server: TheServer, actor: Annotated[Actor, needs("account.manage")]
) -> ChannelShares:
    """Each message is drawn for one account. While that one is stopped, or has no room today, the next in the list takes it, if it is certain that it has
    not left. Newly chosen accounts are tested first."""
    line = [rows.Share(one.account, one.share) for one in body.accounts]
    account_admin.share(server.accounts, channel, line, actor.id, server.engine.clock.real_now())
    return _shares(server, channel)


def _shares(server: Server, channel: str) -> ChannelShares:
    with server.engine.db.read() as session:
        return ChannelShares(accounts=[ChannelShare.model_validate(one) for one in rows.lines(session).get(channel, [])])


@router.get("/stopped", summary="Provider accounts that take nothing now", responses=ADMIN)
def list_stopped(server: TheServer, actor: Annotated[Actor, needs("account.read")]) -> StoppedAccounts:
    """Empty while every account takes messages, as far as anybody has tried."""
    with server.engine.db.read() as session:
        return StoppedAccounts(items=[StoppedAccount.model_validate(row) for row in stopped_accounts.listed(session)])


@router.post("/stopped/{account}/try", summary="Try an account now", status_code=204, responses=ONE)
def try_account(server: TheServer, account: Annotated[str, Path(max_length=130)], actor: Annotated[Actor, needs("account.try")]) -> None:
    """The next message that comes by tries it, within seconds; the answer is in the list."""
    with server.engine.db.write() as session:
        stopped_accounts.try_now(session, account, actor.id, server.engine.clock.real_now())


@router.get("/rates", summary="Bounces and complaints of provider accounts", responses=ADMIN)
def list_sending_rates(server: TheServer, actor: Annotated[Actor, needs("account.read")]) -> SendingRates:
    """What was counted in the last days (the setting `sending_limits`), and what that means for each account."""
    with server.engine.db.read() as session:
        levels = sending_rates.known(session)
        found = sending_rates.standings(session, server.engine.clock.real_now())
    return SendingRates(
        items=[
            SendingRate(
                account=account,
                level=levels.get(account, ""),
                tried=sent.tried,
                bounced=sent.bounced,
                complained=sent.complained,
            )
            for account in sorted({*found, *levels})
            for sent in (found[account].sent if account in found else Sent(),)
        ]
    )


@router.post("/{account}/resume", summary="Let an account go on", status_code=204, responses=ONE)
def resume_account(account: Name, server: TheServer, actor: Annotated[Actor, needs("account.manage")]) -> None:
    """One that its own bounces or complaints have stopped; what was counted so far counts no more. Audited."""
    with server.engine.db.write() as session:
        sending_rates.resume(session, account, actor.id, server.engine.clock.real_now())


@router.get("/{account}", summary="One provider account", responses=ONE)
def get_account(account: Name, server: TheServer, actor: Annotated[Actor, needs("account.manage")]) -> AccountDetail:
    """As it is set up, but for its secrets."""
    return _detail(server, account)


@router.put("/{account}", summary="Change a provider account", responses=CHANGE)
def change_account(
    account: Name, change: AccountChange, server: TheServer, actor: Annotated[Actor, needs("account.manage")]
) -> AccountDetail:
    """The new configuration is tested first; if it would take no message now, the old one stays (422, `account_test_failed`)."""
    account_admin.change(server.accounts, account, change.config, change.revision, actor.id, server.engine.clock.real_now())
    return _detail(server, account)


@router.post("/{account}/test", summary="Test a provider account", responses=ONE)
def test_account(account: Name, server: TheServer, actor: Annotated[Actor, needs("account.manage")]) -> Tested:
    """Asks the provider whether the account would take a message. Nobody is sent one."""
    code = account_admin.try_out(server.accounts, account, actor.id, server.engine.clock.real_now())
    return Tested(code=code, advice=account_setup.what_to_do(server.accounts.providers, account, code) if code else "")


@router.post("/{account}/dkim", summary="Make a DKIM key", responses=CHANGE)
def make_dkim_key(account: Name, server: TheServer, actor: Annotated[Actor, needs("account.manage")]) -> DkimKey:
    """A new key under a new selector; the account signs with it within a second. Leave the former record in the DNS for a week."""
    return DkimKey.model_validate(account_admin.make_signing_key(server.accounts, account, actor.id, server.engine.clock.real_now()))


@router.delete("/{account}", summary="Remove a provider account", status_code=204, responses=CHANGE)
def remove_account(
    account: Name,
    server: TheServer,
    actor: Annotated[Actor, needs("account.manage")],
    anyway: Annotated[bool, Query(description="Although channels go through it: their messages stay in the outbox then.")] = False,
) -> None:
    """It can be taken back for seven days; then its secrets are deleted."""
    with server.engine.db.write() as session:
        rows.remove(session, account, actor.id, server.engine.clock.real_now(), anyway=anyway)


@router.post("/{account}/restore", summary="Take a removed account back", status_code=204, responses=ONE)
def restore_account(account: Name, server: TheServer, actor: Annotated[Actor, needs("account.manage")]) -> None:
    """With its secrets and its channels, as far as no other account was chosen for them meanwhile."""
    with server.engine.db.write() as session:
        rows.take_back(session, account, actor.id, server.engine.clock.real_now())


def _row(row: ProviderAccount, lines: rows.Lines) -> dict[str, Any]:
    names = ("account", "provider", "origin", "tested_at", "tested_code")
    return {name: getattr(row, name) for name in names} | {"channels": rows.used_for(lines, row.account)}


def _detail(server: Server, account: str) -> AccountDetail:
    """Raises: NotFound."""
    with server.engine.db.read() as session:
        row = rows.find(session, account)
        lines = rows.lines(session)
        reading = reading_of(session, account)
    held = rows.secrets_of(server.accounts.keys, row) or {}
    names = ("revision", "updated_at", "updated_by")
    more = {name: getattr(row, name) for name in names}
    key = account_admin.signing_key(server.accounts, row)
    dkim = DkimKey.model_validate(key) if key else None
    mailbox = Mailbox.model_validate(reading) if reading else None
    return AccountDetail(
        **_row(row, lines),
        dkim=dkim,
        mailbox=mailbox,
        config=row.config,
        secrets=sorted(name for name, value in held.items() if value),
        **more,
    )
