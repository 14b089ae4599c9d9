"""Providers: who carries a message to the outside world. One file each; `provider.py` says what they have in common."""

from activities.providers.provider import (
    AddressDead,
    Answer,
    Doubt,
    InDoubt,
    MessageDead,
    Outgoing,
    Provider,
    ProviderFailure,
    RetryLater,
    SenderStopped,
)

__all__ = [
    "AddressDead",
    "Answer",
    "Doubt",
    "InDoubt",
    "MessageDead",
    "Outgoing",
    "Provider",
    "ProviderFailure",
    "RetryLater",
    "SenderStopped",
]
