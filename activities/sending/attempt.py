"""One call to a provider, and what came of it as a value: the same for a step of a run (`effect`) and for a message that is sent again (`again`).

Writes nothing to the database; the breaker of the account hears how it went.
"""

from __future__ import annotations

from collections.abc import Callable

from activities.providers.provider import (
    AddressDead,
    Answer,
    InDoubt,
    MessageDead,
    PolicyRefused,
    ProviderFailure,
    RetryLater,
    SenderStopped,
    Unreachable,
)
from activities.sending.breakers import Breakers, Turn

Result = Answer | RetryLater | InDoubt | AddressDead | MessageDead
"""Failures are values here: what they mean for the message, nothing of the account."""


def attempt(breakers: Breakers, turn: Turn, address: str, number: int, send: Callable[[], Answer]) -> Result:
    """Makes the call. A refusal that means the account, not the message, comes back as `RetryLater`. `number` counts the attempts from 1.

    Raises: ProviderFailure of another kind.
    """
    try:
        answer = send()
    except (SenderStopped, Unreachable) as failure:
        return RetryLater(failure.code, breakers.fails(turn, failure.code, refused=isinstance(failure, SenderStopped)))
    except InDoubt as failure:
        return failure
    except PolicyRefused as failure:
        suspicion = breakers.suspects(turn, failure.code, address, number)
        return failure if suspicion is None else RetryLater(failure.code, suspicion)
    except (RetryLater, AddressDead, MessageDead) as failure:
        breakers.works(turn)
        return failure
    except ProviderFailure:
        breakers.works(turn)
        raise
    breakers.works(turn)
    return answer
