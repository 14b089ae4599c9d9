"""Tells colleagues something in a Slack channel, through its incoming webhook. The text comes filled in."""

from __future__ import annotations

import json
from datetime import datetime

from activities.mrkdwn import escaped
from activities.providers.provider import Answer
from activities.team.email import MAX_TEXT
from activities.webhooks import client
from activities.webhooks.address_guard import Guard


def by_slack(guard: Guard, url: str, once_key: str, text: str, now: datetime, *, timeout_seconds: float = 10.0) -> Answer:
    """Posts the notice to a Slack incoming webhook. Slack cannot tell repeats: after a time-out a line may stand there twice.

    Raises:
        RetryLater, MessageDead: it did not go through, now or ever.
    """
    body = json.dumps({"text": escaped(text[:MAX_TEXT])}).encode()
    return client.call(client.Request(once_key, url, body=body), guard, now, timeout_seconds=timeout_seconds).answer()
