"""The one clock of a workspace. Live it is the wall clock; staging may run it faster, from an anchor stored in the database's stamp.

Two times (decision 038). The product's own (`now`) is virtual: timers, events, rules, messages, consents, tasks, whatever a contact sees.
Real time (`real_now`) is for the world outside of it: what keeps strangers out (sessions, links, codes, locks, the life of keys), what processes
agree on among each other (leases, signs of life, patience, pauses between attempts) and the audit trail. Temporal is handed real time
(`to_real`). An instant of one is never compared with an instant of the other; columns say which they hold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any


def _wall() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """`factor` virtual seconds pass per real second since the anchors. The default is the wall clock itself. `read` tells real time."""

    factor: float = 1.0
    real_anchor: datetime = datetime(2000, 1, 1, tzinfo=UTC)
    virtual_anchor: datetime = datetime(2000, 1, 1, tzinfo=UTC)
    read: Callable[[], datetime] = _wall

    @classmethod
    def from_stamp(cls, data: dict[str, Any]) -> Clock:
        """From the JSON of `Stamp.clock`; an empty object is the wall clock."""
        if not data:
            return cls()
        return cls(data["factor"], datetime.fromisoformat(data["real_anchor"]), datetime.fromisoformat(data["virtual_anchor"]))

    def now(self) -> datetime:
        """Aware UTC, virtual."""
        return self.to_virtual(self.real_now())

    def real_now(self) -> datetime:
        """Aware UTC, whatever day it is in the workspace. An authenticator app goes by it, and so does the other process that holds a lease:
        winding staging forward must neither log everybody out nor let an expired link in, nor take anything from whoever works at it."""
        return self.read()

    def later(self, virtual: datetime, span: timedelta) -> datetime:
        """The instant of the product's clock a `span` of real time after `virtual` (before it, where negative): for patience and pauses beside
        what is stamped by it."""
        return self.to_virtual(self.to_real(virtual) + span)

    def to_virtual(self, real: datetime) -> datetime:
        return self.virtual_anchor + (real - self.real_anchor) * self.factor if self._moves else real

    def to_real(self, virtual: datetime) -> datetime:
        return self.real_anchor + (virtual - self.virtual_anchor) / self.factor if self._moves else virtual

    @property
    def _moves(self) -> bool:
        return self.factor != 1.0 or self.real_anchor != self.virtual_anchor
