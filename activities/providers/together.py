"""Several accounts that carry one channel together, each to its own kinds of devices, as one provider: a message goes to all of them.

It is sent once one of them has taken it ([decision 045](../../docs/decisions/045-one-message-to-all-devices.md)). What each said goes along with
the answer, so that an account that is refused is seen although another one answered. Which accounts these are, and whether one is stopped,
the caller knows. It opens and closes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from activities.providers.provider import (
    AddressDead,
    Answer,
    DeliveryCheck,
    InDoubt,
    MessageDead,
    Outgoing,
    Provider,
    ProviderFailure,
    RetryLater,
    SenderStopped,
    Unreachable,
)

WORST_FIRST: tuple[type[ProviderFailure], ...] = (InDoubt, SenderStopped, Unreachable, RetryLater, MessageDead, AddressDead)
"""Where nobody took a message, what counts: first what may have arrived, then what can still be mended, last what cannot."""
NO_DEVICE = "push_no_device"
"""The contact has no device that this account reaches; another one's may be."""


def worst(failures: Sequence[ProviderFailure]) -> ProviderFailure:
    """The failure that stands for all of them."""
    return min(failures, key=lambda failure: next(n for n, kind in enumerate(WORST_FIRST) if isinstance(failure, kind)))


class Together:
    """`parts`: (account, provider), the one whose name the ledger keeps first. `why_stopped`: the code of an account that takes nothing now,
    empty if it does."""

    def __init__(self, parts: Sequence[tuple[str, Provider]], why_stopped: Callable[[str], str]) -> None:
        self._parts = parts
        self._why_stopped = why_stopped
        providers = [provider for _, provider in parts]
        self.name = providers[0].name
        self.channels = frozenset.intersection(*(one.channels for one in providers))
        self.delivery_check: DeliveryCheck = "idempotent" if all(one.delivery_check == "idempotent" for one in providers) else "blind"
        self.remembers: timedelta = min(one.remembers for one in providers)
        self.reaches_people = any(one.reaches_people for one in providers)
        self.reaches = frozenset().union(*(one.reaches for one in providers))
        self.timeout_seconds = sum(one.timeout_seconds for one in providers)

    def send(self, message: Outgoing) -> Answer:
        answers: list[Answer] = []
        said: dict[str, ProviderFailure | None] = {}
        for account, provider in self._parts:
            try:
                answers.append(self._sent(account, provider, message))
                said[account] = None
            except ProviderFailure as failure:
                failure.account = account
                said[account] = failure
        failures = [failure for failure in said.values() if failure is not None]
        heard = {account: failure for account, failure in said.items() if failure is None or failure.code != NO_DEVICE}
        if not answers:
            raise worst([failure for failure in failures if failure.code != NO_DEVICE] or failures)
        counts = {name: sum(int(one.raw.get(name, 0)) for one in answers) for name in ("devices", "taken", "gone")}
        return Answer(provider_id=answers[0].provider_id, raw=counts, accounts=heard)

    def _sent(self, account: str, provider: Provider, message: Outgoing) -> Answer:
        """A stopped one is not asked: the keeper finds out when it works again. The first one's stop its caller knows already."""
        why = self._why_stopped(account) if account != self._parts[0][0] else ""
        if why:
            raise Unreachable(why)
        return provider.send(message)

    def lookup(self, once_key: str) -> Answer | None:
        return None

    def verify(self) -> None:
        for _, provider in self._parts:
            provider.verify()

    def close(self) -> None:
        """Each account is closed by itself."""
