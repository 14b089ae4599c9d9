"""Posts a notice to the webhook of the team, signed as every call of ours (`activities.webhooks.client`), to public addresses only."""

from __future__ import annotations

from datetime import datetime

from activities.providers.provider import Answer
from activities.webhooks import client
from activities.webhooks.address_guard import Guard


def by_webhook(guard: Guard, url: str, once_key: str, body: bytes, secret: str | None, now: datetime) -> Answer:
    """One attempt; a receiver tells repeats by `webhook-id`.

    Raises:
        RetryLater, MessageDead: it did not go through, now or ever.
    """
    return client.call(client.Request(once_key, url, body=body, secret=secret), guard, now).answer()
