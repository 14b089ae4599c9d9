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
from activities.providers.together import NO_DEVICE
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
        return RetryLater(failure.code, breakers.fails(_its(turn, failure), failure.code, refused=isinstance(failure, SenderStopped)))
    except InDoubt as failure:
        return failure
    except PolicyRefused as failure:
        suspicion = breakers.suspects(_its(turn, failure), failure.code, address, number)
        return failure if suspicion is None else RetryLater(failure.code, suspicion)
    except (RetryLater, AddressDead, MessageDead) as failure:
        if failure.code != NO_DEVICE:  # nobody was called then
            breakers.works(_its(turn, failure))
        return failure
    except ProviderFailure as failure:
        breakers.works(_its(turn, failure))
        raise
    _tell(breakers, turn, answer, address, number)
    return answer


def _its(turn: Turn, failure: ProviderFailure) -> Turn:
    """The turn of the account that failed. Where that is another one, whoever took `turn` gives it back."""
    return Turn(failure.account) if failure.account and failure.account != turn.account else turn


def _tell(breakers: Breakers, turn: Turn, answer: Answer, address: str, number: int) -> None:
    """The account works; of several that carried the message together, each hears its own."""
    if not answer.accounts:
        breakers.works(turn)
    for account, failure in answer.accounts.items():
        its = turn if account == turn.account else Turn(account)
        if isinstance(failure, SenderStopped | Unreachable):
            breakers.fails(its, failure.code, refused=isinstance(failure, SenderStopped))
        elif isinstance(failure, PolicyRefused):
            breakers.suspects(its, failure.code, address, number)
        else:
            breakers.works(its)
