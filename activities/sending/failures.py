"""Failures of activities as Temporal sees them, made in one place. They carry a code and a delay, never text from outside."""

from __future__ import annotations

from datetime import timedelta

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from journeys.errors import where

HELD = "held"
BUSY = "busy"
RETRY_LATER = "retry_later"


def come_back(kind: str, code: str, after: timedelta) -> ApplicationError:
    """The activity shall be tried again `after` a while; expected, so it is no error in logs and metrics (and 0 history events)."""
    delay = max(after, timedelta(milliseconds=100))
    return ApplicationError(code, type=kind, next_retry_delay=delay, category=ApplicationErrorCategory.BENIGN)


def unforeseen(error: Exception) -> ApplicationError:
    """An error that nobody foresaw (the database is away, a mistake of ours): its kind and place, and the usual retries."""
    return ApplicationError(where(error), type=type(error).__name__)
