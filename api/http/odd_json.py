"""What orjson refuses as a whole and a tolerant reader can take: one odd value must cost its event, and not the thousand around it.

NaN, numbers beyond every float, half characters and endless nesting are read into values that cannot be written as JSON again, so that
whoever checks the event (`api.tracking.calls`) refuses that one. Reached only after orjson has failed; takes time in proportion to the body.
"""

from __future__ import annotations

import json
import re
from typing import Any

MAX_DEPTH = 100
"""Deeper than this nothing is read; an event may nest a tenth of it."""
MAX_DIGITS = 400
MAX_BYTES = 1_000_000
"""Twice what a client of Segment's sends at once. A longer body is read strictly or not at all, since this reader takes 150 ms for a megabyte."""

_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


class Unreadable:
    """Stands where a value stood that no database can store."""


_UNREADABLE = Unreadable()


def read_odd_json(body: bytes) -> Any:
    """The value in `body`, with `Unreadable` in it where it is odd; None if it is not JSON by any reading, or longer than `MAX_BYTES`."""
    if len(body) > MAX_BYTES:
        return None
    try:
        text = _pruned(body.decode())
        return json.loads(text, parse_int=_whole, parse_float=_float, parse_constant=_odd)
    except (ValueError, RecursionError):
        return None


def _pruned(text: str) -> str:
    """`text` with NaN in the place of whatever is nested too deeply."""
    if text.count("[") + text.count("{") < MAX_DEPTH:
        return text
    kept: list[str] = []
    depth = position = 0
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token in ("[", "{"):
            depth += 1
            if depth == MAX_DEPTH:
                kept += (text[position : match.start()], "NaN")
        elif token in ("]", "}"):
            depth -= 1
            if depth == MAX_DEPTH - 1:
                position = match.end()
    return "".join(kept) + text[position:] if kept else text


def _whole(digits: str) -> Any:
    return int(digits) if len(digits) <= MAX_DIGITS else _UNREADABLE


def _float(text: str) -> Any:
    number = float(text)
    return number if number not in (float("inf"), float("-inf")) else _UNREADABLE


def _odd(_name: str) -> Any:
    return _UNREADABLE
