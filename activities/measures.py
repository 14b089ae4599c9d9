"""What a worker counts while it works; who reads the numbers is not this room's concern (`api.worker_port`)."""

from __future__ import annotations

from typing import Protocol


class Measures(Protocol):
    """Told after each attempt."""

    def stepped(self, op: str, seconds: float) -> None:
        """A step was asked for; `op` is what its run does now: do, wait or end, or `error`."""

    def performed(self, channel: str, outcome: str, seconds: float) -> None:
        """An attempt of an effect ended: with the call's outcome (for a message its status), `moved` if no call was due any more, why it comes
        back (held, busy, retry_later), or `error`."""


class NoMeasures:
    """Counts nothing."""

    def stepped(self, op: str, seconds: float) -> None:
        pass

    def performed(self, channel: str, outcome: str, seconds: float) -> None:
        pass
