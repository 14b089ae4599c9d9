"""What the supervisor says on the terminal: short, one line a fact, the children's lines with their name before them.

Colours only on a terminal, and not if `NO_COLOR` is set. The texts are in the message catalogues.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TextIO

_COLOURS = {"worker": "36", "web": "35", "temporal": "34", "redis": "31"}
_NAME_WIDTH = 8


class Console:
    """Writes whole lines, from any thread."""

    def __init__(self, out: TextIO, translate: Callable[[str], str] = str) -> None:
        self._out = out
        self._translate = translate
        self._coloured = out.isatty() and not os.environ.get("NO_COLOR")
        self._lock = threading.Lock()

    def say(self, text: str = "", **values: object) -> None:
        """An English sentence with `{placeholders}` (the message id of the catalogues), in the reader's language."""
        self._write(self._translate(text).format(**values) if text else "")

    def good(self, fact: str) -> None:
        """Names and addresses only, so nothing to translate."""
        self._write(f"{self._paint('✓', '32')} {fact}")

    def bad(self, text: str, **values: object) -> None:
        self._write(f"{self._paint('!', '33')} {self._translate(text).format(**values)}")

    def raw(self, text: str) -> None:
        """Something that others wrote, as it is."""
        self._write(text)

    def line_of(self, name: str, text: str) -> None:
        """One line that the child `name` wrote."""
        self._write(f"{self._paint(f'{name:<{_NAME_WIDTH}}│', _COLOURS.get(name, '0'))} {text}")

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._coloured else text

    def _write(self, line: str) -> None:
        with self._lock:
            try:
                self._out.write(line + "\n")
                self._out.flush()
            except (BrokenPipeError, OSError):
                pass  # the terminal is gone; the log files still get everything
