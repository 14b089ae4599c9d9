"""Posts a notice to the webhook of the team, signed as every call of ours (`activities.webhook`), to public addresses only."""

from __future__ import annotations

from datetime import datetime

from activities import webhook
from activities.addresses import Guard
from activities.providers.provider import Answer


def by_webhook(guard: Guard, url: str, once_key: str, body: bytes, secret: str | None, now: datetime) -> Answer:
    """One attempt; a receiver tells repeats by `webhook-id`.

    Raises:
        RetryLater, MessageDead: it did not go through, now or ever.
    """
    return webhook.call(webhook.Request(once_key, url, body=body, secret=secret), guard, now).answer()
