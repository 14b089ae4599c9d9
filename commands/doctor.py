"""`pfadwerk doctor`: looks at everything a start needs and says, one line each, what is wrong and what to do.

Reads only; it starts nothing, writes nothing into the database and sends nothing.
"""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import socket
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr, computed_field

from commands import servers
from commands.api_main import refuse_unnamed_proxy
from commands.servers import NO_ADDRESS
from journeys.errors import Issue, Misconfigured, PfadwerkError, Sentence
from settings import PREFIX, Settings

if TYPE_CHECKING:
    from activities.providers import ConfiguredProvider, ProviderConfig, Providers
    from models import Database, ProviderAccount

_LITTLE_SPACE_MB = 1_000
_OLDEST_SQLITE = (3, 35)  # RETURNING
_LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")


class Finding(BaseModel):
    """One thing that was looked at. `bad` stops a start or loses something, `hint` is worth knowing."""

    model_config = ConfigDict(frozen=True)

    subject: str
    state: Literal["good", "hint", "bad"]
    text: str
    """The English sentence with `{placeholders}` (the message id of the catalogues), filled from `values`."""
    values: dict[str, Any] = {}

    @computed_field  # type: ignore[prop-decorator]
    @property
    def message(self) -> str:
        """The sentence in English."""
        return self.say(str)

    def say(self, translate: Callable[[str], str]) -> str:
        """The sentence in the language of `translate` (a gettext function)."""
        return Sentence(self.text, self.values).say(translate)


def doctor(settings: Settings, kinds: Sequence[type[ConfiguredProvider]] = ()) -> list[Finding]:
    """All findings, in the order in which a start needs the things; one that cannot be looked at is `bad`, never an exception. `kinds` are
    further providers that a worker is started with."""
    checks: list[tuple[str, Callable[[Settings], Iterator[Finding]]]] = [
        ("python", _python),
        ("folder", _folder),
        ("secret", _secret),
        ("sqlite", _sqlite),
        ("database", _database),
        ("activities", _activities),
        ("workspace", _workspace),
        ("providers", partial(_providers, kinds=kinds)),
        ("temporal", _temporal),
        ("redis", _redis),
        ("web", _web),
        ("mail", partial(_mail, kinds=kinds)),
    ]
    return [finding for subject, check in checks for finding in _looked_at(subject, check, settings)]


def is_healthy(findings: list[Finding]) -> bool:
    return all(finding.state != "bad" for finding in findings)


def _looked_at(subject: str, check: Callable[[Settings], Iterator[Finding]], settings: Settings) -> list[Finding]:
    try:
        return list(check(settings))
    except PfadwerkError as error:
        return [_bad(subject, error.text, **error.details)]
    except (OSError, ValueError) as error:
        return [_bad(subject, "{problem}", problem=str(error))]


def _good(subject: str, text: str, **values: object) -> Finding:
    return Finding(subject=subject, state="good", text=text, values=values)


def _hint(subject: str, text: str, **values: object) -> Finding:
    return Finding(subject=subject, state="hint", text=text, values=values)


def _bad(subject: str, text: str, **values: object) -> Finding:
    return Finding(subject=subject, state="bad", text=text, values=values)


def _python(_: Settings) -> Iterator[Finding]:
    values = {"version": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    if sys.version_info >= (3, 14):
        yield _hint("python", "Python {version} on {system}; the locked packages are tested with 3.11 to 3.13", **values)
    else:
        yield _good("python", "Python {version} on {system}", **values)


def _folder(settings: Settings) -> Iterator[Finding]:
    place = next(folder for folder in (settings.home, *settings.home.parents) if folder.exists())
    free = shutil.disk_usage(place).free // 1_000_000
    if not place.is_dir():
        yield _bad("folder", "{folder} is a file. Set PFADWERK_HOME to a folder.", folder=str(place))
    elif not os.access(place, os.W_OK):
        yield _bad("folder", "{folder} cannot be written. Change its owner, or set PFADWERK_HOME to another folder.", folder=str(place))
    elif free < _LITTLE_SPACE_MB:
        yield _bad(
            "folder",
            "Only {free} MB are free for {folder}. Make room, or set PFADWERK_HOME to another disk.",
            free=free,
            folder=str(settings.home),
        )
    else:
        yield _good("folder", "{folder} ({free} MB free)", folder=str(settings.home), free=free)


def _secret(settings: Settings) -> Iterator[Finding]:
    file = settings.home / "secret"
    if settings.was_set("secret_key"):
        yield _good("secret", "The signing key comes from PFADWERK_SECRET_KEY")
    elif not file.exists():
        text = "There is no signing key yet; the first start creates {file}. Several machines need the same one in PFADWERK_SECRET_KEY."
        yield _hint("secret", text, file=str(file))
    elif file.stat().st_mode & 0o077:
        yield _bad("secret", "Others can read {file}. Run: chmod 600 {file}", file=str(file))
    else:
        yield _good("secret", "Keys in {file}: {count}", file=str(file), count=len(settings.signing_keys()))


def _sqlite(settings: Settings) -> Iterator[Finding]:
    if not settings.database_url.startswith("sqlite"):
        return
    if sqlite3.sqlite_version_info >= _OLDEST_SQLITE:
        yield _good("sqlite", "SQLite {version}", version=sqlite3.sqlite_version)
    else:
        yield _bad("sqlite", "SQLite {version} is too old; expected 3.35 or later. Use a newer Python.", version=sqlite3.sqlite_version)


def _database(settings: Settings) -> Iterator[Finding]:
    file = settings.database_url.removeprefix("sqlite:///")
    if _has_no_file(settings):
        yield _hint("database", "There is no database at {file} yet; the first start creates it", file=file)
        return
    from models.migrate import check

    check(settings.database_url)
    yield _good("database", "The database answers and has the schema of this version")


def _activities(settings: Settings) -> Iterator[Finding]:
    from activities.custom.discovery import load_custom

    yield _good("activities", "Custom activities: {count}", count=len(load_custom(settings.activity_folders)))


def _workspace(settings: Settings) -> Iterator[Finding]:
    """What a worker and a web server ask of the database before they start; nothing where there is none yet, or another schema."""
    if _has_no_file(settings):
        return
    from activities.custom.discovery import load_custom
    from engine import stamp
    from engine.engine import Engine
    from engine.versions.behaviours import refuse_unknown_behaviours
    from journeys.nodes import Palette
    from models import Database
    from models.migrate import check

    try:
        check(settings.database_url)
    except PfadwerkError:
        return  # said above
    db = Database(settings.database_url, limits=settings.database_limits())
    try:
        with db.read() as session:
            clock = stamp.check(session, settings.workspace, settings.temporal_namespace)
        kinds = (custom.node for custom in load_custom(settings.activity_folders))
        keys = tuple(settings.signing_keys().values())  # there is a database, so there are keys
        refuse_unknown_behaviours(Engine(db, clock, Palette.built_in().with_kinds(*kinds), keys))
    finally:
        db.close()
    yield _good("workspace", "The database belongs to this workspace, and every open run can be continued")


def _providers(settings: Settings, kinds: Sequence[type[ConfiguredProvider]]) -> Iterator[Finding]:
    """Every account, opened as a worker opens it: the rows, and what the environment is going to seed."""
    if settings.workspace == "staging":
        return  # it has none
    shown = [] if _has_no_account(settings) else list(_accounts(settings, kinds))
    for one in shown:
        if one.config is None:
            yield _bad("providers", "The account {account} cannot be used ({code}): {advice}", account=one.account, **one.problem())
        elif one.channels:
            yield _good("providers", "{account} is used for {channels}", account=one.account, channels=", ".join(one.channels))
        else:
            yield _hint("providers", "{account} is not used for any channel", account=one.account)
        if differing := _differing(settings, one):
            text = (
                "The environment variables {variables} differ from the account {account}; they only set it up once and are not read again"
            )
            yield _hint("providers", text, variables=", ".join(differing), account=one.account)
    if not shown:
        yield _good("providers", "Every channel has a provider")


def _has_no_account(settings: Settings) -> bool:
    """Nothing is stored yet, and the environment sets nothing up: known without the libraries of database and providers."""
    return _has_no_file(settings) and not settings.was_set("channels")


def _differing(settings: Settings, one: _Account) -> list[str]:
    """The variables that were set and say something else than the account that they seeded; secrets are compared, never shown."""
    if one.origin != "environment" or one.config is None or one.kind is None:
        return []
    said = settings.account_seeds().get(one.kind.name, {})
    names = {field: f"{one.kind.name}_{field}" for field in said}
    return [
        PREFIX + names[field].upper()
        for field, value in said.items()
        if settings.was_set(names[field]) and str(_plain(getattr(one.config, field))) != str(value)
    ]


def _plain(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


@dataclass(frozen=True, slots=True)
class _Account:
    """One account; `config` is None where this process cannot use it, for the reason `code`."""

    account: str
    kind: type[ConfiguredProvider] | None
    config: ProviderConfig | None
    channels: Sequence[str]
    code: str = ""
    origin: str = ""

    def problem(self) -> dict[str, object]:
        from activities.account_setup import OUR_ADVICE

        return {"code": self.code, "advice": Issue(code=self.code, text=OUR_ADVICE[self.code])}


def _accounts(settings: Settings, kinds: Sequence[type[ConfiguredProvider]]) -> Iterator[_Account]:
    """Raises: Misconfigured, as a worker would."""
    from activities.account_setup import read
    from activities.providers import Providers
    from commands.providers import providers_of, seeds
    from workspace import accounts

    needed = {account.provider for account in settings.channels.values()} - {Providers.nobody.name}
    decided: dict[str, str] = {}
    if (db := _usable_database(settings)) is not None:
        try:
            with db.read() as session:
                decided, lines = accounts.decided(session), accounts.lines(session)
                rows = accounts.listed(session)
                providers = providers_of(settings.workspace, kinds, needed | {row.provider for row in rows})
                for row in rows:
                    yield _opened(settings, providers, row, accounts.used_for(lines, row.account))
        finally:
            db.close()
    providers = providers_of(settings.workspace, kinds, needed)
    for seed in seeds(settings, providers, decided):
        kind = providers.kinds[seed.given.provider]
        config, _ = read(kind, {**seed.given.config, **seed.given.secrets})
        yield _Account(accounts.account_of(kind.name, seed.name), kind, config, seed.channels)


def _opened(settings: Settings, providers: Providers, row: ProviderAccount, channels: list[str]) -> _Account:
    from pydantic import ValidationError

    from activities import account_setup as setup

    kind = providers.get(row.provider)
    if kind is None:
        return _Account(row.account, None, None, channels, setup.UNKNOWN)
    try:
        return _Account(row.account, kind, setup.config_of(kind, tuple(settings.signing_keys().values()), row), channels, origin=row.origin)
    except setup.Unreadable:
        return _Account(row.account, kind, None, channels, setup.UNREADABLE)
    except ValidationError:
        return _Account(row.account, kind, None, channels, setup.UNFIT)


def _usable_database(settings: Settings) -> Database | None:
    """None where there is none yet, or one of another schema (said above)."""
    if _has_no_file(settings):
        return None
    from models import Database
    from models.migrate import check

    try:
        check(settings.database_url)
    except PfadwerkError:
        return None
    return Database(settings.database_url, limits=settings.database_limits())


def _has_no_file(settings: Settings) -> bool:
    url = settings.database_url
    return url.startswith("sqlite") and not Path(url.removeprefix("sqlite:///")).exists()


def _temporal(settings: Settings) -> Iterator[Finding]:
    if not settings.was_set("temporal_address"):
        yield _good("temporal", "`pfadwerk dev` starts {program}", program=str(servers.temporal_binary(settings.home / "bin")))
    if settings.temporal_address and (settings.was_set("temporal_address") or _is_running(settings)):
        yield asyncio.run(_ask_temporal(settings))


def _is_running(settings: Settings) -> bool:
    return (settings.home / "pids.json").exists()


async def _ask_temporal(settings: Settings) -> Finding:
    from commands.setup import connect, has_namespace, missing_attributes

    client = await connect(settings)
    values = {"address": settings.temporal_address, "namespace": client.namespace}
    if not await has_namespace(client):
        return _bad("temporal", "{address} has no namespace {namespace}. Run `pfadwerk setup`.", **values)
    lacking = ", ".join(await missing_attributes(client))
    if lacking:
        return _bad(
            "temporal", "The namespace {namespace} lacks the search attributes {names}. Run `pfadwerk setup`.", names=lacking, **values
        )
    return _good("temporal", "{address} answers, namespace {namespace}", **values)


def _redis(settings: Settings) -> Iterator[Finding]:
    if not settings.was_set("redis_url"):
        yield _good("redis", "`pfadwerk dev` starts {program}", program=str(servers.redis_binary()))
    if settings.redis_url and (settings.was_set("redis_url") or _is_running(settings)):
        yield _ask_redis(settings.redis_url)


def _ask_redis(url: str) -> Finding:
    import redis

    try:
        with redis.Redis.from_url(url, socket_timeout=3, socket_connect_timeout=3) as client:
            client.ping()
    except redis.RedisError as error:
        text = "Redis does not answer ({error}). Check PFADWERK_REDIS_URL. Nothing is lost; limits and live counters pause until it does."
        return _bad("redis", text, error=type(error).__name__)
    return _good("redis", "Redis answers")


def _web(settings: Settings) -> Iterator[Finding]:
    url = urlsplit(settings.public_url)
    values = {"url": settings.public_url, "host": settings.host, "port": settings.port}
    if not url.scheme.startswith("http") or not url.hostname:
        yield _bad("web", "PFADWERK_PUBLIC_URL is {url}; expected an address such as https://journeys.example.org", **values)
    elif url.scheme == "http" and url.hostname not in _LOOPBACK_HOSTS:
        yield _hint("web", "{url} is not encrypted; links in messages and one-click unsubscribe need https", **values)
    else:
        yield _good("web", "{url}", **values)
    refuse_unnamed_proxy(settings)
    if _is_running(settings) or _can_listen(settings):
        return
    if settings.was_set("port") or settings.was_set("temporal_address"):
        yield _bad("web", "Port {port} on {host} is in use. Stop the program that uses it, or set PFADWERK_PORT to another port.", **values)
    else:
        yield _hint("web", "Port {port} on {host} is in use: `pfadwerk dev` takes another one, `pfadwerk api` does not start.", **values)


def _can_listen(settings: Settings) -> bool:
    """Raises: Misconfigured, if the host is no address of this machine."""
    try:
        return servers.is_free(settings.port, settings.host)
    except socket.gaierror as error:
        raise Misconfigured(NO_ADDRESS, host=settings.host, error=error.strerror) from None


def _mail(settings: Settings, kinds: Sequence[type[ConfiguredProvider]]) -> Iterator[Finding]:
    """Whether the accounts take messages, asked of each; nobody is sent one."""
    if settings.workspace == "staging":
        from activities.providers import Providers

        if any(account.provider != Providers.of_none().nobody.name for account in settings.channels.values()):
            yield _bad("mail", "This is the staging workspace and a channel has a real provider. Unset PFADWERK_CHANNELS for it.")
        else:
            yield _good("mail", "Nothing is sent: this is the staging workspace")
        return
    usable = [] if _has_no_account(settings) else [one for one in _accounts(settings, kinds) if one.config is not None]
    for one in usable:
        yield _asked(settings, one)
    if not usable:
        yield _hint(
            "mail",
            "Nothing is sent: every channel keeps its messages in the outbox. Set up an account under Settings → Provider accounts to change that.",
        )


def _asked(settings: Settings, one: _Account) -> Finding:
    from datetime import UTC, datetime

    from activities import account_setup as setup
    from activities.providers import Providers, Surroundings
    from models import Database

    assert one.kind is not None
    assert one.config is not None
    db = Database(settings.database_url)
    try:
        code = setup.try_connection(one.kind, one.config, Surroundings(db, lambda: datetime.now(UTC)))
    finally:
        db.close()
    if not code:
        return _good("mail", "{account} answers", account=one.account)
    advice = Issue(code=code, text=setup.what_to_do(Providers.of_none().with_kinds(one.kind), one.account, code))
    text = "{account} does not answer or refused the log-in ({code}). {advice}"
    return _bad("mail", text, account=one.account, code=code, advice=advice)
