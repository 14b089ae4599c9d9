"""Providers: who carries a message to the outside world. One file each; `provider.py` says what they have in common.

Only the outbox, which reaches nobody, is imported here: a process that must not send does not even load the others.
"""

from activities.providers.outbox import Outbox
from activities.providers.provider import (
    AddressDead,
    Answer,
    ApprovedTemplate,
    ConfiguredProvider,
    DeliveryCheck,
    InDoubt,
    MessageDead,
    OptedOut,
    Outgoing,
    PolicyRefused,
    Provider,
    ProviderConfig,
    ProviderFailure,
    RetryLater,
    SenderStopped,
    SigningKey,
    Surroundings,
    Unreachable,
)
from activities.providers.registry import Providers

__all__ = [
    "AddressDead",
    "Answer",
    "ApprovedTemplate",
    "ConfiguredProvider",
    "DeliveryCheck",
    "InDoubt",
    "MessageDead",
    "OptedOut",
    "Outbox",
    "Outgoing",
    "PolicyRefused",
    "Provider",
    "ProviderConfig",
    "ProviderFailure",
    "Providers",
    "RetryLater",
    "SenderStopped",
    "SigningKey",
    "Surroundings",
    "Unreachable",
]
