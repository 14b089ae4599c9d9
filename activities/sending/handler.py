"""What performs one kind of call: how it is prepared, whether it may go, and how it is made. `effect` runs them all alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, Self

from sqlalchemy import Row
from sqlalchemy.orm import Session

from activities.providers.provider import Answer, DeliveryCheck, Provider
from activities.sending.gate import Verdict
from engine.clock import Clock
from engine.interpreter.state import State
from journeys.compile import Program
from journeys.values import Call
from models import Contact, Database

Person = Contact | Row[Any]
"""A contact's row, as the model or plain: reading it plain costs a third."""


@dataclass(frozen=True, slots=True)
class Job:
    """A call that has come due: the run's row, its state and program, and the key that makes it happen once."""

    row: Row[Any]
    program: Program
    state: State
    call: Call
    number: int
    as_of: datetime
    clock: Clock
    db: Database | None = None
    """For what is kept for the call before it is prepared; None: nothing can be kept."""

    @property
    def once_key(self) -> str:
        return f"{self.row.id}:{self.state.node}:{self.state.visit}"

    @property
    def fixed(self) -> dict[str, Any]:
        """What the ledger row says about every call."""
        return {
            "run_id": self.row.id,
            "journey_id": self.row.journey_id,
            "version_number": self.row.version_number,
            "node": self.state.node,
            "contact_id": self.row.contact_id,
            "channel": self.call.channel,
            "priority": self.program.settings.priority,
        }


@dataclass(frozen=True, slots=True)
class Draft:
    """A prepared call: `payload` is for the performer's own `send`; `ledger` are further columns of the row."""

    payload: Any
    ledger: Mapping[str, Any] = field(default_factory=dict)
    sender: str = ""
    """The domain that it is from, as its rates and limits are named (`@shop.example`); empty where there is none."""

    @property
    def is_marketing(self) -> bool:
        return self.ledger.get("message_class") == "marketing"


AddressReason = Literal["dead", "opted_out"]
"""Why a provider will take nothing more for an address."""


class CannotPrepare(Exception):
    """It can never be made as it stands; `code` is recorded and the message is skipped."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class ChannelHandler(Protocol):
    """One channel. `outlets` says where the three fates lead: sent, skipped, failed."""

    @property
    def name(self) -> str: ...

    @property
    def delivery_check(self) -> DeliveryCheck: ...

    @property
    def timeout_seconds(self) -> float: ...

    @property
    def remembers(self) -> timedelta:
        """How long whoever is called knows a key, so that a call repeated with it does nothing more; zero where nobody can say."""

    @property
    def outlets(self) -> Mapping[str, str]: ...

    def prepare(self, session: Session, job: Job) -> Draft:
        """Renders; reads only. Raises: CannotPrepare; RenderBusy, when it may be tried again."""

    def ask(self, session: Session, contact: Person | None, job: Job, draft: Draft) -> Verdict:
        """The gate, in the claiming transaction, about what was prepared."""

    def record(self, session: Session, job: Job, draft: Draft, address: str) -> Mapping[str, Any]:
        """Stores what must exist before the call (body, links); returns further ledger columns."""

    def send(self, job: Job, draft: Draft, address: str, attempt: int) -> Answer:
        """The call itself, outside of any transaction. Raises: ProviderFailure."""

    def lookup(self, once_key: str) -> Answer | None:
        """Asks what became of a doubtful call; only where `delivery_check` is `lookup`."""

    def address_refused(self, session: Session, job: Job, address: str, reason: AddressReason) -> None:
        """The address is dead, or wants nothing more: whatever must be remembered about it."""


@dataclass(slots=True, kw_only=True)
class Carried:
    """What all performers have in common that go through a provider account. `account` is its name, such as `smtp.default`; empty where the
    composition has none by name. One attempt keeps the account it began with, whatever people change meanwhile."""

    account: str = ""

    @property
    def reaches_people(self) -> bool:
        """Whether what leaves here can reach anybody."""
        return True

    def through(self, account: str, provider: Provider) -> Self:
        """The same performer on another account."""
        return replace(self, account=account, provider=provider)  # type: ignore[call-arg]


def named(performer: ChannelHandler) -> dict[str, str]:
    """Who performs, as the ledger's row says it."""
    return {"provider": performer.name, "account": performer.account if isinstance(performer, Carried) else ""}
