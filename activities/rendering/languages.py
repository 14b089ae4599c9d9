"""Which of several languages serves a reader: `de-CH` falls back to `de`, then to `default`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def serving(locales: Iterable[str], known: Iterable[str]) -> str | None:
    """The name among `known` that serves the first of `locales` that one does, else `default`; None if there is none of all."""
    folded = {_folded(name): name for name in known}
    wanted = (step for name in locales for step in _steps(name))
    return next((folded[step] for step in (*wanted, "default") if step in folded), None)


def _steps(locale: str) -> Iterator[str]:
    """`de-CH` -> de-ch, de."""
    parts = _folded(locale).split("-")
    for length in range(len(parts), 0, -1):
        yield "-".join(parts[:length])


def _folded(locale: str) -> str:
    return locale.replace("_", "-").lower()
