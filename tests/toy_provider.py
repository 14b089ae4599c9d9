"""A provider from outside the tree: pigeons. One class that nothing in the product names; each place that walks the registry must find it.

Its other side is `Loft`, a server in this process. A call is signed with the account's token, as real providers do it.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, SecretStr

from activities.account_setup import read
from activities.accounts import Accounts
from activities.domains.resolver import Resolver
from activities.providers import (
    Answer,
    ConfiguredProvider,
    InDoubt,
    Outgoing,
    ProviderConfig,
    ProviderFailure,
    Providers,
    SenderStopped,
    Surroundings,
    Unreachable,
)
from activities.providers.callback import Callback, CallbackRefused, CallbackRequest, CallbackUnreadable, Happening
from engine.engine import Engine
from models import ProviderAccount
from workspace import accounts

GOOD = "coo-coo-coo"
SIGNATURE = "x-pigeon-signature"


@dataclass
class Loft:
    """What has arrived, and how the next flight ends."""

    arrived: dict[str, Outgoing] = field(default_factory=dict)
    next: ProviderFailure | None = None
    is_there: bool = True
    lock: threading.Lock = field(default_factory=threading.Lock)


NAME_SERVERS = ["127.0.0.1:9"]
"""Whom the accounts of `accounts_of` ask about domains: nobody, unless a test has the fixture `dns`."""
LOFTS: dict[str, Loft] = {}
"""Name of a loft -> the loft; one that is not here does not answer."""


class PigeonConfig(ProviderConfig):
    """Where the pigeons fly from."""

    loft: str = Field(min_length=1, max_length=64, title="Loft", json_schema_extra={"destination": True})
    token: SecretStr = Field(SecretStr(""), max_length=200, title="Token")
    breed: Literal["homing", "racing"] = Field(
        "homing", title="Breed", json_schema_extra={"words": {"homing": "Homing", "racing": "Racing"}}
    )
    at_night: bool = Field(False, title="Flies at night")
    letters: int = Field(2, ge=1, le=9, title="Letters a flight")


class News(Callback):
    """The keeper of the loft tells what became of letters."""

    signed_with = "token"

    def check(self, request: CallbackRequest) -> None:
        ours, theirs = signed(self.config.token.get_secret_value(), request.url, request.body), request.headers.get(SIGNATURE, "")
        if not hmac.compare_digest(ours.encode(), theirs.encode()):
            raise CallbackRefused

    def read(self, request: CallbackRequest) -> Sequence[Happening]:
        try:
            return [
                Happening(
                    one["what"], datetime.fromisoformat(one["at"]), one.get("letter", ""), one.get("message", ""), one.get("code", "")
                )
                for one in json.loads(request.body)
            ]
        except (ValueError, KeyError, TypeError):
            raise CallbackUnreadable from None


class Pigeon(ConfiguredProvider):
    """Asks the loft what became of a letter."""

    name = "pigeon"
    label = "Carrier pigeons"
    channels = frozenset({"email", "sms"})
    delivery_check = "lookup"
    Config = PigeonConfig
    advice = ((r"pigeon_.*", "Feed the pigeons."),)
    callbacks: ClassVar[dict[str, type[Callback]]] = {"news": News}
    timeout_seconds = 2.0

    def __init__(self, config: PigeonConfig) -> None:
        self.config = config
        self.closed = False

    @classmethod
    def open(cls, config: PigeonConfig, around: Surroundings) -> Self:
        return cls(config)

    def send(self, message: Outgoing) -> Answer:
        loft = self._loft()
        failure, loft.next = loft.next, None
        if failure is not None and not isinstance(failure, InDoubt):
            raise failure
        with loft.lock:
            loft.arrived.setdefault(message.once_key, message)
        if failure is not None:
            raise failure
        return Answer(provider_id=f"letter-{hashlib.sha256(message.once_key.encode()).hexdigest()[:12]}")

    def lookup(self, once_key: str) -> Answer | None:
        found = self._loft().arrived.get(once_key)
        return Answer(provider_id=f"letter-{hashlib.sha256(once_key.encode()).hexdigest()[:12]}") if found else None

    def verify(self) -> None:
        self._loft()

    def close(self) -> None:
        self.closed = True

    def _loft(self) -> Loft:
        loft = LOFTS.get(self.config.loft)
        if loft is None or not loft.is_there:
            raise Unreachable("pigeon_no_loft", timedelta(seconds=1))
        if self.config.token.get_secret_value() != GOOD:
            raise SenderStopped("pigeon_token")
        return loft


def signed(token: str, url: str, body: bytes) -> str:
    return hmac.new(token.encode(), url.encode() + b"\n" + body, hashlib.sha256).hexdigest()


def settings_of(loft: str, **more: Any) -> dict[str, Any]:
    return {"loft": loft, "token": GOOD, **more}


def accounts_of(engine: Engine) -> Accounts:
    """The accounts of a live workspace that knows pigeons."""
    providers = Providers.built_in().with_kinds(Pigeon)
    around = Surroundings(engine.db, engine.clock.now)
    return Accounts(engine.db, providers, engine.address_keys, around, always_later, Resolver(NAME_SERVERS, seconds=30))


def always_later() -> float:
    """A clock by which a look is always old, so that no test waits for a second to pass."""
    return next(_ticks)


_ticks = (float(2 * n) for n in itertools.count())


def a_pigeon(town: Any) -> str:
    """An account that has been tested and carries a channel."""
    now = town.engine.clock.real_now()
    with town.db.write() as session:
        row = session.get(ProviderAccount, "pigeon.main")
        if row is not None and row.removed_at is not None:
            accounts.take_back(session, "pigeon.main", "test", now)
        elif row is None:
            given = read(Pigeon, settings_of("alps"))[1]
            accounts.add(session, town.engine.address_keys, "main", given, f"member:{town.members['admin']}", now)
            accounts.note_test(session, "pigeon.main", "", now)
            accounts.carry(session, {"sms": "pigeon.main"}, "test", now)
    return "/ui/settings/accounts/pigeon.main"
