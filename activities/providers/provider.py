"""What a provider is: one file that hands one message to the outside world and says honestly what became of it.

A provider is called from worker threads, several at a time. It answers `Answer` when the other side accepted, and raises one of
the five failures otherwise; each provider sorts what it hears by one table. Failures carry codes only: no text from outside, no
address, because they travel into Temporal histories and logs.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self, runtime_checkable

from pydantic import BaseModel, ConfigDict

from activities.providers.callback import Callback
from activities.webhooks.address_guard import Guard
from models import Database

if TYPE_CHECKING:
    from activities.http_client import HttpFailure
    from journeys.paper import Paper

DeliveryCheck = Literal["idempotent", "lookup", "blind"]
"""What to do when nobody knows whether a call arrived: repeat it with the same key, ask with `lookup`, or wait for an echo."""

_HEADER_NAME = re.compile(r"[!-9;-~]{1,76}")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_CODE = re.compile(r"[^A-Za-z0-9_.:-]")


@dataclass(frozen=True, slots=True)
class Button:
    """Below a message to the team: it opens `url`, or tells us `value` (`activities.providers.callback.Pressed`). `is_first`: the one that most want."""

    label: str
    url: str = ""
    value: str = ""
    is_first: bool = False


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message, ready to go. `once_key` names it for good: the same key is the same message.

    `sender` is an address or `Name <address>`; `headers` are extra ones (List-Unsubscribe); `metadata` is passed on where a
    provider can attach it and holds ids only. `parts`: the parts of the template that have no field here, by their names, as the channel
    lists them (`journeys.channels`). `lifetime`: for how long it is worth having; None: as the provider sees fit. `urgency` is low, normal or high.
    `replaces`: messages with the same one take each other's place on a screen; empty: this one takes nobody's.

    Raises:
        MessageDead: a control character (line breaks included) where it could end a header: `bad_header`.
    """

    once_key: str
    message_id: str
    channel: str
    recipient: str
    sender: str = ""
    reply_to: str = ""
    subject: str = ""
    html: str = ""
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)
    documents: tuple[bytes, ...] = field(default=(), repr=False)
    """What is printed, as PDF on the provider's `paper`: both sides, or one after the other; empty for providers that print nothing."""
    lifetime: timedelta | None = None
    urgency: str = "normal"
    replaces: str = ""
    buttons: tuple[Button, ...] = ()
    """For channels that show some; others leave them out."""

    def __post_init__(self) -> None:
        lines = (self.once_key, self.recipient, self.sender, self.reply_to, self.subject, *self.headers.values())
        if any(_CONTROL.search(line) for line in lines):
            raise MessageDead("bad_header")
        if not all(_HEADER_NAME.fullmatch(name) for name in self.headers):
            raise MessageDead("bad_header")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider said. `provider_id` is its name for the message; `raw` holds ids and codes, never text or addresses.

    `status` is `failed` only from `lookup`: the provider knows the message and did not deliver it; `kind` is then its code. `accounts`: where
    several carried it together, what became of it at each (account -> its failure, None if it took it).
    """

    status: Literal["sent", "failed"] = "sent"
    provider_id: str = ""
    kind: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict)
    accounts: Mapping[str, ProviderFailure | None] = field(default_factory=dict)


class ProviderFailure(Exception):
    """A call that did not end in an answer. `code` is short and stable, such as `smtp_550_5.1.1`. `account`: whose it is, where that is another
    than the one that carries the channel."""

    sort: ClassVar[str] = ""
    account: str = ""

    def __init__(self, code: str) -> None:
        self.code = _CODE.sub("_", code)[:64]
        super().__init__(self.code)


class RetryLater(ProviderFailure):
    """Certainly not sent; the same message may go `after` a while."""

    sort = "retry_later"

    def __init__(self, code: str, after: timedelta = timedelta(seconds=60)) -> None:
        super().__init__(code)
        self.after = after


class Unreachable(RetryLater):
    """Certainly not sent: nobody answers there, or they take nothing from anybody now. No message is to blame."""


class MessageDead(ProviderFailure):
    """Certainly not sent, and this message never will be; the address is fine."""

    sort = "message_dead"


class PolicyRefused(MessageDead):
    """Certainly not sent, refused by somebody's policy. Whether this recipient, this message or the whole account is meant does not show in one
    answer: many different recipients refused in a row mean the account."""

    sort = "policy_refused"


class OptedOut(MessageDead):
    """Certainly not sent: the recipient has told the provider that they want nothing more on this channel."""

    sort = "opted_out"


class AddressDead(ProviderFailure):
    """Certainly not sent: the address does not exist. A hard bounce."""

    sort = "address_dead"


class SenderStopped(ProviderFailure):
    """Certainly not sent: the account is refused. Nothing else will go through until somebody sees to it."""

    sort = "sender_stopped"


class InDoubt(ProviderFailure):
    """Nobody knows: the message was handed over and no answer came."""

    sort = "in_doubt"


def unanswered(failure: HttpFailure, name: str, after: timedelta, *, in_doubt: bool) -> ProviderFailure:
    """What it means that a provider's server has not answered; the codes begin with its `name`. `in_doubt`: the request would have sent the
    message, so nobody knows once it may have arrived."""
    if in_doubt and failure.arrived:
        return InDoubt(f"{name}_no_answer")
    if failure.code == "bad_request":
        return MessageDead(f"{name}_bad_request")
    return SenderStopped(f"{name}_certificate") if failure.code == "certificate" else Unreachable(f"{name}_unreachable", after)


@dataclass(frozen=True, slots=True)
class ApprovedTemplate:
    """A template that the provider may send at any time: `wording` with {{1}}, {{2}} … for its values. `standing`: what the provider says of it, such as
    approved, pending or rejected. Texts from outside: for pages only."""

    id: str
    name: str
    language: str
    wording: str
    standing: str


class Provider(Protocol):
    """One account at one provider, ready to send: all that those who send ask of it.

    `timeout_seconds` bounds one `send`, connection included: the ledger's lease and the graceful shutdown are longer. `remembers` says how
    long it knows a once key, so that the same message sent again goes nowhere; zero unless `delivery_check` is `idempotent`.
    """

    @property
    def name(self) -> str: ...

    @property
    def channels(self) -> frozenset[str]: ...

    @property
    def delivery_check(self) -> DeliveryCheck: ...

    @property
    def remembers(self) -> timedelta: ...

    @property
    def reaches_people(self) -> bool: ...

    @property
    def reaches(self) -> frozenset[str]:
        """The kinds of devices it reaches (`models.Device`), for channels that reach devices; empty: it asks for none."""

    @property
    def timeout_seconds(self) -> float: ...

    def send(self, message: Outgoing) -> Answer:
        """Hands the message over.

        Raises:
            ProviderFailure: one of the five kinds.
        """

    def lookup(self, once_key: str) -> Answer | None:
        """What became of a message; None if the provider never got it. Asked only of providers whose `delivery_check` is `lookup`.

        Raises:
            RetryLater: the provider does not answer now.
        """

    def verify(self) -> None:
        """Checks address and credentials without sending.

        Raises:
            ProviderFailure: why nothing could be sent.
        """

    def close(self) -> None:
        """Gives up its connections; no call may follow."""


@runtime_checkable
class Printer(Protocol):
    """A provider that prints: it wants `Outgoing.documents` on its `paper`, the address on it unless it `adds_address` itself."""

    @property
    def paper(self) -> Paper: ...

    @property
    def adds_address(self) -> bool: ...

    @property
    def separates_sides(self) -> bool: ...


@runtime_checkable
class Conversation(Protocol):
    """A provider whose messages can be changed and answered by a press on a button. `delivery_check` and all else is as of any other."""

    def revise(self, message: Outgoing) -> None:
        """The message of the same once key now says this; nothing, where this account has posted none. Raises: ProviderFailure."""

    def person(self, user: str) -> str | None:
        """The e-mail address of one of its users that the provider vouches for; None: it does not. Raises: ProviderFailure."""

    def reply(self, answer_at: str, text: str) -> None:
        """Tells whoever pressed a button (`Pressed.answer_at`), and nobody else. Raises: ProviderFailure."""


class ProviderConfig(BaseModel):
    """What an account of a provider is set up with. A field's title and description are its label and its hint in the account form (both are
    message ids), its type and bounds what the form takes; a `SecretStr` is stored sealed and never shown again. A field that decides where the secrets are sent says
    `json_schema_extra={"destination": True}`: when it changes, they must be typed again. Where none says so, every field does that is no secret and does not deny
    it (`False`). What nobody types says `{"made": True}`: no form shows it, and it stays whatever else changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The account's own DKIM key as the DNS of each sending domain must hold it: `value` as TXT under `selector._domainkey.DOMAIN`."""

    selector: str
    value: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an account may use besides its configuration. `account` is its own name, empty while it is only tried; `public_url` where people
    and providers reach us. `return_path`: address and message id -> the address that undeliverable mail comes back to, by which its message is known
    again; None: nobody signs it. `guard`: which addresses an account may call whose host somebody types."""

    db: Database
    now: Callable[[], datetime]
    public_url: str = ""
    account: str = ""
    return_path: Callable[[str, str], str] | None = None
    guard: Guard = field(default_factory=Guard)

    def callback_url(self, route: str) -> str:
        """Where the provider shall report; empty where nobody would listen."""
        return f"{self.public_url}/callbacks/{self.account}/{route}" if self.public_url and self.account else ""


Advice = Sequence[tuple[str, str]]
"""(pattern of a failure's code, what to do about it as a message id); the first that fits counts."""


class ConfiguredProvider(ABC):
    """A provider that accounts are made of: one class in one file of this folder, named once in `registry.BUILT_IN`.

    Whatever the product says or asks about a provider it reads here: the account form, `doctor`, the pages, the interface, the router of
    callbacks, the conformance suite. Nothing else knows a provider by its name.
    """

    name: str
    """`[a-z][a-z0-9_]*`; for good, since ledger rows and accounts carry it."""
    label: ClassVar[str]
    """What people call it; a message id."""
    channels: frozenset[str]
    delivery_check: DeliveryCheck
    remembers: timedelta = timedelta(0)
    reaches_people: bool = True
    """False: what it takes stays in the house."""
    reaches: frozenset[str] = frozenset()
    """As `Provider.reaches`."""
    collects: ClassVar[bool] = False
    """Whether its accounts are mailboxes that mails are read from (`activities.inbound.mailboxes`)."""
    browser_key: str = ""
    """What browsers must subscribe with so that this account reaches them; empty: it reaches none."""
    Config: ClassVar[type[ProviderConfig]] = ProviderConfig
    advice: ClassVar[Advice] = ()
    own_key: ClassVar[bool] = False
    """Whether accounts can sign e-mails with a DKIM key of their own (`with_new_key`)."""
    mail_domain: ClassVar[str] = ""
    """Pattern of the domain of Message-IDs that the provider gives to mails, if it does: what stands before it is then its name for the message."""
    callbacks: ClassVar[Mapping[str, type[Callback]]] = {}
    """Last part of the address under `/callbacks/ACCOUNT/` -> who reads what comes in there."""
    calls_for: ClassVar[str] = "Enter at the provider, so that it reports deliveries and bounces:"
    """What these addresses are for, as a message id."""
    timeout_seconds: float

    @classmethod
    @abstractmethod
    def open(cls, config: Any, around: Surroundings) -> Self:
        """An account set up with `config`, an instance of `Config`. Connects nowhere yet."""

    @classmethod
    def server_of(cls, config: Any) -> str:
        """The host that mails leave through, for what the DNS says of it; empty: nobody knows."""
        return ""

    @classmethod
    def returns_to(cls, config: Any) -> str:
        """The domain that what cannot be delivered comes back to; empty: that of the sender."""
        return ""

    @classmethod
    def signs_with(cls, config: Any) -> SigningKey | None:
        """The DKIM key that an account signs with itself; None: it does not."""
        return None

    def has_proven(self, domain: str) -> bool | None:
        """Whether the provider itself has seen that the account owns a sending domain, and signs for it; None: it leaves that to the DNS.

        Raises: ProviderFailure.
        """
        return None

    @classmethod
    def with_new_key(cls, config: Any) -> Any:
        """The configuration with a new DKIM key; None: accounts of this provider have none of their own."""
        return None

    @abstractmethod
    def send(self, message: Outgoing) -> Answer:
        """As `Provider.send`."""

    @abstractmethod
    def verify(self) -> None:
        """As `Provider.verify`: leaves no message with anybody."""

    def lookup(self, once_key: str) -> Answer | None:
        """As `Provider.lookup`; only those whose `delivery_check` is `lookup` are asked."""
        return None

    def approved_templates(self) -> Sequence[ApprovedTemplate]:
        """What an author can choose from where only approved templates leave, the newest first; empty where there is nothing to choose.

        Raises: ProviderFailure.
        """
        return ()

    @abstractmethod
    def close(self) -> None:
        """As `Provider.close`."""
