"""Keys, sessions, settings, the catalogue, the audit trail and the marks that processes leave for each other."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Column, ForeignKey, LargeBinary, Text
from sqlmodel import Field, Index, SQLModel

from models.columns import BigId, big_id, json_field, new_id


class ApiKey(SQLModel, table=True):
    """A key of a program (real time). Only a hash is stored; `prefix` lets people recognise it.

    `kind`: browser (sends events, may be seen by anybody), server (sends events, secret) or admin (the admin interface, with `role`).
    """

    __tablename__ = "api_key"

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    kind: str = Field(max_length=8)
    role: str = Field(default="", max_length=16)
    """What an admin key may do: a role as members have it (`workspace.roles`); empty for the other kinds."""
    name: str = Field(max_length=120)
    source: str = Field(default="", max_length=64, sa_column_kwargs={"server_default": ""})
    """What its events have as their source: the same for a key and those it is rotated to, whatever they are called. `key:` and an id; for keys from
    before there were ids the word that they were called then."""
    prefix: str = Field(max_length=16)
    key_hash: str = Field(unique=True, max_length=64)
    created_at: datetime
    last_used_at: datetime | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


class LoginToken(SQLModel, table=True):
    """A one-time link (real time); only its hash is stored. `purpose`: login, password (an invitation or a reset: it leads to choosing one),
    or code (a first proof was good, the second factor is asked for)."""

    __tablename__ = "login_token"

    token_hash: str = Field(primary_key=True, max_length=64)
    member_id: str = Field(foreign_key="member.id", max_length=32)
    purpose: str = Field(default="login", max_length=16)
    expires_at: datetime
    used_at: datetime | None = None


class LoginFailure(SQLModel, table=True):
    """Failed tries at the door (real time): of somebody from one network, of somebody from anywhere, of a network, of the whole door.

    `who` and `subject` are keyed hashes of an e-mail address or a member, known or not, so that a lock tells nothing about members.
    """

    __tablename__ = "login_failure"

    who: str = Field(primary_key=True, max_length=64)
    subject: str = Field(default="", index=True, max_length=64)
    """Whose tries these are; empty for a network and the whole door."""
    failures: int = 0
    last_at: datetime = Field(index=True)
    locked_until: datetime | None = None
    audited_at: datetime | None = None
    """When a line of the audit trail told of them last."""


class KnownNetwork(SQLModel, table=True):
    """A network from which a member has logged in (real time), as a keyed hash of both: what strangers do elsewhere does not lock the member out there."""

    __tablename__ = "known_network"

    who: str = Field(primary_key=True, max_length=64)
    last_at: datetime = Field(index=True)


class LoginSession(SQLModel, table=True):
    """A browser that is logged in (real time); the cookie holds the token, we keep its hash."""

    __tablename__ = "login_session"

    token_hash: str = Field(primary_key=True, max_length=64)
    member_id: str = Field(foreign_key="member.id", index=True, max_length=32)
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    proved_at: datetime | None = None
    """When whoever sits there proved last who they are."""
    user_agent: str = Field(default="", max_length=300)


class SecondFactor(SQLModel, table=True):
    """A member's authenticator app (TOTP); it counts from `confirmed_at` (real time) on. `sealed` is encrypted with the signing keys."""

    __tablename__ = "second_factor"

    member_id: str = Field(foreign_key="member.id", primary_key=True, max_length=32)
    sealed: str = Field(max_length=500)
    created_at: datetime
    confirmed_at: datetime | None = None
    last_step: int = 0
    """The time step (30 s) of the newest code that was used: neither it nor an older one is good again."""


class RecoveryCode(SQLModel, table=True):
    """What lets a member in once without the app; a keyed hash. `used_at` is real time."""

    __tablename__ = "recovery_code"

    code_hash: str = Field(primary_key=True, max_length=64)
    member_id: str = Field(foreign_key="member.id", index=True, max_length=32)
    used_at: datetime | None = None


class WorkspaceSetting(SQLModel, table=True):
    """A setting that people change while the server runs: `sender`, `quiet_hours`, `frequency_caps`, `calendar`, `tracking`…"""

    __tablename__ = "workspace_setting"

    name: str = Field(primary_key=True, max_length=64)
    value: dict[str, Any] = json_field()
    updated_at: datetime
    updated_by: str = Field(default="", max_length=120)


class Secret(SQLModel, table=True):
    """A secret that journeys name (webhook key, Slack address); `sealed` is encrypted with the signing keys."""

    __tablename__ = "secret"

    name: str = Field(primary_key=True, max_length=64)
    sealed: str = Field(max_length=8_000)
    updated_at: datetime
    updated_by: str = Field(default="", max_length=120)


class CatalogueField(SQLModel, table=True):
    """A known contact field. `type`: string, number, boolean, datetime, date, list or object. `origin`: built_in, declared or learned."""

    __tablename__ = "catalogue_field"

    name: str = Field(primary_key=True, max_length=120)
    type: str = Field(max_length=16)
    title: str = Field(default="", max_length=120)
    origin: str = Field(default="declared", max_length=16)
    values: list[Any] = json_field(list)
    """Allowed or known values, for forms."""
    first_seen_at: datetime


class CatalogueEvent(SQLModel, table=True):
    """A known event; `properties` maps a dotted path to its type."""

    __tablename__ = "catalogue_event"

    name: str = Field(primary_key=True, max_length=200)
    title: str = Field(default="", max_length=200)
    properties: dict[str, Any] = json_field()
    origin: str = Field(default="declared", max_length=16)
    first_seen_at: datetime


class Audit(SQLModel, table=True):
    """Who did what, chained: `digest` covers the row and the digest before it. `key_id` names the key of an HMAC; lines from before have none.

    `at` is real time.
    """

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_subject", "subject", "id"),)

    id: int | None = big_id()
    at: datetime
    actor: str = Field(max_length=120)
    action: str = Field(max_length=64)
    subject: str = Field(default="", max_length=160)
    detail: dict[str, Any] = json_field()
    digest: str = Field(max_length=64)
    key_id: str = Field(default="", max_length=16, sa_column_kwargs={"server_default": ""})


class AuditNote(SQLModel, table=True):
    """What a person typed as the reason of an act. It stands outside the chain, whose line holds its keyed digest, so that it can go with the
    person it is about (`text` is empty then)."""

    __tablename__ = "audit_note"

    audit_id: int = Field(sa_column=Column(BigId, ForeignKey("audit.id"), primary_key=True, autoincrement=False))
    text: str = Field(default="", max_length=500)


class Lease(SQLModel, table=True):
    """One process holds a named duty until `until` (real time); others wait."""

    __tablename__ = "lease"

    name: str = Field(primary_key=True, max_length=64)
    holder: str = Field(max_length=64)
    until: datetime


class Process(SQLModel, table=True):
    """A web server or worker that said a moment ago (`seen_at`, real time) that it is alive, and which steps it can run."""

    __tablename__ = "process"

    id: str = Field(primary_key=True, max_length=32)
    kind: str = Field(max_length=8)
    """web or worker"""
    behaviours: list[str] = json_field(list)
    started_at: datetime
    seen_at: datetime
    taken_over_at: datetime | None = None
    """The `seen_at` after which what it left undone has been done by another (`engine.takeover`)."""


class ProviderAccount(SQLModel, table=True):
    """A login at a provider that people set up (real time). `config` is what everybody may read; `sealed` are its secrets, encrypted with the
    signing keys, empty once a removed account is past its grace. The row stays for good, so that no variable brings a removed one back."""

    __tablename__ = "provider_account"

    account: str = Field(primary_key=True, max_length=130)
    """`provider.name`, such as `smtp.default`."""
    provider: str = Field(max_length=64)
    config: dict[str, Any] = json_field()
    sealed: str = Field(default="", sa_column=Column(Text, nullable=False, default=""))
    origin: str = Field(max_length=16)
    """How it came: environment (variables seeded it) or person."""
    revision: int = 1
    tested_at: datetime | None = None
    tested_code: str = Field(default="", max_length=64)
    """What the last test heard; empty: all is well."""
    created_at: datetime
    updated_at: datetime
    updated_by: str = Field(default="", max_length=120)
    removed_at: datetime | None = None


class ChannelAccount(SQLModel, table=True):
    """Which account carries a channel, once that is decided; `account` is empty for none. What is not decided goes nowhere outside, too, and may
    still be seeded by a variable. Where several carry it, `account` is the first of `shares`."""

    __tablename__ = "channel_account"

    channel: str = Field(primary_key=True, max_length=64)
    account: str = Field(default="", max_length=130)
    shares: list[dict[str, Any]] = json_field(list)
    """{"account", "share"} each, in the order in which they stand in for one another; empty where one account carries all."""
    decided_at: datetime
    decided_by: str = Field(default="", max_length=120)


class SendingDomain(SQLModel, table=True):
    """What the DNS said last about a domain from which an account sends (real time)."""

    __tablename__ = "sending_domain"

    account: str = Field(primary_key=True, max_length=130)
    domain: str = Field(primary_key=True, max_length=253)
    marks: list[dict[str, str]] = json_field(list)
    """{"what", "level", "code", "name", "type", "value"} each (`activities.domains.check.Mark`)."""
    checked_at: datetime
    allowed: list[str] = json_field(list)
    """Codes of red marks with which an administrator lets it carry marketing all the same."""


class StoppedAccount(SQLModel, table=True):
    """A provider account that refuses us or does not answer (real time); the row goes when it takes messages again."""

    __tablename__ = "stopped_account"

    account: str = Field(primary_key=True, max_length=260)
    """`provider.account`, such as `smtp.default`; a sending domain, such as `@shop.example`, which only its rates stop."""
    code: str = Field(max_length=64)
    """What the last try heard."""
    since: datetime
    probes: int = 0
    next_probe_at: datetime
    told_at: datetime | None = None
    """When the notice of it was made."""
    by_policy: bool = False
    """Recipients refused its messages: only another message shows that this is over, whatever the account says of itself."""


class Stamp(SQLModel, table=True):
    """What this database is: workspace (`live` or `staging`) and Temporal namespace. A process whose settings differ refuses to start."""

    __tablename__ = "stamp"

    id: int = Field(default=1, primary_key=True)
    workspace: str = Field(max_length=16)
    namespace: str = Field(max_length=64)
    clock: dict[str, Any] = json_field()
    """Staging only: {"factor", "real_anchor", "virtual_anchor"}. Instants of rows are the product's unless their model says real time."""
    created_at: datetime


class Upload(SQLModel, table=True):
    """A file somebody sends, until its work is done; in the database, because any web server may go on with it. It comes in parts of
    `part_bytes` (the last may be shorter); `parts` are there so far. `import_id`: what became of it. It ages by real time."""

    __tablename__ = "upload"

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    file_name: str = Field(max_length=200)
    bytes: int = 0
    part_bytes: int = 0
    parts: int = 0
    import_id: str | None = Field(default=None, max_length=32)
    created_at: datetime = Field(index=True)
    created_by: str = Field(default="", max_length=120)


class UploadPart(SQLModel, table=True):
    """A piece of a file, counted from 0."""

    __tablename__ = "upload_part"

    upload_id: str = Field(primary_key=True, max_length=32)
    number: int = Field(primary_key=True)
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class Import(SQLModel, table=True):
    """A file being imported, row by row; `cursor` is the next row, so that it can go on after a crash."""

    __tablename__ = "import_job"

    id: str = Field(default_factory=new_id, primary_key=True, max_length=32)
    file_name: str = Field(max_length=200)
    mapping: dict[str, Any] = json_field()
    state: str = Field(default="running", max_length=16)
    cursor: int = 0
    rows_ok: int = 0
    rows_failed: int = 0
    errors: list[dict[str, Any]] = json_field(list)
    created_at: datetime
    finished_at: datetime | None = None
