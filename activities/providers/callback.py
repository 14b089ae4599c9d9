"""What a provider tells afterwards, by calling us: who signed it, and what happened, in words that are the same for every provider.

A callback is read in two steps, and never the second without the first: `verify` looks at the signature over the bytes as they came, `read`
turns them into `Happening`s. Neither touches the database; `api.callbacks` stores and routes.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal

log = logging.getLogger(__name__)

Kind = Literal["sent", "delivered", "bounced", "soft_bounced", "failed", "opted_out", "complained", "read"]
"""`sent`: the provider has taken it, which settles a message in doubt; `bounced`: the address is dead for good; `soft_bounced`: it takes nothing now,
and is dead if that goes on; `failed`: this message did not arrive, the address is fine; `opted_out`: nor will another, its owner has
said so; `read`: the recipient has opened it, which counts as by our own links where opens may be measured. Clicks are counted by those alone."""


class CallbackRefused(Exception):
    """The call is not signed by the provider, or not for this account."""


class CallbackUnreadable(Exception):
    """The call is signed and cannot be read: the provider shall try again, or somebody must look."""


class CallbackLater(Exception):
    """It cannot be said now whether the call is signed: the provider shall call again."""


@dataclass(frozen=True, slots=True)
class CallbackRequest:
    """A call as it came. `url` is the public one (providers sign it), `headers` have names in lower case."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    received_at: datetime | None = None
    """Real time, for signatures that do not last; who judges by it refuses a call without."""


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that became of one message.

    The message is named by `message_id` (ours, from `Outgoing.message_id`) where the provider keeps that, else by `provider_id` (the provider's
    name for it). Each kind is taken once for a message. `at` None: the provider does not say when. `code` is a code, never text from outside.
    """

    kind: Kind
    at: datetime | None
    provider_id: str = ""
    message_id: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """Somebody wrote to us. `provider_id` is the provider's name for what they wrote; `intent` is what the provider made of it, where it says so.
    `message_id` (ours) is the message that they answer, where that is proven; `is_proven` says that they are who they say: the network vouches
    for a phone number, nobody for the sender of a mail. Unless it `sets_off` something, its word is heeded and nothing is told of it."""

    channel: str
    sender: str = field(repr=False)
    text: str = field(repr=False)
    provider_id: str
    intent: Literal["", "stop", "start"] = ""
    message_id: str = ""
    is_proven: bool = True
    sets_off: bool = True


@dataclass(frozen=True, slots=True)
class Pressed:
    """Somebody of the team pressed a button of a message. `user` is the provider's name for them, `value` what the button says
    (`Button.value`), `answer_at` where they alone can be answered; empty: nowhere."""

    user: str
    value: str
    answer_at: str = field(default="", repr=False)


class Callback(ABC):
    """One address that a provider calls. `config` is that of the account the address belongs to."""

    signed_with: ClassVar[str]
    """The field of `config` with which the provider signs. While it is empty, anybody could sign, and no call is taken."""
    answer: ClassVar[tuple[str, str] | None] = None
    """(media type, text) that the provider wants to hear when all is well; None: it reads no answer."""

    def __init__(self, config: Any) -> None:
        self.config = config

    def verify(self, request: CallbackRequest) -> None:
        """Raises: CallbackRefused, unless `check` ends well: what it cannot cope with was not made by the provider; CallbackLater."""
        try:
            if not getattr(self.config, self.signed_with):
                raise CallbackRefused
            self.check(request)
        except (CallbackRefused, CallbackLater):
            raise
        except Exception as error:  # noqa: BLE001 - the text may hold what a stranger sent
            log.warning("%s could not check a call: %s", type(self).__name__, type(error).__name__)
            raise CallbackRefused from None

    @abstractmethod
    def check(self, request: CallbackRequest) -> None:
        """Raises: CallbackRefused, unless the provider has signed the call with what `config` holds; CallbackLater: nobody can say now."""

    @abstractmethod
    def read(self, request: CallbackRequest) -> Sequence[Happening | Reply | Pressed]:
        """What it tells, in its order; what is of no interest is left out. Raises: CallbackUnreadable; CallbackLater."""
