"""Names under which work is handed to Temporal: the only thing the workflow knows of activities.

A channel is `email`, `sms`, `team`, `webhook` or `custom:<name>@<version>`. Its effect is an activity of the channel's name
on the queue of the provider account that serves it. What was planned before custom channels had versions is called `custom:<name>`
in rows and histories, and is served under that name, too.
"""

from __future__ import annotations

RUN_WORKFLOW = "Run"
WAKE_UP = "bell"
STEP = "step"
RUN_QUEUE = "runs"
JOURNEY_ATTRIBUTE = "PfadwerkJourney"


def custom_channel(name: str, version: int) -> str:
    """The channel of a custom activity in one of its versions."""
    return f"custom:{name}@{version}"


def unversioned(channel: str) -> str:
    """The name that a channel had before channels had versions; of the built-in ones the same."""
    return channel.partition("@")[0]


def activity_of(channel: str) -> str:
    """The activity that performs calls of `channel`; the prefix keeps it apart from `step`."""
    return f"effect:{channel}"


def queue_of(channel: str, account: str = "default") -> str:
    """The task queue of the provider account; custom activities share one queue."""
    return f"{channel.split(':', 1)[0]}.{account}"
