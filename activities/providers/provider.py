"""What a provider is: one file that hands one message to the outside world and says honestly what became of it.

A provider is called from worker threads, several at a time. It answers `Answer` when the other side accepted, and raises one of
the five failures otherwise; each provider sorts what it hears by one table. Failures carry codes only: no text from outside, no
address, because they travel into Temporal histories and logs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar, Literal, Protocol

Doubt = Literal["idempotent", "lookup", "blind"]
"""What to do when nobody knows whether a call arrived: repeat it with the same key, ask with `lookup`, or wait for an echo."""

_HEADER_NAME = re.compile(r"[!-9;-~]{1,76}")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_CODE = re.compile(r"[^A-Za-z0-9_.:-]")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message, ready to go. `once_key` names it for good: the same key is the same message.

    `sender` is an address or `Name <address>`; `headers` are extra ones (List-Unsubscribe); `metadata` is passed on where a
    provider can attach it and holds ids only.

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

    def __post_init__(self) -> None:
        lines = (self.once_key, self.recipient, self.sender, self.reply_to, self.subject, *self.headers.values())
        if any(_CONTROL.search(line) for line in lines):
            raise MessageDead("bad_header")
        if not all(_HEADER_NAME.fullmatch(name) for name in self.headers):
            raise MessageDead("bad_header")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider said. `provider_id` is its name for the message; `raw` holds ids and codes, never text or addresses.

    `status` is `failed` only from `lookup`: the provider knows the message and did not deliver it; `kind` is then its code.
    """

    status: Literal["sent", "failed"] = "sent"
    provider_id: str = ""
    kind: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict)


class ProviderFailure(Exception):
    """A call that did not end in an answer. `code` is short and stable, such as `smtp_550_5.1.1`."""

    sort: ClassVar[str] = ""

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


class AddressDead(ProviderFailure):
    """Certainly not sent: the address does not exist. A hard bounce."""

    sort = "address_dead"


class SenderStopped(ProviderFailure):
    """Certainly not sent: the account is refused. Nothing else will go through until somebody sees to it."""

    sort = "sender_stopped"


class InDoubt(ProviderFailure):
    """Nobody knows: the message was handed over and no answer came."""

    sort = "in_doubt"


class Provider(Protocol):
    """One account at one provider.

    `timeout_seconds` bounds one `send`, connection included: the ledger's lease and the graceful shutdown are longer. `remembers` says how
    long it knows a once key, so that the same message sent again goes nowhere; zero unless `doubt` is `idempotent`.
    """

    name: str
    channels: frozenset[str]
    doubt: Doubt
    remembers: timedelta
    timeout_seconds: float

    def send(self, message: Outgoing) -> Answer:
        """Hands the message over.

        Raises:
            ProviderFailure: one of the five kinds.
        """

    def lookup(self, once_key: str) -> Answer | None:
        """What became of a message; None if the provider never got it. Asked only of providers whose `doubt` is `lookup`.

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
