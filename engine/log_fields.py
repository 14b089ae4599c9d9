"""What log lines are about: fields that whoever works at a run sets once, for every line that is written meanwhile in the same thread or task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

FIELDS: Final = ("run_id", "node", "journey", "trace_id")
"""Ids and keys only; nothing about a person."""

_present: ContextVar[Mapping[str, str]] = ContextVar("log_fields", default={})  # noqa: B039 - never changed in place


def present() -> Mapping[str, str]:
    return _present.get()


@contextmanager
def log_fields(**fields: str) -> Iterator[None]:
    """Adds fields (out of `FIELDS`) until the block ends."""
    token = _present.set({**_present.get(), **fields})
    try:
        yield
    finally:
        _present.reset(token)
