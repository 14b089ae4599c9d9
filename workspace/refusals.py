"""Refused acts in the audit trail: who wanted what. A process writes a line a minute for the same, and a handful a minute for anybody."""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import datetime, timedelta

from models import Database
from workspace.audit import record

EVERY = timedelta(minutes=1)
MOST = 10
"""Different refusals of one actor that get a line within a minute."""
_REMEMBERED = 10_000


class Refusals:
    """What this process has written lately."""

    def __init__(self) -> None:
        self._lately: OrderedDict[str, tuple[datetime, set[str]]] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, db: Database, actor: str, what: str, now: datetime) -> None:
        """Writes it down, unless the same was a moment ago. `actor` as the audit trail names it, `what` such as `act:key.manage`."""
        if self._is_new(actor, what, now):
            with db.write() as session:
                record(session, actor, "refuse", what, {})

    def _is_new(self, actor: str, what: str, now: datetime) -> bool:
        with self._lock:
            since, known = self._lately.get(actor, (now, set[str]()))
            if now - since >= EVERY:
                since, known = now, set()
            if what in known or len(known) >= MOST:
                return False
            known.add(what)
            self._lately[actor] = since, known
            self._lately.move_to_end(actor)
            while len(self._lately) > _REMEMBERED:
                self._lately.popitem(last=False)
            return True
