"""`Kinds`: the terms that are known, by telling key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from journeys.rules.terms.shape import Write, widgets
from journeys.rules.terms.term import Term


class Kinds:
    """Terms in order. An object is of the first kind whose key it has; without any, of the first of all."""

    def __init__(self, kinds: Iterable[type[Term]]) -> None:
        """Raises ValueError when two claim the same key."""
        self._set(tuple(kinds))

    def _set(self, kinds: tuple[type[Term], ...]) -> None:
        for number, kind in enumerate(kinds):
            if kind.kind in (other.kind for other in kinds[:number]):
                raise ValueError(f"{kind.__module__}.{kind.__name__} and another term both claim the key {kind.kind}")
        self.all = kinds
        self._otherwise, *self._told = kinds
        self.nested = frozenset(key for kind in kinds for key in kind.nested)
        """Where rules stand inside a term (`Term.nested`)."""

    def __iter__(self) -> Iterator[type[Term]]:
        return iter(self.all)

    def names(self) -> tuple[str, ...]:
        """The telling keys."""
        return tuple(kind.kind for kind in self.all)

    def of(self, data: Mapping[str, Any]) -> type[Term]:
        """Which kind an object is."""
        return next((kind for kind in self._told if kind.kind in data), self._otherwise)

    def offered(self) -> frozenset[str]:
        """The nouns of the names that are suggested where something is written."""
        return frozenset(one.offered for kind in self.all for one in widgets(kind.shape) if isinstance(one, Write) and one.offered)

    @contextmanager
    def also(self, *kinds: type[Term]) -> Iterator[None]:
        """With `kinds` known as well, until the block ends."""
        before = self.all
        self._set((*before, *kinds))
        try:
            yield
        finally:
            self._set(before)
