"""Remembers what was made of an object, by identity: hashing a rule tree at every call would cost more than using it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

LIMIT = 4096
"""Entries before everything is forgotten; making one again costs some 20 µs."""


class Memo(Generic[K, V]):
    """`make(key)`, once per key object. Keys must be immutable; they are kept alive, so that an id cannot be given twice."""

    def __init__(self, make: Callable[[K], V]) -> None:
        self._make = make
        self._entries: dict[int, tuple[K, V]] = {}

    def __call__(self, key: K) -> V:
        entry = self._entries.get(id(key))
        if entry is not None:
            return entry[1]
        value = self._make(key)
        if len(self._entries) >= LIMIT:
            self._entries.clear()
        self._entries[id(key)] = (key, value)
        return value
