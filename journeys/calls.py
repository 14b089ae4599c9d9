"""Names under which work is handed to Temporal: the only thing the workflow knows of activities.

A channel is `email`, `sms`, `team`, `webhook` or `custom:<name>`. Its effect is an activity of the channel's name
on the queue of the provider account that serves it.
"""

from __future__ import annotations

RUN_WORKFLOW = "Run"
BELL = "bell"
STEP = "step"
RUN_QUEUE = "runs"
JOURNEY_ATTRIBUTE = "PfadwerkJourney"


def activity_of(channel: str) -> str:
    """The activity that performs calls of `channel`; the prefix keeps it apart from `step`."""
    return f"effect:{channel}"


def queue_of(channel: str, account: str = "default") -> str:
    """The task queue of the provider account; custom activities share one queue."""
    return f"{channel.split(':', 1)[0]}.{account}"
