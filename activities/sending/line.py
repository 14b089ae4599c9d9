"""Which of the accounts that share a channel a message goes through: drawn by its key, so that a retry or a crash asks the same one, and the next in
order while that one takes nothing.

It decides only about messages that certainly have not left. Who finds a call in doubt asks the account that made it (`activities.sending.effect`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from activities.sending.breakers import SLOWED, Breakers, Stopped, Turn
from activities.sending.handler import ChannelHandler, named
from journeys.draws import draw


@dataclass(frozen=True, slots=True)
class Member:
    """An account in the line of a channel. `share`: percent of the messages; `domains`: from which it may send, such as `@shop.example`; None: from any."""

    account: str
    share: int
    domains: frozenset[str] | None = None

    def may_send(self, sender: str) -> bool:
        return self.domains is None or not sender or sender in self.domains


def in_order(line: Sequence[Member], once_key: str, sender: str) -> list[Member]:
    """Those that may send it, the drawn one first, then whoever stands in: the next in the line, from its end on from its beginning.

    With shares of 70 and 30, 70 of 100 keys draw the first.
    """
    able = [one for one in line if one.may_send(sender)]
    rest = draw("account", once_key) * sum(one.share for one in able)
    for number, one in enumerate(able):
        if rest < one.share:
            return [*able[number:], *able[:number]]
        rest -= one.share
    return able


def choose(
    breakers: Breakers, able: Sequence[ChannelHandler], *, marketing: bool = False, sender: str = ""
) -> tuple[ChannelHandler, Turn | Stopped]:
    """The first of `able` that takes a message now and has room today, with its turn; the very first, where none does: it waits for that one. An account
    that is only slowed lets its messages wait, and so does a domain that is stopped: no other account would change that."""
    for performer in able if len(able) > 1 else ():
        account = named(performer)["account"]
        if not breakers.takes(account, marketing=marketing) or (marketing and breakers.quotas.is_full(account)):
            continue
        turn = breakers.turn(account, performer.timeout_seconds, marketing=marketing, sender=sender)
        if isinstance(turn, Turn) or turn.name == sender or turn.code == SLOWED:
            return performer, turn
    first = able[0]
    return first, breakers.turn(named(first)["account"], first.timeout_seconds, marketing=marketing, sender=sender)
