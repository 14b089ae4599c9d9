"""Everything an operator can set, read from environment variables that start with `PFADWERK_`.

One field is one setting: its description is the text of `docs/settings.md` (`python -m settings` prints that page, a
test compares it). Read by the composition roots only; rooms take the values they need as arguments.
This module opens no connection and starts nothing.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import secrets
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from journeys.channels import SENDABLE, TO_TEAM
from journeys.errors import Issue, Misconfigured, Unfit

if TYPE_CHECKING:
    from models.session import Limits

PREFIX = "PFADWERK_"
TEST_PREFIX = "PFADWERK_TEST_"
"""Variables of the test suite; never settings, never a typing mistake."""

CHANNELS = (*SENDABLE, *TO_TEAM)
KEY_MIN_CHARACTERS = 32


class Account(BaseModel):
    """The provider account that a channel sends through; its name is also the name of the task queue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    provider: str = Field("outbox", pattern=r"^[a-z][a-z0-9_]*$")
    account: str = Field("default", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")


class Settings(BaseSettings):
    """The settings of one process; `Settings.load()` is the way in, because its errors say what to set."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="forbid", frozen=True, validate_default=True, env_ignore_empty=True, hide_input_in_errors=True
    )

    # Where things are
    home: Path = Field(Path(".pfadwerk"), description="Folder that holds all state of `pfadwerk dev`: databases, logs, ports, the secret.")
    workspace: Literal["live", "staging"] = Field(
        "live", description="Which of the two workspaces this process serves. Staging has its own database and namespace and sends nothing."
    )
    database_url: str = Field(
        "",
        description="SQLAlchemy address of the database: `sqlite:///FILE` or `postgresql://USER@HOST/NAME`. Empty: a SQLite file in `home`.",
    )
    database_idle_in_transaction: timedelta = Field(
        timedelta(seconds=15),
        ge=timedelta(seconds=1),
        description="PostgreSQL: a transaction of ours in which nothing happens for so long is ended, so that a process that is frozen or cut off holds "
        "nobody's row. Its work is done again.",
    )
    database_lock_timeout: timedelta = Field(
        timedelta(seconds=20),
        ge=timedelta(seconds=1),
        description="PostgreSQL: how long to wait for a row that somebody else works on, before it is tried again or answered 503. Must be longer "
        "than `PFADWERK_DATABASE_IDLE_IN_TRANSACTION`.",
    )
    database_statement_timeout: timedelta = Field(
        timedelta(seconds=60),
        ge=timedelta(seconds=1),
        description="PostgreSQL: how long one statement may take. Migrations and restores take the time they need.",
    )
    temporal_address: str = Field(
        "", description="`HOST:PORT` of a Temporal server. Empty: the server that `pfadwerk dev` starts, with its state in `home`."
    )
    temporal_namespace: str = Field(
        "", description="Temporal namespace. Empty: `pfadwerk`, and `pfadwerk-staging` for the staging workspace."
    )
    temporal_tls: bool = Field(False, description="Speak TLS to the Temporal server.")
    temporal_api_key: SecretStr = Field(SecretStr(""), description="API key for the Temporal server, where it asks for one.")
    redis_url: str = Field(
        "",
        description="`redis://HOST:PORT/DB` (or `rediss://`, `unix://`). Empty: the server that `pfadwerk dev` starts. Losing it loses nothing.",
    )

    # The web server
    host: str = Field("127.0.0.1", description="Address the web server listens on.")
    port: int = Field(8080, ge=1, le=65535, description="Port the web server listens on.")
    public_url: str = Field(
        "", description="Address under which people reach the web server; links in messages start with it. Empty: `http://HOST:PORT`."
    )
    trusted_proxies: list[str] = Field(
        [], description="Addresses or networks of reverse proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed. JSON list."
    )
    metrics_token: SecretStr = Field(
        SecretStr(""),
        max_length=200,
        description="What Prometheus sends to read `/metrics`: `Authorization: Bearer TOKEN`. Empty: only this machine itself reads it, and not through a proxy.",
    )
    secret_key: SecretStr = Field(
        SecretStr(""),
        description="Signs links and sessions: `ID:KEY`, several joined by commas; the first signs, all are accepted. "
        f"A key has at least {KEY_MIN_CHARACTERS} characters. Empty: made once and kept in `home/secret`.",
    )
    time_zone: str = Field(
        "Europe/Berlin",
        description="Time zone that a journey begun on the pages gets, and in which messages tell dates to people whose zone is unknown (an IANA name).",
    )
    language: Literal["de", "en"] = Field(
        "en", description="Language of pages and messages where neither the person nor the document says."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="How much the processes write to their logs.")

    log_format: Literal["text", "json"] = Field(
        "text",
        description="`text`: lines for people. `json`: one JSON object a line, for whoever collects logs ([fields](operating.md#logs)).",
    )

    # What goes out
    channels: dict[str, Account] = Field(
        {},
        description='Channel → provider account, as JSON: `{"email": {"provider": "smtp", "account": "default"}}`. '
        f"Channels: {', '.join(CHANNELS)}. Only for channels about which nothing is decided yet: the accounts are set up at the first start, and "
        "changed on **Settings → Provider accounts** from then on. A channel without one goes to `outbox`, which keeps the message in the database.",
    )
    soft_bounces: int = Field(
        5,
        ge=2,
        le=50,
        description="After so many temporary bounces in a row an address counts as dead and gets nothing more on that channel.",
    )
    soft_bounce_days: int = Field(
        30, ge=1, le=365, description="Temporary bounces of messages that are older than so many days no longer count."
    )
    activity_folders: list[Path] = Field(
        [], description="Folders with custom activities (Python files), as a JSON list. Loaded by file, never through `sys.path`."
    )
    smtp_host: str = Field(
        "",
        description="Host of the SMTP server. It and the five below only set up the first account of the provider `smtp`, at the first start.",
    )
    smtp_port: int = Field(587, ge=1, le=65535, description="Port of the SMTP server.")
    smtp_user: str = Field("", description="User name at the SMTP server. Empty: no login.")
    smtp_password: SecretStr = Field(SecretStr(""), description="Password at the SMTP server.")
    smtp_tls: Literal["starttls", "tls", "none"] = Field("starttls", description="How the SMTP connection is encrypted.")
    smtp_timeout_seconds: float = Field(10.0, gt=0, le=60, description="How long to wait for one answer of the SMTP server.")
    mail_from: str = Field("Pfadwerk <hello@example.org>", description="Sender of messages whose template names none.")
    tracking: Literal["none", "clicks", "full"] = Field(
        "full",
        description="Most that is tracked about a message: nothing, clicks, or clicks and opens. A contact's consent can only lower it.",
    )
    dns_servers: list[str] = Field(
        [],
        description="Name servers (`ADDRESS` or `ADDRESS:PORT`) that are asked about sending domains, as a JSON list. Empty: those of the machine.",
    )
    webhook_allow: list[str] = Field(
        [],
        description="Hosts, addresses or networks that webhooks and mailboxes (IMAP) may reach although they are private, as a JSON list. "
        "Everything that is not a public address is refused otherwise.",
    )

    # Filling templates in
    render_processes: int = Field(
        2,
        ge=1,
        le=64,
        description="Processes in which a worker, and a web server, fills templates in. They are started when they are needed.",
    )
    render_cpu_seconds: float = Field(
        2.0,
        ge=0.1,
        le=60,
        description="CPU time that one message may take; after that its process is ended and the message is skipped (`render_too_long`). "
        "Three times as long on the clock, it is put off instead; compiling a template may take five times as long.",
    )
    render_memory_mb: int = Field(
        256,
        ge=64,
        le=4096,
        description="Memory that filling a template in may take, on Linux; after that the message is skipped (`render_too_large`).",
    )

    # The worker
    max_cached_workflows: int = Field(2000, ge=1, le=100_000, description="Runs a worker keeps in memory; 40–120 kB each.")
    max_concurrent_workflow_tasks: int = Field(
        8, ge=2, le=100, description="Runs a worker moves at the same time. Keep it small: the work is CPU."
    )
    step_concurrency: int = Field(
        8, ge=1, le=200, description="Steps a worker takes at the same time (threads with a database connection)."
    )
    job_concurrency: int = Field(
        2, ge=1, le=50, description="Background jobs a worker works on at the same time: imports, bulk actions, migrations."
    )
    send_concurrency: int = Field(20, ge=1, le=500, description="Messages a worker has in flight per provider account.")
    graceful_shutdown: timedelta = Field(
        timedelta(seconds=30),
        description="How long a worker that is told to stop lets sends finish; must be longer than the provider's time-out.",
    )
    keeper_interval: timedelta = Field(timedelta(seconds=10), description="How often the keeper looks for something to repair.")
    catch_up: timedelta = Field(
        timedelta(days=1),
        ge=timedelta(hours=1),
        le=timedelta(days=31),
        description="How far back schedules and dates that came due while no worker ran are made up for. What is older is left out, and the "
        "journey lists whom it concerned under *Not entered*.",
    )
    hold_at_most: timedelta = Field(
        timedelta(days=3),
        gt=timedelta(0),
        description="How long a journey begun on the pages lets a held message (quiet hours, frequency cap) wait before it is skipped; each journey may say otherwise.",
    )
    metrics_port: int = Field(
        0,
        ge=0,
        le=65535,
        description="Port of the worker's own: `/health`, `/ready` and `/metrics`, on `host`; `PFADWERK_METRICS_TOKEN` guards the numbers. 0: none.",
    )

    # Traces
    otlp_endpoint: str = Field(
        "",
        description="Collector that takes traces over OTLP/HTTP, such as `http://127.0.0.1:4318`; `/v1/traces` is put behind it. Empty: no traces.",
    )
    otlp_headers: SecretStr = Field(
        SecretStr(""),
        description="Headers for the collector: `NAME=VALUE`, several joined by commas. Not read in staging, which holds no credentials.",
    )
    trace_ratio: float = Field(1.0, ge=0, le=1, description="Share of traces that are recorded; a trace is recorded whole or not at all.")
    trace_callers: Literal["ignore", "link", "parent"] = Field(
        "link",
        description="What the `traceparent` of a request counts for. `parent`: the sender's trace goes on, and the sender decides what is recorded; "
        "only where all senders are yours.",
    )

    # The doors
    max_event_bytes: int = Field(32_768, ge=1024, le=1_048_576, description="Largest single event that is accepted.")
    max_body_bytes: int = Field(4_194_304, ge=32_768, le=67_108_864, description="Largest request body, after decompression.")
    max_import_bytes: int = Field(
        104_857_600, ge=32_768, le=2_147_483_648, description="Largest file of contacts that can be sent for an import; it comes in parts."
    )
    max_waiting_import_bytes: int = Field(
        1_073_741_824,
        ge=32_768,
        description="Most bytes of such files that wait in the database together; the rest is refused until some are done.",
    )
    max_batch_events: int = Field(1000, ge=1, le=10_000, description="Most events in one batch.")
    max_backlog: int = Field(20_000, ge=100, description="Events that may wait for the batching writer before the door answers 429.")
    public_requests_per_minute: int = Field(
        600, ge=1, description="Requests per minute and address on public pages (unsubscribe, preferences, login)."
    )

    @field_validator("home", mode="after")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return home.expanduser().absolute()

    @field_validator("database_lock_timeout")
    @classmethod
    def _outlasts_idle(cls, lock: timedelta, info: ValidationInfo) -> timedelta:
        """Whoever waits for the row of a process that is frozen must still wait when its transaction is ended."""
        idle = info.data.get("database_idle_in_transaction")
        if idle is not None and lock <= idle:
            raise Unfit(
                "expected more than {idle}, the value of {other}, so that a row locked by a frozen process is freed before others give up; got {lock}",
                idle=_iso(idle),
                other=f"{PREFIX}DATABASE_IDLE_IN_TRANSACTION",
                lock=_iso(lock),
            )
        return lock

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        if name not in _zones():
            hint = _did_you_mean(name, _zones())
            raise Unfit("expected an IANA time zone such as Europe/Berlin, got {name}{hint}", name=name, hint=hint)
        return name

    @field_validator("channels")
    @classmethod
    def _known_channels(cls, channels: dict[str, Account]) -> dict[str, Account]:
        for name in channels:
            if name not in CHANNELS:
                hint = _did_you_mean(name, CHANNELS)
                raise Unfit("expected channels out of {channels}, got {name}{hint}", channels=CHANNELS, name=name, hint=hint)
        return {name: channels.get(name, Account()) for name in CHANNELS}

    @field_validator("otlp_endpoint")
    @classmethod
    def _is_web_address(cls, address: str) -> str:
        parts = urlsplit(address)
        if address and not (parts.scheme in ("http", "https") and parts.hostname and not parts.query and not parts.username):
            raise Unfit("expected http://HOST:PORT or https://HOST, without a name or password in it")
        return address

    @field_validator("otlp_headers")
    @classmethod
    def _are_headers(cls, headers: SecretStr) -> SecretStr:
        parse_headers(headers.get_secret_value())
        return headers

    @field_validator("temporal_address")
    @classmethod
    def _host_and_port(cls, address: str) -> str:
        host, _, port = address.rpartition(":")
        if address and not (host and port.isdigit()):
            raise Unfit("expected HOST:PORT, for example 127.0.0.1:7233")
        return address

    @field_validator("secret_key")
    @classmethod
    def _usable_keys(cls, keys: SecretStr) -> SecretStr:
        parse_keys(keys.get_secret_value())
        return keys

    @model_validator(mode="after")
    def _fill_in(self) -> Settings:
        """Fill the settings that follow from others, so that no reader meets an empty address; `was_set` still knows."""
        live = self.workspace == "live"
        ports = read_ports(self.home)
        self._default("database_url", f"sqlite:///{self.home / ('pfadwerk.db' if live else 'staging.db')}")
        self._default("temporal_namespace", "pfadwerk" if live else "pfadwerk-staging")
        if "temporal" in ports:
            self._default("temporal_address", f"127.0.0.1:{ports['temporal']}")
        if "redis" in ports:
            self._default("redis_url", f"redis://127.0.0.1:{ports['redis']}/0")
        if "web" in ports and not self.was_set("port"):
            self._put("port", ports["web"])
        self._default("public_url", f"http://{'127.0.0.1' if self.host in ('0.0.0.0', '::') else self.host}:{self.port}")
        self._put("public_url", self.public_url.rstrip("/"))
        return self

    def database_limits(self) -> Limits:
        """What a connection to PostgreSQL may do."""
        from models.session import Limits  # only where there is a database: it loads SQLAlchemy

        return Limits(self.database_idle_in_transaction, self.database_lock_timeout, self.database_statement_timeout)

    def _default(self, name: str, value: str) -> None:
        if not getattr(self, name):
            self._put(name, value)

    def _put(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)  # frozen for readers; not in `model_fields_set`, because nobody set it

    @classmethod
    def load(cls, **given: Any) -> Settings:
        """Read the environment; what is `given` wins over it.

        Raises:
            Misconfigured: names every variable that is wrong or unknown, and what it should be.
        """
        _refuse_unknown(os.environ)
        try:
            return cls(**given)
        except ValidationError as error:
            raise Misconfigured("Some settings cannot be used:\n{problems}", problems=_issues(error)) from None
        except SettingsError as error:
            raise Misconfigured("{name} cannot be read: expected JSON, see docs/settings.md.", name=_variable_of(error)) from None

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    def temporal(self) -> dict[str, Any]:
        """How to reach Temporal: the arguments of `Temporal.connect`, the same for every process."""
        return {
            "address": self.temporal_address,
            "namespace": self.temporal_namespace,
            "tls": self.temporal_tls,
            "api_key": self.temporal_api_key.get_secret_value() or None,
        }

    def was_set(self, name: str) -> bool:
        """Whether an operator chose this value (environment or argument); a default or a remembered port does not count."""
        return name in self.model_fields_set

    def environment(self) -> dict[str, str]:
        """What was set, as environment variables for a child process; the child fills in the rest as we did."""
        chosen = {name: getattr(self, name) for name in sorted(self.model_fields_set)}
        return {PREFIX + name.upper(): _as_variable(value) for name, value in chosen.items()} | {PREFIX + "HOME": str(self.home)}

    def account_seeds(self) -> dict[str, dict[str, Any]]:
        """Provider -> what the environment says about its first account: the fields of its `Config`. An empty one says nothing."""
        smtp = {
            "host": self.smtp_host,
            "port": self.smtp_port,
            "user": self.smtp_user,
            "password": self.smtp_password.get_secret_value(),
            "tls": self.smtp_tls,
            "timeout_seconds": self.smtp_timeout_seconds,
        }
        return {"smtp": {name: value for name, value in smtp.items() if value != ""}}

    def render_limits(self) -> dict[str, Any]:
        """What `activities.rendering.RenderLimits` takes."""
        return {
            "processes": self.render_processes,
            "cpu_seconds": self.render_cpu_seconds,
            "deadline_seconds": 3 * self.render_cpu_seconds,
            "memory_bytes": self.render_memory_mb * 2**20,
        }

    def collector_headers(self) -> dict[str, str]:
        """What the collector of traces asks for."""
        return {} if self.workspace == "staging" else parse_headers(self.otlp_headers.get_secret_value())

    def signing_keys(self) -> dict[str, bytes]:
        """Key id -> key for signing; the first signs, all verify. Makes `home/secret` once when no key is set."""
        given = self.secret_key.get_secret_value()
        return parse_keys(given) if given else _kept_keys(self.home / "secret")


def _as_variable(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    plain = TypeAdapter(Any).dump_python(value, mode="json")
    return plain if isinstance(plain, str) else json.dumps(plain)


def parse_headers(text: str) -> dict[str, str]:
    """`NAME=VALUE` entries, separated by commas.

    Raises:
        Unfit: says what is wrong without repeating a value.
    """
    headers: dict[str, str] = {}
    for entry in filter(None, (entry.strip() for entry in text.split(","))):
        name, _, value = (part.strip() for part in entry.partition("="))
        if not re.fullmatch(r"[A-Za-z0-9-]+", name) or not re.fullmatch(r"[ -~]+", value):
            raise Unfit("expected NAME=VALUE, for example authorization=Bearer …")
        headers[name] = value
    return headers


def parse_keys(text: str) -> dict[str, bytes]:
    """`ID:KEY` entries, separated by commas or lines -> key id -> key, order kept.

    Raises:
        Unfit: says what is wrong without repeating a key.
    """
    entries = [entry.strip() for entry in text.replace("\n", ",").split(",") if entry.strip()]
    keys: dict[str, bytes] = {}
    for entry in entries:
        name, colon, key = entry.partition(":")
        if not colon or not name.isalnum():
            raise Unfit("expected ID:KEY, for example k1:xxxxxxxx…")
        if len(key) < KEY_MIN_CHARACTERS:
            raise Unfit(
                "expected a key of at least {least} characters, got {length} for the key id {name}",
                least=KEY_MIN_CHARACTERS,
                length=len(key),
                name=name,
            )
        if name in keys:
            raise Unfit("expected different key ids, got {name} twice", name=name)
        keys[name] = key.encode()
    return keys


def _kept_keys(file: Path) -> dict[str, bytes]:
    """Raises: Misconfigured, if the file holds no keys; says what is wrong without repeating one."""
    try:
        return parse_keys(_kept_secret(file))
    except Unfit as error:
        raise Misconfigured(
            "The file {file} cannot be read: {problem}. Restore it from a backup, or delete it to get a new key (old links then stop working).",
            file=str(file),
            problem=Issue(code="secret", text=error.text, values=error.values),
        ) from None


def _kept_secret(file: Path) -> str:
    """The key in `file`, written there first if there is none; two processes that start together get the same one."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f"{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(f"k1:{secrets.token_urlsafe(48)}\n")
        try:
            os.link(draft, file)  # fails if another process was first; its key is then the key
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    text = file.read_text()
    if not text.strip():
        raise Misconfigured(
            "The file {file} is empty; restore it from a backup, or delete it to get a new key (old links then stop working).",
            file=str(file),
        )
    return text


def read_ports(home: Path) -> dict[str, int]:
    """Ports that `pfadwerk dev` last used on this folder: `web`, `temporal`, `redis`; empty before its first start."""
    try:
        return _PORTS.validate_json((home / "ports.json").read_bytes())
    except (FileNotFoundError, ValidationError):
        return {}


_PORTS = TypeAdapter(dict[str, int])


@cache
def _zones() -> frozenset[str]:
    """Looked up once: it walks through hundreds of files."""
    return frozenset(available_timezones())


def _did_you_mean(name: str, known: Iterable[str]) -> Issue | str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return Issue(code="did_you_mean", text="; did you mean {near}?", values={"near": close[0]}) if close else ""


def _refuse_unknown(environment: Mapping[str, str]) -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    unknown = sorted(name for name in environment if name.startswith(PREFIX) and name not in known and not name.startswith(TEST_PREFIX))
    if unknown:
        raise Misconfigured("Some variables are no settings:\n{problems}", problems=[_unknown(name, known) for name in unknown])


def _unknown(name: str, known: Iterable[str]) -> Issue:
    text = "expected one of the variables in docs/settings.md, got {name}{hint}"
    return Issue(code="unknown_setting", text=text, values={"name": name, "hint": _did_you_mean(name, known)}, field=name)


def _issues(error: ValidationError) -> list[Issue]:
    """The problems, each with its variable as its field."""
    from journeys.reading import issues_of  # only where something is wrong: it loads the whole language

    return [issue.model_copy(update={"field": _place(issue.field or "settings")}) for issue in issues_of(error, {})]


def _place(path: str) -> str:
    name, _, inner = path.partition(".")
    return f"{PREFIX}{name.upper()} ({inner})" if inner else PREFIX + name.upper()


def _variable_of(error: SettingsError) -> str:
    """The variable whose JSON cannot be read; pydantic-settings names its field in quotes, and nowhere else."""
    named = re.search(r'field "(\w+)"', str(error))
    return PREFIX + named[1].upper() if named else PREFIX + "…"


def document() -> str:
    """The page `docs/settings.md`."""
    head = (
        "# Settings\n\nEvery setting is an environment variable. Lists and tables are JSON, durations ISO 8601 (`PT30S`). A variable that starts with\n"
        f"`{PREFIX}` and is not listed here stops the start, so that a typing mistake cannot go unnoticed.\n"
        "This page is generated: `make docs`.\n\n| variable | default | what it does |\n|---|---|---|\n"
    )
    return head + "".join(_rows())


def _rows() -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        text = (field.description or "").replace("|", "\\|")
        yield f"| `{PREFIX}{name.upper()}` | {_shown_default(field)} | {text} |\n"


def _shown_default(field: FieldInfo) -> str:
    value = field.default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is PydanticUndefined or value in ("", [], {}):
        return "–"
    if isinstance(value, timedelta):
        value = _iso(value)
    return f"`{json.dumps(value) if isinstance(value, bool) else value}`"


def _iso(duration: timedelta) -> str:
    """As a variable takes it: `PT15S`."""
    return str(TypeAdapter(timedelta).dump_python(duration, mode="json"))


if __name__ == "__main__":
    sys.stdout.write(document())
