"""At most so many log lines a minute from one place of the code: whoever can make us write a line could else fill a disk with it.

Refused log-ins, keys that are none, broken JSON, a socket that sends nonsense: each is one place of the code, however many ask. What was left
out is counted, and the count is written once its minute is over. Answers that refuse (4xx, 5xx) are one place of the access log. Lines that
are needed whole (heads of the audit trail) and the access log of what was answered are not limited.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TextIO

WINDOW_SECONDS = 60.0
MOST = 60
"""Lines a minute from one place."""
MOST_REFUSED = 600
"""Lines a minute of the access log about requests that were refused."""
MAX_CHARACTERS = 16_384
"""Of one line, with its traceback."""
ACCESS = "pfadwerk.access"
UNLIMITED = ("pfadwerk.audit",)

Place = tuple[str, str, int]


@dataclass(slots=True)
class _Window:
    """`written` and `left_out` lines of one place since `began`, in seconds of the monotonic clock."""

    began: float
    written: int = 0
    left_out: int = 0


class LimitedHandler(logging.StreamHandler[TextIO]):
    """A handler that writes at most `MOST` lines a minute from one place, and how many more there were."""

    def __init__(self, stream: TextIO, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream)
        self._monotonic = monotonic
        self._windows: dict[Place, _Window] = {}
        self._next_look = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        now = self._monotonic()
        for place, count in self._ended(now):
            super().emit(_counted(place, count))
        if self._takes(record, now):
            super().emit(record)

    def close(self) -> None:
        """The counts of minutes that are not over yet are written, too."""
        for place, window in self._windows.items():
            if window.left_out:
                super().emit(_counted(place, window.left_out))
        self._windows.clear()
        super().close()

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]} … ({len(text)} characters)"

    def _takes(self, record: logging.LogRecord, now: float) -> bool:
        most = _most(record)
        if most is None:
            return True
        window = self._windows.setdefault((record.name, record.pathname, record.lineno), _Window(now))
        if window.written >= most:
            window.left_out += 1
            return False
        window.written += 1
        return True

    def _ended(self, now: float) -> Iterator[tuple[Place, int]]:
        if now < self._next_look:
            return
        for place, window in list(self._windows.items()):
            if now - window.began >= WINDOW_SECONDS:
                del self._windows[place]
                if window.left_out:
                    yield place, window.left_out
        self._next_look = min((window.began for window in self._windows.values()), default=now) + WINDOW_SECONDS


def _most(record: logging.LogRecord) -> int | None:
    """How many lines a minute may come from the record's place; None for any number."""
    if record.name in UNLIMITED:
        return None
    if record.name == ACCESS:
        status = record.args[2] if isinstance(record.args, tuple) and len(record.args) > 2 else 0
        return MOST_REFUSED if isinstance(status, int) and status >= 400 else None
    return MOST


def _counted(place: Place, count: int) -> logging.LogRecord:
    name, path, line = place
    return logging.LogRecord(name, logging.WARNING, path, line, "%d more lines like the ones before were left out", (count,), None)
