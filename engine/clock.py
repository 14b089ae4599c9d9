"""The one clock of a workspace. Live it is the wall clock; staging may run it faster, from an anchor stored in the database's stamp.

Everything inside the product is virtual time; only what is handed to Temporal (`to_real`) and what comes from it (`to_virtual`)
is real, and what keeps strangers out (`real_now`): sessions, links, codes, locks after wrong tries and the life of keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Clock:
    """`factor` virtual seconds pass per real second since the anchors. The default is the wall clock itself."""

    factor: float = 1.0
    real_anchor: datetime = datetime(2000, 1, 1, tzinfo=UTC)
    virtual_anchor: datetime = datetime(2000, 1, 1, tzinfo=UTC)

    @classmethod
    def from_stamp(cls, data: dict[str, Any]) -> Clock:
        """From the JSON of `Stamp.clock`; an empty object is the wall clock."""
        if not data:
            return cls()
        return cls(data["factor"], datetime.fromisoformat(data["real_anchor"]), datetime.fromisoformat(data["virtual_anchor"]))

    def now(self) -> datetime:
        """Aware UTC, virtual."""
        return self.to_virtual(datetime.now(UTC))

    def real_now(self) -> datetime:
        """Aware UTC, whatever day it is in the workspace: for sessions, one-time links and codes, locks, and keys. An authenticator app goes by
        it, and winding staging forward must neither log everybody out nor let an expired link in."""
        return datetime.now(UTC)

    def to_virtual(self, real: datetime) -> datetime:
        return self.virtual_anchor + (real - self.real_anchor) * self.factor if self._moves else real

    def to_real(self, virtual: datetime) -> datetime:
        return self.real_anchor + (virtual - self.virtual_anchor) / self.factor if self._moves else virtual

    @property
    def _moves(self) -> bool:
        return self.factor != 1.0 or self.real_anchor != self.virtual_anchor
